//! Why certificates cannot be used. Nothing here ever quotes a file.
//!
//! What the system says stands in the text and is no `source`: whoever prints the chain of causes would print it twice.

use std::io;
use std::path::PathBuf;

/// Why mutual TLS cannot begin, or a new set of files cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}; the folder of --tls-dir holds tls.crt, tls.key and ca.crt", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} {what}; {todo}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
        /// What to do about it.
        todo: &'static str,
    },
    /// The library refused the settings.
    #[error("TLS cannot be set up: {0}")]
    Settings(#[from] rustls::Error),
    /// A metric of the same name is registered already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The thread that looks after the files could not start.
    #[error("cannot watch {}: {cause}", path.display())]
    Watch {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}
