//! A container: a program in a file system of its own, as a user of its own, without capabilities, made by bubblewrap.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::environment::{environment, expand};
use super::{GRACE, probes, volumes};
use crate::image::Image;
use crate::objects::{Container, Handler, Lifecycle, PodSpec};
use crate::state::{Ended, PodId, Shared, folder, log};

/// How long bubblewrap may take to start a program.
const START_WITHIN: Duration = Duration::from_secs(20);
/// The first wait before a container is started again, and the longest. Kubernetes takes 10 s and 5 min.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Where a container finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// As much of the end of its output as tells why a container ended (Kubernetes: 2048 bytes, 80 lines).
const MESSAGE: u64 = 2048;

/// A program that runs in a container.
#[derive(Debug)]
pub(crate) struct Going {
    child: Child,
    pid: u32,
}

/// Runs a container, and again as the policy (`Always`, `OnFailure`, `Never`) says, until the pod has to end. Gives its last exit code.
pub(super) async fn run(
    shared: &Arc<Shared>,
    id: &PodId,
    spec: &PodSpec,
    container: &Container,
    policy: &str,
    mut end: watch::Receiver<Option<Duration>>,
) -> Result<i32> {
    let mut back_off = Duration::ZERO;
    loop {
        let file = log(id, &container.name);
        let from = fs::metadata(&file).map_or(0, |file| file.len());
        let begun = Instant::now();
        let mut going = start(shared, id, spec, container).await?;
        probes::set(shared, id, &container.name, |state| state.pid = Some(going.pid));
        let address = shared.state().pods.get(id).and_then(|pod| Some(pod.wire.as_ref()?.v4)).context("a pod without address")?;
        let (status, told) = tokio::select! {
            status = going.child.wait() => (status?, false),
            why = probes::ask(shared, id, container, address) => {
                note(&file, &format!("killed: {why}"))?;
                (stop(&mut going, spec.termination_grace_period_seconds.unwrap_or(GRACE)).await?, false)
            }
            grace = told(&mut end) => (finish(shared, id, spec, container, &mut going, grace).await?, true),
        };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        let ended = Ended { code, message: message(&file, from)? };
        probes::set(shared, id, &container.name, |state| {
            (state.pid, state.ready, state.started, state.last) = (None, false, false, Some(ended));
        });
        if told || policy == "Never" || policy == "OnFailure" && code == 0 {
            return Ok(code);
        }
        // One that ran for a while begins anew.
        back_off = if begun.elapsed() > BACK_OFF.1 { Duration::ZERO } else { back_off };
        tokio::select! {
            () = sleep(back_off) => {}
            _ = told_to_end(&mut end) => return Ok(code),
        }
        back_off = (back_off * 2).clamp(BACK_OFF.0, BACK_OFF.1);
        probes::set(shared, id, &container.name, |state| state.restarts += 1);
    }
}

async fn told(end: &mut watch::Receiver<Option<Duration>>) -> Duration {
    told_to_end(end).await
}

async fn told_to_end(end: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match end.wait_for(Option::is_some).await {
        Ok(grace) => grace.unwrap_or_default(),
        // The pod was taken out of the state: nobody waits for it.
        Err(_) => Duration::ZERO,
    }
}

async fn start(shared: &Arc<Shared>, id: &PodId, spec: &PodSpec, container: &Container) -> Result<Going> {
    let info = folder(id).join(format!("{}.info", container.name));
    let mut command = command(shared, id, spec, container, Run { argv: None, info: &info })?;
    let output = File::options().create(true).append(true).open(log(id, &container.name))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Going::new(command, &info).await
}

impl Going {
    /// Starts a command made by [`command`], and finds its first process.
    async fn new(mut command: Command, info: &Path) -> Result<Self> {
        let mut child = command.spawn().context("cannot run bubblewrap")?;
        let begun = Instant::now();
        let pid = loop {
            // `{"child-pid": 123, …}`, written as soon as there is one.
            let said: Option<serde_json::Value> = fs::read(info).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(pid) = said.and_then(|said| u32::try_from(said.get("child-pid")?.as_u64()?).ok()) {
                break pid;
            }
            if begun.elapsed() > START_WITHIN || child.try_wait()?.is_some() {
                break 0;
            }
            sleep(Duration::from_millis(2)).await;
        };
        fs::remove_file(info).or_else(|error| if pid == 0 { Ok(()) } else { Err(error) })?;
        Ok(Self { child, pid })
    }

