//! What is counted. No label ever holds a name that a sandbox asked for.

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
        Ok(metrics)
    }
}
