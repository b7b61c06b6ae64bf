//! A denial in the client's own words.

mod words;

use std::sync::Arc;

use policy::{Action, Reason};
use serde::Serialize;

use crate::audit::{AuditFetch, AuditFinding};
use crate::push::Refs;
use crate::{Facts, Outcome, Wire};
pub use words::denials;
use words::words;

/// At most so many findings are told to the client.
const MAX_TOLD: usize = 16;
/// And of each so many hosts that it belongs to.
const MAX_HOMES: usize = 4;
/// The gRPC status code PERMISSION_DENIED.
const PERMISSION_DENIED: u32 = 7;
/// The gRPC status code RESOURCE_EXHAUSTED.
const RESOURCE_EXHAUSTED: u32 = 8;
/// The gRPC status code UNAUTHENTICATED.
const UNAUTHENTICATED: u32 = 16;
/// The gRPC status code UNAVAILABLE.
const UNAVAILABLE: u32 = 14;

/// Why a request was denied, as RFC 9457 problem details.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The page that explains the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for people.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What to do instead, for people and for agents.
    pub detail: String,
    /// The reason's code.
    pub reason: &'static str,
    /// The id to look for in the audit log.
    pub request_id: String,
    /// The rule of the policy that denied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether sending the same again can help: only where a budget is used up.
    pub retry: bool,
    /// Seconds after which it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What a provider was told to fetch, and must not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_fetch: Option<AuditFetch>,
    /// What was found.
    pub findings: Vec<ProblemFinding>,
    /// For a push, what became of its refs.
    #[serde(skip)]
    refs: Option<Arc<Refs>>,
}

/// What the client is told of a finding.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemFinding {
    /// The detector's id.
    pub detector: String,
    /// Where in the request.
    pub location: String,
    /// The layers it was found through.
    pub trail: Vec<&'static str>,
    /// The keyed fingerprint.
    pub fingerprint: String,
    /// The hosts a credential like this belongs to, the first few; empty: nobody knows any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub home: Vec<String>,
}

/// A denial in the form that a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The gRPC status, for clients that speak gRPC.
    pub grpc_status: Option<u32>,
    /// The value of `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body; for gRPC the status message.
    pub body: String,
}

impl Problem {
    /// The problem of a denied request.
    pub fn new(facts: &Facts, outcome: &Outcome) -> Problem {
        let reason = outcome.verdict.reason;
        let (title, detail) = words(reason).map_or(("The request was denied", "Ask the owner of this sandbox."), |w| (w.title, w.agent));
        let found = AuditFinding::all(outcome).into_iter().zip(&outcome.findings);
        let told = found.filter(|(f, _)| f.action != Action::Allow.as_str()).take(MAX_TOLD);
        Problem {
            kind: words::link(reason),
            title,
            status: status(reason),
            detail: detail.to_owned(),
            reason: reason.as_str(),
            request_id: facts.request_id.clone(),
            rule: outcome.rule.as_deref().map(str::to_owned),
            retry: outcome.retry_after.is_some(),
            retry_after: outcome.retry_after,
            provider_fetch: AuditFetch::of(outcome),
            findings: told
                .map(|(f, (located, _))| ProblemFinding {
                    detector: f.detector,
                    location: f.location,
                    trail: f.trail,
                    fingerprint: f.fingerprint,
                    home: located.finding.detector.home.iter().flat_map(|home| &home.hosts).take(MAX_HOMES).cloned().collect(),
                })
                .collect(),
            refs: outcome.refs.clone(),
        }
    }

    /// The same for a client that speaks to an upstream, as it thinks: only a proxy asks for credentials for itself (RFC 9110 section 15.5.8).
    #[must_use]
    pub fn within_tunnel(mut self) -> Problem {
        if self.status == 407 {
            self.status = 403;
        }
        self
    }

    /// The problem in the form that this client shows.
    pub fn answer(&self, wire: Wire) -> Answer {
        match wire {
            Wire::Http => {
                // A struct of strings and numbers always serialises.
                let body = serde_json::to_string(self).unwrap_or_default();
                Answer {
                    status: self.status,
                    grpc_status: None,
                    retry_after: self.retry_after,
                    content_type: "application/problem+json",
                    body,
                }
            }
            Wire::Grpc => {
                let code = match self.status {
                    403 => PERMISSION_DENIED,
                    407 => UNAUTHENTICATED,
                    413 | 429 => RESOURCE_EXHAUSTED,
                    _ => UNAVAILABLE,
                };
                // The gateway turns it into HTTP 200 with trailers only (gRPC over HTTP/2, "Trailers-Only").
                Answer {
                    status: self.status,
                    grpc_status: Some(code),
                    retry_after: None,
                    content_type: "application/grpc",
                    body: self.line(),
                }
            }
            Wire::Git(service) => {
                let git::Refusal { content_type, body } = self.git_refusal(service);
                // Git reads no answer with another status.
                Answer { status: 200, grpc_status: None, retry_after: self.retry_after, content_type, body }
            }
            // Proxies' clients show plain text, if anything.
            Wire::Text | Wire::Connect => Answer {
                status: self.status,
                grpc_status: None,
                retry_after: self.retry_after,
                content_type: "text/plain",
                body: self.lines(),
            },
        }
    }

