//! Whose certificates are trusted: the bundle of the sandbox, which holds the gateway's CA.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Whose certificates are trusted.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

/// Why a file of trusted certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no certificate in it.
    #[error("there is no certificate in {0}")]
    Empty(PathBuf),
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// Trusts the certificates of a PEM file; those that are broken are left out, as other tools do.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn file(path: &Path) -> Result<Self, TrustError> {
        let text = std::fs::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })?;
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
        if added == 0 {
            return Err(TrustError::Empty(path.to_owned()));
        }
        Ok(Self::of(roots)?)
    }

    /// Trusts nobody: every handshake fails.
    ///
    /// # Errors
    /// See [`TrustError::Tls`].
    pub fn nobody() -> Result<Self, TrustError> {
        Ok(Self::of(RootCertStore::empty())?)
    }

    fn of(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = std::env::temp_dir().join(format!("pc-probe-{}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("empty.pem");
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(Trust::file(&path), Err(TrustError::Empty(_))));
        assert!(matches!(Trust::file(&folder.join("none")), Err(TrustError::Read { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
