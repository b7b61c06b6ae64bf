//! The form of a detector file, and its way into [`Detector`].

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Place as At, Problem};
use crate::{Boundary, Check, Confidence, Context, Detector, Exception, Form, Home, Place, template};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    home: Vec<FileHome>,
    /// What all detectors of the file let pass.
    #[serde(default)]
    except: Vec<Exception>,
    #[serde(default)]
    pub(super) detectors: Vec<FileDetector>,
    /// Detectors of other files that are taken out.
    #[serde(default)]
    pub(super) disable: Vec<Spanned<String>>,
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
    id: Spanned<String>,
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
    #[serde(default)]
    except: Vec<Exception>,
    home: Option<Vec<FileHome>>,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    counter_examples: Vec<String>,
}

impl File {
    /// The detectors with the places where they stand.
    pub(super) fn into_detectors(self) -> Result<Vec<(At, Detector)>, Problem> {
        let File { provider, name, reference, home, except, detectors, .. } = self;
        let one = |d: FileDetector| {
            let at = At::of(&d.id);
            let invalid = |message: String| at.problem(&d.id.value, message);
            let homes = d.home.as_ref().unwrap_or(&home);
            let home = homes.iter().map(FileHome::parse).collect::<Result<_, _>>().map_err(invalid)?;
            let expand = |texts: &[String]| texts.iter().map(|t| template::expand(t)).collect::<Result<Vec<_>, _>>().map_err(invalid);
            let (examples, counter_examples) = (expand(&d.examples)?, expand(&d.counter_examples)?);
            let detector = Detector {
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
                except: except.iter().cloned().chain(d.except).collect(),
                home,
                examples,
                counter_examples,
                id: d.id.value,
            };
            Ok((at, detector))
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
