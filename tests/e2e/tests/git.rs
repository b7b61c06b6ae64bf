//! Pushes with git's own client to git's own server: what passes, and that what is refused is refused with its reason on the terminal and leaves
//! nothing behind.

use std::path::PathBuf;

use portcullis_e2e::git::{GitServer, everything_in};
use portcullis_e2e::{Request, Stack, github_pat};

const POLICY: &str =
    concat!("version: 1\n", "git:\n", "  push:\n", "    - {repositories: [sink.example.net/acme/shop], branches: [main, 'agent/*']}\n",);

/// A gateway, a server, and a clone to work in.
struct World {
    stack: Stack,
    server: GitServer,
    bare: PathBuf,
    folder: tempfile::TempDir,
}

impl World {
    /// With one commit on `main`: a long file.
    async fn new(policy: &str) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.yaml");
        std::fs::write(&file, policy).expect("written");
        let stack = Stack::start(&["--policy", file.to_str().expect("text")]).await;
        let server = GitServer::new().expect("a server");
        let bare = server.repository("acme/shop.git").expect("a repository");
        stack.origin.answer(server.script());
        let world = World { stack, server, bare, folder };
        let begin = "git clone -q https://sink.example.net/acme/shop.git work; cd work; seq 1 2000 > long; git add long; git commit -qm one; git push -q \"$1\" HEAD:main; git fetch -q";
        let (ok, said) = world.sh(begin, &[world.bare.to_str().expect("text")]).await;
        assert!(ok, "{said}\n{}", world.stack.gateway.logs());
        world
    }

    /// Runs a script beside the clone; whether it went well, and what it said.
    async fn sh(&self, script: &str, args: &[&str]) -> (bool, String) {
        let home = self.folder.path().to_str().expect("text");
        let prelude = "cd \"$HOME\"; export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b.example GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b.example;";
        let mut command =
            vec!["env".to_owned(), format!("HOME={home}"), "sh".into(), "-ec".into(), format!("{prelude} {script}"), "sh".into()];
        command.extend(args.iter().map(|arg| (*arg).to_owned()));
        let output = self.stack.run(&command).await;
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// A push that must be refused for this reason, and change nothing.
    async fn refused(&self, what: &str, script: &str, args: &[&str], reason: &str) -> String {
        let before = everything_in(&self.bare).expect("readable");
        let (ok, said) = self.sh(&format!("cd work; {script}"), args).await;
        assert!(!ok, "{what} passed: {said}");
        assert!(said.contains("remote: Portcullis: ") && said.contains(reason), "{what}: {said}");
        assert!(everything_in(&self.bare).expect("readable") == before, "{what}: the repository changed");
        said
    }
}

#[tokio::test]
async fn the_assigned_branch_is_pushed_and_nothing_else() {
    let world = World::new(POLICY).await;
    let (ok, said) = world.sh("cd work; git checkout -qb agent/1; echo 2 > two; git add two; git commit -qm two; git push -o ci.skip origin agent/1; echo 3 > two; git commit -qam three; git push origin agent/1", &[]).await;
    assert!(ok, "{said}");
    let (ok, said) = world.sh("git clone -q -b agent/1 https://sink.example.net/acme/shop.git again; cat again/two; cd again; git -c protocol.version=0 fetch; git -c protocol.version=1 fetch origin main", &[]).await;
    assert!(ok && said.starts_with('3'), "{said}");

    world.refused("another branch", "git push origin HEAD:other", &[], "git_ref_not_allowed").await;
    world.refused("one branch of two", "git push origin HEAD:agent/2 HEAD:other", &[], "git_ref_not_allowed").await;
    world.refused("another ref", "git push origin HEAD:refs/notes/commits", &[], "git_ref_not_allowed").await;
    world.refused("a tag", "git tag v1; git push origin v1", &[], "git_tag").await;
    world.refused("an annotated tag", "git tag -a -m words v2; git push origin v2", &[], "git_tag").await;
    world.refused("a deletion", "git push origin :agent/1", &[], "git_deletion").await;
    let said = world.refused("a forced push", "git commit -q --amend -m other; git push -f origin agent/1", &[], "git_force_push").await;
    assert!(said.contains("[remote rejected]") && said.contains("merge it"), "{said}");
    world.refused("a branch reset to what is there", "git push -f origin HEAD~2:agent/1", &[], "git_force_push").await;
    let merged = "git fetch -q; git merge -q -s ours -m merged origin/agent/1; git push origin agent/1";
    let (ok, said) = world.sh(&format!("cd work; {merged}"), &[]).await;
    assert!(ok, "{said}");
    assert_eq!(world.stack.origin.requests().iter().filter(|r| r.method == "POST" && r.path.ends_with("git-receive-pack")).count(), 3);
}

#[tokio::test]
async fn a_repository_that_is_not_named_is_refused_before_anything_is_sent() {
    let world = World::new(POLICY).await;
    world.server.repository("other/repo.git").expect("a repository");
    let (ok, said) = world.sh("cd work; git push https://sink.example.net/other/repo.git HEAD:main", &[]).await;
    assert!(!ok && said.contains("remote error: Portcullis: ") && said.contains("git_repository_not_allowed"), "{said}");
    let (ok, said) = world.sh("git clone -q https://sink.example.net/other/repo.git other", &[]).await;
    assert!(ok, "reading is not pushing: {said}");
}

