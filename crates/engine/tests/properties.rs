//! What holds for all inputs.

use portcullis_engine::{Coverage, Engine, Finding, FingerprintKey, Gap, Kind, Limits, Location, Media, RuleSet};
use proptest::prelude::*;
use rand::distr::{Alphanumeric, SampleString};

fn engine(limits: Limits) -> Engine {
    Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).unwrap_or_else(|e| panic!("{e}"))
}

fn small() -> &'static Engine {
    static SMALL: std::sync::LazyLock<Engine> =
        std::sync::LazyLock::new(|| engine(Limits { whole_bytes: 2048, block_bytes: 1024, overlap_bytes: 512, ..Limits::default() }));
    &SMALL
}

fn usual() -> &'static Engine {
    static USUAL: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| engine(Limits::default()));
    &USUAL
}

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn body() -> Kind {
    Kind::body(Media::default())
}

type Summary = (String, u64, u64, Vec<&'static str>);

fn summary(f: &Finding) -> Summary {
    (f.detector.id.clone(), f.span.start, f.span.end, f.trail.clone())
}

/// Pieces of traffic that layers and detectors care about.
fn piece() -> impl Strategy<Value = String> {
    use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
    prop_oneof![
        4 => "[a-z ,.]{0,80}",
        1 => Just("\n".to_owned()),
        1 => "[A-Za-z0-9+/]{0,120}",
        1 => Just(token()),
        1 => Just(format!(" {} ", token())),
        1 => Just(format!("\"key\": \"{}\", ", token())),
        1 => Just(BASE64.encode(format!("{{\"key\": \"{}\"}}", token()).as_bytes())),
        1 => Just(BASE64URL_NOPAD.encode(format!("user=me&key={}", token()).as_bytes())),
        1 => Just(HEXLOWER.encode(format!("key {} ", token()).as_bytes())),
        1 => Just(token().bytes().map(|b| format!("%{b:02x}")).collect()),
        1 => Just(token().bytes().map(|b| format!("\\u{b:04x}")).collect()),
        1 => Just(token().bytes().map(|b| format!("&#{b};")).collect()),
        1 => "[{}\\[\\]\":,&=;%\\\\]{0,10}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A report is the same whatever was sent before: messages that were seen, clean or not, alone or among others.
    #[test]
    fn what_was_seen_before_changes_nothing(parts in prop::collection::vec((text(), 0..1200_usize), 1..6), order in prop::collection::vec(0..6_usize, 1..8)) {
        let parts: Vec<String> = parts.into_iter().map(|(text, more)| format!("{text} {}", "a few plain words, ".repeat(more / 19))).collect();
        let engine = usual().fresh();
        let mut sent: Vec<&String> = Vec::new();
        for i in order {
            sent.extend(parts.get(i % parts.len()));
            let bytes = serde_json::json!({ "messages": sent }).to_string();
            let (used, new) = (engine.scan(&body(), bytes.as_bytes()), usual().fresh().scan(&body(), bytes.as_bytes()));
            prop_assert_eq!(used.findings.iter().map(summary).collect::<Vec<_>>(), new.findings.iter().map(summary).collect::<Vec<_>>());
            prop_assert_eq!(used.coverage, new.coverage);
        }
    }

    /// However a stream is cut, findings, spans, coverage and what may be released are the same; no finding is cut by the boundary.
    #[test]
    fn chunks_change_nothing(text in text(), cuts in prop::collection::vec(1_usize..700, 1..20)) {
        let bytes = text.as_bytes();
        let run = |sizes: &mut dyn Iterator<Item = usize>| {
            let mut stream = small().stream(body());
            let (mut findings, mut rest, mut clean) = (Vec::new(), bytes, 0);
            while !rest.is_empty() {
                let (chunk, more) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
                let progress = stream.push(chunk);
                assert!(progress.clean_to >= clean, "what was clean stays clean");
                for f in &progress.findings {
                    assert!(f.span.start >= clean, "a finding in bytes that were released");
                }
                clean = progress.clean_to;
                findings.extend(progress.findings);
                for f in &findings {
                    assert!(!(f.span.start < clean && clean < f.span.end), "a finding is cut");
                }
                rest = more;
            }
            let last = stream.finish();
            findings.extend(last.findings);
            let mut all: Vec<Summary> = findings.iter().map(summary).collect();
            all.sort();
            (all, last.coverage)
        };
        let whole = run(&mut std::iter::empty());
        prop_assert_eq!(&whole, &run(&mut cuts.iter().copied().cycle()));
        prop_assert_eq!(&whole, &run(&mut std::iter::repeat(1)));
    }

    /// Spans lie in the input, findings are in order, and a finding in plain sight is the secret's own bytes.
    #[test]
    fn spans_are_exact(text in text()) {
        let report = usual().scan(&body(), text.as_bytes());
        let mut before = 0;
        for f in &report.findings {
            prop_assert!(f.span.start >= before && f.span.start < f.span.end && f.span.end <= text.len() as u64);
            before = f.span.start;
        }
    }

    /// Any bytes in any location: an answer, no panic.
    #[test]
    fn any_bytes_in_any_place_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..3000), place in 0_usize..6, coding in 0_usize..6) {
        let location = [Location::Host, Location::Path, Location::Query, Location::Header("cookie".into()), Location::Header("authorization".into()), Location::Body][place].clone();
        let media = Media {
            content_type: Some(["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/xml", "", "x"][place].to_owned()),
            content_encoding: [vec![], vec!["gzip".to_owned()], vec!["br".to_owned()], vec!["zstd".to_owned()], vec!["deflate".to_owned()], vec!["x".to_owned()]][coding].clone(),
        };
        usual().scan(&Kind { location, media }, &bytes);
    }
}

