//! The certificate of one part of the gateway: kept while it is good, made anew when it is due.

use std::time::SystemTime;

use rcgen::{KeyPair, PublicKeyData};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::authorities::Authorities;
use super::{Files, Held, PkiError, Planned};
use crate::authority;
use crate::mint::{self, BACKDATE, Names, SecretPem, Serial};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const TRUST: &str = "ca.crt";

/// The certificate that there is, or a new one; with whom to trust now.
pub(super) fn plan(
    held: Option<&Held>,
    authorities: &Authorities,
    names: &Names,
    now: SystemTime,
    serial: &mut dyn FnMut() -> Serial,
) -> Result<Planned, PkiError> {
    if let Some(other) = held.filter(|held| !held.ours) {
        return Ok(Planned { files: other.files.clone(), ends: None });
    }
    let good = held.and_then(|held| Some((held, good_until(&held.files, authorities, names, now)?)));
    let (mut files, ends) = match good {
        Some((held, ends)) => (held.files.clone(), ends),
        None => {
            let key = mint::new_key()?;
            let signer = authorities.signer();
            let certificate = signer.certify(&key, names, serial(), now)?;
            let ends = (now + mint::COMPONENT_LIFE).min(signer.ends);
            (Files::of([(CERTIFICATE, certificate.into_bytes()), (KEY, SecretPem::of(&key).as_str().as_bytes().to_vec())]), ends)
        }
    };
    files.put(TRUST, authorities.trust().into_bytes());
    Ok(Planned { files, ends: Some(ends) })
}

/// When the certificate ends; `None`: there is none that is good for another third of its life.
fn good_until(files: &Files, authorities: &Authorities, names: &Names, now: SystemTime) -> Option<SystemTime> {
    let key = KeyPair::from_pem(files.text(KEY)?).ok()?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(files.get(CERTIFICATE)?).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let (begins, ends) = authority::dates(&certificate)?;
    let issued = begins + BACKDATE;
    let due = issued + ends.duration_since(issued).ok()? * 2 / 3;
    let ours = certificate.public_key().raw == key.subject_public_key_info() && authorities.signed(&certificate);
    (begins <= now && now < due && ours && has_names(&certificate, names)).then_some(ends)
}

/// Whether the certificate has these names and no others.
fn has_names(certificate: &X509Certificate<'_>, names: &Names) -> bool {
    let Ok(Some(found)) = certificate.subject_alternative_name() else { return false };
    let wanted = names.dns.iter().map(|name| GeneralName::DNSName(name)).chain([GeneralName::URI(&names.uri)]);
    wanted.eq(found.value.general_names.iter().cloned())
}
