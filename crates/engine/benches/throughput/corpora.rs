//! Clean text of the kinds that agents send, gathered from what a Rust machine has: its crate sources.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One kind of traffic.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) content_type: &'static str,
    /// Requests, as bodies.
    pub(crate) bodies: Vec<Vec<u8>>,
}

impl Corpus {
    pub(crate) fn bytes(&self) -> usize {
        self.bodies.iter().map(Vec::len).sum()
    }
}

/// A small generator of its own, so that every run has the same bytes.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| (self.next() >> 24) as u8).collect()
    }
}

/// All corpora, each of about `bytes`, in requests of about `request` bytes.
pub(crate) fn all(bytes: usize, request: usize) -> Vec<Corpus> {
    let code = files(&["rs", "py", "md"], bytes);
    let locks = files(&["lock", "toml", "json"], bytes);
    let script = minified(&code);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let noise = random.bytes(bytes);
    let corpus =
        |name, content_type, text: &[u8]| Corpus { name, content_type, bodies: text.chunks(request).map(<[u8]>::to_vec).collect() };
    vec![
        Corpus { name: "llm-json", content_type: "application/json", bodies: code.chunks(request).map(conversation).collect() },
        corpus("lock-files", "text/plain", &locks),
        corpus("source", "text/plain", &code),
        corpus("minified", "text/javascript", &script),
        Corpus { name: "base64-json", content_type: "application/json", bodies: noise.chunks(request * 3 / 4).map(image).collect() },
        corpus("random", "application/octet-stream", &noise),
        corpus("worst", "text/plain", &worst(bytes / 4, &mut random)),
    ]
}

/// Texts with these endings from the crate sources, in one order, up to `bytes`.
fn files(endings: &[&str], bytes: usize) -> Vec<u8> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| std::env::var_os("HOME").map(|h| Path::new(&h).join(".cargo")));
    let mut paths = Vec::new();
    walk(&home.unwrap_or_default().join("registry/src"), &mut paths);
    paths.retain(|p| p.extension().is_some_and(|e| endings.iter().any(|known| e == *known)));
    // Sorted by a hash, so that the sample is of all crates and not of those that begin with `a`.
    paths.sort_by_key(|p| blake3::hash(p.file_name().unwrap_or_default().as_encoded_bytes()).as_bytes()[..8].to_vec());
    let mut text = Vec::with_capacity(bytes);
    for path in paths {
        let content = std::fs::read(&path).unwrap_or_default();
        if std::str::from_utf8(&content).is_ok() && content.len() < 128 << 10 {
            text.extend_from_slice(&content);
        }
        if text.len() >= bytes {
            break;
        }
    }
    assert!(text.len() > bytes / 8, "too few files with the endings {endings:?} in the registry's sources: run `cargo fetch` first");
    while text.len() < bytes {
        text.extend_from_within(..);
    }
    text.truncate(bytes);
    text
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, paths) } else { paths.push(path) }
    }
}

/// A request to an LLM API: the text in messages of some KiB.
fn conversation(text: &[u8]) -> Vec<u8> {
    let mut json = String::from("{\"model\":\"some-model\",\"max_tokens\":4096,\"messages\":[");
    for (i, part) in text.chunks(3000).enumerate() {
        let role = if i % 2 == 0 { "user" } else { "assistant" };
        let text = serde_json::to_string(&String::from_utf8_lossy(part)).expect("a string is JSON");
        let comma = if i == 0 { "" } else { "," };
        write!(json, "{comma}{{\"role\":\"{role}\",\"content\":[{{\"type\":\"text\",\"text\":{text}}}]}}").expect("a string takes all");
    }
    json.push_str("]}");
    json.into_bytes()
}

/// The same code without the blanks that a minifier drops.
fn minified(code: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(code.len());
    for &b in code {
        let blank = b.is_ascii_whitespace();
        if !(blank && out.last().is_none_or(|l| !l.is_ascii_alphanumeric())) {
            out.push(if blank { b' ' } else { b });
        }
    }
    out
}

/// A request with an image in it.
fn image(noise: &[u8]) -> Vec<u8> {
    let text = data_encoding::BASE64.encode(noise);
    format!("{{\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"image\",\"source\":{{\"data\":\"{text}\"}}}}]}}]}}").into_bytes()
}

/// Nothing but the words that detectors look for, each followed by what is almost their secret.
fn worst(bytes: usize, random: &mut Random) -> Vec<u8> {
    let rules = rules::RuleSet::builtin();
    let words: Vec<&str> = rules.detectors().iter().flat_map(|d| d.anchors.iter()).map(String::as_str).collect();
    let mut text = Vec::with_capacity(bytes);
    while text.len() < bytes {
        let word = words[(random.next() % words.len() as u64) as usize];
        text.extend_from_slice(word.as_bytes());
        let tail = data_encoding::BASE64URL_NOPAD.encode(&random.bytes(9));
        text.extend_from_slice(tail.as_bytes());
        text.push(b' ');
    }
    text
}
