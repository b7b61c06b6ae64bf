//! The three processes of a gateway on one machine: started, watched, restarted, stopped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::net;

use super::Cidr;
use super::envoy_config::{self, Values};
use crate::config_files;
use crate::envoy::{self, admin::Admin};
use crate::out;
use crate::process;
use crate::sandbox_cmd::Store;
use crate::signals::Signals;

/// What a stack is made of.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) envoy: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<super::envoy_config::Tls>,
    pub(crate) fail_open: bool,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) rules: Vec<PathBuf>,
    pub(crate) known: Vec<PathBuf>,
    pub(crate) allow_upstream: Vec<Cidr>,
    pub(crate) dns: Option<SocketAddr>,
    pub(crate) upstream_ca: Option<PathBuf>,
    pub(crate) otlp: Option<String>,
}

/// How often processes are looked after.
const TICK: Duration = Duration::from_millis(100);
/// A process that dies is started again after this, doubling up to [`BACKOFF_MAX`].
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long processes may take to end by themselves.
const GRACE: Duration = Duration::from_secs(5);

/// One process that is kept alive.
#[derive(Debug)]
struct Part {
    role: &'static str,
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    pid_file: PathBuf,
    child: Option<Child>,
    died: Option<Instant>,
    backoff: Duration,
}

/// How long the allocator keeps what is free, in milliseconds: a second, if nobody says. A push of 200 MiB then leaves the scanner 250 MiB
/// larger rather than 40, and nothing was seen to be faster for it.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

impl Part {
    fn spawn(&mut self) -> Result<()> {
        let log =
            File::options().create(true).append(true).open(&self.log).with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::new(&self.program);
        if std::env::var_os(PURGE_DELAY).is_none() {
            command.env(PURGE_DELAY, "0");
        }
        let child = command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        fs::write(&self.pid_file, child.id().to_string())?;
        self.child = Some(child);
        self.died = None;
        Ok(())
    }

    /// Whether the process has ended; its exit is noted once.
    fn poll(&mut self) -> Result<bool> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            out::error(&format!("{} ended ({status}); see {}", self.role, self.log.display()));
            self.child = None;
            self.died = Some(Instant::now());
        }
        Ok(self.child.is_none())
    }

    /// Starts the process again when its time has come.
    fn revive(&mut self) -> Result<()> {
        if self.poll()? && self.died.is_none_or(|at| at.elapsed() >= self.backoff) {
            self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
            self.spawn()?;
        }
        Ok(())
    }
}

/// A running gateway. Dropping it stops its processes.
#[derive(Debug)]
pub(crate) struct Stack {
    parts: Vec<Part>,
    state: PathBuf,
    admin: Admin,
    metrics: Reserved,
    certificates_metrics: Reserved,
    scan_api: Reserved,
    /// Holds the sockets when the state folder's path is too long for a socket address.
    _sockets: Option<tempfile::TempDir>,
}

impl Stack {
    /// Starts certificates, scanner and Envoy.
    ///
    /// # Errors
    /// When files cannot be written or a program cannot be started.
    pub(crate) fn start(state: &Path, settings: &Settings) -> Result<Stack> {
        let [run, log, ca] = ["run", "log", "ca"].map(|name| state.join(name));
        for dir in [&run, &log, &ca] {
            config_files::private_dir(dir)?;
        }
        process::stop_leftover(&run.join("envoy.pid"), state);
        let (sockets, keep) = socket_dir(&run)?;
        let roots =
            settings.upstream_ca.clone().map_or_else(certificates::find_system_roots, Ok).context(
                "no CA certificates found on this system (Debian: apt-get install ca-certificates); --upstream-ca FILE names some",
            )?;
        let values = Values {
            listen: settings.listen,
            tls: settings.tls.clone(),
            admin: sockets.join("admin.sock"),
            status: sockets.join("status.sock"),
            access_log: log.join("access.log"),
            scanner: sockets.join("scanner.sock"),
            certificates: sockets.join("certificates.sock"),
            fail_open: settings.fail_open,
            dns: settings.dns,
            allow_upstream: settings.allow_upstream.clone(),
            upstream_ca: fs::canonicalize(&roots).with_context(|| format!("cannot read {}", roots.display()))?,
        };
        let config = run.join("envoy.json");
        fs::write(&config, envoy_config::render(&values)?)?;
        config_files::fingerprint_key(&state.join("fingerprint.key"))?;
        let (metrics, certificates_metrics, scan_api) = (Reserved::port()?, Reserved::port()?, Reserved::port()?);
        let me = std::env::current_exe().context("cannot find this program's own file")?;
        let part = |role, program: &Path, args| Part {
            role,
            program: program.to_path_buf(),
            args,
            log: log.join(format!("{role}.log")),
            pid_file: run.join(format!("{role}.pid")),
            child: None,
            died: None,
            backoff: BACKOFF,
        };
        let parts = vec![
            part("certificates", &me, certificates_args(&values, &ca, certificates_metrics.address)),
            part("scanner", &me, scanner_args(&values, settings, state, metrics.address, scan_api.address)),
            part("envoy", &settings.envoy, envoy_args(&config)),
        ];
        let admin = Admin::new(values.admin);
        let mut stack = Stack { parts, state: state.to_path_buf(), admin, metrics, certificates_metrics, scan_api, _sockets: keep };
        for part in &mut stack.parts {
            part.spawn()?;
        }
        Ok(stack)
    }

