//! The only place that writes to the terminal.

use std::io::{self, Write};

use anyhow::Result;

/// Writes a line to standard output.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

/// Writes bytes to standard output.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

/// Tells a person something on standard error.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error is closed.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Tells what went wrong, on one line.
pub(crate) fn error(text: &str) {
    note(&format!("portcullis: {}", text.replace('\n', " ")));
}

/// Whether the reader of our output went away, which is no failure.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}
