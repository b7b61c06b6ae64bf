//! The two questions policy answers.

use std::sync::Arc;

use engine::{Confidence, Coverage, Finding, Location, Place};

use crate::hosts::matches_one;
use crate::place::{is_credential_header, stands_in};
use crate::policy::{means, names};
use crate::rules::Rule;
use crate::{Action, Destination, Details, Host, Policy, Reason, Settings, Terms, Verdict, address};

/// Who sends what where, as far as the head tells.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The sandbox's name.
    pub sandbox: String,
    /// When the request came, in milliseconds since the Unix epoch, by the caller's clock.
    pub at: u64,
    /// The method, upper case.
    pub method: String,
    /// The method that a header or the query asks the upstream to take instead, upper case.
    pub other_method: Option<String>,
    /// Where it goes.
    pub destination: Destination,
    /// The path as sent, without query.
    pub path: String,
    /// Type and subtype of the body, lower case, without parameters; empty if not said.
    pub content_type: String,
    /// The length of the body, where the head says it.
    pub content_length: Option<u64>,
    /// Whether a body follows.
    pub has_body: bool,
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

/// What a rule that only watches would have done beyond what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Would {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule.
    pub rule: Arc<str>,
}

/// What policy says of a head.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// The decision.
    pub verdict: Verdict,
    /// The rule that decided; `None`: no rule did.
    pub rule: Option<Arc<str>>,
    /// What a rule that only watches would have done.
    pub would: Option<Would>,
}

/// What policy says of a request.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The decision.
    pub verdict: Verdict,
    /// The rule that decided; `None`: no rule did.
    pub rule: Option<Arc<str>>,
    /// One entry a finding, in the order given.
    pub findings: Vec<Judged>,
    /// What a rule that only watches would have done.
    pub would: Option<Would>,
}

/// A reason not to let a head pass, in words for people, and the rule that gives it.
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) rule: Option<Arc<str>>,
    pub(crate) why: String,
}

type Ruled = (Verdict, Option<Arc<str>>);

impl Policy {
    /// The rules that a request falls under.
    pub fn terms(&self, subject: &Subject, details: Details<'_>) -> Terms {
        self.rules.terms(subject, details)
    }

    /// What the rules set for a request.
    pub fn settings(&self, terms: &Terms) -> Settings {
        self.rules.settings(terms, false)
    }

    /// What they would set if no rule only watched; `None`: none does.
    pub fn watched_settings(&self, terms: &Terms) -> Option<Settings> {
        terms.watches().then(|| self.rules.settings(terms, true))
    }

    /// From the head alone: hosts, ports, methods, addresses, upgrades, and the action of rules.
    pub fn admit(&self, subject: &Subject, terms: &Terms) -> Ruling {
        let refused = self.refusal(subject, terms, false);
        let verdict = refused.as_ref().map_or(Verdict::CLEAN, |r| Verdict::deny(r.reason));
        let would = if refused.is_none() && terms.watches() { self.refusal(subject, terms, true) } else { None };
        let would = would.and_then(|r| Some(Would { verdict: Verdict::deny(r.reason), rule: r.rule? }));
        let rule = match refused {
            Some(refusal) => refusal.rule,
            None => self.rules.of(terms, false).find(|r| r.action.is_some()).map(|r| Arc::clone(&r.name)),
        };
        Ruling { verdict, rule, would }
    }

    /// Why the head alone is refused; `all`: as if no rule only watched.
    pub(crate) fn refusal(&self, subject: &Subject, terms: &Terms, all: bool) -> Option<Refusal> {
        let Destination { host, port, .. } = &subject.destination;
        let no = |reason, why| Some(Refusal { reason, rule: None, why });
        if let Some(list) = self.block.get(host) {
            return no(Reason::HostBlocked, format!("{host} is on the block list `{list}`"));
        }
        let listed = self.allow.get(host).is_some();
        match host {
            Host::Ip(ip) if address::is_special(*ip) && !self.private_addresses && !self.allow_private.iter().any(|r| r.contains(*ip)) => {
                return no(Reason::PrivateAddress, format!("{host} is a special-purpose address (private_addresses: deny)"));
            }
            Host::Ip(_) if !self.ip_literals && !listed => {
                return no(Reason::IpLiteral, format!("{host} is an address, not a name (hosts.ip_literals: deny)"));
            }
            Host::Name(_) if host.is_private_name() && !self.private_addresses && !listed && self.allow_private.is_empty() => {
                return no(Reason::PrivateAddress, format!("{host} is a private name (private_addresses: deny)"));
            }
            _ => {}
        }
        if let Some((rule, reason)) = self.rules.failed(terms, all) {
            let why = match reason {
                Reason::RuleError => format!("the `when` of rule {} cannot be evaluated", rule.name),
                _ => format!("rule {} fits one reading of the path or method and not the other", rule.name),
            };
            return Some(Refusal { reason, rule: Some(Arc::clone(&rule.name)), why });
        }
        let deciding = self.rules.of(terms, all).find(|r| r.action.is_some());
        if let Some(rule) = deciding.filter(|r| r.action == Some(Action::Deny)) {
            let why = format!("rule {} denies it", rule.name);
            return Some(Refusal { reason: Reason::RuleDenied, rule: Some(Arc::clone(&rule.name)), why });
        }
        if self.allowlist && !listed && deciding.is_none() {
            return no(Reason::HostNotAllowed, format!("neither hosts.allow nor a rule allows {host}, and hosts.mode is allowlist"));
        }
        if !self.ports.contains(port) {
            return no(Reason::PortNotAllowed, format!("port {port} is not in hosts.ports"));
        }
        if !self.methods.is_empty() && !self.methods.contains(&subject.method) {
            return no(Reason::MethodNotAllowed, format!("{} is not in methods", subject.method));
        }
        subject.upgrade.as_ref().and_then(|_| no(Reason::UpgradeNotAllowed, "the request asks for another protocol (upgrade)".to_owned()))
    }

