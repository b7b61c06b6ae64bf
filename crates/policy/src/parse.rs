//! The policy file: from YAML to a checked [`Policy`].

mod build;
mod error;
pub(crate) mod file;
mod git;
mod only;
mod rule;

use crate::Policy;
use error::{Result, Wrong};
use file::File;

pub(crate) use error::meant;

/// The largest policy file that is read.
const MAX_FILE_BYTES: usize = 4 << 20;

/// A policy that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Everything the block lists do not name may be reached; secrets only at home.
    Default,
    /// Only the allow list, and what rules allow, may be reached.
    Strict,
    /// Package registries may be read.
    PackageRegistries,
    /// APIs of language models may be used.
    LlmApis,
    /// What an agent has no business with at GitHub is denied.
    Github,
    /// The same at GitLab.
    Gitlab,
    /// The same at Bitbucket.
    Bitbucket,
}

impl Preset {
    /// All presets, in the order of the documentation.
    pub const ALL: [Preset; 7] =
        [Preset::Default, Preset::Strict, Preset::PackageRegistries, Preset::LlmApis, Preset::Github, Preset::Gitlab, Preset::Bitbucket];

    /// What `extends` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Default => "default",
            Preset::Strict => "strict",
            Preset::PackageRegistries => "package-registries",
            Preset::LlmApis => "llm-apis",
            Preset::Github => "github",
            Preset::Gitlab => "gitlab",
            Preset::Bitbucket => "bitbucket",
        }
    }

    /// The YAML of the preset, as documentation.
    pub fn source(self) -> &'static str {
        match self {
            Preset::Default => include_str!("../presets/default.yaml"),
            Preset::Strict => include_str!("../presets/strict.yaml"),
            Preset::PackageRegistries => include_str!("../presets/package-registries.yaml"),
            Preset::LlmApis => include_str!("../presets/llm-apis.yaml"),
            Preset::Github => include_str!("../presets/github.yaml"),
            Preset::Gitlab => include_str!("../presets/gitlab.yaml"),
            Preset::Bitbucket => include_str!("../presets/bitbucket.yaml"),
        }
    }

    fn named(name: &str) -> std::result::Result<Preset, String> {
        let names = Preset::ALL.map(Preset::name);
        let unknown = || format!("{name:?} is no preset{}; expected one of {}", meant(name, &names), names.join(", "));
        Preset::ALL.into_iter().find(|p| p.name() == name).ok_or_else(unknown)
    }
}

/// Why a policy file was refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {message}")]
pub struct PolicyError {
    /// The file's name.
    pub file: String,
    /// What is wrong: line and column, the key, and what was expected.
    pub message: String,
}

impl Policy {
    /// A built-in policy.
    ///
    /// # Panics
    /// Never: a test parses all presets.
    pub fn preset(preset: Preset) -> Policy {
        let source = format!("version: 1\nextends: {}\n", preset.name());
        Policy::from_yaml(preset.name(), &source).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// Parses a policy file; `file` is its name, for errors only. At most 4 MiB. What a file does not say, it takes from the presets it
    /// `extends` (`default` if it says nothing).
    ///
    /// # Errors
    /// [`PolicyError`] for bad YAML, unknown keys, an unknown version or contradictory values.
    pub fn from_yaml(file: &str, source: &str) -> std::result::Result<Policy, PolicyError> {
        let error = |message: String| PolicyError { file: file.to_owned(), message };
        if source.len() > MAX_FILE_BYTES {
            return Err(error(format!("larger than {MAX_FILE_BYTES} bytes")));
        }
        read(source).and_then(File::into_policy).map_err(|wrong| error(wrong.within(source)))
    }
}

fn read(source: &str) -> Result<File> {
    serde_saphyr::from_str(source).map_err(|e| Wrong::of(&e))
}

#[cfg(test)]
mod tests;
