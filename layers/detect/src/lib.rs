//! (being written)

pub mod alert;
pub mod bucket;
pub mod shard;
pub mod data;
pub mod replay;
pub mod rules;
pub mod event;
pub mod explain;
pub mod gotime;
pub mod grok;
pub mod program;
pub mod parse;
