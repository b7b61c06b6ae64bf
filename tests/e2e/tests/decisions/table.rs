//! Reading the table: lines into requests, placeholders into secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER};
use portcullis_e2e::Request;
use portcullis_e2e::secret::secret_of;

/// The cases of one policy.
pub(crate) struct Table {
    pub(crate) policy: PathBuf,
    pub(crate) cases: Vec<Case>,
    /// The names that lead to the origin.
    pub(crate) names: BTreeSet<String>,
}

/// One line.
pub(crate) struct Case {
    pub(crate) verdict: String,
    pub(crate) reason: String,
    /// Whether Envoy refuses it before the scanner sees it.
    pub(crate) at_envoy: bool,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    /// Who sends, if it matters.
    pub(crate) sandbox: Option<String>,
    /// The last secret in the body, to be looked for at the origin.
    pub(crate) secret: String,
    /// As it is written.
    pub(crate) line: String,
}

impl Table {
    /// `tests/e2e/decisions/NAME.txt`.
    pub(crate) fn read(name: &str) -> Table {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("decisions");
        let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap().replace(" \\\n", " ");
        let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
        let cases: Vec<Case> = lines.map(Case::read).collect();
        let names = cases.iter().map(Case::host).filter(|h| h.contains('.') && !h.starts_with('[')).collect();
        Table { policy: folder.join(format!("{name}.yaml")), cases, names }
    }
}

impl Case {
    fn read(line: &str) -> Case {
        let mut parts = line.split(" | ");
        let mut head = parts.next().unwrap().split_whitespace().peekable();
        let mut next = || head.next().unwrap_or_else(|| panic!("too short: {line}")).to_owned();
        let (verdict, reason) = (next(), next());
        let mut method = next();
        let at_envoy = method == "envoy";
        if at_envoy {
            method = next();
        }
        let mut secret = String::new();
        let text = |template: &str, secret: &mut String| String::from_utf8(expanded(template, secret)).unwrap();
        let url = text(&next(), &mut secret);
        let (mut headers, mut body, mut sandbox) = (Vec::new(), None, None);
        for part in parts {
            let (name, value) = part.split_once(": ").unwrap_or_else(|| panic!("no value: {line}"));
            match name {
                "sandbox" => sandbox = Some(value.to_owned()),
                "body" => body = Some(expanded(value, &mut secret)),
                _ => headers.push((name.to_owned(), text(value, &mut secret))),
            }
        }
        Case { verdict, reason, at_envoy, method, url, headers, body, sandbox, secret, line: line.to_owned() }
    }

    fn host(&self) -> String {
        let authority = self.url.split("://").nth(1).unwrap().split(['/', '?']).next().unwrap();
        authority.split(':').next().unwrap().to_ascii_lowercase()
    }

    /// What is sent through the gateway.
    pub(crate) fn request(&self) -> Request {
        let request = Request::new(&self.method, &self.url);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }
}

/// The secrets that are ours, by detector: the same all through a test.
fn owned() -> MutexGuard<'static, BTreeMap<String, String>> {
    static OWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    OWN.lock().unwrap()
}

fn own(id: &str) -> String {
    owned().entry(id.to_owned()).or_insert_with(|| other(&secret_of(id).unwrap())).clone()
}

/// Another secret of the same shape: ten characters before the last ten are the next ones of their kind.
fn other(secret: &str) -> String {
    let next = |c: char| match c {
        'z' => 'a',
        'Z' => 'A',
        '9' => '0',
        c if c.is_ascii_alphanumeric() => char::from(c as u8 + 1),
        c => c,
    };
    let range = secret.len() - 20..secret.len() - 10;
    secret.chars().enumerate().map(|(i, c)| if range.contains(&i) { next(c) } else { c }).collect()
}

/// What `--known` is given: each of them as `OWN_` and its detector's name in capitals.
pub(crate) fn registry() -> String {
    let line = |(id, secret): (&String, &String)| format!("OWN_{}={secret}\n", id.to_uppercase().replace('-', "_"));
    owned().iter().map(line).collect()
}

/// A template with its placeholders filled in.
fn expanded(template: &str, last: &mut String) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.extend_from_slice(before.as_bytes());
        if let Some(brace) = after.strip_prefix('{') {
            out.push(b'{');
            rest = brace;
            continue;
        }
        let (word, tail) = after.split_once('}').unwrap_or_else(|| panic!("no end: {template}"));
        out.extend(placeholder(word, last));
        rest = tail;
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn placeholder(word: &str, last: &mut String) -> Vec<u8> {
    let mut secret = |id: &str| {
        *last = secret_of(id).unwrap();
        last.clone()
    };
    match word.split_once(':') {
        None => secret(word).into_bytes(),
        Some(("own", id)) => {
            *last = own(id);
            last.clone().into_bytes()
        }
        Some(("words", length)) => "word ".bytes().cycle().take(length.parse().unwrap()).collect(),
        Some(("basic", pair)) => {
            let (user, id) = pair.split_once(':').unwrap();
            BASE64.encode(format!("{user}:{}", secret(id)).as_bytes()).into_bytes()
        }
        Some(("base64", id)) => BASE64.encode(secret(id).as_bytes()).into_bytes(),
        Some(("base64url", id)) => BASE64URL_NOPAD.encode(secret(id).as_bytes()).into_bytes(),
        Some(("base32", id)) => BASE32_NOPAD.encode(secret(id).as_bytes()).into_bytes(),
        Some(("hex", id)) => HEXLOWER.encode(secret(id).as_bytes()).into_bytes(),
        Some(("percent", id)) => secret(id).bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).collect(),
        Some(("reversed", id)) => secret(id).bytes().rev().collect(),
        Some(("gzip", id)) => gzip(&secret(id)),
        Some(("cut-gzip", id)) => gzip(&secret(id))[..24].to_vec(),
        Some((kind, _)) => panic!("unknown: {kind}"),
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
