//! What the folder of certificates holds, read as one.

use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::TlsError;

pub(crate) const CERTIFICATE: &str = "tls.crt";
pub(crate) const KEY: &str = "tls.key";
pub(crate) const TRUST: &str = "ca.crt";

/// Larger files hold no certificates.
const LARGEST_FILE: u64 = 256 * 1024;
/// How often the files are read in search of two readings that agree.
const READINGS: usize = 5;

const RENEW: &str = "renew it: `portcullis pki apply` in a cluster, `portcullis pki issue` elsewhere, or look at what cert-manager says";
const REPLACE: &str = "put the files there that `portcullis pki` or cert-manager made for this component";

/// The three files as they stand.
pub(crate) struct Files {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    trust: Vec<u8>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files(..)")
    }
}

impl Files {
    /// Reads the files until two readings agree: a folder that is swapped in between never gives half of each.
    pub(crate) fn read(dir: &Path) -> Result<Files, TlsError> {
        let mut files = Files::once(dir)?;
        for _ in 0..READINGS {
            let again = Files::once(dir)?;
            if again.digest() == files.digest() {
                break;
            }
            files = again;
        }
        Ok(files)
    }

    fn once(dir: &Path) -> Result<Files, TlsError> {
        Ok(Files { certificate: read(dir, CERTIFICATE)?, key: Zeroizing::new(read(dir, KEY)?), trust: read(dir, TRUST)? })
    }

    /// Tells two sets apart, within this process.
    pub(crate) fn digest(&self) -> u64 {
        digest(&[&self.certificate, &self.key, &self.trust])
    }
}

/// A keyed hash: who does not know this process's key cannot make two texts alike.
pub(crate) fn digest(parts: &[&[u8]]) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let mut hasher = KEY.build_hasher();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, TlsError> {
    let path = dir.join(name);
    let reading = || -> io::Result<Vec<u8>> {
        let file = File::open(&path)?;
        let length = file.metadata()?.len().min(LARGEST_FILE);
        // Room for all of it at once: a buffer that grows leaves copies of a key behind.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
        file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    reading().map_err(|cause| TlsError::Read { path: path.clone(), cause })
}

/// A usable set: our certificate with its key, and whom we trust.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) ours: Arc<CertifiedKey>,
    pub(crate) clients: Arc<dyn ClientCertVerifier>,
    /// When our certificate ends.
    pub(crate) ends: SystemTime,
    /// When the first of the trusted CAs ends: from then on the set must be made anew, without it.
    pub(crate) trusted_until: SystemTime,
    pub(crate) digest: u64,
}

impl Material {
    /// Makes a set of the files.
    ///
    /// # Errors
    /// A file holds something else, the key is not that of the certificate, or something is not valid now.
    pub(crate) fn new(dir: &Path, files: &Files, now: SystemTime) -> Result<Material, TlsError> {
        let bad = |name: &str, what, todo| TlsError::Bad { path: dir.join(name), what, todo };
        let no_certificate = |name| bad(name, "holds no certificates in PEM", REPLACE);
        let certificates = |name, bytes: &[u8]| {
            let all: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(bytes).collect();
            all.ok().filter(|all| !all.is_empty()).ok_or_else(|| no_certificate(name))
        };
        let chain = certificates(CERTIFICATE, &files.certificate)?;
        let (begins, ends) = validity(&chain[0]).ok_or_else(|| no_certificate(CERTIFICATE))?;
        if now >= ends {
            return Err(bad(CERTIFICATE, "has expired", RENEW));
        }
        if now < begins {
            return Err(bad(CERTIFICATE, "is not valid yet", "is the clock right?"));
        }
        // The cause is left out: a parser's message must never quote a key.
        let no_key = || bad(KEY, "holds no private key in PEM", REPLACE);
        let key = Zeroizing::new(PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| no_key())?);
        let key = ring::sign::any_supported_type(&key).map_err(|_| no_key())?;
        let ours = CertifiedKey::new(chain, key);
        ours.keys_match().map_err(|_| bad(KEY, "is not the key of tls.crt beside it", REPLACE))?;

        let mut roots = RootCertStore::empty();
        let mut trusted_until = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX));
        for ca in certificates(TRUST, &files.trust)? {
            let (_, ends) = validity(&ca).ok_or_else(|| no_certificate(TRUST))?;
            // The verifier does not look at when a trusted CA ends; during an overlap of two the old one must go by itself.
            if now < ends {
                trusted_until = trusted_until.min(ends);
                roots.add(ca).map_err(|_| no_certificate(TRUST))?;
            }
        }
        if roots.is_empty() {
            return Err(bad(TRUST, "holds only certificates that have expired", RENEW));
        }
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), ring::default_provider().into())
            .build()
            .map_err(|_| no_certificate(TRUST))?;
        Ok(Material { ours: Arc::new(ours), clients, ends, trusted_until, digest: files.digest() })
    }
}

/// When a certificate begins and ends.
fn validity(certificate: &CertificateDer<'_>) -> Option<(SystemTime, SystemTime)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let moment = |seconds: i64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?));
    let validity = certificate.validity();
    Some((moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?))
}
