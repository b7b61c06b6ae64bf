//! A decision in words for the person who wrote the policy.

use std::fmt;
use std::sync::Arc;

use engine::{Coverage, Known};

use crate::rules::{Miss, Rule};
use crate::{Action, Carried, Details, Located, Policy, Subject, Verdict, hosts};

/// So many rules that do not match are told of, the first ones.
const MAX_MISSES: usize = 20;

/// What a policy decides of a request, and what decides it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The decision.
    pub verdict: Verdict,
    /// The rule that decided; `None`: no rule did.
    pub rule: Option<Arc<str>>,
    lines: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict.action.as_str(), self.verdict.reason.as_str())?;
        writeln!(f, "{}", self.rule.as_ref().map_or_else(String::new, |rule| format!(" (rule {rule})")))?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Policy {
    /// Says what is decided of a request with these findings, and why. Budgets are counted by the scanner: here they are only named.
    /// `known` is the registry that `only` compares credentials with.
    pub fn explain(
        &self,
        subject: &Subject,
        details: Details<'_>,
        known: Option<&Known>,
        findings: &[Located],
        coverage: Coverage,
    ) -> Explanation {
        let terms = self.terms(subject, details);
        let host = &subject.destination.host;
        let ruling = self.admit(subject, &terms);
        let mut lines = Vec::new();
        let refusal = self.refusal(subject, &terms, false);
        match &refusal {
            Some(refusal) => lines.push(refusal.why.clone()),
            None => lines.push(match &ruling.rule {
                Some(rule) => format!("rule {rule} allows it"),
                None if self.allow.get(host).is_some() => format!("{host} is in hosts.allow"),
                None => format!("nothing refuses {host} (hosts.mode: open)"),
            }),
        }
        for (number, watched) in &terms.matched {
            if let Some(rule) = self.rules.list.get(*number as usize) {
                let watched = if *watched { " (monitor: decides nothing yet)" } else { "" };
                lines.push(format!("rule {} matches{watched}: {}", rule.name, says(rule)));
            }
        }
        for rule in terms.graphql.iter().filter_map(|(number, _)| self.rules.list.get(*number as usize)) {
            lines.push(format!("rule {} decides on operations in the body: {}", rule.name, says(rule)));
        }
        if self.reads_fetches(subject) {
            lines.push("what the body tells the provider to fetch is judged like requests of the sandbox (provider_fetch)".to_owned());
        }
        self.misses(subject, details, &[terms.matched.as_slice(), &terms.graphql].concat(), &mut lines);
        if let Some(would) = &ruling.would {
            lines.push(format!("rule {} would deny it: {}", would.rule, would.verdict.reason.as_str()));
        }
        if refusal.is_some() {
            return Explanation { verdict: ruling.verdict, rule: ruling.rule, lines };
        }
        let headers = (details.headers)();
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let (foreign, owned) = self.explain_owned(subject, &Carried { query: details.query, headers: &headers, known });
        lines.extend(owned);
        if let Some(reason) = foreign {
            return Explanation { verdict: Verdict::deny(reason), rule: None, lines };
        }
        match self.explain_push(subject) {
            Some(Err((reason, why))) => {
                lines.push(why);
                return Explanation { verdict: Verdict::deny(reason), rule: None, lines };
            }
            Some(Ok(why)) => lines.push(why),
            None => {}
        }
        let judgement = self.judge(subject, &terms, findings, coverage);
        for (located, judged) in findings.iter().zip(&judgement.findings) {
            let home = if judged.home { "at home" } else { "not at home" };
            let (id, confidence) = (&located.finding.detector.id, located.finding.confidence);
            lines.push(format!("{id} ({confidence}) in {}: {home}, {}", located.location, judged.action.as_str()));
        }
        if judgement.verdict.action != Action::Allow && coverage != Coverage::Complete {
            lines.push("not all could be looked into (partial_coverage)".to_owned());
        }
        if let Some(would) = &judgement.would {
            lines.push(format!("rule {} would {} it: {}", would.rule, would.verdict.action.as_str(), would.verdict.reason.as_str()));
        }
        Explanation { verdict: judgement.verdict, rule: judgement.rule.or(ruling.rule), lines }
    }

    /// Rules that name the host and do not match, and why.
    fn misses(&self, subject: &Subject, details: Details<'_>, matched: &[(u32, bool)], lines: &mut Vec<String>) {
        let host = &subject.destination.host;
        let about = |rule: &Rule| rule.hosts.iter().any(|pattern| hosts::matches_one(pattern, host) || *pattern == host.to_string());
        let others =
            self.rules.list.iter().enumerate().filter(|(number, rule)| about(rule) && !matched.iter().any(|(m, _)| *m as usize == *number));
        for (number, rule) in others.take(MAX_MISSES) {
            let why = match self.rules.miss(number, subject, details) {
                Some(Miss::Group) => format!("{} is in none of its groups", subject.sandbox),
                Some(Miss::Sandbox) => format!("{} is none of its sandboxes", subject.sandbox),
                Some(Miss::Method) => format!("{} is none of its methods", subject.method),
                Some(Miss::Path) => "the path is none of its paths".to_owned(),
                Some(Miss::ContentType) => "the content type is none of its own".to_owned(),
                Some(Miss::When) => "its `when` does not hold".to_owned(),
                None => continue,
            };
            lines.push(format!("rule {} does not match: {why}", rule.name));
        }
    }
}

/// What a rule says, in the words of the file.
fn says(rule: &Rule) -> String {
    let mut all: Vec<String> = Vec::new();
    all.extend(rule.action.map(|a| format!("action {}", a.as_str())));
    for (name, action) in ["low", "medium", "high", "certain"].iter().zip(rule.findings) {
        all.extend(action.map(|a| format!("{name} findings {}", a.as_str())));
    }
    all.extend(rule.detectors.iter().map(|(name, action)| format!("{name} {}", action.as_str())));
    all.extend(rule.redaction.map(|r| format!("redaction {r:?}").to_lowercase()));
    all.extend((!rule.graphql.is_empty()).then(|| rule.graphql.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")));
    all.extend(rule.partial.map(|a| format!("partial coverage {}", a.as_str())));
    all.extend(rule.max_body.map(|n| format!("max_body {n} bytes")));
    all.extend(rule.budget.as_ref().map(|b| format!("a budget within {:?}", b.window)));
    all.join(", ")
}
