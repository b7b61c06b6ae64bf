//! How many long bodies of one sandbox are taken in at a time. Envoy serves its connections as they come: a hundred uploads at once stand
//! before everybody's next request there. Those beyond the number wait here, and Envoy, which is not read from, leaves them in the kernel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Up to here a body is short: taking it in costs no more than its head.
pub(super) const SHORT: u64 = 64 << 10;
/// After so many bytes a body makes room for another one of its sandbox's.
const QUANTUM: usize = 1 << 20;
/// Or when nothing more of it came for so long: a slow sender keeps nobody out.
const IDLE: Duration = Duration::from_millis(50);
/// Sandboxes that are known; of more, those without a body are forgotten.
const REMEMBERED: usize = 1024;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    each: usize,
    sandboxes: Arc<Mutex<HashMap<Arc<str>, Weak<Semaphore>>>>,
}

/// A body that is being taken in, until this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    _permit: OwnedSemaphorePermit,
    left: usize,
    /// When it ends if nothing more comes.
    pub(super) until: Instant,
}

impl Intake {
    /// `each`: so many bodies of one sandbox, at least one.
    pub(super) fn new(each: usize) -> Intake {
        Intake { each: each.max(1), sandboxes: Arc::default() }
    }

    /// Waits until the sandbox may send one more; first come, first served.
    pub(super) async fn lease(&self, sandbox: &str) -> Option<Lease> {
        let permit = self.of(sandbox).acquire_owned().await.ok()?;
        Some(Lease { _permit: permit, left: QUANTUM, until: Instant::now() + IDLE })
    }

    fn of(&self, sandbox: &str) -> Arc<Semaphore> {
        // Every change of the map is whole before anything can panic.
        let mut sandboxes = self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = sandboxes.get(sandbox).and_then(Weak::upgrade) {
            return open;
        }
        if sandboxes.len() >= REMEMBERED {
            sandboxes.retain(|_, open| open.strong_count() > 0);
        }
        let open = Arc::new(Semaphore::new(self.each));
        sandboxes.insert(sandbox.into(), Arc::downgrade(&open));
        open
    }
}

impl Lease {
    /// Takes in so many bytes. `false`: the lease is used up.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes);
        self.until = Instant::now() + IDLE;
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_sandbox_waits_for_itself_and_no_other() {
        let intake = Intake::new(2);
        let mut first = intake.lease("noisy").await.unwrap();
        let _second = intake.lease("noisy").await.unwrap();
        let mut third = std::pin::pin!(intake.lease("noisy"));
        assert!(tokio::time::timeout(Duration::from_millis(20), third.as_mut()).await.is_err());
        let _other = intake.lease("quiet").await.unwrap();
        assert!(first.spend(QUANTUM - 1) && !first.spend(1));
        drop(first);
        third.await.unwrap();
    }

    #[tokio::test]
    async fn sandboxes_without_end_are_not_remembered() {
        let intake = Intake::new(1);
        let _kept = intake.lease("kept").await.unwrap();
        for n in 0..3 * REMEMBERED {
            drop(intake.lease(&format!("s{n}")).await);
        }
        assert!(intake.sandboxes.lock().unwrap().len() <= REMEMBERED + 1);
        let again = tokio::time::timeout(Duration::from_millis(20), intake.lease("kept"));
        assert!(again.await.is_err(), "whose body is under way is not forgotten");
    }
}
