//! Pushes through the Inspector: what is refused, what is held, what is answered.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Engine, FingerprintKey, Limits, RuleSet};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use policy::{Action, Policy, Reason};
use portcullis_inspect::{Facts, Head, Header, Inspector, Opened, Outcome, Problem, Snapshot, Step};
use proptest::prelude::*;
use rand::distr::{Alphanumeric, SampleString};
use sha1::{Digest, Sha1};

const ZERO: &str = "0000000000000000000000000000000000000000";
const OPEN: &str = "version: 1\n";

fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn inspector(policy: &str) -> Inspector {
    let policy = Policy::from_yaml("test", policy).expect("a policy");
    let whole_bytes = policy.limits().buffer_bytes;
    let limits = Limits { whole_bytes, ..Limits::default() };
    let engine = Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles");
    Inspector::new(Snapshot { engine, policy: Arc::new(policy) }, 0)
}

fn head(headers: &[(&str, &str)]) -> Head {
    Head {
        request_id: "id".into(),
        at: 0,
        sandbox: "box".into(),
        identity: portcullis_inspect::Identity::Given,
        method: "POST".into(),
        tls: true,
        authority: "git.example.com".into(),
        path: Bytes::from_static(b"/o/r.git/git-receive-pack"),
        headers: headers.iter().map(|(n, v)| Header { name: (*n).into(), value: Bytes::from((*v).to_owned()) }).collect(),
        end: false,
    }
}

/// A pack of whole objects: kind and content each.
fn pack(objects: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = [b"PACK\0\0\0\x02".as_slice(), &u32::try_from(objects.len()).expect("few").to_be_bytes()].concat();
    for (kind, content) in objects {
        let mut rest = content.len() >> 4;
        out.push(kind << 4 | u8::try_from(content.len() & 15).expect("four bits"));
        while rest > 0 {
            *out.last_mut().expect("one") |= 0x80;
            out.push(u8::try_from(rest & 0x7f).expect("seven bits"));
            rest >>= 7;
        }
        let mut encoder = ZlibEncoder::new(out, Compression::fast());
        encoder.write_all(content).expect("in memory");
        out = encoder.finish().expect("in memory");
    }
    let hash: [u8; 20] = Sha1::digest(&out).into();
    out.extend(hash);
    out
}

/// A push of a pack: old and new tip, and the ref's name.
fn push(old: &str, new: &str, name: &str, pack: &[u8]) -> Vec<u8> {
    let command = format!("{old} {new} {name}\0 report-status side-band-64k");
    [format!("{:04x}{command}0000", command.len() + 4).as_bytes(), pack].concat()
}

fn create(objects: &[(u8, &[u8])]) -> Vec<u8> {
    push(ZERO, &"1".repeat(40), "refs/heads/main", &pack(objects))
}

fn noise(len: usize) -> Vec<u8> {
    let mut seed = 7_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}

/// What came of a push: how it ended, what travelled before the last chunk was taken, and in all.
struct Sent {
    outcome: Outcome,
    before: usize,
    body: Vec<u8>,
}

fn send<'b>(inspector: &Inspector, head: &Head, chunks: impl IntoIterator<Item = &'b [u8]>) -> Sent {
    let mut flow = match inspector.open(head) {
        Opened::Decided(outcome, _) => return Sent { outcome, before: 0, body: Vec::new() },
        Opened::Body(flow) => flow,
    };
    let mut body = Vec::new();
    for chunk in chunks {
        match flow.push(Bytes::copy_from_slice(chunk)) {
            Step::Hold => {}
            Step::Release(release) => body.extend_from_slice(&release.body),
            Step::Deny(_) => panic!("git reads no answer before it has sent all"),
        }
        // Git thinks between its objects.
        assert!(!flow.holds() && matches!(flow.pause(), Step::Hold) && matches!(flow.expire(), Step::Hold));
    }
    let before = body.len();
    let (outcome, release) = flow.finish(&[]);
    body.extend_from_slice(&release.body);
    Sent { outcome, before, body }
}

fn reason(inspector: &Inspector, head: &Head, body: &[u8]) -> Reason {
    let sent = send(inspector, head, body.chunks(1000));
    assert!(sent.outcome.verdict.action == Action::Allow || sent.body.is_empty());
    sent.outcome.verdict.reason
}

#[test]
fn a_clean_push_travels_as_it_came() {
    let body = create(&[(3, b"hello\n"), (1, b"tree 1\nauthor a <a@b> 1 +0000\n\nwords\n")]);
    let length = body.len().to_string();
    let sent = send(&inspector(OPEN), &head(&[("content-length", &length)]), body.chunks(7));
    assert_eq!((sent.outcome.verdict.reason, sent.before, sent.body), (Reason::Clean, 0, body));
}

