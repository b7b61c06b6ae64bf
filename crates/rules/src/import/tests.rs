use super::Imported;
use crate::{Check, RuleSet, Target};

fn import(source: &str) -> (RuleSet, Vec<String>) {
    let all = Imported::from_gitleaks("theirs.toml", source).unwrap_or_else(|e| panic!("{e}"));
    let set = RuleSet::from_yaml("ours", &all.document()).unwrap_or_else(|e| panic!("{e}\n{}", all.document()));
    (set, all.notes.into_iter().map(|n| format!("{}: {}", n.rule, n.message)).collect())
}

const RULE: &str = r#"
[[rules]]
id = "acme_Key"
description = "Acme: a \"key\""
regex = '''(?i)(?:acme)[\w]{0,5}=(?:"|')?([a-z{\[]{2}[[:digit:]]{8})\b'''
entropy = 2
keywords = ["ACME"]
[[rules.allowlists]]
regexTarget = "line"
regexes = ["^#"]
stopwords = ["sample"]
condition = "AND"
"#;

#[test]
fn a_rule_comes_over_with_all_that_decides() {
    let (set, notes) = import(RULE);
    let d = &set.detectors()[0];
    assert_eq!((d.id.as_str(), d.name.as_str()), ("acme-key", "Acme: a \"key\""));
    assert_eq!((&d.anchors[..], &d.checks[..]), (&["acme".to_owned()][..], &[Check::Entropy(2.0)][..]));
    assert!(d.pattern.contains("(?P<secret>[a-z"), "{}", d.pattern);
    assert!(d.except[0].both && d.except[0].target == Target::Line, "{:?}", d.except);
    assert_eq!(notes, ["acme_Key: the id is now `acme-key`: ids are kebab-case"]);
}

#[test]
fn what_go_reads_otherwise_is_spelled_out_or_refused() {
    for (regex, text) in [
        (r"acme[[a]{2}", "acme[a"),
        (r"acme[]x]{2}", "acme]x"),
        (r"acme[&&~]{2}", "acme&~"),
        (r"acme{x}", "acme{x}"),
        (r"acme\Q.*\E.", "acme.*x"),
        (r"acme\<x\>", "acme<x>"),
    ] {
        let (set, notes) = import(&format!("[[rules]]\nid='a'\nregex='{regex}'"));
        let pattern = set.detectors().first().unwrap_or_else(|| panic!("{regex}: {notes:?}")).pattern.clone();
        assert!(regex::Regex::new(&pattern).is_ok_and(|r| r.find(text).is_some_and(|m| m.as_str() == text)), "{regex}: {pattern}");
    }
    for regex in [r"acme\pL", r"acme\xe9", r"acme(", r"acme\C", r"acme[a--b]", "acme(?=x)"] {
        let (set, notes) = import(&format!("[[rules]]\nid='a'\nregex='{regex}'"));
        assert!(set.detectors().is_empty() && notes.iter().any(|n| n.contains("regex")), "{regex}: {notes:?}");
    }
}

#[test]
fn what_cannot_come_over_is_said() {
    for (source, words) in [
        ("[[rules]]\nid='a'\npath='x'", "no regex"),
        ("[[rules]]\nregex='acme'", "no id"),
        ("[[rules]]\nid='日本'\nregex='acme'", "no ASCII"),
        ("[[rules]]\nid='a'\nregex='acme'\npath='x'", "`path` is left out"),
        ("[[rules]]\nid='a'\nregex='acme'\ntags=['x']", "`tags`"),
        ("[[rules]]\nid='a'\nregex='[a-z]+'", "every byte"),
        ("[[rules]]\nid='a'\nregex='[a-z]+'\nkeywords=['acme']", "256 bytes before"),
        ("[[rules]]\nid='a'\nregex='acme'\nsecretGroup=2", "no group 2"),
        ("[[rules]]\nid='a'\nregex='acme'\n[[rules.required]]\nid='b'", "`required`"),
        ("[[rules]]\nid='a'\nregex='acme'\n[[rules]]\nid='A'\nregex='acme'", "used twice"),
        ("[extend]\nuseDefault=true\ndisabledRules=['x']", "disabledRules"),
        ("[allowlist]\npaths=['x']", "`paths`"),
        ("[[allowlists]]\nregexes=['(']", "left out"),
    ] {
        let (_, notes) = import(source);
        assert!(notes.iter().any(|n| n.contains(words)), "{source}: {notes:?}");
    }
}

#[test]
fn what_is_allowed_for_some_rules_is_so_for_them_alone() {
    let (set, _) =
        import("[[rules]]\nid='a'\nregex='acme'\n[[rules]]\nid='b'\nregex='acme'\n[[allowlists]]\ntargetRules=['b']\nstopwords=['x']");
    assert_eq!(set.detectors().iter().map(|d| d.except.len()).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn hostile_files_are_refused_or_reported_without_harm() {
    for bad in ["rules = 1", "[[rules]]\nid='a'\nid='b'", "rules = [1]", "=", &"[".repeat(100_000), &" ".repeat(super::MAX_BYTES + 1)] {
        assert!(Imported::from_gitleaks("x", bad).is_err());
    }
    for regex in ["(".repeat(60_000), "(a|b)".repeat(10_000), "a{".repeat(30_000), "x".repeat(100_000), "[".repeat(60_000)] {
        drop(import(&format!("[[rules]]\nid='a'\nregex='{regex}'")));
    }
}

#[test]
fn a_file_is_refused_whose_rules_or_allowlists_multiply() {
    let words: Vec<String> = (0..1000).map(|i| format!("\"word{i:060}\"")).collect();
    let mut many = format!("[allowlist]\nstopwords = [{}]\n", words.join(","));
    for i in 0..100 {
        many.push_str(&format!("[[rules]]\nid = \"r{i}\"\nregex = \"acme_[a-z]{{9}}\"\n"));
    }
    let error = Imported::from_gitleaks("x", &many).expect_err("64 kB in each of 100 rules");
    assert!(error.contains("bytes in our form"), "{error}");
    let error = Imported::from_gitleaks("x", &"[[rules]]\nid = \"a\"\n".repeat(10_001)).expect_err("too many");
    assert!(error.contains("more than 10000 rules"), "{error}");
    let error = Imported::from_gitleaks("x", &"[[allowlists]]\nstopwords = [\"a\"]\n".repeat(1_001)).expect_err("too many");
    assert!(error.contains("more than 1000 allowlists"), "{error}");
}

#[test]
fn notes_do_not_repeat_a_long_id() {
    let long = "a".repeat(100_000);
    let keys: String = (0..100).map(|i| format!("k{i} = 1\n")).collect();
    let all = Imported::from_gitleaks("x", &format!("[[rules]]\nid = \"{long}\"\nregex = \"acme_[a-z]{{9}}\"\n{keys}")).expect("rules");
    assert!(all.notes.len() > 100 && all.notes.iter().all(|n| n.rule.len() <= 100));
    assert_eq!(all.ids().count(), 0);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Imported::from_gitleaks("x", &deep).is_err());
    let regex = format!("{}acme_x{}", "(".repeat(10_000), ")".repeat(10_000));
    let all = Imported::from_gitleaks("x", &format!("[[rules]]\nid = \"a\"\nregex = '{regex}'\n")).expect("a file of rules");
    assert_eq!(all.ids().count(), 0);
}
