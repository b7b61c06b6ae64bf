//! What cannot have been meant.

use engine::{Confidence, Detector};

use crate::hosts::HostMap;
use crate::parse::meant;
use crate::policy::means;
use crate::rules::Rule;
use crate::{Action, Host, Policy};

/// Beyond so many rules it is not looked which one hides which: that is work of their square.
const MAX_COMPARED: usize = 2000;

pub(crate) fn lints(policy: &Policy) -> Vec<String> {
    let mut lints = Vec::new();
    for pattern in policy.allow.patterns().filter(|p| policy.block.has(p)) {
        lints.push(format!("{pattern} is in hosts.allow and in hosts.block: it is blocked"));
    }
    let of = |confidence| policy.findings.of(confidence);
    if of(Confidence::Certain) < of(Confidence::High) || of(Confidence::High) < of(Confidence::Medium) {
        lints.push("surer findings are treated more mildly than less sure ones".to_owned());
    }
    if policy.ports.is_empty() {
        lints.push("hosts.ports is empty: nothing can be reached".to_owned());
    }
    for home in &policy.extra_homes {
        if home.detectors.iter().any(|d| d == "*") {
            lints.push("home.extra names the detector *: nothing that is found there is ever stopped".to_owned());
        }
        for pattern in home.hosts.patterns() {
            if let Some(why) = unreachable(policy, &pattern) {
                lints.push(format!("home.extra: {pattern} can never match: {why}"));
            }
        }
    }
    for (number, pin) in policy.pins.iter().enumerate() {
        for pattern in pin.hosts.iter().flat_map(HostMap::patterns) {
            if let Some(why) = unreachable(policy, &pattern) {
                lints.push(format!("only[{number}]: {pattern} can never match: {why}"));
            }
        }
    }
    for (index, rule) in policy.rules.list.iter().enumerate().filter(|(_, r)| r.preset.is_none()) {
        for pattern in &rule.hosts {
            if let Some(why) = unreachable(policy, pattern) {
                lints.push(format!("rule {}: {pattern} can never match: {why}", rule.name));
            }
        }
        if policy.rules.list.len() <= MAX_COMPARED
            && let Some(other) = policy.rules.list.iter().take(index).find(|other| hides(other, rule))
        {
            lints.push(format!("rule {} never decides: rule {} before it matches all that it matches", rule.name, other.name));
        }
    }
    let pinned = |name: &String| policy.pins.iter().any(|pin| pin.groups.contains(name));
    let used = |name: &String| policy.rules.list.iter().any(|r| r.groups.contains(name)) || pinned(name);
    for (name, sandboxes) in &policy.rules.named {
        if sandboxes.is_empty() {
            lints.push(format!("groups.{name} is empty: no sandbox is in it"));
        }
        if !used(name) && policy.rules.list.iter().all(|r| r.when.is_none()) {
            lints.push(format!("groups.{name} is named by no rule"));
        }
    }
    lints
}

/// Whether `hosts.allow` or a rule allows anything that the pattern names.
fn allowed(policy: &Policy, pattern: &str) -> bool {
    let near = |other: &str| below(other, pattern) || below(pattern, other);
    let acts = |rule: &Rule| rule.action == Some(Action::Allow) && rule.graphql.is_empty();
    let rule = |rule: &Rule| acts(rule) && (rule.hosts.is_empty() || rule.hosts.iter().any(|h| near(h)));
    !policy.allowlist || policy.allow.patterns().any(|p| near(&p)) || policy.rules.list.iter().any(rule)
}

/// Why nothing that the pattern names is ever admitted.
fn unreachable(policy: &Policy, pattern: &str) -> Option<String> {
    if !allowed(policy, pattern) {
        return Some("hosts.mode is allowlist, and nothing allows it".to_owned());
    }
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    if name.contains('*') {
        return None;
    }
    // A name below stands for all of them.
    let host = Host::parse(&if name == pattern { name.to_owned() } else { format!("x.{name}") }).ok()?;
    if let Some(list) = policy.block.get(&host) {
        return Some(format!("it is on the block list `{list}`"));
    }
    if policy.allow.get(&host).is_some() {
        return None;
    }
    match &host {
        Host::Name(_) if host.is_private_name() && !policy.private_addresses && policy.allow_private.is_empty() => {
            Some("it is a private name (private_addresses: deny)".to_owned())
        }
        Host::Ip(_) if !policy.ip_literals => Some("addresses are not allowed (hosts.ip_literals: deny)".to_owned()),
        _ => None,
    }
}

