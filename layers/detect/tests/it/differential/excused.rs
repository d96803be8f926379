//! Where ours differs from crowdsec on purpose.

use core::fmt;

use super::compare::Seen;
use crate::traffic::Server;

/// What is excused, and why.
pub(super) const EXCUSES: &[(&str, &str)] = &[];

/// Something in which ours is not what both runs of crowdsec are.
pub(super) struct Difference {
    pub(super) scenario: String,
    pub(super) source: String,
    pub(super) what: &'static str,
    /// The alerts about it: crowdsec's first run, its second, ours.
    pub(super) runs: [Vec<Seen>; 3],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} by {}:", self.what, self.scenario, self.source)?;
        for (name, alerts) in ["crowdsec", "again", "ours"].iter().zip(&self.runs) {
            write!(f, "\n    {name:>8}")?;
            for alert in alerts {
                write!(f, " [{} .. {} x{}]", alert.start, alert.stop, alert.count)?;
            }
        }
        Ok(())
    }
}

/// The excuse for a difference, if there is one.
pub(super) fn excuse(_: Server, _: &[Vec<u8>], _: &Difference) -> Option<&'static str> {
    None
}
