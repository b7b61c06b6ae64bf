//! What all flows share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use engine::Engine;
use policy::{Policy, PolicyLimits};

use crate::cache::{self, Reports};
use crate::case::Case;
use crate::chains;
use crate::ledger::Ledger;
use crate::{CacheStats, Fair, Head, Opened, Outcome, head};

/// Engine and policy of one moment; a request keeps the snapshot it began with.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The compiled rules.
    pub engine: Engine,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// What outlives snapshots.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: Arc<Fair>,
    pub(crate) reports: Reports,
    pub(crate) ledger: Ledger,
    pub(crate) chains: chains::Memory,
}

/// Opens flows. Cheap to clone; clones share snapshot, memory and cache.
#[derive(Debug, Clone)]
pub struct Inspector {
    snapshot: Arc<ArcSwap<Snapshot>>,
    shared: Arc<Shared>,
}

impl Inspector {
    /// An inspector over `snapshot`, with a report cache that weighs at most `cache_entries` (0: none). A report weighs one and each of its
    /// findings one more. The cache's key is made for this process and never leaves it.
    pub fn new(snapshot: Snapshot, cache_entries: u64) -> Inspector {
        Inspector::with_cache_key(snapshot, cache_entries, cache::process_key())
    }

    /// The same with a key of the caller's, which must be random and secret: cached bytes are known by their keyed hash.
    pub fn with_cache_key(snapshot: Snapshot, cache_entries: u64, cache_key: [u8; 32]) -> Inspector {
        let shared = Shared {
            memory: Arc::default(),
            reports: Reports::new(cache_entries, cache_key),
            ledger: Ledger::default(),
            chains: chains::Memory::default(),
        };
        Inspector { snapshot: Arc::new(ArcSwap::from_pointee(snapshot)), shared: Arc::new(shared) }
    }

    /// Swaps engine and policy for all requests that begin from now on.
    pub fn reload(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// The present engine and policy.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The limits of the present policy.
    pub fn limits(&self) -> PolicyLimits {
        self.snapshot.load().policy.limits()
    }

    /// The memory that holds draw on.
    pub fn memory(&self) -> &Fair {
        &self.shared.memory
    }

    /// What the report cache did so far.
    pub fn cache_stats(&self) -> CacheStats {
        self.shared.reports.stats()
    }

    /// How many sandboxes' budgets had to be forgotten to make room, since the process began.
    pub fn budget_evictions(&self) -> u64 {
        self.shared.ledger.evictions()
    }

    /// Its counts (of budgets, and of parts of known secrets), to be shared with other inspectors from now on.
    pub fn share(&self) -> crate::Shared {
        crate::Shared::new(Arc::clone(&self.shared))
    }

    /// Judges who asks for a tunnel (`CONNECT`), and nothing else: what it carries comes to [`Inspector::open`], request by request.
    pub fn tunnel(&self, head: &Head) -> Outcome {
        head::tunnel(Arc::clone(&self.shared), self.snapshot(), head)
    }

    /// Refuses a request of which nothing is to be looked at.
    pub fn refuse(&self, head: &Head, reason: policy::Reason) -> Outcome {
        Case::refused(Arc::clone(&self.shared), self.snapshot(), head, reason).outcome()
    }

    /// Judges a head; without a body that is all, else the flow takes the body.
    pub fn open(&self, head: &Head) -> Opened {
        head::open(Arc::clone(&self.shared), self.snapshot(), head)
    }
}
