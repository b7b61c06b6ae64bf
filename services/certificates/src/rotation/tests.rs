//! CAs that change, break and end under a running service.

use std::fs;

use prometheus::Registry;

use super::*;
use crate::mint;
use crate::name::HostName;

struct Setup {
    _folder: tempfile::TempDir,
    follower: Follower,
    now: SystemTime,
}

impl Setup {
    fn new() -> Setup {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let authority = Authority::load_or_create(&folder.path().join("ca"), KeyAccess::OwnerOnly, now).unwrap();
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let readiness = Readiness::default();
        readiness.set(true);
        let follower = Follower {
            folder: folder.path().join("ca"),
            access: KeyAccess::OwnerOnly,
            leaves: Arc::new(Leaves::new(authority, 10, metrics.clone())),
            metrics,
            readiness,
            wrong: None,
            expired: false,
        };
        Setup { _folder: folder, follower, now }
    }

    /// Another CA in the place of the one before.
    fn rotate(&self, now: SystemTime) {
        fs::remove_dir_all(&self.follower.folder).unwrap();
        Authority::load_or_create(&self.follower.folder, KeyAccess::OwnerOnly, now).unwrap();
    }

    fn issuer(&self) -> String {
        let leaf = self.follower.leaves.get(&HostName::parse("a.example").unwrap(), self.now).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(leaf.certificate_pem.as_bytes()).unwrap();
        pem.parse_x509().unwrap().issuer().to_string()
    }

    fn reloads(&self, result: &str) -> u64 {
        self.follower.metrics.ca_reloads.with_label_values(&[result]).get()
    }
}

#[test]
fn leaves_are_signed_by_the_new_ca_as_soon_as_there_is_one() {
    let mut setup = Setup::new();
    let host = HostName::parse("a.example").unwrap();
    let old = setup.follower.leaves.get(&host, setup.now).unwrap();
    let before = setup.issuer();
    setup.follower.look(setup.now);
    assert_eq!((setup.issuer(), setup.reloads("ok")), (before.clone(), 0), "nothing changed");
    setup.rotate(setup.now);
    setup.follower.look(setup.now);
    assert_ne!(setup.issuer(), before);
    let new = setup.follower.leaves.get(&host, setup.now).unwrap();
    assert!(new.version != old.version && new.key_pem != old.key_pem);
    assert_eq!((setup.reloads("ok"), setup.reloads("error")), (1, 0));
}

#[test]
fn a_broken_ca_keeps_the_old_one_and_counts_once() {
    let mut setup = Setup::new();
    let before = setup.issuer();
    fs::write(setup.follower.folder.join("ca.pem"), "sesame").unwrap();
    for _ in 0..2 {
        setup.follower.look(setup.now);
        assert_eq!((setup.issuer(), setup.reloads("ok"), setup.reloads("error")), (before.clone(), 0, 1));
        assert!(setup.follower.readiness.get());
    }
    assert!(!setup.follower.wrong.as_ref().unwrap().contains("sesame"));
}

#[test]
fn an_expired_ca_makes_the_service_unready_until_there_is_another() {
    let mut setup = Setup::new();
    let later = setup.now + mint::CA_LIFE;
    setup.follower.look(later - Duration::from_secs(1));
    assert!(setup.follower.readiness.get());
    setup.follower.look(later);
    assert!(!setup.follower.readiness.get());
    assert_eq!(setup.reloads("error"), 0, "nothing new is wrong");
    setup.rotate(later);
    setup.follower.look(later);
    assert!(setup.follower.readiness.get());
    let ends = setup.follower.metrics.ca_expiry.get();
    assert_eq!(ends, metrics::seconds(later + mint::CA_LIFE));
}
