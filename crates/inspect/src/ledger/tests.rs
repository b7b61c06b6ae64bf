use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn budget(requests: Option<u64>, bytes: Option<u64>, new_hosts: Option<u64>) -> Arc<Budget> {
    Arc::new(Budget { window: Duration::from_millis(1600), requests, bytes, new_hosts, new_host_bytes: None, opaque: None })
}

fn to(host: &str, bytes: u64) -> Asked<'_> {
    Asked { host, bytes, opaque: 0 }
}

fn account(ledger: &Ledger, sandbox: &str, budget: &Arc<Budget>) -> Account {
    ledger.account("rule", sandbox, budget)
}

#[test]
fn requests_bytes_and_hosts_are_counted_per_sandbox() {
    let ledger = Ledger::default();
    let requests = budget(Some(2), None, None);
    let (a, b) = (account(&ledger, "a", &requests), account(&ledger, "b", &requests));
    assert!(a.admit(0, to("h", 0)).is_ok() && a.admit(0, to("h", 0)).is_ok() && b.admit(0, to("h", 0)).is_ok());
    let over = a.admit(1000, to("h", 0)).unwrap_err();
    assert_eq!(over, Over { reason: Reason::RateLimited, retry: Some(700) });
    assert!(a.admit(1000 + 699, to("h", 0)).is_err() && a.admit(1000 + 700, to("h", 0)).is_ok());

    let bytes = budget(None, Some(100), None);
    let c = account(&ledger, "c", &bytes);
    assert!(c.admit(0, to("h", 60)).is_ok() && c.spend(0, "h", 40).is_ok() && c.affords(0, "h", 0).is_ok());
    assert_eq!(c.spend(0, "h", 1).unwrap_err().reason, Reason::VolumeExceeded);
    assert_eq!(c.admit(0, to("h", 101)).unwrap_err().retry, None, "it never fits");

    let hosts = budget(None, None, Some(2));
    let d = account(&ledger, "d", &hosts);
    assert!(d.admit(0, to("1", 0)).is_ok() && d.admit(500, to("2", 0)).is_ok() && d.admit(900, to("1", 0)).is_ok());
    assert_eq!(d.admit(1000, to("3", 0)).unwrap_err(), Over { reason: Reason::TooManyHosts, retry: Some(1101) });
    assert!(d.admit(2101, to("3", 0)).is_ok(), "host 2 was long ago");
}

#[test]
fn a_clock_that_goes_back_gives_nothing_back() {
    let a = account(&Ledger::default(), "a", &budget(Some(1), None, None));
    assert!(a.admit(5000, to("h", 0)).is_ok() && a.admit(0, to("h", 0)).is_err());
}

#[test]
fn the_ledger_is_bounded_and_counts_what_goes() {
    let ledger = Ledger::with_room(4);
    let budget = budget(Some(1), None, None);
    for n in 0..100 {
        assert!(account(&ledger, &n.to_string(), &budget).admit(0, to("h", 0)).is_ok());
    }
    ledger.windows.run_pending_tasks();
    assert!(ledger.windows.entry_count() <= 4 && ledger.evictions() >= 96);
    assert!(account(&ledger, "99", &budget).admit(0, to("h", 0)).is_err(), "the latest are kept");
}

proptest! {
    /// However requests come, no stretch as long as the window has more than the budget.
    #[test]
    fn no_stretch_has_more_than_the_budget(steps in prop::collection::vec(0_u64..400, 1..120), most in 1_u64..6) {
        let a = account(&Ledger::default(), "a", &budget(Some(most), None, None));
        let (mut now, mut admitted) = (0_u64, Vec::new());
        for step in steps {
            now += step;
            match a.admit(now, to("h", 0)) {
                Ok(()) => admitted.push(now),
                Err(over) => {
                    let later = now + over.retry.expect("some time");
                    prop_assert!(later > now && later <= now + 1700);
                }
            }
        }
        for first in &admitted {
            let within = admitted.iter().filter(|t| (*first..first + 1600).contains(t)).count();
            prop_assert!(within as u64 <= most);
        }
    }
}

fn slow(new_host_bytes: Option<u64>, opaque: Option<u64>) -> Arc<Budget> {
    Arc::new(Budget { window: Duration::from_millis(1600), requests: None, bytes: None, new_hosts: None, new_host_bytes, opaque })
}

#[test]
fn a_new_host_gets_little_until_it_is_new_no_more() {
    let a = account(&Ledger::default(), "a", &slow(Some(100), None));
    assert!(a.admit(0, to("x", 60)).is_ok() && a.spend(0, "x", 40).is_ok());
    assert_eq!(a.spend(800, "x", 1).unwrap_err(), Over { reason: Reason::VolumeExceeded, retry: Some(801) });
    assert!(a.admit(800, to("y", 100)).is_ok(), "each host for itself");
    assert!(a.admit(900, to("x", 0)).is_ok(), "that it is in use is no matter");
    assert!(a.admit(1601, to("x", 10_000)).is_ok(), "the window has passed");
    assert!(a.admit(9000, to("x", 101)).is_err(), "after a pause it is new again");
}

#[test]
fn what_looks_made_by_chance_is_counted_by_itself() {
    let a = account(&Ledger::default(), "a", &slow(None, Some(100)));
    let asked = |opaque| Asked { host: "h", bytes: 1000, opaque };
    assert!(a.admit(0, asked(60)).is_ok() && a.admit(0, asked(0)).is_ok() && a.admit(0, asked(40)).is_ok());
    assert_eq!(a.admit(0, asked(1)).unwrap_err().reason, Reason::VolumeExceeded);
    assert!(a.admit(0, asked(0)).is_ok() && a.admit(1800, asked(100)).is_ok());
}

