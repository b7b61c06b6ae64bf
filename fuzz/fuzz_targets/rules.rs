//! Any text as a rules file: refused or taken, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    drop(rules::RuleSet::from_yaml("fuzz", text));
});
