//! The plan over years: what is made, when it is renewed, and that everybody can always verify everybody.

use proptest::prelude::*;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use std::sync::Arc;

use super::*;
use crate::mint;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ROOTS: &str = "ROOTS";

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

type Estate = BTreeMap<Item, Held>;

fn settings(groups: &[Group]) -> Settings<'_> {
    Settings { groups, namespace: "portcullis", roots: ROOTS }
}

fn run(held: &Estate, now: SystemTime) -> Result<Estate, PkiError> {
    let planned = plan(held, &settings(&Group::ALL), now, &mut rand::random)?;
    Ok(planned.into_iter().map(|(item, plan)| (item, Held { files: plan.files, ours: true })).collect())
}

/// The items that differ.
fn changed(before: &Estate, after: &Estate) -> Vec<Item> {
    after.iter().filter(|(item, held)| before.get(item).is_none_or(|old| old.files != held.files)).map(|(item, _)| *item).collect()
}

fn text(estate: &Estate, item: Item, file: &str) -> String {
    String::from_utf8(estate[&item].files.get(file).unwrap_or_else(|| panic!("{item} has no {file}")).to_vec()).unwrap()
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

/// Whether who trusts these CAs takes this certificate for the name.
fn verifies(trust: &str, certificate: &str, name: &str, now: SystemTime) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    certificates(trust).into_iter().for_each(|ca| roots.add(ca).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let at = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    verifier.verify_server_cert(&certificates(certificate)[0], &[], &ServerName::try_from(name.to_owned()).unwrap(), &[], at).is_ok()
}

#[test]
fn from_nothing_everything_is_made_and_fits() {
    let estate = run(&Estate::new(), start()).unwrap();
    for component in Component::ALL {
        let item = Item::Tls(component);
        let (trust, certificate) = (text(&estate, Item::Tls(Component::Gateway), "ca.crt"), text(&estate, item, "tls.crt"));
        for name in ["", ".portcullis", ".portcullis.svc", ".portcullis.svc.cluster.local"] {
            assert!(verifies(&trust, &certificate, &format!("portcullis-{item}{name}"), start()), "{item}{name}");
        }
        assert!(!verifies(&trust, &certificate, "portcullis-other", start()));
        let der = certificates(&certificate).remove(0);
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth && !parsed.is_ca());
        let uri = format!("spiffe://portcullis/{item}");
        let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert!(names.contains(&x509_parser::extensions::GeneralName::URI(&uri)));
        assert!(text(&estate, item, "tls.key").contains("PRIVATE KEY"));
    }
    let ca = text(&estate, Item::Ca, "ca.pem");
    assert_eq!(text(&estate, Item::Bundle, "ca.pem"), ca);
    assert_eq!(text(&estate, Item::Bundle, "bundle.pem"), format!("{ROOTS}\n{ca}"));
    assert_eq!(estate[&Item::FingerprintKey].files.get("fingerprint.key").unwrap().len(), 32);
    let names = |item: Item| estate[&item].files.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(Item::Ca), ["ca.key", "ca.pem"], "what `ca init` makes");
    assert_eq!(names(Item::InternalCa), ["ca.crt", "tls.crt", "tls.key"], "what cert-manager's CA issuer takes");
}

#[test]
fn nothing_changes_when_nothing_is_due_and_leaves_are_due_after_two_thirds() {
    let estate = run(&Estate::new(), start()).unwrap();
    for days in [0, 1, 19] {
        assert_eq!(changed(&estate, &run(&estate, start() + days * DAY).unwrap()), []);
    }
    let due = start() + 20 * DAY;
    assert_eq!(changed(&estate, &run(&estate, due - Duration::from_secs(1)).unwrap()), []);
    let renewed = run(&estate, due).unwrap();
    assert_eq!(changed(&estate, &renewed), Component::ALL.map(Item::Tls));
    assert_eq!(changed(&renewed, &run(&renewed, due).unwrap()), [], "once is enough");
}

