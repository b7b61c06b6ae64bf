//! The audit record: one line a request, for the house.

use data_encoding::HEXLOWER;
use engine::{Coverage, Location};
use policy::Reason;
use serde::Serialize;

use crate::{Facts, Outcome};

/// One request in the audit log. It names hosts and detectors, never paths, values or secrets.
#[derive(Debug, Clone, Serialize)]
pub struct AuditRecord<'a> {
    /// When it was decided: RFC 3339, UTC. The caller's clock.
    pub time: String,
    /// The request's id, which the client was told too.
    pub request_id: &'a str,
    /// The sandbox's name.
    pub sandbox: &'a str,
    /// How that is known: `token`, `certificate`, `address`, `given`, `unknown`, or `refused`.
    pub identity: &'static str,
    /// The id of the token; never the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a str>,
    /// The policy's groups that the sandbox is in.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub groups: &'a [String],
    /// The method.
    pub method: &'a str,
    /// The host; `(masked)` where a secret was found in it.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// `allow`, `redact` or `deny`.
    pub verdict: &'static str,
    /// The reason's code.
    pub reason: &'static str,
    /// The rule of the policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    /// What a rule that only watches (`mode: monitor`) would have done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<AuditWould>,
    /// What the request tells a provider to fetch, and must not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_fetch: Option<AuditFetch>,
    /// `complete` or `partial`.
    pub coverage: &'static str,
    /// Why coverage is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<&'static str>,
    /// What was found.
    pub findings: Vec<AuditFinding>,
    /// Findings beyond those.
    #[serde(skip_serializing_if = "is_zero")]
    pub findings_dropped: u64,
    /// Body bytes taken in.
    pub body_bytes: u64,
    /// Time the scanner spent on it, in microseconds; waiting for bytes is not counted.
    pub micros: u64,
    /// Whether all reports came from the cache.
    pub cached: bool,
    /// The policy's id, hexadecimal.
    pub policy: String,
    /// The engine's id, hexadecimal.
    pub engine: String,
}

/// What a request tells a provider to fetch, and must not.
#[derive(Debug, Clone, Serialize)]
pub struct AuditFetch {
    /// The host; `(anywhere)`, or `(masked)` where secrets were found in the request.
    pub host: String,
    /// Why the sandbox may not go there itself.
    pub reason: &'static str,
}

impl AuditFetch {
    /// That of an outcome, if it was denied for it.
    pub fn of(outcome: &Outcome) -> Option<AuditFetch> {
        let refusal = outcome.fetch.as_ref().filter(|_| outcome.verdict.reason == Reason::ProviderFetchDenied)?;
        let host = match &refusal.host {
            None => "(anywhere)".to_owned(),
            Some(_) if outcome.found_at(&Location::Body) => "(masked)".to_owned(),
            Some(host) => host.clone(),
        };
        Some(AuditFetch { host, reason: refusal.reason.as_str() })
    }
}

/// What a rule that only watches would have done.
#[derive(Debug, Clone, Serialize)]
pub struct AuditWould {
    /// `redact` or `deny`.
    pub verdict: &'static str,
    /// The reason's code.
    pub reason: &'static str,
    /// The rule.
    pub rule: String,
}

impl AuditWould {
    /// What would have been done; `None`: no more than was done.
    pub fn of(outcome: &Outcome) -> Option<AuditWould> {
        let would = outcome.would.as_ref()?;
        let (verdict, reason) = (would.verdict.action.as_str(), would.verdict.reason.as_str());
        Some(AuditWould { verdict, reason, rule: would.rule.to_string() })
    }
}

/// One finding in the audit log and in answers.
#[derive(Debug, Clone, Serialize)]
pub struct AuditFinding {
    /// The detector's id.
    pub detector: String,
    /// The registered name of a known secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// How sure it is.
    pub confidence: &'static str,
    /// Whether the credential is at home here.
    pub home: bool,
    /// What policy does about it.
    pub action: &'static str,
    /// Where in the request.
    pub location: String,
    /// Bytes of the location as sent.
    pub span: [u64; 2],
    /// The layers it was found through.
    pub trail: Vec<&'static str>,
    /// The keyed fingerprint.
    pub fingerprint: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl<'a> AuditRecord<'a> {
    /// The record of an outcome.
    pub fn new(time: String, facts: &'a Facts, outcome: &'a Outcome, micros: u64) -> AuditRecord<'a> {
        let (coverage, gap) = match outcome.coverage {
            Coverage::Complete => ("complete", None),
            Coverage::Partial { gap, .. } => ("partial", Some(gap.as_str())),
        };
        let masked = outcome.found_at(&Location::Host);
        AuditRecord {
            time,
            request_id: &facts.request_id,
            sandbox: &facts.sandbox,
            identity: facts.identity.as_str(),
            token: facts.identity.token(),
            groups: &outcome.groups,
            method: &facts.method,
            host: if masked { "(masked)" } else { &facts.host },
            port: facts.port,
            verdict: outcome.verdict.action.as_str(),
            reason: outcome.verdict.reason.as_str(),
            rule: outcome.rule.as_deref(),
            would: AuditWould::of(outcome),
            provider_fetch: AuditFetch::of(outcome),
            coverage,
            gap,
            findings: AuditFinding::all(outcome),
            findings_dropped: outcome.findings_dropped,
            body_bytes: outcome.body_bytes,
            micros,
            cached: outcome.cached,
            policy: HEXLOWER.encode(&outcome.policy),
            engine: HEXLOWER.encode(&outcome.engine.0),
        }
    }
}

impl AuditFinding {
    /// The findings of an outcome, in order.
    pub fn all(outcome: &Outcome) -> Vec<AuditFinding> {
        let one = |(located, judged): &(policy::Located, policy::Judged)| AuditFinding {
            detector: located.finding.detector.id.clone(),
            known: engine::known::name_of(&located.finding.detector).map(str::to_owned),
            confidence: located.finding.confidence.as_str(),
            home: judged.home,
            action: judged.action.as_str(),
            location: located.location.to_string(),
            span: [located.finding.span.start, located.finding.span.end],
            trail: located.finding.trail.clone(),
            fingerprint: located.finding.fingerprint.to_string(),
        };
        outcome.findings.iter().map(one).collect()
    }
}
