//! Leaves already minted, so that a name asked for again costs no signature. Bounded.

use std::sync::Arc;
use std::time::SystemTime;

use moka::sync::Cache;

use crate::metrics::Metrics;
use crate::mint::{Leaf, MintError, Signer};
use crate::name::HostName;

/// The signer with a bounded memory of what it signed.
pub struct Leaves {
    signer: Signer,
    key_pem: String,
    minted: Cache<HostName, Arc<Leaf>>,
    metrics: Metrics,
}

impl std::fmt::Debug for Leaves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaves").field("minted", &self.minted.entry_count()).finish_non_exhaustive()
    }
}

impl Leaves {
    /// Keeps at most `capacity` leaves.
    #[must_use]
    pub fn new(signer: Signer, capacity: u64, metrics: Metrics) -> Self {
        let key_pem = signer.leaf_key_pem();
        Self { signer, key_pem, minted: Cache::new(capacity), metrics }
    }

    /// The leaf for a name: the one at hand while at least half of its life is left, else a new one.
    ///
    /// # Errors
    /// The leaf could not be minted.
    pub fn get(&self, host: &HostName, now: SystemTime) -> Result<Arc<Leaf>, MintError> {
        if let Some(leaf) = self.minted.get(host).filter(|leaf| now < leaf.renew_at) {
            return Ok(leaf);
        }
        let leaf = Arc::new(self.signer.mint(host, rand::random(), now)?);
        self.metrics.minted.inc();
        self.minted.insert(host.clone(), Arc::clone(&leaf));
        Ok(leaf)
    }

    /// The private key of all leaves, PEM. Secret.
    pub(crate) fn key_pem(&self) -> &str {
        &self.key_pem
    }
}
