//! Engine, policy and cache composed: one [`Inspector`], one [`Flow`] a request.
//!
//! A flow is a pure, synchronous state machine: head in, chunks in, steps out. It owns the hold-back (nothing is released before it is judged)
//! and the redaction edits. Deadlines and the time of a request are the caller's clock; memory is shared fairly ([`Fair`]). [`AuditRecord`] and [`Problem`] say the same
//! outcome to the house and to the client.
//!
//! Nothing here panics on a wrong order of calls, and no `Debug` output shows a byte of a request.

mod advertised;
mod audit;
mod cache;
mod calls;
mod case;
mod chains;
mod facts;
mod fair;
mod flow;
mod frames;
mod head;
mod identity;
mod inspector;
mod ledger;
mod message;
mod normal;
mod outcome;
mod problem;
mod push;
mod redact;

pub use advertised::Advertised;
pub use audit::{AuditFetch, AuditFinding, AuditRecord, AuditWould};
pub use cache::CacheStats;
pub use facts::{Facts, Wire};
pub use fair::{Fair, Share};
pub use flow::{Flow, Opened, Release, Step};
pub use git::Service as GitService;
pub use identity::Identity;
pub use inspector::{Inspector, Snapshot};
pub use ledger::{Book, Change, Shared, Way};
pub use message::{Head, HeadEdits, Header};
pub use outcome::Outcome;
pub use problem::{Answer, Problem, ProblemFinding, denials};
