//! What a detector lets pass although it matches.

use portcullis_engine::{Engine, FingerprintKey, Kind, Limits, Media, RuleSet};

fn engine(except: &str) -> Engine {
    let source = format!(
        "provider: acme\nname: Acme\nreference: x\ndetectors:\n  - id: acme\n    confidence: high\n    boundary: none\n    pattern: 'key=(?P<secret>[a-z0-9]{{12}});'\n    anchors: [key=]\n    except: [{except}]\n"
    );
    let rules = RuleSet::from_yaml("x", &source).unwrap_or_else(|e| panic!("{e}"));
    Engine::compile(&rules, Limits::default(), FingerprintKey([1; 32])).unwrap_or_else(|e| panic!("{e}"))
}

fn found(engine: &Engine, text: &str) -> usize {
    engine.scan(&Kind::body(Media::default()), text.as_bytes()).findings.len()
}

const VALUE: &str = "key=q7zr2mkvabc1;";

#[test]
fn an_exception_holds_for_what_its_target_shows_and_for_nothing_else() {
    for (except, passed, found_still) in [
        ("{patterns: ['^q7.*1$']}", VALUE.to_owned(), VALUE.replace("q7", "r7")),
        ("{patterns: ['key=q'], in: match}", VALUE.to_owned(), VALUE.replace("=q", "=r")),
        ("{patterns: ['# sample']}", "key=# sample;".to_owned(), format!("{VALUE} # sample")),
        ("{patterns: ['# sample'], in: line}", format!("a\n{VALUE} # sample\nb"), format!("# sample\n{VALUE}\n# sample")),
        ("{patterns: ['^x {3}key'], in: line}", format!("a\nx   {VALUE}"), format!("x  {VALUE}")),
        ("{words: [ZZZZ, KvAb]}", VALUE.to_owned(), VALUE.replace("vab", "vba")),
        ("{patterns: ['^q'], words: [kva], both: true}", VALUE.to_owned(), VALUE.replace("kva", "kav")),
        ("{patterns: ['^z'], words: [kva]}", VALUE.to_owned(), VALUE.replace("kva", "kav")),
    ] {
        let engine = engine(except);
        assert_eq!((found(&engine, &passed), found(&engine, &found_still)), (0, 1), "{except}");
    }
}

#[test]
fn an_exception_that_does_not_compile_names_its_detector() {
    let rules = "provider: a\nname: A\nreference: x\nexcept: [{patterns: ['(']}]\ndetectors: [{id: acme, confidence: low, pattern: acme1, anchors: [acme]}]";
    let rules = RuleSet::from_yaml("x", rules).expect("a rule file");
    let error = Engine::compile(&rules, Limits::default(), FingerprintKey([1; 32])).expect_err("refused");
    assert!(error.id == "acme" && error.to_string().contains("exception"), "{error}");
}
