//! What holds between rooms that only this one knows together.

#[cfg(test)]
mod equal;
#[cfg(test)]
mod hubtest;
#[cfg(test)]
#[path = "../../../layers/detect/tests/it/shared.rs"]
mod shared;
