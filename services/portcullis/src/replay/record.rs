//! The lines of `replay`: a request in, an answer out.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use data_encoding::BASE64;
use engine::Coverage;
use inspect::{AuditWould, Head, Header, Identity, Outcome};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
    /// RFC 3339: when it was sent. Budgets and schedules of the policy go by it.
    time: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    value: Option<String>,
    value_base64: Option<String>,
}

/// Whether it is https, the authority, and path and query as they stand.
///
/// # Errors
/// When it is no absolute http or https URL.
pub(crate) fn split_url(url: &str) -> Result<(bool, String, String)> {
    let (scheme, rest) = url.split_once("://").context("url is not absolute")?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => bail!("url is neither http nor https"),
    };
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((tls, authority.to_owned(), path))
}

impl Request {
    /// A request that somebody wrote down, without headers and body.
    pub(crate) fn new(id: String, method: String, url: String) -> Request {
        Request { id: id.into(), method, url, headers: Vec::new(), body_base64: None, sandbox: None, time: None }
    }

    pub(crate) fn with_body(mut self, headers: BTreeMap<String, String>, body: Option<&str>) -> Request {
        self.headers = headers.into_iter().map(|(name, value)| Field { name, value: Some(value), value_base64: None }).collect();
        self.body_base64 = body.map(|body| BASE64.encode(body.as_bytes()));
        self
    }

    pub(crate) fn sent_by(mut self, sandbox: Option<String>, time: Option<String>) -> Request {
        (self.sandbox, self.time) = (sandbox, time);
        self
    }

    /// The head and the body. Path and query are taken as they stand.
    pub(crate) fn into_message(self) -> Result<(Head, Bytes)> {
        let (tls, mut authority, path) = split_url(&self.url)?;
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
        let identity = if self.sandbox.is_some() { Identity::Given } else { Identity::Unrelated };
        let sandbox = self.sandbox.unwrap_or_else(|| "replay".into());
        let at = self.time.as_deref().map_or_else(|| Ok(now()), milliseconds)?;
        let (method, path, end) = (self.method, Bytes::from(path), body.is_empty());
        let head = Head { request_id, sandbox, identity, at, method, tls, authority, path, headers, end };
        Ok((head, body))
    }
}

/// The wall clock, in milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time of RFC 3339, in milliseconds since the Unix epoch.
///
/// # Errors
/// When it is none.
pub(crate) fn milliseconds(text: &str) -> Result<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("time {text:?} is not RFC 3339"))?;
    Ok(u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0))
}

/// What Portcullis says of a request.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    id: serde_json::Value,
    verdict: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would: Option<AuditWould>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
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
            rule: outcome.rule.as_deref().map(str::to_owned),
            would: AuditWould::of(outcome),
            retry_after: outcome.retry_after,
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
