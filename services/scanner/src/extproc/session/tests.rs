use engine::{Engine, FingerprintKey, Limits, RuleSet};
use inspect::{Identity, Snapshot};
use policy::Policy;
use proptest::prelude::*;
use rand::distr::{Alphanumeric, SampleString};

use super::*;

fn inspector() -> Inspector {
    static INSPECTOR: std::sync::LazyLock<Inspector> = std::sync::LazyLock::new(|| {
        let policy = Policy::from_yaml("test", "version: 1\nlimits: {buffer: 64KiB}\n").expect("a policy");
        let limits = Limits { whole_bytes: 64 << 10, ..Limits::default() };
        let engine = Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles");
        Inspector::new(Snapshot { engine, policy: policy.into() }, 0)
    });
    INSPECTOR.clone()
}

fn session() -> Session {
    Session::new(inspector())
}

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn arrival(authority: &str, path: &str, headers: &[(&str, &str)], end: bool) -> Event {
    let head = Head {
        request_id: "id".into(),
        sandbox: "box".into(),
        identity: Identity::Given,
        at: 0,
        method: "POST".into(),
        tls: true,
        authority: authority.into(),
        path: Bytes::from(path.to_owned()),
        headers: headers.iter().map(|(n, v)| Header { name: (*n).into(), value: Bytes::from((*v).to_owned()) }).collect(),
        end,
    };
    Event::Head(Box::new(Arrival { head, fronted: false, tunnelled: true }))
}

fn body(text: &str, end: bool) -> Event {
    Event::Body { bytes: Bytes::from(text.to_owned()), end }
}

fn status(replies: &[Reply]) -> Option<u16> {
    match replies {
        [Reply::Deny(answer)] => Some(answer.status),
        _ => None,
    }
}

#[test]
fn a_request_without_a_body_is_one_message_in_and_one_out() {
    let mut session = session();
    let replies = session.on(arrival("a.example", "/", &[], true));
    assert_eq!(replies, [Reply::Head { edits: HeadEdits::default(), verdict: "allow", answer: false }]);
    assert!(session.over() && session.take_outcome().is_some() && session.take_outcome().is_none());
    let mut session = super::tests::session();
    assert_eq!(status(&session.on(arrival("a.example", &format!("/?t={}", token()), &[], true))), Some(403));
}

#[test]
fn the_head_of_a_body_is_withheld_until_the_end() {
    let mut session = session();
    assert_eq!(session.on(arrival("a.example", "/", &[("content-length", "10")], false)), [Reply::WantBody]);
    assert_eq!(session.waiting(), Waiting::Stream, "a body of known length is awaited");
    assert_eq!(session.on(body("12345", false)), []);
    let replies = session.on(body("67890", true));
    let end = Reply::Body { bytes: Bytes::from("1234567890"), end: true };
    assert_eq!(replies, [Reply::Head { edits: HeadEdits::default(), verdict: "allow", answer: false }, end]);
}

#[test]
fn trailers_follow_the_body_and_are_scanned() {
    let mut one = session();
    one.on(arrival("a.example", "/", &[], false));
    one.on(body("x", false));
    let replies = one.on(Event::Trailers(vec![Header { name: "x-sum".into(), value: Bytes::from("1") }]));
    assert!(matches!(replies.as_slice(), [Reply::Head { .. }, Reply::Body { end: false, .. }, Reply::Trailers]), "{replies:?}");
    let mut two = session();
    two.on(arrival("a.example", "/", &[], false));
    assert_eq!(status(&two.on(Event::Trailers(vec![Header { name: "x-sum".into(), value: Bytes::from(token()) }]))), Some(403));
}

#[test]
fn what_is_no_request_ends_with_an_error_and_never_cleanly_undecided() {
    for first in [body("x", true), Event::Trailers(vec![]), Event::Pause, Event::HoldExpired, Event::StreamExpired, Event::Overloaded] {
        let mut session = session();
        assert!(matches!(session.on(first).as_slice(), [Reply::Broken(_)]));
        assert!(session.over());
    }
    let mut twice = session();
    twice.on(arrival("a.example", "/", &[], false));
    assert!(matches!(twice.on(arrival("a.example", "/", &[], false)).as_slice(), [Reply::Broken(_)]));
    assert_eq!(twice.on(body("late", true)), [], "nothing follows the end");
}

