//! The escape probe: from inside a sandbox it tries every way out, and says what got out (docs/probe.md).
//!
//! What is tried directly (`direct`) must meet a wall; what is tried through the proxy (`proxied`) must meet the gateway's own refusal.
//! Each try has a bound, and a run has one too. Judging is kept apart from trying, so that it can be tested without a network.

mod check;
mod direct;
mod host;
mod proxied;
mod report;
mod run;
mod settings;
mod system;
mod trust;
mod watch;

pub use check::{Check, Class, Outcome, Unknown};
pub use proxied::{ProxyUrl, SinkUrl, UrlError};
pub use report::{Counts, Report, Row};
pub use run::run;
pub use settings::{Destination, DestinationError, Settings};
pub use system::System;
pub use trust::{Trust, TrustError};
pub use watch::{Metrics, watch};
