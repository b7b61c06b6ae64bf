//! The real binary with a real Envoy, as a person would start it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::connection::Connection;
use crate::{admin, processes};

/// `up` gives its parts 30 s to become ready; the first start may install Envoy before that.
const START_WITHIN: Duration = Duration::from_secs(150);
/// `up` gives its parts 5 s to end.
const END_WITHIN: Duration = Duration::from_secs(10);

/// What a gateway is started with.
#[derive(Clone, Debug, Default)]
pub struct GatewayOptions {
    /// The DNS server.
    pub dns: Option<SocketAddr>,
    /// The CA of upstreams, PEM.
    pub upstream_ca: String,
    /// A range taken out of the private-address filter.
    pub allow_upstream: Option<String>,
    /// Further arguments of `portcullis up`.
    pub args: Vec<String>,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
    /// A program, with its arguments, that runs the command line it is given after them, in circumstances of its making. It is told the state
    /// folder as `$STATE`.
    pub under: Vec<String>,
}

/// A running gateway with a state folder of its own. Ends, with all its processes, when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    state: tempfile::TempDir,
    environment: Vec<(String, String)>,
    proxy: SocketAddr,
    credentials: Option<String>,
    output: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts the gateway and waits until it says it is ready. Blocks.
    ///
    /// # Errors
    /// The binary is not built, or it did not become ready; the error holds what it said.
    pub fn start(options: &GatewayOptions) -> Result<Self> {
        let mut command = match options.under.split_first() {
            None => Command::new(binary()?),
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(binary()?);
                command
            }
        };
        Self::start_with(&mut command, options)
    }

    fn start_with(command: &mut Command, options: &GatewayOptions) -> Result<Self> {
        // Not in $TMPDIR, which may be too deep for the address of a socket.
        let state = tempfile::Builder::new().prefix("pc-e2e-").tempdir_in("/tmp")?;
        let upstream_ca = state.path().join("upstream-ca.pem");
        fs::write(&upstream_ca, &options.upstream_ca)?;
        command.args(["up", "--listen", "127.0.0.1:0", "--state-dir"]).arg(state.path()).arg("--upstream-ca").arg(&upstream_ca);
        if let Some(dns) = options.dns {
            command.args(["--dns", &dns.to_string()]);
        }
        if let Some(range) = &options.allow_upstream {
            command.args(["--allow-upstream", range]);
        }
        if let Some(envoy) = std::env::var_os("PORTCULLIS_ENVOY")
            && !options.args.iter().any(|argument| argument == "--envoy")
        {
            command.arg("--envoy").arg(envoy);
        }
        // A group of its own, so that nothing it started can be left behind.
        command.env("STATE", state.path()).envs(options.environment.iter().cloned());
        command.args(&options.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let output = Arc::new(Mutex::new(String::new()));
        let (lines, received) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, Arc::clone(&output), Some(lines));
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Arc::clone(&output), None);
        }
        // Made first, so that an early return ends the processes too.
        let mut gateway =
            Self { child, state, environment: Vec::new(), proxy: SocketAddr::from(([0, 0, 0, 0], 0)), credentials: None, output };
        gateway.read_exports(&received)?;
        let url = gateway.variable("HTTPS_PROXY").context("no HTTPS_PROXY in what `up` printed")?.to_owned();
        let (credentials, address) = split_proxy(&url);
        gateway.proxy = address.parse().context("no address in HTTPS_PROXY")?;
        gateway.credentials = credentials.map(str::to_owned);
        Ok(gateway)
    }

    /// Reads standard output up to the line `# ready`.
    fn read_exports(&mut self, lines: &Receiver<String>) -> Result<()> {
        let begun = Instant::now();
        loop {
            match lines.recv_timeout(START_WITHIN.saturating_sub(begun.elapsed())) {
                Ok(line) if line == "# ready" => return Ok(()),
                Ok(line) => {
                    if let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
                        self.environment.push((name.to_owned(), unquote(value)));
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("the gateway is not ready after {} s:\n{}", START_WITHIN.as_secs(), self.logs()),
                Err(RecvTimeoutError::Disconnected) => bail!("the gateway ended before it was ready:\n{}", self.logs()),
            }
        }
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn proxy(&self) -> SocketAddr {
        self.proxy
    }

    /// `NAME:TOKEN`, where `up` printed them in the proxy's URL.
    #[must_use]
    pub fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// Runs `portcullis` with these arguments and this gateway's state folder, and gives what it wrote to standard output. Blocks.
    ///
    /// # Errors
    /// It cannot be run, or fails; the error holds what it said.
    pub fn portcullis(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(binary()?).args(args).arg("--state-dir").arg(self.state_dir()).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("portcullis {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What the scanner says at `/metrics`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let output = self.output();
        let (_, after) = output.split_once("metrics: http://").context("no address of the metrics in what `up` printed")?;
        let (address, _) = after.split_once("/metrics").context("no address of the metrics in what `up` printed")?;
        Ok(Connection::open(address.parse()?).await?.page("GET", "/metrics").await?.text())
    }

    /// Where the Scan API listens, as `up` printed it.
    ///
    /// # Errors
    /// It printed nothing of the kind.
    pub fn scan_api(&self) -> Result<String> {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, after) = output.split_once("Scan API: http://").context("no address of the Scan API in what `up` printed")?;
        Ok(after.split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// The state folder.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// The environment that `up` printed.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The certificate of the gateway's CA, PEM.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ca_pem(&self) -> Result<String> {
        fs::read_to_string(self.state_dir().join("ca/ca.pem")).context("CA of the gateway")
    }

    /// The bundle of trusted roots that tools are told to use.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.state_dir().join("ca/bundle.pem")
    }

    /// A socket in the run folder: `admin`, `scanner` or `certificates`.
    #[must_use]
    pub fn socket(&self, name: &str) -> PathBuf {
        self.state_dir().join("run").join(format!("{name}.sock"))
    }

    /// The process id of a part: `envoy`, `scanner`, `certificates`, or `up` itself.
    ///
    /// # Errors
    /// The part has no pid file.
    pub fn pid_of(&self, role: &str) -> Result<u32> {
        if role == "up" {
            return Ok(self.child.id());
        }
        let path = self.state_dir().join("run").join(format!("{role}.pid"));
        fs::read_to_string(&path).with_context(|| path.display().to_string())?.trim().parse().with_context(|| path.display().to_string())
    }

    /// From now on this process is the part.
    pub(crate) fn take_over(&self, role: &str, process: u32) -> Result<()> {
        let path = self.state_dir().join("run").join(format!("{role}.pid"));
        fs::write(&path, process.to_string()).with_context(|| path.display().to_string())
    }

    /// Asks Envoy's admin interface, and gives the body of the answer.
    ///
    /// # Errors
    /// It does not answer 200.
    pub async fn admin(&self, path: &str) -> Result<String> {
        admin::get(&self.socket("admin"), path).await
    }

    /// The sum of all statistics of Envoy whose name contains `name`.
    ///
    /// # Errors
    /// The admin interface does not answer.
    pub async fn counter(&self, name: &str) -> Result<u64> {
        admin::counter(&self.socket("admin"), name).await
    }

    /// What `up` wrote to standard output and standard error so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything it wrote down: its output, and every file of the state folder but the keys of the CA.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut all = format!("== output\n{}", self.output());
        let mut folders = vec![self.state_dir().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && entry.file_name() != "ca" => folders.push(path),
                    Ok(kind) if kind.is_file() && path.extension().is_none_or(|extension| extension != "key") => {
                        // A file may go away while we look; what is gone holds nothing.
                        let bytes = fs::read(&path).unwrap_or_default();
                        all.push_str(&format!("== {}\n{}\n", path.display(), String::from_utf8_lossy(&bytes)));
                    }
                    _ => {}
                }
            }
        }
        all
    }

    /// Asks the gateway to end, and gives its exit status and logs.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(mut self) -> Result<(ExitStatus, String)> {
        processes::signal_group(self.child.id(), Signal::CONT)?;
        processes::signal(self.child.id(), Signal::TERM)?;
        processes::wait_for_end(self.child.id(), END_WITHIN)?;
        let logs = self.logs();
        Ok((self.child.wait()?, logs))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let leader = self.child.id();
            // Parts may be frozen by a test. None of this can fail but for processes that are gone.
            drop(processes::signal_group(leader, Signal::CONT));
            drop(processes::signal(leader, Signal::TERM));
            drop(processes::wait_for_end(leader, END_WITHIN));
            // Not yet waited for, the leader keeps its group's number from being used again.
            drop(processes::signal_group(leader, Signal::KILL));
            drop(self.child.wait());
        }
    }
}

