//! No more memory for a process, by the kernel: a control group where we may make one, or else the limit of its data segment (setrlimit(2)).
//! Beyond the one it is killed, beyond the other an allocation fails, on which a Rust program aborts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_e2e::PATIENCE;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// A limit that holds until the process has ended. The group goes when dropped.
pub(crate) enum Limit {
    Group(PathBuf),
    DataSegment,
}

impl Limit {
    /// From now on this process gets no more memory than it has.
    pub(crate) fn none_more(process: u32) -> Limit {
        if let Some(group) = group(process) {
            return Limit::Group(group);
        }
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process id");
        prlimit(Some(pid), Resource::Data, Rlimit { current: Some(0), maximum: Some(0) }).expect("a limit of a process of ours");
        Limit::DataSegment
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Limit::Group(folder) = self {
            // Empty once the process is reaped; a folder that stays is named after it.
            let begun = std::time::Instant::now();
            while fs::remove_dir(&*folder).is_err() && folder.exists() && begun.elapsed() < PATIENCE / 10 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Puts the process into a group of its own, below ours: pages it has stay with ours, the next ones count.
fn group(process: u32) -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let one = |controllers: &str| {
        groups.lines().find_map(|line| {
            let (named, path) = line.split_once(':')?.1.split_once(':')?;
            (named == controllers).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let (parent, limit) = match (one("memory"), one("")) {
        (Some(path), _) => (Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"),
        (None, Some(path)) => (Path::new("/sys/fs/cgroup").join(path), "memory.max"),
        (None, None) => return None,
    };
    let folder = parent.join(format!("portcullis-test-{process}"));
    fs::create_dir(&folder).ok()?;
    let made = fs::write(folder.join(limit), "4096").and_then(|()| fs::write(folder.join("cgroup.procs"), process.to_string()));
    if made.is_err() {
        // No right to, or a group that may have no groups below it.
        drop(Limit::Group(folder));
        return None;
    }
    Some(folder)
}