#[test]
fn a_token_is_found_wherever_it_stands_in_a_long_stream() {
    let token = token();
    let filler = "nothing to see in this line of text\n".repeat(300);
    for at in (0..filler.len()).step_by(37) {
        let mut text = filler.clone();
        text.insert_str(at - at % 36, &format!("{token}\n"));
        let report = small().scan(&body(), text.as_bytes());
        let spans: Vec<_> = report.findings.iter().map(|f| f.span.clone()).collect();
        let start = text.find(&token).expect("it is there") as u64;
        assert!(spans.len() == 1 && spans[0] == (start..start + token.len() as u64), "at {at}: {spans:?}");
    }
}

#[test]
fn layers_in_layers_are_peeled_and_the_span_is_the_outer_run() {
    use data_encoding::BASE64;
    use std::io::Write;
    let token = token();
    let json = format!(r#"{{"env": {{"GITHUB_TOKEN": "{token}"}}}}"#);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(json.as_bytes()).expect("in memory");
    let inner = BASE64.encode(&gzip.finish().expect("in memory"));
    let outer = format!(r#"{{"file": "{inner}"}}"#);
    let report =
        usual().scan(&Kind::body(Media { content_type: Some("application/json".into()), content_encoding: vec![] }), outer.as_bytes());
    let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings.len()) };
    assert_eq!(finding.trail, ["base64", "gzip"]);
    let start = outer.find(&inner).expect("it is there") as u64;
    assert_eq!(finding.span, start..start + inner.len() as u64);
}

#[test]
fn every_limit_is_a_gap_and_none_is_silent() {
    use std::io::Write;
    let bomb = {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![b'a'; 1 << 20];
        (0..80).for_each(|_| gzip.write_all(&zeros).expect("in memory"));
        gzip.finish().expect("in memory")
    };
    let gap = |coding: &str, bytes: &[u8]| {
        let media = Media { content_type: None, content_encoding: vec![coding.to_owned()] };
        match usual().scan(&Kind::body(media), bytes).coverage {
            Coverage::Complete => None,
            Coverage::Partial { gap, .. } => Some(gap),
        }
    };
    assert_eq!(gap("gzip", &bomb), Some(Gap::Budget));
    assert_eq!(gap("gzip", &bomb[..bomb.len() / 2][..40]), Some(Gap::Undecodable));
    assert_eq!(gap("gzip", b"not gzip at all"), Some(Gap::Undecodable));
    assert_eq!(gap("rot13", b"x"), Some(Gap::UnknownEncoding));
    let mut deep = "a secret would stand here".to_owned();
    for _ in 0..12 {
        deep = data_encoding::BASE64.encode(deep.as_bytes());
    }
    let report = usual().scan(&body(), deep.as_bytes());
    assert!(matches!(report.coverage, Coverage::Partial { gap: Gap::Depth, .. }), "{:?}", report.coverage);
}

#[test]
fn nothing_that_is_shown_holds_the_secret() {
    let token = token();
    let report = usual().scan(&body(), token.as_bytes());
    let mut stream = usual().stream(body());
    stream.push(token.as_bytes());
    let shown = format!("{report:?} {stream:?} {:?}", FingerprintKey([7; 32]));
    assert!(!report.findings.is_empty() && !shown.contains(&token[4..20]));
}

#[test]
fn heads_of_lines_whose_numbers_differ_in_length_do_no_harm() {
    let report = usual().scan(&body(), b"000@0\n1#@!");
    assert!(report.findings.is_empty());
}
