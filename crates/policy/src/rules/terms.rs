//! What the rules say of one request.

use std::cell::OnceCell;
use std::sync::Arc;

use super::groups::Membership;
use super::{Budget, Readings, Redaction, Rule, Rules};
use crate::{Action, Reason, Subject};

/// What only conditions in CEL ask for.
#[derive(Clone, Copy)]
pub struct Details<'a> {
    /// The query as sent, without the question mark.
    pub query: &'a str,
    /// Makes the list of headers: names and values.
    pub headers: &'a (dyn Fn() -> Vec<(String, String)> + 'a),
}

impl Details<'_> {
    /// Neither query nor headers.
    pub fn none() -> Details<'static> {
        Details { query: "", headers: &Vec::new }
    }
}

impl std::fmt::Debug for Details<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Details").finish_non_exhaustive()
    }
}

/// A request in the form that rules ask about; what costs something is made when it is asked for.
pub(crate) struct Request<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) details: Details<'a>,
    rules: Option<(&'a Rules, &'a Membership)>,
    readings: OnceCell<Readings<'a>>,
}

impl<'a> Request<'a> {
    #[cfg(test)]
    pub(crate) fn new(subject: &'a Subject, details: Details<'a>) -> Request<'a> {
        Request { subject, details, rules: None, readings: OnceCell::new() }
    }

    /// A request to try conditions on.
    pub(crate) fn sample() -> Request<'static> {
        static SUBJECT: std::sync::LazyLock<Subject> = std::sync::LazyLock::new(|| Subject {
            sandbox: "box".to_owned(),
            method: "GET".to_owned(),
            destination: crate::Destination { host: crate::Host::Name("example.com".to_owned()), port: 443, tls: true },
            path: "/a".to_owned(),
            ..Subject::default()
        });
        let headers = &|| vec![("Accept".to_owned(), "*/*".to_owned())];
        Request { subject: &SUBJECT, details: Details { query: "k=v", headers }, rules: None, readings: OnceCell::new() }
    }

    pub(crate) fn readings(&self) -> &Readings<'a> {
        self.readings.get_or_init(|| Readings::of(&self.subject.path))
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        self.rules.map(|(rules, membership)| rules.groups.names(membership)).unwrap_or_default()
    }
}

/// What the rules say of one request: those that match, in order.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Numbers of rules, and whether the rule only watches.
    pub(crate) matched: Vec<(u32, bool)>,
    /// Those of them of which it cannot be told whether they do, and why.
    pub(crate) failed: Vec<(u32, Reason)>,
    /// Those about GraphQL operations, which the body tells; the same pairs as `matched`.
    pub(crate) graphql: Vec<(u32, bool)>,
}

/// How a rule fits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    Not(Miss),
    /// By one reading of the request it does, by the other it does not.
    Torn,
}

impl Terms {
    /// Whether a rule that only watches matches.
    pub(crate) fn watches(&self) -> bool {
        self.matched.iter().any(|(_, watched)| *watched)
    }
}

/// Why a rule that is about a host says nothing of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    Group,
    Sandbox,
    Method,
    Path,
    ContentType,
    When,
}

/// What the rules set for one request beside verdicts.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The most bytes of a body, and the rule that says so.
    pub max_body: Option<(Arc<str>, u64)>,
    /// The budget, and the rule that says so.
    pub budget: Option<(Arc<str>, Arc<Budget>)>,
    /// How secrets are replaced.
    pub redaction: Redaction,
}

impl Rules {
    /// The rules that match.
    pub(crate) fn terms(&self, subject: &Subject, details: Details<'_>) -> Terms {
        let mut terms = Terms::default();
        if self.list.is_empty() {
            return terms;
        }
        let membership = self.groups.of(&subject.sandbox);
        let request = Request { subject, details, rules: Some((self, &membership)), readings: OnceCell::new() };
        for number in self.index.candidates(&request, &membership) {
            let Some(rule) = self.list.get(number as usize) else { continue };
            let fit = rule.tables(&request);
            if matches!(fit, Fit::Not(_)) {
                continue;
            }
            let holds = rule.when.as_ref().map(|when| when.holds(&request));
            if !rule.graphql.is_empty() {
                // What cannot be told counts against a request.
                let denies = rule.action == Some(Action::Deny);
                if holds != Some(Some(false)) && (denies || (fit == Fit::Yes && holds != Some(None))) {
                    terms.graphql.push((number, rule.watch.at(subject.at)));
                }
                continue;
            }
            match holds {
                Some(Some(false)) => continue,
                Some(None) => terms.failed.push((number, Reason::RuleError)),
                None | Some(Some(true)) if fit == Fit::Torn => terms.failed.push((number, Reason::Ambiguous)),
                None | Some(Some(true)) => {}
            }
            terms.matched.push((number, rule.watch.at(subject.at)));
        }
        terms
    }

