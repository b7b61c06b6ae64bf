//! Bad input: a defined verdict, nothing at the origin, and a gateway that works as before.

use std::io::Write;

use portcullis_e2e::{Connection, Request, Stack, github_pat};

const HOST: &str = "sink.example.net";

async fn raw(stack: &Stack, text: &[u8]) -> u16 {
    let mut connection: Connection = stack.client.tls(&format!("{HOST}:443"), HOST).await.expect("a tunnel");
    connection.send(text).await.expect("sent");
    // A connection that is closed without an answer is a refusal as well.
    connection.response("POST").await.map_or(0, |response| response.status)
}

#[tokio::test]
async fn malformed_requests_are_refused_and_the_gateway_goes_on() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    let huge = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx-big: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n{}\r\n", "x-a: b\r\n".repeat(250));
    let cases: Vec<(&str, String)> = vec![
        ("no request", "hello, is anybody there?\r\n\r\n".into()),
        ("two lengths", format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\nk={token}")),
        (
            "length and chunks",
            format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nk={token}"),
        ),
        ("a coding that is none", format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: xchunked\r\n\r\nk={token}")),
        ("a chunk that is none", format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nk={token}\r\n")),
        ("a blank before the colon", format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n")),
        ("no host", "GET / HTTP/1.1\r\n\r\n".into()),
        ("two hosts", format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nhost: api.github.com\r\n\r\n")),
        ("another host in the target", format!("GET https://api.github.com/ HTTP/1.1\r\nhost: {HOST}\r\n\r\n")),
        ("an unknown method", format!("FOO\u{1} / HTTP/1.1\r\nhost: {HOST}\r\n\r\n")),
        ("a huge header", huge),
        ("many headers", many),
    ];
    for (name, text) in cases {
        let status = raw(&stack, text.as_bytes()).await;
        assert!(status == 0 || (400..=599).contains(&status), "{name}: {status}");
    }
    assert_eq!(stack.origin.requests().len(), 0);
    assert!(!stack.origin.saw(token.as_bytes()));
    assert_eq!(stack.send(Request::get("https://sink.example.net/")).await.status, 200);
}

#[tokio::test]
async fn bodies_that_are_broken_but_hide_nothing_pass_as_they_are() {
    let stack = Stack::start(&[]).await;
    for (name, kind, body) in [
        ("broken JSON", "application/json", &b"{\"a\": [1, 2, {\"b\": \"unfinished"[..]),
        ("invalid UTF-8", "text/plain; charset=utf-8", b"caf\xe9 \xff\xfe\x80 end"),
        ("a multipart without parts", "multipart/form-data; boundary=x", b"this is no multipart"),
        ("a type that is none", "///", b"\x00\x01\x02binary\x7f"),
        ("an image that is text", "image/png", b"just text"),
    ] {
        let answer = stack.send(Request::post("https://sink.example.net/").header("content-type", kind).body(body)).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(stack.origin.last().body, body, "{name}");
    }
}

#[tokio::test]
async fn bombs_and_broken_compression_are_denied_in_bounded_memory() {
    let stack = Stack::start(&[]).await;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..300 {
        bomb.write_all(&zeros).expect("in memory");
    }
    let bomb = bomb.finish().expect("in memory");
    let before = stack.rss("scanner");
    for (name, coding, body) in [
        ("a gzip bomb", Some("gzip"), bomb.clone()),
        ("a gzip bomb that is not declared", None, bomb.clone()),
        ("half a gzip", Some("gzip"), bomb[..bomb.len() / 2].to_vec()),
        ("no gzip", Some("gzip"), b"plain".to_vec()),
        ("no brotli", Some("br"), vec![0xff; 64]),
        ("no zstd", Some("zstd"), vec![0x28, 0xb5, 0x2f, 0xfd, 9, 9, 9, 9]),
        ("no deflate", Some("deflate"), vec![7; 20]),
        ("a coding nobody knows", Some("gzip, rot13"), b"abc".to_vec()),
    ] {
        let mut request = Request::post("https://sink.example.net/").body(body);
        if let Some(coding) = coding {
            request = request.header("content-encoding", coding);
        }
        let answer = stack.send(request).await;
        assert_eq!(answer.status, 403, "{name}: {}", answer.text());
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem");
        assert_eq!(problem["reason"], "partial_coverage", "{name}");
    }
    let grown = stack.peak_rss("scanner").saturating_sub(before);
    assert!(grown < 256 << 20, "the scanner grew by {grown} bytes");
    assert_eq!(stack.origin.requests().len(), 0);
}

#[tokio::test]
async fn trailers_are_scanned() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    for (value, status) in [("harmless".to_owned(), 200), (token.clone(), 403)] {
        let mut h2 = stack.client.h2(&format!("{HOST}:443"), HOST).await.expect("a connection");
        let stream = h2.open(&Request::post("https://sink.example.net/")).await.expect("a stream");
        stream.send("the body is clean").await.expect("sent");
        let trailers =
            http::HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), http::HeaderValue::try_from(value).expect("a value"))]);
        assert_eq!(stream.finish(Some(trailers)).await.expect("a response").status, status);
    }
    assert!(!stack.origin.saw(token.as_bytes()));
    assert_eq!(stack.origin.requests().iter().filter(|r| r.body == b"the body is clean").count(), 1);
}
