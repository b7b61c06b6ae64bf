//! Every example of the catalogue, through the real engine.

use portcullis_engine::{Engine, FingerprintKey, Kind, Limits, Location, RuleSet};

fn engine() -> Engine {
    Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_example_is_found_and_no_counter_example() {
    let engine = engine();
    let mut wrong = Vec::new();
    for detector in RuleSet::builtin().detectors() {
        let finds = |text: &str| {
            let report = engine.scan(&Kind::of(Location::Body), text.as_bytes());
            report.findings.iter().any(|f| f.detector.id == detector.id)
        };
        // A surer detector may stand in for one whose match it holds.
        let stands_in = |text: &str| !engine.scan(&Kind::of(Location::Body), text.as_bytes()).findings.is_empty();
        for (i, example) in detector.examples.iter().enumerate() {
            if !finds(example) && !stands_in(example) {
                wrong.push(format!("{}: example {i} is not found", detector.id));
            }
        }
        for (i, counter) in detector.counter_examples.iter().enumerate() {
            if finds(counter) {
                wrong.push(format!("{}: counter-example {i} is found", detector.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_detectors_for_many_providers_with_homes() {
    let set = RuleSet::builtin();
    let providers: std::collections::BTreeSet<&str> = set.detectors().iter().map(|d| d.provider.as_str()).collect();
    assert!(set.detectors().len() >= 80 && providers.len() >= 40, "{} detectors, {} providers", set.detectors().len(), providers.len());
    let homeless = set.detectors().iter().filter(|d| d.home.is_empty()).count();
    assert!(homeless * 4 < set.detectors().len(), "{homeless} detectors have no home");
}