#[test]
fn a_successor_is_announced_before_it_signs_and_the_old_one_is_trusted_until_it_ends() {
    let made = run(&Estate::new(), start()).unwrap();
    let ends = start() + mint::INTERNAL_CA_LIFE;
    let first = text(&made, Item::InternalCa, "tls.crt");
    let gateway = Item::Tls(Component::Gateway);

    let before = run(&made, ends - RENEW_CA).unwrap();
    assert_eq!(text(&before, gateway, "ca.crt"), first);
    let announced = run(&before, ends - RENEW_CA + DAY).unwrap();
    let second = text(&announced, Item::InternalCa, "next.crt");
    assert_eq!(text(&announced, gateway, "ca.crt"), format!("{first}{second}"));
    assert_eq!(text(&announced, Item::InternalCa, "tls.crt"), first, "it does not sign yet");
    assert_eq!(text(&announced, gateway, "tls.crt"), text(&before, gateway, "tls.crt"), "the certificate is not due");

    let waiting = run(&announced, ends - RENEW_CA + DAY + ANNOUNCED - Duration::from_secs(1)).unwrap();
    assert_eq!(text(&waiting, Item::InternalCa, "tls.crt"), first);
    let taken = run(&waiting, ends - RENEW_CA + DAY + ANNOUNCED).unwrap();
    assert_eq!(text(&taken, Item::InternalCa, "tls.crt"), second);
    assert_eq!(text(&taken, Item::InternalCa, "old.crt"), first);
    assert!(taken[&Item::InternalCa].files.get("next.key").is_none(), "its key is the current one now");
    assert_eq!(text(&taken, gateway, "ca.crt"), format!("{second}{first}"));
    let gone = run(&taken, ends).unwrap();
    assert_eq!(text(&gone, gateway, "ca.crt"), second);
    assert!(gone[&Item::InternalCa].files.get("old.crt").is_none());
}

#[test]
fn the_bundle_of_sandboxes_holds_both_cas_during_the_overlap() {
    let made = run(&Estate::new(), start()).unwrap();
    let ends = start() + mint::CA_LIFE;
    let first = text(&made, Item::Ca, "ca.pem");
    let announced = run(&made, ends - RENEW_CA + DAY).unwrap();
    let second = text(&announced, Item::Ca, "next.pem");
    assert_eq!(text(&announced, Item::Bundle, "bundle.pem"), format!("{ROOTS}\n{first}{second}"));
    let taken = run(&announced, ends - RENEW_CA + DAY + ANNOUNCED).unwrap();
    assert_eq!(text(&taken, Item::Ca, "ca.pem"), second);
    assert_eq!(text(&taken, Item::Bundle, "ca.pem"), format!("{second}{first}"));
}

#[test]
fn after_years_without_a_run_there_is_a_working_set_at_once() {
    let made = run(&Estate::new(), start()).unwrap();
    for late in [mint::INTERNAL_CA_LIFE - DAY, mint::INTERNAL_CA_LIFE, 3 * mint::CA_LIFE] {
        let now = start() + late;
        let estate = run(&made, now).unwrap();
        assert_ne!(text(&estate, Item::InternalCa, "tls.crt"), text(&made, Item::InternalCa, "tls.crt"));
        for component in Component::ALL {
            let item = Item::Tls(component);
            assert!(verifies(&text(&estate, item, "ca.crt"), &text(&estate, item, "tls.crt"), &format!("portcullis-{item}"), now));
        }
        assert_eq!(changed(&estate, &run(&estate, now).unwrap()), []);
    }
}

#[test]
fn a_certificate_that_is_of_no_use_is_made_anew() {
    let made = run(&Estate::new(), start()).unwrap();
    let other = run(&Estate::new(), start()).unwrap();
    let scanner = Item::Tls(Component::Scanner);
    let gateway = made[&Item::Tls(Component::Gateway)].clone();
    let mut mixed = made[&scanner].clone();
    mixed.files.put("tls.key", gateway.files.get("tls.key").unwrap().to_vec());
    let mut garbage = made[&scanner].clone();
    garbage.files.put("tls.crt", b"sesame".to_vec());
    for (what, held) in
        [("of another part", gateway), ("of another CA", other[&scanner].clone()), ("another key", mixed), ("garbage", garbage)]
    {
        let mut estate = made.clone();
        estate.insert(scanner, held);
        let after = run(&estate, start()).unwrap();
        assert_eq!(changed(&estate, &after), [scanner], "{what}");
        let (trust, certificate) = (text(&after, scanner, "ca.crt"), text(&after, scanner, "tls.crt"));
        assert!(verifies(&trust, &certificate, "portcullis-scanner", start()), "{what}");
    }
    let moved = plan(&made, &Settings { namespace: "elsewhere", ..settings(&[Group::Internal]) }, start(), &mut rand::random).unwrap();
    let names = text(&moved.into_iter().map(|(i, p)| (i, Held { files: p.files, ours: true })).collect(), scanner, "tls.crt");
    assert_ne!(names, text(&made, scanner, "tls.crt"));
}

