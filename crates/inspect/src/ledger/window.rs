//! What was used in one window of time.

use std::collections::HashMap;

use policy::{Budget, Reason, Usage};

use super::Over;
use super::shared::{Change, Counts, Way};

/// A window is counted in so many parts and one that is under way: never less than the window, at most a sixteenth more.
const PARTS: u64 = 16;
/// Hosts that are remembered; beyond, the one that was not reached for longest goes.
const MAX_HOSTS: usize = 1024;

/// What was used in the parts of one window.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Milliseconds; never goes back.
    now: u64,
    /// Milliseconds of the whole, and of one part.
    length: u64,
    part: u64,
    parts: Vec<Part>,
    /// Hosts, by hash.
    hosts: HashMap<u64, Host>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    number: u64,
    requests: Counts,
    bytes: Counts,
    opaque: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Host {
    /// When it was reached, first of late and last.
    first: u64,
    last: u64,
    bytes: Counts,
    /// Whether the others know of the last visit.
    told: bool,
}

impl Window {
    pub(super) fn advance(&mut self, at: u64, length: u64) {
        if self.length != length {
            *self = Window { now: self.now, length, part: length.div_ceil(PARTS).max(1), ..Window::default() };
        }
        self.now = self.now.max(at);
        let first = self.oldest();
        self.parts.retain(|p| p.number >= first);
    }

    fn number(&self) -> u64 {
        self.now / self.part.max(1)
    }

    fn oldest(&self) -> u64 {
        self.number().saturating_sub(PARTS)
    }

    fn part(&mut self, number: u64) -> &mut Part {
        let at = match self.parts.binary_search_by_key(&number, |p| p.number) {
            Ok(at) => at,
            Err(at) => {
                self.parts.insert(at, Part { number, ..Part::default() });
                at
            }
        };
        &mut self.parts[at]
    }

    pub(super) fn count(&mut self, requests: u64, bytes: u64, opaque: u64) {
        let number = self.number();
        let part = self.part(number);
        part.requests.add(requests);
        part.bytes.add(bytes);
        part.opaque.add(opaque);
    }

    /// Notes that a host was reached, with so many bytes.
    pub(super) fn visit(&mut self, host: u64, bytes: u64) {
        if !self.hosts.contains_key(&host) && self.hosts.len() >= MAX_HOSTS {
            self.forget();
            let oldest = self.hosts.iter().min_by_key(|(_, h)| h.last).map(|(host, _)| *host);
            if let Some(oldest) = oldest.filter(|_| self.hosts.len() >= MAX_HOSTS) {
                self.hosts.remove(&oldest);
            }
        }
        let (now, length) = (self.now, self.length);
        let host = self.hosts.entry(host).or_insert(Host { first: now, last: now, ..Host::default() });
        if now.saturating_sub(host.last) > length {
            *host = Host { first: now, ..Host::default() };
        }
        host.last = now;
        host.told = false;
        host.bytes.add(bytes);
    }

    fn forget(&mut self) {
        let (now, length) = (self.now, self.length);
        self.hosts.retain(|_, host| now.saturating_sub(host.last) <= length);
    }

    fn sum(&self, of: impl Fn(&Part) -> Counts) -> u64 {
        self.parts.iter().map(|part| of(part).sum()).fold(0, u64::saturating_add)
    }

    pub(super) fn usage(&mut self, budget: &Budget, host: u64) -> Usage {
        if budget.new_hosts.is_some_and(|most| self.hosts.len() as u64 >= most) {
            self.forget();
        }
        let known = self.hosts.get(&host).filter(|seen| self.now.saturating_sub(seen.last) <= self.length);
        let new = known.is_none_or(|seen| self.now.saturating_sub(seen.first) <= self.length);
        Usage {
            requests: self.sum(|p| p.requests),
            bytes: self.sum(|p| p.bytes),
            opaque: self.sum(|p| p.opaque),
            hosts: self.hosts.len() as u64,
            known_host: known.is_some(),
            new_host_bytes: new.then(|| known.map_or(0, |seen| seen.bytes.sum())),
        }
    }