#[tokio::test]
async fn a_secret_anywhere_in_a_push_is_refused_and_never_stored() {
    let world = World::new(POLICY).await;
    let secret = github_pat();
    let (half, rest) = secret.split_at(20);
    let cases: [(&str, &str, &str, &[&str]); 9] = [
        ("commit message", "a commit", "git commit -q --allow-empty -m \"use $1 for it\"", &[&secret]),
        ("author", "a commit", "git commit -q --allow-empty --author \"$1 <a@b.example>\" -m x", &[&secret]),
        ("file", "a file", "echo \"key = $1\" > f; git add f; git commit -qm x", &[&secret]),
        (
            "file in a folder, in base64",
            "a file",
            "mkdir d; printf 'password: %s' \"$1\" | base64 > d/f; git add d; git commit -qm x",
            &[&secret],
        ),
        ("file name", "the name of a file", "echo x > \"$1.txt\"; git add .; git commit -qm x", &[&secret]),
        ("folder name", "the name of a file", "mkdir \"$1\"; echo x > \"$1/x\"; git add .; git commit -qm x", &[&secret]),
        // The server has the long file: without the gateway a thin pack would hold a delta against it, with parts of the secret that are old.
        (
            "a change of what the server has",
            "a file",
            "(seq 1 1000; echo \"key = $1\"; seq 1002 1990) > long; git commit -qam x",
            &[&secret],
        ),
        // A longer file first, so that the second is a delta against it; each alone holds half of the secret.
        (
            "delta against what is in the pack",
            "a file",
            "(seq 1 3000 | sed s/^/x/; echo \"key = $1\"; seq 1 500 | sed s/^/y/) > new; git add new; git commit -qm x; (seq 1 3000 | sed s/^/x/; echo \"key = $1$2\"; seq 1 400 | sed s/^/y/) > new; git commit -qam y",
            &[half, rest],
        ),
        (
            "later commit removed it",
            "a file",
            "echo \"key = $1\" > f; git add f; git commit -qm x; git rm -q f; git commit -qm y",
            &[&secret],
        ),
    ];
    for (what, place, commits, args) in cases {
        let script = format!("git checkout -q -B agent/x origin/main; git clean -qfd; {commits}; git push origin agent/x");
        let said = world.refused(what, &script, args, "credential_misdirected").await;
        assert!(said.contains(&format!("github-pat-classic in {place}")), "{what}: {said}");
        assert!(!said.contains(&secret), "{what}: the answer holds the secret");
    }
    let said = world.refused("branch name", "git push origin origin/main:refs/heads/agent/$1", &[&secret], "credential_misdirected").await;
    // Git itself names the branch that it asked for; the gateway does not.
    assert!(said.lines().filter(|line| line.starts_with("remote:")).all(|line| !line.contains(&secret)), "{said}");
    world
        .refused("push option", "git push -o \"note=$1\" origin origin/main:refs/heads/agent/y", &[&secret], "credential_misdirected")
        .await;
    let stored = everything_in(&world.bare).expect("readable");
    assert!(!stored.windows(20).any(|w| w == half.as_bytes()), "the secret is stored");
    assert!(!world.stack.origin.saw(secret.as_bytes()));
    world.stack.assert_no_log_holds(&secret);
}

