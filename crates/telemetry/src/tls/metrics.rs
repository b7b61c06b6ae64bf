//! What is counted of TLS.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// How a handshake ended.
pub(crate) const HANDSHAKES: [&str; 5] = ["ok", "refused", "left", "timeout", "crowded"];

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// When our certificate ends.
    pub(crate) expiry: IntGauge,
    /// New sets of files, by result.
    pub(crate) reloads: IntCounterVec,
    /// Handshakes, by how they ended.
    pub(crate) handshakes: IntCounterVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counters = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &["result"]);
        let metrics = Metrics {
            expiry: IntGauge::new(
                "portcullis_tls_certificate_expiry_timestamp_seconds",
                "When the certificate that this service shows to its peers ends.",
            )?,
            reloads: counters("portcullis_tls_reloads_total", "Changed certificates that were read anew, by result.")?,
            handshakes: counters("portcullis_tls_handshakes_total", "TLS handshakes of peers, by how they ended.")?,
        };
        registry.register(Box::new(metrics.expiry.clone()))?;
        registry.register(Box::new(metrics.reloads.clone()))?;
        registry.register(Box::new(metrics.handshakes.clone()))?;
        // Known from the start, so that an alert sees the first increase.
        for result in ["ok", "error"] {
            metrics.reloads.with_label_values(&[result]).inc_by(0);
        }
        for result in HANDSHAKES {
            metrics.handshakes.with_label_values(&[result]).inc_by(0);
        }
        Ok(metrics)
    }
}
