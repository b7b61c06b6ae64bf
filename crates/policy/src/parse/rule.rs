//! Rules and groups: from the file's form to checked ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Spanned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::build::{detector, method, size, time as duration};
use super::error::{Result, meant, wrong};
use super::file::{Budget as FileBudget, Rule as FileRule, RuleMode};
use crate::git::Glob;
use crate::rules::{Budget, Pattern, Rule, Rules, Watch, When};
use crate::{Action, hosts};

/// More rules than this nobody reads.
const MAX_RULES: usize = 10_000;
/// Conditions are the slow part of a decision: more of them belong into tables.
const MAX_CONDITIONS: usize = 256;
/// Hosts are remembered one by one, for each sandbox.
const MAX_HOSTS: u64 = 1000;
const TIB: u64 = 1 << 40;

pub(super) fn groups(given: BTreeMap<String, Vec<Spanned<String>>>, rules: &mut Rules) -> Result<()> {
    for (name, sandboxes) in given {
        let sandboxes = sandboxes.into_iter().map(sandbox).collect::<Result<Vec<_>>>()?;
        rules.named.insert(name, sandboxes);
    }
    Ok(())
}

/// Puts the rules of a file before those that are there.
pub(super) fn lay_over(given: Vec<Spanned<FileRule>>, preset: Option<&'static str>, rules: &mut Rules) -> Result<()> {
    let mut own: Vec<Rule> = Vec::with_capacity(given.len());
    let mut conditions = rules.list.iter().filter(|r| r.when.is_some()).count();
    for one in given {
        let at = Spanned { value: (), referenced: one.referenced, defined: one.defined };
        let rule = build(one, preset, rules)?;
        if own.iter().any(|r| r.name == rule.name) {
            return Err(wrong(&at, format!("there is a rule {:?} already; expected a name of its own", rule.name)));
        }
        // Who names a preset's rule puts his own in its place.
        rules.list.retain(|r| r.name != rule.name);
        conditions += usize::from(rule.when.is_some());
        if conditions > MAX_CONDITIONS || own.len() + rules.list.len() >= MAX_RULES {
            return Err(wrong(&at, format!("too many rules; expected at most {MAX_RULES}, of which {MAX_CONDITIONS} with `when`")));
        }
        own.push(rule);
    }
    rules.prepend(own);
    Ok(())
}

fn build(one: Spanned<FileRule>, preset: Option<&'static str>, rules: &Rules) -> Result<Rule> {
    let at = Spanned { value: (), referenced: one.referenced, defined: one.defined };
    let given = one.value;
    let name = name(given.name, &at)?;
    let rule = Rule {
        preset,
        groups: given.groups.into_iter().map(|text| group(text, rules)).collect::<Result<_>>()?,
        sandboxes: given.sandboxes.into_iter().map(sandbox).collect::<Result<_>>()?,
        hosts: given.hosts.iter().map(|text| hosts::check(&text.value).map_err(|m| wrong(text, m))).collect::<Result<_>>()?,
        methods: given.methods.into_iter().map(method).collect::<Result<_>>()?,
        paths: given.paths.iter().map(path).collect::<Result<_>>()?,
        content_types: given.content_types.iter().map(content_type).collect::<Result<_>>()?,
        graphql: given.graphql.iter().map(operation).collect::<Result<_>>()?,
        when: given.when.map(|text| When::compile(&text.value).map_err(|m| wrong(&text, m))).transpose()?,
        action: given.action.map(Action::from),
        findings: [given.findings.low, given.findings.medium, given.findings.high, given.findings.certain],
        detectors: given.detectors.into_iter().map(by_detector).collect::<Result<_>>()?,
        redaction: given.redaction,
        partial: given.partial_coverage.map(Action::from),
        max_body: given.max_body.map(|text| size(&text, 0, TIB)).transpose()?,
        budget: given.budget.map(budget).transpose()?.map(Arc::new),
        watch: watch(given.mode, given.monitor_until)?,
        name: name.into(),
    };
    let says = rule.action.is_some()
        || rule.findings.iter().any(Option::is_some)
        || !rule.detectors.is_empty()
        || rule.redaction.is_some()
        || rule.partial.is_some()
        || rule.max_body.is_some()
        || rule.budget.is_some();
    if !says {
        let keys = "action, findings, detectors, redaction, partial_coverage, max_body or budget";
        return Err(wrong(&at, format!("rule {:?} changes nothing; expected {keys}", rule.name)));
    }
    if !rule.graphql.is_empty() {
        let others = rule.findings.iter().any(Option::is_some)
            || !rule.detectors.is_empty()
            || rule.redaction.is_some()
            || rule.partial.is_some()
            || rule.max_body.is_some()
            || rule.budget.is_some();
        if rule.paths.is_empty() || others {
            let expected = "expected paths (where the endpoint is) and action alone";
            return Err(wrong(&at, format!("rule {:?} is about GraphQL operations; {expected}", rule.name)));
        }
    }
    Ok(rule)
}

