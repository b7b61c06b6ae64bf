//! A thing of which there is only so much (memory, streams), shared fairly between sandboxes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One sandbox may hold so many times what is still free ("dynamic thresholds": Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2),
/// 1998). Alone it gets eight ninths; n that all want more get 8/(1 + 8n) each; and whoever comes new always finds something.
const TIMES_WHAT_IS_FREE: usize = 8;

/// What all sandboxes share. How much there is comes with every question, so that a reload changes it at once.
#[derive(Default)]
pub struct Fair(Mutex<State>);

#[derive(Default)]
struct State {
    used: usize,
    /// Of those who hold something.
    by: HashMap<Arc<str>, Holder>,
}

#[derive(Default)]
struct Holder {
    held: usize,
    shares: usize,
}

impl fmt::Debug for Fair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Fair").field("used", &state.used).field("sandboxes", &state.by.len()).finish()
    }
}

impl Fair {
    /// How much is held now.
    pub fn used(&self) -> usize {
        self.lock().used
    }

    /// A share of it for a sandbox, empty at first.
    pub fn share(self: &Arc<Fair>, sandbox: &str) -> Share {
        let mut state = self.lock();
        let who = state.by.get_key_value(sandbox).map_or_else(|| sandbox.into(), |(who, _)| Arc::clone(who));
        state.by.entry(Arc::clone(&who)).or_default().shares += 1;
        drop(state);
        Share { fair: Arc::clone(self), who, held: 0 }
    }

    /// How many bytes one stream may hold: `full` while at most half of `total` is used, from there linearly down to `floor`.
    pub(crate) fn allowance(&self, total: usize, full: usize, floor: usize) -> usize {
        let (used, half) = (self.used(), total / 2);
        if used <= half || full <= floor {
            return full;
        }
        let left = total.saturating_sub(used) as u128;
        let shrunk = (full - floor) as u128 * left / (total - half).max(1) as u128;
        floor + usize::try_from(shrunk).unwrap_or(full - floor).min(full - floor)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers are whole whatever happened to who held the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request of a sandbox holds; given back when dropped.
#[derive(Debug)]
pub struct Share {
    fair: Arc<Fair>,
    who: Arc<str>,
    held: usize,
}

impl Share {
    /// Whose it is.
    pub fn sandbox(&self) -> &str {
        &self.who
    }

    /// Holds `to` of `total` from now on. `false`: that is not there, or more than the sandbox's part of it, and nothing changed. Shrinking
    /// always succeeds.
    #[must_use]
    pub fn resize(&mut self, to: usize, total: usize) -> bool {
        let mut state = self.fair.lock();
        let State { used, by } = &mut *state;
        let Some(holder) = by.get_mut(&self.who) else { return false };
        if to > self.held {
            let more = to - self.held;
            let free = total.saturating_sub(*used);
            if more > free || holder.held.saturating_add(more) > free.saturating_mul(TIMES_WHAT_IS_FREE) {
                return false;
            }
        }
        *used = *used - self.held + to;
        holder.held = holder.held - self.held + to;
        self.held = to;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.fair.lock();
        state.used -= self.held;
        if let Some(holder) = state.by.get_mut(&self.who) {
            holder.held -= self.held;
            holder.shares -= 1;
            if holder.shares == 0 {
                state.by.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn most(share: &mut Share, total: usize) -> usize {
        while share.resize(share.held + 1, total) {}
        share.held
    }

    #[test]
    fn alone_a_sandbox_gets_nearly_all_and_whoever_comes_then_finds_the_rest() {
        let fair = Arc::new(Fair::default());
        let mut noisy = fair.share("noisy");
        assert_eq!(most(&mut noisy, 900), 800);
        let mut more = fair.share("noisy");
        assert!(!more.resize(1, 900), "another request of the same sandbox is no other sandbox");
        let mut quiet = fair.share("quiet");
        assert!(quiet.resize(100, 900) && !quiet.resize(101, 900));
        assert_eq!(fair.used(), 900);
        // What the one gives back, the other may have.
        assert!(noisy.resize(700, 900) && quiet.resize(200, 900) && !noisy.resize(701, 900));
    }

    #[test]
    fn a_dropped_share_gives_everything_back_and_is_forgotten() {
        let fair = Arc::new(Fair::default());
        let mut share = fair.share("a");
        assert!(share.resize(70, 300) && share.resize(30, 300));
        let other = fair.share("a");
        assert_eq!(fair.used(), 30);
        drop(share);
        assert_eq!((fair.used(), fair.lock().by.len()), (0, 1));
        drop(other);
        assert_eq!(fair.lock().by.len(), 0);
    }

    #[test]
    fn the_allowance_shrinks_linearly_from_half_to_the_floor() {
        let fair = Arc::new(Fair::default());
        let mut shares = [fair.share("a"), fair.share("b"), fair.share("c")];
        let mut at = |used: usize| {
            // More than a share: the arithmetic is of what is used, whoever uses it.
            assert!(shares.iter_mut().all(|share| share.resize(used / 3, 3000)));
            fair.allowance(1000, 100, 20)
        };
        assert_eq!([at(0), at(498), at(750), at(999)], [100, 100, 60, 20]);
        assert_eq!(fair.allowance(10, 100, 20), 20, "the total shrank below what is held");
    }

    proptest! {
        /// Whatever is asked for in whatever order: never more than there is, each sum right, and all of it comes back.
        #[test]
        fn no_more_is_held_than_there_is(asks in prop::collection::vec((0..4_usize, 0..6_usize, 0..500_usize), 1..80), total in 1..1000_usize) {
            let fair = Arc::new(Fair::default());
            let mut shares: Vec<Share> = (0..6).map(|i| fair.share(["a", "b", "c"][i % 3])).collect();
            for (what, which, to) in asks {
                let share = &mut shares[which];
                let before = share.held;
                match what {
                    0 => *share = fair.share("a"),
                    _ => prop_assert!(share.resize(to, total) || to > before),
                }
                prop_assert_eq!(fair.used(), shares.iter().map(|s| s.held).sum::<usize>());
                prop_assert!(fair.used() <= total);
            }
            drop(shares);
            prop_assert_eq!((fair.used(), fair.lock().by.len()), (0, 0));
        }
    }
}
