//! The engine's surface.

use std::sync::Arc;

use rules::{Detector, RuleSet};

use crate::{Finding, FingerprintKey, Kind, Report};

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
    detectors: Vec<Arc<Detector>>,
    id: EngineId,
    limits: Limits,

    key: FingerprintKey,
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
        let detectors = rules.detectors().iter().cloned().map(Arc::new).collect();
        Ok(Engine(Arc::new(Inner { detectors, id: EngineId([0; 16]), limits, key })))
    }

    /// Identifies rules, limits, key and engine version.
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

    /// Scans one whole location. The same as a stream that is given all bytes.
    pub fn scan(&self, kind: &Kind, bytes: &[u8]) -> Report {
        let mut stream = self.stream(kind.clone());
        stream.push(bytes);
        stream.finish()
    }

    /// Opens a scan of bytes that arrive in chunks.
    pub fn stream(&self, _kind: Kind) -> Stream {
        Stream { pushed: 0 }
    }
}

/// What is known after a chunk.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Every byte before this offset (as sent) is final: no finding that is not yet reported can begin or end there, and no reported
    /// finding begins before it and ends after it. Bytes before it may be released.
    pub clean_to: u64,
    /// Findings new since the last call.
    pub findings: Vec<Finding>,
    /// What could not be looked into so far.
    pub coverage: crate::Coverage,
}

/// A scan under way. What it reports depends on the bytes alone, never on how they were cut into chunks.
#[derive(Debug)]
pub struct Stream {
    pushed: u64,
}

impl Stream {
    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) -> Progress {
        self.pushed += chunk.len() as u64;
        Progress::default()
    }

    /// The sender pauses: scans what is there and tells what no live candidate claims. Costs a scan of the held bytes.
    pub fn settle(&mut self) -> Progress {
        Progress::default()
    }

    /// No more bytes: the findings not yet reported, and the coverage of the whole.
    pub fn finish(self) -> Report {
        Report::default()
    }
}
