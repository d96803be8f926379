//! Tests of the crate from outside.

mod own_rules;
mod replayed;
mod shared;
mod upstream_buckets;
mod broken;
mod hub;
mod travel;
