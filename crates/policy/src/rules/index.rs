//! Finds the rules that can be about a request without looking at all of them.

use std::collections::HashMap;

use super::groups::Membership;
use super::{Groups, Request, Rule};
use crate::Host;

/// Rules by host, and of each what is cheapest to compare.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    exact: HashMap<String, Vec<u32>>,
    below: HashMap<String, Vec<u32>>,
    /// Patterns with a star inside, by the labels behind their last star.
    inner: HashMap<String, Vec<(String, u32)>>,
    anywhere: Vec<u32>,
    quick: Vec<Quick>,
    /// Whether any rule goes by a path's first segment.
    by_segment: bool,
}

/// A rule at a glance.
#[derive(Debug, Clone)]
struct Quick {
    methods: u16,
    /// A hash of the first path segment that all its patterns have; 0: not all have one, or not the same.
    segment: u32,
    /// Groups of which the sandbox must be in one; empty: all.
    groups: Box<[u32]>,
    /// The group that stands for its own list of sandboxes.
    own: Option<u32>,
}

const METHODS: [&str; 15] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "REPORT",
];

fn bit(method: &str) -> u16 {
    METHODS.iter().position(|m| *m == method).map_or(1 << 15, |at| 1 << at)
}

/// FNV-1a over the text in lower case, never 0.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193)) | 1
}

impl Index {
    pub(crate) fn new(rules: &[Rule], groups: &Groups) -> Index {
        let mut index = Index::default();
        for (rule, number) in rules.iter().zip(0_u32..) {
            index.hosts(rule, number);
            let firsts: Option<Vec<u32>> = rule.paths.iter().map(|p| p.first().map(hash)).collect();
            let segment = match firsts.as_deref() {
                Some([first, rest @ ..]) if rest.iter().all(|r| r == first) => *first,
                _ => 0,
            };
            index.by_segment |= segment != 0;
            index.quick.push(Quick {
                methods: if rule.methods.is_empty() { u16::MAX } else { rule.methods.iter().fold(0, |m, name| m | bit(name)) },
                segment,
                groups: rule.groups.iter().map(|name| groups.number(name).unwrap_or(u32::MAX)).collect(),
                own: groups.own(number as usize),
            });
        }
        index
    }

    fn hosts(&mut self, rule: &Rule, number: u32) {
        if rule.hosts.is_empty() {
            self.anywhere.push(number);
        }
        for pattern in &rule.hosts {
            match pattern.strip_prefix("*.") {
                Some(rest) if !rest.contains('*') => push(self.below.entry(rest.to_owned()).or_default(), number),
                _ if pattern.contains('*') => {
                    let tail = pattern.rsplit_once('*').map_or("", |(_, tail)| tail);
                    let labels = tail.split_once('.').map_or("", |(_, labels)| labels);
                    self.inner.entry(labels.to_owned()).or_default().push((pattern.clone(), number));
                }
                _ => push(self.exact.entry(pattern.clone()).or_default(), number),
            }
        }
    }

    /// The rules whose hosts, methods, groups and first path segment fit, in order. More may not fit after all, none is missing.
    pub(crate) fn candidates(&self, request: &Request<'_>, membership: &Membership, mut take: impl FnMut(u32)) {
        let subject = request.subject;
        let host = &subject.destination.host;
        let address;
        let name = match host {
            Host::Name(name) => name.as_str(),
            Host::Ip(_) => {
                address = host.to_string();
                address.as_str()
            }
        };
        let mut lists: Vec<&[u32]> = Vec::with_capacity(8);
        let mut some = Vec::new();
        lists.push(&self.anywhere);
        lists.extend(self.exact.get(name).map(Vec::as_slice));
        if matches!(host, Host::Name(_)) {
            let mut rest = name;
            while let Some((_, parent)) = rest.split_once('.') {
                lists.extend(self.below.get(parent).map(Vec::as_slice));
                rest = parent;
            }
            self.inner(name, host, &mut some);
        }
        lists.push(&some);
        let methods = bit(&subject.method) | subject.other_method.as_deref().map_or(0, bit);
        let segments: Vec<u32> = if self.by_segment { request.readings().firsts().map(hash).collect() } else { Vec::new() };
        let fits = |number: u32| {
            self.quick.get(number as usize).is_some_and(|q| {
                q.methods & methods != 0
                    && (q.segment == 0 || segments.contains(&q.segment))
                    && (q.groups.is_empty() || q.groups.iter().any(|g| membership.has(*g)))
                    && q.own.is_none_or(|g| membership.has(g))
            })
        };
        lists.retain(|l| !l.is_empty());
        if let [only] = lists[..] {
            return only.iter().copied().filter(|n| fits(*n)).for_each(take);
        }
        // Every list is in order: the smallest head comes next.
        while let Some(next) = lists.iter().filter_map(|l| l.first()).min().copied() {
            if fits(next) {
                take(next);
            }
            for list in &mut lists {
                if list.first() == Some(&next) {
                    *list = &list[1..];
                }
            }
        }
    }

    fn inner(&self, name: &str, host: &Host, some: &mut Vec<u32>) {
        if self.inner.is_empty() {
            return;
        }
        let mut rest = Some(name);
        while let Some(tail) = rest {
            for (pattern, number) in self.inner.get(tail).into_iter().flatten() {
                if crate::hosts::matches_one(pattern, host) {
                    some.push(*number);
                }
            }
            rest = if tail.is_empty() { None } else { Some(tail.split_once('.').map_or("", |(_, parent)| parent)) };
        }
        some.sort_unstable();
        some.dedup();
    }
}

/// A rule that names a host twice is in the list once.
fn push(list: &mut Vec<u32>, number: u32) {
    if list.last() != Some(&number) {
        list.push(number);
    }
}
