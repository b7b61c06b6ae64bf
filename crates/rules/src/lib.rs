//! What to look for: detectors as data, the parser of their files, and the checksums that make a match certain.
//!
//! This crate is pure: no files, no clock, no logging. The built-in catalogue (`catalog/*.yaml`, one file a provider) is compiled in.
//!
//! ```
//! let rules = portcullis_rules::RuleSet::builtin();
//! assert!(rules.detectors().len() >= 80);
//! ```

mod builtin;
pub mod checksum;
mod detector;
pub mod documented;
mod import;
mod parse;
mod template;

pub use detector::{Boundary, Check, Confidence, Context, Detector, Exception, Form, Home, Place, Target};
pub use import::{Imported, Note};
pub use parse::{RuleError, RuleSet};