    fn signal(&self, signal: Signal) {
        // One that has ended needs no signal. Its number is not given again before bubblewrap, which waits for it, was waited for.
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _gone = kill_process(pid, signal);
        }
    }
}

/// Tells a program to end, and kills it if it does not in so many seconds.
async fn stop(going: &mut Going, grace: u64) -> Result<ExitStatus> {
    going.signal(Signal::TERM);
    if let Ok(status) = timeout(Duration::from_secs(grace), going.child.wait()).await {
        return Ok(status?);
    }
    going.signal(Signal::KILL);
    Ok(going.child.wait().await?)
}

/// Ends a container with its pod: what is to happen before, then the signal, all within the grace.
async fn finish(
    shared: &Arc<Shared>,
    id: &PodId,
    spec: &PodSpec,
    container: &Container,
    going: &mut Going,
    grace: Duration,
) -> Result<ExitStatus> {
    let begun = Instant::now();
    let Lifecycle { pre_stop } = &container.lifecycle;
    if let Some(handler) = pre_stop {
        let before = async {
            match handler {
                Handler { sleep: Some(wait), exec: None } => sleep(Duration::from_secs(wait.seconds)).await,
                Handler { sleep: None, exec: Some(exec) } => {
                    let run = Run::other(&exec.command);
                    command(shared, id, spec, container, run)?.stdin(Stdio::null()).status().await?;
                }
                _ => bail!("a preStop of a kind that is not known here"),
            }
            Ok(())
        };
        tokio::select! {
            done = timeout(grace, before) => if let Ok(done) = done { done? },
            status = going.child.wait() => return Ok(status?),
        }
    }
    stop(going, grace.saturating_sub(begun.elapsed()).as_secs()).await
}

/// Writes a line of kubelet's own among a container's output.
fn note(file: &Path, line: &str) -> Result<()> {
    use std::io::Write;
    writeln!(File::options().create(true).append(true).open(file)?, "kubelet: {line}")?;
    Ok(())
}

/// The end of what a container wrote since `from`.
fn message(file: &Path, from: u64) -> Result<String> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(MESSAGE))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What runs in a container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'r> {
    /// Another program than the container's own.
    argv: Option<&'r [String]>,
    /// The file where bubblewrap tells the process it made.
    info: &'r Path,
}

impl<'r> Run<'r> {
    /// Another program than the container's own.
    pub(crate) fn other(argv: &'r [String]) -> Self {
        Self { argv: Some(argv), info: Path::new("/dev/null") }
    }
}

