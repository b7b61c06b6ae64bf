//! Two values and any bytes: the engine that knows the values ends, and finds each of them where it stands in plain sight.
#![no_main]

use engine::{Engine, FingerprintKey, Kind, Known, KnownKey, Limits, Media, RuleSet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (first, second, text) = input;
    let key = FingerprintKey([2; 32]);
    let values = [("first".to_owned(), first), ("second".to_owned(), second)];
    let (known, refused) = Known::build(values, &KnownKey([1; 32]), &key);
    let engine = Engine::compile(&RuleSet::default(), Limits::default(), key).expect("no rules compile").with_known(known);
    let whole = [text, first, text].concat();
    let report = engine.scan(&Kind::body(Media::default()), &whole);
    assert!(report.findings.iter().all(|f| f.span.end <= whole.len() as u64));
    let taken = !refused.iter().any(|r| r.name == "first");
    let found = report.findings.iter().any(|f| engine::known::name_of(&f.detector) == Some("first"));
    assert!(!taken || found || report.coverage != engine::Coverage::Complete);
});
