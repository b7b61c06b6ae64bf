//! Which groups a sandbox is in.

use std::collections::{BTreeMap, HashMap};

use super::Rule;

/// Groups by number: the named ones, and one for each list of sandboxes that a rule has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    names: Vec<String>,
    exact: HashMap<String, Vec<u32>>,
    /// What stands before and behind the star.
    patterns: Vec<(String, String, u32)>,
    /// By rule: the group that stands for its `sandboxes`.
    own: HashMap<usize, u32>,
}

/// The groups that one sandbox is in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Membership(Vec<u64>);

impl Membership {
    pub(crate) fn has(&self, group: u32) -> bool {
        self.0.get(group as usize / 64).is_some_and(|word| word >> (group % 64) & 1 == 1)
    }

    /// The groups by number.
    pub(crate) fn groups(&self) -> impl Iterator<Item = u32> {
        let bits = |(at, word): (u32, u64)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit);
        (0_u32..).zip(self.0.iter().copied()).filter(|(_, word)| *word != 0).flat_map(bits)
    }

    fn add(&mut self, group: u32) {
        if let Some(word) = self.0.get_mut(group as usize / 64) {
            *word |= 1 << (group % 64);
        }
    }
}

impl Groups {
    pub(crate) fn new(named: &BTreeMap<String, Vec<String>>, rules: &[Rule]) -> Groups {
        let mut groups = Groups::default();
        for (name, patterns) in named {
            groups.add(name.clone(), patterns);
        }
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.sandboxes.is_empty()) {
            let group = groups.add(String::new(), &rule.sandboxes);
            groups.own.insert(index, group);
        }
        groups
    }

    fn add(&mut self, name: String, patterns: &[String]) -> u32 {
        let group = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name);
        for pattern in patterns {
            match pattern.split_once('*') {
                Some((before, behind)) => self.patterns.push((before.to_owned(), behind.to_owned(), group)),
                None => self.exact.entry(pattern.clone()).or_default().push(group),
            }
        }
        group
    }

    /// The number of a named group.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|n| n == name).and_then(|n| u32::try_from(n).ok())
    }

    /// The group that stands for a rule's own list of sandboxes.
    pub(crate) fn own(&self, rule: usize) -> Option<u32> {
        self.own.get(&rule).copied()
    }

    pub(crate) fn of(&self, sandbox: &str) -> Membership {
        if self.names.is_empty() {
            return Membership::default();
        }
        let mut membership = Membership(vec![0; self.names.len().div_ceil(64)]);
        for group in self.exact.get(sandbox).into_iter().flatten() {
            membership.add(*group);
        }
        for (before, behind, group) in &self.patterns {
            if sandbox.len() >= before.len() + behind.len() && sandbox.starts_with(before.as_str()) && sandbox.ends_with(behind.as_str()) {
                membership.add(*group);
            }
        }
        membership
    }

    /// The names of the groups in a membership.
    pub(crate) fn names(&self, membership: &Membership) -> Vec<String> {
        let named = self.names.iter().zip(0_u32..).filter(|(name, group)| !name.is_empty() && membership.has(*group));
        named.map(|(name, _)| name.clone()).collect()
    }
}
