//! The catalogue that is compiled in.

use std::sync::OnceLock;

use crate::RuleSet;

pub(crate) fn rule_set() -> &'static RuleSet {
    static BUILTIN: OnceLock<RuleSet> = OnceLock::new();
    BUILTIN.get_or_init(RuleSet::default)
}
