//! The parts as pods run them: `portcullis gateway` on the configuration of `envoy/`, scanners and a certificates service behind DNS names,
//! mutual TLS between them. Loopback addresses instead of pods, folders instead of mounts; all else is as in a cluster.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::gateway::binary;
use crate::{Client, Connection, Dns, Mount, Origin, PATIENCE, TestCa, admin, processes};

/// The configuration that clusters use.
const ENVOY: [(&str, &str); 3] = [
    ("envoy.yaml", include_str!("../../../envoy/envoy.yaml")),
    ("sds-identity.yaml", include_str!("../../../envoy/sds-identity.yaml")),
    ("sds-peers.yaml", include_str!("../../../envoy/sds-peers.yaml")),
];
/// The name of the outside world; it leads to the origin.
const NAME: &str = "sink.example.net";
const TICK: Duration = Duration::from_millis(25);
/// How long the last words of what has ended are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What pods are started with.
#[derive(Clone, Debug)]
pub struct PodsOptions {
    /// How many scanners.
    pub scanners: usize,
    /// Further arguments of `portcullis gateway`.
    pub gateway: Vec<String>,
    /// Further arguments of `portcullis scanner`; `{ip}` in them is the scanner's address.
    pub scanner: Vec<String>,
    /// More names of the outside world. Those that begin with a dot stand for every name below.
    pub names: Vec<String>,
    /// Further changes of the Envoy configuration: what stands there, and what shall.
    pub changes: Vec<(String, String)>,
}

impl Default for PodsOptions {
    fn default() -> Self {
        Self { scanners: 1, gateway: Vec::new(), scanner: Vec::new(), names: Vec::new(), changes: Vec::new() }
    }
}

/// A whole gateway of separate parts. Ends when dropped.
#[derive(Debug)]
pub struct Pods {
    /// The server outside, at `sink.example.net`.
    pub origin: Origin,
    /// The DNS server, for the outside and for the parts.
    pub dns: Dns,
    /// A client of the gateway.
    pub client: Client,
    /// `portcullis gateway`.
    pub gateway: Pod,
    /// The scanners, each with its address.
    pub scanners: Vec<(Ipv4Addr, Pod)>,
    /// The Secret of the gateway.
    pub identity: Mount,
    /// The CA of the parts.
    pub ca: TestCa,
    folder: tempfile::TempDir,
    certificates: Pod,
    certificates_ip: Ipv4Addr,
    options: PodsOptions,
}

