//! Who and where and what was found, to a verdict.
//!
//! [`Policy`] is a parsed, checked policy file. Its two questions are total functions: [`Policy::admit`] from the head alone, and
//! [`Policy::judge`] on what the engine reported. Verdicts combine by maximum: allow < redact < deny.

mod address;
mod destination;
mod explain;
mod hosts;
mod judge;
mod limits;
mod parse;
mod place;
mod policy;
mod units;
mod verdict;

pub use address::SPECIAL_RANGES;
pub use destination::{Destination, Host, HostError};
pub use explain::Explanation;
pub use judge::{Judged, Judgement, Located, Subject};
pub use limits::PolicyLimits;
pub use parse::{PolicyError, Preset};
pub use policy::Policy;
pub use verdict::{Action, Reason, Verdict};
