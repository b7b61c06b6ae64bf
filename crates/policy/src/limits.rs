//! The limits a policy sets.

use std::time::Duration;

/// The limits a policy sets; the scanner enforces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyLimits {
    /// Bodies up to this are held until the verdict; beyond, a sliding hold (64 KiB to 16 MiB).
    pub buffer_bytes: usize,
    /// Bytes that all holds of a process share (16 MiB to 1 TiB).
    pub memory_bytes: usize,
    /// Decoded bytes per location (64 KiB to 16 GiB).
    pub decoded_bytes: u64,
    /// Layers inside layers (1 to 16).
    pub depth: u32,
    /// Decoded bytes per encoded byte of a compressed layer beyond a grace (10 to 100,000).
    pub ratio: u64,
    /// How long a whole request may take to arrive (1 s to 24 h).
    pub stream_timeout: Duration,
    /// How long a body of unknown length may pause before its clean head is released (1 ms to 60 s).
    pub pause: Duration,
    /// How long a claimed tail may be held after a pause (10 ms to 10 min).
    pub hold_timeout: Duration,
}

impl Default for PolicyLimits {
    fn default() -> PolicyLimits {
        PolicyLimits {
            buffer_bytes: 1 << 20,
            memory_bytes: 512 << 20,
            decoded_bytes: 64 << 20,
            depth: 8,
            ratio: 200,
            stream_timeout: Duration::from_secs(600),
            pause: Duration::from_millis(50),
            hold_timeout: Duration::from_secs(10),
        }
    }
}
