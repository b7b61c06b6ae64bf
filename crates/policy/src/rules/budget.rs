//! How much a sandbox may send in a while.

use std::time::Duration;

use crate::Reason;

/// What one sandbox may send within any stretch of time as long as the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How long the stretch is (1 s to 7 days).
    pub window: Duration,
    /// Requests.
    pub requests: Option<u64>,
    /// Bytes of paths, headers and bodies.
    pub bytes: Option<u64>,
    /// Different hosts; a host that was reached within the window is not new.
    pub new_hosts: Option<u64>,
}

/// What a sandbox has used within the window, the request in question left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Requests.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// Different hosts.
    pub hosts: u64,
    /// Whether the host in question is one of them.
    pub known_host: bool,
}

impl Budget {
    /// Whether one more request fits, with the bytes that are known of it by now.
    ///
    /// # Errors
    /// Why it does not.
    pub fn admits(&self, usage: Usage, bytes: u64) -> Result<(), Reason> {
        if self.requests.is_some_and(|most| usage.requests >= most) {
            return Err(Reason::RateLimited);
        }
        if !usage.known_host && self.new_hosts.is_some_and(|most| usage.hosts >= most) {
            return Err(Reason::TooManyHosts);
        }
        self.affords(usage, bytes)
    }

    /// Whether so many more bytes fit.
    ///
    /// # Errors
    /// [`Reason::VolumeExceeded`].
    pub fn affords(&self, usage: Usage, bytes: u64) -> Result<(), Reason> {
        let over = self.bytes.is_some_and(|most| usage.bytes.saturating_add(bytes) > most);
        if over { Err(Reason::VolumeExceeded) } else { Ok(()) }
    }
}
