//! Leaves already minted, so that a name asked for again costs no signature. Bounded.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use moka::sync::Cache;

use crate::authority::Authority;
use crate::metrics::Metrics;
use crate::mint::{Leaf, MintError, Signer};
use crate::name::HostName;

/// The signer with a bounded memory of what it signed. Both change together when there is another CA.
pub struct Leaves {
    current: ArcSwap<Generation>,
    capacity: u64,
    metrics: Metrics,
}

/// What belongs to one CA.
struct Generation {
    signer: Signer,
    certificate_pem: String,
    minted: Cache<HostName, Arc<Leaf>>,
}

impl std::fmt::Debug for Leaves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaves").field("minted", &self.current.load().minted.entry_count()).finish_non_exhaustive()
    }
}

impl Leaves {
    /// Keeps at most `capacity` leaves.
    #[must_use]
    pub fn new(authority: Authority, capacity: u64, metrics: Metrics) -> Self {
        let current = ArcSwap::from_pointee(Generation::of(authority, capacity));
        Self { current, capacity, metrics }
    }

    /// From now on leaves are signed by another CA. Those that were handed out stay what they are until they are due.
    pub fn replace(&self, authority: Authority) {
        self.current.store(Arc::new(Generation::of(authority, self.capacity)));
    }

    /// The certificate of the CA that signs, PEM, and when it ends.
    pub(crate) fn authority(&self) -> (String, SystemTime) {
        let current = self.current.load();
        (current.certificate_pem.clone(), current.signer.ends())
    }

    /// The leaf for a name: the one at hand while at least half of its life is left, else a new one.
    ///
    /// # Errors
    /// The leaf could not be minted.
    pub fn get(&self, host: &HostName, now: SystemTime) -> Result<Arc<Leaf>, MintError> {
        let current = self.current.load();
        if let Some(leaf) = current.minted.get(host).filter(|leaf| now < leaf.renew_at) {
            return Ok(leaf);
        }
        let leaf = Arc::new(current.signer.mint(host, rand::random(), now)?);
        self.metrics.minted.inc();
        current.minted.insert(host.clone(), Arc::clone(&leaf));
        Ok(leaf)
    }
}

impl Generation {
    fn of(authority: Authority, capacity: u64) -> Generation {
        let certificate_pem = authority.certificate_pem().to_owned();
        Generation { signer: authority.into_signer(), certificate_pem, minted: Cache::new(capacity) }
    }
}
