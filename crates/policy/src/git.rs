//! What may be pushed where: the `git` section of a policy.

mod glob;

use crate::hosts::HostMap;
use crate::{Policy, Reason, Subject};
pub(crate) use glob::Glob;

/// What the policy says of pushes.
#[derive(Debug, Clone)]
pub(crate) struct GitPolicy {
    /// The first that applies decides; where none does, nothing is pushed.
    pub(crate) push: Vec<PushRule>,
    /// Bytes of objects of one push that are kept, since deltas may be against them.
    pub(crate) memory_bytes: usize,
}

/// A host with repositories on it.
#[derive(Debug, Clone)]
pub(crate) struct Repositories {
    /// `None`: any host.
    pub(crate) host: Option<HostMap<()>>,
    pub(crate) path: Glob,
}

/// Who may push what where.
#[derive(Debug, Clone)]
pub(crate) struct PushRule {
    /// Groups of sandboxes. Empty: all.
    pub(crate) groups: Vec<String>,
    /// Names, with at most one star. Empty: all sandboxes.
    pub(crate) sandboxes: Vec<String>,
    pub(crate) repositories: Vec<Repositories>,
    /// Names below `refs/heads/`.
    pub(crate) branches: Vec<Glob>,
    /// Full names of other refs.
    pub(crate) refs: Vec<Glob>,
    pub(crate) force: bool,
    pub(crate) delete: bool,
    pub(crate) tags: bool,
    /// Whether a push needs a certificate.
    pub(crate) signed: bool,
}

/// What is to become of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefChange {
    /// It is made.
    Create,
    /// It moves; whether to a descendant is asked later ([`Policy::may_force`]).
    Update,
    /// It is deleted.
    Delete,
}

impl Policy {
    /// Whether anything may be pushed to this repository (its path on the host, unescaped, without slashes at the ends and without `.git`).
    ///
    /// # Errors
    /// The reason why not.
    pub fn admit_push(&self, subject: &Subject, repository: &str) -> Result<(), Reason> {
        self.push_rule(subject, repository).map(|_| ()).ok_or(Reason::GitRepositoryNotAllowed)
    }

    /// Whether this ref may change like this in a push that is `signed` or not.
    ///
    /// # Errors
    /// The reason why not.
    pub fn judge_ref(&self, subject: &Subject, repository: &str, name: &str, change: RefChange, signed: bool) -> Result<(), Reason> {
        let rule = self.push_rule(subject, repository).ok_or(Reason::GitRepositoryNotAllowed)?;
        if rule.signed && !signed {
            return Err(Reason::GitUnsigned);
        }
        if name.starts_with("refs/tags/") && !rule.tags {
            return Err(Reason::GitTag);
        }
        let allowed = if let Some(branch) = name.strip_prefix("refs/heads/") {
            rule.branches.iter().any(|glob| glob.matches(branch))
        } else {
            name.starts_with("refs/tags/") || rule.refs.iter().any(|glob| glob.matches(name))
        };
        if !allowed {
            return Err(Reason::GitRefNotAllowed);
        }
        if change == RefChange::Delete && !rule.delete {
            return Err(Reason::GitDeletion);
        }
        Ok(())
    }

    /// Whether a ref of this repository may be moved to what does not descend from it.
    pub fn may_force(&self, subject: &Subject, repository: &str) -> bool {
        self.push_rule(subject, repository).is_some_and(|rule| rule.force)
    }

    /// Bytes of objects of one push that are kept, since deltas may be against them (1 MiB to 1 GiB).
    pub fn git_memory_bytes(&self) -> usize {
        self.git.memory_bytes
    }

    /// For the request of a push: why nothing may be pushed, or what may, in words for people.
    pub(crate) fn explain_push(&self, subject: &Subject) -> Option<Result<String, (Reason, String)>> {
        let repository = subject.path.strip_suffix("/git-receive-pack")?.trim_start_matches('/');
        let repository = repository.strip_suffix(".git").unwrap_or(repository);
        let Some((number, rule)) = self.numbered_push_rule(subject, repository) else {
            let why = format!("no rule of git.push is for sandbox {} and {}/{repository}", subject.sandbox, subject.destination.host);
            return Some(Err((Reason::GitRepositoryNotAllowed, why)));
        };
        let names: Vec<String> = rule.branches.iter().chain(&rule.refs).map(ToString::to_string).collect();
        let mut allowed = Vec::new();
        for (is, word) in [(rule.force, "force"), (rule.delete, "deletion"), (rule.tags, "tags")] {
            allowed.push(format!("{}{word}", if is { "" } else { "no " }));
        }
        let signed = if rule.signed { ", signed only" } else { "" };
        Some(Ok(format!("git.push[{number}] decides on its refs: {}; {}{signed}", names.join(", "), allowed.join(", "))))
    }

    fn push_rule(&self, subject: &Subject, repository: &str) -> Option<&PushRule> {
        self.numbered_push_rule(subject, repository).map(|(_, rule)| rule)
    }

    fn numbered_push_rule(&self, subject: &Subject, repository: &str) -> Option<(usize, &PushRule)> {
        let host = &subject.destination.host;
        let leads_to = |one: &Repositories| one.host.as_ref().is_none_or(|map| map.get(host).is_some()) && one.path.matches(repository);
        let groups = &self.rules.groups;
        let membership = groups.of(&subject.sandbox);
        let member = |name: &String| groups.number(name).is_some_and(|group| membership.has(group));
        self.git.push.iter().enumerate().find(|(_, rule)| {
            let who = (rule.groups.is_empty() || rule.groups.iter().any(member))
                && (rule.sandboxes.is_empty() || rule.sandboxes.iter().any(|name| is(name, &subject.sandbox)));
            who && rule.repositories.iter().any(leads_to)
        })
    }
}

/// Whether a name, in which a star stands for any text, means this sandbox.
pub(crate) fn is(name: &str, sandbox: &str) -> bool {
    match name.split_once('*') {
        Some((before, behind)) => sandbox.len() >= before.len() + behind.len() && sandbox.starts_with(before) && sandbox.ends_with(behind),
        None => name == sandbox,
    }
}

#[cfg(test)]
mod tests;
