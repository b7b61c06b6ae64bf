use bytes::Bytes;

use super::*;
use crate::Header;

fn head(method: &str, authority: &str, path: &str, headers: &[(&str, &str)]) -> Head {
    Head {
        request_id: "r".into(),
        sandbox: "s".into(),
        identity: crate::Identity::Given,
        at: 0,
        method: method.into(),
        tls: true,
        authority: authority.into(),
        path: Bytes::from(path.to_owned()),
        headers: headers.iter().map(|(n, v)| Header { name: (*n).into(), value: Bytes::from((*v).to_owned()) }).collect(),
        end: true,
    }
}

fn reason(head: &Head) -> Option<Reason> {
    normal(head).err()
}

#[test]
fn one_reading_is_kept_and_two_are_refused() {
    let get = |headers: &[(&str, &str)]| reason(&head("GET", "a.example", "/x?y", headers));
    assert_eq!(get(&[]), None);
    assert_eq!(get(&[("host", "A.Example")]), None);
    for twice in [
        &[("host", "b.example")][..],
        &[("content-length", "5"), ("content-length", "6")],
        &[("content-length", "5"), ("transfer-encoding", "chunked")],
        &[("content-length", "+5")],
        &[("content-length", "")],
        &[("transfer-encoding", "gzip, chunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        &[("content-type", "text/plain"), ("content-type", "application/json")],
        &[("content-type", "text/plain, application/json")],
        &[("content-encoding", "gzip"), ("content-encoding", "br")],
    ] {
        assert_eq!(get(twice), Some(Reason::Ambiguous), "{twice:?}");
    }
    for authority in ["", "a b", "user@a.example", "a..example", "a.example:99999"] {
        assert_eq!(reason(&head("GET", authority, "/", &[])), Some(Reason::Ambiguous), "{authority}");
    }
    for path in ["", "x", "http://b.example/", "/a#b", "/a%00b", "/%c0%ae%c0%ae/b", "/%E0%80%AF"] {
        assert_eq!(reason(&head("GET", "a.example", path, &[])), Some(Reason::Ambiguous), "{path}");
    }
    for path in ["/a%20b%C3%A9", "/%C0", "/x?y=%00", "/%e0%a4%b9"] {
        assert_eq!(reason(&head("GET", "a.example", path, &[])), None, "{path}");
    }
    assert_eq!(get(&[("content-type", "text/plain; a=\"b, c\"")]), None);
    assert_eq!(reason(&head("OPTIONS", "a.example", "*", &[])), None);
    assert_eq!(reason(&head("G T", "a.example", "/", &[])), Some(Reason::MethodNotAllowed));
    assert_eq!(reason(&head(&"A".repeat(25), "a.example", "/", &[])), Some(Reason::MethodNotAllowed));
}

#[test]
fn claims_of_the_body_are_read_in_the_order_they_were_applied() {
    let normal = normal(&head("POST", "a.example", "/", &[("content-encoding", "X-Gzip, identity, BR"), ("content-type", "text/plain")]))
        .ok()
        .unwrap();
    assert_eq!(normal.media.content_encoding, ["gzip", "br"]);
    assert_eq!(normal.media.content_type.as_deref(), Some("text/plain"));
}

#[test]
fn signatures_are_seen_wherever_they_stand() {
    let signed = |path: &str, headers: &[(&str, &str)]| {
        let normal = normal(&head("PUT", "a.example", path, headers)).ok().unwrap();
        (normal.subject.body_signed, normal.head_signed)
    };
    assert_eq!(signed("/", &[]), (false, false));
    assert_eq!(signed("/", &[("authorization", "Bearer x")]), (false, false));
    assert_eq!(signed("/", &[("authorization", "AWS4-HMAC-SHA256 Credential=x")]), (true, true));
    assert_eq!(signed("/", &[("content-md5", "x")]), (true, false));
    assert_eq!(signed("/", &[("digest", "sha-256=x")]), (true, false));
    assert_eq!(signed("/", &[("signature-input", "sig1=()")]), (true, true));
    assert_eq!(signed("/?X-Amz-Signature=00", &[]), (true, true));
}
