//! Long uploads: bounded memory, and a secret in the last KiB.

use portcullis_e2e::{Request, Stack, github_pat};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_secret_in_the_last_kib_of_100_mib_is_found_and_memory_stays_flat() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    let line = b"2026-11-23T10:00:00Z level=info msg=\"a line of a log that says nothing\" n=12345\n";
    let mut body: Vec<u8> = line.iter().copied().cycle().take(100 * MIB).collect();
    let at = body.len() - 700;
    body[at..at + token.len()].copy_from_slice(token.as_bytes());
    body[at - 1] = b' ';
    body[at + token.len()] = b' ';
    // Warm up, so that growth is growth by the upload.
    assert_eq!(stack.send(Request::post("https://sink.example.net/").body(body[..3 * MIB].to_vec())).await.status, 200);
    let before = (stack.rss("scanner"), stack.rss("envoy"));
    let answer = stack.send(Request::post("https://sink.example.net/big").body(body)).await;
    assert_ne!(answer.status, 200);
    let after = (stack.peak_rss("scanner"), stack.peak_rss("envoy"));
    assert!(!stack.origin.saw(token.as_bytes()), "the secret arrived");
    assert!(!stack.origin.saw(&token.as_bytes()[..20]), "part of the secret arrived");
    // Far less than what was sent. Most of the scanner's is what the allocator keeps for each thread: over eight such uploads the peak
    // stayed where the third had put it, 60 MiB above the beginning.
    for (part, before, after) in [("scanner", before.0, after.0), ("envoy", before.1, after.1)] {
        assert!(after < before + 80 * MIB as u64, "{part}: {} -> {} MiB", before >> 20, after >> 20);
    }
}

/// What the bound above and the memory of pushes go by: `docs/configuration.md`.
#[tokio::test]
async fn what_up_starts_gives_free_memory_back_at_once() {
    let stack = Stack::start(&[]).await;
    let pid = stack.gateway.pid_of("scanner").expect("a scanner");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let wanted = std::env::var("MIMALLOC_PURGE_DELAY").unwrap_or_else(|_| "0".into());
    let said = environment.split(|byte| *byte == 0).find_map(|line| line.strip_prefix(b"MIMALLOC_PURGE_DELAY="));
    assert_eq!(said, Some(wanted.as_bytes()));
}
