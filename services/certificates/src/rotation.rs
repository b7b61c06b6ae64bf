//! Another CA while the service runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use telemetry::{Readiness, Watch};

use crate::authority::{self, Authority, CERTIFICATE_FILE, KeyAccess};
use crate::cache::Leaves;
use crate::error::CertificatesError;
use crate::metrics::{self, Metrics};

/// How often the folder is looked at when nothing tells of a change, and whether the CA has ended.
const LOOK: Duration = Duration::from_secs(30);
/// A folder that is swapped at this very moment gives half of each: this long after it is looked at once more.
const SWAP: Duration = Duration::from_millis(200);
/// The part of readiness that this module speaks for.
const FAULT: &str = "ca";

/// Looks after the CA's folder until the watch is dropped. A CA that cannot be used keeps the one before.
///
/// # Errors
/// The thread that looks cannot be started.
pub(crate) fn follow(
    folder: PathBuf,
    access: KeyAccess,
    leaves: Arc<Leaves>,
    metrics: Metrics,
    readiness: Readiness,
) -> Result<Watch, CertificatesError> {
    let files = [folder.join(CERTIFICATE_FILE)];
    let mut follower = Follower { folder: folder.clone(), access, leaves, metrics, readiness, wrong: None, expired: false };
    follower.look(SystemTime::now());
    Watch::files(&files, Some(LOOK), move || follower.look(SystemTime::now())).map_err(CertificatesError::file("watch", folder))
}

struct Follower {
    folder: PathBuf,
    access: KeyAccess,
    leaves: Arc<Leaves>,
    metrics: Metrics,
    readiness: Readiness,
    /// What was said of a CA that cannot be used: once is enough.
    wrong: Option<String>,
    expired: bool,
}

impl Follower {
    fn look(&mut self, now: SystemTime) {
        let changed = self.changed(now).or_else(|_| {
            std::thread::sleep(SWAP);
            self.changed(now)
        });
        match changed {
            Ok(None) => self.wrong = None,
            Ok(Some(authority)) => {
                self.leaves.replace(authority);
                self.metrics.ca_reloads.with_label_values(&["ok"]).inc();
                self.wrong = None;
                tracing::info!(folder = %self.folder.display(), "leaves are signed by a new CA from now on");
            }
            Err(error) => {
                let error = error.to_string();
                if self.wrong.as_ref() != Some(&error) {
                    self.metrics.ca_reloads.with_label_values(&["error"]).inc();
                    tracing::error!(error, "the new CA cannot be used; the old one stays");
                }
                self.wrong = Some(error);
            }
        }
        let (_, ends) = self.leaves.authority();
        self.metrics.ca_expiry.set(metrics::seconds(ends));
        let expired = ends <= now;
        if expired != self.expired {
            if expired {
                tracing::error!(folder = %self.folder.display(), "the CA has expired: the service is not ready until there is another");
            }
            self.readiness.fault(FAULT, expired.then(|| format!("the CA in {} has expired", self.folder.display())));
            self.expired = expired;
        }
    }

    /// The CA in the folder; `None`: it is the one in use.
    fn changed(&self, now: SystemTime) -> Result<Option<Authority>, CertificatesError> {
        if authority::read(&self.folder.join(CERTIFICATE_FILE))? == self.leaves.authority().0 {
            return Ok(None);
        }
        Authority::load(&self.folder, self.access, now).map(Some)
    }
}

#[cfg(test)]
mod tests;
