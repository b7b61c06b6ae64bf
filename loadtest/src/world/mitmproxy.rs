//! mitmproxy with an addon that asks detect-secrets: what sandboxes of the seed project's kind run today. From PyPI, in versions that are
//! pinned, in a virtual environment below `target/`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::child::Child;
use super::kept_folder;
use crate::route::Route;
use crate::usage::Process;

/// What is installed.
const REQUIREMENTS: &str = include_str!("../../mitmproxy/requirements.txt");
/// What it is told to do.
const ADDON: &str = include_str!("../../mitmproxy/addon.py");

/// A running mitmproxy.
#[derive(Debug)]
pub(crate) struct Mitmproxy {
    child: Child,
    route: Route,
}

impl Mitmproxy {
    /// Starts it; every name leads to the origin, which has certificates of this CA (PEM).
    ///
    /// # Errors
    /// It cannot be installed or does not start.
    pub(crate) async fn start(folder: &Path, origin: Ipv4Addr, ca: &str) -> Result<Self> {
        let environment = tokio::task::spawn_blocking(installed).await??;
        let home = folder.join("mitmproxy");
        std::fs::create_dir(&home)?;
        let (addon, trusted) = (home.join("addon.py"), home.join("upstream-ca.pem"));
        std::fs::write(&addon, ADDON)?;
        std::fs::write(&trusted, ca)?;
        let set = |option: &str, value: &dyn std::fmt::Display| ["--set".to_owned(), format!("{option}={value}")];
        let mut args = vec!["--quiet".to_owned(), "--mode".into(), "regular".into(), "--scripts".into(), addon.display().to_string()];
        args.extend(set("listen_host", &"127.0.0.1"));
        args.extend(set("listen_port", &0));
        args.extend(set("confdir", &home.display()));
        args.extend(set("ssl_verify_upstream_trusted_ca", &trusted.display()));
        args.extend(set("origin", &origin));
        let child = Child::start("mitmproxy", &environment.join("bin/mitmdump"), &args, &folder.join("mitmproxy.log"))?;
        let listening = async || {
            let written = child.written();
            let line = written.lines().find_map(|line| line.strip_prefix("listening "))?;
            line.trim().parse::<SocketAddr>().ok()
        };
        let proxy = child.until(listening).await?;
        let shown = std::fs::read_to_string(home.join("mitmproxy-ca-cert.pem")).context("CA of mitmproxy")?;
        let route = Route::proxied(proxy, &shown, &[])?;
        Ok(Self { child, route })
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    pub(crate) fn process(&self) -> Process {
        self.child.process()
    }
}

/// The virtual environment, made when it is not there or of other versions.
fn installed() -> Result<PathBuf> {
    let environment = kept_folder()?.join("mitmproxy");
    let made_of = environment.join("requirements.txt");
    if std::fs::read_to_string(&made_of).is_ok_and(|text| text == REQUIREMENTS) {
        return Ok(environment);
    }
    let run = |command: &mut Command| -> Result<()> {
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
        if !output.status.success() {
            bail!("installation of mitmproxy: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let wanted = environment.join("wanted.txt");
    std::fs::write(&wanted, REQUIREMENTS)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(environment.join("bin/python")).args(pip).arg(&wanted))?;
    // Last, so that a broken installation is not taken for a whole one.
    std::fs::rename(wanted, made_of)?;
    Ok(environment)
}
