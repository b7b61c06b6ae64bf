//! Reports that were made before. What is kept is the engine's report, never a verdict: judging is repeated on every hit.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{EngineId, Kind, Location, Report};
use moka::sync::Cache;

/// What the cache did since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Questions answered from the cache.
    pub hits: u64,
    /// Questions that had to be scanned.
    pub misses: u64,
    /// Reports that had to go to make room.
    pub evictions: u64,
}

/// A keyed hash of engine, kind and bytes: nothing of the bytes can be learnt from it without the key.
type Key = [u8; 32];

/// The report cache.
pub(crate) struct Reports {
    cache: Option<Cache<Key, Arc<Report>>>,
    key: [u8; 32],
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Arc<AtomicU64>,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Reports {
    /// A cache that weighs at most `entries`, where a report weighs one and each of its findings one more; 0: no cache.
    pub(crate) fn new(entries: u64, key: [u8; 32]) -> Reports {
        let evictions = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&evictions);
        let cache = (entries > 0).then(|| {
            Cache::builder()
                .max_capacity(entries)
                .weigher(|_: &Key, report: &Arc<Report>| u32::try_from(report.findings.len()).unwrap_or(u32::MAX).saturating_add(1))
                .eviction_listener(move |_, _, cause| {
                    if cause.was_evicted() {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .build()
        });
        Reports { cache, key, hits: AtomicU64::new(0), misses: AtomicU64::new(0), evictions }
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }

    /// The report for `bytes`, and whether it was there already. `scan` makes it where it is not.
    pub(crate) fn report(&self, engine: EngineId, kind: &Kind, bytes: &[u8], scan: impl FnOnce() -> Report) -> (Arc<Report>, bool) {
        let Some(cache) = &self.cache else { return (Arc::new(scan()), false) };
        let key = self.key_of(engine, kind, bytes);
        if let Some(report) = cache.get(&key) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return (report, true);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let report = Arc::new(scan());
        cache.insert(key, Arc::clone(&report));
        (report, false)
    }

    fn key_of(&self, engine: EngineId, kind: &Kind, bytes: &[u8]) -> Key {
        let mut hash = blake3::Hasher::new_keyed(&self.key);
        hash.update(&engine.0);
        // Every part is preceded by its length, so that no two sequences of parts give the same input.
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        let (tag, name): (&[u8], &str) = match &kind.location {
            Location::Host => (b"host", ""),
            Location::Path => (b"path", ""),
            Location::Query => (b"query", ""),
            Location::Header(name) => (b"header", name),
            Location::Body => (b"body", ""),
            Location::Trailer(name) => (b"trailer", name),
        };
        part(tag);
        part(name.as_bytes());
        part(&[u8::from(kind.media.content_type.is_some())]);
        part(kind.media.content_type.as_deref().unwrap_or_default().as_bytes());
        part(&(kind.media.content_encoding.len() as u64).to_le_bytes());
        kind.media.content_encoding.iter().for_each(|coding| part(coding.as_bytes()));
        part(bytes);
        *hash.finalize().as_bytes()
    }
}

/// A key for this process, from the randomness that seeds the standard library's hash maps (128 bits from the system).
pub(crate) fn process_key() -> [u8; 32] {
    let mut seed = [0; 32];
    for (index, word) in seed.chunks_exact_mut(8).enumerate() {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_usize(index);
        word.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    blake3::derive_key("portcullis 2026 report cache key", &seed)
}

#[cfg(test)]
mod tests {
    use engine::Media;

    use super::*;

    fn ask(reports: &Reports, engine: u8, kind: &Kind, bytes: &[u8]) -> bool {
        reports.report(EngineId([engine; 16]), kind, bytes, Report::default).1
    }

    #[test]
    fn the_same_question_hits_and_every_other_misses() {
        let reports = Reports::new(100, process_key());
        let path = Kind::of(Location::Path);
        assert!(!ask(&reports, 1, &path, b"x"));
        assert!(ask(&reports, 1, &path, b"x"));
        assert!(!ask(&reports, 2, &path, b"x"), "another engine");
        assert!(!ask(&reports, 1, &Kind::of(Location::Query), b"x"), "another location");
        assert!(!ask(&reports, 1, &path, b"y"), "other bytes");
        let typed = Kind::body(Media { content_type: Some("a".into()), content_encoding: vec![] });
        let coded = Kind::body(Media { content_type: None, content_encoding: vec!["a".into()] });
        assert!(!ask(&reports, 1, &typed, b"x"));
        assert!(!ask(&reports, 1, &coded, b"x"), "another claim");
        assert_eq!(reports.stats(), CacheStats { hits: 1, misses: 6, evictions: 0 });
    }

    #[test]
    fn a_cache_of_nothing_keeps_nothing_and_counts_nothing() {
        let reports = Reports::new(0, process_key());
        assert!(!ask(&reports, 1, &Kind::of(Location::Path), b"x"));
        assert!(!ask(&reports, 1, &Kind::of(Location::Path), b"x"));
        assert_eq!(reports.stats(), CacheStats::default());
    }

    #[test]
    fn evictions_are_counted_and_bound_the_cache() {
        let reports = Reports::new(4, process_key());
        for n in 0..64_u8 {
            ask(&reports, 1, &Kind::of(Location::Path), &[n]);
        }
        let cache = reports.cache.as_ref().unwrap();
        cache.run_pending_tasks();
        assert!(cache.weighted_size() <= 4);
        assert!(reports.stats().evictions >= 60);
    }

    #[test]
    fn two_processes_do_not_share_a_key() {
        assert_ne!(process_key(), process_key());
    }
}
