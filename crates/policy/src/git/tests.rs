use super::*;
use crate::{Destination, Preset};

fn subject(host: &str, sandbox: &str) -> Subject {
    Subject {
        sandbox: sandbox.into(),
        method: "POST".into(),
        destination: Destination::parse(host, true).expect("a host"),
        path: "/".into(),
        ..Subject::default()
    }
}

fn policy(git: &str) -> Policy {
    Policy::from_yaml("p.yaml", &format!("version: 1\ngit:\n{git}")).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(git: &str) -> String {
    Policy::from_yaml("p.yaml", &format!("version: 1\ngit:\n{git}")).map(|_| ()).expect_err("an error").to_string()
}

#[test]
fn by_default_branches_are_pushed_and_nothing_is_lost() {
    let policy = Policy::preset(Preset::Default);
    let subject = subject("github.com", "box");
    let judge = |name, change| policy.judge_ref(&subject, "o/r", name, change, false);
    assert_eq!(policy.admit_push(&subject, "o/r"), Ok(()));
    assert_eq!(judge("refs/heads/a/b", RefChange::Create), Ok(()));
    assert_eq!(judge("refs/heads/main", RefChange::Update), Ok(()));
    assert_eq!(judge("refs/heads/main", RefChange::Delete), Err(Reason::GitDeletion));
    assert_eq!(judge("refs/tags/v1", RefChange::Create), Err(Reason::GitTag));
    assert_eq!(judge("refs/notes/commits", RefChange::Create), Err(Reason::GitRefNotAllowed));
    assert_eq!(judge("HEAD", RefChange::Update), Err(Reason::GitRefNotAllowed));
    assert!(!policy.may_force(&subject, "o/r"));
}

#[test]
fn strict_pushes_only_where_a_repository_is_named() {
    let strict = Policy::preset(Preset::Strict);
    assert_eq!(strict.admit_push(&subject("github.com", "box"), "o/r"), Err(Reason::GitRepositoryNotAllowed));
    let named = Policy::from_yaml("p", "version: 1\nextends: strict\ngit: {push: [{repositories: [github.com/o/r]}]}\n").expect("a policy");
    assert_eq!(named.admit_push(&subject("github.com", "box"), "o/r"), Ok(()));
}

#[test]
fn the_first_rule_for_sandbox_host_and_repository_decides() {
    let policy = policy(concat!(
        "  push:\n",
        "    - {sandboxes: [releaser], repositories: [github.com/acme/*], branches: ['release/**'], tags: allow, force: allow, delete: allow}\n",
        "    - {sandboxes: [signer], repositories: [github.com/acme/shop], signed: required}\n",
        "    - {repositories: [github.com/acme/shop, '*.example.com/**'], branches: [main, 'agent/*'], refs: ['refs/for/*']}\n",
    ));
    let agent = subject("github.com", "agent-1");
    let judge = |who: &Subject, repository, name, change| policy.judge_ref(who, repository, name, change, false);
    assert_eq!(judge(&agent, "acme/shop", "refs/heads/agent/1", RefChange::Update), Ok(()));
    assert_eq!(judge(&agent, "acme/shop", "refs/for/main", RefChange::Create), Ok(()));
    assert_eq!(judge(&agent, "acme/shop", "refs/heads/other", RefChange::Create), Err(Reason::GitRefNotAllowed));
    for (host, repository) in
        [("github.com", "acme/other"), ("github.com", "acme/Shop"), ("gitlab.com", "acme/shop"), ("github.com", "x/acme/shop")]
    {
        assert_eq!(policy.admit_push(&subject(host, "agent-1"), repository), Err(Reason::GitRepositoryNotAllowed), "{host}/{repository}");
    }
    assert_eq!(policy.admit_push(&subject("git.example.com", "agent-1"), "any/where/at/all"), Ok(()));
    let releaser = subject("github.com", "releaser");
    assert_eq!(judge(&releaser, "acme/other", "refs/tags/v1", RefChange::Delete), Ok(()));
    assert_eq!(judge(&releaser, "acme/other", "refs/heads/main", RefChange::Update), Err(Reason::GitRefNotAllowed));
    assert!(policy.may_force(&releaser, "acme/other") && !policy.may_force(&agent, "acme/shop"));
    let signer = subject("github.com", "signer");
    assert_eq!(judge(&signer, "acme/shop", "refs/heads/main", RefChange::Update), Err(Reason::GitUnsigned));
    assert_eq!(policy.judge_ref(&signer, "acme/shop", "refs/heads/main", RefChange::Update, true), Ok(()));
}

#[test]
fn what_may_be_pushed_is_explained() {
    let policy = policy("  push:\n    - {repositories: [github.com/acme/shop], branches: [main, 'agent/*'], tags: allow}\n");
    let explain = |path: &str| {
        let subject = Subject { path: path.into(), ..subject("github.com", "box") };
        policy.explain(&subject, crate::Details::none(), None, &[], engine::Coverage::Complete).to_string()
    };
    let text = explain("/acme/shop.git/git-receive-pack");
    assert!(
        text.starts_with("allow") && text.contains("git.push[0] decides on its refs: main, agent/*; no force, no deletion, tags"),
        "{text}"
    );
    let text = explain("/acme/other/git-receive-pack");
    assert!(text.starts_with("deny: git_repository_not_allowed") && text.contains("github.com/acme/other"), "{text}");
}

#[test]
fn groups_and_stars_name_sandboxes() {
    let source = "version: 1\ngroups: {ci: ['ci-*']}\ngit: {push: [{groups: [ci], repositories: ['**']}, {sandboxes: ['dev-*-x'], repositories: ['**']}]}\n";
    let policy = Policy::from_yaml("p.yaml", source).expect("a policy");
    for (sandbox, may) in [("ci-1", true), ("dev-1-x", true), ("dev-x", false), ("other", false)] {
        assert_eq!(policy.admit_push(&subject("github.com", sandbox), "o/r").is_ok(), may, "{sandbox}");
    }
    let error =
        Policy::from_yaml("p.yaml", "version: 1\ngit: {push: [{groups: [cd], repositories: ['**']}]}\n").map(|_| ()).expect_err("an error");
    assert!(error.to_string().contains("is no group"), "{error}");
}

#[test]
fn mistakes_are_errors_with_their_line() {
    for (source, line, words) in [
        ("  push:\n    - {branches: [main]}\n", 4, "repositories"),
        ("  push:\n    - {repositories: [], branches: [main]}\n", 4, "repositories"),
        ("  push:\n    - {repositories: [github.com]}\n", 4, "github.com"),
        ("  push:\n    - {repositories: ['a b/c']}\n", 4, "a b/c"),
        ("  push:\n    - {repositories: ['https://github.com/a/b']}\n", 4, "https"),
        ("  push:\n    - {repositories: ['github.com/a/b.git']}\n", 4, ".git"),
        ("  push:\n    - {repositories: ['**'], branches: ['refs/heads/main']}\n", 4, "refs/heads/main"),
        ("  push:\n    - {repositories: ['**'], refs: ['notes/*']}\n", 4, "notes/*"),
        ("  push:\n    - {repositories: ['**'], force: maybe}\n", 4, "maybe"),
        ("  memory: 1KiB\n", 3, "1KiB"),
        ("  pull: []\n", 3, "pull"),
    ] {
        let error = refused(source);
        assert!(error.contains(&format!("line {line}")) && error.contains(words), "{source}\n{error}");
    }
}

#[test]
fn what_is_said_of_git_changes_the_id() {
    assert_ne!(policy("  push: []\n").id(), policy("  memory: 32MiB\n").id());
}
