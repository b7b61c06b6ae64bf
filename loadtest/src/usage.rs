//! Processor time and memory of processes, from /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_e2e::processes;

/// A process that is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// What it is: `envoy`, `scanner`, `certificates`, `floor`, `mitmproxy` or `generator`.
    pub(crate) role: &'static str,
    pub(crate) pid: u32,
}

impl Process {
    /// This process: generator and origin.
    pub(crate) fn generator() -> Self {
        Self { role: "generator", pid: std::process::id() }
    }

    /// User and system time of all its threads so far, those that have ended included.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).with_context(|| format!("{} is gone", self.role))?;
        ticks(&stat).map(|ticks| Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Resident memory now, bytes.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn resident(&self) -> Result<u64> {
        processes::memory(self.pid, "VmRSS")
    }
}

/// utime and stime, in ticks (proc_pid_stat(5)).
fn ticks(stat: &str) -> Result<u64> {
    // The name, in parentheses, may hold blanks and parentheses itself.
    let (_, rest) = stat.rsplit_once(") ").context("stat of a process")?;
    // The first here is field 3; utime and stime are fields 14 and 15.
    let times: Vec<u64> = rest.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(times.iter().sum())
}

/// Processor time of several processes between two moments.
#[derive(Debug)]
pub(crate) struct Meter {
    before: Vec<(Process, Duration)>,
}

impl Meter {
    /// Begins.
    ///
    /// # Errors
    /// A process is gone.
    pub(crate) fn start(processes: &[Process]) -> Result<Self> {
        let before = processes.iter().map(|process| Ok((process.clone(), process.cpu()?))).collect::<Result<_>>()?;
        Ok(Self { before })
    }

    /// What each has used since, in seconds.
    ///
    /// # Errors
    /// A process is gone.
    pub(crate) fn stop(&self) -> Result<Vec<(&'static str, f64)>> {
        self.before.iter().map(|(process, before)| Ok((process.role, process.cpu()?.saturating_sub(*before).as_secs_f64()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 3 4 20 0 1 0 100 1 1";
        assert_eq!(ticks(stat).unwrap(), 300);
        assert!(ticks("nothing").is_err());
    }

    #[test]
    fn a_process_that_computes_uses_time() {
        let me = Process::generator();
        let meter = Meter::start(std::slice::from_ref(&me)).unwrap();
        let mut sum = 0_u64;
        while meter.stop().unwrap()[0].1 < 0.02 {
            (0..1_000_000_u64).for_each(|n| sum = std::hint::black_box(sum ^ n));
        }
        assert!(me.resident().unwrap() > 0);
    }
}
