//! Tests of the crate from outside.

#[cfg(test)]
mod databases;
#[cfg(test)]
mod made_up;
#[cfg(test)]
mod patterns;
#[cfg(test)]
#[path = "../../../detect/tests/it/shared.rs"]
mod shared;
#[cfg(test)]
mod whole;
