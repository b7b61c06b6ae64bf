//! The credentials that a head carries: taken out of the places where services look for them, whatever they look like.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use engine::Known;

use super::path::{decoded, has_key, values};
use super::service::Service;
use crate::place::CREDENTIAL_HEADERS;

/// What a pin asks of a head beside its subject.
#[derive(Clone, Copy)]
pub struct Carried<'a> {
    /// The query as sent, without the question mark.
    pub query: &'a str,
    /// All headers: names and values.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The registry of known secrets.
    pub known: Option<&'a Known>,
}

impl std::fmt::Debug for Carried<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carried").field("headers", &self.headers.len()).finish_non_exhaustive()
    }
}

/// A place of a service's own, in the form of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    Header(String),
    Query(String),
}

/// One value that says who asks.
pub(super) enum Value {
    /// A secret.
    Secret(Vec<u8>),
    /// A secret that is registered in one of these forms.
    AnyOf(Vec<Vec<u8>>),
    /// A name: the user of `Basic`, an access key's id.
    Account(String),
    /// What cannot be read as anything that the service takes.
    Unclear,
}

/// The queries in which services take credentials.
const QUERY_KEYS: [&str; 12] = [
    "token",
    "access_token",
    "private_token",
    "job_token",
    "feed_token",
    "rss_token",
    "key",
    "api_key",
    "apikey",
    "api-key",
    "oauth_token",
    "client_secret",
];
/// The ids in presigned URLs, and what must stand beside one, without which it is only a word that nobody reads (SigV4, SigV2, GCS signed URLs).
const SIGNED_QUERY_IDS: [(&str, &[&str]); 4] = [
    ("x-amz-credential", &["x-amz-algorithm", "x-amz-signature"]),
    ("x-goog-credential", &["x-goog-algorithm", "x-goog-signature"]),
    ("awsaccesskeyid", &["signature"]),
    ("googleaccessid", &["signature"]),
];
/// Cookies of the network before the service (Cloudflare's documentation of its cookies): they say nothing of who asks.
const NETWORK_COOKIES: [&str; 5] = ["__cf_bm", "_cfuvid", "__cflb", "__cfruid", "cf_clearance"];
/// A session's token travels with a signature that only its own key makes.
const SIGNED_HEADERS: [&str; 2] = ["x-amz-security-token", "x-amz-s3session-token"];

impl Carried<'_> {
    pub(super) fn header<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// A header as text: `Err` where it is said twice differently, or is no text.
    pub(super) fn one(&self, name: &str) -> Result<Option<String>, ()> {
        let mut all = self.header(name);
        let first = all.next();
        if all.any(|other| Some(other) != first) {
            return Err(());
        }
        first.map(|value| std::str::from_utf8(value).map(|text| text.trim().to_owned()).map_err(|_| ())).transpose()
    }

    /// Every value in a place of credentials.
    pub(super) fn credentials(&self, service: Option<Service>, spots: &[Spot], path: &str) -> Vec<Value> {
        let mut out = Vec::new();
        let signed = service.is_some_and(Service::signs);
        for (name, value) in self.headers {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "authorization" => authorization(value, &mut out),
                "cookie" => cookies(value, &mut out),
                name if signed && SIGNED_HEADERS.contains(&name) => {}
                name if CREDENTIAL_HEADERS.contains(&name) || spots.iter().any(|s| matches!(s, Spot::Header(n) if n == name)) => {
                    out.push(secret(value));
                }
                _ => {}
            }
        }
        let own = spots.iter().filter_map(|spot| if let Spot::Query(name) = spot { Some(name.as_str()) } else { None });
        for key in QUERY_KEYS.into_iter().chain(own) {
            out.extend(values(self.query, key).map(|value| value.map_or(Value::Unclear, |text| secret(text.as_bytes()))));
        }
        for (key, beside) in SIGNED_QUERY_IDS {
            let signed = beside.iter().all(|other| has_key(self.query, &[other]));
            out.extend(values(self.query, key).map(|value| value.filter(|_| signed).map_or(Value::Unclear, |text| scope(&text))));
        }
        if service == Some(Service::Slack) && path.starts_with("/services/") {
            // A webhook's address is its secret.
            let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let forms = [path.to_owned(), format!("https://hooks.slack.com{path}"), last.to_owned()];
            out.push(Value::AnyOf(forms.map(String::into_bytes).into()));
        }
        out
    }
}

