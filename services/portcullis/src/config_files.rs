//! Files and folders that several commands read.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use engine::{Engine, FingerprintKey, Limits};
use policy::{Policy, Preset};
use rules::RuleSet;

/// The policy in `path`, or the built-in default.
///
/// # Errors
/// When the file cannot be read or does not say what a policy says.
pub(crate) fn policy(path: Option<&Path>) -> Result<Policy> {
    let Some(path) = path else { return Ok(Policy::preset(Preset::Default)) };
    let source = fs::read_to_string(path).with_context(|| format!("cannot read the policy {}", path.display()))?;
    Ok(Policy::from_yaml(&path.display().to_string(), &source)?)
}

/// The built-in detectors with files laid over them, in order; of a folder, its `*.yaml` and `*.yml` by name.
///
/// # Errors
/// When a path cannot be read, a file is no catalogue file or disables what there is not, or a pattern does not compile.
pub(crate) fn rules(paths: &[PathBuf]) -> Result<RuleSet> {
    let mut set = RuleSet::builtin().clone();
    for path in paths {
        for file in rule_files(path).with_context(|| format!("cannot read the detectors {}", path.display()))? {
            let set_of_file = rule_file(&file)?;
            let unknown = set_of_file.disabled().find(|id| set.detectors().iter().all(|d| d.id != *id));
            if let Some(id) = unknown {
                bail!("{}: disable: there is no detector `{id}`", file.display());
            }
            set = set.overlay(set_of_file);
        }
    }
    Ok(set)
}

/// A path itself, or what a folder holds of detectors.
fn rule_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    let ends = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|p| ends(p) && p.is_file()).collect();
    files.sort();
    Ok(files)
}

/// One file, with every pattern tried.
fn rule_file(path: &Path) -> Result<RuleSet> {
    let source = fs::read_to_string(path).with_context(|| format!("cannot read the detectors {}", path.display()))?;
    let set = RuleSet::from_yaml(&path.display().to_string(), &source)?;
    if let Err(error) = Engine::compile(&set, Limits::default(), FingerprintKey([0; 32])) {
        // The engine knows the id only.
        let names = |line: &str| line.split_once("id:").is_some_and(|(_, id)| id.trim().trim_matches(['\'', '"']) == error.id);
        let line = source.lines().position(names).map_or_else(String::new, |at| format!(" line {}:", at + 1));
        bail!("{}:{line} {error}", path.display());
    }
    Ok(set)
}

/// What to watch for a path of detectors: a folder's own entries tell of its files.
pub(crate) fn watched(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("*") } else { path.to_owned() }
}

/// The engine for a policy's limits.
///
/// # Errors
/// When a detector does not compile.
pub(crate) fn engine(rules: &RuleSet, policy: &Policy, key: FingerprintKey) -> Result<Engine> {
    let from = policy.limits();
    let limits = Limits {
        depth: from.depth,
        decoded_bytes: from.decoded_bytes,
        ratio: from.ratio,
        whole_bytes: from.buffer_bytes,
        ..Limits::default()
    };
    Ok(Engine::compile(rules, limits, key)?)
}

/// `$variable/portcullis`, or `~/fallback/portcullis`.
///
/// # Errors
/// When neither the variable nor HOME is set.
pub(crate) fn base_dir(variable: &str, fallback: &str) -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute()) {
        return Ok(dir.join("portcullis"));
    }
    let home = std::env::var_os("HOME").filter(|h| !h.is_empty()).with_context(|| format!("neither {variable} nor HOME is set"))?;
    Ok(PathBuf::from(home).join(fallback).join("portcullis"))
}

/// The state folder, made with mode 0700 if it is not there.
///
/// # Errors
/// When it cannot be made, or others may write to it.
pub(crate) fn state_dir(given: Option<&Path>) -> Result<PathBuf> {
    let dir = given.map_or_else(|| base_dir("XDG_STATE_HOME", ".local/state"), |d| Ok(d.to_path_buf()))?;
    private_dir(&dir)?;
    fs::canonicalize(&dir).with_context(|| format!("cannot use {}", dir.display()))
}

/// Makes a folder for the owner alone.
///
/// # Errors
/// When it cannot be made, or is open to others.
pub(crate) fn private_dir(dir: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mode = fs::metadata(dir)?.permissions().mode();
    if mode & 0o022 != 0 {
        bail!("{} can be written by others (mode {:o}): chmod 700 it", dir.display(), mode & 0o777);
    }
    Ok(())
}

/// Holds the state folder for this process until dropped.
///
/// # Errors
/// When another `up` uses it.
pub(crate) fn lock_state(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another `portcullis up` uses {}; stop it, or give this one its own --state-dir", dir.display())
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// The key of fingerprints in `path`, made at first use with mode 0600: stable, so that a secret keeps its fingerprint over restarts.
///
/// # Errors
/// When the file cannot be read or made, or does not hold 32 bytes.
pub(crate) fn fingerprint_key(path: &Path) -> Result<FingerprintKey> {
    match fs::read(path) {
        Ok(bytes) => {
            let key = bytes
                .try_into()
                .map_err(|_| anyhow::anyhow!("{} does not hold a key of 32 bytes; remove it to get a new one", path.display()))?;
            Ok(FingerprintKey(key))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = random_key()?;
            let mut file = File::options()
                .create_new(true)
                .write(true)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("cannot make {}", path.display()))?;
            file.write_all(&key.0)?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// A key that lives as long as the process.
///
/// # Errors
/// When the system gives no random bytes.
pub(crate) fn random_key() -> Result<FingerprintKey> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| anyhow::anyhow!("the system gives no random bytes: {e}"))?;
    Ok(FingerprintKey(key))
}