#[test]
fn what_others_depend_on_is_never_replaced_because_it_is_broken() {
    let made = run(&Estate::new(), start()).unwrap();
    for (item, file) in [
        (Item::InternalCa, "tls.crt"),
        (Item::InternalCa, "tls.key"),
        (Item::Ca, "ca.pem"),
        (Item::Ca, "ca.key"),
        (Item::FingerprintKey, "fingerprint.key"),
    ] {
        let mut estate = made.clone();
        estate.get_mut(&item).unwrap().files.put(file, b"sesame".to_vec());
        let error = run(&estate, start()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("{item}: {file}: ")) && !text.contains('\n'), "{text}");
        assert!(!format!("{text}{error:?}").contains("sesame"));
    }
}

#[test]
fn what_somebody_else_made_is_used_and_never_changed() {
    let mut estate = run(&Estate::new(), start()).unwrap();
    estate.values_mut().for_each(|held| held.ours = false);
    estate.remove(&Item::Bundle);
    let late = |life| start() + life - DAY;
    for (group, now) in [(Group::Internal, late(mint::INTERNAL_CA_LIFE)), (Group::Ca, late(mint::CA_LIFE))] {
        let planned = plan(&estate, &settings(&[group]), now, &mut rand::random).unwrap();
        for item in group.items().into_iter().filter(|item| *item != Item::Bundle) {
            assert_eq!(planned[&item].files, estate[&item].files, "{item}");
        }
        let expired = plan(&estate, &settings(&[group]), now + DAY, &mut rand::random).unwrap_err().to_string();
        assert!(expired.contains("has expired"), "{expired}");
    }
    let planned = plan(&estate, &settings(&[Group::Ca]), start(), &mut rand::random).unwrap();
    assert_eq!(planned[&Item::Bundle].files.get("ca.pem").unwrap(), text(&estate, Item::Ca, "ca.pem").as_bytes());
}

#[test]
fn only_what_is_asked_for_is_looked_after() {
    for group in Group::ALL {
        let planned = plan(&Estate::new(), &settings(&[group]), start(), &mut rand::random).unwrap();
        let mut items = group.items();
        items.sort();
        assert_eq!(planned.keys().copied().collect::<Vec<_>>(), items);
    }
}

#[test]
fn nothing_that_is_shown_of_a_plan_holds_a_key() {
    let planned = plan(&Estate::new(), &settings(&Group::ALL), start(), &mut rand::random).unwrap();
    let shown = format!("{planned:?}");
    assert!(shown.contains("tls.key") && !shown.contains("PRIVATE") && shown.len() < 4_000, "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Parts read their files at different times: of two runs one after the other, each part of either set takes each part of the other's,
    /// and who learned of the bundle in the run before takes the leaves' CA.
    #[test]
    fn whenever_it_runs_the_set_before_and_the_set_after_trust_each_other(
        gaps in proptest::collection::vec(1u32..60, 1..40),
        begin in 0u32..1800,
    ) {
        let mut now = start();
        let mut before = run(&Estate::new(), now).unwrap();
        now += begin * DAY;
        before = run(&before, now).unwrap();
        for gap in gaps {
            // At most 59 days: shorter than the time of the overlap.
            now += gap * DAY;
            let after = run(&before, now).unwrap();
            prop_assert_eq!(changed(&after, &run(&after, now).unwrap()), vec![]);
            let (scanner, gateway) = (Item::Tls(Component::Scanner), Item::Tls(Component::Gateway));
            let certificate = text(&after, scanner, "tls.crt");
            prop_assert!(verifies(&text(&after, gateway, "ca.crt"), &certificate, "portcullis-scanner", now));
            prop_assert!(verifies(&text(&before, gateway, "ca.crt"), &certificate, "portcullis-scanner", now), "who has the old trust");
            if verifies(&text(&before, gateway, "ca.crt"), &text(&before, scanner, "tls.crt"), "portcullis-scanner", now) {
                let old = text(&before, scanner, "tls.crt");
                prop_assert!(verifies(&text(&after, gateway, "ca.crt"), &old, "portcullis-scanner", now), "who has the old certificate");
            }
            let signs = text(&after, Item::Ca, "ca.pem");
            prop_assert!(text(&before, Item::Bundle, "ca.pem").contains(&signs), "sandboxes with the old bundle");
            before = after;
        }
    }
}
