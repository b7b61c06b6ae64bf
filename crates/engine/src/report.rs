//! What the engine answers.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rules::{Confidence, Detector};

/// The name of one way content is wrapped: `gzip`, `base64`, `json-string`, `percent`, …
pub type LayerId = &'static str;

/// The key of fingerprints. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct FingerprintKey(pub [u8; 32]);

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

/// A keyed hash of a secret: the same secret has the same fingerprint under the same key, and nothing else can be learnt from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// One secret found. It never holds the secret itself.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was found.
    pub detector: Arc<Detector>,
    /// How sure it is; the detector's confidence, raised or lowered by checks and context.
    pub confidence: Confidence,
    /// Bytes of the location as sent, end exclusive. Inside a layer whose bytes cannot be told apart one by one, the outermost encoded run.
    pub span: Range<u64>,
    /// The layers it was found through, outermost first; empty for a finding in plain sight.
    pub trail: Vec<LayerId>,
    /// The nearest enclosing key (query or form key, JSON key, cookie name, header parameter, multipart name), lower case, at most 64 bytes.
    pub field: Option<Arc<str>>,
    /// A keyed hash of the decoded secret.
    pub fingerprint: Fingerprint,
}

/// Why something was not looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gap {
    /// The budget of decoded bytes or work was used up.
    Budget,
    /// The layers are nested deeper than allowed.
    Depth,
    /// A declared or recognised layer does not decode (truncated, corrupt).
    Undecodable,
    /// The content is encrypted (an encrypted archive).
    Encrypted,
    /// A declared encoding is not known.
    UnknownEncoding,
    /// It is told as a change of something that is not here (a delta of a thin pack).
    MissingBase,
}

impl Gap {
    /// Every gap.
    pub const ALL: [Gap; 6] = [Gap::Budget, Gap::Depth, Gap::Undecodable, Gap::Encrypted, Gap::UnknownEncoding, Gap::MissingBase];

    /// The word that reports and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Gap::Budget => "budget",
            Gap::Depth => "depth",
            Gap::Undecodable => "undecodable",
            Gap::Encrypted => "encrypted",
            Gap::UnknownEncoding => "unknown_encoding",
            Gap::MissingBase => "missing_base",
        }
    }
}

/// Whether all was looked into. Not having looked is data, never silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Coverage {
    /// Everything the engine knows how to open was opened.
    #[default]
    Complete,
    /// Something was not.
    Partial {
        /// Offset in the location, as sent, of the first thing that was not looked into.
        at: u64,
        /// Why.
        gap: Gap,
    },
}

impl Coverage {
    /// Both together: the earlier gap wins, partial beats complete.
    #[must_use]
    pub fn and(self, other: Coverage) -> Coverage {
        match (self, other) {
            (Coverage::Complete, c) | (c, Coverage::Complete) => c,
            (a @ Coverage::Partial { at: x, .. }, b @ Coverage::Partial { at: y, .. }) => {
                if y < x {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// The answer for one location.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Findings by ascending span start, without duplicates.
    pub findings: Vec<Finding>,
    /// Whether all was looked into.
    pub coverage: Coverage,
    /// Parts of known secrets that say too little to be findings.
    pub parts: Vec<Part>,
}

/// A part of a known secret that says too little by itself. With others it may say too much: [`crate::known::says_too_much`].
#[derive(Debug, Clone)]
pub struct Part {
    /// The finding that it would be.
    pub finding: Finding,
    /// Which bytes of the secret.
    pub part: Range<u32>,
    /// How many bytes the secret has.
    pub of: u32,
}
