//! Any text as another tool's file of rules: what is taken is a file in our form, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(all) = rules::Imported::from_gitleaks("fuzz.toml", text) {
        let document = all.document();
        let set = rules::RuleSet::from_yaml("fuzz", &document).unwrap_or_else(|e| panic!("{e}\n{document}"));
        assert_eq!(set.detectors().len(), all.ids().count());
    }
});
