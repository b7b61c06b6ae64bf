//! The two questions policy answers.

use engine::{Confidence, Coverage, Finding, Location, Place};

use crate::hosts::matches_one;
use crate::place::{is_credential_header, stands_in};
use crate::policy::names;
use crate::{Action, Destination, Host, Policy, Reason, Verdict, address};

/// Who sends what where, as far as the head tells.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The sandbox's name.
    pub sandbox: String,
    /// The method, upper case.
    pub method: String,
    /// Where it goes.
    pub destination: Destination,
    /// The path as sent, without query.
    pub path: String,
    /// The protocol of an `Upgrade` header or extended CONNECT, lower case.
    pub upgrade: Option<String>,
    /// Whether the body's bytes are signed or digested in the head (SigV4, `Digest`, `Content-Digest`, `Content-MD5`): it cannot be rewritten.
    pub body_signed: bool,
}

/// A finding with the location it stands in.
#[derive(Debug, Clone)]
pub struct Located {
    /// Where in the request.
    pub location: Location,
    /// What.
    pub finding: Finding,
}

/// What policy says of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Whether the credential is at home here.
    pub home: bool,
    /// What should happen to it.
    pub action: Action,
}

/// What policy says of a request.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The decision.
    pub verdict: Verdict,
    /// One entry a finding, in the order given.
    pub findings: Vec<Judged>,
}

impl Policy {
    /// From the head alone: hosts, ports, methods, addresses, upgrades.
    pub fn admit(&self, subject: &Subject) -> Verdict {
        self.refusal(subject).map_or(Verdict::CLEAN, |(reason, _)| Verdict::deny(reason))
    }

    /// Why the head alone is refused, in words for people.
    pub(crate) fn refusal(&self, subject: &Subject) -> Option<(Reason, String)> {
        let Destination { host, port, .. } = &subject.destination;
        if let Some(list) = self.block.get(host) {
            return Some((Reason::HostBlocked, format!("{host} is on the block list `{list}`")));
        }
        let listed = self.allow.get(host).is_some();
        match host {
            Host::Ip(ip) if address::is_special(*ip) && !self.private_addresses && !self.allow_private.iter().any(|r| r.contains(*ip)) => {
                return Some((Reason::PrivateAddress, format!("{host} is a special-purpose address (private_addresses: deny)")));
            }
            Host::Ip(_) if !self.ip_literals && !listed => {
                return Some((Reason::IpLiteral, format!("{host} is an address, not a name (hosts.ip_literals: deny)")));
            }
            Host::Name(_) if host.is_private_name() && !self.private_addresses && !listed && self.allow_private.is_empty() => {
                return Some((Reason::PrivateAddress, format!("{host} is a private name (private_addresses: deny)")));
            }
            _ => {}
        }
        if self.allowlist && !listed {
            return Some((Reason::HostNotAllowed, format!("{host} is not in hosts.allow, and hosts.mode is allowlist")));
        }
        if !self.ports.contains(port) {
            return Some((Reason::PortNotAllowed, format!("port {port} is not in hosts.ports")));
        }
        if !self.methods.is_empty() && !self.methods.contains(&subject.method) {
            return Some((Reason::MethodNotAllowed, format!("{} is not in methods", subject.method)));
        }
        subject.upgrade.as_ref().map(|_| (Reason::UpgradeNotAllowed, "the request asks for another protocol (upgrade)".to_owned()))
    }

    /// On what was found. Total, and monotone: more findings never make the verdict milder.
    pub fn judge(&self, subject: &Subject, findings: &[Located], coverage: Coverage) -> Judgement {
        let mut verdict = Verdict::CLEAN;
        if coverage != Coverage::Complete {
            let action = self.partial(subject);
            verdict = strictest(verdict, Verdict { action, reason: Reason::PartialCoverage });
        }
        let judged = findings.iter().map(|located| {
            let (judged, reason) = self.finding(subject, located);
            verdict = strictest(verdict, Verdict { action: judged.action, reason });
            judged
        });
        let findings = judged.collect();
        Judgement { verdict, findings }
    }

    fn finding(&self, subject: &Subject, located: &Located) -> (Judged, Reason) {
        let (location, finding) = (&located.location, &located.finding);
        if self.at_home(subject, located) {
            return (Judged { home: true, action: Action::Allow }, Reason::CredentialAtHome);
        }
        let mut action = self.action(subject, finding);
        let reason = match action {
            Action::Allow => Reason::LowConfidence,
            Action::Redact => Reason::SecretRedacted,
            Action::Deny => Reason::SecretFound,
        };
        if action == Action::Allow {
            return (Judged { home: false, action }, reason);
        }
        // A request with a placeholder instead of its login only fails in a way that nobody understands: say so at once.
        let login = matches!(location, Location::Header(name) if is_credential_header(name));
        let redactable = self.redact.get(&subject.destination.host).is_some() && finding.confidence >= self.redact_from && !login;
        if redactable {
            action = Action::Redact;
        }
        if action == Action::Redact {
            let rigid = matches!(location, Location::Host) || (*location == Location::Body && subject.body_signed);
            return if rigid {
                (Judged { home: false, action: Action::Deny }, Reason::RedactionImpossible)
            } else {
                (Judged { home: false, action }, Reason::SecretRedacted)
            };
        }
        (Judged { home: false, action }, reason)
    }

    /// The action for a finding that is not at home; of several overrides the last one counts.
    fn action(&self, subject: &Subject, finding: &Finding) -> Action {
        let matching = self.overrides.iter().rev().filter(|o| o.applies(subject));
        let mut named = matching.filter(|o| o.detectors.is_empty() || names(&o.detectors, &finding.detector));
        named.find_map(|o| o.findings).unwrap_or_else(|| self.findings.of(finding.confidence))
    }

    /// The action where not all was looked into.
    fn partial(&self, subject: &Subject) -> Action {
        self.overrides.iter().rev().filter(|o| o.applies(subject)).find_map(|o| o.partial).unwrap_or(self.partial)
    }

    fn at_home(&self, subject: &Subject, Located { location, finding }: &Located) -> bool {
        let host = &subject.destination.host;
        // Home is reached over TLS or not at all: in clear text everybody on the way reads along.
        if !subject.destination.tls || finding.confidence == Confidence::Low {
            return false;
        }
        let in_place = |places: &[Place]| places.iter().any(|place| stands_in(place, location, finding));
        let own =
            finding.detector.home.iter().any(|home| in_place(&home.places) && home.hosts.iter().any(|pattern| matches_one(pattern, host)));
        own || self
            .extra_homes
            .iter()
            .any(|home| names(&home.detectors, &finding.detector) && home.hosts.get(host).is_some() && in_place(&home.places))
    }
}

impl crate::policy::Override {
    fn applies(&self, subject: &Subject) -> bool {
        let host = self.hosts.as_ref().is_none_or(|hosts| hosts.get(&subject.destination.host).is_some());
        host && (self.sandboxes.is_empty() || self.sandboxes.contains(&subject.sandbox))
    }
}

/// The stricter verdict; among permissions, the one that says most.
fn strictest(a: Verdict, b: Verdict) -> Verdict {
    let weight = |v: &Verdict| match v.reason {
        _ if v.action != Action::Allow => 0,
        Reason::CredentialAtHome => 3,
        Reason::PartialCoverage => 2,
        Reason::LowConfidence => 1,
        _ => 0,
    };
    if b.action > a.action || (b.action == a.action && weight(&b) > weight(&a)) { b } else { a }
}

#[cfg(test)]
mod tests;
