//! Tests of the crate from outside.

#[cfg(test)]
mod shared;
#[cfg(test)]
mod whole;