    /// Why a rule that is about the host does not match; `None`: it does.
    pub(crate) fn miss(&self, number: usize, subject: &Subject, details: Details<'_>) -> Option<Miss> {
        let rule = self.list.get(number)?;
        let membership = self.groups.of(&subject.sandbox);
        let request = Request { subject, details, rules: Some((self, &membership)), readings: OnceCell::new() };
        if !rule.groups.is_empty() && !rule.groups.iter().any(|g| self.groups.number(g).is_some_and(|g| membership.has(g))) {
            return Some(Miss::Group);
        }
        if self.groups.own(number).is_some_and(|g| !membership.has(g)) {
            return Some(Miss::Sandbox);
        }
        match rule.tables(&request) {
            Fit::Not(miss) => Some(miss),
            Fit::Yes | Fit::Torn => rule.when.as_ref().filter(|when| when.holds(&request) == Some(false)).map(|_| Miss::When),
        }
    }

    /// The rules that match, with those that only watch (`all`) or without.
    pub(crate) fn of<'a>(&'a self, terms: &'a Terms, all: bool) -> impl Iterator<Item = &'a Rule> {
        let numbers = terms.matched.iter().filter(move |(_, watched)| all || !watched);
        numbers.filter_map(|(number, _)| self.list.get(*number as usize))
    }

    /// The first rule that would say something if it fits, of which that cannot be told, and why not.
    pub(crate) fn failed(&self, terms: &Terms, all: bool) -> Option<(&Rule, Reason)> {
        if terms.failed.is_empty() {
            return None;
        }
        let mut decided = false;
        for (number, _) in terms.matched.iter().filter(|(_, watched)| all || !watched) {
            let rule = self.list.get(*number as usize)?;
            // Where a rule before it has admitted or denied the request, its own action does not count.
            let failed = terms.failed.iter().find(|(failed, _)| failed == number);
            if let Some((_, reason)) = failed.filter(|_| !(decided && rule.only_acts())) {
                return Some((rule, *reason));
            }
            decided |= rule.action.is_some();
        }
        None
    }

    /// What they set, with those that only watch or without.
    pub(crate) fn settings(&self, terms: &Terms, all: bool) -> Settings {
        let find = |all| self.of(terms, all);
        Settings {
            max_body: find(all).find_map(|r| r.max_body.map(|most| (Arc::clone(&r.name), most))),
            budget: find(all).find_map(|r| r.budget.as_ref().map(|b| (Arc::clone(&r.name), Arc::clone(b)))),
            redaction: find(all).find_map(|r| r.redaction).unwrap_or_default(),
        }
    }
}

impl Rule {
    /// Whether its action is all that it says.
    fn only_acts(&self) -> bool {
        let findings = self.findings.iter().any(Option::is_some) || !self.detectors.is_empty();
        let settings = self.redaction.is_some() || self.partial.is_some() || self.max_body.is_some() || self.budget.is_some();
        !findings && !settings
    }

    /// How what is compared by tables fits; hosts and sandboxes are the index's. A denial must not be got around by a second reading of path
    /// or method; whatever else a rule says is not said of a request of which it may not be true.
    fn tables(&self, request: &Request<'_>) -> Fit {
        let subject = request.subject;
        let strict = self.action == Some(Action::Deny);
        let mut torn = false;
        if !self.methods.is_empty() {
            let hit = |method: &String| self.methods.contains(method);
            let one = hit(&subject.method);
            let other = subject.other_method.as_ref().map_or(one, hit);
            if !one && !other {
                return Fit::Not(Miss::Method);
            }
            torn |= one != other && !strict;
        }
        if !self.paths.is_empty() {
            match request.readings().match_any(&self.paths, strict) {
                Some(false) => return Fit::Not(Miss::Path),
                Some(true) => {}
                None => torn = true,
            }
        }
        if !self.content_types.is_empty() {
            let essence = subject.content_type.as_str();
            let fits = |pattern: &String| pattern.strip_suffix('*').map_or(pattern == essence, |start| essence.starts_with(start));
            if !self.content_types.iter().any(fits) {
                return Fit::Not(Miss::ContentType);
            }
        }
        if torn { Fit::Torn } else { Fit::Yes }
    }
}
