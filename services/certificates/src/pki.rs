//! What the parts of a gateway need to know and trust each other, and when each piece of it is made anew.
//!
//! Pure: given what there is and the time, [`plan`] says what there should be. Folders, manifests and the Kubernetes API are outlets of it
//! (`portcullis pki`). Doing it again changes nothing that is not due.
//!
//! A new CA is announced before it signs: it is made when less than [`RENEW_CA`] of the old one is left, everybody is told to trust it, and
//! only [`ANNOUNCED`] later it takes over. So who learns of changes late, a process in a sandbox that reads its bundle once, never meets a
//! certificate that it cannot verify.

mod authorities;
mod files;
mod leaf;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::mint::{MintError, Names, Serial};

use authorities::Authorities;
pub use files::Files;

/// A CA gets a successor when less than this is left of it.
pub const RENEW_CA: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How long a successor is known to everybody before it signs.
pub const ANNOUNCED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A successor takes over early when less than this is left of the CA: nobody ran this for a long time.
pub const LAST_MOMENT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes of the key of fingerprints.
const FINGERPRINT_KEY_BYTES: usize = 32;

/// A part of the gateway that shows a certificate to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Envoy.
    Gateway,
    /// The scanner.
    Scanner,
    /// The certificates service.
    Certificates,
    /// Who calls the Scan API.
    ApiClient,
}

impl Component {
    /// All of them.
    pub const ALL: [Component; 4] = [Component::Gateway, Component::Scanner, Component::Certificates, Component::ApiClient];

    fn name(self) -> &'static str {
        match self {
            Component::Gateway => "gateway",
            Component::Scanner => "scanner",
            Component::Certificates => "certificates",
            Component::ApiClient => "api-client",
        }
    }

    /// The plain name, the names of its Service in a cluster, and the SPIFFE id.
    fn names(self, namespace: &str) -> Names {
        let plain = format!("portcullis-{}", self.name());
        let inside = ["", ".svc", ".svc.cluster.local"].map(|end| format!("{plain}.{namespace}{end}"));
        Names { dns: [plain].into_iter().chain(inside).collect(), uri: format!("spiffe://portcullis/{}", self.name()) }
    }
}

/// A piece of it: a folder, or an object of a cluster. In the order in which they are written: what signs before what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The CA of the gateway's parts, with its key. No part of the gateway gets it.
    InternalCa,
    /// The CA of the leaves that sandboxes see, with its key: for the certificates service.
    Ca,
    /// The key of fingerprints, for all scanners.
    FingerprintKey,
    /// The certificate of one part, with its key and whom it trusts.
    Tls(Component),
    /// What sandboxes trust. Public.
    Bundle,
}

impl Item {
    /// The name of its folder.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Item::InternalCa => "internal-ca",
            Item::Ca => "ca",
            Item::FingerprintKey => "fingerprint-key",
            Item::Tls(component) => component.name(),
            Item::Bundle => "ca-bundle",
        }
    }

    /// The name of its object in a cluster.
    #[must_use]
    pub fn object(self) -> String {
        match self {
            Item::Tls(component) => format!("portcullis-{}-tls", component.name()),
            other => format!("portcullis-{}", other.folder()),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

/// What belongs together, and can be left to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The internal CA and the certificates of the gateway's parts.
    Internal,
    /// The CA of the leaves, and what sandboxes trust.
    Ca,
    /// The key of fingerprints.
    FingerprintKey,
}

impl Group {
    /// All of them.
    pub const ALL: [Group; 3] = [Group::Internal, Group::Ca, Group::FingerprintKey];

    /// What is in it.
    #[must_use]
    pub fn items(self) -> Vec<Item> {
        match self {
            Group::Internal => [Item::InternalCa].into_iter().chain(Component::ALL.map(Item::Tls)).collect(),
            Group::Ca => vec![Item::Ca, Item::Bundle],
            Group::FingerprintKey => vec![Item::FingerprintKey],
        }
    }
}

/// What there is of an item.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its files.
    pub files: Files,
    /// Whether this program made it. What somebody else made is used as it is, and never changed.
    pub ours: bool,
}

