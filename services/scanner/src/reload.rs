//! New policy and detectors while the service runs.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use inspect::{Inspector, Snapshot};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

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

/// Editors and mounted volumes write in several steps: this long after the last one all is read.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches `files` until the watcher is dropped. A change is taken as a whole or not at all: a bad file keeps what was before.
///
/// # Errors
/// A folder cannot be watched.
pub(crate) fn watch(files: &[PathBuf], load: Load, inspector: Inspector, metrics: Arc<Metrics>) -> notify::Result<RecommendedWatcher> {
    changes(files, move || {
        let before = inspector.snapshot();
        match load.load() {
            Ok(snapshot) if snapshot.policy.id() == before.policy.id() && snapshot.engine.id() == before.engine.id() => {
                metrics.unchanged(Files::Policy);
            }
            Ok(snapshot) => {
                inspector.reload(snapshot);
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

/// Calls `changed` a little after each change of `files`, until the watcher is dropped.
///
/// # Errors
/// A folder cannot be watched.
pub(crate) fn changes(files: &[PathBuf], mut changed: impl FnMut() + Send + 'static) -> notify::Result<RecommendedWatcher> {
    let (tell, told) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is no change; anything else may be one. Nobody listens any more: nothing to tell.
        if event.is_ok_and(|e| !e.kind.is_access()) {
            let _told = tell.send(());
        }
    })?;
    // Folders, not files: a file that is replaced is another file, and Kubernetes swaps a symbolic link beside it.
    let folders: BTreeSet<&Path> =
        files.iter().filter_map(|f| f.parent()).map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }).collect();
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    let follow = move || {
        while told.recv().is_ok() {
            while told.recv_timeout(SETTLE).is_ok() {}
            changed();
        }
    };
    std::thread::Builder::new().name("reload".to_owned()).spawn(follow).map_err(notify::Error::io)?;
    Ok(watcher)
}