    /// On what was found. Total, and monotone: more findings never make the verdict milder. A rule that only watches decides nothing: what it
    /// would have done stands beside.
    pub fn judge(&self, subject: &Subject, terms: &Terms, findings: &[Located], coverage: Coverage) -> Judgement {
        let ((verdict, rule), judged) = self.judge_by(subject, terms, findings, coverage, false);
        let mut would = None;
        if terms.watches()
            && let ((harder, Some(rule)), _) = self.judge_by(subject, terms, findings, coverage, true)
            && harder.action > verdict.action
        {
            would = Some(Would { verdict: harder, rule });
        }
        Judgement { verdict, rule, findings: judged, would }
    }

    fn judge_by(&self, subject: &Subject, terms: &Terms, findings: &[Located], coverage: Coverage, all: bool) -> (Ruled, Vec<Judged>) {
        let mut ruled: Ruled = (Verdict::CLEAN, None);
        if coverage != Coverage::Complete {
            let rule = self.rules.of(terms, all).find(|r| r.partial.is_some());
            let action = rule.and_then(|r| r.partial).unwrap_or(self.partial);
            ruled = strictest(ruled, (Verdict { action, reason: Reason::PartialCoverage }, rule));
        }
        let judge = |located| {
            let (judged, reason, rule) = self.finding(subject, terms, located, all);
            ruled = strictest(std::mem::replace(&mut ruled, (Verdict::CLEAN, None)), (Verdict { action: judged.action, reason }, rule));
            judged
        };
        let judged = findings.iter().map(judge).collect();
        (ruled, judged)
    }

    fn finding<'a>(&'a self, subject: &Subject, terms: &'a Terms, located: &Located, all: bool) -> (Judged, Reason, Option<&'a Rule>) {
        let (location, finding) = (&located.location, &located.finding);
        if self.at_home(subject, located) {
            return (Judged { home: true, action: Action::Allow }, Reason::CredentialAtHome, None);
        }
        let (mut action, rule) = self.action(terms, finding, all);
        let mut reason = match action {
            Action::Allow => Reason::LowConfidence,
            Action::Redact => Reason::SecretRedacted,
            Action::Deny => self.misplaced(finding),
        };
        if action == Action::Redact {
            // A request with a placeholder instead of its login only fails in a way that nobody understands: say so at once.
            let login = matches!(location, Location::Header(name) if is_credential_header(name));
            let rigid = matches!(location, Location::Host) || (*location == Location::Body && subject.body_signed);
            if login || rigid {
                action = Action::Deny;
                reason = if login { self.misplaced(finding) } else { Reason::RedactionImpossible };
            }
        }
        (Judged { home: false, action }, reason, rule)
    }

    /// Why a finding that is not at home is denied: whether it has a home says what is to be done about it.
    fn misplaced(&self, finding: &Finding) -> Reason {
        let homes = !finding.detector.home.is_empty() || self.extra_homes.iter().any(|home| names(&home.detectors, &finding.detector));
        if homes { Reason::CredentialMisdirected } else { Reason::SecretFound }
    }

    /// The action for a finding that is not at home: what the first rule says that says something of it, of detectors before confidences.
    fn action<'a>(&'a self, terms: &'a Terms, finding: &Finding, all: bool) -> (Action, Option<&'a Rule>) {
        for rule in self.rules.of(terms, all) {
            let named = rule.detectors.iter().find(|(name, _)| means(name, &finding.detector)).map(|(_, action)| *action);
            if let Some(action) = named.or(rule.findings[finding.confidence as usize]) {
                return (action, Some(rule));
            }
        }
        (self.findings.of(finding.confidence), None)
    }

    fn at_home(&self, subject: &Subject, Located { location, finding }: &Located) -> bool {
        let host = &subject.destination.host;
        // Home is reached over TLS or not at all: in clear text everybody on the way reads along.
        let low = finding.confidence == Confidence::Low;
        // Where credentials are limited to registered ones, a place that is not compared with them is nobody's home.
        if !subject.destination.tls || low || self.overlooked(subject, location, finding.field.as_deref()) {
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

/// The stricter verdict with its rule; among permissions, the one that says most.
fn strictest(a: Ruled, (verdict, rule): (Verdict, Option<&Rule>)) -> Ruled {
    let weight = |v: &Verdict| match v.reason {
        _ if v.action != Action::Allow => 0,
        Reason::CredentialAtHome => 3,
        Reason::PartialCoverage => 2,
        Reason::LowConfidence => 1,
        _ => 0,
    };
    let harder = verdict.action > a.0.action || (verdict.action == a.0.action && weight(&verdict) > weight(&a.0));
    if harder { (verdict, rule.map(|r| Arc::clone(&r.name))) } else { a }
}

#[cfg(test)]
mod tests;
