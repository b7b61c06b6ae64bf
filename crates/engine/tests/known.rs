//! Known secrets: found in every form, alone and in layers; nothing else is; nothing of them is kept or shown.

use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD, HEXLOWER};
use portcullis_engine::known::{DETECTOR_ID, MAX_VALUES, Refusal};
use portcullis_engine::{
    Confidence, Coverage, Engine, Finding, FingerprintKey, Gap, Kind, Known, KnownKey, Limits, Location, Media, Report, RuleSet,
};
use proptest::prelude::*;
use rand::distr::{Alphanumeric, SampleString};

const KEY: KnownKey = KnownKey([3; 32]);

/// No detectors: whatever is found is found because it is known.
fn bare(limits: Limits) -> Engine {
    Engine::compile(&RuleSet::default(), limits, FingerprintKey([7; 32])).unwrap_or_else(|e| panic!("{e}"))
}

fn registry(values: &[(&str, &str)]) -> Known {
    let (known, refused) = Known::build(values.iter().map(|(n, v)| ((*n).to_owned(), *v)), &KEY, &FingerprintKey([7; 32]));
    assert!(refused.is_empty(), "{refused:?}");
    known
}

fn engine(values: &[(&str, &str)]) -> Engine {
    bare(Limits::default()).with_known(registry(values))
}

fn body() -> Kind {
    Kind::body(Media::default())
}

fn scan(engine: &Engine, bytes: &[u8]) -> Report {
    engine.scan(&body(), bytes)
}

fn named(report: &Report, name: &str) -> Vec<Finding> {
    report.findings.iter().filter(|f| f.detector.id == DETECTOR_ID && f.detector.name == format!("Known secret {name}")).cloned().collect()
}

/// What no registry refuses: few characters of a short one are the same, and one below 16 bytes holds no word of a placeholder by chance.
/// Digits in front: no random value may be a word.
fn random(len: usize) -> String {
    let varied = |text: &String| text.chars().collect::<std::collections::HashSet<_>>().len() * 4 >= len.min(20) * 3;
    let fit = |text: &String| len >= 16 || Known::build([("V".to_owned(), text.as_str())], &KEY, &FingerprintKey([7; 32])).1.is_empty();
    std::iter::repeat_with(|| format!("7{}", Alphanumeric.sample_string(&mut rand::rng(), len - 1)))
        .find(|text| varied(text) && fit(text))
        .expect("most are")
}

#[test]
fn a_known_value_is_found_as_it_stands_glued_into_anything() {
    for len in [8, 9, 11, 14, 15, 16, 20, 40, 64, 65, 200, 700, 3000] {
        let value = random(len);
        let engine = engine(&[("DB_PASSWORD", &value)]);
        for before in 0..9 {
            let text = format!("{}{value}{}", "x".repeat(before), "y".repeat(before % 3));
            let report = scan(&engine, text.as_bytes());
            let found = named(&report, "DB_PASSWORD");
            assert_eq!(found.len(), 1, "{len} bytes after {before}");
            assert_eq!(found[0].span, before as u64..(before + len) as u64);
            assert!(found[0].trail.is_empty() && found[0].confidence == Confidence::Certain && found[0].detector.provider == "known");
        }
    }
}

