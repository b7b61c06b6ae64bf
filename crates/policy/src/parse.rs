//! The policy file: from YAML to a checked [`Policy`].

mod build;
mod file;

use file::File;

use crate::Policy;

/// The largest policy file that is read.
const MAX_FILE_BYTES: usize = 4 << 20;

/// A built-in policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Everything the block lists do not name may be reached; secrets only at home.
    Default,
    /// Only the allow list may be reached.
    Strict,
}

const DEFAULT: &str = include_str!("../presets/default.yaml");
const STRICT: &str = include_str!("../presets/strict.yaml");

impl Preset {
    /// The YAML of the preset, as documentation.
    pub fn source(self) -> &'static str {
        match self {
            Preset::Default => DEFAULT,
            Preset::Strict => STRICT,
        }
    }
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
    ///
    /// # Panics
    /// Never: a test parses both presets.
    pub fn preset(preset: Preset) -> Policy {
        let name = match preset {
            Preset::Default => "default",
            Preset::Strict => "strict",
        };
        Policy::from_yaml(name, preset.source()).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// Parses a policy file; `file` is its name, for errors only. At most 4 MiB. What a file does not say, it takes from the preset it
    /// `extends` (`default` if it says nothing).
    ///
    /// # Errors
    /// [`PolicyError`] for bad YAML, unknown keys, an unknown version or contradictory values.
    pub fn from_yaml(file: &str, source: &str) -> Result<Policy, PolicyError> {
        let error = |message: String| PolicyError { file: file.to_owned(), message };
        if source.len() > MAX_FILE_BYTES {
            return Err(error(format!("larger than {MAX_FILE_BYTES} bytes")));
        }
        let parsed: File = read(source).map_err(error)?;
        parsed.into_policy().map_err(error)
    }
}

fn read(source: &str) -> Result<File, String> {
    serde_saphyr::from_str(source).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