/// `mutation.mergePullRequest`, with stars.
fn operation(text: &Spanned<String>) -> Result<Glob> {
    let known = ["query", "mutation", "subscription", "*"];
    let name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_*".contains(&b));
    let fine = text.value.split_once('.').is_some_and(|(kind, field)| known.contains(&kind) && name(field));
    let glob = Glob::parse(&text.value).ok().filter(|_| fine);
    glob.ok_or_else(|| {
        wrong(text, format!("{:?} is no operation; expected mutation.mergePullRequest, mutation.delete*, query.*", text.value))
    })
}

fn name(given: Option<Spanned<String>>, at: &Spanned<()>) -> Result<String> {
    let Some(name) = given else { return Err(wrong(at, "name is missing; every rule has one")) };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    if name.value.is_empty() || name.value.len() > 80 || !name.value.bytes().all(plain) {
        return Err(wrong(&name, format!("{:?} is no name; expected 1 to 80 letters, digits, `-`, `_`, `.`, `/`", name.value)));
    }
    Ok(name.value)
}

pub(super) fn group(text: Spanned<String>, rules: &Rules) -> Result<String> {
    if rules.named.contains_key(&text.value) {
        return Ok(text.value);
    }
    let names: Vec<&str> = rules.named.keys().map(String::as_str).collect();
    let there = if names.is_empty() { "there are none under `groups`".to_owned() } else { format!("expected one of {}", names.join(", ")) };
    Err(wrong(&text, format!("{:?} is no group{}; {there}", text.value, meant(&text.value, &names))))
}

pub(super) fn sandbox(text: Spanned<String>) -> Result<String> {
    if text.value.is_empty() || text.value.matches('*').count() > 1 {
        return Err(wrong(&text, format!("{:?} is no sandbox; expected a name, with at most one star", text.value)));
    }
    Ok(text.value)
}

fn path(text: &Spanned<String>) -> Result<Pattern> {
    let expected = "expected /a/*/b or /a/**, in normal form: not escaped, `**` once, at most one star in a segment";
    Pattern::parse(&text.value).ok_or_else(|| wrong(text, format!("{:?} is no path pattern; {expected}", text.value)))
}

fn content_type(text: &Spanned<String>) -> Result<String> {
    let lower = text.value.to_ascii_lowercase();
    let token = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    match lower.split_once('/') {
        Some((kind, sub)) if token(kind) && (sub == "*" || token(sub)) => Ok(lower),
        _ => Err(wrong(text, format!("{:?} is no content type; expected application/json or text/*", text.value))),
    }
}

fn by_detector((name, action): (String, Spanned<Action>)) -> Result<(String, Action)> {
    let text = Spanned { value: name, referenced: action.referenced, defined: action.defined };
    Ok((detector(text)?, action.value))
}

fn budget(given: Spanned<FileBudget>) -> Result<Budget> {
    let Some(window) = &given.value.window else { return Err(wrong(&given, "window is missing; expected a duration (1h)")) };
    let window = duration(window, Duration::from_secs(1), Duration::from_secs(7 * 86_400))?;
    let bytes = given.value.bytes.as_ref().map(|text| size(text, 0, TIB)).transpose()?;
    let new_hosts = match &given.value.new_hosts {
        Some(n) if n.value > MAX_HOSTS => return Err(wrong(n, format!("{} is out of range; expected 0 to {MAX_HOSTS}", n.value))),
        n => n.as_ref().map(|n| n.value),
    };
    let new_host_bytes = given.value.new_host_bytes.as_ref().map(|text| size(text, 0, TIB)).transpose()?;
    let opaque = given.value.opaque.as_ref().map(|text| size(text, 0, TIB)).transpose()?;
    let requests = given.value.requests.as_ref().map(|n| n.value);
    let budget = Budget { window, requests, bytes, new_hosts, new_host_bytes, opaque };
    if budget.requests.or(bytes).or(new_hosts).or(new_host_bytes).or(opaque).is_none() {
        return Err(wrong(&given, "the budget limits nothing; expected requests, bytes, new_hosts, new_host_bytes or opaque"));
    }
    Ok(budget)
}

fn watch(mode: Option<RuleMode>, until: Option<Spanned<String>>) -> Result<Watch> {
    let Some(until) = until else {
        return Ok(if mode == Some(RuleMode::Monitor) { Watch::Always } else { Watch::Never });
    };
    if mode == Some(RuleMode::Enforce) {
        return Err(wrong(&until, "`mode: enforce` and `monitor_until` contradict each other; expected one of them"));
    }
    let time = OffsetDateTime::parse(&until.value, &Rfc3339)
        .map_err(|_| wrong(&until, format!("{:?} is no time; expected RFC 3339 with a zone: 2027-01-31T08:00:00Z", until.value)))?;
    Ok(Watch::Until(u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)))
}
