//! Stopping processes by their pid, politely.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};

/// Asks a process to end. It may be gone already, which is what was wanted.
pub(crate) fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _gone = kill_process(pid, Signal::TERM);
    }
}

/// Stops an Envoy that a killed `up` left behind: the process of the pid file, if its command line names our state folder.
pub(crate) fn stop_leftover(pid_file: &Path, state: &Path) {
    let Some(pid) = fs::read_to_string(pid_file).ok().and_then(|t| t.trim().parse::<u32>().ok()) else { return };
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return };
    let needle = state.as_os_str().as_encoded_bytes();
    if !needle.is_empty() && command.windows(needle.len()).any(|w| w == needle) {
        terminate(pid);
    }
}

/// The exit code of a child, 128 + signal as shells say it.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
