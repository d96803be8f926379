//! Tests of the crate from outside.

#[cfg(test)]
mod after;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod explained;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod listed;
#[cfg(test)]
mod own_rules;
#[cfg(test)]
mod plainly;
#[cfg(test)]
mod replayed;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod stages;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod travel;
#[cfg(test)]
mod upstream_buckets;
#[cfg(test)]
mod upstream_parsers;