#[tokio::test]
async fn packs_come_whole_and_thin_ones_are_refused() {
    let world = World::new(POLICY).await;
    let change = "cd work; git checkout -q -B agent/x origin/main; (seq 1 1000; echo new; seq 1002 2000) > long; git commit -qam x;";
    let (ok, said) = world.sh(&format!("{change} git push origin agent/x; git push origin agent/x:agent/again"), &[]).await;
    assert!(ok, "{said}");
    let asked = world.stack.origin.requests().into_iter().find(|r| r.path.ends_with("/info/refs?service=git-receive-pack"));
    let accepted = asked.and_then(|asked| asked.header("accept-encoding"));
    assert_eq!(accepted.as_deref(), Some("identity"), "the answer must not come compressed");

    // A client that does not care what it is told.
    let thin = r#"
        old=0000000000000000000000000000000000000000; new=$(git rev-parse HEAD)
        line="$old $new refs/heads/agent/thin"; words=" report-status side-band-64k"
        { printf '%04x%s' $((4 + ${#line} + 1 + ${#words})) "$line"; printf '\0%s0000' "$words"
          printf '%s
' $new ^origin/main | git pack-objects -q --thin --revs --stdout; } > ../thin
        curl -sS --data-binary @../thin -H 'Content-Type: application/x-git-receive-pack-request' https://sink.example.net/acme/shop.git/git-receive-pack"#;
    let before = everything_in(&world.bare).expect("readable");
    let (_, said) = world.sh(&format!("{change} {thin}"), &[]).await;
    assert!(said.contains("partial_coverage") && said.contains("--no-thin"), "{said}");
    assert!(everything_in(&world.bare).expect("readable") == before, "the repository changed");
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the figure of docs/git.md, with PORTCULLIS_PUSH_MIB set")]
async fn a_long_push_streams_through_in_bounded_memory_and_its_end_waits_for_the_verdict() {
    const MIB: u64 = 1 << 20;
    let mib: u64 = std::env::var("PORTCULLIS_PUSH_MIB").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let world = World::new(POLICY).await;
    // A file too long to be held, and many that are not.
    let make = "cd work; git checkout -q -B agent/long origin/main; head -c $(( $1 * 1048576 / 2 )) /dev/urandom > one; mkdir many; \
        for i in $(seq 1 $(( $1 / 2 ))); do head -c 1048576 /dev/urandom > many/$i; done; git add .; git commit -qm long";
    let (ok, said) = world.sh(make, &[&mib.to_string()]).await;
    assert!(ok, "{said}");
    let before = world.stack.peak_rss("scanner");
    let begun = std::time::Instant::now();
    let (ok, said) = world.sh("cd work; git push origin agent/long", &[]).await;
    assert!(ok, "{said}");
    let (took, after) = (begun.elapsed(), world.stack.peak_rss("scanner"));
    eprintln!(
        "{mib} MiB in {took:.1?}: scanner {} -> {} MiB, envoy {} MiB",
        before / MIB,
        after / MIB,
        world.stack.peak_rss("envoy") / MIB
    );
    assert!(after < before + 150 * MIB, "scanner: {} -> {} MiB", before / MIB, after / MIB);

    // The secret comes last: much of the pack was released before it was found, and still nothing is stored.
    let secret = github_pat();
    let script = "git checkout -q -B agent/leak origin/main; mkdir many; for i in $(seq 1 6); do head -c 1048576 /dev/urandom > many/$i; done; \
        echo \"key = $1\" > many/zzz; git add .; git commit -qm leak; git push origin agent/leak";
    let said = world.refused("a secret behind much else", script, &[&secret], "credential_misdirected").await;
    assert!(said.contains("in a file"), "{said}");
    let forced = "git checkout -q -B agent/long origin/main; mkdir -p many; for i in $(seq 1 6); do head -c 1048576 /dev/urandom > many/$i; done; \
        git add .; git commit -qm other; git -c http.version=HTTP/1.1 push -f origin agent/long";
    world.refused("a long forced push", forced, &[], "git_force_push").await;
    let (ok, said) = world.sh("cd work; git -C \"$1\" fsck --full", &[world.bare.to_str().expect("text")]).await;
    assert!(ok, "{said}");
}

#[tokio::test]
async fn objects_of_large_file_storage_are_looked_into() {
    let stack = Stack::start(&[]).await;
    let secret = github_pat();
    let batch = format!(r#"{{"operation":"upload","transfers":["basic"],"objects":[{{"oid":"{}","size":40}}]}}"#, "1".repeat(64));
    let ask = Request::post("https://sink.example.net/acme/shop.git/info/lfs/objects/batch");
    let ask = ask.header("accept", "application/vnd.git-lfs+json").header("content-type", "application/vnd.git-lfs+json");
    assert_eq!(stack.send(ask.body(batch)).await.status, 200);
    let put = |body: String| {
        Request::new("PUT", "https://sink.example.net/lfs/1111").header("content-type", "application/octet-stream").body(body)
    };
    assert_eq!(stack.send(put("nothing in it".into())).await.status, 200);
    assert_eq!(stack.send(put(format!("\0\u{1}key={secret}\n"))).await.status, 403);
    assert!(!stack.origin.saw(secret.as_bytes()));
}

#[tokio::test]
async fn where_pushes_must_be_signed_their_certificates_are_read() {
    let policy = "version: 1\ngit: {push: [{repositories: [sink.example.net/acme/shop], branches: [x], signed: required}]}\n";
    let world = World::new(policy).await;
    let bare = world.bare.to_str().expect("text");
    let (ok, said) = world.sh("git -C \"$1\" config receive.certNonceSeed seed; ssh-keygen -q -t ed25519 -N '' -f key", &[bare]).await;
    assert!(ok, "{said}");
    world.refused("an unsigned push", "git checkout -qb x; git commit -q --allow-empty -m x; git push origin x", &[], "git_unsigned").await;
    let signed = "git config gpg.format ssh; git config user.signingkey \"$HOME/key.pub\"; git commit -q -S --allow-empty -m y; git push --signed origin x";
    let (ok, said) = world.sh(&format!("cd work; {signed}"), &[]).await;
    assert!(ok, "{said}");
    world.refused("a signed push to another branch", "git push --signed origin x:y", &[], "git_ref_not_allowed").await;
    let secret = github_pat();
    let said = world
        .refused(
            "a secret in a certificate",
            "git commit -q --allow-empty -m z; git push --signed -o \"$1\" origin x",
            &[&secret],
            "credential_misdirected",
        )
        .await;
    assert!(said.contains("in a push certificate"), "{said}");
}
