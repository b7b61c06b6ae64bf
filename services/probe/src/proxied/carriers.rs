//! How a secret travels: places of a request, and wrappings.

use std::io::Write;
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::gateway::Gateway;
use super::request::Request;
use super::secrets;
use super::url::SinkUrl;
use crate::check::Check;
use crate::run::Attempt;

/// Every secret in every place.
pub(super) fn attempts(gateway: &Arc<Gateway>, sink: &SinkUrl) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut add = |target: String, sink: SinkUrl, request: Request| {
        let gateway = Arc::clone(gateway);
        attempts.push(Attempt::new(Check::Secret, target, async move { gateway.send(&sink, &request).await.secret() }));
    };
    for secret in secrets::all() {
        for (place, request) in carriers(&secret.text) {
            add(format!("{} in {place}", secret.kind), sink.clone(), request);
        }
    }
    for (kind, labels) in labels() {
        add(format!("{kind} in the host's name"), sink.below(&labels), Request::get("/"));
    }
    attempts
}

/// Secrets as a host's name carries them, whose resolver's owner then has them: letters, digits and hyphens, up to 63 a label.
fn labels() -> [(&'static str, String); 2] {
    let hex = HEXLOWER.encode(secrets::github().as_bytes());
    let (first, second) = hex.split_at(hex.len() / 2);
    [("Slack token", secrets::slack().to_lowercase()), ("GitHub token as hex", format!("{first}.{second}"))]
}

fn carriers(secret: &str) -> Vec<(&'static str, Request)> {
    // One line, where only one may stand.
    let line = secret.trim().replace('\n', " ");
    let escaped = escape(secret);
    let json = serde_json::json!({"model": "x", "note": {"content": format!("see this: {secret}")}}).to_string().into_bytes();
    let base64 = BASE64.encode(secret.as_bytes());
    let multipart =
        format!("--probe\r\nContent-Disposition: form-data; name=\"f\"; filename=\"notes.txt\"\r\n\r\n{secret}\r\n--probe--\r\n");
    vec![
        ("the path", Request::get(format!("/files/{escaped}/raw"))),
        ("the query", Request::get(format!("/?q=1&note={escaped}"))),
        ("base64 in the query", Request::get(format!("/?data={}", escape(&base64)))),
        ("a header", Request::get("/").header("X-Note", line.clone())),
        ("a cookie", Request::get("/").header("Cookie", format!("a=b; note={}", escape(&line)))),
        ("a text body", Request::post("text/plain", format!("please keep this:\n{secret}\n").into_bytes())),
        ("a form", Request::post("application/x-www-form-urlencoded", format!("a=1&note={escaped}").into_bytes())),
        ("JSON", Request::post("application/json", json.clone())),
        ("base64 in JSON", Request::post("application/json", format!(r#"{{"data":"{base64}"}}"#).into_bytes())),
        ("gzip of JSON", Request::post("application/json", gzip(&json)).header("Content-Encoding", "gzip")),
        ("gzip that is not declared", Request::post("application/octet-stream", gzip(&json))),
        ("hex in a text body", Request::post("text/plain", HEXLOWER.encode(secret.as_bytes()).into_bytes())),
        ("a file of a multipart body", Request::post("multipart/form-data; boundary=probe", multipart.into_bytes())),
    ]
}

/// Percent-encoding of all but unreserved characters (RFC 3986 section 2.3).
fn escape(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Memory takes all.
    drop(encoder.write_all(bytes));
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_a_host() {
        for (kind, labels) in labels() {
            let fits = |label: &str| {
                (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            assert!(labels.split('.').all(fits), "{kind}");
        }
    }

    #[test]
    fn every_place_carries_the_secret_and_no_request_is_broken() {
        let secret = "first line\nsecond=line";
        for (place, request) in carriers(secret) {
            let wire = String::from_utf8_lossy(&request.origin_form("sink.test")).into_owned();
            let (head, body) = wire.split_once("\r\n\r\n").unwrap();
            assert!(!head.replace("\r\n", "").contains('\n'), "{place}");
            let forms = [
                secret.to_owned(),
                "first line second=line".into(),
                escape(secret),
                escape("first line second=line"),
                BASE64.encode(secret.as_bytes()),
                HEXLOWER.encode(secret.as_bytes()),
                secret.replace('\n', "\\n"),
                escape(&BASE64.encode(secret.as_bytes())),
            ];
            assert!(place.contains("gzip") || forms.iter().any(|form| head.contains(form) || body.contains(form)), "{place}: {wire}");
        }
        assert_eq!(escape("a b/Ä"), "a%20b%2F%C3%84");
    }
}
