//! The usual set of a test: origin, DNS, gateway, client. Its methods panic with what went wrong, as assertions do.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::fake::{FakeScanner, RunningFake};
use crate::gateway::{Gateway, GatewayOptions};
use crate::{Client, Dns, Origin, PATIENCE, Pod, Request, Response, TestCa, processes};

/// The names of the outside world: all lead to the origin, which has certificates for them, so that a refusal is ours.
/// Those that begin with a dot stand for every name below.
const NAMES: [&str; 9] = [
    "sink.example.net",
    ".sink.example.net",
    "api.github.com",
    "github.com",
    "api.anthropic.com",
    "api.openai.com",
    "pastebin.com",
    "sink.example.net.evil.test",
    WARM_UP,
];
/// The host of the request that proves a stack to work before a test begins.
const WARM_UP: &str = "warm-up.example.org";
/// How often a condition without an event of its own is looked at.
const TICK: Duration = Duration::from_millis(25);
/// The longest a tool may run.
const TOOL_WITHIN: Duration = Duration::from_secs(90);

/// Which private addresses the gateway lets through.
#[derive(Clone, Copy)]
enum Allow {
    Nothing,
    Origin,
    Loopback,
}

/// A whole little world. Ends when dropped.
#[derive(Debug)]
pub struct Stack {
    /// The server outside; every name leads to it.
    pub origin: Origin,
    /// The DNS server.
    pub dns: Dns,
    /// The gateway.
    pub gateway: Gateway,
    /// A client behind the gateway.
    pub client: Client,
}

impl Stack {
    /// Starts everything, with further arguments for `portcullis up`, and proves that a request passes.
    ///
    /// # Panics
    /// Something did not start; the text holds the logs.
    pub async fn start(args: &[&str]) -> Self {
        Self::start_with_names(args, &[]).await
    }

    /// As [`Stack::start`], with more names of the outside world.
    ///
    /// # Panics
    /// As [`Stack::start`].
    pub async fn start_with_names(args: &[&str], names: &[&str]) -> Self {
        Self::assemble(args, names, Allow::Loopback, None).await.proven().await
    }

    /// As [`Stack::start`], with further environment variables, and run by a program that makes the circumstances
    /// ([`GatewayOptions::under`]).
    ///
    /// # Panics
    /// As [`Stack::start`].
    pub async fn start_under(args: &[&str], environment: &[(&str, &str)], under: &[&str]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let around = GatewayOptions { environment, under: owned(under), ..GatewayOptions::default() };
        Self::assemble_in(around, args, &[], Allow::Loopback, None).await.proven().await
    }

    /// As [`Stack::start_with_names`], but of all loopback only the origin can be reached, as of all private addresses one mirror.
    ///
    /// # Panics
    /// As [`Stack::start`].
    pub async fn start_narrow(args: &[&str], names: &[&str]) -> Self {
        Self::assemble(args, names, Allow::Origin, None).await.proven().await
    }

    async fn proven(self) -> Self {
        let stack = self;
        let answer = stack.send(Request::get(&format!("https://{WARM_UP}/"))).await;
        assert_eq!(answer.status, 200, "the stack does not work: {}\n{}", answer.text(), stack.gateway.logs());
        stack.origin.forget();
        stack.dns.forget();
        stack
    }

    /// Starts everything and proves nothing: its own client may not be let in.
    ///
    /// # Panics
    /// Something did not start; the text holds the logs.
    pub async fn start_unproven(args: &[&str]) -> Self {
        Self::assemble(args, &[], Allow::Loopback, None).await
    }

    /// Starts everything, but loopback is private as in real life: no origin can be reached.
    ///
    /// # Panics
    /// As [`Stack::start`].
    pub async fn start_without_allowance(args: &[&str]) -> Self {
        Self::assemble(args, &[], Allow::Nothing, None).await
    }

