//! A line that shows how a run goes, on a terminal; elsewhere nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::tally::Fate;

/// The line. Goes away when dropped.
#[derive(Debug)]
pub(crate) struct Live {
    line: ProgressBar,
}

impl Live {
    /// A line for a run of this name. indicatif shows nothing where standard error is not a terminal.
    pub(crate) fn new(what: &str) -> Self {
        let line = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {pos} answered, {per_sec}  {msg}  {elapsed}") {
            line.set_style(style);
        }
        line.set_prefix(what.to_owned());
        line.enable_steady_tick(Duration::from_millis(200));
        Self { line }
    }

    /// No line.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { line: ProgressBar::hidden() }
    }

    /// Counts a request.
    pub(crate) fn count(&self, fate: &Fate) {
        self.line.inc(1);
        match fate {
            Fate::Fine(_) => {}
            Fate::Refused(_) => self.line.set_message("REFUSED"),
            Fate::Failed(how) => self.line.set_message(how.clone()),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}
