//! Tests of the crate from outside.

#[cfg(test)]
mod databases;
#[cfg(test)]
mod made_up;
#[cfg(test)]
mod patterns;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod whole;
