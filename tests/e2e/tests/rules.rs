//! Rules of a policy through a real Envoy: denials with their codes, budgets, sizes, and rules that only watch.

use portcullis_e2e::{Request, Stack, github_pat};

const POLICY: &str = "version: 1
extends: [default, github]
rules:
  - {name: few, hosts: [sink.example.net], paths: [/few/**], budget: {window: 1h, requests: 2}}
  - {name: small, hosts: [sink.example.net], max_body: 64KiB}
  - {name: no-put, hosts: [sink.example.net], methods: [PUT], action: deny, mode: monitor}
  - {name: tickets, hosts: [sink.example.net], paths: [/tickets], when: \"!('x-ticket' in headers)\", action: deny}
  - {name: fixed, hosts: [api.anthropic.com], redaction: fixed-length}
";

async fn stack() -> (Stack, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, POLICY).expect("written");
    (Stack::start(&["--policy", file.to_str().expect("text")]).await, folder)
}

fn reason(body: &[u8]) -> String {
    let problem: serde_json::Value = serde_json::from_slice(body).expect("a problem");
    format!("{} {}", problem["reason"].as_str().unwrap_or_default(), problem["rule"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn what_rules_deny_does_not_leave_however_the_path_is_written() {
    let (stack, _folder) = stack().await;
    for path in [
        "/repos/o/r/pulls/1/merge",
        "/repos/o/r/pulls/1/%6derge",
        "/repos/o/r/pulls/1/x/../merge",
        "/repos/o/r/pulls/1/merge;a=b",
        "/repos//o/r/pulls/1/merge",
    ] {
        let answer = stack.send(Request::new("PUT", &format!("https://api.github.com{path}"))).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        assert_eq!(reason(&answer.body), "rule_denied github/merge", "{path}");
    }
    let without = stack.send(Request::get("https://sink.example.net/tickets")).await;
    assert_eq!((without.status, reason(&without.body)), (403, "rule_denied tickets".to_owned()));
    assert_eq!(stack.origin.requests().len(), 0);
    let with = stack.send(Request::get("https://sink.example.net/tickets").header("x-ticket", "7")).await;
    let watched = stack.send(Request::new("PUT", "https://sink.example.net/x")).await;
    assert_eq!((with.status, watched.status, stack.origin.requests().len()), (200, 200, 2));
}

#[tokio::test]
async fn what_is_used_up_is_told_with_a_time_to_come_again() {
    let (stack, _folder) = stack().await;
    let get = || Request::get("https://sink.example.net/few/1");
    for _ in 0..2 {
        assert_eq!(stack.send(get()).await.status, 200);
    }
    let over = stack.send(get()).await;
    assert_eq!((over.status, reason(&over.body)), (429, "rate_limited few".to_owned()));
    let wait: u64 = over.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((3000..=3900).contains(&wait), "{wait}");
    assert_eq!(stack.origin.requests().len(), 2);

    let large = stack.send(Request::post("https://sink.example.net/up").body(vec![b'a'; 65 << 10])).await;
    assert_eq!((large.status, reason(&large.body)), (413, "body_too_large small".to_owned()));
    assert_eq!(stack.origin.requests().len(), 2);
}

#[tokio::test]
async fn a_redaction_of_fixed_length_keeps_the_length() {
    let (stack, _folder) = stack().await;
    let body = format!(r#"{{"messages":[{{"role":"user","content":"use {} now"}}]}}"#, github_pat());
    let answer = stack
        .send(Request::post("https://api.anthropic.com/v1/messages").header("content-type", "application/json").body(body.clone()))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = stack.origin.last();
    assert_eq!(seen.body.len(), body.len());
    assert!(String::from_utf8_lossy(&seen.body).contains("[portcullis:"));
}
