//! Who may connect: whoever shows a certificate of ours with one of the allowed names.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use x509_parser::extensions::GeneralName;

use super::material::Material;

/// The set in use, behind both questions of a handshake: who we are, and who may come in.
#[derive(Debug)]
pub(crate) struct Current(pub(crate) Arc<ArcSwap<Material>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().ours))
    }
}

/// Clients with one of these names, exactly, among the DNS names of their certificate.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) current: Arc<ArcSwap<Material>>,
    pub(crate) names: Vec<String>,
}

impl ClientCertVerifier for Peers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hints: peers have one certificate each, and the hints would be those of one moment.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.current.load().clients.verify_client_cert(end_entity, intermediates, now)?;
        if has_name(end_entity, &self.names) {
            return Ok(verified);
        }
        let stranger = OtherError(Arc::new(Stranger { allowed: self.names.join(", ") }));
        Err(Error::InvalidCertificate(CertificateError::Other(stranger)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().clients.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().clients.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().clients.supported_verify_schemes()
    }
}

/// A wildcard in a certificate is no name here: components are called by theirs.
fn has_name(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return false };
    alternatives.value.general_names.iter().any(|general| match general {
        GeneralName::DNSName(found) => names.iter().any(|name| name.eq_ignore_ascii_case(found)),
        _ => false,
    })
}

/// A certificate of ours, but of somebody who has no business here.
#[derive(Debug)]
struct Stranger {
    allowed: String,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the client's certificate has none of the names {}", self.allowed)
    }
}

impl std::error::Error for Stranger {}
