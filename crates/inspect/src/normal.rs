//! The one reading of a head. What can be read in two ways is refused: an upstream might take the other one.

use engine::Media;
use policy::{Destination, Reason, Subject};

use crate::Head;

/// No registered method is longer than 17 bytes (`UPDATEREDIRECTREF`, IANA registry of HTTP methods), and no secret fits.
const MAX_METHOD_BYTES: usize = 24;

/// A head in normal form.
pub(crate) struct Normal {
    pub(crate) subject: Subject,
    pub(crate) media: Media,
    pub(crate) content_length: Option<u64>,
    /// Whether path, query and headers are signed too (SigV4, HTTP signatures): they cannot be rewritten.
    pub(crate) head_signed: bool,
    /// For a gRPC request, its `grpc-encoding` (`None` inside: not given).
    pub(crate) grpc: Option<Option<String>>,
    /// The git service that it asks for.
    pub(crate) git: Option<git::Asked>,
}

/// Brings a head to normal form.
///
/// # Errors
/// The reason to deny it.
pub(crate) fn normal(head: &Head) -> Result<Normal, Reason> {
    if !is_method(&head.method) {
        return Err(Reason::MethodNotAllowed);
    }
    let destination = Destination::parse(&head.authority, head.tls).map_err(|_| Reason::Ambiguous)?;
    check_hosts(head)?;
    let path = path(head)?;
    let content_length = content_length(head)?;
    let media = media(head)?;
    let grpc = is_grpc(media.content_type.as_deref()).then(|| grpc_encoding(head)).transpose()?;
    let asked = git::Service::of(&head.method.to_ascii_uppercase(), &path, media.content_type.as_deref());
    let git = asked.map_err(|_| Reason::Ambiguous)?;
    let upgrade: Vec<String> = head.values("upgrade").map(|value| String::from_utf8_lossy(value).trim().to_ascii_lowercase()).collect();
    let (body_signed, head_signed) = signatures(head, &path);
    let subject = Subject {
        sandbox: head.sandbox.clone(),
        at: head.at,
        method: head.method.to_ascii_uppercase(),
        other_method: other_method(head, &path),
        content_type: essence(media.content_type.as_deref()),
        content_length: if head.end { Some(content_length.unwrap_or(0)) } else { content_length },
        has_body: !head.end,
        destination,
        path: path.split_once('?').map_or(path.as_str(), |(path, _)| path).to_owned(),
        upgrade: (!upgrade.is_empty()).then(|| upgrade.join(", ")),
        body_signed,
    };
    Ok(Normal { subject, media, content_length, head_signed, grpc, git })
}

/// Whether this is a method's form: a token (RFC 9110 §5.6.2) of reasonable length.
pub(crate) fn is_method(method: &str) -> bool {
    (1..=MAX_METHOD_BYTES).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A `Host` beside the authority must say the same, byte for byte but for case.
fn check_hosts(head: &Head) -> Result<(), Reason> {
    let same = head.values("host").all(|host| host.eq_ignore_ascii_case(head.authority.as_bytes()));
    if same { Ok(()) } else { Err(Reason::Ambiguous) }
}

/// The path with query, as text: origin form, `*` for `OPTIONS`, nothing for `CONNECT` (RFC 9112 §3.2).
fn path(head: &Head) -> Result<String, Reason> {
    let path = std::str::from_utf8(&head.path).map_err(|_| Reason::Ambiguous)?;
    // A fragment is never sent. Blanks and controls are for the wire to refuse: a recorded or submitted path may stand there unescaped.
    if path.contains('#') {
        return Err(Reason::Ambiguous);
    }
    // For some a path ends at a zero byte, for others it goes on; characters in more bytes than they need are others for some (RFC 3629 section 10).
    let before = path.split('?').next().unwrap_or_default();
    if before.match_indices('%').any(|(at, _)| zero_or_overlong(before.as_bytes(), at)) {
        return Err(Reason::Ambiguous);
    }
    let connect = head.method.eq_ignore_ascii_case("CONNECT");
    let form = path.starts_with('/') || (path == "*" && head.method.eq_ignore_ascii_case("OPTIONS")) || (path.is_empty() && connect);
    if form { Ok(path.to_owned()) } else { Err(Reason::Ambiguous) }
}

/// Whether the escape at `at` is a zero byte, or begins a character that takes more bytes than it needs.
fn zero_or_overlong(path: &[u8], at: usize) -> bool {
    let byte = |at: usize| {
        let digits = path.get(at..at + 3)?.strip_prefix(b"%")?;
        u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let overlong = |first, second: u8| matches!((first, second), (0xc0 | 0xc1, 0x80..=0xbf) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f));
    byte(at).is_some_and(|first| first == 0 || byte(at + 3).is_some_and(|second| overlong(first, second)))
}

/// One length or none, and never beside another framing (RFC 9112 §6.3).
fn content_length(head: &Head) -> Result<Option<u64>, Reason> {
    let mut length = None;
    for value in head.values("content-length") {
        let digits = std::str::from_utf8(value).ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        let this: u64 = digits.and_then(|text| text.parse().ok()).ok_or(Reason::Ambiguous)?;
        if length.is_some_and(|other| other != this) {
            return Err(Reason::Ambiguous);
        }
        length = Some(this);
    }
    let mut codings = head.values("transfer-encoding");
    match (codings.next(), codings.next()) {
        (None, _) => Ok(length),
        (Some(coding), None) if length.is_none() && coding.eq_ignore_ascii_case(b"chunked") => Ok(None),
        _ => Err(Reason::Ambiguous),
    }
}

/// What the body claims to be.
fn media(head: &Head) -> Result<Media, Reason> {
    let mut types = head.values("content-type");
    let first = types.next();
    // Proxies join what is said twice with a comma, which no type has (but a quoted parameter may).
    let twice = |value: &[u8]| value.contains(&b',') && !value.contains(&b'"');
    if types.any(|other| Some(other) != first) || first.is_some_and(twice) {
        return Err(Reason::Ambiguous);
    }
    let mut codings = head.values("content-encoding");
    let coding = codings.next().unwrap_or_default();
    // Said twice, it is one coding or two, depending on who reads.
    if codings.next().is_some() {
        return Err(Reason::Ambiguous);
    }
    let coding = String::from_utf8_lossy(coding).to_ascii_lowercase();
    let content_encoding = coding
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && *coding != "identity")
        // RFC 9110 §8.4.1: the x- forms are the same codings.
        .map(|coding| if coding == "x-gzip" { "gzip" } else { coding }.to_owned())
        .collect();
    Ok(Media { content_type: first.map(|value| String::from_utf8_lossy(value).into_owned()), content_encoding })
}

