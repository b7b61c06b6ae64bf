//! The `git` section of a policy file.

use serde_saphyr::Spanned;

use super::build::size;
use super::error::{Result, Wrong, wrong};
use super::file::{Git, Permission, PushRule as FileRule, Signed};
use super::rule::{group, sandbox};
use crate::Policy;
use crate::git::{Glob, PushRule, Repositories};
use crate::hosts::HostMap;
use crate::rules::Rules;

/// Lays the section over what is there: rules that are given replace the old ones.
pub(super) fn lay_over(given: Git, policy: &mut Policy) -> Result<()> {
    if let Some(rules) = given.push {
        policy.git.push = rules.into_iter().map(|one| rule(one, &policy.rules)).collect::<Result<_>>()?;
    }
    if let Some(text) = given.memory {
        policy.git.memory_bytes = usize::try_from(size(&text, 1 << 20, 1 << 30)?).map_err(|e| Wrong::new(e.to_string()))?;
    }
    Ok(())
}

fn rule(given: Spanned<FileRule>, rules: &Rules) -> Result<PushRule> {
    if given.value.repositories.is_empty() {
        return Err(wrong(&given, "repositories is missing; expected a list (github.com/acme/shop, '**')"));
    }
    let FileRule { sandboxes, groups, repositories, branches, refs, force, delete, tags, signed } = given.value;
    let allows = |permission: Option<Permission>| permission == Some(Permission::Allow);
    Ok(PushRule {
        groups: groups.into_iter().map(|text| group(text, rules)).collect::<Result<_>>()?,
        sandboxes: sandboxes.into_iter().map(sandbox).collect::<Result<_>>()?,
        repositories: repositories.into_iter().map(repository).collect::<Result<_>>()?,
        branches: match branches {
            Some(branches) => branches.into_iter().map(branch).collect::<Result<_>>()?,
            None => vec![Glob::parse("**").map_err(Wrong::new)?],
        },
        refs: refs.into_iter().map(full).collect::<Result<_>>()?,
        force: allows(force),
        delete: allows(delete),
        tags: allows(tags),
        signed: signed == Some(Signed::Required),
    })
}

/// `host/path`, where the host is a pattern as everywhere; `**` alone: every repository.
fn repository(text: Spanned<String>) -> Result<Repositories> {
    let expected = "github.com/acme/shop, github.com/acme/* or '**'; without scheme and .git";
    let no = || wrong(&text, format!("{:?} is no repository; expected {expected}", text.value));
    if text.value == "**" {
        return Ok(Repositories { host: None, path: Glob::parse("**").map_err(|_| no())? });
    }
    let (host, path) = text.value.split_once('/').ok_or_else(no)?;
    if path.is_empty() || path.starts_with('/') || path.ends_with('/') || path.ends_with(".git") || path.contains("//") {
        return Err(no());
    }
    let mut map = HostMap::default();
    map.insert(host, ()).map_err(|_| no())?;
    Ok(Repositories { host: Some(map), path: Glob::parse(path).map_err(|_| no())? })
}

fn branch(text: Spanned<String>) -> Result<Glob> {
    if text.value.starts_with("refs/") {
        return Err(wrong(&text, format!("{:?} is a full name; expected one without refs/heads/", text.value)));
    }
    Glob::parse(&text.value).map_err(|message| wrong(&text, message))
}

fn full(text: Spanned<String>) -> Result<Glob> {
    if !text.value.starts_with("refs/") || text.value.starts_with("refs/heads/") || text.value.starts_with("refs/tags/") {
        return Err(wrong(&text, format!("{:?} is none; expected full names beside branches and tags (refs/notes/*)", text.value)));
    }
    Glob::parse(&text.value).map_err(|message| wrong(&text, message))
}
