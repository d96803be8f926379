//! What the command line's words do, one module a family.

mod ask;
mod hubtest;
mod logs;
mod settings;

pub use ask::seconds;
pub use ask::{
    alerts, allow, allowlist, decide, decisions, disallow, explain_decision, order, status,
    undecide, why,
};
pub use hubtest::{Wanted as HubtestWanted, hubtest};
pub use logs::{Showing, explain, replay};
pub use settings::{check, show, show_schema};