/// What there should be of an item.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its files.
    pub files: Files,
    /// When it ends, if it does.
    pub ends: Option<SystemTime>,
}

/// What the plan depends on beside what there is.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// What is looked after.
    pub groups: &'a [Group],
    /// The namespace of the gateway's parts, for their names.
    pub namespace: &'a str,
    /// The roots that sandboxes trust beside our CA, PEM.
    pub roots: &'a str,
}

/// Why there is no plan. Nothing here quotes a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// What others depend on is there, and of no use. It is not replaced: everybody would have to trust the new one at once.
    #[error("{item}: {file}: {what}; put it back, or remove all of {item} to have a new one made")]
    Broken {
        /// The item.
        item: Item,
        /// Which of its files.
        file: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// A key or a certificate could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Says what there should be, given what there is and the time. `serial` gives numbers that nobody can guess; keys are the other part of
/// chance.
///
/// # Errors
/// A CA or the key of fingerprints is there and broken, or something cannot be made.
pub fn plan(
    held: &BTreeMap<Item, Held>,
    settings: &Settings<'_>,
    now: SystemTime,
    serial: &mut dyn FnMut() -> Serial,
) -> Result<BTreeMap<Item, Planned>, PkiError> {
    let mut planned = BTreeMap::new();
    for group in settings.groups {
        match group {
            Group::Internal => {
                let authorities = Authorities::advance(&authorities::INTERNAL, held.get(&Item::InternalCa), now, serial)?;
                let trust = authorities.trust();
                for component in Component::ALL {
                    let item = Item::Tls(component);
                    planned.insert(item, leaf::plan(held.get(&item), &authorities, &component.names(settings.namespace), now, serial)?);
                }
                let mut files = authorities.files();
                files.put("ca.crt", trust.into_bytes());
                planned.insert(Item::InternalCa, Planned { files, ends: Some(authorities.ends()) });
            }
            Group::Ca => {
                let authorities = Authorities::advance(&authorities::LEAVES, held.get(&Item::Ca), now, serial)?;
                let trust = authorities.trust();
                let between = if settings.roots.is_empty() || settings.roots.ends_with('\n') { "" } else { "\n" };
                let bundle = format!("{}{between}{trust}", settings.roots);
                let bundle = Files::of([("ca.pem", trust.into_bytes()), ("bundle.pem", bundle.into_bytes())]);
                planned.insert(Item::Bundle, Planned { files: bundle, ends: None });
                planned.insert(Item::Ca, Planned { files: authorities.files(), ends: Some(authorities.ends()) });
            }
            Group::FingerprintKey => {
                let files = fingerprint_key(held.get(&Item::FingerprintKey))?;
                planned.insert(Item::FingerprintKey, Planned { files, ends: None });
            }
        }
    }
    for (item, plan) in &mut planned {
        if let Some(other) = held.get(item).filter(|held| !held.ours) {
            plan.files = other.files.clone();
        }
    }
    Ok(planned)
}

/// The key that there is, or a new one. It is never renewed: fingerprints in audit logs and policies would mean nothing any more.
fn fingerprint_key(held: Option<&Held>) -> Result<Files, PkiError> {
    const FILE: &str = "fingerprint.key";
    let Some(held) = held else {
        let mut key = vec![0; FINGERPRINT_KEY_BYTES];
        getrandom::fill(&mut key).map_err(PkiError::Random)?;
        return Ok(Files::of([(FILE, key)]));
    };
    match held.files.get(FILE) {
        Some(key) if key.len() == FINGERPRINT_KEY_BYTES => Ok(held.files.clone()),
        _ => Err(PkiError::Broken { item: Item::FingerprintKey, file: FILE, what: "this is not a key of 32 bytes" }),
    }
}

#[cfg(test)]
mod tests;