/// Collects what a process writes, and hands on each line.
fn collect(stream: impl Read + Send + 'static, output: Arc<Mutex<String>>, lines: Option<mpsc::Sender<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_str(&line);
            output.push('\n');
            drop(output);
            if let Some(lines) = &lines {
                // Nobody listens after the start.
                drop(lines.send(line));
            }
        }
    });
}

/// The folder of the build that this program is of: `target/<profile>`. Tests lie in its `deps`.
pub(crate) fn build() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("the test has no folder")?;
    Ok(if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned())
}

/// The binary beside the test.
///
/// # Errors
/// It is not built.
pub fn binary() -> Result<PathBuf> {
    let path = build()?.join("portcullis");
    if !path.is_file() {
        bail!("{} is not built; run: cargo build -p portcullis", path.display());
    }
    Ok(path)
}

/// Credentials and address of a proxy's URL.
fn split_proxy(url: &str) -> (Option<&str>, &str) {
    let rest = url.trim_start_matches("http://").trim_start_matches("https://");
    rest.rsplit_once('@').map_or((None, rest), |(credentials, address)| (Some(credentials), address))
}

/// Undoes the quoting of a POSIX shell, as far as `up` uses it: single quotes and escaped characters.
fn unquote(value: &str) -> String {
    let (mut plain, mut quoted, mut characters) = (String::new(), false, value.chars());
    while let Some(character) = characters.next() {
        match character {
            '\'' => quoted = !quoted,
            '\\' if !quoted => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a script in the place of the binary; `$5` is the state folder (`up --listen ADDR --state-dir DIR`).
    fn start(script: &str) -> Result<Gateway> {
        let folder = tempfile::tempdir()?;
        let binary = folder.path().join("portcullis");
        fs::write(&binary, script)?;
        let started = Gateway::start_with(Command::new("/bin/sh").arg(&binary), &GatewayOptions::default());
        folder.close()?;
        started
    }

    const READY: &str = r##"
        mkdir "$5/run"; sleep 300 & echo $! > "$5/run/scanner.pid"
        echo "export HTTPS_PROXY=http://127.0.0.1:4242"; echo "export SSL_CERT_FILE='/a b'"; echo "# ready"; echo "to stderr" >&2
    "##;

    #[test]
    fn what_is_printed_before_ready_is_understood() {
        let gateway = start(&format!("{READY} wait")).unwrap();
        assert_eq!(gateway.proxy(), SocketAddr::from(([127, 0, 0, 1], 4242)));
        assert_eq!(gateway.environment()[1], ("SSL_CERT_FILE".to_owned(), "/a b".to_owned()));
        assert!(gateway.state_dir().join("upstream-ca.pem").is_file());
    }

    #[test]
    fn nothing_is_left_of_a_gateway_whose_parts_are_frozen_and_which_heeds_no_signal_for_its_children() {
        let gateway = start(&format!("{READY} wait")).unwrap();
        let part = gateway.pid_of("scanner").unwrap();
        processes::signal(part, Signal::STOP).unwrap();
        processes::signal(gateway.pid_of("up").unwrap(), Signal::STOP).unwrap();
        assert!(!processes::has_ended(part) && processes::memory(part, "VmRSS").unwrap() > 0);
        drop(gateway);
        processes::wait_for_end(part, crate::PATIENCE).unwrap();
    }

    #[test]
    fn a_gateway_that_does_not_start_says_why() {
        let error = start("echo no such policy >&2; exit 2").unwrap_err().to_string();
        assert!(error.contains("ended before it was ready"), "{error}");
    }

    #[test]
    fn quotes_of_the_shell_are_undone() {
        assert_eq!(unquote("plain"), "plain");
        assert_eq!(unquote(r"'/home/a b/it'\''s.pem'"), "/home/a b/it's.pem");
    }
}
