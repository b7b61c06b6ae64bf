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
    /// Bytes to any one host until it has been in use for as long as the window.
    pub new_host_bytes: Option<u64>,
    /// Bytes of host labels, path segments and values of the query that look made by chance.
    pub opaque: Option<u64>,
}

/// What a sandbox has used within the window, the request in question left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Requests.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes that look made by chance.
    pub opaque: u64,
    /// Different hosts.
    pub hosts: u64,
    /// Whether the host in question is one of them.
    pub known_host: bool,
    /// Bytes to the host in question since it was first reached; `None`: that is long ago.
    pub new_host_bytes: Option<u64>,
}

impl Budget {
    /// Whether one more request fits, with the bytes that are known of it by now, and how many of them look made by chance.
    ///
    /// # Errors
    /// Why it does not.
    pub fn admits(&self, usage: Usage, bytes: u64, opaque: u64) -> Result<(), Reason> {
        if self.requests.is_some_and(|most| usage.requests >= most) {
            return Err(Reason::RateLimited);
        }
        if !usage.known_host && self.new_hosts.is_some_and(|most| usage.hosts >= most) {
            return Err(Reason::TooManyHosts);
        }
        if opaque > 0 && self.opaque.is_some_and(|most| usage.opaque.saturating_add(opaque) > most) {
            return Err(Reason::VolumeExceeded);
        }
        self.affords(usage, bytes)
    }

    /// Whether so many more bytes fit.
    ///
    /// # Errors
    /// [`Reason::VolumeExceeded`].
    pub fn affords(&self, usage: Usage, bytes: u64) -> Result<(), Reason> {
        let over = |used: u64, most: Option<u64>| most.is_some_and(|most| used.saturating_add(bytes) > most);
        let new = usage.new_host_bytes.is_some_and(|used| over(used, self.new_host_bytes));
        if new || over(usage.bytes, self.bytes) { Err(Reason::VolumeExceeded) } else { Ok(()) }
    }
}
