//! New policy and detectors while the service runs.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use inspect::{Inspector, Snapshot};
use telemetry::Watch;

use crate::Metrics;
use crate::metrics::Files;

/// Reads policy and detectors anew. What it fails with is logged: it must not quote the files.
#[derive(Clone)]
pub struct Load(Arc<dyn Fn() -> anyhow::Result<Snapshot> + Send + Sync>);

impl Load {
    /// Wraps a function that reads the files.
    pub fn new(load: impl Fn() -> anyhow::Result<Snapshot> + Send + Sync + 'static) -> Load {
        Load(Arc::new(load))
    }

    pub(crate) fn load(&self) -> anyhow::Result<Snapshot> {
        (self.0)()
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Load(..)")
    }
}

/// Watches `files` until the watch is dropped. A change is taken as a whole or not at all: a bad file keeps what was before.
///
/// # Errors
/// A folder cannot be watched.
pub(crate) fn watch(files: &[PathBuf], load: Load, inspector: Inspector, metrics: Arc<Metrics>) -> io::Result<Watch> {
    Watch::files(files, None, move || {
        let before = inspector.snapshot();
        match load.load() {
            Ok(snapshot) if snapshot.policy.id() == before.policy.id() && snapshot.engine.id() == before.engine.id() => {
                metrics.unchanged(Files::Policy);
            }
            Ok(snapshot) => {
                inspector.reload(snapshot);
                metrics.loaded_now();
                metrics.reloaded(Files::Policy, true);
                tracing::info!("policy and detectors were loaded anew");
            }
            Err(error) => {
                metrics.reloaded(Files::Policy, false);
                tracing::error!(error = format!("{error:#}"), "the new policy or detectors are wrong; the old ones stay");
            }
        }
    })
}
