//! What can go wrong, in one line each.

use std::io;
use std::path::PathBuf;

/// A reason why the certificates service cannot start, or a file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificatesError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The key, or the folder that holds it, can be read by somebody else.
    #[error("{} has mode {mode:04o}, others could read the key of the CA; run: chmod {wanted:o} {}", path.display(), path.display())]
    LaxPermissions {
        /// The file or folder.
        path: PathBuf,
        /// The permission bits found.
        mode: u32,
        /// The permission bits that are accepted.
        wanted: u32,
    },
    /// There is a certificate but no key for it.
    #[error("{} has no key beside it; put ca.key back, or remove ca.pem to make a new CA", path.display())]
    KeyMissing {
        /// The certificate.
        path: PathBuf,
    },
    /// The files of the CA do not hold what they should.
    #[error("{}: {reason}", path.display())]
    BadAuthority {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it; never its content.
        reason: &'static str,
    },
    /// Another process kept the lock of the CA folder for too long.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// No file of trusted roots was found on this system.
    #[error("no system trust store found; set SSL_CERT_FILE to a PEM file of trusted roots")]
    NoSystemRoots,
    /// A key or a certificate could not be made.
    #[error(transparent)]
    Mint(#[from] crate::mint::MintError),
    /// The server could not listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The certificates of mutual TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] telemetry::TlsError),
    /// The server stopped with an error.
    #[error("the certificates server failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// A metric of the same name is registered already.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl CertificatesError {
    /// Wraps an I/O error with what was being done to which path.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
