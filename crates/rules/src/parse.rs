//! The parser of detector files.

use std::collections::HashSet;

use crate::Detector;

mod file;
mod validate;

/// The largest file that is read.
const MAX_FILE_BYTES: usize = 4 << 20;
/// The most detectors of one set.
const MAX_DETECTORS: usize = 10_000;

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

    /// Parses one file of the catalogue's form; `file` is its name, for errors only. At most 4 MiB and 10,000 detectors.
    ///
    /// # Errors
    /// [`RuleError`] for bad YAML, unknown keys, or a contradictory detector.
    pub fn from_yaml(file: &str, source: &str) -> Result<RuleSet, RuleError> {
        let syntax = |message: String| RuleError::Syntax { file: file.to_owned(), message };
        if source.len() > MAX_FILE_BYTES {
            return Err(syntax(format!("larger than {MAX_FILE_BYTES} bytes")));
        }
        let parsed: file::File = serde_saphyr::from_str(source).map_err(|e| syntax(e.to_string()))?;
        if parsed.detectors.len() > MAX_DETECTORS {
            return Err(syntax(format!("more than {MAX_DETECTORS} detectors")));
        }
        let detectors = parsed.into_detectors()?;
        for detector in &detectors {
            validate::detector(detector)?;
        }
        RuleSet { detectors }.unique()
    }

    /// This set with `other` laid over it: a detector of the same id is replaced, others are added.
    #[must_use]
    pub fn overlay(mut self, other: RuleSet) -> RuleSet {
        let ids: HashSet<&str> = other.detectors.iter().map(|d| d.id.as_str()).collect();
        self.detectors.retain(|d| !ids.contains(d.id.as_str()));
        self.detectors.extend(other.detectors);
        self
    }

    /// All detectors, in file order.
    pub fn detectors(&self) -> &[Detector] {
        &self.detectors
    }

    /// Both sets, which must not share an id.
    pub(crate) fn join(mut self, other: RuleSet) -> Result<RuleSet, RuleError> {
        self.detectors.extend(other.detectors);
        self.unique()
    }

    fn unique(self) -> Result<RuleSet, RuleError> {
        let mut seen = HashSet::new();
        for detector in &self.detectors {
            if !seen.insert(detector.id.as_str()) {
                return Err(RuleError::Invalid { id: detector.id.clone(), message: "the id is used twice".to_owned() });
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