/// Whether `rule` says nothing that counts, because `first` matches whatever it matches and says the same things.
fn hides(first: &Rule, rule: &Rule) -> bool {
    let covers = |a: &[String], b: &[String]| a.is_empty() || (!b.is_empty() && b.iter().all(|x| a.contains(x)));
    let hosts = first.hosts.is_empty() || (!rule.hosts.is_empty() && rule.hosts.iter().all(|h| first.hosts.iter().any(|f| below(f, h))));
    let paths = first.paths.is_empty() || (!rule.paths.is_empty() && rule.paths.iter().all(|p| first.paths.iter().any(|f| f.covers(p))));
    let conditions = hosts
        && paths
        && first.when.is_none()
        && first.watch == crate::rules::Watch::Never
        && covers(&first.groups, &rule.groups)
        && covers(&first.sandboxes, &rule.sandboxes)
        && covers(&first.methods, &rule.methods)
        && covers(&first.content_types, &rule.content_types);
    // What the head says does not decide on operations, and the other way round; but what is denied at the head never gets there.
    conditions
        && ((first.graphql.is_empty() && first.action == Some(Action::Deny)) || (first.graphql == rule.graphql && says_all(first, rule)))
}

fn below(first: &str, pattern: &str) -> bool {
    first == pattern || first.strip_prefix('*').is_some_and(|end| end.starts_with('.') && !end.contains('*') && pattern.ends_with(end))
}

/// Whether everything that `rule` says is said by `first` already.
fn says_all(first: &Rule, rule: &Rule) -> bool {
    let said = |a: bool, b: bool| a || !b;
    let findings = first.findings.iter().zip(&rule.findings).all(|(a, b)| said(a.is_some(), b.is_some()));
    let all = first.findings.iter().all(Option::is_some);
    let detectors = rule.detectors.iter().all(|(name, _)| all || first.detectors.iter().any(|(n, _)| n == name));
    findings
        && detectors
        && said(first.action.is_some(), rule.action.is_some())
        && said(first.redaction.is_some(), rule.redaction.is_some())
        && said(first.partial.is_some(), rule.partial.is_some())
        && said(first.max_body.is_some(), rule.max_body.is_some())
        && said(first.budget.is_some(), rule.budget.is_some())
}

impl Policy {
    /// Rules whose time of watching is over, at a time in milliseconds since the Unix epoch.
    pub fn overdue_lints(&self, now: u64) -> Vec<String> {
        let over = |rule: &&Rule| matches!(rule.watch, crate::rules::Watch::Until(end) if end <= now);
        self.rules.list.iter().filter(over).map(|r| format!("rule {}: monitor_until is over, it is enforced", r.name)).collect()
    }

    /// What cannot have been meant, seen with the detectors in use: names that mean none, and homes that a rule cannot undo.
    pub fn detector_lints(&self, detectors: &[&Detector]) -> Vec<String> {
        let mut lints = Vec::new();
        let ids: Vec<&str> = detectors.iter().map(|d| d.id.as_str()).collect();
        let unknown = |name: &str| {
            let known = name.starts_with("known-secret") || detectors.iter().any(|d| means(name, d));
            (!known).then(|| format!("there is no detector {name:?}{}", meant(name, &ids)))
        };
        for home in &self.extra_homes {
            lints.extend(home.detectors.iter().filter_map(|name| unknown(name)).map(|text| format!("home.extra: {text}")));
        }
        for rule in self.rules.list.iter().filter(|r| r.preset.is_none()) {
            for (name, action) in &rule.detectors {
                lints.extend(unknown(name).map(|text| format!("rule {}: {text}", rule.name)));
                let at_home =
                    |d: &&&Detector| means(name, d) && d.home.iter().any(|home| rule.hosts.iter().any(|h| home.hosts.contains(h)));
                if let (true, Some(detector)) = (*action != Action::Allow, detectors.iter().find(at_home)) {
                    let (rule, id) = (&rule.name, &detector.id);
                    lints.push(format!("rule {rule}: {id} is at home there, which counts before the rule; to stop it, deny the request"));
                }
            }
        }
        lints
    }
}
