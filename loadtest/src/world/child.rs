//! A process of ours that runs for as long as it is held.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use portcullis_e2e::processes;

use super::{START_WITHIN, TICK};
use crate::usage::Process;

/// A running process. Is killed, by its process id, when dropped: none of those that are started here has anything to save.
#[derive(Debug)]
pub(crate) struct Child {
    role: &'static str,
    child: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts a program that writes into this log.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(role: &'static str, program: &Path, args: &[String], log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| log.display().to_string())?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { role, child, log: log.to_owned() })
    }

    pub(crate) fn process(&self) -> Process {
        Process { role: self.role, pid: self.child.id() }
    }

    /// What it has written so far.
    pub(crate) fn written(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until there is something at this path.
    ///
    /// # Errors
    /// It ends, or takes too long.
    pub(crate) async fn wait_for(&self, path: &Path) -> Result<()> {
        self.until(async || path.exists().then_some(())).await
    }

    /// Waits until `ask` has an answer.
    ///
    /// # Errors
    /// The process ends, or it takes too long; the text holds what it has written.
    pub(crate) async fn until<T>(&self, ask: impl AsyncFn() -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return Ok(answer);
            }
            if processes::has_ended(self.child.id()) || begun.elapsed() > START_WITHIN {
                bail!("{} does not start:\n{}", self.role, self.written());
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both may fail only because the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
