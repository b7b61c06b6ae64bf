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

/// The built-in detectors with the files laid over them.
///
/// # Errors
/// When a file cannot be read or is no catalogue file.
pub(crate) fn rules(paths: &[PathBuf]) -> Result<RuleSet> {
    let mut set = RuleSet::builtin().clone();
    for path in paths {
        let source = fs::read_to_string(path).with_context(|| format!("cannot read the detectors {}", path.display()))?;
        set = set.overlay(RuleSet::from_yaml(&path.display().to_string(), &source)?);
    }
    Ok(set)
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