/// What can be done to a text, and the layer that the trail must name.
type Change = (&'static str, fn(&str) -> Vec<u8>);

fn xor(text: &str, key: &[u8]) -> Vec<u8> {
    text.bytes().enumerate().map(|(i, b)| b ^ key[i % key.len()]).collect()
}

fn letters(text: &str, form: impl Fn(u8) -> u8) -> Vec<u8> {
    let one = |b: u8| match b {
        b'a'..=b'z' => form(b - b'a') % 26 + b'a',
        b'A'..=b'Z' => form(b - b'A') % 26 + b'A',
        other => other,
    };
    text.bytes().map(one).collect()
}

fn joined(text: &str, size: usize, between: &str) -> Vec<u8> {
    text.as_bytes().chunks(size).map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>().join(between).into_bytes()
}

const CHANGES: &[Change] = &[
    ("", |t| t.as_bytes().to_vec()),
    ("", |t| t.to_ascii_uppercase().into_bytes()),
    ("reversed", |t| t.bytes().rev().collect()),
    ("separated", |t| joined(t, 5, " . ")),
    ("separated", |t| joined(t, 1, "\", \"")),
    ("separated", |t| joined(t, 9, "\n")),
    ("reversed", |t| joined(&t.chars().rev().collect::<String>(), 4, "-")),
    ("xor", |t| xor(t, &[0x5a])),
    ("xor", |t| xor(t, b"k7")),
    ("xor", |t| xor(t, &[0xff, 1, 9])),
    ("xor", |t| xor(t, b"0Ky!")),
    ("xor", |t| xor(t, &[1, 2, 3, 4, 5, 0xf6])),
    ("shifted", |t| t.bytes().map(|b| b.wrapping_add(3)).collect()),
    ("shifted", |t| t.bytes().map(|b| b.wrapping_sub(77)).collect()),
    ("rotated", |t| letters(t, |l| l + 13)),
    ("rotated", |t| letters(t, |l| l + 5)),
    ("rotated", |t| t.bytes().map(|b| (b - 33 + 47) % 94 + 33).collect()),
    ("atbash", |t| letters(t, |l| 25 - l)),
];

const ENCODINGS: &[Change] = &[
    ("base64", |t| BASE64.encode(t.as_bytes()).into_bytes()),
    ("base64", |t| BASE64URL_NOPAD.encode(t.as_bytes()).into_bytes()),
    ("hex", |t| HEXLOWER.encode(t.as_bytes()).into_bytes()),
    ("base32", |t| BASE32.encode(t.as_bytes()).into_bytes()),
    ("percent", |t| t.bytes().map(|b| format!("%{b:02x}")).collect::<String>().into_bytes()),
    ("json-string", |t| t.bytes().map(|b| format!("\\u{b:04x}")).collect::<String>().into_bytes()),
];

#[test]
fn a_known_value_is_found_through_simple_ciphers_and_the_trail_says_which() {
    for (i, (layer, change)) in CHANGES.iter().enumerate() {
        let value = random(32);
        let engine = engine(&[("API_KEY", &value)]);
        let text = [b"the value is ".to_vec(), change(&value), b" and that is all".to_vec()].concat();
        let report = scan(&engine, &text);
        let found = named(&report, "API_KEY");
        let [finding] = found.as_slice() else { panic!("{i} {layer}: {} findings", found.len()) };
        // Controls make a text binary, which is replaced as a whole.
        let binary = text.iter().any(|b| matches!(b, 0..=6 | 14..=26 | 28..=31));
        assert_eq!(finding.span, if binary { 0..text.len() as u64 } else { 13..(text.len() - 16) as u64 }, "{i} {layer}");
        assert_eq!(finding.trail, layer.split(' ').filter(|l| !l.is_empty()).collect::<Vec<_>>(), "{i}");
        let print = blake3::keyed_hash(&[7; 32], value.as_bytes());
        assert_eq!(finding.fingerprint.0, print.as_bytes()[..8], "{i} {layer}: the same secret has the same fingerprint");
    }
}

#[test]
fn values_of_sixteen_characters_are_found_behind_ciphers_too() {
    for change in
        [|t: &str| xor(t, &[0x5a]), |t: &str| letters(t, |l| l + 3), |t: &str| joined(t, 4, "-"), |t: &str| t.bytes().rev().collect()]
    {
        let value = random(16);
        let engine = engine(&[("SHORT", &value)]);
        let text = [b"a ".to_vec(), change(&value), b" b".to_vec()].concat();
        assert_eq!(named(&scan(&engine, &text), "SHORT").len(), 1, "{:?}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_key_is_found_by_its_body_its_bytes_and_however_its_lines_are_broken() {
    let bytes: Vec<u8> = (0..700).map(|_| rand::random()).collect();
    let lines = |size: usize| joined(&BASE64.encode(&bytes), size, "\n");
    let pem = ["-----BEGIN ", "PRIVATE KEY-----\n", &String::from_utf8_lossy(&lines(64)), "\n-----END ", "PRIVATE KEY-----\n"].concat();
    let engine = engine(&[("tls.key", &pem)]);
    for text in [pem.clone().into_bytes(), lines(76), lines(1000), bytes.clone(), HEXLOWER.encode(&bytes).into_bytes()] {
        assert!(!named(&scan(&engine, &text), "tls.key").is_empty());
    }
    assert!(named(&scan(&engine, b"-----BEGIN PRIVATE KEY-----"), "tls.key").is_empty());
}

#[test]
fn two_long_pieces_in_one_location_are_a_finding_and_one_is_not() {
    let value = random(48);
    let engine = engine(&[("TOKEN", &value)]);
    let (a, b) = value.split_at(20);
    let text = format!(r#"{{"first": "{a}", "note": "some words in between", "rest": {{"second": "{b}"}}}}"#);
    let report = scan(&engine, text.as_bytes());
    let spans: Vec<_> = named(&report, "TOKEN").iter().map(|f| f.span.clone()).collect();
    let at = |part: &str| text.find(part).map(|i| i as u64..(i + part.len()) as u64).expect("it is there");
    assert_eq!(spans, [at(a), at(b)]);
    assert!(named(&report, "TOKEN").iter().all(|f| f.trail == ["pieces"] && f.confidence == Confidence::High));
    let encoded = format!(r#"{{"p": "{}", "q": "{}"}}"#, BASE64.encode(a.as_bytes()), HEXLOWER.encode(b.as_bytes()));
    assert_eq!(named(&scan(&engine, encoded.as_bytes()), "TOKEN").len(), 2, "each piece in an encoding of its own");
    assert!(named(&scan(&engine, format!("{a} {a} {a}").as_bytes()), "TOKEN").is_empty(), "the same piece again adds nothing");
    assert_eq!(named(&scan(&engine, format!("{}...", &value[..40]).as_bytes()), "TOKEN").len(), 1, "most of it is enough");
}

#[test]
fn only_the_right_one_of_many_that_begin_alike_is_found() {
    let values: Vec<(String, String)> =
        (0..400).map(|i| (format!("k{i}"), format!("{}{}", concat!("sk-", "proj-0123456789abcdef-"), random(24)))).collect();
    let (known, refused) = Known::build(values.clone(), &KEY, &FingerprintKey([7; 32]));
    assert!(refused.is_empty() && known.len() == 400);
    let engine = bare(Limits::default()).with_known(known);
    for (name, value) in values.iter().step_by(37) {
        let report = scan(&engine, format!("a {value} b").as_bytes());
        assert!(report.findings.len() == 1 && named(&report, name).len() == 1, "{name}");
    }
}

#[test]
fn two_values_in_one_encoded_run_are_two_findings() {
    let (a, b) = (random(30), random(30));
    let engine = engine(&[("A", &a), ("B", &b)]);
    let report = scan(&engine, BASE64.encode(format!("{a} {b}").as_bytes()).as_bytes());
    assert!(report.findings.len() == 2 && named(&report, "A").len() == 1 && named(&report, "B").len() == 1, "{report:?}");
}

#[test]
fn a_known_key_belongs_where_the_catalogue_says_and_no_other_value_does() {
    let file = "
provider: acme
name: Acme
reference: https://acme.example/docs
detectors:
  - id: acme-key
    name: Acme key
    reference: https://acme.example/docs
    confidence: high
    pattern: 'acme_[A-Za-z0-9]{30}'
    anchors: [acme_]
    home: [{hosts: [api.acme.example]}]
    examples: ['acme_{alnum:30}']
";
    let rules = RuleSet::from_yaml("acme", file).expect("a rule file");
    let (own, other) = (format!("acme_{}", random(30)), random(35));
    let (known, _) = Known::build([("OWN".to_owned(), &own), ("OTHER".to_owned(), &other)], &KEY, &FingerprintKey([7; 32]));
    let engine = Engine::compile(&rules, Limits::default(), FingerprintKey([7; 32])).expect("it compiles").with_known(known);
    let homes = |value: &str, name: &str| named(&scan(&engine, value.as_bytes()), name)[0].detector.home.len();
    assert_eq!((homes(&own, "OWN"), homes(&other, "OTHER")), (1, 0));
    assert!(named(&scan(&engine, format!("{own} {other}").as_bytes()), "OTHER")[0].detector.home.is_empty());
}

#[test]
fn a_registry_is_full_at_its_limit_and_says_so() {
    let values = (0..=MAX_VALUES).map(|i| (format!("n{i}"), format!("{}{i:06}", random(20))));
    let values: Vec<_> = values.collect();
    let (known, refused) = Known::build(values.clone(), &KEY, &FingerprintKey([7; 32]));
    assert_eq!(known.len(), MAX_VALUES);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].why == Refusal::TooMany && refused[0].name == format!("n{MAX_VALUES}"));
    let engine = bare(Limits::default()).with_known(known);
    for (name, value) in values.iter().take(MAX_VALUES).step_by(997) {
        assert_eq!(named(&scan(&engine, value.as_bytes()), name).len(), 1);
    }
}

#[test]
fn the_engine_id_follows_the_registry_and_nothing_else() {
    let (a, b) = (random(20), random(20));
    let id = |values: &[(&str, &str)]| engine(values).id();
    assert_eq!(id(&[("A", &a)]), id(&[("A", &a)]), "the same registry");
    assert_ne!(id(&[("A", &a)]), id(&[("A", &b)]), "another value");
    assert_ne!(id(&[("A", &a)]), id(&[("B", &a)]), "another name");
    assert_ne!(id(&[("A", &a)]), bare(Limits::default()).id());
    assert_eq!(bare(Limits::default()).with_known(registry(&[])).id(), bare(Limits::default()).id(), "an empty one is none");
    let (elsewhere, _) = Known::build([("A".to_owned(), &a)], &KnownKey([4; 32]), &FingerprintKey([7; 32]));
    assert_eq!(id(&[("A", &a)]), bare(Limits::default()).with_known(elsewhere).id(), "the same registry in another process");
    assert!(engine(&[("A", &a)]).detectors().iter().any(|d| d.id == DETECTOR_ID));
}

#[test]
fn nothing_that_is_shown_holds_a_known_value() {
    let value = random(40);
    let engine = engine(&[("A", &value)]);
    let report = scan(&engine, value.as_bytes());
    let (_, refused) = Known::build([("B".to_owned(), &value[..7])], &KEY, &FingerprintKey([7; 32]));
    let shown = format!("{engine:?} {report:?} {refused:?} {} {KEY:?}", refused[0].why);
    assert!(report.findings.len() == 1 && !shown.contains(&value[..6]));
}

#[test]
fn a_text_stuffed_with_what_values_begin_with_ends_at_the_budget_and_says_so() {
    // One unit of work a byte: what is left over from the grace is soon used up.
    let limits = Limits { work_per_byte: 1, whole_bytes: 16 << 20, ..Limits::default() };
    let long = random(3000);
    let engine = bare(limits).with_known(registry(&[("LONG", &long)]));
    let stuffed = format!("{}#", &long[..60]).repeat(120_000);
    let report = scan(&engine, stuffed.as_bytes());
    assert!(matches!(report.coverage, Coverage::Partial { gap: Gap::Budget, .. }), "{:?}", report.coverage);
    assert_eq!(scan(&engine, "nothing of the kind. ".repeat(50_000).as_bytes()).coverage, Coverage::Complete);
}

#[test]
fn a_value_in_a_field_keeps_the_name_of_the_field() {
    let value = random(30);
    let engine = engine(&[("A", &value)]);
    let report = engine.scan(&Kind::of(Location::Query), format!("a=1&Api_Key={value}").as_bytes());
    assert_eq!(named(&report, "A")[0].field.as_deref(), Some("api_key"));
}

fn small() -> Limits {
    Limits { whole_bytes: 2048, block_bytes: 1024, overlap_bytes: 512, ..Limits::default() }
}

/// A value and a text that shows it in changed and encoded forms among harmless ones.
fn text(value: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-z ,.]{0,80}".prop_map(String::into_bytes),
        1 => Just(b"\n".to_vec()),
        1 => "[A-Za-z0-9+/]{0,90}".prop_map(String::into_bytes),
        2 => (0..CHANGES.len()).prop_map(move |i| CHANGES[i].1(value)),
        2 => (0..ENCODINGS.len()).prop_map(move |i| ENCODINGS[i].1(value)),
        1 => (0..20_usize).prop_map(move |i| value.as_bytes()[i..i + 16].to_vec()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// One value for all cases, made at run time.
fn fixed() -> &'static str {
    static VALUE: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| random(36));
    &VALUE
}

fn streaming() -> &'static Engine {
    static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| bare(small()).with_known(registry(&[("V", fixed())])));
    &ENGINE
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any change, then up to three encodings around it: found, and the span lies in the text.
    #[test]
    fn a_known_value_is_found_in_random_nestings(change in 0..CHANGES.len(), layers in prop::collection::vec(0..ENCODINGS.len(), 0..3), len in 24..80_usize) {
        let value = random(len);
        let engine = engine(&[("V", &value)]);
        let mut bytes = CHANGES[change].1(&value);
        for layer in &layers {
            // Encoders take text: what a cipher gave is carried by the first encoding byte for byte.
            bytes = match std::str::from_utf8(&bytes) {
                Ok(text) => ENCODINGS[*layer].1(text),
                Err(_) => BASE64.encode(&bytes).into_bytes(),
            };
        }
        let text = [b"{\"data\": \"".to_vec(), bytes, b"\"}".to_vec()].concat();
        let report = scan(&engine, &text);
        let found = named(&report, "V");
        prop_assert!(!found.is_empty(), "{} in {layers:?}", CHANGES[change].0);
        prop_assert!(found.iter().all(|f| f.span.start < f.span.end && f.span.end <= text.len() as u64));
    }

    #[test]
    fn what_is_not_registered_is_not_found(texts in prop::collection::vec(".{0,200}", 1..20), change in 0..CHANGES.len()) {
        let engine = engine(&[("V", fixed()), ("W", &random(16)), ("X", &random(300))]);
        let other = random(36);
        let text = [texts.concat().into_bytes(), CHANGES[change].1(&other)].concat();
        prop_assert!(scan(&engine, &text).findings.is_empty());
    }

    /// However a stream is cut, the same known values are found at the same places.
    #[test]
    fn chunks_change_nothing_about_known_values(text in text(fixed()), cuts in prop::collection::vec(1_usize..700, 1..20)) {
        let run = |sizes: &mut dyn Iterator<Item = usize>| {
            let mut stream = streaming().stream(body());
            let (mut findings, mut rest) = (Vec::new(), text.as_slice());
            while !rest.is_empty() {
                let (chunk, more) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
                findings.extend(stream.push(chunk).findings);
                rest = more;
            }
            let last = stream.finish();
            findings.extend(last.findings);
            let mut all: Vec<_> = findings.iter().map(|f| (f.detector.name.clone(), f.span.start, f.span.end, f.trail.clone())).collect();
            all.sort();
            (all, last.coverage)
        };
        let whole = run(&mut std::iter::empty());
        prop_assert_eq!(&whole, &run(&mut cuts.iter().copied().cycle()));
        prop_assert_eq!(&whole, &run(&mut std::iter::repeat(1)));
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        scan(streaming(), &bytes);
    }
}

#[test]
fn a_credential_is_held_as_a_whole_and_by_its_name() {
    let (own, other) = (random(40), random(40));
    let known = registry(&[("OWN", &own), ("OTHER", &other)]);
    let named = |wanted: &'static str| move |name: &str| name == wanted;
    assert!(known.holds(own.as_bytes(), named("OWN")) && known.holds(format!(" {own}\n").as_bytes(), named("OWN")));
    assert!(!known.holds(own.as_bytes(), named("OTHER")), "it is known by another name");
    for no in [&own[..39], &format!("{own}x"), &own.to_uppercase(), ""] {
        assert!(!known.holds(no.as_bytes(), |_| true), "not byte for byte");
    }
}
