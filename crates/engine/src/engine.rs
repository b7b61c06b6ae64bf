//! The engine's surface.

use std::sync::Arc;

use rules::{Detector, RuleSet};

use crate::known::Known;
use crate::matcher::{AnchorCost, Matcher};
use crate::scan::{Scanner, Window};
use crate::seen::Seen;
use crate::stream::Stream;
use crate::{FingerprintKey, Kind, Report};

/// Bounds of one scan. Every one has a test at the limit and one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Layers inside layers (1 to 16).
    pub depth: u32,
    /// Bytes that all layers of one location may decode to, in total.
    pub decoded_bytes: u64,
    /// Decoded bytes allowed per encoded byte of one compressed layer, beyond a grace of 1 MiB.
    pub ratio: u64,
    /// Regex bytes and candidate hits allowed per byte of input, beyond a grace; over it coverage is partial.
    pub work_per_byte: u64,
    /// Up to this many bytes a stream is held and scanned as a whole; beyond, it is scanned in overlapping windows.
    pub whole_bytes: usize,
    /// Bytes a window has beyond its overlap.
    pub block_bytes: usize,
    /// Bytes that consecutive windows share: the longest secret or encoded run that is found wherever it stands.
    pub overlap_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: 8,
            decoded_bytes: 64 << 20,
            ratio: 200,
            work_per_byte: 64,
            whole_bytes: 1 << 20,
            block_bytes: 256 << 10,
            overlap_bytes: 64 << 10,
        }
    }
}

/// Whether 16 bytes or more look made by chance, whatever they are for: an identifier, a digest, a secret, data in disguise.
pub fn is_opaque(text: &[u8]) -> bool {
    crate::matcher::is_opaque(text)
}

/// Identifies rules, limits and engine version: part of every cache key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EngineId(pub [u8; 16]);

/// Why a rule set does not compile.
#[derive(Debug, thiserror::Error)]
#[error("detector {id}: {message}")]
pub struct CompileError {
    /// The detector's id.
    pub id: String,
    /// What is wrong.
    pub message: String,
}

#[derive(Debug)]
struct Inner {
    matcher: Arc<Matcher>,
    known: Option<Arc<Known>>,
    detectors: Vec<Arc<Detector>>,
    id: EngineId,
    limits: Limits,
    key: FingerprintKey,
    seen: Seen,
}

/// A compiled rule set. Cheap to clone, immutable, shared between threads.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

impl Engine {
    /// Compiles `rules`; `key` makes the fingerprints.
    ///
    /// # Errors
    /// [`CompileError`] names the first detector whose pattern is invalid or too large.
    pub fn compile(rules: &RuleSet, limits: Limits, key: FingerprintKey) -> Result<Engine, CompileError> {
        let matcher = Arc::new(Matcher::compile(rules)?);
        let detectors = matcher.detectors().cloned().collect();
        let id = identify(rules, &limits, &key);
        let seen = Seen::new(&key.0);
        Ok(Engine(Arc::new(Inner { matcher, known: None, detectors, id, limits, key, seen })))
    }

    /// Every detector that [`Engine::compile`] would refuse, and why: each is compiled once, and none is kept.
    pub fn refused(rules: &RuleSet) -> Vec<CompileError> {
        Matcher::refused(rules)
    }

    /// The same engine, looking for known secrets too. Its id is another as soon as the registry holds something.
    #[must_use]
    pub fn with_known(self, known: Known) -> Engine {
        if known.is_empty() {
            return self;
        }
        let Inner { matcher, detectors, id, limits, key, .. } = &*self.0;
        let id = blake3::Hasher::new_keyed(&key.0).update(&id.0).update(&known.id()).finalize();
        let mut short = [0; 16];
        short.copy_from_slice(&id.as_bytes()[..16]);
        let detectors = detectors.iter().cloned().chain([Known::listed()]).collect();
        let (matcher, known) = (Arc::clone(matcher), Some(Arc::new(known)));
        // What held nothing before may hold something that is known now.
        let seen = Seen::new(&key.0);
        Engine(Arc::new(Inner { matcher, known, detectors, id: EngineId(short), limits: *limits, key: key.clone(), seen }))
    }

