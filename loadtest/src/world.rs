//! Everything that a run needs, on this machine: origin, DNS, and the targets. Ends, with all its processes, when dropped.

mod child;
mod mitmproxy;
mod variant;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use portcullis_e2e::{Dns, Gateway, GatewayOptions, TestCa};
use serde_json::Value;

use crate::origin::Origin;
use crate::route::Route;
use crate::usage::Process;
use child::Child;
use mitmproxy::Mitmproxy;
use variant::Places;

/// The names of the outside world; one that begins with a dot stands for every name below it.
const NAMES: [&str; 7] = [
    "www.example.org",
    "api.example.org",
    "files.example.org",
    "grpc.example.org",
    "git.example.org",
    "api.anthropic.com",
    ".mint.example.org",
];
/// How long a process may take to listen.
const START_WITHIN: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(50);

/// What load is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// No proxy.
    Direct,
    /// Envoy without a processor.
    Envoy,
    /// Envoy with a processor that does nothing.
    Floor,
    /// All of it.
    Portcullis,
    /// mitmproxy with detect-secrets.
    Mitmproxy,
}

impl Target {
    pub(crate) const ALL: [Self; 5] = [Self::Direct, Self::Envoy, Self::Floor, Self::Portcullis, Self::Mitmproxy];

    /// Its name, as in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Envoy => "envoy",
            Self::Floor => "floor",
            Self::Portcullis => "portcullis",
            Self::Mitmproxy => "mitmproxy",
        }
    }
}

/// All that runs.
#[derive(Debug)]
pub(crate) struct World {
    // In this order they end: clients of others first.
    mitmproxy: Option<Mitmproxy>,
    envoys: Vec<(Target, Child, Route)>,
    floor: Option<Child>,
    gateway: Option<(Gateway, Route)>,
    direct: Route,
    pub(crate) origin: Origin,
    _dns: Dns,
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts these targets, which know so many sandboxes.
    ///
    /// # Errors
    /// One does not start; the text says why, or where its log is.
    pub(crate) async fn start(targets: &[Target], sandboxes: usize) -> Result<Self> {
        let wanted = |target| targets.contains(&target);
        // Not in $TMPDIR, which may be too deep for the address of a socket.
        let folder = tempfile::Builder::new().prefix("pc-load-").tempdir_in("/tmp")?;
        let ca = TestCa::new()?;
        // Port 443, so that URLs and policy are those of real life.
        let (ip, listener, _plain) = portcullis_e2e::listen().await?;
        let certified: Vec<String> =
            NAMES.iter().map(|name| if name.starts_with('.') { format!("*{name}") } else { (*name).into() }).collect();
        let origin = Origin::start(listener, ca.server(&certified.iter().map(String::as_str).collect::<Vec<_>>())?);
        let dns = Dns::start(NAMES.iter().map(|name| (*name, ip))).await?;
        let direct = Route::direct(SocketAddr::from((ip, 443)), ca.pem())?;
        let mut world =
            Self { mitmproxy: None, envoys: Vec::new(), floor: None, gateway: None, direct, origin, _dns: dns, _folder: folder };
        if wanted(Target::Envoy) || wanted(Target::Floor) || wanted(Target::Portcullis) {
            let (gateway, credentials) = start_gateway(world._dns.address(), ca.pem(), sandboxes).await?;
            let route = Route::proxied(gateway.proxy(), &gateway.ca_pem()?, &credentials)?;
            world.gateway = Some((gateway, route));
            if wanted(Target::Floor) {
                let socket = world.path("floor.sock");
                let args = ["floor".to_owned(), socket.display().to_string()];
                let floor = Child::start("floor", &std::env::current_exe()?, &args, &world.path("floor.log"))?;
                floor.wait_for(&socket).await?;
                world.floor = Some(floor);
            }
            for target in [Target::Envoy, Target::Floor] {
                if wanted(target) {
                    world.start_envoy(target, &credentials).await?;
                }
            }
        }
        if wanted(Target::Mitmproxy) {
            world.mitmproxy = Some(Mitmproxy::start(world._folder.path(), ip, ca.pem()).await?);
        }
        Ok(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self._folder.path().join(name)
    }

    /// An Envoy with the configuration of the gateway, but for its processor.
    async fn start_envoy(&mut self, target: Target, credentials: &[String]) -> Result<()> {
        let (gateway, _) = self.gateway.as_ref().context("no gateway")?;
        let rendered = gateway.state_dir().join("run/envoy.json");
        let rendered: Value = serde_json::from_str(&std::fs::read_to_string(&rendered).context("configuration of the gateway")?)?;
        let name = target.name();
        let places = Places {
            admin: self.path(&format!("{name}-admin.sock")),
            status: self.path(&format!("{name}-status.sock")),
            access_log: self.path(&format!("{name}-access.log")),
        };
        let config = match target {
            Target::Floor => variant::with_processor(rendered, &places, &self.path("floor.sock"))?,
            _ => variant::without_processor(rendered, &places)?,
        };
        let file = self.path(&format!("{name}.json"));
        std::fs::write(&file, serde_json::to_string(&config)?)?;
        // As `portcullis up` starts it (services/portcullis/src/envoy.rs).
        let args = ["--disable-hot-restart", "--log-level", "warning", "--component-log-level", "misc:error", "-c"];
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).chain([file.display().to_string()]).collect();
        let envoy = Child::start("envoy", &portcullis_e2e::envoy_binary()?, &args, &self.path(&format!("{name}.log")))?;
        let proxy = envoy.until(async || portcullis_e2e::admin::listener(&places.admin, "proxy").await.ok()).await?;
        envoy.until(async || portcullis_e2e::admin::get(&places.admin, "/ready").await.ok()).await?;
        let route = Route::proxied(proxy, &gateway.ca_pem()?, credentials)?;
        self.envoys.push((target, envoy, route));
        Ok(())
    }

