//! Makes certificates. Pure: no files, no clock; time and serial numbers are arguments. Key generation is the one exception.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::name::HostName;

/// Certificates begin this long before now, for clients whose clock is behind.
pub const BACKDATE: Duration = Duration::from_secs(60 * 60);
/// A leaf ends this long after now.
pub const LEAF_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// The CA ends this long after now: five years of 365 days. Long enough that no sandbox image outlives it, short enough to be replaced.
pub const CA_LIFE: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);

/// The CA of the gateway's own parts ends this long after now: two years of 365 days.
pub const INTERNAL_CA_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);
/// The certificate of a part of the gateway ends this long after now.
pub const COMPONENT_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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

/// A private key, PKCS#8 PEM. Nothing shows it, and its memory is wiped when the last one goes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretPem(Arc<Zeroizing<String>>);

impl SecretPem {
    /// The text of a key.
    #[must_use]
    pub fn of(key: &KeyPair) -> SecretPem {
        SecretPem(Arc::new(Zeroizing::new(key.serialize_pem())))
    }

    /// The text itself. Never to be shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPem(..)")
    }
}

/// A minted leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its key: one for all leaves of a CA and a process.
    pub key_pem: SecretPem,
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
    leaf_key_pem: SecretPem,
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
    certify_ca(key, serial, now, "Portcullis CA", CA_LIFE, vec![ExtendedKeyUsagePurpose::ServerAuth])
}

/// Makes the self-signed certificate for the CA of the gateway's own parts. It can sign what they show each other and nothing else.
///
/// # Errors
/// The clock is out of range, or the cryptographic library refused.
pub fn certify_internal_authority(key: &KeyPair, serial: Serial, now: SystemTime) -> Result<String, MintError> {
    let purposes = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    certify_ca(key, serial, now, "Portcullis internal CA", INTERNAL_CA_LIFE, purposes)
}

fn certify_ca(
    key: &KeyPair,
    serial: Serial,
    now: SystemTime,
    name: &str,
    life: Duration,
    purposes: Vec<ExtendedKeyUsagePurpose>,
) -> Result<String, MintError> {
    let mut params = CertificateParams::default();
    let fingerprint: String = params.key_identifier(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = common_name(&format!("{name} {fingerprint}"));
    params.serial_number = Some(positive(serial));
    params.not_before = stamp(now.checked_sub(BACKDATE))?;
    params.not_after = stamp(now.checked_add(life))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = purposes;
    Ok(params.self_signed(key)?.pem())
}

/// The CA of the gateway's own parts, as what signs.
#[derive(Debug)]
pub struct InternalCa<'a> {
    /// Its certificate, PEM.
    pub certificate_pem: &'a str,
    /// Its key.
    pub key: &'a KeyPair,
    /// When it ends.
    pub ends: SystemTime,
}

impl InternalCa<'_> {
    /// Makes the certificate of a part of the gateway, for both ends of its connections. It never outlives the CA.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, the clock is out of range, or the cryptographic library refused.
    pub fn certify(&self, key: &KeyPair, names: &Names, serial: Serial, now: SystemTime) -> Result<String, MintError> {
        let ends = now.checked_add(COMPONENT_LIFE).ok_or(MintError::Clock)?.min(self.ends);
        if ends <= now {
            return Err(MintError::CaExpired);
        }
        let text = |text: &str| text.try_into().map_err(|_| MintError::Name);
        let dns = names.dns.iter().map(|name| Ok(SanType::DnsName(text(name)?)));
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(names.dns.first().map_or("portcullis", String::as_str));
        params.subject_alt_names = dns.collect::<Result<_, MintError>>()?;
        params.subject_alt_names.push(SanType::URI(text(&names.uri)?));
        params.serial_number = Some(positive(serial));
        params.not_before = stamp(now.checked_sub(BACKDATE))?;
        params.not_after = stamp(Some(ends))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &Issuer::from_ca_cert_pem(self.certificate_pem, self.key)?)?.pem())
    }
}

/// What a part of the gateway is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Host names, the plain one first.
    pub dns: Vec<String>,
    /// The SPIFFE id.
    pub uri: String,
}

impl Signer {
    /// Takes the parsed CA; makes the leaf key.
    ///
    /// # Errors
    /// The certificate does not parse, or no key could be made.
    pub fn new(certificate_pem: &str, key: KeyPair, ends: SystemTime) -> Result<Self, MintError> {
        let leaf_key = new_key()?;
        let leaf_key_pem = SecretPem::of(&leaf_key);
        Ok(Self { issuer: Issuer::from_ca_cert_pem(certificate_pem, key)?, ends, leaf_key, leaf_key_pem })
    }

    /// When the CA ends.
    #[must_use]
    pub fn ends(&self) -> SystemTime {
        self.ends
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
        let renew_at = now.checked_add(left / 2).ok_or(MintError::Clock)?;
        Ok(Leaf { certificate_pem: certificate.pem(), key_pem: self.leaf_key_pem.clone(), version, renew_at })
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
