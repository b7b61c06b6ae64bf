//! The lines of `replay`: a request in, an answer out.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use data_encoding::BASE64;
use engine::Coverage;
use inspect::{Head, Header, Outcome};
use serde::{Deserialize, Serialize};

/// A recorded request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) id: serde_json::Value,
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Field>,
    body_base64: Option<String>,
    sandbox: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    value: Option<String>,
    value_base64: Option<String>,
}

impl Request {
    /// The head and the body. Path and query are taken as they stand.
    pub(crate) fn into_message(self) -> Result<(Head, Bytes)> {
        let (scheme, rest) = self.url.split_once("://").context("url is not absolute")?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => bail!("url is neither http nor https"),
        };
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let mut authority = authority.to_owned();
        let mut headers = Vec::with_capacity(self.headers.len());
        for field in self.headers {
            let value = match (field.value, field.value_base64) {
                (Some(value), None) => Bytes::from(value),
                (None, Some(value)) => Bytes::from(BASE64.decode(value.as_bytes()).context("value_base64 is not base64")?),
                _ => bail!("a header has either value or value_base64"),
            };
            let name = field.name.to_ascii_lowercase();
            if name == "host" {
                authority = String::from_utf8_lossy(&value).into_owned();
            } else {
                headers.push(Header { name, value });
            }
        }
        let body = match self.body_base64 {
            Some(text) => Bytes::from(BASE64.decode(text.as_bytes()).context("body_base64 is not base64")?),
            None => Bytes::new(),
        };
        let request_id = self.id.as_str().map_or_else(|| self.id.to_string(), str::to_owned);
        let sandbox = self.sandbox.unwrap_or_else(|| "replay".into());
        let head =
            Head { request_id, sandbox, method: self.method, tls, authority, path: Bytes::from(path), headers, end: body.is_empty() };
        Ok((head, body))
    }
}

/// What Portcullis says of a request.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    id: serde_json::Value,
    verdict: &'static str,
    reason: &'static str,
    coverage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<&'static str>,
    findings: Vec<Found>,
    micros: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacted_body_base64: Option<String>,
}

#[derive(Debug, Serialize)]
struct Found {
    detector: String,
    /// The registered name of a known secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<String>,
    confidence: &'static str,
    home: bool,
    action: &'static str,
    location: String,
    span: Option<[u64; 2]>,
    trail: Vec<&'static str>,
    fingerprint: String,
}

impl Answer {
    /// The answer for an outcome that took so long.
    pub(crate) fn new(id: serde_json::Value, outcome: &Outcome, took: Duration) -> Answer {
        let (coverage, gap) = match outcome.coverage {
            Coverage::Complete => ("complete", None),
            Coverage::Partial { gap, .. } => ("partial", Some(gap.as_str())),
        };
        let findings = outcome
            .findings
            .iter()
            .map(|(located, judged)| Found {
                detector: located.finding.detector.id.clone(),
                known: engine::known::name_of(&located.finding.detector).map(str::to_owned),
                confidence: located.finding.confidence.as_str(),
                home: judged.home,
                action: judged.action.as_str(),
                location: located.location.to_string(),
                span: Some([located.finding.span.start, located.finding.span.end]),
                trail: located.finding.trail.clone(),
                fingerprint: located.finding.fingerprint.to_string(),
            })
            .collect();
        Answer {
            id,
            verdict: outcome.verdict.action.as_str(),
            reason: outcome.verdict.reason.as_str(),
            coverage,
            gap,
            findings,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            redacted_body_base64: None,
        }
    }

    /// Adds the body as it would travel.
    pub(crate) fn redacted(&mut self, body: &[u8]) {
        self.redacted_body_base64 = Some(BASE64.encode(body));
    }
}