#[test]
fn a_long_push_travels_as_it_is_looked_into_but_for_its_end() {
    let blobs: Vec<Vec<u8>> = (0..6).map(|n| [noise(400_000), vec![n]].concat()).collect();
    let objects: Vec<(u8, &[u8])> = blobs.iter().map(|blob| (3, blob.as_slice())).collect();
    let body = create(&objects);
    let sent = send(&inspector(OPEN), &head(&[]), body.chunks(10_000));
    assert_eq!(sent.outcome.verdict.reason, Reason::Clean);
    assert!(sent.before > 1 << 20, "{}", sent.before);
    assert_eq!(sent.before, body.len() - 20, "all but the checksum");
    assert!(sent.body == body);

    // The same onto a branch that it does not descend from: known only at the end, when much has travelled.
    let forced = push(&"2".repeat(40), &"1".repeat(40), "refs/heads/main", &pack(&objects));
    let sent = send(&inspector(OPEN), &head(&[]), forced.chunks(10_000));
    assert_eq!(sent.outcome.verdict.reason, Reason::GitForcePush);
    assert_eq!(sent.body.len(), forced.len() - 20, "the end never travelled");

    // One object that is longer than what is held: clean parts of it travel.
    let long = noise(24 << 20);
    let sent = send(&inspector(OPEN), &head(&[]), create(&[(3, &long)]).chunks(64 << 10));
    assert_eq!(sent.outcome.verdict.reason, Reason::Clean);
    assert_eq!(sent.before, sent.body.len() - 20);
    let token = token();
    let leak = [long.as_slice(), format!("\nkey = {token}\n").as_bytes()].concat();
    let sent = send(&inspector(OPEN), &head(&[]), create(&[(3, &leak)]).chunks(64 << 10));
    assert_eq!(sent.outcome.verdict.reason, Reason::CredentialMisdirected);
    assert_eq!(sent.outcome.findings[0].0.finding.trail, ["git-pack", "git-blob"]);
    assert!(sent.body.len() > 20 << 20, "what was clean of it has travelled");
}

#[test]
fn a_compressed_push_is_undone_and_has_one_reading() {
    let inspector = inspector(OPEN);
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    };
    let coded = head(&[("content-encoding", "gzip")]);
    let clean = gzip(&create(&[(3, b"hello\n")]));
    let sent = send(&inspector, &coded, clean.chunks(3));
    assert_eq!((sent.outcome.verdict.reason, &sent.body), (Reason::Clean, &clean));
    let leak = gzip(&create(&[(3, format!("key = {}\n", token()).as_bytes())]));
    let sent = send(&inspector, &coded, leak.chunks(3));
    assert_eq!(sent.outcome.verdict.reason, Reason::CredentialMisdirected);
    assert_eq!(sent.outcome.findings[0].0.finding.trail, ["gzip", "git-pack", "git-blob"]);
    let two = [clean.as_slice(), &clean].concat();
    for body in [&two[..], &clean[..clean.len() - 4], b"no gzip", b""] {
        assert_eq!(reason(&inspector, &coded, body), Reason::Ambiguous);
    }
    assert_eq!(reason(&inspector, &head(&[("content-encoding", "br")]), &clean), Reason::Ambiguous);
    let long = gzip(&create(&[(3, &noise(2 << 20))]));
    assert_eq!(reason(&inspector, &coded, &long), Reason::LimitExceeded, "it is held as a whole");
    let bomb = gzip(&[create(&[(3, b"x")]).as_slice(), &vec![0; 300 << 20]].concat());
    assert!(matches!(reason(&inspector, &coded, &bomb), Reason::LimitExceeded | Reason::PartialCoverage));
}

#[test]
fn a_pack_that_lies_is_refused_or_looked_at_as_it_is() {
    let (strict, lenient) = (inspector(OPEN), inspector("version: 1\npartial_coverage: allow\n"));
    let whole = create(&[(3, b"hello\n")]);
    let cut = &whole[..whole.len() - 1];
    let text = push(ZERO, &"1".repeat(40), "refs/heads/main", format!("no pack, but the key is {}\n", token()).as_bytes());
    let behind = [whole.as_slice(), format!(" key = {}\n", token()).as_bytes()].concat();
    for body in [cut, &text, &behind] {
        let refused = reason(&strict, &head(&[]), body);
        assert!(matches!(refused, Reason::PartialCoverage | Reason::CredentialMisdirected), "{refused:?}");
    }
    assert_eq!(reason(&lenient, &head(&[]), cut), Reason::PartialCoverage, "allowed, and said");
    for body in [&text, &behind] {
        assert_eq!(reason(&lenient, &head(&[]), body), Reason::CredentialMisdirected);
    }
    let long = [whole.as_slice(), &noise(3 << 20)].concat();
    assert_eq!(reason(&lenient, &head(&[]), &long), Reason::LimitExceeded, "what cannot be read is held to the end");
    assert_eq!(reason(&lenient, &head(&[]), b"hello"), Reason::Ambiguous);
}