#[test]
fn a_fronted_request_is_denied_whatever_it_holds() {
    for end in [true, false] {
        let Event::Head(mut arrival) = arrival("a.example", "/", &[], end) else { unreachable!() };
        arrival.fronted = true;
        let mut session = session();
        assert_eq!(status(&session.on(Event::Head(arrival))), Some(403));
        let (_, outcome) = session.take_outcome().expect("an outcome");
        assert_eq!(outcome.verdict.reason, Reason::Ambiguous);
    }
}

#[test]
fn a_path_with_blanks_or_controls_is_denied() {
    for path in ["/a b", "/a\nb", "/a\u{7f}"] {
        for end in [true, false] {
            let mut session = session();
            assert_eq!(status(&session.on(arrival("a.example", path, &[], end))), Some(403), "{path:?}");
            let (_, outcome) = session.take_outcome().expect("an outcome");
            assert_eq!(outcome.verdict.reason, Reason::Ambiguous);
        }
    }
}

#[test]
fn a_deadline_denies_what_is_still_under_way() {
    let mut session = session();
    session.on(arrival("a.example", "/", &[], false));
    session.on(body("x", false));
    assert_eq!(session.waiting(), Waiting::Pause);
    assert_eq!(status(&session.on(Event::StreamExpired)), Some(403));
}

#[test]
fn what_there_is_no_room_or_time_for_is_sent_away_and_may_come_again() {
    let before = session();
    let mut during = session();
    during.on(arrival("a.example", "/", &[], false));
    during.on(body("x", false));
    for (mut session, event) in [(before, arrival("a.example", "/", &[], false).refused()), (during, Event::Overloaded)] {
        assert_eq!(status(&session.on(event)), Some(503));
        let (_, outcome) = session.take_outcome().expect("an outcome");
        assert_eq!((outcome.verdict.reason, outcome.retry_after), (Reason::Overloaded, Some(1)));
    }
}

#[test]
fn only_what_makes_the_engine_look_is_work() {
    let mut session = session();
    let long = "x".repeat(20_000);
    let head = arrival("a.example", "/", &[("x-long", &long)], false);
    assert!(session.work(&head) > 20_000);
    session.on(head);
    assert_eq!(session.work(&body(&long, false)), 0, "it is held for what follows");
    session.on(body(&long, false));
    assert_eq!(
        [session.work(&body("x", true)), session.work(&Event::Trailers(vec![])), session.work(&Event::Pause)],
        [20_001, 20_000, 20_000]
    );
}

/// A client asks where it may push.
fn push_refs(headers: &[(&str, &str)]) -> Event {
    let Event::Head(arrival) = arrival("git.example", "/o/r.git/info/refs?service=git-receive-pack", headers, true) else { unreachable!() };
    let head = Head { method: "GET".into(), ..arrival.head };
    Event::Head(Box::new(Arrival { head, ..*arrival }))
}