    /// Starts everything, but the gateway trusts another CA than the origin's.
    ///
    /// # Panics
    /// As [`Stack::start`].
    pub async fn start_with_other_upstream_ca(args: &[&str]) -> Self {
        let other = checked(TestCa::new());
        Self::assemble(args, &[], Allow::Loopback, Some(&other)).await
    }

    async fn assemble(args: &[&str], more: &[&str], allow: Allow, trusted: Option<&TestCa>) -> Self {
        Self::assemble_in(GatewayOptions::default(), args, more, allow, trusted).await
    }

    async fn assemble_in(around: GatewayOptions, args: &[&str], more: &[&str], allow: Allow, trusted: Option<&TestCa>) -> Self {
        let ca = checked(TestCa::new());
        let names = || NAMES.iter().chain(more);
        let certified: Vec<String> =
            names().map(|name| if name.starts_with('.') { format!("*{name}") } else { (*name).to_owned() }).collect();
        let origin = checked(Origin::start(&ca, &certified.iter().map(String::as_str).collect::<Vec<_>>()).await);
        let dns = checked(Dns::start(names().map(|name| (*name, origin.ip()))).await);
        let options = GatewayOptions {
            dns: Some(dns.address()),
            upstream_ca: trusted.unwrap_or(&ca).pem().to_owned(),
            allow_upstream: match allow {
                Allow::Nothing => None,
                Allow::Origin => Some(format!("{}/32", origin.ip())),
                Allow::Loopback => Some("127.0.0.0/8".to_owned()),
            },
            args: owned(args),
            ..around
        };
        let started = tokio::task::spawn_blocking(move || Gateway::start(&options)).await;
        let gateway = checked(checked(started.context("start of the gateway")));
        let mut client = checked(gateway.ca_pem().and_then(|ca| Client::new(gateway.proxy(), &ca)));
        if let Some(credentials) = gateway.credentials() {
            client = client.with_credentials(credentials);
        }
        Self { origin, dns, gateway, client }
    }

    /// Sends a request through the gateway. Where no response came, the status is 0 and the body says why: a closed connection or a
    /// failed handshake is a refusal as well.
    pub async fn send(&self, request: Request) -> Response {
        let failed = |error: anyhow::Error| Response { body: format!("{error:#}").into_bytes(), ..Response::default() };
        self.client.send(&request).await.unwrap_or_else(failed)
    }

    /// A client of nobody in particular: it does not use the credentials that `up` printed.
    ///
    /// # Panics
    /// The gateway's CA cannot be read.
    #[must_use]
    pub fn stranger(&self) -> Client {
        checked(self.gateway.ca_pem().and_then(|ca| Client::new(self.gateway.proxy(), &ca)))
    }

    /// Makes a token for a sandbox, and waits until the gateway knows it: the token's id, the token, and a client that uses it.
    ///
    /// # Panics
    /// The token cannot be made, or is not known in time.
    pub async fn sandbox(&self, name: &str) -> (String, String, Client) {
        let token = checked(self.gateway.portcullis(&["sandbox", "token", "add", name])).trim().to_owned();
        let list = checked(self.gateway.portcullis(&["sandbox", "token", "list"]));
        let id = list.lines().rev().find(|line| line.contains(name)).and_then(|line| line.split_whitespace().next());
        let client = self.stranger().with_credentials(&format!("{name}:{token}"));
        let known = async || client.send(&Request::get("http://127.0.0.2/")).await.is_ok_and(|answer| answer.status != 407);
        self.wait_until("the gateway knows a new token", known).await;
        (id.unwrap_or_default().to_owned(), token, client)
    }

    /// Sends a request through the gateway.
    ///
    /// # Errors
    /// No response came.
    pub async fn try_send(&self, request: Request) -> Result<Response> {
        self.client.send(&request).await
    }