#[test]
fn signatures_of_commits_are_no_gap() {
    let armor = data_encoding::BASE64.encode(&[&[0x89, 0x01, 0x33, 4, 0, 1, 8][..], &noise(304)].concat());
    let lines: String = armor.as_bytes().chunks(64).map(|line| format!(" {}\n", String::from_utf8_lossy(line))).collect();
    for (begin, end) in [("PGP SIGNATURE", "PGP SIGNATURE"), ("SSH SIGNATURE", "SSH SIGNATURE"), ("SIGNED MESSAGE", "SIGNED MESSAGE")] {
        let commit = format!(
            "tree {ZERO}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\ngpgsig -----BEGIN {begin}-----\n \n{lines} =abcd\n -----END {end}-----\n\nwords\n"
        );
        assert_eq!(reason(&inspector(OPEN), &head(&[]), &create(&[(1, commit.as_bytes())])), Reason::Clean, "{begin}");
    }
}

#[test]
fn where_secrets_are_redacted_a_push_is_refused_all_the_same() {
    let policy = "version: 1\nfindings: {certain: redact, high: redact, medium: redact}\n";
    let body = create(&[(3, format!("key = {}\n", token()).as_bytes())]);
    assert_eq!(reason(&inspector(policy), &head(&[]), &body), Reason::RedactionImpossible);
}

#[test]
fn the_answer_names_refs_and_reasons_but_no_secret() {
    let inspector = inspector(OPEN);
    let token = token();
    let answer = |body: &[u8]| {
        let head = head(&[]);
        let outcome = send(&inspector, &head, [body]).outcome;
        let facts = Facts::of(&head);
        let problem = Problem::new(&facts, &outcome);
        assert!(!format!("{problem:?}{outcome:?}").contains(&token));
        problem.answer(facts.wire)
    };
    let secret = answer(&push(ZERO, &"1".repeat(40), &format!("refs/heads/{token}"), &pack(&[])));
    assert_eq!((secret.status, secret.content_type), (200, "application/x-git-receive-pack-result"));
    assert!(
        secret.body.contains("unpack credential_misdirected")
            && secret.body.contains("in the name of a ref")
            && !secret.body.contains(&token)
    );
    let tag = answer(&push(ZERO, &"1".repeat(40), "refs/tags/v1", &pack(&[])));
    assert!(tag.body.contains("unpack ok") && tag.body.contains("ng refs/tags/v1 git_tag: Tags may not be pushed"), "{}", tag.body);
    let nonsense = answer(b"hello");
    assert!(nonsense.body.contains('\u{3}') && nonsense.body.contains("ambiguous_request"));
}

#[test]
fn a_push_in_disguise_is_refused() {
    let inspector = inspector(OPEN);
    let body = create(&[(3, b"hello\n")]);
    for path in ["/o/r.git/git-receive-pac%6b", "/o/r.git//git-receive-pack", "/o/../r.git/git-receive-pack"] {
        let head = Head { path: Bytes::from_static(path.as_bytes()), ..head(&[]) };
        assert_eq!(reason(&inspector, &head, &body), Reason::Ambiguous, "{path}");
    }
    let elsewhere = Head { path: Bytes::from_static(b"/upload"), ..head(&[("content-type", "application/x-git-receive-pack-request")]) };
    assert_eq!(reason(&inspector, &elsewhere, &body), Reason::Ambiguous);
    assert_eq!(
        reason(&self::inspector("version: 1\nextends: strict\nhosts: {allow: [git.example.com]}\n"), &head(&[]), &body),
        Reason::GitRepositoryNotAllowed
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn chunks_change_neither_the_verdict_nor_what_travels(cuts in prop::collection::vec(1_usize..40_000, 1..200), leak in any::<bool>(), flip in prop::option::of(0_usize..200_000)) {
        let inspector = inspector("version: 1\nlimits: {buffer: 64KiB}\n");
        let last = if leak { format!("key = {}\n", token()) } else { "nothing\n".to_owned() };
        let blobs = [noise(90_000), b"text\n".repeat(5000), noise(70_000)];
        let mut body = create(&[(3, &blobs[0]), (3, &blobs[1]), (3, &blobs[2]), (3, last.as_bytes())]);
        if let Some(at) = flip {
            let at = at % body.len();
            body[at] ^= 0x11;
        }
        let mut rest = body.as_slice();
        let mut chunks = Vec::new();
        for cut in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let (one, many) = (send(&inspector, &head(&[]), [body.as_slice()]), send(&inspector, &head(&[]), chunks));
        prop_assert_eq!(one.outcome.verdict, many.outcome.verdict);
        prop_assert_eq!(one.outcome.coverage, many.outcome.coverage);
        if one.outcome.verdict.action == Action::Allow {
            prop_assert!(one.body == body && many.body == body);
        } else {
            prop_assert!(many.body.len() + 20 <= body.len() && body.starts_with(&many.body));
        }
    }
}
