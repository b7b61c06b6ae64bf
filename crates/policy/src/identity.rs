//! Who sends, as far as the policy says it.

use std::net::IpAddr;

use crate::Policy;
use crate::address::{Range, unmapped};

/// The longest name of a sandbox, in bytes.
const MAX_NAME: usize = 64;
/// So many ranges are looked through for each request without credentials.
const MAX_RANGES: usize = 1024;

/// Whether a text can name a sandbox: it stands in URLs before a colon, in logs, and in policies.
pub fn is_sandbox_name(text: &str) -> bool {
    let of_names = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(of_names)
}

/// What a policy says of who sends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Senders {
    pub(crate) required: bool,
    ranges: Vec<(Range, String)>,
    certificates: Vec<Certificate>,
}

/// Whose certificates have such a URI.
#[derive(Debug, Clone)]
struct Certificate {
    /// What stands before and behind the star; without a star, the whole.
    start: String,
    end: Option<String>,
    /// The sandbox; `None`: what the star stands for.
    sandbox: Option<String>,
}

impl Certificate {
    fn sandbox(&self, uri: &str) -> Option<String> {
        let rest = uri.strip_prefix(self.start.as_str())?;
        let star = match &self.end {
            Some(end) => rest.strip_suffix(end.as_str()).filter(|star| is_sandbox_name(star))?,
            None => rest.is_empty().then_some("")?,
        };
        Some(self.sandbox.clone().unwrap_or_else(|| star.to_owned()))
    }
}

impl Senders {
    /// Sandboxes by the URI of their certificates, in which a star stands for a name.
    ///
    /// # Errors
    /// A text that is no SPIFFE ID (the SPIFFE-ID standard, section 2), or a name that is none.
    pub(crate) fn add_certificate(&mut self, uri: &str, sandbox: Option<&str>) -> Result<(), String> {
        let of_paths = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'*');
        let id = uri.strip_prefix("spiffe://").filter(|id| id.bytes().all(of_paths) && id.matches('*').count() <= 1 && id.len() <= 2048);
        let domain = id.and_then(|id| id.split('/').next()).unwrap_or_default();
        if domain.is_empty() || domain.contains('*') || domain.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(format!("{uri:?} is no SPIFFE ID; expected spiffe://corp.example/sandbox/*, with at most one star, in its path"));
        }
        match sandbox {
            Some(name) if !is_sandbox_name(name) => {
                Err(format!("{name:?} is no sandbox's name; expected at most 64 letters, digits, - _ ."))
            }
            None if !uri.contains('*') => Err(format!("{uri:?} does not say whose it is; expected a star for the name, or `sandbox`")),
            _ => {
                let (start, end) = uri.split_once('*').map_or((uri, None), |(start, end)| (start, Some(end.to_owned())));
                self.certificates.push(Certificate { start: start.to_owned(), end, sandbox: sandbox.map(str::to_owned) });
                Ok(())
            }
        }
    }

    /// A sandbox that connects from a range.
    ///
    /// # Errors
    /// A text that is no range, a range that is another sandbox's, or too many of them.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> Result<(), String> {
        let range = Range::parse(text).ok_or_else(|| format!("{text:?} is no address range; expected 10.0.0.0/8"))?;
        match self.ranges.iter().find(|(known, _)| *known == range) {
            Some((_, other)) if other == name => return Ok(()),
            Some((_, other)) => return Err(format!("{text:?} is the range of {other} already; expected one sandbox for a range")),
            None => {}
        }
        if self.ranges.len() == MAX_RANGES {
            return Err(format!("more than {MAX_RANGES} ranges; give such sandboxes tokens"));
        }
        self.ranges.push((range, name.to_owned()));
        Ok(())
    }
}

impl Policy {
    /// Whether requests of nobody in particular are refused.
    pub fn identity_required(&self) -> bool {
        self.senders.required
    }

