//! Files that change while a service runs.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Editors and mounted volumes write in several steps: this long after the last one all is read.
const SETTLE: Duration = Duration::from_millis(200);
/// Who never stops writing is not waited for any longer than this.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Looks after files until dropped.
#[derive(Debug)]
#[must_use = "files are watched until it is dropped"]
pub struct Watch {
    _watcher: Option<RecommendedWatcher>,
    /// Keeps a watch alive that only looks from time to time.
    _alive: Sender<()>,
}

impl Watch {
    /// Calls `changed` a little after each change of `files`, and every `poll` besides: where the system gives no notice (a folder that is
    /// replaced as a whole, a node out of inotify instances), looking from time to time is enough.
    ///
    /// # Errors
    /// A folder cannot be watched, and there is no `poll` to fall back on.
    pub fn files(files: &[PathBuf], poll: Option<Duration>, changed: impl FnMut() + Send + 'static) -> io::Result<Watch> {
        let (tell, told) = channel();
        let watcher = match notice(files, tell.clone()) {
            Ok(watcher) => Some(watcher),
            Err(error) if poll.is_some() => {
                tracing::warn!(%error, "the system gives no notice of changed files; they are looked at from time to time");
                None
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        std::thread::Builder::new().name("reload".to_owned()).spawn(move || follow(&told, poll, changed))?;
        Ok(Watch { _watcher: watcher, _alive: tell })
    }
}

fn notice(files: &[PathBuf], tell: Sender<()>) -> notify::Result<RecommendedWatcher> {
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
    Ok(watcher)
}

fn follow(told: &Receiver<()>, poll: Option<Duration>, mut changed: impl FnMut()) {
    loop {
        let waited = match poll {
            Some(every) => told.recv_timeout(every),
            None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match waited {
            Ok(()) => {
                let begun = Instant::now();
                while begun.elapsed() < SETTLE_MAX && told.recv_timeout(SETTLE).is_ok() {}
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn several_writes_are_one_change_and_a_dropped_watch_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "1").unwrap();
        let (saw, seen) = channel();
        let watch = Watch::files(std::slice::from_ref(&file), None, move || saw.send(()).unwrap()).unwrap();
        (0..5).for_each(|n| std::fs::write(&file, n.to_string()).unwrap());
        seen.recv_timeout(PATIENCE).unwrap();
        assert_eq!(seen.recv_timeout(2 * SETTLE), Err(RecvTimeoutError::Timeout), "the writes came together");
        drop(watch);
        assert_eq!(seen.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected), "the thread has ended");
    }

    #[test]
    fn without_notice_files_are_looked_at_from_time_to_time_or_it_is_an_error() {
        let nowhere = [PathBuf::from("/no/such/folder/file")];
        assert!(Watch::files(&nowhere, None, || {}).is_err());
        let (saw, seen) = channel();
        // Whether somebody still listens makes no difference.
        let _watch = Watch::files(&nowhere, Some(Duration::from_millis(10)), move || _ = saw.send(())).unwrap();
        (0..3).for_each(|_| seen.recv_timeout(PATIENCE).unwrap());
    }
}
