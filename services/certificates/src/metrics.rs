//! What is counted. No label ever holds a name that a sandbox asked for.

use std::time::SystemTime;

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::name::NameError;

/// The metrics of the service.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Leaves signed.
    pub minted: IntCounter,
    /// Names refused, by reason; the reasons are those of [`crate::name::NameError`], `type` and `mint`.
    pub refused: IntCounterVec,
    /// Names taken back from an Envoy to keep its memory bounded.
    pub evicted: IntCounter,
    /// Replies that Envoy rejected.
    pub rejected: IntCounter,
    /// Leaves pushed before they ended.
    pub renewed: IntCounter,
    /// Names subscribed to, over all streams.
    pub active: IntGauge,
    /// Open ADS streams.
    pub streams: IntGauge,
    /// When the CA ends.
    pub ca_expiry: IntGauge,
    /// New CAs, by result.
    pub ca_reloads: IntCounterVec,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// One of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            minted: IntCounter::new("portcullis_certificates_minted_total", "Leaf certificates signed.")?,
            refused: IntCounterVec::new(
                Opts::new("portcullis_certificates_refused_total", "Server names refused a certificate, by reason."),
                &["reason"],
            )?,
            evicted: IntCounter::new("portcullis_certificates_evicted_total", "Server names taken back from an Envoy.")?,
            rejected: IntCounter::new("portcullis_certificates_rejected_total", "Replies that an Envoy rejected.")?,
            renewed: IntCounter::new("portcullis_certificates_renewed_total", "Leaf certificates pushed before they ended.")?,
            active: IntGauge::new("portcullis_certificates_active", "Server names subscribed to, over all streams.")?,
            streams: IntGauge::new("portcullis_certificates_ads_streams", "Open ADS streams.")?,
            ca_expiry: IntGauge::new("portcullis_certificates_ca_expiry_timestamp_seconds", "When the CA that signs leaves ends.")?,
            ca_reloads: IntCounterVec::new(
                Opts::new("portcullis_certificates_ca_reloads_total", "Changed CAs that were read anew, by result."),
                &["result"],
            )?,
        };
        for counter in [&metrics.minted, &metrics.evicted, &metrics.rejected, &metrics.renewed] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.active.clone()))?;
        registry.register(Box::new(metrics.streams.clone()))?;
        // There from the start: Prometheus sees no increase in a series that begins with its first event.
        let names = NameError::ALL.map(|error| error.to_string());
        for reason in names.iter().map(String::as_str).chain(["mint", "type"]) {
            metrics.refused.with_label_values(&[reason]);
        }
        registry.register(Box::new(metrics.ca_expiry.clone()))?;
        registry.register(Box::new(metrics.ca_reloads.clone()))?;
        // Known from the start, so that an alert sees the first increase.
        for result in ["ok", "error"] {
            metrics.ca_reloads.with_label_values(&[result]).inc_by(0);
        }
        Ok(metrics)
    }
}

/// A moment as Prometheus writes it.
pub(crate) fn seconds(moment: SystemTime) -> i64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}
