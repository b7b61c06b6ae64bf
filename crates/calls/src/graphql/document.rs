//! One GraphQL document (GraphQL specification, October 2021, section 2).

use std::collections::{BTreeMap, BTreeSet};

use apollo_parser::Parser;
use apollo_parser::cst::{Definition, OperationType, Selection, SelectionSet};

use super::MAX_FIELDS;
use crate::Unreadable;

/// Tokens of a document: introspection takes about a thousand.
const MAX_TOKENS: usize = 50_000;
/// Selections inside selections, and fragments inside fragments.
const MAX_DEPTH: usize = 64;

/// Adds the first fields of every operation.
pub(super) fn fields(document: &str, out: &mut Vec<String>) -> Result<(), Unreadable> {
    let tree = Parser::new(document).token_limit(MAX_TOKENS).recursion_limit(MAX_DEPTH).parse();
    if tree.errors().next().is_some() {
        return Err(Unreadable);
    }
    let definitions: Vec<Definition> = tree.document().definitions().collect();
    let mut fragments = BTreeMap::new();
    let mut operations = Vec::new();
    for definition in definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let kind = operation.operation_type().map_or("query", |kind| kind_of(&kind));
                operations.push((kind, operation.selection_set().ok_or(Unreadable)?));
            }
            Definition::FragmentDefinition(fragment) => {
                let name = fragment.fragment_name().and_then(|n| n.name()).ok_or(Unreadable)?.text().to_string();
                let selections = fragment.selection_set().ok_or(Unreadable)?;
                // Said twice, it is two things.
                if fragments.insert(name, selections).is_some() {
                    return Err(Unreadable);
                }
            }
            _ => return Err(Unreadable),
        }
    }
    for (kind, selections) in operations {
        Walk { kind, fragments: &fragments, seen: BTreeSet::new(), out }.selections(&selections, 0)?;
    }
    Ok(())
}

fn kind_of(kind: &OperationType) -> &'static str {
    if kind.mutation_token().is_some() {
        "mutation"
    } else if kind.subscription_token().is_some() {
        "subscription"
    } else {
        "query"
    }
}

struct Walk<'a> {
    kind: &'static str,
    fragments: &'a BTreeMap<String, SelectionSet>,
    seen: BTreeSet<String>,
    out: &'a mut Vec<String>,
}

impl Walk<'_> {
    /// The fields of one operation's first level, also those in fragments.
    fn selections(&mut self, set: &SelectionSet, depth: usize) -> Result<(), Unreadable> {
        if depth > MAX_DEPTH {
            return Err(Unreadable);
        }
        for selection in set.selections() {
            match selection {
                Selection::Field(field) => {
                    let name = field.name().ok_or(Unreadable)?;
                    self.out.push(format!("{}.{}", self.kind, name.text()));
                    if self.out.len() > MAX_FIELDS {
                        return Err(Unreadable);
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.selections(&inline.selection_set().ok_or(Unreadable)?, depth + 1)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name().and_then(|n| n.name()).ok_or(Unreadable)?.text().to_string();
                    let fragments = self.fragments;
                    let there = fragments.get(&name).ok_or(Unreadable)?;
                    if self.seen.insert(name) {
                        self.selections(there, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }
}
