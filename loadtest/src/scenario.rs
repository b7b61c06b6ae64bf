//! Scenarios: what is sent, as one TOML file each in `loadtest/scenarios`.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::bodies::Kind;

/// The files, compiled in: the tool runs from any folder.
const FILES: [(&str, &str); 9] = [
    ("get", include_str!("../scenarios/get.toml")),
    ("json-4k", include_str!("../scenarios/json-4k.toml")),
    ("conversation", include_str!("../scenarios/conversation.toml")),
    ("upload-256k", include_str!("../scenarios/upload-256k.toml")),
    ("artefact-100m", include_str!("../scenarios/artefact-100m.toml")),
    ("grpc", include_str!("../scenarios/grpc.toml")),
    ("git-push", include_str!("../scenarios/git-push.toml")),
    ("sandboxes", include_str!("../scenarios/sandboxes.toml")),
    ("mixed", include_str!("../scenarios/mixed.toml")),
];

/// How a client speaks inside its tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// One scenario.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) what: String,
    /// What is sent, with weights.
    pub(crate) parts: Vec<(u32, Call)>,
    pub(crate) load: Load,
}

/// One kind of request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) host: String,
    pub(crate) method: String,
    /// Path and query; how long an answer the origin gives is added to the query.
    pub(crate) path: String,
    pub(crate) protocol: Protocol,
    pub(crate) response_bytes: u64,
    /// How long the origin thinks before it answers, ms.
    pub(crate) delay_ms: u64,
    pub(crate) body: Body,
}

/// The body of a kind of request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    pub(crate) kind: Kind,
    /// The size, in bytes; what of, the kind says.
    pub(crate) bytes: usize,
    /// Turns of a conversation.
    #[serde(default = "one")]
    pub(crate) turns: usize,
    pub(crate) content_type: String,
}

impl Body {
    fn none() -> Self {
        Self { kind: Kind::None, bytes: 0, turns: 1, content_type: String::new() }
    }
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Requests at a time on each connection; more than one only over HTTP/2.
    #[serde(default = "one")]
    pub(crate) streams: usize,
    /// Sandboxes that the connections belong to, in turn.
    #[serde(default = "one")]
    pub(crate) sandboxes: usize,
    /// Requests per second of an open loop.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    what: String,
    host: Option<String>,
    method: Option<String>,
    path: Option<String>,
    protocol: Option<Protocol>,
    #[serde(default)]
    response_bytes: u64,
    #[serde(default)]
    delay_ms: u64,
    body: Option<Body>,
    #[serde(default)]
    mix: Vec<Share>,
    load: Load,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    scenario: String,
    weight: u32,
}

/// The names of all scenarios.
pub(crate) fn names() -> [&'static str; FILES.len()] {
    FILES.map(|(name, _)| name)
}

/// The scenario of this name.
///
/// # Errors
/// There is none, or its file is not one.
pub(crate) fn named(name: &str) -> Result<Scenario> {
    let (_, text) =
        FILES.iter().find(|(n, _)| *n == name).with_context(|| format!("no scenario {name}; there are {}", names().join(", ")))?;
    parse(text).with_context(|| format!("scenario {name}"))
}

fn parse(text: &str) -> Result<Scenario> {
    let file: File = toml::from_str(text)?;
    let parts = if file.mix.is_empty() {
        vec![(1, call(&file)?)]
    } else {
        let mut parts = Vec::new();
        for share in &file.mix {
            let mixed = named(&share.scenario)?;
            let [(_, call)] = &mixed.parts[..] else { bail!("{} is a mix itself", share.scenario) };
            parts.push((share.weight, call.clone()));
        }
        parts
    };
    if file.load.streams > 1 && parts.iter().any(|(_, call)| call.protocol == Protocol::Http1) {
        bail!("several streams on a connection need HTTP/2");
    }
    Ok(Scenario { name: file.name, what: file.what, parts, load: file.load })
}

fn call(file: &File) -> Result<Call> {
    Ok(Call {
        host: file.host.clone().context("host is missing")?,
        method: file.method.clone().context("method is missing")?,
        path: file.path.clone().context("path is missing")?,
        protocol: file.protocol.context("protocol is missing")?,
        response_bytes: file.response_bytes,
        delay_ms: file.delay_ms,
        body: file.body.clone().unwrap_or_else(Body::none),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_parses_and_is_called_what_it_says() {
        for name in names() {
            let scenario = named(name).unwrap();
            assert_eq!(scenario.name, name);
            assert!(!scenario.what.is_empty() && scenario.load.connections > 0 && scenario.load.rate > 0.0, "{name}");
        }
        let on_disk = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).unwrap().count();
        assert_eq!(on_disk, names().len(), "a scenario is not compiled in");
    }

    #[test]
    fn what_a_file_must_not_say_is_refused() {
        let good = FILES[0].1;
        assert!(parse(good).is_ok());
        assert!(parse(&good.replace("connections", "conections")).is_err());
        assert!(parse(&good.replace("rate", "streams = 4\nrate")).is_err());
        assert!(parse(&good.replace("host", "#")).is_err());
        assert!(named("nothing").is_err());
    }
}
