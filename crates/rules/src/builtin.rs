//! The catalogue that is compiled in.

use std::sync::OnceLock;

use crate::{RuleError, RuleSet};

/// Every file of `catalog/`, by name, sorted (written by `build.rs`).
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

pub(crate) fn rule_set() -> &'static RuleSet {
    static BUILTIN: OnceLock<RuleSet> = OnceLock::new();
    BUILTIN.get_or_init(|| load().expect("the built-in catalogue is part of this crate, and its tests parse it"))
}

fn load() -> Result<RuleSet, RuleError> {
    let mut all = RuleSet::default();
    for (name, source) in FILES {
        all = all.join(name, RuleSet::from_yaml(name, source)?)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
