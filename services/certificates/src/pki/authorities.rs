//! A CA over the years: the one that signs, its successor while it is being announced, and those that have signed what is still in use.

use std::time::SystemTime;

use rcgen::KeyPair;

use super::{ANNOUNCED, Files, Held, Item, LAST_MOMENT, PkiError, RENEW_CA};
use crate::authority;
use crate::mint::{self, BACKDATE, InternalCa, MintError, SecretPem, Serial};

/// How a certificate ends as we write it.
const END: &str = "-----END CERTIFICATE-----\n";

/// How a CA of one kind is made and kept.
pub(super) struct Kind {
    item: Item,
    certify: fn(&KeyPair, Serial, SystemTime) -> Result<String, MintError>,
    /// Certificate and key of the one that signs, and of its successor.
    current: (&'static str, &'static str),
    next: (&'static str, &'static str),
    /// The certificates of those before.
    old: &'static str,
}

/// The CA of the gateway's parts; its files are those that cert-manager wants of a CA, too.
pub(super) const INTERNAL: Kind = Kind {
    item: Item::InternalCa,
    certify: mint::certify_internal_authority,
    current: ("tls.crt", "tls.key"),
    next: ("next.crt", "next.key"),
    old: "old.crt",
};

/// The CA of the leaves; its files are those of `portcullis ca init`.
pub(super) const LEAVES: Kind = Kind {
    item: Item::Ca,
    certify: mint::certify_authority,
    current: ("ca.pem", "ca.key"),
    next: ("next.pem", "next.key"),
    old: "old.pem",
};

/// One CA that can sign.
struct Authority {
    certificate_pem: String,
    key: KeyPair,
    begins: SystemTime,
    ends: SystemTime,
}

/// One CA that could sign once.
struct Old {
    certificate_pem: String,
    ends: SystemTime,
}

/// All CAs of one kind at one moment.
pub(super) struct Authorities {
    kind: &'static Kind,
    current: Authority,
    next: Option<Authority>,
    old: Vec<Old>,
}

impl Authorities {
    /// What there is, brought to the present: made, succeeded, forgotten.
    pub(super) fn advance(
        kind: &'static Kind,
        held: Option<&Held>,
        now: SystemTime,
        serial: &mut dyn FnMut() -> Serial,
    ) -> Result<Authorities, PkiError> {
        let mut all = match held {
            None => Authorities { kind, current: Authority::make(kind, now, serial)?, next: None, old: Vec::new() },
            Some(held) => Authorities::read(kind, &held.files)?,
        };
        if held.is_some_and(|held| !held.ours) {
            let expired = PkiError::Broken { item: kind.item, file: kind.current.0, what: "this CA has expired" };
            return if now < all.current.ends { Ok(all) } else { Err(expired) };
        }
        let left = all.current.ends.duration_since(now).unwrap_or_default();
        if all.next.is_none() && left < RENEW_CA {
            all.next = Some(Authority::make(kind, now, serial)?);
        }
        let announced = |next: &Authority| next.begins + BACKDATE + ANNOUNCED <= now;
        if let Some(next) = all.next.take_if(|next| left < LAST_MOMENT || announced(next)) {
            let before = std::mem::replace(&mut all.current, next);
            all.old.push(Old { certificate_pem: before.certificate_pem, ends: before.ends });
        }
        all.old.retain(|old| now < old.ends);
        Ok(all)
    }

    fn read(kind: &'static Kind, files: &Files) -> Result<Authorities, PkiError> {
        let current = Authority::read(kind, kind.current, files)?;
        let next = files.get(kind.next.0).is_some().then(|| Authority::read(kind, kind.next, files)).transpose()?;
        let broken = || PkiError::Broken { item: kind.item, file: kind.old, what: "this is not certificates in PEM" };
        let mut old = Vec::new();
        let text = files.get(kind.old).map_or(Ok(""), std::str::from_utf8).map_err(|_| broken())?;
        for certificate_pem in text.split_inclusive(END).filter(|piece| !piece.trim().is_empty()) {
            let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()).map_err(|_| broken())?;
            let (_, ends) = pem.parse_x509().ok().and_then(|certificate| authority::dates(&certificate)).ok_or_else(broken)?;
            old.push(Old { certificate_pem: certificate_pem.to_owned(), ends });
        }
        Ok(Authorities { kind, current, next, old })
    }

    /// All of it as files.
    pub(super) fn files(&self) -> Files {
        let mut files = Files::default();
        let signing = [(self.kind.current, Some(&self.current)), (self.kind.next, self.next.as_ref())];
        for ((certificate, key), authority) in signing.into_iter().filter_map(|(names, one)| Some((names, one?))) {
            files.put(certificate, authority.certificate_pem.clone().into_bytes());
            files.put(key, SecretPem::of(&authority.key).as_str().as_bytes().to_vec());
        }
        if !self.old.is_empty() {
            files.put(self.kind.old, self.old.iter().map(|old| old.certificate_pem.as_str()).collect::<String>().into_bytes());
        }
        files
    }

    /// The certificates that others have to trust, PEM: the one that signs first.
    pub(super) fn trust(&self) -> String {
        let lines = |pem: &str| format!("{}\n", pem.trim_end());
        self.trusted().map(lines).collect()
    }

    fn trusted(&self) -> impl Iterator<Item = &str> {
        let signing = [Some(&self.current), self.next.as_ref()].into_iter().flatten();
        signing.map(|one| one.certificate_pem.as_str()).chain(self.old.iter().map(|old| old.certificate_pem.as_str()))
    }

    /// Whether one of them signed this certificate.
    pub(super) fn signed(&self, certificate: &x509_parser::certificate::X509Certificate<'_>) -> bool {
        self.trusted().any(|pem| {
            let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem.as_bytes()) else { return false };
            pem.parse_x509().is_ok_and(|ca| certificate.verify_signature(Some(ca.public_key())).is_ok())
        })
    }

    /// The one that signs.
    pub(super) fn signer(&self) -> InternalCa<'_> {
        InternalCa { certificate_pem: &self.current.certificate_pem, key: &self.current.key, ends: self.current.ends }
    }

    /// When the one that signs ends.
    pub(super) fn ends(&self) -> SystemTime {
        self.current.ends
    }
}

impl Authority {
    fn make(kind: &Kind, now: SystemTime, serial: &mut dyn FnMut() -> Serial) -> Result<Authority, PkiError> {
        let key = mint::new_key()?;
        let certificate_pem = (kind.certify)(&key, serial(), now)?;
        let broken = |what| PkiError::Broken { item: kind.item, file: kind.current.0, what };
        let (begins, ends) = authority::validity_of(&certificate_pem, &key).map_err(broken)?;
        Ok(Authority { certificate_pem, key, begins, ends })
    }

    fn read(kind: &Kind, names: (&'static str, &'static str), files: &Files) -> Result<Authority, PkiError> {
        let broken = |file, what| PkiError::Broken { item: kind.item, file, what };
        let certificate_pem = files.text(names.0).ok_or_else(|| broken(names.0, "there is no such file"))?.to_owned();
        // The cause is left out: a parser's message must never quote a key.
        let key = files.text(names.1).and_then(|pem| KeyPair::from_pem(pem).ok());
        let key = key.ok_or_else(|| broken(names.1, "there is no private key in PKCS#8 PEM"))?;
        let (begins, ends) = authority::validity_of(&certificate_pem, &key).map_err(|what| broken(names.0, what))?;
        Ok(Authority { certificate_pem, key, begins, ends })
    }
}