    /// When what does not fit now may fit.
    pub(super) fn over(&self, reason: Reason, budget: &Budget, host: u64, bytes: u64) -> Over {
        let until = |moment: u64| moment.saturating_add(self.length).saturating_add(1).saturating_sub(self.now);
        let retry = match reason {
            Reason::TooManyHosts if budget.new_hosts != Some(0) => self.hosts.values().map(|host| host.last).min().map(until),
            Reason::RateLimited => self.free(|p| p.requests, budget.requests, 1),
            Reason::VolumeExceeded if budget.bytes.is_some_and(|most| self.sum(|p| p.bytes).saturating_add(bytes) > most) => {
                self.free(|p| p.bytes, budget.bytes, bytes)
            }
            // A host that was reached for so long is not new any more.
            Reason::VolumeExceeded => self.hosts.get(&host).map(|host| until(host.first)),
            _ => None,
        };
        Over { reason, retry }
    }

    /// Milliseconds until the oldest parts that stand in the way are over.
    fn free(&self, of: impl Fn(&Part) -> Counts, most: Option<u64>, need: u64) -> Option<u64> {
        let room = most?.checked_sub(need)?;
        let mut used = self.sum(&of);
        for part in &self.parts {
            if used <= room {
                break;
            }
            used = used.saturating_sub(of(part).sum());
            if used <= room {
                let end = part.number.saturating_add(PARTS + 1).saturating_mul(self.part);
                return Some(end.saturating_sub(self.now).max(1));
            }
        }
        None
    }

    /// How long what is told of it counts, in milliseconds.
    pub(super) fn keep(&self) -> u64 {
        self.length.saturating_add(self.part.saturating_mul(2))
    }

    /// What was counted since the last time.
    pub(super) fn take(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut add = |kind: char, of: u64, counts: &mut Counts| {
            let value = counts.send();
            if value > 0 {
                changes.push(Change { field: format!("{kind}{of:x}"), way: Way::Add, value });
            }
        };
        for part in &mut self.parts {
            add('r', part.number, &mut part.requests);
            add('b', part.number, &mut part.bytes);
            add('o', part.number, &mut part.opaque);
        }
        for (hash, host) in &mut self.hosts {
            add('h', *hash, &mut host.bytes);
        }
        for (hash, host) in self.hosts.iter_mut().filter(|(_, host)| !host.told) {
            host.told = true;
            changes.push(Change { field: format!("f{hash:x}"), way: Way::First, value: host.first });
            changes.push(Change { field: format!("l{hash:x}"), way: Way::Set, value: host.last });
        }
        changes
    }

    /// The others do not know what was taken: it will be taken again.
    pub(super) fn restore(&mut self) {
        for part in &mut self.parts {
            part.requests.restore();
            part.bytes.restore();
            part.opaque.restore();
        }
        for host in self.hosts.values_mut() {
            host.bytes.restore();
            host.told = false;
        }
    }

    /// What all have counted; gives the fields that say nothing any more.
    pub(super) fn learn(&mut self, fields: &[(String, u64)]) -> Vec<String> {
        let mut old = Vec::new();
        let oldest = self.oldest();
        for (field, value) in fields {
            let read = field.split_at_checked(1).and_then(|(kind, number)| Some((kind, u64::from_str_radix(number, 16).ok()?)));
            match read {
                Some(("r" | "b" | "o", number)) if number < oldest => old.push(field.clone()),
                // A clock that goes wrong elsewhere must not count here for ever.
                Some(("r" | "b" | "o", number)) if number > self.number().saturating_add(PARTS) => old.push(field.clone()),
                Some(("r", number)) => self.part(number).requests.learn(*value),
                Some(("b", number)) => self.part(number).bytes.learn(*value),
                Some(("o", number)) => self.part(number).opaque.learn(*value),
                _ => {}
            }
        }
        let of = |kind: &str| {
            let one = |(field, value): &(String, u64)| Some((u64::from_str_radix(field.strip_prefix(kind)?, 16).ok()?, *value));
            fields.iter().filter_map(one).collect::<HashMap<u64, u64>>()
        };
        let (first, bytes) = (of("f"), of("h"));
        for (hash, last) in of("l") {
            if self.now.saturating_sub(last) > self.length {
                old.extend(["f", "l", "h"].map(|kind| format!("{kind}{hash:x}")));
            } else if self.hosts.contains_key(&hash) || self.hosts.len() < MAX_HOSTS {
                let first = first.get(&hash).copied().unwrap_or(last);
                let host = self.hosts.entry(hash).or_insert(Host { first, last, told: true, ..Host::default() });
                host.first = host.first.min(first);
                host.last = host.last.max(last);
                host.bytes.learn(bytes.get(&hash).copied().unwrap_or(0));
            }
        }
        old
    }
}
