//! A decision in words for the person who wrote the policy.

use std::fmt;

use engine::Coverage;

use crate::{Action, Located, Policy, Subject, Verdict};

/// What a policy decides of a request, and what decides it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The decision.
    pub verdict: Verdict,
    lines: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.verdict.action.as_str(), self.verdict.reason.as_str())?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Policy {
    /// Says what is decided of a request with these findings, and why.
    pub fn explain(&self, subject: &Subject, findings: &[Located], coverage: Coverage) -> Explanation {
        if let Some((reason, why)) = self.refusal(subject) {
            return Explanation { verdict: Verdict::deny(reason), lines: vec![why] };
        }
        let host = &subject.destination.host;
        let mut lines = vec![if self.allow.get(host).is_some() {
            format!("{host} is in hosts.allow")
        } else {
            format!("nothing refuses {host} (hosts.mode: open)")
        }];
        if self.redact.get(host).is_some() {
            lines.push(format!("secrets from confidence {} on are redacted (redact.hosts names {host})", self.redact_from));
        }
        let judgement = self.judge(subject, findings, coverage);
        for (located, judged) in findings.iter().zip(&judgement.findings) {
            let home = if judged.home { "at home" } else { "not at home" };
            let (id, confidence) = (&located.finding.detector.id, located.finding.confidence);
            lines.push(format!("{id} ({confidence}) in {}: {home}, {}", located.location, judged.action.as_str()));
        }
        if judgement.verdict.action != Action::Allow && coverage != Coverage::Complete {
            lines.push("not all could be looked into (partial_coverage)".to_owned());
        }
        Explanation { verdict: judgement.verdict, lines }
    }
}
