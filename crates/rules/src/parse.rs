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
    #[error("{file}: line {line}: detector {id}: {message}")]
    Invalid {
        /// The file's name.
        file: String,
        /// The line in which the detector's id stands, from 1.
        line: u64,
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
    /// Ids that are taken out of what this set is laid over.
    disabled: Vec<String>,
}

/// Where something stands in a file.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: u64,
}

/// A detector that is contradictory.
#[derive(Debug)]
struct Problem {
    at: Place,
    id: String,
    message: String,
}

impl Place {
    fn of<T>(value: &serde_saphyr::Spanned<T>) -> Place {
        Place { line: value.referenced.line() }
    }

    fn problem(self, id: &str, message: String) -> Problem {
        Problem { at: self, id: id.to_owned(), message }
    }
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
        let mut parsed: file::File = serde_saphyr::from_str(source).map_err(|e| syntax(e.to_string()))?;
        if parsed.detectors.len() > MAX_DETECTORS {
            return Err(syntax(format!("more than {MAX_DETECTORS} detectors")));
        }
        let disabled = std::mem::take(&mut parsed.disable).into_iter().map(|id| id.value).collect();
        let invalid = |p: Problem| RuleError::Invalid { file: file.to_owned(), line: p.at.line, id: p.id, message: p.message };
        let placed = parsed.into_detectors().map_err(invalid)?;
        let mut seen = HashSet::new();
        for (at, detector) in &placed {
            let twice = || (!seen.insert(detector.id.as_str())).then(|| "the id is used twice".to_owned());
            if let Some(message) = validate::detector(detector).or_else(twice) {
                return Err(invalid(at.problem(&detector.id, message)));
            }
        }
        Ok(RuleSet { detectors: placed.into_iter().map(|(_, detector)| detector).collect(), disabled })
    }

    /// This set with `other` laid over it: what `other` disables is taken out, a detector of the same id is replaced, others are added.
    #[must_use]
    pub fn overlay(mut self, other: RuleSet) -> RuleSet {
        let ids: HashSet<&str> = other.detectors.iter().map(|d| d.id.as_str()).chain(other.disabled.iter().map(String::as_str)).collect();
        self.detectors.retain(|d| !ids.contains(d.id.as_str()));
        self.detectors.extend(other.detectors);
        self
    }

    /// The ids that are taken out of what this set is laid over.
    pub fn disabled(&self) -> impl Iterator<Item = &str> {
        self.disabled.iter().map(String::as_str)
    }

    /// All detectors, in file order.
    pub fn detectors(&self) -> &[Detector] {
        &self.detectors
    }

    /// Both sets, which must not share an id.
    pub(crate) fn join(mut self, file: &str, other: RuleSet) -> Result<RuleSet, RuleError> {
        if let Some(twice) = other.detectors.iter().find(|d| self.detectors.iter().any(|own| own.id == d.id)) {
            let message = "another file has the id too".to_owned();
            return Err(RuleError::Invalid { file: file.to_owned(), line: 1, id: twice.id.clone(), message });
        }
        self.detectors.extend(other.detectors);
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