impl Pods {
    /// Starts everything and waits until a request can be served.
    ///
    /// # Errors
    /// A part did not start; the error holds what it said.
    pub async fn start(options: &PodsOptions) -> Result<Self> {
        // Not in $TMPDIR, which may be too deep for the address of a socket.
        let folder = tempfile::Builder::new().prefix("pc-pods-").tempdir_in("/tmp")?;
        let at = |name: &str| folder.path().join(name);
        let (ca, outside) = (TestCa::new()?, TestCa::new()?);
        let names = || std::iter::once(NAME).chain(options.names.iter().map(String::as_str));
        let certified: Vec<String> = names().map(|name| if name.starts_with('.') { format!("*{name}") } else { name.to_owned() }).collect();
        let origin = Origin::start(&outside, &certified.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let dns = Dns::start(names().map(|name| (name, origin.ip()))).await?;
        fs::write(at("outside.pem"), outside.pem())?;
        fs::create_dir(at("run"))?;
        let certificates_ip = free_address(9002)?;
        secret(&at("certificates-tls"), &ca, "portcullis-certificates")?;
        let certificates = self::certificates(folder.path(), certificates_ip)?;
        dns.set("portcullis-certificates", certificates_ip);
        let identity = self::secret(&at("tls"), &ca, "portcullis-gateway")?;
        let mut scanners = Vec::new();
        for _ in 0..options.scanners {
            scanners.push(scanner(folder.path(), &ca, "portcullis-scanner", &options.scanner)?);
        }
        dns.set_all("portcullis-scanner", &scanners.iter().map(|(ip, _)| *ip).collect::<Vec<_>>());
        fs::create_dir(at("envoy"))?;
        for (name, text) in ENVOY {
            let text = if name == "envoy.yaml" { installed(text, dns.address(), &options.changes)? } else { text.to_owned() };
            fs::write(at("envoy").join(name), moved(&text, folder.path()))?;
        }
        let gateway = gateway(&at("envoy/envoy.yaml"), &options.gateway)?;
        // The address and the gateway's CA come to be in a moment.
        let nobody = Client::new(SocketAddr::from(([0, 0, 0, 0], 0)), outside.pem())?;
        let options = options.clone();
        let mut pods =
            Self { origin, dns, client: nobody, gateway, scanners, identity, ca, folder, certificates, certificates_ip, options };
        pods.become_ready().await?;
        Ok(pods)
    }

    /// Starts the gateway again, which has ended: a pod of a Deployment. It listens somewhere else then.
    ///
    /// # Errors
    /// It does not start; the error holds what it said.
    pub async fn restart_gateway(&mut self) -> Result<()> {
        self.gateway = gateway(&self.path("envoy/envoy.yaml"), &self.options.gateway)?;
        self.become_ready().await
    }

    /// Ends the certificates service and starts it again at its address; what the one before said. Returns once the gateway speaks to the new one.
    ///
    /// # Errors
    /// It does not end, or does not start; the error holds what it said.
    pub async fn restart_certificates(&mut self) -> Result<String> {
        self.certificates.terminate()?;
        self.certificates.ended(PATIENCE).await?;
        let said = self.certificates.said();
        self.certificates = certificates(self.folder.path(), self.certificates_ip)?;
        // The state of the connection before may still stand.
        self.wait_until("the certificates service is ready", async |pods| pods.certificates.said().contains("is ready")).await;
        self.wait_until("the gateway speaks to it", async |pods| pods.stat("control_plane.connected_state").await.is_ok_and(|n| n > 0))
            .await;
        Ok(said)
    }

    /// The process id of the certificates service.
    #[must_use]
    pub fn certificates_pid(&self) -> u32 {
        self.certificates.pid()
    }

    async fn become_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        while !self.is_ready().await {
            if begun.elapsed() > PATIENCE || self.gateway.has_ended() {
                bail!("the pods are not ready:\n{}", self.logs());
            }
            tokio::time::sleep(TICK).await;
        }
        let proxy = self.listener("proxy").await?;
        self.client = Client::new(proxy, &fs::read_to_string(self.path("ca/ca.pem"))?)?;
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        let scanners = self.stat("cluster.scanner.membership_healthy").await.is_ok_and(|n| n == self.scanners.len() as u64);
        scanners && self.stat("control_plane.connected_state").await.is_ok_and(|n| n > 0) && self.path("ca/ca.pem").is_file()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The sum of Envoy's statistics whose name contains `name`.
    ///
    /// # Errors
    /// The admin interface does not answer.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        admin::counter(&self.path("run/envoy-admin.sock"), name).await
    }

    /// How many requests each scanner has judged.
    ///
    /// # Errors
    /// One does not answer.
    pub async fn judged(&self) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for (ip, _) in &self.scanners {
            let page = metrics(*ip).await?;
            let counts = page.lines().filter(|line| line.starts_with("portcullis_requests_total{"));
            all.push(counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum());
        }
        Ok(all)
    }

    /// What the first scanner says at `/metrics`.
    ///
    /// # Errors
    /// It does not answer, or there is none.
    pub async fn metrics(&self) -> Result<String> {
        metrics(self.scanners.first().context("no scanner")?.0).await
    }

    /// What the scanner at this address says at `/metrics`, be it one that was taken out of [`Pods::scanners`].
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics_of(&self, scanner: Ipv4Addr) -> Result<String> {
        metrics(scanner).await
    }

    /// The address of a listener.
    ///
    /// # Errors
    /// Envoy does not answer, or has no such listener.
    pub async fn listener(&self, name: &str) -> Result<SocketAddr> {
        admin::listener(&self.path("run/envoy-admin.sock"), name).await
    }

    /// Starts one more scanner, which shows a certificate for this name, and tells DNS of it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn add_scanner(&mut self, name: &str) -> Result<()> {
        self.scanners.push(scanner(self.folder.path(), &self.ca, name, &self.options.scanner)?);
        self.tell_dns();
        Ok(())
    }

    /// Tells DNS which scanners there are.
    pub fn tell_dns(&self) {
        self.dns.set_all("portcullis-scanner", &self.scanners.iter().map(|(ip, _)| *ip).collect::<Vec<_>>());
    }

    /// Waits until something without an event of its own is so.
    ///
    /// # Panics
    /// It is not within [`PATIENCE`]; the text holds the logs.
    pub async fn wait_until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self).await {
            assert!(begun.elapsed() < PATIENCE, "waited {} s until {what}\n{}", PATIENCE.as_secs(), self.logs());
            tokio::time::sleep(TICK).await;
        }
    }

    /// What the parts said so far.
    #[must_use]
    pub fn logs(&self) -> String {
        let scanners: String = self.scanners.iter().map(|(ip, pod)| format!("== scanner {ip}\n{}", pod.said())).collect();
        format!("== gateway\n{}{scanners}== certificates\n{}", self.gateway.said(), self.certificates.said())
    }
}

