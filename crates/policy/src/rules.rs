//! The rules of a policy: who and where, and what is different there.

mod budget;
mod graphql;
mod groups;
mod index;
mod paths;
mod terms;
mod when;

use std::fmt;
use std::sync::Arc;

use crate::Action;
use crate::git::Glob;

pub use budget::{Budget, Usage};
pub(crate) use groups::Groups;
pub(crate) use index::Index;
pub(crate) use paths::{Pattern, Readings};
pub use terms::{Details, Settings, Terms};
pub(crate) use terms::{Miss, Request};
pub(crate) use when::{FUNCTIONS, VARIABLES, When};

/// How a secret is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redaction {
    /// By a placeholder of its own length: `[portcullis:github-pat-classic:7f3a]`.
    #[default]
    Placeholder,
    /// By a placeholder that is cut or filled to the length of what it replaces.
    FixedLength,
}

/// When a rule only watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    Never,
    Always,
    /// Until so many milliseconds after the Unix epoch.
    Until(u64),
}

impl Watch {
    /// Whether the rule only watches at this time, in milliseconds since the Unix epoch.
    pub(crate) fn at(self, now: u64) -> bool {
        match self {
            Watch::Never => false,
            Watch::Always => true,
            Watch::Until(end) => now < end,
        }
    }
}

/// One rule. What is empty or `None` says nothing.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: Arc<str>,
    /// The preset it comes from; `None`: the file itself.
    pub(crate) preset: Option<&'static str>,
    pub(crate) groups: Vec<String>,
    pub(crate) sandboxes: Vec<String>,
    /// Host patterns in normal form.
    pub(crate) hosts: Vec<String>,
    pub(crate) methods: Vec<String>,
    pub(crate) paths: Vec<Pattern>,
    pub(crate) content_types: Vec<String>,
    pub(crate) when: Option<When>,
    /// Patterns of GraphQL operations: asked of the body, not of the head.
    pub(crate) graphql: Vec<Glob>,
    pub(crate) action: Option<Action>,
    /// By confidence, from low to certain.
    pub(crate) findings: [Option<Action>; 4],
    pub(crate) detectors: Vec<(String, Action)>,
    pub(crate) redaction: Option<Redaction>,
    pub(crate) partial: Option<Action>,
    pub(crate) max_body: Option<u64>,
    pub(crate) budget: Option<Arc<Budget>>,
    pub(crate) watch: Watch,
}

/// All rules in order, with what finds them.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    pub(crate) list: Vec<Rule>,
    pub(crate) named: std::collections::BTreeMap<String, Vec<String>>,
    pub(crate) groups: Groups,
    pub(crate) index: Index,
}

impl Rules {
    /// Puts the rules of a layer before those of the layers under it.
    pub(crate) fn prepend(&mut self, mut rules: Vec<Rule>) {
        rules.append(&mut self.list);
        self.list = rules;
    }

    /// Makes what finds them.
    pub(crate) fn compile(&mut self) {
        self.groups = Groups::new(&self.named, &self.list);
        self.index = Index::new(&self.list, &self.groups);
    }
}

impl fmt::Debug for Rules {
    /// What was said, not what was made of it: the policy's id is a hash of this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("list", &self.list).field("named", &self.named).finish()
    }
}

#[cfg(test)]
mod tests;
