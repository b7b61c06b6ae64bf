//! Mutual TLS between the parts of the gateway, with certificates that change while it runs.
//!
//! A folder holds `tls.crt`, `tls.key` and `ca.crt`, as cert-manager and `portcullis pki` make them and Kubernetes mounts them. Both sides
//! of every handshake read the set of the moment; connections that are open stay as they are. A client shows a certificate of the same CA
//! with one of the allowed DNS names, or it does not come in. TLS 1.3 only, HTTP/2 only, and no session is resumed: a resumed one would
//! not show its certificate again.

mod error;
mod handshakes;
mod material;
mod metrics;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use prometheus::Registry;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use tokio_rustls::TlsAcceptor;

pub use error::TlsError;
pub(crate) use handshakes::Handshakes;
use material::{Files, Material};
use metrics::Metrics;
use verify::{Current, Peers};

use crate::{Readiness, Watch};

/// How often the files are looked at when nothing tells of a change, and whether the certificate has ended.
const LOOK: Duration = Duration::from_secs(30);
/// HTTP/2 (RFC 9113 section 3.2).
const H2: &[u8] = b"h2";
/// The part of readiness that this module speaks for.
const FAULT: &str = "tls";

/// The certificates of a service, looked after until dropped.
#[derive(Debug)]
#[must_use = "certificates are looked after until it is dropped"]
pub struct Tls {
    shared: Arc<Shared>,
    _watch: Watch,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    current: Arc<ArcSwap<Material>>,
    metrics: Metrics,
    readiness: Readiness,
    said: Mutex<Said>,
}

/// What was logged already.
#[derive(Debug, Default)]
struct Said {
    /// The files that cannot be used, by digest.
    wrong: Option<u64>,
    expired: bool,
}

/// What stands at the door of one listener.
#[derive(Clone)]
pub struct Guard {
    acceptor: TlsAcceptor,
    metrics: Metrics,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard(..)")
    }
}

impl Tls {
    /// Reads the folder and looks after it. An expired certificate makes the service unready until there is another.
    ///
    /// # Errors
    /// A file is missing or of no use; one line says which, and what to do.
    pub fn start(dir: &Path, registry: &Registry, readiness: &Readiness) -> Result<Tls, TlsError> {
        let shared = Arc::new(Shared::load(dir, registry, readiness, SystemTime::now())?);
        let follower = Arc::clone(&shared);
        let files = [dir.join(material::CERTIFICATE)];
        let watch = Watch::files(&files, Some(LOOK), move || follower.refresh(SystemTime::now()))
            .map_err(|cause| TlsError::Watch { path: dir.to_owned(), cause })?;
        Ok(Tls { shared, _watch: watch })
    }

    /// A guard that lets clients with one of these DNS names in.
    ///
    /// # Errors
    /// The library refuses the settings.
    pub fn guard(&self, peers: &[String]) -> Result<Guard, TlsError> {
        self.shared.guard(peers)
    }
}

impl Shared {
    fn load(dir: &Path, registry: &Registry, readiness: &Readiness, now: SystemTime) -> Result<Shared, TlsError> {
        let material = Material::new(dir, &Files::read(dir)?, now)?;
        let metrics = Metrics::register(registry)?;
        metrics.expiry.set(seconds(material.ends));
        Ok(Shared {
            dir: dir.to_owned(),
            current: Arc::new(ArcSwap::from_pointee(material)),
            metrics,
            readiness: readiness.clone(),
            said: Mutex::default(),
        })
    }

    fn guard(&self, peers: &[String]) -> Result<Guard, TlsError> {
        let peers = Peers { current: Arc::clone(&self.current), names: peers.to_vec() };
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(peers))
            .with_cert_resolver(Arc::new(Current(Arc::clone(&self.current))));
        config.alpn_protocols = vec![H2.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Guard { acceptor: TlsAcceptor::from(Arc::new(config)), metrics: self.metrics.clone() })
    }

    /// Takes a new set if there is one and it is good; says what is wrong once.
    fn refresh(&self, now: SystemTime) {
        let current = self.current.load();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match self.changed(&current, now) {
            Ok(None) => said.wrong = None,
            Ok(Some(material)) => {
                self.metrics.expiry.set(seconds(material.ends));
                self.metrics.reloads.with_label_values(&["ok"]).inc();
                self.current.store(Arc::new(material));
                said.wrong = None;
                tracing::info!(folder = %self.dir.display(), "new certificates are in use");
            }
            Err((files, error)) => {
                if said.wrong != Some(files) {
                    self.metrics.reloads.with_label_values(&["error"]).inc();
                    tracing::error!(%error, "the new certificates cannot be used; the old ones stay");
                }
                said.wrong = Some(files);
            }
        }
        let expired = self.current.load().ends <= now;
        if expired != said.expired {
            let path = self.dir.join(material::CERTIFICATE);
            if expired {
                tracing::error!(path = %path.display(), "the certificate has expired: the service is not ready until there is another");
            }
            self.readiness.fault(FAULT, expired.then(|| format!("{} has expired", path.display())));
            said.expired = expired;
        }
    }

    /// The new set; `None`: it is the one in use. An error comes with what tells the wrong files from others.
    fn changed(&self, current: &Material, now: SystemTime) -> Result<Option<Material>, (u64, TlsError)> {
        let files = Files::read(&self.dir).map_err(|error| (material::digest(&[error.to_string().as_bytes()]), error))?;
        if files.digest() == current.digest && now < current.trusted_until {
            return Ok(None);
        }
        Material::new(&self.dir, &files, now).map(Some).map_err(|error| (files.digest(), error))
    }
}

fn seconds(moment: SystemTime) -> i64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
