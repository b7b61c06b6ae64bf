//! What the process uses of the machine, and what it may use: the `process_*` series that every Prometheus client library has, and two of
//! ours for the bounds. So a dashboard needs nothing but this endpoint to say how full a pod is.
//!
//! Linux tells it in `/proc` and `/sys/fs/cgroup`; what another system does not tell is left out.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge};

/// The unit of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that we build for.
const TICKS_A_SECOND: f64 = 100.0;

/// Reads what is asked for when it is asked for.
#[derive(Debug)]
pub(crate) struct Process {
    cpu: Counter,
    resident: IntGauge,
    files: IntGauge,
    most_files: IntGauge,
    started: Gauge,
    cpus: Gauge,
    memory: IntGauge,
}

impl Process {
    pub(crate) fn new() -> Result<Process, prometheus::Error> {
        let started = Gauge::new("process_start_time_seconds", "When the service began, in seconds since the Unix epoch.")?;
        started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        Ok(Process {
            cpu: Counter::new("process_cpu_seconds_total", "CPU time used, user and system.")?,
            resident: IntGauge::new("process_resident_memory_bytes", "Memory in use.")?,
            files: IntGauge::new("process_open_fds", "File descriptors in use.")?,
            most_files: IntGauge::new("process_max_fds", "File descriptors that may be in use.")?,
            started,
            cpus: Gauge::new("portcullis_process_cpus", "CPUs that the process may use: the quota of its container, or the machine's.")?,
            memory: IntGauge::new(
                "portcullis_process_memory_limit_bytes",
                "Memory that the process may use: the limit of its container, or the machine's.",
            )?,
        })
    }

    fn families(&self) -> Vec<Option<Vec<MetricFamily>>> {
        let gauge = |gauge: &IntGauge, value: Option<i64>| {
            gauge.set(value?);
            Some(gauge.collect())
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let cpu = cpu_seconds(&stat).map(|now| {
            self.cpu.inc_by((now - self.cpu.get()).max(0.0));
            self.cpu.collect()
        });
        let files = fs::read_dir("/proc/self/fd").ok().and_then(|all| i64::try_from(all.count()).ok());
        let cpus = cpus().map(|n| {
            self.cpus.set(n);
            self.cpus.collect()
        });
        vec![
            cpu,
            gauge(&self.resident, kilobytes(&status, "VmRSS:")),
            gauge(&self.files, files),
            gauge(&self.most_files, most_files(&limits)),
            Some(self.started.collect()),
            cpus,
            gauge(&self.memory, memory_limit()),
        ]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.resident, &self.files, &self.most_files, &self.memory];
        let floats = self.started.desc().into_iter().chain(self.cpus.desc());
        self.cpu.desc().into_iter().chain(floats).chain(gauges.into_iter().flat_map(Collector::desc)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families().into_iter().flatten().flatten().collect()
    }
}

/// User and system time of `/proc/PID/stat`: the 14th and 15th field, counted behind the program's name, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_A_SECOND)
}

/// The value of a line `name 123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<i64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

/// The soft limit of `Max open files  1024  4096  files`; `unlimited` is none.
fn most_files(limits: &str) -> Option<i64> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

/// The quota of the container's cgroup, which need not be whole, or the machine's.
fn cpus() -> Option<f64> {
    let container = fs::read_to_string("/sys/fs/cgroup/cpu.max").ok();
    #[expect(clippy::cast_precision_loss, reason = "nobody has that many")]
    let machine = || std::thread::available_parallelism().ok().map(|n| n.get() as f64);
    container.as_deref().and_then(quota).or_else(machine)
}

/// `150000 100000`: so many microseconds of so many; `max 100000` is no quota.
fn quota(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then_some(quota / period)
}

/// The limit of the container's cgroup (version 2, seen as the root from within), or what the machine has.
fn memory_limit() -> Option<i64> {
    let machine = || kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:");
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    container.and_then(|text| text.trim().parse().ok()).or_else(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_confuses_nothing() {
        let stat = "7 (a) b ((c) R 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 5 0 99 1000 200";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (cut"), None);
    }

    #[test]
    fn units_are_bytes_and_what_is_unlimited_is_left_out() {
        assert_eq!(kilobytes("VmSize:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 << 10));
        assert_eq!(kilobytes("VmRSS: 12\n", "VmRSS:"), None);
        assert_eq!(quota("150000 100000\n"), Some(1.5));
        assert_eq!(quota("max 100000\n"), None);
        assert_eq!(
            most_files("Limit  Soft  Hard\nMax open files            1024                 4096                 files\n"),
            Some(1024)
        );
        assert_eq!(most_files("Max open files            unlimited            unlimited            files\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn work_shows_as_cpu_time_and_memory_is_below_its_limit() {
        let process = Process::new().expect("metrics");
        process.families();
        let (before, begun) = (process.cpu.get(), std::time::Instant::now());
        let mut sum = 0_u64;
        while process.cpu.get() - before < 0.02 {
            assert!(begun.elapsed().as_secs() < 20, "no CPU time was told");
            sum = (0..1_000_000_u64).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(n)));
            process.families();
        }
        assert!(0 < process.resident.get() && process.resident.get() < process.memory.get());
        assert!(0 < process.files.get() && process.files.get() <= process.most_files.get());
        assert!(process.cpus.get() > 0.0);
    }
}
