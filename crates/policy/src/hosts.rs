//! Host patterns, matched by looking up a name's suffixes.

use std::collections::BTreeMap;

use crate::Host;

/// Patterns with a value each. `example.com` is the name itself, `*.example.com` any depth below it, `a.*.example.com` one label in the middle.
#[derive(Debug, Clone)]
pub(crate) struct HostMap<V> {
    exact: BTreeMap<String, V>,
    below: BTreeMap<String, V>,
    /// Patterns with a star that is not at the beginning.
    inner: Vec<(Vec<String>, V)>,
}

impl<V> Default for HostMap<V> {
    fn default() -> HostMap<V> {
        HostMap { exact: BTreeMap::new(), below: BTreeMap::new(), inner: Vec::new() }
    }
}

/// A pattern in normal form, or why it is none.
pub(crate) fn check(pattern: &str) -> Result<String, String> {
    let plain = pattern.strip_prefix("*.").unwrap_or(pattern);
    let probe = plain.replace('*', "star");
    if plain.is_empty() || plain == "*" || plain.split('.').any(|l| l.contains('*') && l != "*" && !is_affix(l)) {
        return Err(format!("{pattern:?} is no host pattern (example.com, *.example.com, a.*.example.com)"));
    }
    match Host::parse(&probe) {
        Ok(Host::Name(name)) if !plain.contains('*') => Ok(if pattern.starts_with("*.") { format!("*.{name}") } else { name }),
        Ok(Host::Name(_)) => Ok(pattern.to_ascii_lowercase()),
        Ok(Host::Ip(ip)) if !pattern.contains('*') => Ok(Host::Ip(ip).to_string()),
        _ => Err(format!("{pattern:?} is no host pattern (example.com, *.example.com, a.*.example.com)")),
    }
}

/// A label with one star at its beginning or end.
fn is_affix(label: &str) -> bool {
    label.matches('*').count() == 1 && (label.starts_with('*') || label.ends_with('*'))
}

impl<V> HostMap<V> {
    /// Adds a pattern; a later one of the same text replaces the earlier.
    pub(crate) fn insert(&mut self, pattern: &str, value: V) -> Result<(), String> {
        let pattern = check(pattern)?;
        match pattern.strip_prefix("*.") {
            Some(rest) if !rest.contains('*') => {
                self.below.insert(rest.to_owned(), value);
            }
            _ if pattern.contains('*') => self.inner.push((pattern.split('.').map(str::to_owned).collect(), value)),
            _ => {
                self.exact.insert(pattern, value);
            }
        }
        Ok(())
    }

    /// All patterns, in the form they are looked up by.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = String> {
        let below = self.below.keys().map(|p| format!("*.{p}"));
        self.exact.keys().cloned().chain(below).chain(self.inner.iter().map(|(labels, _)| labels.join(".")))
    }

    /// Whether this very pattern is in the map.
    pub(crate) fn has(&self, pattern: &str) -> bool {
        self.patterns().any(|p| p == pattern)
    }

    /// Removes a pattern whose value is of that kind, and for a plain name what lies below it.
    pub(crate) fn remove_where(&mut self, pattern: &str, of_kind: impl Fn(&V) -> bool) {
        let Ok(pattern) = check(pattern) else { return };
        let name = pattern.strip_prefix("*.").unwrap_or(&pattern);
        for map in [&mut self.exact, &mut self.below] {
            if map.get(name).is_some_and(&of_kind) {
                map.remove(name);
            }
        }
    }

    /// The value of the most specific pattern that a host matches.
    pub(crate) fn get(&self, host: &Host) -> Option<&V> {
        let Host::Name(name) = host else { return self.exact.get(&host.to_string()) };
        if let Some(value) = self.exact.get(name) {
            return Some(value);
        }
        if let Some((_, value)) = self.inner.iter().find(|(labels, _)| matches(labels, name)) {
            return Some(value);
        }
        let mut rest = name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(value) = self.below.get(parent) {
                return Some(value);
            }
            rest = parent;
        }
        None
    }
}

/// Label by label; a leading `*` takes any number of labels, another one label.
fn matches(labels: &[String], name: &str) -> bool {
    let have: Vec<&str> = name.split('.').collect();
    let (labels, have) = match labels.split_first() {
        Some((first, rest)) if first == "*" && have.len() > rest.len() => (rest, &have[have.len() - rest.len()..]),
        _ => (labels, &have[..]),
    };
    let label = |pattern: &String, label: &&str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(end), _) => label.ends_with(end),
        (_, Some(start)) => label.starts_with(start),
        _ => pattern == label,
    };
    labels.len() == have.len() && labels.iter().zip(have).all(|(p, l)| label(p, l))
}

/// Whether one pattern of a detector's home matches a host.
pub(crate) fn matches_one(pattern: &str, host: &Host) -> bool {
    let Host::Name(name) = host else { return false };
    match pattern.strip_prefix("*.") {
        Some(rest) if !rest.contains('*') => name.strip_suffix(rest).is_some_and(|front| front.ends_with('.')),
        _ if pattern.contains('*') => matches(&pattern.split('.').map(str::to_owned).collect::<Vec<_>>(), name),
        _ => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say_and_nothing_else() {
        let matches = |pattern: &str, host: &str| {
            let mut map = HostMap::default();
            map.insert(pattern, ()).unwrap();
            let host = Host::parse(host).unwrap();
            assert_eq!(
                map.get(&host).is_some(),
                matches_one(&check(pattern).unwrap(), &host) || matches!(host, Host::Ip(_)),
                "{pattern} {host}"
            );
            map.get(&host).is_some()
        };
        assert!(
            matches("example.com", "Example.com.") && !matches("example.com", "a.example.com") && !matches("example.com", "badexample.com")
        );
        assert!(
            matches("*.example.com", "a.b.example.com")
                && !matches("*.example.com", "example.com")
                && !matches("*.example.com", "xexample.com")
        );
        assert!(matches("bedrock-runtime.*.amazonaws.com", "bedrock-runtime.us-east-1.amazonaws.com"));
        assert!(!matches("bedrock-runtime.*.amazonaws.com", "bedrock-runtime.a.b.amazonaws.com"));
        assert!(
            matches("*-aiplatform.googleapis.com", "us-central1-aiplatform.googleapis.com")
                && !matches("*-aiplatform.googleapis.com", "storage.googleapis.com")
        );
        assert!(matches("10.1.2.3", "10.1.2.3"));
        for bad in ["", "*", "*.", "a b", "a.*b*.c", "http://x", "x/y"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
