//! What a provider may be told to fetch: a request to a language model's API can have URLs in it that the provider visits, with whatever
//! stands in them. They are destinations like any other.

use std::sync::Arc;

use serde::Deserialize;

use crate::hosts::HostMap;
use crate::{Destination, Details, Policy, Reason, Subject, Verdict, Would};

/// What is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fetching {
    /// What the sandbox may reach itself.
    #[default]
    Hosts,
    Allow,
    Deny,
}

/// The `provider_fetch` section.
#[derive(Debug, Clone, Default)]
pub(crate) struct FetchPolicy {
    /// APIs that fetch what requests tell them to.
    pub(crate) hosts: HostMap<()>,
    pub(crate) urls: Fetching,
    pub(crate) tools: Fetching,
}

/// One thing that a provider is told to do on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch<'a> {
    /// Fetch a URL.
    Url {
        /// Whether by TLS.
        tls: bool,
        /// Host and port, as written.
        authority: &'a str,
        /// The path, without the query.
        path: &'a str,
    },
    /// Fetch what it likes from a domain, and a path of it perhaps.
    Domain(&'a str),
    /// Go wherever it likes.
    Anywhere,
}

/// Why a provider must not be told to fetch something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRefusal {
    /// Where it would go; `None`: anywhere, or nobody can tell.
    pub host: Option<String>,
    /// Why the sandbox may not go there itself.
    pub reason: Reason,
    /// The rule that says so.
    pub rule: Option<Arc<str>>,
}

/// What policy says of something to be fetched.
#[derive(Debug, Clone, Default)]
pub struct FetchRuling {
    /// Why not; `None`: it may.
    pub refusal: Option<FetchRefusal>,
    /// What a rule that only watches would have done.
    pub would: Option<Would>,
}

impl FetchRuling {
    fn refused(reason: Reason) -> FetchRuling {
        FetchRuling { refusal: Some(FetchRefusal { host: None, reason, rule: None }), would: None }
    }
}

impl Policy {
    /// Whether the body of a request tells its upstream what to fetch.
    pub fn reads_fetches(&self, subject: &Subject) -> bool {
        let all = self.fetch.urls == Fetching::Allow && self.fetch.tools == Fetching::Allow;
        subject.has_body && !all && self.fetch.hosts.get(&subject.destination.host).is_some()
    }

    /// Whether what a request tells its upstream to fetch may be fetched: under the same rules as if the sandbox did it itself, with GET.
    pub fn admit_fetch(&self, subject: &Subject, fetch: Fetch<'_>) -> FetchRuling {
        let (mode, destination, path) = match fetch {
            Fetch::Anywhere => (self.fetch.tools, None, "/"),
            Fetch::Url { tls, authority, path } => (self.fetch.urls, Some(Destination::parse(authority, tls)), path),
            Fetch::Domain(text) => {
                let host = text.split('/').next().unwrap_or_default();
                (self.fetch.tools, Some(Destination::parse(host.strip_prefix("*.").unwrap_or(host), true)), "/")
            }
        };
        match (mode, destination) {
            (Fetching::Allow, _) => FetchRuling::default(),
            (Fetching::Hosts, None) if !self.allowlist => FetchRuling::default(),
            (_, None) => FetchRuling::refused(Reason::HostNotAllowed),
            (_, Some(Err(_))) => FetchRuling::refused(Reason::Ambiguous),
            (Fetching::Deny, Some(Ok(destination))) => {
                let host = Some(destination.host.to_string());
                FetchRuling { refusal: Some(FetchRefusal { host, reason: Reason::HostNotAllowed, rule: None }), would: None }
            }
            (Fetching::Hosts, Some(Ok(destination))) => self.admit_visit(subject, destination, path),
        }
    }

