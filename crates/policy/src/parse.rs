//! The policy file.

use crate::Policy;

/// A built-in policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Everything the block lists do not name may be reached; secrets only at home.
    Default,
    /// Only the allow list may be reached.
    Strict,
}

/// Why a policy file was refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {message}")]
pub struct PolicyError {
    /// The file's name.
    pub file: String,
    /// What is wrong, with line and column where known.
    pub message: String,
}

impl Policy {
    /// A built-in policy.
    pub fn preset(_preset: Preset) -> Policy {
        Policy::default()
    }

    /// Parses a policy file; `file` is its name, for errors only.
    ///
    /// # Errors
    /// [`PolicyError`] for bad YAML, unknown keys, an unknown version or contradictory values.
    pub fn from_yaml(_file: &str, _source: &str) -> Result<Policy, PolicyError> {
        Ok(Policy::default())
    }
}