#[test]
fn who_asks_where_to_push_is_told_to_send_whole_packs() {
    let mut session = session();
    let headers = [("accept-encoding", "deflate, gzip"), ("accept", "*/*")];
    let edits = HeadEdits { headers: vec![(0, Bytes::from("identity"))], ..HeadEdits::default() };
    assert_eq!(session.on(push_refs(&headers)), [Reply::Head { edits, verdict: "allow", answer: true }]);
    assert!(session.take_outcome().is_some() && session.answering() && !session.over(), "decided, and still there for the answer");
    assert_eq!(session.waiting(), Waiting::Stream);
    assert_eq!(session.on(Event::AnswerHead { end: false }), [Reply::AnswerHead]);
    let id = "0".repeat(40);
    let bytes = |text: String| Bytes::from(text);
    let first = Event::AnswerBody { bytes: bytes(format!("0048{id} refs/heads/main\0delete")), end: false };
    assert_eq!(session.on(first), [], "held until it is clear where the word goes");
    let added = Reply::AnswerBody { bytes: bytes(format!("0050{id} refs/heads/main\0delete-refs no-thin0000")), end: true };
    assert_eq!(session.on(Event::AnswerBody { bytes: Bytes::from("-refs0000"), end: true }), [added]);
    assert!(session.over());

    let mut late = super::tests::session();
    late.on(push_refs(&[]));
    assert_eq!(late.on(Event::StreamExpired), [Reply::Broken("the answer took too long")]);
    let mut denied = super::tests::session();
    let secret = token();
    assert_eq!(status(&denied.on(push_refs(&[("x-other", &secret)]))), Some(200), "as git reads it");
    assert!(denied.over(), "of what is refused there is no answer to wait for");
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let text = prop_oneof!["[a-z ]{0,30}", Just(token()), Just("x".repeat(70_000))];
    let one = prop_oneof![
        2 => any::<bool>().prop_map(|end| arrival("a.example", "/", &[], end)),
        1 => Just(arrival("api.anthropic.com", "/", &[("content-length", "40")], false)),
        1 => Just(arrival("a.example", "/", &[("content-type", "application/grpc")], false)),
        8 => (text, prop::bool::weighted(0.2)).prop_map(|(t, end)| body(&t, end)),
        1 => Just(Event::Trailers(vec![])),
        2 => Just(Event::Pause),
        1 => Just(Event::HoldExpired),
        1 => Just(Event::StreamExpired),
        1 => Just(Event::Overloaded),
        1 => Just(arrival("a.example", "/", &[], false).refused()),
        1 => Just(push_refs(&[])),
        1 => any::<bool>().prop_map(|end| Event::AnswerHead { end }),
        2 => any::<bool>().prop_map(|end| Event::AnswerBody { bytes: Bytes::from_static(b"0008\0abc"), end }),
        1 => Just(Event::AnswerTrailers),
    ];
    prop::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any order of events: no panic; the head travels once and first; nothing follows an end, a denial or an error; no token leaves.
    #[test]
    fn any_order_of_events_keeps_the_rules(events in events()) {
        let mut session = session();
        let (mut head, mut over, mut sent) = (false, false, Vec::new());
        for event in events {
            for reply in session.on(event) {
                prop_assert!(!over, "{:?} after the end", reply);
                match reply {
                    Reply::WantBody => prop_assert!(!head),
                    Reply::Head { .. } => {
                        prop_assert!(!head);
                        head = true;
                        over = !session.answering() && session.head.as_ref().is_some_and(|h| h.end);
                    }
                    Reply::Body { bytes, end } => {
                        prop_assert!(head);
                        sent.extend_from_slice(&bytes);
                        over = end;
                    }
                    Reply::AnswerHead => {
                        prop_assert!(head);
                        over = session.over();
                    }
                    Reply::AnswerBody { end, .. } => {
                        prop_assert!(head);
                        over = end;
                    }
                    Reply::Trailers | Reply::AnswerTrailers | Reply::Deny(_) | Reply::Broken(_) => over = true,
                }
            }
            prop_assert_eq!(over, session.over());
        }
        let text = String::from_utf8_lossy(&sent);
        prop_assert!(!text.contains(&["gh", "p_"].concat()), "a token left");
    }
}

fn sent_by(identity: Identity, method: &str, tunnelled: bool) -> Event {
    let Event::Head(arrival) = arrival("a.example:443", "/", &[], false) else { unreachable!() };
    let head = Head { identity, method: method.into(), end: method == "GET", ..arrival.head };
    Event::Head(Box::new(Arrival { head, fronted: false, tunnelled }))
}

fn demanding() -> Session {
    let policy = Policy::from_yaml("test", "version: 1\nidentity: {required: true}\n").expect("a policy");
    Session::new(Inspector::new(Snapshot { policy: policy.into(), ..(*inspector().snapshot()).clone() }, 0))
}

#[test]
fn a_tunnel_for_somebody_who_is_known_is_one_answer_and_leaves_no_record() {
    let mut session = demanding();
    let replies = session.on(sent_by(Identity::Token("id".into()), "CONNECT", false));
    assert_eq!(replies, [Reply::Head { edits: HeadEdits::default(), verdict: "tunnel", answer: false }]);
    assert!(session.over() && session.take_outcome().is_none());
}

#[test]
fn who_is_not_known_is_asked_by_a_proxy_and_refused_in_a_tunnel() {
    for (identity, reason) in [(Identity::Unknown, Reason::IdentityRequired), (Identity::Refused, Reason::IdentityUnknown)] {
        for (method, tunnelled, expected) in [("CONNECT", false, 407), ("GET", false, 407), ("GET", true, 403), ("POST", true, 403)] {
            let mut session = demanding();
            assert_eq!(status(&session.on(sent_by(identity.clone(), method, tunnelled))), Some(expected), "{identity:?} {method}");
            let (facts, outcome) = session.take_outcome().expect("a record");
            assert_eq!((outcome.verdict.reason, facts.identity), (reason, identity.clone()));
        }
    }
    // Where nobody wants to know, only wrong credentials are refused.
    assert_eq!(status(&session().on(sent_by(Identity::Unknown, "GET", false))), None);
    assert_eq!(status(&session().on(sent_by(Identity::Refused, "GET", false))), Some(407));
}
