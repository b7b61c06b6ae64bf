//! JSON lines, written by a thread of their own so that a slow disk delays no request.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use prometheus::IntCounter;
use serde::Serialize;

/// Lines that may wait for the disk; at about 500 bytes each, 4 MiB.
const WAITING: usize = 8192;

/// Why records cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the audit log {path}: {source}")]
pub struct AuditError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// Takes records; clones write to the same file.
#[derive(Debug, Clone)]
pub struct AuditSink {
    lines: SyncSender<Vec<u8>>,
    dropped: IntCounter,
}

impl AuditSink {
    /// Opens `path` (`-`: standard output) for appending, with mode 0600. `dropped` counts records that found no room or no disk. Join the
    /// thread after the last clone of the sink is gone.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, dropped: IntCounter) -> Result<(AuditSink, JoinHandle<()>), AuditError> {
        let failed = |source| AuditError { path: path.to_path_buf(), source };
        let out: Box<dyn Write + Send> = if path.as_os_str() == "-" {
            Box::new(io::stdout())
        } else {
            Box::new(File::options().create(true).append(true).mode(0o600).open(path).map_err(failed)?)
        };
        let (lines, waiting) = sync_channel(WAITING);
        let lost = dropped.clone();
        let writer = std::thread::Builder::new().name("audit".to_owned()).spawn(move || write(out, &waiting, &lost)).map_err(failed)?;
        Ok((AuditSink { lines, dropped }, writer))
    }

    /// Takes a record. Never waits: where there is no room it is dropped and counted.
    pub fn record(&self, record: &impl Serialize) {
        let sent = serde_json::to_vec(record).ok().map(|mut line| {
            line.push(b'\n');
            match self.lines.try_send(line) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            }
        });
        if sent != Some(true) {
            self.dropped.inc();
        }
    }
}

fn write(out: Box<dyn Write + Send>, waiting: &Receiver<Vec<u8>>, lost: &IntCounter) {
    let mut out = BufWriter::new(out);
    while let Ok(line) = waiting.recv() {
        // What waits goes in one write; then it is in the file, not in a buffer.
        let mut lines = 1;
        let mut result = out.write_all(&line);
        while let (Ok(()), Ok(more)) = (&result, waiting.try_recv()) {
            result = out.write_all(&more);
            lines += 1;
        }
        if let Err(error) = result.and_then(|()| out.flush()) {
            lost.inc_by(lines);
            tracing::error!(%error, lines, "audit records were lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn records_are_lines_of_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let dropped = IntCounter::new("dropped", "x").unwrap();
        let (sink, writer) = AuditSink::open(&path, dropped.clone()).unwrap();
        (0..100).for_each(|n| sink.record(&serde_json::json!({"n": n})));
        drop(sink);
        writer.join().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count() as u64 + dropped.get(), 100);
        assert!(text.starts_with("{\"n\":0}\n"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(AuditSink::open(&dir.path().join("no/such"), dropped).is_err());
    }
}