/// Type and subtype, lower case.
fn essence(content_type: Option<&str>) -> String {
    content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase()
}

/// The method that frameworks take instead of the request's own, where one is named: `X-HTTP-Method-Override` and its like, `_method` in the
/// query (Rails, Laravel, Symfony).
fn other_method(head: &Head, path: &str) -> Option<String> {
    let headers = ["x-http-method-override", "x-http-method", "x-method-override"].into_iter().flat_map(|name| head.values(name));
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let mut keys = query.split('&').filter_map(|pair| pair.strip_prefix("_method="));
    let named = headers.map(|value| String::from_utf8_lossy(value).trim().to_ascii_uppercase()).next();
    named.or_else(|| keys.next().map(str::to_ascii_uppercase)).filter(|other| is_method(other) && !other.eq_ignore_ascii_case(&head.method))
}

/// `application/grpc` and its `+proto`, `+json`, … forms, whose bodies are length-prefixed messages (gRPC over HTTP/2, PROTOCOL-HTTP2.md).
pub(crate) fn is_grpc(content_type: Option<&str>) -> bool {
    let essence = essence(content_type);
    essence == "application/grpc" || essence.starts_with("application/grpc+")
}

fn grpc_encoding(head: &Head) -> Result<Option<String>, Reason> {
    let mut values = head.values("grpc-encoding");
    let first = values.next();
    if values.any(|other| Some(other) != first) {
        return Err(Reason::Ambiguous);
    }
    Ok(first.map(|value| String::from_utf8_lossy(value).trim().to_ascii_lowercase()))
}

/// Whether the body, and whether the head, are signed or digested.
fn signatures(head: &Head, path: &str) -> (bool, bool) {
    // RFC 9530 (Content-Digest, Repr-Digest), RFC 3230 (Digest), RFC 1864 (Content-MD5).
    const DIGESTS: [&str; 6] = ["content-digest", "repr-digest", "digest", "content-md5", "x-amz-content-sha256", "x-goog-content-sha256"];
    let digested = head.headers.iter().any(|h| {
        let name = h.name.to_ascii_lowercase();
        DIGESTS.contains(&name.as_str()) || name.starts_with("x-amz-checksum-")
    });
    // SigV4 and SigV4a, HTTP signatures (RFC 9421 and the drafts before it), presigned URLs.
    let scheme = head.values("authorization").any(|value| {
        let word = value.split(|b| *b == b' ').next().unwrap_or_default();
        word.len() >= 4 && word.get(..4).is_some_and(|four| four.eq_ignore_ascii_case(b"AWS4")) || word.eq_ignore_ascii_case(b"Signature")
    });
    let presigned = ["X-Amz-Signature=", "X-Goog-Signature="].iter().any(|key| path.contains(key));
    let signed = scheme || presigned || head.values("signature-input").next().is_some() || head.values("signature").next().is_some();
    (digested || signed, signed)
}

#[cfg(test)]
mod tests;
