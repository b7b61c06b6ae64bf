//! How to run the service, and what bounds it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use prometheus::Registry;
use telemetry::Address;

use crate::{Load, SharedState};

/// What bounds the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way, over all gateways. One sandbox may have eight times as many as are free: alone eight ninths of
    /// them.
    pub streams: usize,
    /// Long scans at a time; sandboxes take turns.
    pub turns: usize,
    /// Long bodies of one sandbox that are taken in at a time.
    pub bodies: usize,
    /// How long a message may wait for a turn, and for its body to be taken in; then the request is refused as `overloaded`. Less than the time
    /// within which Envoy wants an answer (`message_timeout` in `envoy/envoy.yaml`).
    pub turn_wait: Duration,
    /// Calls of the Scan API under way; more are refused.
    pub api_calls: usize,
    /// Bytes of one message of the Scan API.
    pub api_message_bytes: usize,
    /// How long a call of the Scan API may take to be answered.
    pub api_timeout: Duration,
    /// What the report cache weighs at most: one a report, one more a finding.
    pub cache_entries: u64,
    /// How long open requests are waited for when the service ends.
    pub drain: Duration,
    /// How long new requests are still served when the service is told to end, while health and readiness say already that it will: who
    /// sends them may learn of it late.
    pub lame_duck: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Limits {
            streams: 20_000,
            turns: cores,
            // Enough to keep all cores busy while some of them are under way to here.
            bodies: 4 * cores,
            turn_wait: Duration::from_secs(3),
            api_calls: 64,
            api_message_bytes: 16 << 20,
            api_timeout: Duration::from_secs(30),
            cache_entries: 100_000,
            drain: Duration::from_secs(5),
            lame_duck: Duration::ZERO,
        }
    }
}

/// Mutual TLS on the TCP listeners.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The folder of `tls.crt`, `tls.key` and `ca.crt`, read again when they change.
    pub dir: PathBuf,
    /// The DNS names of which the gateway's certificate must have one.
    pub peers: Vec<String>,
    /// The same, of clients of the Scan API.
    pub api_peers: Vec<String>,
}

/// How to run the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Envoy finds the external processor.
    pub listen: Address,
    /// Where the Scan API is; `None`: nowhere.
    pub api_listen: Option<Address>,
    /// Mutual TLS; `None`: none.
    pub tls: Option<TlsConfig>,
    /// Where `/metrics`, `/healthz` and `/readyz` are; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The audit log (`-`: standard output); `None`: none.
    pub audit: Option<PathBuf>,
    /// Reads policy and detectors.
    pub load: Load,
    /// Files whose change means reading them anew.
    pub watch: Vec<PathBuf>,
    /// The name of all that nobody else is, by token or address.
    pub sandbox: String,
    /// The file of the sandboxes' tokens, read again when it changes; `None`: there are none.
    pub tokens: Option<PathBuf>,
    /// The server that counts are shared through with other scanners; `None`: this one counts for itself.
    pub shared_state: Option<SharedState>,
    /// What bounds the service.
    pub limits: Limits,
    /// Where the metrics are registered.
    pub registry: Registry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_in_vain_is_told_before_envoy_gives_up() {
        let envoy = include_str!("../../../envoy/envoy.yaml");
        let timeouts: Vec<u64> =
            envoy.lines().filter_map(|line| line.trim().strip_prefix("message_timeout: ")?.strip_suffix('s')?.parse().ok()).collect();
        let [timeout] = timeouts[..] else { panic!("one for all: {timeouts:?}") };
        // A second for the way there and back under load.
        assert!(Limits::default().turn_wait + Duration::from_secs(1) <= Duration::from_secs(timeout));
    }
}