    /// Opens a tunnel to port 443 of a host, sends these bytes, and gives what comes back until the tunnel is closed.
    ///
    /// # Panics
    /// There is no tunnel, or it is not closed within [`PATIENCE`].
    pub async fn raw_tunnel(&self, host: &str, bytes: &[u8]) -> Vec<u8> {
        let mut tunnel = checked(self.client.tunnel(&format!("{host}:443")).await);
        checked(tunnel.send(bytes).await);
        checked(tunnel.read_to_end().await)
    }

    /// The URL for a tool. Origins listen on the usual ports, so it is the URL itself.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        url.to_owned()
    }

    /// Runs a tool with the environment that `up` printed.
    ///
    /// # Panics
    /// It cannot be run, or does not end within 90 s.
    pub async fn run(&self, command: &[String]) -> Output {
        let (program, args) = command.split_first().expect("a command");
        let mut command = tokio::process::Command::new(program);
        command.args(args).envs(self.gateway.environment().iter().cloned()).env("GIT_TERMINAL_PROMPT", "0");
        let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(TOOL_WITHIN, running).await;
        checked(checked(output.with_context(|| format!("{program} did not end"))).with_context(|| format!("cannot run {program}")))
    }

    /// Stops a part in its tracks: it keeps its connections and answers nothing.
    ///
    /// # Panics
    /// The part is not running.
    pub fn freeze(&self, role: &str) {
        checked(processes::stop(self.pid(role), PATIENCE));
    }

    /// Lets a frozen part go on.
    ///
    /// # Panics
    /// The part is not running.
    pub fn thaw(&self, role: &str) {
        checked(processes::signal(self.pid(role), Signal::CONT));
    }

    /// From now on, nobody starts a dead part again: `up` itself is frozen.
    ///
    /// # Panics
    /// `up` is not running.
    pub fn without_supervision(&self) -> &Self {
        self.freeze("up");
        self
    }

    /// Kills a part and waits until it is dead.
    ///
    /// # Panics
    /// The part is not running.
    pub fn kill(&self, role: &str) {
        let pid = self.pid(role);
        checked(processes::signal(pid, Signal::KILL));
        checked(processes::wait_for_end(pid, PATIENCE));
    }

    /// Asks a part to end.
    ///
    /// # Panics
    /// The part is not running.
    pub fn terminate(&self, role: &str) {
        checked(processes::signal(self.pid(role), Signal::TERM));
    }

    /// Waits until a part has ended.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`].
    pub fn wait_for_end(&self, role: &str) {
        checked(processes::wait_for_end(self.pid(role), PATIENCE));
    }

    /// The command line of a part, for [`Stack::start_again`].
    ///
    /// # Panics
    /// The part is not running.
    #[must_use]
    pub fn command(&self, role: &str) -> Vec<OsString> {
        checked(processes::command(self.pid(role)))
    }

    /// Starts a part that is dead with the command line it had, in the place of `up`, which takes longer each time: it must be without
    /// supervision.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start_again(&self, role: &str, command: &[OsString]) -> Pod {
        let (program, args) = command.split_first().expect("a command line");
        let log = self.gateway.state_dir().join("log").join(format!("{role}.log"));
        let pod = checked(Pod::start_logged(Command::new(program).args(args), &log));
        checked(self.gateway.take_over(role, pod.pid()));
        pod
    }

    /// The process id of a part: `envoy`, `scanner`, `certificates` or `up`.
    ///
    /// # Panics
    /// The part has no pid file.
    #[must_use]
    pub fn pid(&self, role: &str) -> u32 {
        checked(self.gateway.pid_of(role))
    }

    /// The memory of a part now, in bytes.
    ///
    /// # Panics
    /// The part is not running.
    #[must_use]
    pub fn rss(&self, role: &str) -> u64 {
        checked(processes::memory(self.pid(role), "VmRSS"))
    }

    /// The most memory a part ever had, in bytes.
    ///
    /// # Panics
    /// The part is not running.
    #[must_use]
    pub fn peak_rss(&self, role: &str) -> u64 {
        checked(processes::memory(self.pid(role), "VmHWM"))
    }

    /// Puts a scanner that misbehaves in the place of the real one, which must be dead, and waits until Envoy holds it healthy.
    ///
    /// # Panics
    /// It cannot listen, or Envoy does not find it.
    pub async fn fake_scanner(&self, fake: FakeScanner) -> RunningFake {
        let running = checked(fake.listen(&self.gateway.socket("scanner")));
        self.scanner_is_found().await;
        running
    }

    /// Waits until Envoy has asked whoever is the scanner now for its health, and holds it healthy.
    ///
    /// # Panics
    /// It does not find it.
    pub async fn scanner_is_found(&self) {
        // The health of the one before may still stand: a new answer counts.
        let answers = async || self.gateway.counter("cluster.scanner.health_check.success").await.unwrap_or(u64::MAX);
        let before = answers().await;
        let healthy = async || {
            let members = self.gateway.counter("cluster.scanner.membership_healthy").await;
            answers().await > before && members.is_ok_and(|members| members > 0)
        };
        self.wait_until("Envoy finds the scanner", healthy).await;
    }

    /// The sum of Envoy's statistics whose name contains `name`.
    ///
    /// # Panics
    /// The admin interface does not answer.
    #[must_use]
    pub fn envoy_counter(&self, name: &str) -> u64 {
        // On a thread of its own, since the test's runtime must not be entered twice.
        let ask = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.gateway.counter(name))
        };
        let asked = std::thread::scope(|scope| scope.spawn(ask).join());
        checked(asked.unwrap_or_else(|_| bail!("the question to the admin interface panicked")))
    }

    /// Waits until something without an event of its own is so.
    ///
    /// # Panics
    /// It is not within [`PATIENCE`]; the text holds the logs.
    pub async fn wait_until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let mut ticks = tokio::time::interval(TICK);
        let waiting = async {
            while !condition().await {
                ticks.tick().await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("waited {} s until {what}\n{}", PATIENCE.as_secs(), self.gateway.logs());
        }
    }

    /// Asserts that nothing the gateway wrote down so far holds the secret. The text of the panic does not hold it either.
    ///
    /// # Panics
    /// Something does.
    pub fn assert_no_log_holds(&self, secret: &str) {
        checked(no_line_holds(&self.gateway.logs(), secret));
    }
}