/// Whether a pin reads the credentials that stand there.
pub(super) fn reads_query(key: &str, spots: &[Spot]) -> bool {
    QUERY_KEYS.contains(&key) || spots.iter().any(|spot| matches!(spot, Spot::Query(name) if name == key))
}

fn secret(value: &[u8]) -> Value {
    let value = value.trim_ascii();
    if value.is_empty() { Value::Unclear } else { Value::Secret(value.to_vec()) }
}

/// `Authorization` (RFC 9110 section 11.6.2): a scheme and what it takes.
fn authorization(value: &[u8], out: &mut Vec<Value>) {
    let Ok(text) = std::str::from_utf8(value) else { return out.push(Value::Unclear) };
    let text = text.trim();
    let (scheme, rest) = text.split_once([' ', '\t']).map_or((text, ""), |(scheme, rest)| (scheme, rest.trim()));
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => basic(rest, out),
        // What is a list, or parameters, may be read in other ways than as one token.
        "bearer" | "token" if !rest.contains([' ', '\t', ',', '"']) => out.push(secret(rest.as_bytes())),
        // SigV4, SigV4a and their like at Google: `Credential=ID/date/region/service/…`.
        "aws4-hmac-sha256" | "aws4-ecdsa-p256-sha256" | "goog4-hmac-sha256" | "goog4-rsa-sha256" => {
            let mut ids = rest.split(',').filter_map(|part| part.trim().strip_prefix("Credential="));
            match (ids.next(), ids.next()) {
                (Some(id), None) => out.push(scope(id)),
                _ => out.push(Value::Unclear),
            }
        }
        // SigV2: `ID:signature`.
        "aws" | "goog1" => out.push(rest.split_once(':').map_or(Value::Unclear, |(id, _)| scope(id))),
        // A bare token, as GitLab's and npm's older clients send it.
        _ if rest.is_empty() => out.push(secret(text.as_bytes())),
        _ => out.push(Value::Unclear),
    }
}

/// `user:password` in base64 (RFC 7617), in any of its alphabets.
fn basic(text: &str, out: &mut Vec<Value>) {
    let text = text.as_bytes();
    let bytes = [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD].into_iter().find_map(|alphabet| alphabet.decode(text).ok());
    let Some(pair) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else { return out.push(Value::Unclear) };
    let Some((user, password)) = pair.split_once(':') else { return out.push(Value::Unclear) };
    match (user.is_empty(), password.is_empty()) {
        (true, true) => out.push(Value::Unclear),
        // Alone, the user is what the service goes by.
        (false, true) => out.push(Value::Secret(user.as_bytes().to_vec())),
        (_, false) => {
            out.extend((!user.is_empty()).then(|| Value::Account(user.to_owned())));
            out.push(Value::Secret(password.as_bytes().to_vec()));
        }
    }
}

/// The id at the beginning of a credential scope.
fn scope(text: &str) -> Value {
    let id = text.split('/').next().unwrap_or_default();
    let of_ids = |b: u8| b.is_ascii_alphanumeric() || b"@._-".contains(&b);
    if id.is_empty() || id.len() > 256 || !id.bytes().all(of_ids) { Value::Unclear } else { Value::Account(id.to_owned()) }
}

/// Every cookie may be a login, but for those of the network before the service.
fn cookies(value: &[u8], out: &mut Vec<Value>) {
    let Ok(text) = std::str::from_utf8(value) else { return out.push(Value::Unclear) };
    for pair in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        if NETWORK_COOKIES.contains(&name.trim()) {
            continue;
        }
        let plain = value.trim().trim_matches('"');
        // Registered as it stands or decoded: clients write cookies either way.
        let forms = [Some(plain.to_owned()), decoded(plain)];
        out.push(Value::AnyOf(forms.into_iter().flatten().map(String::into_bytes).collect()));
    }
}
