//! Who and where and what was found, to a verdict.
//!
//! [`Policy`] is a parsed, checked policy file. Its two questions are total functions: [`Policy::admit`] from the head alone, and
//! [`Policy::judge`] on what the engine reported. Verdicts combine by maximum: allow < redact < deny.

mod destination;
mod judge;
mod parse;
mod verdict;

pub use destination::{Destination, Host, HostError};
pub use judge::{Judged, Judgement, Located, Policy, PolicyLimits, Subject};
pub use parse::{PolicyError, Preset};
pub use verdict::{Action, Reason, Verdict};
