//! The form of a detector file, and its way into [`Detector`].

use serde::Deserialize;

use super::RuleError;
use crate::{Boundary, Check, Confidence, Context, Detector, Form, Home, Place, template};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    provider: String,
    name: String,
    reference: String,
    #[serde(default)]
    home: Vec<FileHome>,
    pub(super) detectors: Vec<FileDetector>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct FileHome {
    hosts: Vec<String>,
    #[serde(default)]
    places: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileDetector {
    id: String,
    /// Of files that hold several: whose it is.
    provider: Option<String>,
    name: Option<String>,
    reference: Option<String>,
    confidence: Confidence,
    #[serde(default)]
    form: Form,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    anchors: Vec<String>,
    #[serde(default)]
    boundary: Boundary,
    context: Option<Context>,
    #[serde(default)]
    checks: Vec<Check>,
    home: Option<Vec<FileHome>>,
    examples: Vec<String>,
    #[serde(default)]
    counter_examples: Vec<String>,
}

impl File {
    pub(super) fn into_detectors(self) -> Result<Vec<Detector>, RuleError> {
        let File { provider, name, reference, home, detectors } = self;
        let one = |d: FileDetector| {
            let invalid = |message: String| RuleError::Invalid { id: d.id.clone(), message };
            let homes = d.home.as_ref().unwrap_or(&home);
            let home = homes.iter().map(FileHome::parse).collect::<Result<_, _>>().map_err(invalid)?;
            let expand = |texts: &[String]| texts.iter().map(|t| template::expand(t)).collect::<Result<Vec<_>, _>>().map_err(invalid);
            let (examples, counter_examples) = (expand(&d.examples)?, expand(&d.counter_examples)?);
            Ok(Detector {
                provider: d.provider.unwrap_or_else(|| provider.clone()),
                name: d.name.unwrap_or_else(|| name.clone()),
                reference: d.reference.unwrap_or_else(|| reference.clone()),
                confidence: d.confidence,
                form: d.form,
                // A block scalar ends with a line break, which is no part of the pattern.
                pattern: d.pattern.trim_end_matches('\n').to_owned(),
                anchors: d.anchors,
                boundary: d.boundary,
                context: d.context,
                checks: d.checks,
                home,
                examples,
                counter_examples,
                id: d.id,
            })
        };
        detectors.into_iter().map(one).collect()
    }
}

impl FileHome {
    fn parse(&self) -> Result<Home, String> {
        if self.hosts.is_empty() {
            return Err("a home without hosts".to_owned());
        }
        for host in &self.hosts {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
            if name.is_empty() || name.starts_with('.') || name.ends_with('.') || !name.bytes().all(fine) {
                return Err(format!("`{host}` is no host pattern (lower case, `*.` only in front)"));
            }
        }
        let places = match self.places.as_slice() {
            [] => vec![Place::CredentialHeader],
            some => some.iter().map(|p| place(p)).collect::<Result<_, _>>()?,
        };
        Ok(Home { hosts: self.hosts.clone(), places })
    }
}

fn place(text: &str) -> Result<Place, String> {
    let named = |name: &str| if name.is_empty() { Err(format!("the place `{text}` lacks a name")) } else { Ok(name.to_ascii_lowercase()) };
    match text.split_once(':') {
        None if text == "credential-header" => Ok(Place::CredentialHeader),
        None if text == "path" => Ok(Place::Path),
        Some(("header", name)) => Ok(Place::Header(named(name)?)),
        Some(("query", name)) => Ok(Place::Query(named(name)?)),
        Some(("body", name)) => Ok(Place::Body(named(name)?)),
        _ => Err(format!("unknown place `{text}` (credential-header, header:NAME, query:NAME, body:NAME or path)")),
    }
}
