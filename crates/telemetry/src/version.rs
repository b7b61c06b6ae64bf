//! Which version runs.

use prometheus::{IntGauge, Opts, Registry};

/// Registers `portcullis_build_info{version}`, which is always 1: replicas of several versions are several series.
///
/// # Errors
/// The name is taken.
pub fn build_info(registry: &Registry) -> Result<(), prometheus::Error> {
    let opts = Opts::new("portcullis_build_info", "The version of Portcullis that runs here.");
    let info = IntGauge::with_opts(opts.const_label("version", env!("CARGO_PKG_VERSION")))?;
    info.set(1);
    registry.register(Box::new(info))
}
