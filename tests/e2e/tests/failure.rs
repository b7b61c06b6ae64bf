//! When parts die, hang or misbehave: fail-closed leaks nothing, fail-open passes, marked and counted.

use portcullis_e2e::{FakeScanner, Request, Stack, github_pat};

fn get() -> Request {
    Request::get("https://sink.example.net/")
}

fn post() -> Request {
    Request::post("https://sink.example.net/").header("content-type", "text/plain").body("nothing to see here")
}

#[tokio::test]
async fn fail_closed_passes_nothing_while_the_scanner_is_down_or_hangs() {
    let stack = Stack::start(&[]).await;
    assert_eq!(stack.send(get()).await.status, 200);
    let passed = stack.origin.requests().len();
    stack.freeze("scanner");
    for request in [get(), post()] {
        let answer = stack.send(request).await;
        assert!((500..=599).contains(&answer.status), "hung: {}", answer.status);
    }
    stack.thaw("scanner");
    stack.without_supervision().kill("scanner");
    for request in [get(), post()] {
        let answer = stack.send(request).await;
        assert!((500..=599).contains(&answer.status), "down: {}", answer.status);
    }
    assert_eq!(stack.origin.requests().len(), passed);
}

#[tokio::test]
async fn fail_open_passes_marked_and_counted_while_the_scanner_is_down() {
    let stack = Stack::start(&["--fail-open"]).await;
    let scanned = stack.send(get()).await;
    assert_eq!((scanned.status, scanned.header("x-portcullis-failed-open").as_deref().unwrap_or("0")), (200, "0"));
    // Fail-open is about a scanner that is down, not about one that says no.
    assert_eq!(stack.send(Request::get(&format!("https://sink.example.net/{}", github_pat()))).await.status, 403);
    stack.without_supervision().kill("scanner");
    for request in [get(), post()] {
        let answer = stack.send(request).await;
        assert_eq!((answer.status, answer.header("x-portcullis-failed-open").as_deref()), (200, Some("1")), "{}", answer.text());
    }
    assert!(stack.envoy_counter("failure_mode_allowed") >= 2);
    // What Envoy itself holds, it holds all the same.
    assert_ne!(stack.send(Request::get("http://127.0.0.2/")).await.status, 200);
}

#[tokio::test]
async fn a_stream_that_ends_cleanly_without_a_decision_opens_nothing() {
    let stack = Stack::start(&[]).await;
    stack.without_supervision().kill("scanner");
    for fake in [FakeScanner::CloseAtHeaders, FakeScanner::CloseInBody, FakeScanner::ErrorAtHeaders, FakeScanner::ErrorInBody] {
        let running = stack.fake_scanner(fake).await;
        // In the clear: a CONNECT is a head of its own, which such a scanner never lets get as far as a body.
        let answer =
            stack.send(Request::post("http://sink.example.net/").header("content-type", "text/plain").body("nothing to see here")).await;
        assert_ne!(answer.status, 200, "{fake:?}");
        drop(running);
    }
    assert!(!stack.origin.saw(b"nothing to see here"), "a body arrived that nobody decided on");
}

#[tokio::test]
async fn known_names_work_and_new_names_fail_soon_while_certificates_are_down() {
    let stack = Stack::start(&[]).await;
    assert_eq!(stack.send(get()).await.status, 200);
    stack.without_supervision().kill("certificates");
    assert_eq!(stack.send(get()).await.status, 200);
    let begun = std::time::Instant::now();
    assert!(stack.try_send(Request::get("https://api.github.com/")).await.is_err(), "a name nobody minted a leaf for");
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_killed_scanner_is_started_again() {
    let stack = Stack::start(&[]).await;
    stack.kill("scanner");
    stack.wait_until("the scanner is back", async || stack.try_send(get()).await.is_ok_and(|a| a.status == 200)).await;
}

#[tokio::test]
async fn a_scanner_that_dies_or_hangs_in_the_middle_of_a_body_lets_nothing_more_through() {
    for how in ["kill", "freeze"] {
        let stack = Stack::start(&[]).await;
        let token = github_pat();
        let mut h2 = stack.client.h2("sink.example.net:443", "sink.example.net").await.expect("a connection");
        let stream = h2.open(&Request::post("https://sink.example.net/")).await.expect("a stream");
        // Longer than the buffer limit: its beginning is released, the rest is held.
        stream.send("a line of text\n".repeat(120_000)).await.expect("sent");
        stack.origin.wait_until("the first bytes", |seen| seen.iter().any(|r| !r.body.is_empty())).await.expect("released");
        let supervised = stack.without_supervision();
        if how == "kill" {
            supervised.kill("scanner");
        } else {
            supervised.freeze("scanner");
        }
        // The stream may be gone already: then nothing can be sent, which is as good.
        let _sent = stream.send(format!("and the key is {token}")).await;
        let answer = tokio::time::timeout(std::time::Duration::from_secs(25), stream.finish(None)).await;
        assert!(!matches!(answer, Ok(Ok(response)) if response.status == 200), "{how}");
        assert!(!stack.origin.saw(token.as_bytes()), "{how}");
        if how == "freeze" {
            stack.thaw("scanner");
        }
    }
}

#[tokio::test]
async fn no_part_that_holds_requests_in_clear_may_write_a_core_file() {
    let stack = Stack::start(&[]).await;
    for role in ["scanner", "certificates", "envoy"] {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", stack.pid(role))).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_ascii_whitespace().nth(4), Some("0"), "{role}: {core}");
    }
}