    /// The same engine, which remembers nothing of what it has looked into. Reports do not depend on that, but times do: for measuring them.
    #[must_use]
    pub fn fresh(&self) -> Engine {
        let Inner { matcher, known, detectors, id, limits, key, .. } = &*self.0;
        let (matcher, known, detectors) = (Arc::clone(matcher), known.clone(), detectors.clone());
        Engine(Arc::new(Inner { matcher, known, detectors, id: *id, limits: *limits, key: key.clone(), seen: Seen::new(&key.0) }))
    }

    /// The registry of known secrets, if there is one.
    pub fn known(&self) -> Option<&Known> {
        self.0.known.as_deref()
    }

    /// Identifies rules, limits, key, engine version and known secrets.
    pub fn id(&self) -> EngineId {
        self.0.id
    }

    /// The compiled detectors.
    pub fn detectors(&self) -> &[Arc<Detector>] {
        &self.0.detectors
    }

    /// The limits it was compiled with.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Scans one whole location, however long. Up to [`Limits::whole_bytes`] the same as a stream that is given all bytes.
    pub fn scan(&self, kind: &Kind, bytes: &[u8]) -> Report {
        if bytes.len() > self.0.limits.whole_bytes {
            let mut stream = self.stream(kind.clone());
            let progress = stream.push(bytes);
            let last = stream.finish();
            let (mut findings, mut parts) = (progress.findings, progress.parts);
            findings.extend(last.findings);
            parts.extend(last.parts);
            return Report { findings, coverage: last.coverage, parts };
        }
        let scanner = self.scanner();
        let mut budget = scanner.budget(bytes.len() as u64);
        scanner.scan(&Window { kind, bytes, clipped: false, open: false }, &mut budget)
    }

    /// What stands in one whole location as it is sent, nothing taken apart: neither encodings nor fields.
    pub fn scan_plain(&self, kind: &Kind, bytes: &[u8]) -> Report {
        let scanner = self.scanner();
        let mut budget = scanner.budget(bytes.len() as u64);
        scanner.plain(&Window { kind, bytes, clipped: false, open: false }, &mut budget)
    }

    /// How many detectors match in `bytes` as they stand, nothing taken apart: the matcher alone, for measuring it.
    pub fn matches(&self, bytes: &[u8]) -> usize {
        let view = crate::layers::View::of(bytes);
        self.0.matcher.find(&view, &[], &mut self.scanner().budget(bytes.len() as u64)).matches.len()
    }

    /// What each anchor costs on a sample of traffic, for those who keep the catalogue.
    pub fn anchor_costs(&self, sample: &[u8]) -> Vec<AnchorCost> {
        self.0.matcher.costs(sample)
    }

    /// Opens a scan of bytes that arrive in chunks.
    pub fn stream(&self, kind: Kind) -> Stream {
        self.stream_within(kind, self.0.limits.whole_bytes)
    }

    /// The same, but held and scanned as a whole only up to `whole_bytes`, where memory is short.
    pub fn stream_within(&self, kind: Kind, whole_bytes: usize) -> Stream {
        Stream::new(self.clone(), kind, whole_bytes)
    }

    pub(crate) fn scanner(&self) -> Scanner<'_> {
        Scanner { matcher: &self.0.matcher, known: self.known(), key: &self.0.key, limits: &self.0.limits, seen: &self.0.seen }
    }
}

/// A hash of everything a report depends on beside the bytes.
fn identify(rules: &RuleSet, limits: &Limits, key: &FingerprintKey) -> EngineId {
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.update(format!("{limits:?}").as_bytes());
    for detector in rules.detectors() {
        hasher.update(format!("{detector:?}").as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    EngineId(id)
}