    /// The sandbox that connects from this address; of several ranges that hold it, the narrowest one's.
    pub fn sandbox_at(&self, address: IpAddr) -> Option<&str> {
        let address = match address {
            IpAddr::V6(v6) => unmapped(v6),
            v4 @ IpAddr::V4(_) => v4,
        };
        let here = self.senders.ranges.iter().filter(|(range, _)| range.contains(address));
        here.min_by_key(|(range, _)| range.width()).map(|(_, name)| name.as_str())
    }

    /// Whether certificates say who sends.
    pub fn knows_certificates(&self) -> bool {
        !self.senders.certificates.is_empty()
    }

    /// The sandbox whose certificate has this URI: by the first entry that fits. Several URIs at once are nobody's.
    pub fn sandbox_of_certificate(&self, uri: &str) -> Option<String> {
        self.senders.certificates.iter().find_map(|entry| entry.sandbox(uri))
    }

    /// The groups that a sandbox is in, in the order of the alphabet.
    pub fn groups_of(&self, sandbox: &str) -> Vec<String> {
        self.rules.groups.names(&self.rules.groups.of(sandbox))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(identity: &str) -> Policy {
        Policy::from_yaml("p", &format!("version: 1\ngroups: {{b: [\"ci-*\"], a: [ci-1], c: [x]}}\nidentity: {identity}\n"))
            .expect("a policy")
    }

    #[test]
    fn the_narrowest_range_says_who_connects() {
        let policy = policy("{addresses: {net: [10.0.0.0/8, \"fd00::/8\"], host: [10.1.2.3], part: [10.1.0.0/16]}}");
        let at = |text: &str| policy.sandbox_at(text.parse().expect("an address"));
        assert_eq!(at("10.1.2.3"), Some("host"));
        assert_eq!(at("::ffff:10.1.2.3"), Some("host"));
        assert_eq!(at("10.1.2.4"), Some("part"));
        assert_eq!(at("10.2.0.1"), Some("net"));
        assert_eq!(at("fd00::1"), Some("net"));
        assert_eq!((at("11.0.0.1"), at("::1"), at("0.0.0.0")), (None, None, None));
        assert!(!policy.identity_required());
    }

    #[test]
    fn groups_are_told_by_name() {
        let policy = policy("{required: true}");
        assert_eq!(policy.groups_of("ci-1"), ["a", "b"]);
        assert!(policy.groups_of("y").is_empty());
        assert!(policy.identity_required());
    }

    #[test]
    fn what_cannot_say_who_sends_is_told_with_its_line() {
        for (identity, said) in [
            ("{addresses: {a: [10.0.0.0/8], b: [10.0.0.0/8]}}", "is the range of a already"),
            ("{addresses: {a: [10.0.0.1/8]}}", "is no address range"),
            ("{addresses: {\"a:b\": [10.0.0.0/8]}}", "is no sandbox's name"),
            ("{certificates: [{uri: 'https://a/*'}]}", "is no SPIFFE ID"),
            ("{certificates: [{uri: 'spiffe://*/a'}]}", "is no SPIFFE ID"),
            ("{certificates: [{uri: 'spiffe://a/*/*'}]}", "is no SPIFFE ID"),
            ("{certificates: [{uri: 'spiffe://a/b'}]}", "does not say whose"),
            ("{certificates: [{uri: 'spiffe://a/b', sandbox: 'a b'}]}", "is no sandbox's name"),
            ("{certificates: [{sandbox: a}]}", "uri is missing"),
        ] {
            let error = Policy::from_yaml("p", &format!("version: 1\nidentity: {identity}\n")).expect_err("refused").to_string();
            assert!(error.contains("line 2") && error.contains(said), "{error}");
        }
        let many: Vec<String> = (0..=1024).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
        let error = Policy::from_yaml("p", &format!("version: 1\nidentity: {{addresses: {{a: [{}]}}}}\n", many.join(", ")));
        assert!(error.expect_err("refused").to_string().contains("more than 1024"));
    }
}