    fn line(&self) -> String {
        let found: Vec<String> = self.findings.iter().map(|f| format!("{} in {}", f.detector, f.location)).collect();
        let mut found = if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) };
        if let Some(fetch) = &self.provider_fetch {
            found = format!("{found} ({}: {})", fetch.host, fetch.reason);
        }
        format!("portcullis: {}{found}. {} [{}, request {}]", self.title, self.detail, self.reason, self.request_id)
    }

    fn lines(&self) -> String {
        let mut text = format!("Portcullis: {}.\n", self.title);
        for f in &self.findings {
            let home = if f.home.is_empty() { String::new() } else { format!(", belongs to {}", f.home.join(", ")) };
            text.push_str(&format!("  {} in {} ({}){home}\n", f.detector, f.location, f.fingerprint));
        }
        if let Some(fetch) = &self.provider_fetch {
            text.push_str(&format!("  it would go to {} ({})\n", fetch.host, fetch.reason));
        }
        text.push_str(&format!("{}\n[{}, request {}]\n{}\n", self.detail, self.reason, self.request_id, self.kind));
        text
    }
}

/// The HTTP status that says it best.
fn status(reason: Reason) -> u16 {
    match reason {
        Reason::Internal | Reason::StateUnavailable | Reason::Overloaded => 503,
        Reason::RateLimited | Reason::VolumeExceeded | Reason::TooManyHosts => 429,
        Reason::BodyTooLarge => 413,
        Reason::IdentityRequired | Reason::IdentityUnknown => 407,
        _ => 403,
    }
}

impl Problem {
    /// The problem as git prints it: `remote:` lines, and for each ref why it was refused.
    fn git_refusal(&self, service: git::Service) -> git::Refusal {
        let mut lines = vec![format!("Portcullis: {}.", self.title)];
        for f in &self.findings {
            let (place, layers) = place(f);
            let through = if layers.is_empty() { String::new() } else { format!(", through {}", layers.join(", ")) };
            lines.push(format!("{} in {place}{through} ({})", f.detector, f.fingerprint));
        }
        lines.push(self.detail.clone());
        lines.push(format!("[{}, request {}]", self.reason, self.request_id));
        let refs: Vec<git::RefusedRef> =
            self.refs.iter().flat_map(|refs| &refs.refs).filter(|one| !one.masked).map(|one| self.refused(one)).collect();
        let by_refs = self.refs.iter().flat_map(|refs| &refs.refs).any(|one| one.reason.is_some());
        git::refusal(service, self.refs.as_ref().map(|refs| &refs.capabilities), &lines, if by_refs { "ok" } else { self.reason }, &refs)
    }

    fn refused(&self, one: &crate::push::Ref) -> git::RefusedRef {
        let reason = match one.reason {
            Some(reason) => format!("{}: {}", reason.as_str(), words(reason).map_or("refused", |w| w.title)),
            None => format!("not taken with the rest: {}", self.reason),
        };
        git::RefusedRef { name: one.name.clone(), reason }
    }
}

/// Where in a push a finding stands, for people, and the layers around it there.
fn place(finding: &ProblemFinding) -> (&str, &[&'static str]) {
    let parts = [
        ("git-ref", "the name of a ref"),
        ("git-push-option", "a push option"),
        ("git-push-certificate", "a push certificate"),
        ("git-commit", "a commit"),
        ("git-tag", "a tag"),
        ("git-tree", "the name of a file"),
        ("git-blob", "a file"),
        ("git-delta", "a change"),
    ];
    let known = finding.trail.iter().enumerate().take(3).find_map(|(at, layer)| {
        let (_, words) = parts.iter().find(|(name, _)| name == layer)?;
        Some((*words, finding.trail.get(at + 1..).unwrap_or_default()))
    });
    known.unwrap_or((&finding.location, &finding.trail))
}
