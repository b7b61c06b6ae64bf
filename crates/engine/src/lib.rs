//! Bytes in, report out.
//!
//! The engine finds secrets in one *location* of a request (host, path, query, header value, body, trailer): it takes the bytes apart by
//! their grammar, peels layers of encoding under one budget, and reports findings with exact spans in the bytes as sent, plus *coverage*: what
//! it could not look into. It cannot fail on hostile input, has no clock, no files and no logging.

mod decoding;
mod engine;
mod kind;
pub mod known;
mod layers;
mod matcher;
mod report;
mod scan;
mod seen;
mod stream;

pub use decoding::Decoding;
pub use engine::{CompileError, Engine, EngineId, Limits, is_opaque};
pub use kind::{Kind, Location, Media};
pub use known::{Known, KnownKey};
pub use matcher::AnchorCost;
#[cfg(fuzzing)]
pub use matcher::Oracle;
pub use report::{Coverage, Finding, Fingerprint, FingerprintKey, Gap, LayerId, Part, Report};
pub use rules::{Confidence, Detector, Home, Place, RuleSet};
pub use stream::{Progress, Stream};