    /// A visit of somebody else's, as if it were the sandbox's own.
    fn admit_visit(&self, subject: &Subject, destination: Destination, path: &str) -> FetchRuling {
        let host = destination.host.to_string();
        let visit = Subject {
            sandbox: subject.sandbox.clone(),
            at: subject.at,
            method: "GET".to_owned(),
            path: path.to_owned(),
            destination,
            content_length: Some(0),
            ..Subject::default()
        };
        let terms = self.terms(&visit, Details::none());
        let ruling = self.admit(&visit, &terms);
        let would = ruling.would.map(|would| Would { verdict: Verdict::deny(Reason::ProviderFetchDenied), ..would });
        let refused = ruling.verdict != Verdict::CLEAN;
        let refusal = refused.then_some(FetchRefusal { host: Some(host), reason: ruling.verdict.reason, rule: ruling.rule });
        FetchRuling { refusal, would }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rest: &str) -> Policy {
        Policy::from_yaml("test", &format!("version: 1\n{rest}")).expect("a policy")
    }

    fn model() -> Subject {
        let destination = Destination::parse("api.anthropic.com", true).expect("a host");
        Subject { destination, method: "POST".into(), path: "/v1/messages".into(), has_body: true, ..Subject::default() }
    }

    fn why(policy: &Policy, fetch: Fetch<'_>) -> Option<Reason> {
        policy.admit_fetch(&model(), fetch).refusal.map(|refusal| refusal.reason)
    }

    fn url(authority: &str) -> Fetch<'_> {
        Fetch::Url { tls: true, authority, path: "/x" }
    }

    #[test]
    fn what_the_sandbox_may_reach_may_be_fetched() {
        let open = policy("");
        assert!(open.reads_fetches(&model()));
        assert!(!open.reads_fetches(&Subject { has_body: false, ..model() }));
        for (fetch, reason) in [
            (url("example.com"), None),
            (url("webhook.site"), Some(Reason::HostBlocked)),
            (url("169.254.169.254"), Some(Reason::PrivateAddress)),
            (url("0x7f.1"), Some(Reason::PrivateAddress)),
            (url("localhost"), Some(Reason::PrivateAddress)),
            (url("example.com:8443"), Some(Reason::PortNotAllowed)),
            (url("a@example.com"), Some(Reason::Ambiguous)),
            (url(""), Some(Reason::Ambiguous)),
            (Fetch::Domain("docs.example.com/guide"), None),
            (Fetch::Domain("webhook.site"), Some(Reason::HostBlocked)),
            (Fetch::Anywhere, None),
        ] {
            assert_eq!(why(&open, fetch), reason, "{fetch:?}");
        }
        let listed = policy("hosts: {mode: allowlist, allow: [api.anthropic.com, docs.example.com]}");
        assert_eq!(why(&listed, url("docs.example.com")), None);
        assert_eq!(why(&listed, Fetch::Domain("docs.example.com")), None);
        assert_eq!(why(&listed, url("example.com")), Some(Reason::HostNotAllowed));
        assert_eq!(why(&listed, Fetch::Anywhere), Some(Reason::HostNotAllowed));
    }

    #[test]
    fn rules_count_and_say_their_name() {
        let ruled = policy(
            "rules: [{name: no-wiki, hosts: [wiki.example], paths: [/x], action: deny}, {name: soon, hosts: [b.example], action: deny, mode: monitor}]",
        );
        let refusal = ruled.admit_fetch(&model(), url("wiki.example")).refusal.expect("a refusal");
        assert_eq!((refusal.reason, refusal.rule.as_deref()), (Reason::RuleDenied, Some("no-wiki")));
        let ruling = ruled.admit_fetch(&model(), url("b.example"));
        assert!(ruling.refusal.is_none());
        assert_eq!(ruling.would.map(|w| (w.verdict.reason, w.rule)), Some((Reason::ProviderFetchDenied, "soon".into())));
    }

    #[test]
    fn urls_and_tools_can_be_set_apart() {
        let strict = policy("provider_fetch: {urls: allow, tools: deny}");
        assert_eq!(why(&strict, url("webhook.site")), None);
        assert_eq!(why(&strict, Fetch::Anywhere), Some(Reason::HostNotAllowed));
        assert_eq!(why(&strict, Fetch::Domain("example.com")), Some(Reason::HostNotAllowed));
        assert!(!policy("provider_fetch: {urls: allow, tools: allow}").reads_fetches(&model()));
        let own = Subject { destination: Destination::parse("llm.corp.example", true).expect("a host"), ..model() };
        assert!(!policy("").reads_fetches(&own) && policy("provider_fetch: {hosts: [llm.corp.example]}").reads_fetches(&own));
    }
}
