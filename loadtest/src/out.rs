//! Standard output and standard error.

use std::io::Write;

use anyhow::{Context, Result};

/// A line on standard output.
///
/// # Errors
/// Nobody reads it.
pub(crate) fn line(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").context("standard output")
}

/// A line on standard error; if nobody reads it, that is no reason to stop.
pub(crate) fn note(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
