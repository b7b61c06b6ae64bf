//! Rules about GraphQL operations: what they do is in the body, so they are asked once it is there.

use std::sync::Arc;

use super::{Rule, Rules, Terms};
use crate::{Action, Policy, Reason, Ruling, Verdict, Would};

impl Rules {
    fn graphql<'a>(&'a self, terms: &'a Terms, all: bool) -> impl Iterator<Item = &'a Rule> {
        let numbers = terms.graphql.iter().filter(move |(_, watched)| all || !watched);
        numbers.filter_map(|(number, _)| self.list.get(*number as usize))
    }

    /// The rule that denies, and why.
    fn refuses<'a>(&'a self, terms: &'a Terms, fields: Option<&[String]>, all: bool) -> Option<(&'a Rule, Reason)> {
        let denies = |rule: &&Rule| rule.action == Some(Action::Deny);
        let Some(fields) = fields else {
            return self.graphql(terms, all).find(denies).map(|rule| (rule, Reason::Ambiguous));
        };
        let deciding = |field: &String| self.graphql(terms, all).find(|rule| rule.graphql.iter().any(|glob| glob.matches(field)));
        fields.iter().find_map(|field| deciding(field).filter(denies)).map(|rule| (rule, Reason::RuleDenied))
    }
}

impl Policy {
    /// Whether rules are about GraphQL operations in this request.
    pub fn reads_graphql(&self, terms: &Terms) -> bool {
        !terms.graphql.is_empty()
    }

    /// Whether GraphQL operations are allowed, told as `mutation.mergePullRequest`: for each the first rule that names it decides. `None`: they
    /// cannot be read, which is refused where any rule would deny something.
    pub fn admit_graphql(&self, terms: &Terms, fields: Option<&[String]>) -> Ruling {
        let refused = self.rules.refuses(terms, fields, false);
        let name = |rule: &Rule| Arc::clone(&rule.name);
        let would = if refused.is_none() { self.rules.refuses(terms, fields, true) } else { None };
        Ruling {
            verdict: refused.map_or(Verdict::CLEAN, |(_, reason)| Verdict::deny(reason)),
            rule: refused.map(|(rule, _)| name(rule)),
            would: would.map(|(rule, reason)| Would { verdict: Verdict::deny(reason), rule: name(rule) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Destination, Details, Policy, Reason, Subject};

    fn ask(policy: &Policy, fields: Option<&[&str]>) -> (Option<Reason>, Option<String>, Option<String>) {
        let destination = Destination::parse("api.example", true).expect("a host");
        let subject = Subject { destination, method: "POST".into(), path: "/graphql".into(), has_body: true, ..Subject::default() };
        let terms = policy.terms(&subject, Details::none());
        assert!(policy.reads_graphql(&terms));
        assert!(policy.admit(&subject, &terms).rule.is_none(), "the head says nothing of it");
        let fields: Option<Vec<String>> = fields.map(|f| f.iter().map(|&f| f.into()).collect());
        let ruling = policy.admit_graphql(&terms, fields.as_deref());
        let reason = ruling.rule.is_some().then_some(ruling.verdict.reason);
        (reason, ruling.rule.map(|r| r.to_string()), ruling.would.map(|w| w.rule.to_string()))
    }

    #[test]
    fn the_first_rule_that_names_an_operation_decides() {
        let policy = Policy::from_yaml(
            "test",
            "version: 1
rules:
  - {name: stars, hosts: [api.example], paths: [/graphql], graphql: [mutation.addStar], action: allow}
  - {name: writes, hosts: [api.example], paths: [/graphql], graphql: ['mutation.*'], action: deny}
  - {name: soon, hosts: [api.example], paths: [/graphql], graphql: ['query.secret*'], action: deny, mode: monitor}
",
        )
        .expect("a policy");
        let denied = |reason, rule: &str| (Some(reason), Some(rule.to_owned()), None);
        assert_eq!(ask(&policy, Some(&["query.viewer", "mutation.addStar"])), (None, None, None));
        assert_eq!(ask(&policy, Some(&["mutation.addStar", "mutation.deleteRef"])), denied(Reason::RuleDenied, "writes"));
        assert_eq!(ask(&policy, None), denied(Reason::Ambiguous, "writes"));
        assert_eq!(ask(&policy, Some(&["query.secrets"])), (None, None, Some("soon".into())));
        assert_eq!(ask(&policy, Some(&[])), (None, None, None));
    }

    #[test]
    fn a_rule_about_operations_says_where_and_what_and_no_more() {
        for (rule, word) in [
            ("{name: a, hosts: [a.example], graphql: ['mutation.*'], action: deny}", "paths"),
            ("{name: a, hosts: [a.example], paths: [/graphql], graphql: ['mutation.*']}", "changes nothing"),
            ("{name: a, hosts: [a.example], paths: [/graphql], graphql: [deleteRef], action: deny}", "no operation"),
            ("{name: a, hosts: [a.example], paths: [/graphql], graphql: ['mutation.*'], action: deny, max_body: 1KiB}", "action alone"),
        ] {
            let error = Policy::from_yaml("test", &format!("version: 1\nrules: [{rule}]\n")).expect_err("no policy").to_string();
            assert!(error.contains(word), "{rule}: {error}");
        }
    }
}
