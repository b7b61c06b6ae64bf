//! Processes by their pid: signals, memory, whether they are gone. Only processes this harness started are ever named.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

fn pid(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).with_context(|| format!("{pid} is not a process id"))
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, signal: Signal) -> Result<()> {
    kill_process(pid(process)?, signal).with_context(|| format!("signal to process {process}"))
}

/// Sends a signal to a process group; one that is empty already is no error.
pub(crate) fn signal_group(leader: u32, signal: Signal) -> Result<()> {
    match kill_process_group(pid(leader)?, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("signal to process group {leader}")),
    }
}

/// Stops a process, and waits until each of its threads stands still: on a busy machine some go on for milliseconds after the signal.
pub(crate) fn stop(process: u32, within: Duration) -> Result<()> {
    signal(process, Signal::STOP)?;
    let begun = Instant::now();
    let stands = || {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        // A thread that has ended meanwhile stands as well.
        threads.into_iter().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
        })
    };
    while !stands() {
        if begun.elapsed() > within {
            bail!("process {process} did not stop within {} s", within.as_secs());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The command line of a process.
pub(crate) fn command(process: u32) -> Result<Vec<OsString>> {
    let bytes = fs::read(format!("/proc/{process}/cmdline")).with_context(|| format!("process {process}"))?;
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Ok(words.map(|word| OsStr::from_bytes(word).to_owned()).collect())
}

/// Whether a process has ended; a zombie has.
#[must_use]
pub fn has_ended(process: u32) -> bool {
    // The state follows the name, which is in parentheses and may hold any (proc_pid_stat(5)).
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Waits until a process has ended.
pub(crate) fn wait_for_end(process: u32, within: Duration) -> Result<()> {
    let begun = Instant::now();
    while !has_ended(process) {
        if begun.elapsed() > within {
            bail!("process {process} did not end within {} s", within.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A field of `/proc/<pid>/status` that is a size (`VmRSS`, `VmHWM`), in bytes.
///
/// # Errors
/// The process is gone, or has no such field.
pub fn memory(process: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).with_context(|| format!("process {process}"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).with_context(|| format!("{field} of {process}"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("a size in kB")?;
    Ok(kib * 1024)
}
