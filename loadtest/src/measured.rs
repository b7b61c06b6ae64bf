//! When, where and of what something was measured.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

/// What stands beside every figure that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// `YYYY-MM-DD`, UTC.
    pub(crate) date: String,
    /// The tree's revision, with `+` where it had changes.
    pub(crate) revision: String,
    pub(crate) machine: String,
    pub(crate) command: String,
}

impl Measured {
    /// Now and here, by this command.
    ///
    /// # Errors
    /// None that happens.
    pub(crate) fn now(command: &str) -> Result<Self> {
        let date = OffsetDateTime::now_utc().date().format(format_description!("[year]-[month]-[day]"))?;
        Ok(Self { date, revision: revision(), machine: machine(), command: command.to_owned() })
    }
}

fn revision() -> String {
    let git = |args: &[&str]| -> Option<String> {
        let output = Command::new("git").arg("-C").arg(root()).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(revision) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".into() };
    // Of pages and results that are being written it says nothing.
    let changed =
        git(&["status", "--porcelain", "--", "crates", "services", "envoy", "loadtest/src"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{revision}+") } else { revision }
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).map(|rest| rest.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}

/// The root of the tree that this was built from.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// That figures which are kept come from a release build.
///
/// # Errors
/// This is none.
pub(crate) fn only_release() -> Result<()> {
    if cfg!(debug_assertions) {
        bail!(
            "--write keeps figures of release builds only: cargo build --release -p portcullis, then cargo run --release -p loadtest -- …"
        );
    }
    Ok(())
}
