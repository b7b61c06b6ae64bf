//! This process's memory, and stopping others by their pid, politely.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result};
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, Signal, getrlimit, kill_process, set_dumpable_behavior, setrlimit};

/// What services hold in memory (requests in clear, keys) is never written to a core file, nor read by other processes of the same user
/// (core(5), `PR_SET_DUMPABLE` of prctl(2)). The limit holds for what is started from here too, Envoy above all; the flag does not outlive
/// an exec, which is why there is a limit as well.
///
/// # Errors
/// The system does not let us.
pub(crate) fn keep_memory_private() -> Result<()> {
    let limit = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    setrlimit(Resource::Core, limit).context("cannot switch core files off")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("cannot keep the memory of this process private")
}

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

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn memory_goes_to_no_core_file_and_to_no_other_process() {
        keep_memory_private().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
