//! Makes certificates. Pure: no files, no clock; time and serial numbers are arguments. Key generation is the one exception.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::name::HostName;

/// Certificates begin this long before now, for clients whose clock is behind.
pub const BACKDATE: Duration = Duration::from_secs(60 * 60);
/// A leaf ends this long after now.
pub const LEAF_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// The CA ends this long after now: five years of 365 days. Long enough that no sandbox image outlives it, short enough to be replaced.
pub const CA_LIFE: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);

/// A certificate serial number: 16 random bytes (the CA/Browser forum asks for 8 or more).
pub type Serial = [u8; 16];

/// A key or certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The name cannot stand in a certificate.
    #[error("the name cannot stand in a certificate")]
    Name,
    /// The CA ends before the leaf would begin to be of use.
    #[error("the CA has expired")]
    CaExpired,
    /// The clock is beyond what a certificate can say.
    #[error("the clock is out of range")]
    Clock,
    /// The cryptographic library refused.
    #[error("cannot make a key or certificate: {0}")]
    Crypto(#[from] rcgen::Error),
}

/// A new CA, as the two texts that are stored. `Debug` shows neither.
pub struct NewAuthority {
    /// The private key, PKCS#8 PEM. Secret.
    pub key_pem: String,
    /// The certificate, PEM. Public.
    pub certificate_pem: String,
}

impl fmt::Debug for NewAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewAuthority(..)")
    }
}

/// A minted leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Differs between any two leaves: the serial number in hexadecimal.
    pub version: String,
    /// From this moment on less than half of its life is left, and it is minted again.
    pub renew_at: SystemTime,
}

/// What signs leaves: the key and name of the CA, and the one leaf key of this process.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    ends: SystemTime,
    leaf_key: KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// Makes a new key of a CA (ECDSA P-256, which every TLS client in use knows).
///
/// # Errors
/// The random source failed.
pub fn new_key() -> Result<KeyPair, MintError> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// Makes the self-signed certificate for the key of a CA.
///
/// It can sign server leaves and nothing else: path length 0, key usage certSign and cRLSign, extended key usage serverAuth.
/// It carries no name constraints: it must speak for every host a sandbox may visit, and a critical extension that some client does not
/// know would break that client for all hosts. What bounds the CA is who trusts it: only sandboxes, never a system trust store.
///
/// # Errors
/// The clock is out of range, or the cryptographic library refused.
pub fn certify_authority(key: &KeyPair, serial: Serial, now: SystemTime) -> Result<String, MintError> {
    let mut params = CertificateParams::default();
    let fingerprint: String = params.key_identifier(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = common_name(&format!("Portcullis CA {fingerprint}"));
    params.serial_number = Some(positive(serial));
    params.not_before = stamp(now.checked_sub(BACKDATE))?;
    params.not_after = stamp(now.checked_add(CA_LIFE))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params.self_signed(key)?.pem())
}

impl Signer {
    /// Takes the parsed CA; makes the leaf key.
    ///
    /// # Errors
    /// The certificate does not parse, or no key could be made.
    pub fn new(certificate_pem: &str, key: KeyPair, ends: SystemTime) -> Result<Self, MintError> {
        Ok(Self { issuer: Issuer::from_ca_cert_pem(certificate_pem, key)?, ends, leaf_key: new_key()? })
    }

    /// The private key of every leaf of this process, PKCS#8 PEM. Secret.
    #[must_use]
    pub fn leaf_key_pem(&self) -> String {
        self.leaf_key.serialize_pem()
    }

    /// Mints a leaf that holds exactly this name. It never outlives the CA.
    ///
    /// # Errors
    /// The CA has expired, the clock is out of range, or the cryptographic library refused.
    pub fn mint(&self, host: &HostName, serial: Serial, now: SystemTime) -> Result<Leaf, MintError> {
        let ends = now.checked_add(LEAF_LIFE).ok_or(MintError::Clock)?.min(self.ends);
        let left = ends.duration_since(now).map_err(|_| MintError::CaExpired)?;
        if left.is_zero() {
            return Err(MintError::CaExpired);
        }
        let mut params = CertificateParams::default();
        // The common name field holds 64 characters (RFC 5280, ub-common-name); clients read the subject alternative name.
        params.distinguished_name = common_name(if host.as_str().len() <= 64 { host.as_str() } else { "portcullis leaf" });
        params.subject_alt_names = vec![SanType::DnsName(host.as_str().try_into().map_err(|_| MintError::Name)?)];
        params.serial_number = Some(positive(serial));
        params.not_before = stamp(now.checked_sub(BACKDATE))?;
        params.not_after = stamp(Some(ends))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.leaf_key, &self.issuer)?;
        let version = positive(serial).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Leaf { certificate_pem: certificate.pem(), version, renew_at: now.checked_add(left / 2).ok_or(MintError::Clock)? })
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Clears the sign bit, and sets one below it so that the number is never zero and always of the same length.
fn positive(mut serial: Serial) -> SerialNumber {
    serial[0] = serial[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&serial)
}

fn stamp(time: Option<SystemTime>) -> Result<OffsetDateTime, MintError> {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).ok_or(MintError::Clock)?;
    let seconds = i64::try_from(since.as_secs()).map_err(|_| MintError::Clock)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| MintError::Clock)
}

#[cfg(test)]
mod tests;
