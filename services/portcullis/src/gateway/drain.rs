//! A running Envoy, and its end: first nobody new is sent here, then what is under way ends, then Envoy does.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cli::exit;
use crate::envoy::admin::Admin;
use crate::signals::Pending;
use crate::{out, process};

/// How often is looked.
const TICK: Duration = Duration::from_millis(100);
/// Where nothing is under way for so long, the connections that are left are idle, and the last answers have left their buffers.
const QUIET: Duration = Duration::from_secs(3);
/// How long Envoy may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Envoy as our child. It ends with this.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    admin: Admin,
    signals: Pending,
}

/// Why a wait ended.
enum Woken {
    /// What was waited for is so, or its time is over.
    Over,
    Signal,
    Ended(ExitStatus),
}

impl Running {
    pub(super) fn new(child: Child, admin: Admin, signals: Pending) -> Running {
        Running { child, admin, signals }
    }

    /// Waits for the end, by itself or by signal, and gives the exit code: Envoy's own.
    ///
    /// # Errors
    /// Envoy cannot be waited for.
    pub(super) fn until_the_end(mut self, lame_duck: Duration, drain: Duration) -> Result<u8> {
        let woken = match self.wait(Duration::MAX, &mut |_| false)? {
            Woken::Ended(status) => Woken::Ended(status),
            Woken::Over | Woken::Signal => self.drain(lame_duck, drain)?,
        };
        match woken {
            Woken::Ended(status) => Ok(by_itself(status)),
            Woken::Over | Woken::Signal => self.stop().map(process::exit_code),
        }
    }

    /// Lets everything that is under way end. A further signal means: no longer.
    fn drain(&mut self, lame_duck: Duration, drain: Duration) -> Result<Woken> {
        if !self.admin.fail_health() {
            out::error("envoy does not answer on its admin socket; it ends without draining");
            return Ok(Woken::Over);
        }
        out::note(&format!("draining: {} s as before, then up to {} s for what is under way", lame_duck.as_secs(), drain.as_secs()));
        match self.wait(lame_duck, &mut |_| false)? {
            Woken::Over => {}
            woken => return Ok(woken),
        }
        self.admin.drain_tunnels();
        let mut busy = Instant::now();
        let woken = self.wait(drain, &mut |admin| match admin.under_way() {
            Some((_, 0)) => true,
            Some((0, _)) => busy.elapsed() >= QUIET,
            _ => {
                busy = Instant::now();
                false
            }
        })?;
        match self.admin.under_way() {
            Some((cut @ 1.., _)) => out::note(&format!("the time is over: {cut} requests or tunnels are cut")),
            _ => out::note("drained"),
        }
        Ok(woken)
    }

    /// Waits until `over`, but no longer than `time`.
    fn wait(&mut self, time: Duration, over: &mut dyn FnMut(&Admin) -> bool) -> Result<Woken> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for envoy")? {
                return Ok(Woken::Ended(status));
            }
            if self.signals.any() {
                return Ok(Woken::Signal);
            }
            if begun.elapsed() >= time || over(&self.admin) {
                return Ok(Woken::Over);
            }
            std::thread::sleep(TICK);
        }
    }

    fn stop(&mut self) -> Result<ExitStatus> {
        process::terminate(self.child.id());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for envoy")? {
                return Ok(status);
            }
            if begun.elapsed() > GRACE {
                self.child.kill().context("cannot end envoy")?;
            }
            std::thread::sleep(TICK / 5);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Both may fail only because the process is gone already.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Envoy is to run until it is told to end: that it ended is a failure, whatever it says itself.
fn by_itself(status: ExitStatus) -> u8 {
    out::error(&format!("envoy ended by itself ({status})"));
    match process::exit_code(status) {
        exit::FINE => exit::FAILED,
        code => code,
    }
}
