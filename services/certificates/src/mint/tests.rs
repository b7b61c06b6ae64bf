//! Leaves are checked with the verifier of rustls, as a client would.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use x509_parser::extensions::GeneralName;

use super::*;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW
}

fn signer() -> (Signer, String) {
    let key = new_key().unwrap();
    let ca = certify_authority(&key, [7; 16], now()).unwrap();
    (Signer::new(&ca, key, now() + CA_LIFE).unwrap(), ca)
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn verify(ca: &str, leaf: &Leaf, name: &str, at: Duration) -> Result<(), rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der(ca)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let name = ServerName::try_from(name).unwrap();
    verifier.verify_server_cert(&der(&leaf.certificate_pem), &[], &name, &[], UnixTime::since_unix_epoch(at)).map(drop)
}

fn mint(signer: &Signer, name: &str) -> Leaf {
    signer.mint(&HostName::parse(name).unwrap(), rand::random(), now()).unwrap()
}

#[test]
fn a_leaf_is_accepted_for_its_name_and_for_no_other() {
    let (signer, ca) = signer();
    let leaf = mint(&signer, "API.GitHub.com");
    verify(&ca, &leaf, "api.github.com", NOW).unwrap();
    assert!(verify(&ca, &leaf, "github.com", NOW).is_err());
    assert!(verify(&ca, &leaf, "a.api.github.com", NOW).is_err());
}

#[test]
fn the_longest_name_and_one_with_underscores_are_accepted_by_a_client() {
    let (signer, ca) = signer();
    for name in [format!("{}aaa", "a.".repeat(125)), "my_bucket.example.com".to_owned()] {
        verify(&ca, &mint(&signer, &name), &name, NOW).unwrap();
    }
}

#[test]
fn a_leaf_is_backdated_an_hour_lives_a_day_and_is_renewed_at_half() {
    let (signer, ca) = signer();
    let leaf = mint(&signer, "example.com");
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    verify(&ca, &leaf, "example.com", NOW - hour).unwrap();
    assert!(verify(&ca, &leaf, "example.com", NOW - hour - Duration::from_secs(1)).is_err());
    verify(&ca, &leaf, "example.com", NOW + day).unwrap();
    assert!(verify(&ca, &leaf, "example.com", NOW + day + Duration::from_secs(1)).is_err());
    assert_eq!(leaf.renew_at, now() + day / 2);
}

#[test]
fn a_leaf_does_not_outlive_the_ca_and_an_expired_ca_mints_nothing() {
    let key = new_key().unwrap();
    let ca = certify_authority(&key, [7; 16], now()).unwrap();
    let signer = Signer::new(&ca, key, now() + Duration::from_secs(600)).unwrap();
    let leaf = mint(&signer, "example.com");
    assert_eq!(leaf.renew_at, now() + Duration::from_secs(300));
    assert!(verify(&ca, &leaf, "example.com", NOW + Duration::from_secs(601)).is_err());
    let late = signer.mint(&HostName::parse("example.com").unwrap(), [1; 16], now() + Duration::from_secs(600));
    assert!(matches!(late, Err(MintError::CaExpired)));
}

#[test]
fn two_leaves_have_the_same_key_but_different_serial_numbers() {
    let (signer, _) = signer();
    let (first, second) = (mint(&signer, "a.example"), mint(&signer, "b.example"));
    assert_ne!(first.version, second.version);
    let (first, second) = (der(&first.certificate_pem), der(&second.certificate_pem));
    let parse = |der| x509_parser::parse_x509_certificate(der).unwrap().1;
    assert_eq!(parse(&first).public_key().raw, parse(&second).public_key().raw);
    assert_ne!(parse(&first).raw_serial(), parse(&second).raw_serial());
}

#[test]
fn the_ca_can_sign_server_leaves_only() {
    let (signer, ca) = signer();
    let ca = der(&ca);
    let (_, ca) = x509_parser::parse_x509_certificate(&ca).unwrap();
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
    assert!(ca.extended_key_usage().unwrap().unwrap().value.server_auth);
    assert!(ca.subject().to_string().starts_with("CN=Portcullis CA "));

    let leaf = der(&mint(&signer, "example.com").certificate_pem);
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    assert!(!leaf.is_ca());
    assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names, [GeneralName::DNSName("example.com")]);
    assert_eq!(leaf.issuer(), ca.subject());
}

#[test]
fn debug_output_never_shows_a_key() {
    let (signer, _) = signer();
    let shown = format!("{signer:?}");
    assert!(!shown.contains("key") && shown.len() < 100, "{shown}");
}

#[test]
fn a_clock_out_of_range_is_an_error() {
    let (signer, _) = signer();
    let host = HostName::parse("example.com").unwrap();
    assert!(matches!(signer.mint(&host, [1; 16], SystemTime::UNIX_EPOCH), Err(MintError::Clock)));
}