fn no_line_holds(logs: &str, secret: &str) -> Result<()> {
    assert!(!secret.is_empty(), "an empty secret is in every log");
    let mut file = "";
    for line in logs.lines() {
        file = line.strip_prefix("== ").unwrap_or(file);
        if line.contains(secret) {
            bail!("{file} holds the secret: {}", line.replace(secret, "<THE SECRET>"));
        }
    }
    Ok(())
}

/// Where `tests/setup` puts a tool, beside the build, if the machine lacks it.
///
/// # Panics
/// The test does not know where it is itself.
#[must_use]
pub fn client_tool_path(path: &str) -> PathBuf {
    let build = checked(crate::gateway::build());
    build.parent().unwrap_or(&build).join("clients").join(path)
}

/// The path of a tool that `tests/setup` installed beside the build.
///
/// # Panics
/// It is not there; the text says how to get it.
#[must_use]
pub fn client_tool(path: &str) -> String {
    let tool = client_tool_path(path);
    assert!(tool.exists(), "{} is missing; run: bash tests/setup", tool.display());
    tool.display().to_string()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The value, or a panic with the whole chain of causes.
#[track_caller]
fn checked<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::no_line_holds;

    #[test]
    fn a_secret_in_a_log_is_told_with_its_file_but_not_repeated() {
        let error = no_line_holds("== a.log\nfine\n== b.log\nkey=sesame;", "sesame").unwrap_err().to_string();
        assert!(error.starts_with("b.log") && !error.contains("sesame"), "{error}");
        no_line_holds("== a.log\nfine", "sesame").unwrap();
    }
}
