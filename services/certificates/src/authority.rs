//! The CA on disk: made once, loaded ever after, never readable by others, not even for an instant.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rcgen::{KeyPair, PublicKeyData};
use x509_parser::certificate::X509Certificate;
use zeroize::Zeroizing;

use crate::error::CertificatesError;
use crate::mint::{self, SecretPem, Signer};

/// The public certificate, in the CA folder.
pub const CERTIFICATE_FILE: &str = "ca.pem";
/// The private key, in the CA folder.
pub const KEY_FILE: &str = "ca.key";
const LOCK_FILE: &str = ".lock";
/// Making a CA takes milliseconds; who holds the lock longer than this is stuck.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// No key or certificate of a CA is longer, in bytes.
const LARGEST_FILE: u64 = 64 * 1024;

/// Who may read the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyAccess {
    /// Its owner only; the folder is 0700 as well. For everything this program creates.
    #[default]
    OwnerOnly,
    /// Its owner and its group may read it. For a Kubernetes Secret volume, where `fsGroup` sets the group read bit.
    GroupRead,
}

/// A loaded CA.
#[derive(Debug)]
pub struct Authority {
    signer: Signer,
    certificate_pem: String,
}

impl Authority {
    /// Loads the CA of a folder, or makes one if there is none. Two starts at once end with the same CA. Blocks for milliseconds.
    ///
    /// # Errors
    /// Says in one line which file is at fault: unreadable, readable by others, broken, expired, or only half there.
    pub fn load_or_create(folder: &Path, access: KeyAccess, now: SystemTime) -> Result<Self, CertificatesError> {
        // The certificate is put in place last, so a folder that has one is complete, and a read-only folder needs no lock.
        if !folder.join(CERTIFICATE_FILE).exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(CertificatesError::file("create", folder))?;
            check_mode(folder, access, 0o700)?;
            let _lock = lock(&folder.join(LOCK_FILE))?;
            if !folder.join(CERTIFICATE_FILE).exists() {
                create(folder, access, now)?;
            }
        }
        Self::load(folder, access, now)
    }

    /// Loads the CA of a folder.
    ///
    /// # Errors
    /// As [`Authority::load_or_create`], and when there is none.
    pub fn load(folder: &Path, access: KeyAccess, now: SystemTime) -> Result<Self, CertificatesError> {
        let certificate_path = folder.join(CERTIFICATE_FILE);
        let certificate_pem = read(&certificate_path)?;
        check_mode(folder, access, 0o700)?;
        let key = load_key(&folder.join(KEY_FILE), access).map_err(|error| match error {
            CertificatesError::File { source, .. } if source.kind() == ErrorKind::NotFound => {
                CertificatesError::KeyMissing { path: certificate_path.clone() }
            }
            other => other,
        })?;
        let ends = check_certificate(&certificate_pem, &key, now)
            .map_err(|reason| CertificatesError::BadAuthority { path: certificate_path, reason })?;
        Ok(Self { signer: Signer::new(&certificate_pem, key, ends)?, certificate_pem })
    }

    /// The public certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Gives up the signer, for the cache of leaves.
    #[must_use]
    pub fn into_signer(self) -> Signer {
        self.signer
    }
}

/// Waits for the exclusive lock. The kernel releases it when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, CertificatesError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(CertificatesError::file("open", path))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::WouldBlock) => return Err(CertificatesError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(CertificatesError::File { action: "lock", path: path.to_owned(), source }),
        }
    }
}

/// Makes the files, key first. A start that died between the two left a key: it is used, so that no key is ever written over.
fn create(folder: &Path, access: KeyAccess, now: SystemTime) -> Result<(), CertificatesError> {
    let key_path = folder.join(KEY_FILE);
    let key = match load_key(&key_path, access) {
        Ok(key) => key,
        Err(CertificatesError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            let key = mint::new_key()?;
            place(&key_path, SecretPem::of(&key).as_str().as_bytes(), 0o600)?;
            key
        }
        Err(other) => return Err(other),
    };
    let certificate = mint::certify_authority(&key, rand::random(), now)?;
    place(&folder.join(CERTIFICATE_FILE), certificate.as_bytes(), 0o644)
}

/// Writes a new file that is whole, on disk and of the right mode before it has its name; never replaces one.
fn place(path: &Path, content: &[u8], mode: u32) -> Result<(), CertificatesError> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, content, mode).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    written.map_err(CertificatesError::file("write", path))?;
    removed.map_err(CertificatesError::file("remove", &temporary))
}

/// Creates a file with O_EXCL and its final mode, writes it and waits until the disk has it.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A name in the same folder that nothing else uses.
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{:016x}", rand::random::<u64>()))
}

fn load_key(path: &Path, access: KeyAccess) -> Result<KeyPair, CertificatesError> {
    check_mode(path, access, 0o600)?;
    // The cause is left out: a parser's message must never quote a key.
    KeyPair::from_pem(&Zeroizing::new(read(path)?))
        .map_err(|_| CertificatesError::BadAuthority { path: path.to_owned(), reason: "this is not a private key in PKCS#8 PEM" })
}

/// Refuses a file or folder that somebody else may read or change.
fn check_mode(path: &Path, access: KeyAccess, wanted: u32) -> Result<(), CertificatesError> {
    let metadata = fs::metadata(path).map_err(CertificatesError::file("read", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    let forbidden = match access {
        KeyAccess::OwnerOnly => 0o077,
        // Kubernetes owns the folder of a Secret volume and gives it its own mode; only the files count.
        KeyAccess::GroupRead if metadata.is_dir() => 0,
        KeyAccess::GroupRead => 0o037,
    };
    if mode & forbidden == 0 { Ok(()) } else { Err(CertificatesError::LaxPermissions { path: path.to_owned(), mode, wanted }) }
}

pub(crate) fn read(path: &Path) -> Result<String, CertificatesError> {
    let file = File::open(path).map_err(CertificatesError::file("read", path))?;
    let length = file.metadata().map_err(CertificatesError::file("read", path))?.len().min(LARGEST_FILE);
    // Room for all of it at once: a buffer that grows leaves copies of a key behind.
    let mut text = String::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(LARGEST_FILE).read_to_string(&mut text).map_err(CertificatesError::file("read", path))?;
    Ok(text)
}

/// Checks that the certificate is that of a CA, in force, and of this key; gives the moment it ends.
fn check_certificate(pem: &str, key: &KeyPair, now: SystemTime) -> Result<SystemTime, &'static str> {
    let (begins, ends) = validity_of(pem, key)?;
    if now < begins {
        return Err("this CA is not valid yet; is the clock right?");
    }
    if now >= ends {
        return Err("this CA has expired; remove ca.pem and ca.key to make a new one, and let the sandboxes trust it");
    }
    Ok(ends)
}

/// Checks that the certificate is that of a CA, and of this key; gives the moments it begins and ends.
pub(crate) fn validity_of(pem: &str, key: &KeyPair) -> Result<(SystemTime, SystemTime), &'static str> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| "this is not PEM")?;
    let certificate = pem.parse_x509().map_err(|_| "this is not a certificate")?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return Err("this certificate is not of the key beside it");
    }
    if !certificate.is_ca() {
        return Err("this certificate is not that of a CA");
    }
    dates(&certificate).ok_or("the dates of this certificate are out of range")
}

/// When a certificate begins and ends.
pub(crate) fn dates(certificate: &X509Certificate<'_>) -> Option<(SystemTime, SystemTime)> {
    let moment = |seconds: i64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?));
    let validity = certificate.validity();
    Some((moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?))
}

#[cfg(test)]
mod tests;