    /// Waits until a request can be served, and returns where the proxy listens.
    ///
    /// # Errors
    /// When a process ends, time runs out, or a signal comes; the text names the log to read.
    pub(crate) fn wait_ready(&mut self, within: Duration, signals: &Signals) -> Result<SocketAddr> {
        let begun = Instant::now();
        loop {
            if self.admin.ready()
                && self.bundle().is_file()
                && let Some(address) = self.admin.listener("proxy")
            {
                return Ok(address);
            }
            for part in &mut self.parts {
                if part.poll()? {
                    bail!("{} did not start: {}", part.role, last_line(&part.log));
                }
            }
            if signals.received() {
                bail!("stopped before it was ready");
            }
            if begun.elapsed() > within {
                bail!("not ready after {} s; see the logs in {}", within.as_secs(), self.logs().display());
            }
            std::thread::sleep(TICK / 2);
        }
    }

    /// Keeps the processes alive until a signal comes.
    ///
    /// # Errors
    /// When a process cannot be started again.
    pub(crate) fn supervise(&mut self, signals: &Signals) -> Result<()> {
        while !signals.received() {
            self.parts.iter_mut().try_for_each(Part::revive)?;
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// Keeps the processes alive until `child` ends, and returns its exit code.
    ///
    /// # Errors
    /// When a process cannot be started again, or the child cannot be waited for.
    pub(crate) fn supervise_with(&mut self, signals: &Signals, mut child: Child) -> Result<u8> {
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(process::exit_code(status));
            }
            if signals.received() && !told {
                process::terminate(child.id());
                told = true;
            }
            self.parts.iter_mut().try_for_each(Part::revive)?;
            std::thread::sleep(TICK / 2);
        }
    }

    /// The system's roots and our CA in one file.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.state.join("ca").join("bundle.pem")
    }

    /// Where the logs are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.state.join("log")
    }

    /// Where the scanner's metrics are served.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.metrics.address
    }

    /// Where the metrics of the certificates service are served.
    pub(crate) fn certificates_metrics(&self) -> SocketAddr {
        self.certificates_metrics.address
    }

    /// Where the Scan API is served.
    pub(crate) fn scan_api(&self) -> SocketAddr {
        self.scan_api.address
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Envoy first: nothing new comes in while the others finish.
        let mut children: Vec<(Child, &Path)> = Vec::new();
        for part in self.parts.iter_mut().rev() {
            if let Some(child) = part.child.take() {
                process::terminate(child.id());
                children.push((child, &part.pid_file));
            }
        }
        let begun = Instant::now();
        for (mut child, pid_file) in children {
            while begun.elapsed() < GRACE && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(TICK / 5);
            }
            // Both may fail only because the process is gone already.
            drop(child.kill());
            drop(child.wait());
            drop(fs::remove_file(pid_file));
        }
    }
}

/// A socket address holds about 100 bytes; a state folder deeper than that gets its sockets in a folder of their own.
fn socket_dir(run: &Path) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    if run.as_os_str().len() < 80 {
        return Ok((run.to_path_buf(), None));
    }
    let dir = tempfile::Builder::new().prefix("portcullis-").tempdir()?;
    Ok((dir.path().to_path_buf(), Some(dir)))
}

/// A port on loopback that is kept for a service of ours. It is bound here and never listened on: with `SO_REUSEADDR` on both sides the
/// service can listen on it, again after a restart too, and the system gives it to nobody else meanwhile.
#[derive(Debug)]
struct Reserved {
    address: SocketAddr,
    _bound: OwnedFd,
}

impl Reserved {
    fn port() -> Result<Reserved> {
        let bound = net::socket_with(net::AddressFamily::INET, net::SocketType::STREAM, net::SocketFlags::CLOEXEC, None)?;
        net::sockopt::set_socket_reuseaddr(&bound, true)?;
        net::bind(&bound, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = SocketAddr::try_from(net::getsockname(&bound)?)?;
        Ok(Reserved { address, _bound: bound })
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn certificates_args(values: &Values, ca: &Path, metrics: SocketAddr) -> Vec<String> {
    [
        "certificates",
        "--listen",
        &format!("unix:{}", text(&values.certificates)),
        "--ca-dir",
        &text(ca),
        "--system-roots",
        &text(&values.upstream_ca),
        "--metrics-listen",
        &metrics.to_string(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn scanner_args(values: &Values, settings: &Settings, state: &Path, metrics: SocketAddr, scan_api: SocketAddr) -> Vec<String> {
    let mut args = [
        "scanner",
        "--listen",
        &format!("unix:{}", text(&values.scanner)),
        "--api-listen",
        &scan_api.to_string(),
        "--metrics-listen",
        &metrics.to_string(),
        "--audit",
        &text(&state.join("log").join("audit.jsonl")),
        "--fingerprint-key",
        &text(&state.join("fingerprint.key")),
        "--tokens",
        &text(&Store::path_in(state)),
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
    if let Some(policy) = &settings.policy {
        add("--policy", text(policy));
    }
    for rules in &settings.rules {
        add("--rules", text(rules));
    }
    for known in &settings.known {
        add("--known", text(known));
    }
    if let Some(otlp) = &settings.otlp {
        add("--otlp", otlp.clone());
    }
    for range in &settings.allow_upstream {
        add("--allow-private", range.to_string());
    }
    args
}

fn envoy_args(config: &Path) -> Vec<String> {
    ["-c", &text(config), "--drain-time-s", "5"].into_iter().chain(envoy::ARGS).map(str::to_owned).collect()
}

/// The last line of a log that says something.
fn last_line(log: &Path) -> String {
    let text = fs::read(log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    text.lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .map_or_else(|| format!("see {}", log.display()), |l| l.trim().chars().take(500).collect())
}
