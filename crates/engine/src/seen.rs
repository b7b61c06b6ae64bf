//! Parts of requests that were looked into before and held nothing: a conversation is sent again with every message, and what was clean is clean.
//!
//! A set of keyed hashes in a table of fixed size, in which the newer takes the place of the older. What looking cost is remembered too and paid
//! again from the budget, so that a report never depends on what was sent before.

use std::hash::{Hash, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::layers::Budget;

/// Shorter parts are looked into sooner than looked up.
pub(crate) const LEAST: usize = 512;
/// log2 of the number of places: 1 MiB of two words each.
const PLACES: u32 = 16;

/// What looking into something took from a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    work: u64,
    decoded: u64,
}

impl Cost {
    /// What there was `before` and is no more; `None` where more than work and decoded bytes tells the two apart.
    pub(crate) fn between(before: &Budget, after: &Budget) -> Option<Cost> {
        let same = before.earned == after.earned && before.cuts.len() == after.cuts.len();
        same.then(|| Cost { work: before.work.saturating_sub(after.work), decoded: before.decoded.saturating_sub(after.decoded) })
    }

    fn pack(self) -> Option<u64> {
        Some(u64::from(u32::try_from(self.work).ok()?) << 32 | u64::from(u32::try_from(self.decoded).ok()?))
    }
}

/// Names a part, and all else that looking into it depends on: 128 bits of SipHash-1-3 under a key that no sender knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    place: usize,
    tag: u64,
}

/// Parts that held nothing.
#[derive(Debug)]
pub(crate) struct Seen {
    key: [u8; 16],
    /// The tag and the cost, mixed so that two halves of different entries fit no tag; then the cost.
    places: Box<[[AtomicU64; 2]]>,
}

impl Seen {
    /// Empty. `key` is as secret as the fingerprints' own.
    pub(crate) fn new(key: &[u8; 32]) -> Seen {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::keyed_hash(key, b"seen").as_bytes()[..16]);
        Seen { key: short, places: (0..1_usize << PLACES).map(|_| [const { AtomicU64::new(0) }; 2]).collect() }
    }

    pub(crate) fn name(&self, bytes: &[u8], circumstances: impl Hash) -> Name {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(bytes);
        hasher.write_usize(bytes.len());
        circumstances.hash(&mut hasher);
        let hash = hasher.finish128();
        Name { place: (hash.h1 >> (64 - PLACES)) as usize, tag: hash.h2 ^ hash.h1 << PLACES }
    }

    /// Pays for something that was seen; `false` if it was not, or if the budget does not suffice.
    pub(crate) fn pay(&self, name: Name, budget: &mut Budget) -> bool {
        let Some([mixed, cost]) = self.places.get(name.place) else { return false };
        let cost = cost.load(Ordering::Relaxed);
        // Nothing costs nothing: an empty place.
        if cost == 0 || mixed.load(Ordering::Relaxed) ^ cost != name.tag {
            return false;
        }
        let (work, decoded) = (cost >> 32, cost & 0xffff_ffff);
        if budget.work <= work || budget.decoded < decoded {
            return false;
        }
        budget.work -= work;
        budget.decoded -= decoded;
        true
    }

    /// Remembers something that held nothing.
    pub(crate) fn remember(&self, name: Name, cost: Cost) {
        if let (Some(cost), Some([mixed, place])) = (cost.pack(), self.places.get(name.place)) {
            mixed.store(name.tag ^ cost, Ordering::Relaxed);
            place.store(cost, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(work: u64, decoded: u64) -> Budget {
        Budget { decoded, ratio: 1, work, earned: 0, cuts: Vec::new(), gap: None }
    }

    #[test]
    fn what_was_seen_is_known_again_and_costs_the_same() {
        let seen = Seen::new(&[7; 32]);
        let name = seen.name(b"some text", ("field", 1));
        let mut left = budget(100, 50);
        assert!(!seen.pay(name, &mut left));
        seen.remember(name, Cost { work: 30, decoded: 20 });
        assert!(seen.pay(name, &mut left));
        assert_eq!((left.work, left.decoded), (70, 30));
        assert!(!seen.pay(seen.name(b"some text", ("field", 2)), &mut left));
        assert!(!seen.pay(seen.name(b"some texu", ("field", 1)), &mut left));
        assert!(!Seen::new(&[8; 32]).pay(name, &mut left));
    }

    #[test]
    fn a_budget_that_does_not_suffice_is_not_touched() {
        let seen = Seen::new(&[7; 32]);
        let name = seen.name(b"some text", ());
        seen.remember(name, Cost { work: 30, decoded: 20 });
        for (work, decoded) in [(30, 20), (31, 19)] {
            let mut left = budget(work, decoded);
            assert!(!seen.pay(name, &mut left));
            assert_eq!((left.work, left.decoded), (work, decoded));
        }
        assert!(seen.pay(name, &mut budget(31, 20)));
    }

    #[test]
    fn what_costs_too_much_to_remember_is_looked_into_again() {
        let seen = Seen::new(&[7; 32]);
        let name = seen.name(b"some text", ());
        seen.remember(name, Cost { work: 1 << 32, decoded: 0 });
        assert!(!seen.pay(name, &mut budget(u64::MAX, u64::MAX)));
    }
}