fn part(range: std::ops::Range<u32>) -> Part {
    use engine::{Confidence, Engine, Finding, Fingerprint, FingerprintKey, Known, KnownKey, Limits, RuleSet};
    let key = FingerprintKey([1; 32]);
    let (known, _) = Known::build([("A".to_owned(), "q7Zr2mKtodoV9xW4nB8sL1")], &KnownKey([2; 32]), &key);
    let engine = Engine::compile(&RuleSet::default(), Limits::default(), key).expect("an engine").with_known(known);
    let detector = Arc::clone(engine.detectors().last().expect("the registry's"));
    let finding =
        Finding { detector, confidence: Confidence::High, span: 0..1, trail: Vec::new(), field: None, fingerprint: Fingerprint([0; 8]) };
    Part { finding, part: range, of: 40 }
}

#[test]
fn parts_of_a_secret_come_together_over_requests_within_the_window() {
    let ledger = Ledger::default();
    assert!(!ledger.sent("a", &part(0..15), 0, 1000));
    assert!(!ledger.sent("a", &part(0..15), 10, 1000), "the same again says no more");
    assert!(!ledger.sent("b", &part(20..35), 10, 1000), "somebody else's");
    assert!(ledger.sent("a", &part(20..35), 500, 1000));
    assert!(!ledger.sent("a", &part(20..35), 2000, 1000), "that was long ago");
    assert!(!ledger.sent("a", &part(0..12), 5000, 1000) && !ledger.sent("a", &part(8..16), 5000, 1000), "less than half");
}

/// What all share: as a server would keep it.
#[derive(Default)]
struct Server(std::collections::BTreeMap<String, std::collections::BTreeMap<String, u64>>);

impl Server {
    fn exchange(&mut self, scanner: &Shared) {
        for book in scanner.take() {
            let fields = self.0.entry(book.name()).or_default();
            for Change { field, way, value } in &book.changes {
                let old = fields.get(field).copied();
                fields.insert(
                    field.clone(),
                    match way {
                        Way::Add => old.unwrap_or(0) + value,
                        Way::First => old.unwrap_or(*value),
                        Way::Set => *value,
                    },
                );
            }
            let told: Vec<(String, u64)> = fields.iter().map(|(field, value)| (field.clone(), *value)).collect();
            for old in scanner.settle(&book, &told) {
                fields.remove(&old);
            }
        }
        scanner.reached(true);
    }
}

fn scanner() -> (Arc<crate::inspector::Shared>, Shared) {
    let shared = crate::inspector::Shared {
        memory: Arc::default(),
        reports: crate::cache::Reports::new(0, [0; 32]),
        ledger: Ledger::default(),
        chains: Default::default(),
    };
    let shared = Arc::new(shared);
    (Arc::clone(&shared), Shared::new(shared))
}

#[test]
fn scanners_that_share_count_together() {
    let ((a, with_a), (b, with_b)) = (scanner(), scanner());
    assert!(a.ledger.is_alone() && b.ledger.is_alone(), "nobody was reached yet");
    let mut server = Server::default();
    let both = Arc::new(Budget { new_host_bytes: Some(50), ..*budget(Some(4), Some(100), None) });
    let (at_a, at_b) = (account(&a.ledger, "s", &both), account(&b.ledger, "s", &both));
    assert!(at_a.admit(0, to("x", 20)).is_ok() && at_a.admit(0, to("y", 30)).is_ok());
    assert!(at_b.admit(10, to("x", 20)).is_ok(), "b does not know yet");
    server.exchange(&with_a);
    server.exchange(&with_b);
    assert!(!a.ledger.is_alone());
    assert_eq!(at_b.admit(20, to("z", 31)).unwrap_err().reason, Reason::VolumeExceeded, "70 of 100 are used");
    assert_eq!(at_b.admit(20, to("x", 11)).unwrap_err().reason, Reason::VolumeExceeded, "40 of 50 went to x");
    assert!(at_b.admit(20, to("x", 10)).is_ok());
    // What cannot be told now is told later, once.
    let (again, _) = (account(&b.ledger, "s", &both), with_b.reached(false));
    let books = with_b.take();
    assert_eq!(books.len(), 1);
    with_b.give_back(&books);
    server.exchange(&with_b);
    account(&a.ledger, "s", &both);
    server.exchange(&with_a);
    assert_eq!(at_a.admit(30, to("x", 1)).unwrap_err().reason, Reason::RateLimited, "4 of 4 requests");
    assert!(again.admit(3600, to("x", 1)).is_ok(), "the window is over");
    account(&b.ledger, "s", &both);
    server.exchange(&with_b);
    let fields: Vec<&String> = server.0.values().flat_map(|fields| fields.keys()).collect();
    assert!(fields.iter().all(|f| !f.ends_with("r0") && !f.ends_with("b0")), "what is over is forgotten: {fields:?}");

    assert!(!a.ledger.sent("s", &part(0..15), 0, 100_000));
    server.exchange(&with_a);
    assert!(!b.ledger.sent("s", &part(0..15), 10, 100_000));
    server.exchange(&with_b);
    assert!(b.ledger.sent("s", &part(20..35), 20, 100_000));
    assert!(!a.ledger.sent("s", &part(0..15), 25, 100_000));
    server.exchange(&with_b);
    server.exchange(&with_a);
    assert!(a.ledger.sent("s", &part(0..15), 30, 100_000), "b has seen the rest");
}
