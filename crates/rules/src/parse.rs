//! The parser of detector files.

use crate::Detector;

/// Why a detector file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The file is not valid YAML of the catalogue's form; the text names line and column.
    #[error("{file}: {message}")]
    Syntax {
        /// The file's name.
        file: String,
        /// What is wrong and where.
        message: String,
    },
    /// A detector is contradictory (no anchor, unknown check, id used twice, …).
    #[error("detector {id}: {message}")]
    Invalid {
        /// The detector's id.
        id: String,
        /// What is wrong.
        message: String,
    },
}

/// A set of detectors with unique ids.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    detectors: Vec<Detector>,
}

impl RuleSet {
    /// The built-in catalogue, parsed once per process.
    pub fn builtin() -> &'static RuleSet {
        crate::builtin::rule_set()
    }

    /// Parses one file of the catalogue's form; `file` is its name, for errors only.
    ///
    /// # Errors
    /// [`RuleError`] for bad YAML, unknown keys, or a contradictory detector.
    pub fn from_yaml(_file: &str, _source: &str) -> Result<RuleSet, RuleError> {
        Ok(RuleSet::default())
    }

    /// This set with `other` laid over it: a detector of the same id is replaced, others are added.
    #[must_use]
    pub fn overlay(mut self, other: RuleSet) -> RuleSet {
        self.detectors.retain(|d| !other.detectors.iter().any(|o| o.id == d.id));
        self.detectors.extend(other.detectors);
        self
    }

    /// All detectors, in file order.
    pub fn detectors(&self) -> &[Detector] {
        &self.detectors
    }
}
