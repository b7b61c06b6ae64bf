//! The types of a detector.

use std::fmt;

/// How sure a match of a detector is, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Worth counting, not worth blocking.
    Low,
    /// Context or structure speaks for a secret.
    Medium,
    /// The shape is the provider's own and rarely anything else.
    High,
    /// A checksum holds, or the shape cannot be anything else.
    Certain,
}

impl Confidence {
    /// The word that configuration, reports and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
            Confidence::Certain => "certain",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may stand next to a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Boundary {
    /// The neighbours are not token bytes (`[A-Za-z0-9_]`), unless they are bytes of a binary framing (the engine judges that).
    #[default]
    Token,
    /// Only the left neighbour is judged; the pattern itself says where the match ends.
    Left,
    /// Nothing is judged: the shape is unmistakable (a PEM block, a URL).
    None,
}

/// A test beyond the pattern, run on the secret part of a match.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Base62 CRC-32 of the entropy part in the last six characters (GitHub, npm): see [`crate::checksum::github`].
    GithubCrc32,
    /// The value is a JSON Web Token whose header decodes to JSON with an `alg`.
    Jwt,
    /// At least so many bits of Shannon entropy per character.
    Entropy(f32),
    /// At least so many bits per pair of neighbours in a model of what people write: words have 3 to 5, random characters 6 to 10.
    Surprise(f32),
    /// At least so many characters are digits.
    Digits(u32),
    /// Not a documentation placeholder (`xxxx`, `EXAMPLE`, `<...>`, one repeated character, a plain sequence).
    NotPlaceholder,
    /// Not made of plain words, numbers and separators alone, as paths, names of resources and sentences are.
    NotWords,
    /// A named checksum of [`crate::checksum::verify`].
    Checksum(String),
}

/// Where else a credential names itself: one of `keywords` must stand near the match.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Words in lower case, matched without regard to case in the key of the field or in the text before the match.
    pub keywords: Vec<String>,
    /// How many bytes before the match are looked at (1 to 256).
    #[serde(default = "Context::default_within")]
    pub within: usize,
}

impl Context {
    fn default_within() -> usize {
        48
    }
}

/// A place in a request where a credential is at home.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In one of the headers that exist for credentials (`Authorization`, `X-Api-Key`, …): policy has the list.
    CredentialHeader,
    /// In the named header (lower case).
    Header(String),
    /// In the named query parameter (lower case).
    Query(String),
    /// In the named field of a form or JSON body (lower case).
    Body(String),
    /// In a path segment (Telegram's `/bot<token>/`, webhooks).
    Path,
}

/// A destination where a credential belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Host patterns in lower case: `api.github.com`, `*.amazonaws.com` (any depth below, not the name itself).
    pub hosts: Vec<String>,
    /// Places in the request; empty in the file means [`Place::CredentialHeader`] alone.
    pub places: Vec<Place>,
}

/// How a detector recognises what it looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// By its pattern.
    #[default]
    Pattern,
    /// A value that people choose, after a name that holds one of the anchors, in whatever notation; there is no pattern.
    Password,
    /// The same for values that machines choose.
    Secret,
}

/// What the patterns of an exception are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The secret.
    #[default]
    Secret,
    /// The whole match.
    Match,
    /// The line the match begins in, as far as it is near.
    Line,
}

/// What a detector lets pass although it matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Patterns, in the same syntax as those of detectors; one of them must match somewhere in the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// What the patterns are held against.
    #[serde(default, rename = "in", skip_serializing_if = "Target::is_default")]
    pub target: Target,
    /// Words of which one must stand in the secret, in whatever case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Whether a pattern and a word are needed, rather than one of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub both: bool,
}

impl Target {
    fn is_default(&self) -> bool {
        *self == Target::default()
    }
}

/// One thing to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    /// Kebab-case id, unique in a rule set: `github-pat-classic`.
    pub id: String,
    /// The provider's short name: `github`.
    pub provider: String,
    /// One line for people.
    pub name: String,
    /// The page that documents the format.
    pub reference: String,
    /// How sure a match is.
    pub confidence: Confidence,
    /// How it recognises what it looks for.
    pub form: Form,
    /// The pattern in `regex` syntax, ASCII and bytes mode, `(?x)` allowed. A group named `secret` narrows
    /// the match to what is judged and hashed; a group named `span` around it is what is reported and replaced.
    /// Empty for every other form.
    pub pattern: String,
    /// Literals of which one stands in every match, found without regard to case by the prefilter. At least three bytes each.
    pub anchors: Vec<String>,
    /// What may stand next to a match.
    pub boundary: Boundary,
    /// Words that must stand near.
    pub context: Option<Context>,
    /// Tests beyond the pattern; all must hold.
    pub checks: Vec<Check>,
    /// What is let pass although it matches.
    pub except: Vec<Exception>,
    /// Where the credential belongs; empty: nowhere in particular.
    pub home: Vec<Home>,
    /// Texts in which the detector must find exactly one secret (expanded from templates).
    pub examples: Vec<String>,
    /// Texts in which it must find nothing.
    pub counter_examples: Vec<String>,
}
