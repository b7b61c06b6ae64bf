//! Namespaces of a test's own. The test starts itself once more inside them; there it is root, owns the network, and sees no other
//! process. They are a user namespace's, so that no root is needed outside, nothing can touch the machine's network, and everything ends
//! with the test, however that ends.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Set inside: the file that says that the test itself ran.
const INSIDE: &str = "PORTCULLIS_CLUSTER_INSIDE";
/// What the harness runs, by package of Debian.
const TOOLS: [(&str, &str); 6] = [
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("nsenter", "util-linux"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("bwrap", "bubblewrap"),
];
/// Threads of the test's runtime inside.
const THREADS: usize = 2;

/// Runs a test inside namespaces of its own. To be called by a `#[test]` with a closure of its own, whose name tells which test it is.
///
/// # Panics
/// The test fails, or the machine cannot make such namespaces; the text says what it lacks.
pub fn inside<F: AsyncFnOnce() -> Result<()>>(test: F) {
    if let Some(proof) = std::env::var_os(INSIDE) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        if let Err(error) = runtime.expect("a runtime").block_on(test()) {
            panic!("{error:#}");
        }
        std::fs::write(proof, "ran").expect("the proof that the test ran");
        return;
    }
    let name = name_of::<F>();
    let status = tempfile::NamedTempFile::new().context("proof").and_then(|proof| {
        let status = enter(&["--exact", name, "--nocapture", "--test-threads=1"], proof.path())?;
        // A test that was not found passes too.
        if status.success() && std::fs::read(proof.path())? != b"ran" {
            bail!("no test of the name {name} ran");
        }
        Ok(status)
    });
    match status {
        Ok(status) => assert!(status.success(), "{name} failed inside its namespaces: {status}"),
        Err(error) => panic!("{error:#}"),
    }
}

/// Runs this program inside namespaces of its own, with these arguments. `proof` is told to it.
///
/// # Errors
/// The machine cannot make them; the error says what it lacks.
pub fn enter(arguments: &[&str], proof: &Path) -> Result<ExitStatus> {
    check()?;
    let program = std::env::current_exe()?;
    let status = namespaces().arg(program).args(arguments).env(INSIDE, proof).status().context("cannot run setpriv")?;
    if let Some(signal) = status.signal() {
        bail!("the namespaces ended by signal {signal}");
    }
    Ok(status)
}

/// Whether this process is inside already.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// The command that makes the namespaces. The kernel kills what stands in them when this process ends.
fn namespaces() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "private"]);
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command
}

/// Whether the machine has what is needed.
fn check() -> Result<()> {
    let found = |tool: &str| std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(tool).exists());
    if let Some((tool, package)) = TOOLS.iter().find(|(tool, _)| !found(tool)) {
        bail!("{tool} is not here; run: bash tests/setup (Debian package {package})");
    }
    let output = namespaces().args(["nft", "add table inet test"]).stdin(Stdio::null()).output().context("cannot run setpriv")?;
    if !output.status.success() {
        bail!(
            "no network namespace can be made here: {}\nThe kernel must allow user namespaces (sysctl user.max_user_namespaces; on Ubuntu also \
             kernel.apparmor_restrict_unprivileged_userns=0; in a container, run it with --privileged) and have nf_tables",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// The name of a test as the test runner knows it, from the type of its closure: `crate::module::test::{{closure}}`.
fn name_of<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.split("::{{closure}}").next().unwrap_or(path);
    path.split_once("::").map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn inside_there_is_nothing_but_the_test() {
        inside(async || {
            let links = Command::new("ip").args(["-oneline", "link"]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&links.stdout).lines().count(), 1, "only loopback");
            assert_eq!(std::process::id(), 1);
            Ok(())
        });
    }

    #[test]
    fn what_runs_inside_ends_with_the_process_outside() {
        let mut outer = namespaces().args(["sh", "-c", "echo up; sleep 300"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(outer.stdout.as_mut().unwrap(), &mut up).unwrap();
        // What setpriv has become: the parent of the first process inside.
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", outer.id())).unwrap();
        let inner = children.trim().to_owned();
        outer.kill().unwrap();
        outer.wait().unwrap();
        let gone = || !Path::new("/proc").join(&inner).exists();
        for _ in 0..1000 {
            if gone() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("process {inner} is still there");
    }
}