    /// The way through a target.
    ///
    /// # Errors
    /// It was not started.
    pub(crate) fn route(&self, target: Target) -> Result<&Route> {
        let route = match target {
            Target::Direct => Some(&self.direct),
            Target::Envoy | Target::Floor => self.envoys.iter().find(|(which, ..)| *which == target).map(|(_, _, route)| route),
            Target::Portcullis => self.gateway.as_ref().map(|(_, route)| route),
            Target::Mitmproxy => self.mitmproxy.as_ref().map(Mitmproxy::route),
        };
        route.with_context(|| format!("{} was not started", target.name()))
    }

    /// The processes of a target, and the generator.
    ///
    /// # Errors
    /// It was not started.
    pub(crate) fn processes(&self, target: Target) -> Result<Vec<Process>> {
        let mut all = vec![Process::generator()];
        all.extend(self.envoys.iter().find(|(which, ..)| *which == target).map(|(_, child, _)| child.process()));
        match target {
            Target::Floor => all.extend(self.floor.as_ref().map(Child::process)),
            Target::Mitmproxy => all.extend(self.mitmproxy.as_ref().map(Mitmproxy::process)),
            Target::Portcullis => {
                let (gateway, _) = self.gateway.as_ref().context("no gateway")?;
                for role in ["envoy", "scanner", "certificates"] {
                    all.push(Process { role, pid: gateway.pid_of(role)? });
                }
            }
            Target::Direct | Target::Envoy => {}
        }
        Ok(all)
    }
}

/// `portcullis up`, and tokens of so many sandboxes (`NAME:TOKEN`).
async fn start_gateway(dns: SocketAddr, ca: &str, sandboxes: usize) -> Result<(Gateway, Vec<String>)> {
    let options = GatewayOptions {
        dns: Some(dns),
        upstream_ca: ca.to_owned(),
        allow_upstream: Some("127.0.0.0/8".to_owned()),
        ..GatewayOptions::default()
    };
    let start = move || -> Result<(Gateway, Vec<String>)> {
        let gateway = Gateway::start(&options)?;
        let mut credentials = Vec::new();
        for number in 0..if sandboxes > 1 { sandboxes } else { 0 } {
            let name = format!("agent-{number}");
            let token = gateway.portcullis(&["sandbox", "token", "add", &name])?;
            credentials.push(format!("{name}:{}", token.trim()));
        }
        Ok((gateway, credentials))
    };
    let (gateway, credentials) = tokio::task::spawn_blocking(start).await??;
    if let Some(last) = credentials.last() {
        known(&gateway, last).await?;
    }
    Ok((gateway, credentials))
}

/// Waits until the gateway knows the newest sandbox: it reads the tokens again when the file changes.
async fn known(gateway: &Gateway, credentials: &str) -> Result<()> {
    let client = portcullis_e2e::Client::new(gateway.proxy(), &gateway.ca_pem()?)?.with_credentials(credentials);
    let request = portcullis_e2e::Request::get(&format!("http://{}/", Ipv4Addr::new(127, 0, 0, 2)));
    let begun = std::time::Instant::now();
    while !client.send(&request).await.is_ok_and(|answer| answer.status != 407) {
        anyhow::ensure!(begun.elapsed() < START_WITHIN, "the gateway does not know the new sandboxes");
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}

/// The folder for what is kept between runs: `target/loadtest`.
///
/// # Errors
/// This program does not lie in a folder of a build.
pub(crate) fn kept_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let build = program.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "target"));
    let folder = build.unwrap_or(Path::new("target")).join("loadtest");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}