/// A process of its own group. Ends when dropped, with all it started.
#[derive(Debug)]
pub struct Pod {
    child: Child,
    said: Arc<Mutex<String>>,
    /// What takes in what it says.
    listeners: Vec<JoinHandle<()>>,
}

impl Pod {
    /// Starts a command.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut pod = Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        if let Some(stdout) = pod.child.stdout.take() {
            pod.listeners.push(listen(stdout, Arc::clone(&pod.said)));
        }
        if let Some(stderr) = pod.child.stderr.take() {
            pod.listeners.push(listen(stderr, Arc::clone(&pod.said)));
        }
        Ok(pod)
    }

    /// As [`Pod::start`], but what it writes is appended to a file.
    pub(crate) fn start_logged(command: &mut Command, log: &Path) -> Result<Self> {
        let log = fs::File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        Self::spawn(command.stdout(log.try_clone()?).stderr(log))
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self { child, said: Arc::default(), listeners: Vec::new() })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output and standard error so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        processes::has_ended(self.pid())
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// It is gone.
    pub fn terminate(&self) -> Result<()> {
        processes::signal(self.pid(), Signal::TERM)
    }

    /// Kills it and waits until it is dead.
    ///
    /// # Errors
    /// It is gone, or does not die.
    pub fn kill(&self) -> Result<()> {
        processes::signal(self.pid(), Signal::KILL)?;
        processes::wait_for_end(self.pid(), PATIENCE)
    }

    /// Kills the process that this one started.
    ///
    /// # Errors
    /// There is none.
    pub fn kill_child(&self) -> Result<()> {
        processes::signal(self.child_pid()?, Signal::KILL)
    }

    /// The process that this one started.
    ///
    /// # Errors
    /// There is none.
    pub fn child_pid(&self) -> Result<u32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid()))?;
        children.split_whitespace().next().context("it has no child")?.parse().context("a process id")
    }

    /// Stops it in its tracks: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// It is gone.
    pub fn freeze(&self) -> Result<()> {
        processes::stop(self.pid(), PATIENCE)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// It is gone.
    pub fn thaw(&self) -> Result<()> {
        processes::signal(self.pid(), Signal::CONT)
    }

    /// Waits for its end, while the runtime goes on.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                // Its last words may be on their way still; something that it started may hold the other end for longer.
                let ended = Instant::now();
                while !self.listeners.iter().all(JoinHandle::is_finished) && ended.elapsed() < LAST_WORDS {
                    tokio::time::sleep(TICK).await;
                }
                return Ok(status);
            }
            if begun.elapsed() > within {
                bail!("it did not end within {} s:\n{}", within.as_secs(), self.said());
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Not yet waited for, the leader keeps its group's number from being used again.
        drop(processes::signal_group(self.pid(), Signal::KILL));
        drop(self.child.wait());
    }
}

fn listen(stream: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.push_str(&line);
            said.push('\n');
        }
    })
}

/// The Envoy that `tests/setup` installed, or `PORTCULLIS_ENVOY`.
///
/// # Errors
/// There is none.
pub fn envoy_binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("PORTCULLIS_ENVOY") {
        return Ok(given.into());
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).context("no HOME")?.join("portcullis");
    let installed = fs::read_dir(&cache).into_iter().flatten().flatten().map(|entry| entry.path().join("envoy"));
    installed.filter(|path| path.is_file()).max().with_context(|| format!("no Envoy in {}; run: bash tests/setup BINARY", cache.display()))
}