/// The command that runs a container.
///
/// # Errors
/// Something it needs is missing, or not known here.
pub(crate) fn command(shared: &Arc<Shared>, id: &PodId, spec: &PodSpec, container: &Container, run: Run<'_>) -> Result<Command> {
    let image = Image::named(&container.image)?;
    let environment = environment(&shared.state(), id, spec, container)?;
    let argv = match run.argv {
        Some(argv) => argv.to_vec(),
        None => {
            let command = if container.command.is_empty() {
                image.entry_point.into_iter().map(str::to_owned).collect()
            } else {
                container.command.clone()
            };
            command.iter().chain(&container.args).map(|word| expand(word, &environment)).collect()
        }
    };
    if argv.is_empty() {
        bail!("container {} of {} says not what to run, and its image is not known here", container.name, id.1);
    }
    let host = shared.state().pods.get(id).and_then(|pod| pod.host.clone()).context("a pod without a host")?;
    // The shell opens the file for bubblewrap.
    let mut command = Command::from(host.command("sh"));
    command.args(["-c", "exec \"$@\" 3>\"$0\""]).arg(run.info).args(["bwrap", "--info-fd", "3"]);
    command.args(["--die-with-parent", "--as-pid-1", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    let (own, of_pod) = (&container.security_context, &spec.security_context);
    let user = own.run_as_user.or(of_pod.run_as_user).unwrap_or(image.user);
    if user == 0 {
        bail!("container {} of {} would run as root", container.name, id.1);
    }
    let group = own.run_as_group.or(of_pod.run_as_group).unwrap_or(user);
    command.args(["--uid", &user.to_string(), "--gid", &group.to_string(), "--hostname", &id.1, "--clearenv"]);
    for (name, value) in &environment {
        command.args(["--setenv", name, value]);
    }
    for (from, to) in &image.files {
        command.arg("--ro-bind").arg(from).arg(to);
    }
    for (to, link) in &image.links {
        command.args(["--symlink", to, link]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    for (name, text) in [("hosts", hosts(id, spec, shared)?), ("resolv.conf", resolver(id, spec)?)] {
        let file = folder(id).join(name);
        fs::write(&file, text)?;
        command.arg("--ro-bind").arg(file).arg(Path::new("/etc").join(name));
    }
    for mount in &container.volume_mounts {
        let volume = spec.volumes.iter().find(|volume| volume.name == mount.name).with_context(|| format!("no volume {}", mount.name))?;
        let mut from = volumes::folder(id, &mount.name);
        if let Some(part) = &mount.sub_path {
            from = fs::canonicalize(from.join(part)).with_context(|| format!("{part} of volume {}", mount.name))?;
        }
        // Only what is empty at first can be written, as in Kubernetes.
        let writable = volume.empty_dir.is_some() && !mount.read_only;
        command.arg(if writable { "--bind" } else { "--ro-bind" }).arg(from).arg(&mount.mount_path);
    }
    for (name, text) in account(id, spec, shared) {
        let file = folder(id).join(name);
        fs::write(&file, text)?;
        command.arg("--ro-bind").arg(file).arg(Path::new(ACCOUNT).join(name));
    }
    if own.read_only_root_filesystem == Some(true) {
        command.args(["--remount-ro", "/"]);
    }
    command.args(["--chdir", container.working_dir.as_deref().unwrap_or("/"), "--"]).args(argv).kill_on_drop(true);
    Ok(command)
}

/// What a pod is told of its service account, if it gets a token.
fn account(id: &PodId, spec: &PodSpec, shared: &Shared) -> Vec<(&'static str, String)> {
    let mut state = shared.state();
    let Some(token) = state.token(&id.0, spec) else { return Vec::new() };
    vec![("token", token), ("ca.crt", state.api_ca.clone()), ("namespace", id.0.clone())]
}

/// `/etc/hosts` as kubelet writes it.
fn hosts(id: &PodId, spec: &PodSpec, shared: &Arc<Shared>) -> Result<String> {
    let wire = shared.state().pods.get(id).and_then(|pod| pod.wire.clone()).context("a pod without address")?;
    let mut text = format!("127.0.0.1\tlocalhost\n::1\tlocalhost\n{}\t{}\n", wire.v4, id.1);
    for alias in &spec.host_aliases {
        text.push_str(&format!("{}\t{}\n", alias.ip, alias.hostnames.join("\t")));
    }
    Ok(text)
}

/// `/etc/resolv.conf` as kubelet writes it.
fn resolver(id: &PodId, spec: &PodSpec) -> Result<String> {
    let own = &spec.dns_config;
    let (mut servers, mut searches) = (own.nameservers.clone(), own.searches.clone());
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    match spec.dns_policy.as_deref().unwrap_or("ClusterFirst") {
        "None" => {}
        "ClusterFirst" => {
            servers.insert(0, crate::system::DNS.to_string());
            let cluster = [format!("{}.svc.cluster.local", id.0), "svc.cluster.local".to_owned(), "cluster.local".to_owned()];
            searches.splice(0..0, cluster);
            options.push(("ndots".to_owned(), Some("5".to_owned())));
        }
        other => bail!("dnsPolicy {other}"),
    }
    for option in &own.options {
        let name = option.get("name").context("an option without a name")?;
        options.retain(|(given, _)| given != name);
        options.push((name.clone(), option.get("value").cloned()));
    }
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    if !searches.is_empty() {
        text.push_str(&format!("search {}\n", searches.join(" ")));
    }
    if !options.is_empty() {
        let words: Vec<String> =
            options.into_iter().map(|(name, value)| value.map_or(name.clone(), |value| format!("{name}:{value}"))).collect();
        text.push_str(&format!("options {}\n", words.join(" ")));
    }
    Ok(text)
}
