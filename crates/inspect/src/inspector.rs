//! What all flows share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use engine::Engine;
use policy::Policy;

use crate::{Flow, Head, Opened};

/// Engine and policy of one moment; a request keeps the snapshot it began with.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The compiled rules.
    pub engine: Engine,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// The bytes that all holds of a process share.
#[derive(Debug, Default)]
pub struct Memory {
    used: AtomicUsize,
}

impl Memory {
    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// Opens flows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inspector {
    snapshot: Arc<ArcSwap<Snapshot>>,
    memory: Arc<Memory>,
}

impl Inspector {
    /// An inspector over `snapshot`, with a report cache of `cache_entries` entries (0: none).
    pub fn new(snapshot: Snapshot, _cache_entries: u64) -> Inspector {
        Inspector { snapshot: Arc::new(ArcSwap::from_pointee(snapshot)), memory: Arc::default() }
    }

    /// Swaps engine and policy for all requests that begin from now on.
    pub fn reload(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// The present engine and policy.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The memory that holds draw on.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Judges a head; without a body that is all, else the flow takes the body.
    pub fn open(&self, head: Head) -> Opened {
        Opened::Body(Box::new(Flow::new(self.snapshot(), head)))
    }
}
