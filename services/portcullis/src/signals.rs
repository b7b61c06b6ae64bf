//! SIGINT and SIGTERM as a flag that loops look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether somebody asked us to stop.
#[derive(Debug, Clone)]
pub(crate) struct Signals(Arc<AtomicBool>);

impl Signals {
    /// Begins to catch SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// When the system does not let us.
    pub(crate) fn catch() -> Result<Signals> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // A second signal ends the process at once: somebody is in a hurry.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag)).context("cannot catch signals")?;
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("cannot catch signals")?;
        }
        Ok(Signals(flag))
    }

    /// Whether a signal came.
    pub(crate) fn received(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// SIGINT, SIGTERM and SIGHUP one by one, for those who do something at the first and something else at the next.
#[derive(Debug)]
pub(crate) struct Pending(signal_hook::iterator::Signals);

impl Pending {
    /// Begins to catch the signals.
    ///
    /// # Errors
    /// When the system does not let us.
    pub(crate) fn catch() -> Result<Pending> {
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).map(Pending).context("cannot catch signals")
    }

    /// Whether one came since this was asked last.
    pub(crate) fn any(&mut self) -> bool {
        self.0.pending().count() > 0
    }
}
