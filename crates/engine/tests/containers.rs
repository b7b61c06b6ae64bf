//! What other people's programs pack is opened, what cannot be opened is a gap, and what only looks like either is neither.
//!
//! `containers/make.py` made the fixtures.

use data_encoding::BASE64;
use portcullis_engine::{Coverage, Engine, FingerprintKey, Gap, Kind, Limits, Media, Report, RuleSet};
use rand::{Rng, SeedableRng};

const RULES: &str = r"
provider: acme
name: Acme
reference: https://acme.example/docs
detectors:
  - id: acme-key
    name: Acme key
    reference: https://acme.example/docs
    confidence: high
    pattern: 'acme-[A-Za-z0-9]{18}'
    anchors: [acme-]
    home: [{hosts: [api.acme.example]}]
    examples: ['acme-{alnum:18}']
";

fn engine() -> &'static Engine {
    static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| {
        let rules = RuleSet::from_yaml("acme", RULES).expect("a rule file");
        Engine::compile(&rules, Limits::default(), FingerprintKey([7; 32])).expect("it compiles")
    });
    &ENGINE
}

fn scan(bytes: &[u8]) -> Report {
    engine().scan(&Kind::body(Media::default()), bytes)
}

/// Name, what is expected, content.
fn fixtures() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let line = |line: &'static str| {
        let mut parts = line.split('\t');
        let mut part = || parts.next().expect("three parts");
        (part(), part(), BASE64.decode(part().as_bytes()).expect("base64"))
    };
    include_str!("containers/fixtures.txt").lines().map(line).collect()
}

/// What one scan says, in the words of the fixtures.
fn outcome(report: &Report) -> &'static str {
    match (report.findings.is_empty(), report.coverage) {
        (false, Coverage::Complete) => "found",
        (false, Coverage::Partial { .. }) => "found, but partial",
        (true, Coverage::Complete) => "clean",
        (true, Coverage::Partial { gap, .. }) => gap.as_str(),
    }
}

fn wrong(wrap: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut wrong = Vec::new();
    for (name, expected, bytes) in fixtures() {
        let outcome = outcome(&scan(&wrap(&bytes)));
        if outcome != expected {
            wrong.push(format!("{name}: {outcome}, not {expected}"));
        }
    }
    wrong.join("\n")
}

#[test]
fn what_programs_pack_is_opened_or_a_gap() {
    assert_eq!(wrong(<[u8]>::to_vec), "");
}

#[test]
fn what_programs_pack_is_opened_behind_base64_too() {
    assert_eq!(wrong(|bytes| format!("{{\"file\": \"{}\"}}", BASE64.encode(bytes)).into_bytes()), "");
}

#[test]
fn what_programs_pack_is_opened_as_a_part_of_a_form() {
    let part = |bytes: &[u8]| {
        let head = b"--frontier\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n";
        [head, bytes, b"\r\n--frontier--\r\n"].concat()
    };
    assert_eq!(wrong(part), "");
}

#[test]
fn an_archive_beyond_the_budget_is_a_gap() {
    let rules = RuleSet::from_yaml("acme", RULES).expect("a rule file");
    let limits = Limits { decoded_bytes: 8, ..Limits::default() };
    let tight = Engine::compile(&rules, limits, FingerprintKey([7; 32])).expect("it compiles");
    let long: Vec<_> = fixtures().into_iter().filter(|(name, ..)| name.starts_with("compress") && name.ends_with("long")).collect();
    assert!(!long.is_empty());
    for (name, _, bytes) in long {
        let report = tight.scan(&Kind::body(Media::default()), &bytes);
        assert!(matches!(report.coverage, Coverage::Partial { gap: Gap::Budget, .. }), "{name}: {:?}", report.coverage);
    }
}

/// A message for a key, were it not for two characters around it that say nothing or look like another.
#[test]
fn what_is_left_of_bytes_without_a_few_characters_is_no_container() {
    let packets = [&[0x8c, 31, 5][..], &[0x9f; 30], &[0xd2, 32, 1], &[0x9f; 40]].concat();
    assert_eq!(outcome(&scan(&packets)), "encrypted");
    let bytes = ["\u{34f}".as_bytes(), &packets, "\u{6d4}".as_bytes()].concat();
    assert_eq!(outcome(&scan(&bytes)), "clean");
}

#[test]
fn random_bytes_are_no_container() {
    let mut random = rand::rngs::StdRng::seed_from_u64(5);
    for i in 0..20_000_usize {
        let mut bytes = vec![0; 16 + i % 200];
        random.fill(&mut bytes[..]);
        let report = scan(&bytes);
        assert_eq!(outcome(&report), "clean", "{}", BASE64.encode(&bytes));
    }
}
