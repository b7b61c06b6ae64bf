//! Who and where and what was found, to a verdict.
//!
//! [`Policy`] is a parsed, checked policy file. [`Policy::terms`] finds the rules that a request falls under; its two questions are then total
//! functions: [`Policy::admit`] from the head alone, and [`Policy::judge`] on what the engine reported. It has no clock and keeps no state:
//! time comes with the [`Subject`], and who counts for a [`Budget`] brings the [`Usage`]. Verdicts combine by maximum: allow < redact < deny.

mod address;
mod destination;
mod explain;
mod fetch;
mod git;
mod hosts;
mod identity;
mod judge;
mod limits;
mod lint;
mod parse;
mod pins;
mod place;
mod policy;
mod reference;
mod rules;
mod units;
mod verdict;

pub use address::SPECIAL_RANGES;
pub use destination::{Destination, Host, HostError};
pub use explain::Explanation;
pub use fetch::{Fetch, FetchRefusal, FetchRuling};
pub use git::RefChange;
pub use identity::is_sandbox_name;
pub use judge::{Judged, Judgement, Located, Ruling, Subject, Would};
pub use limits::PolicyLimits;
pub use parse::{PolicyError, Preset};
pub use pins::{Carried, CredentialPrint, TooWeak};
pub use policy::{History, Policy};
pub use reference::reference;
pub use rules::{Budget, Details, Redaction, Settings, Terms, Usage};
pub use verdict::{Action, Reason, Verdict};
