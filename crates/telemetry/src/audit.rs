//! JSON lines, written by a thread of their own so that a slow disk delays no request.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntCounter;
use serde::Serialize;

/// Lines that may wait for the disk; at about 500 bytes each, 4 MiB.
const WAITING: usize = 8192;
/// Bytes from which on a write takes no more lines.
const AT_ONCE: usize = 64 << 10;
/// Between two writes: a busy scanner then wakes the writer some hundred times a second, and not for each line.
const PACE: Duration = Duration::from_millis(2);

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

fn write(mut out: impl Write, waiting: &Receiver<Vec<u8>>, lost: &IntCounter) {
    write_on(&mut out, waiting, lost, false);
}

/// `torn`: the last thing written is a part of a line.
fn write_on(out: &mut impl Write, waiting: &Receiver<Vec<u8>>, lost: &IntCounter, mut torn: bool) {
    let mut lines = Vec::new();
    while let Ok(line) = waiting.recv() {
        lines.clear();
        // A part of a record that was lost is ended, so that the next one stands in a line of its own.
        lines.extend(torn.then_some(b'\n'));
        lines.extend(line);
        // What waits goes in one write; then it is in the file, not in a buffer.
        while lines.len() < AT_ONCE
            && let Ok(more) = waiting.try_recv()
        {
            lines.extend(more);
        }
        let (written, result) = write_what_goes(out, &lines);
        torn = if written == 0 { torn } else { lines.get(written - 1) != Some(&b'\n') };
        if let Err(error) = result {
            // Nothing of it is tried again: a record is in the file, or it is counted, and never both.
            let rest = lines.get(written..).unwrap_or_default();
            let ends = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
            // A first end alone is none of a record: all else of that one is in the file, or was lost and counted before.
            let records = ends - u64::from(rest.first() == Some(&b'\n'));
            lost.inc_by(records);
            tracing::error!(%error, lines = records, "audit records were lost");
        }
        std::thread::sleep(PACE);
    }
}

/// Writes as much as goes: how many bytes, and why not more.
fn write_what_goes(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match out.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, out.flush())
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

    /// A disk with room for so many bytes, again and again.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.holds.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_record_is_in_the_file_or_counted_and_never_both() {
        let mut disk = Disk { room: 0, holds: Vec::new() };
        let dropped = IntCounter::new("dropped", "x").unwrap();
        // Room for nothing, for a part of a line, for a line without its end, for a line and a part, and for all.
        let rooms = [0, 3, 0, 8, 0, 1, 9, 0, 15, 16, 100];
        for room in rooms {
            disk.room = room;
            let (lines, waiting) = sync_channel(8);
            for line in [b"{\"a\":1}\n", b"{\"b\":2}\n"] {
                lines.send(line.to_vec()).unwrap();
            }
            drop(lines);
            let torn = disk.holds.last().is_some_and(|last| *last != b'\n');
            write_on(&mut disk, &waiting, &dropped, torn);
        }
        let text = String::from_utf8(disk.holds).unwrap();
        let whole = text.lines().filter(|line| ["{\"a\":1}", "{\"b\":2}"].contains(line)).count();
        assert_eq!(whole as u64 + dropped.get(), 2 * rooms.len() as u64, "{text}");
        assert!(text.lines().all(|line| line.len() <= 7), "two records in one line: {text}");
    }
}