/// Has Envoy look at the configuration with `text` in the place of what stands between two markers.
///
/// # Errors
/// Envoy does not take it; the error holds what it said.
pub fn validate(marker: &str, text: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ca = TestCa::new()?;
    secret(&folder.path().join("tls"), &ca, "portcullis-gateway")?;
    fs::write(folder.path().join("outside.pem"), ca.pem())?;
    fs::create_dir(folder.path().join("envoy"))?;
    for (name, source) in ENVOY {
        let source = if name == "envoy.yaml" { between(source, marker, |_| format!("\n{text}\n"))? } else { source.to_owned() };
        let source = source.replace("/etc/ssl/certs/ca-certificates.crt", "/run/portcullis/../outside.pem");
        fs::write(folder.path().join("envoy").join(name), moved(&source, folder.path()))?;
    }
    fs::create_dir(folder.path().join("run"))?;
    let mut command = Command::new(envoy_binary()?);
    command.args(["--mode", "validate", "--disable-hot-restart", "--log-level", "warning", "--component-log-level", "misc:error", "-c"]);
    let output = command.arg(folder.path().join("envoy/envoy.yaml")).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The file with another text between two markers, as kustomize puts it there.
fn between(text: &str, marker: &str, new: impl FnOnce(&str) -> String) -> Result<String> {
    match text.split(marker).collect::<Vec<_>>()[..] {
        [before, old, after] => Ok([before, marker, &new(old), marker, after].concat()),
        _ => bail!("{marker} does not stand twice in the configuration"),
    }
}

/// The values of this installation: ports of the system's choice, the DNS server of the test, loopback as the outside.
fn installed(text: &str, dns: SocketAddr, changes: &[(String, String)]) -> Result<String> {
    let resolver = format!("{{socket_address: {{address: {}, port_value: {}}}}}", dns.ip(), dns.port());
    let text = between(text, "#@dns", |old| old.replace("[]", &format!("[{resolver}]")))?;
    let text = between(&text, "#@private-addresses", |old| {
        old.lines().filter(|line| !line.contains("address_prefix: 127.0.0.0,")).map(|line| format!("{line}\n")).collect()
    })?;
    let cares = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig";
    let own = format!(
        "dns_refresh_rate: 1s, typed_dns_resolver_config: {{name: envoy.network.dns_resolver.cares, typed_config: {{\"@type\": {cares}, \
         resolvers: [{resolver}]}}}}"
    );
    let fixed = [
        ("address: 0.0.0.0, port_value: 3128", "address: 127.0.0.1, port_value: 0"),
        ("address: 0.0.0.0, port_value: 9901", "address: 127.0.0.1, port_value: 0"),
        ("/etc/ssl/certs/ca-certificates.crt", "/run/portcullis/../outside.pem"),
        ("dns_refresh_rate: 1s", &own),
    ];
    let mut text = text;
    for (old, new) in fixed.into_iter().chain(changes.iter().map(|(old, new)| (old.as_str(), new.as_str()))) {
        if !text.contains(old) {
            bail!("the configuration has no `{old}`");
        }
        text = text.replace(old, new);
    }
    Ok(text)
}

/// The same with the folders of a pod below `folder`.
fn moved(text: &str, folder: &Path) -> String {
    let folder = folder.display();
    text.replace("/etc/portcullis/envoy", &format!("{folder}/envoy"))
        .replace("/run/secrets/portcullis/tls", &format!("{folder}/tls"))
        .replace("/run/portcullis", &format!("{folder}/run"))
}

/// A mounted Secret with the certificate of a part.
fn secret(folder: &Path, ca: &TestCa, name: &str) -> Result<Mount> {
    let (certificate, key) = ca.part(name)?;
    Mount::new(folder, &[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", ca.pem())])
}

/// The binary in the environment that the image gives it (`Dockerfile`).
fn image() -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.env("MIMALLOC_PURGE_DELAY", "0");
    Ok(command)
}

fn gateway(config: &Path, args: &[String]) -> Result<Pod> {
    let mut command = image()?;
    command.args(["gateway", "--concurrency", "2", "--config"]).arg(config).arg("--envoy").arg(envoy_binary()?).args(args);
    Pod::start(&mut command)
}

fn certificates(folder: &Path, ip: Ipv4Addr) -> Result<Pod> {
    let listen = format!("{ip}:9002");
    let mut command = image()?;
    command.args(["certificates", "--listen", &listen, "--tls-dir"]).arg(folder.join("certificates-tls"));
    command.arg("--ca-dir").arg(folder.join("ca")).arg("--system-roots").arg(folder.join("outside.pem"));
    Pod::start(&mut command)
}

async fn metrics(ip: Ipv4Addr) -> Result<String> {
    Ok(Connection::open(SocketAddr::from((ip, 9090))).await?.page("GET", "/metrics").await?.text())
}

fn scanner(folder: &Path, ca: &TestCa, name: &str, args: &[String]) -> Result<(Ipv4Addr, Pod)> {
    let ip = free_address(9001)?;
    let secret = secret(&folder.join(format!("scanner-{ip}")), ca, name)?;
    let (listen, metrics) = (format!("{ip}:9001"), format!("{ip}:9090"));
    let mut command = image()?;
    command.args(["scanner", "--listen", &listen, "--metrics-listen", &metrics, "--allow-private", "127.0.0.0/8", "--tls-dir"]);
    command.arg(secret.folder()).args(args.iter().map(|argument| argument.replace("{ip}", &ip.to_string())));
    Ok((ip, Pod::start(&mut command)?))
}

/// A loopback address on which nobody listens at this port. The address is the pod's own: there are sixteen million of them.
fn free_address(port: u16) -> Result<Ipv4Addr> {
    for _ in 0..100 {
        let [a, b, c] = rand::random::<[u8; 3]>();
        let ip = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
        if std::net::TcpListener::bind((ip, port)).is_ok() {
            return Ok(ip);
        }
    }
    bail!("no loopback address is free at port {port}")
}
