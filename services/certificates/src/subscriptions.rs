//! What one stream is subscribed to. Pure bookkeeping: bounded, in order of age.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use crate::name::HostName;

/// One subscribed name.
#[derive(Debug)]
struct Entry {
    age: u64,
    host: HostName,
    renew_at: SystemTime,
}

/// The names of one stream, verbatim as Envoy wrote them: each spelling is a secret of its own there.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    entries: HashMap<String, Entry>,
    by_age: BTreeMap<u64, String>,
    next_age: u64,
}

impl Subscriptions {
    /// Adds a name, or makes it the youngest.
    pub(crate) fn add(&mut self, name: &str, host: HostName, renew_at: SystemTime) {
        self.remove(name);
        let age = self.next_age;
        // One name a nanosecond would take five centuries to wrap.
        self.next_age = age.wrapping_add(1);
        self.by_age.insert(age, name.to_owned());
        self.entries.insert(name.to_owned(), Entry { age, host, renew_at });
    }

    /// Forgets a name; one that is not there is no error, since Envoy unsubscribes what was evicted.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(entry) = self.entries.remove(name) {
            self.by_age.remove(&entry.age);
        }
    }

    /// Forgets the oldest names until `limit` are left, and says which.
    pub(crate) fn shrink(&mut self, limit: usize) -> Vec<String> {
        let mut evicted = Vec::new();
        while self.entries.len() > limit {
            let Some((_, name)) = self.by_age.pop_first() else { break };
            self.entries.remove(&name);
            evicted.push(name);
        }
        evicted
    }

    /// The names whose leaf has less than half of its life left.
    pub(crate) fn due(&self, now: SystemTime) -> Vec<(String, HostName)> {
        let due = self.entries.iter().filter(|(_, entry)| entry.renew_at <= now);
        due.map(|(name, entry)| (name.clone(), entry.host.clone())).collect()
    }

    /// Notes that a name has a new leaf; its place in the order of age stays.
    pub(crate) fn renewed(&mut self, name: &str, renew_at: SystemTime) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.renew_at = renew_at;
        }
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Splits the wanted names into those looked at (the last `limit` distinct ones) and those that would not fit anyway.
pub(crate) fn within_limit(names: Vec<String>, limit: usize) -> (Vec<String>, Vec<String>) {
    let mut seen = HashSet::new();
    let mut distinct: Vec<String> = names.into_iter().rev().filter(|name| seen.insert(name.clone())).collect();
    distinct.reverse();
    let surplus = distinct.len().saturating_sub(limit);
    let kept = distinct.split_off(surplus);
    (kept, distinct)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(subscriptions: &mut Subscriptions, name: &str) {
        subscriptions.add(name, HostName::parse(name).unwrap(), SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn the_oldest_names_go_first_and_a_renewed_subscription_is_young_again() {
        let mut subscriptions = Subscriptions::default();
        ["a", "b", "c", "a"].iter().for_each(|name| add(&mut subscriptions, name));
        assert_eq!(subscriptions.shrink(3), Vec::<String>::new());
        assert_eq!(subscriptions.shrink(1), ["b", "c"]);
        subscriptions.remove("a");
        subscriptions.remove("never there");
        assert_eq!((subscriptions.len(), subscriptions.by_age.len()), (0, 0));
    }

    #[test]
    fn a_name_is_due_from_the_moment_of_its_renewal() {
        let mut subscriptions = Subscriptions::default();
        add(&mut subscriptions, "a");
        assert_eq!(subscriptions.due(SystemTime::UNIX_EPOCH).len(), 1);
        subscriptions.renewed("a", SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1));
        assert_eq!(subscriptions.due(SystemTime::UNIX_EPOCH).len(), 0);
    }

    #[test]
    fn of_too_many_names_at_once_the_last_are_kept() {
        let names = ["a", "b", "a", "c"].map(String::from).to_vec();
        assert_eq!(within_limit(names, 2), (vec!["a".into(), "c".into()], vec!["b".into()]));
    }
}
