//! What is sent: kinds of requests, each with what must become of it when nothing is wrong.

use std::io::Write;
use std::time::Duration;

use portcullis_e2e::{Request, github_pat};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::place::Place;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A GET.
    Get,
    /// A small JSON document.
    Json,
    /// The same with a token that nobody has seen before.
    Secret,
    /// A conversation with such a token in it, to a host whose rule redacts.
    Conversation,
    /// 256 KiB of source code.
    Source,
    /// A body of unknown length, in chunks with pauses longer than those after which what came is released.
    Chunked,
    /// 3 MiB: beyond the buffer limit, so that its beginning is released before its end has come.
    Large,
    /// A JSON document, compressed.
    Gzip,
    /// A body that the client gives up in the middle.
    Aborted,
    /// To a private address.
    Address,
    /// To a name that resolves to a private address.
    Inside,
    /// With credentials that are nobody's.
    Stranger,
}

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The status; `None`: none, the client goes away.
    pub(crate) status: Option<u16>,
    /// The verdict on record; `None`: there is no record.
    pub(crate) verdict: Option<&'static str>,
    /// Whether it arrives at the origin as a whole.
    pub(crate) arrives: bool,
}

impl Kind {
    pub(crate) const ALL: [Kind; 12] = [
        Kind::Get,
        Kind::Json,
        Kind::Secret,
        Kind::Conversation,
        Kind::Source,
        Kind::Chunked,
        Kind::Large,
        Kind::Gzip,
        Kind::Aborted,
        Kind::Address,
        Kind::Inside,
        Kind::Stranger,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Get => "GET",
            Kind::Json => "small JSON",
            Kind::Secret => "JSON with a secret",
            Kind::Conversation => "conversation with a secret",
            Kind::Source => "256 KiB of source",
            Kind::Chunked => "chunked upload",
            Kind::Large => "3 MiB",
            Kind::Gzip => "gzip",
            Kind::Aborted => "upload given up half way",
            Kind::Address => "private address",
            Kind::Inside => "name with a private address",
            Kind::Stranger => "wrong credentials",
        }
    }

    /// How many of 64 requests are of this kind.
    fn share(self) -> usize {
        match self {
            Kind::Get => 14,
            Kind::Json => 12,
            Kind::Secret => 9,
            Kind::Conversation => 6,
            Kind::Source | Kind::Chunked => 5,
            Kind::Gzip => 4,
            Kind::Aborted => 3,
            Kind::Address | Kind::Stranger => 2,
            Kind::Large | Kind::Inside => 1,
        }
    }

    /// What must become of it when nothing is wrong.
    pub(crate) fn expected(self) -> Expected {
        let (status, verdict, arrives) = match self {
            Kind::Get | Kind::Json | Kind::Source | Kind::Chunked | Kind::Large | Kind::Gzip => (Some(200), Some("allow"), true),
            Kind::Conversation => (Some(200), Some("redact"), true),
            Kind::Secret | Kind::Address => (Some(403), Some("deny"), false),
            Kind::Stranger => (Some(407), Some("deny"), false),
            // The scanner lets it pass; the address is found out, and refused, by Envoy.
            Kind::Inside => (Some(503), Some("allow"), false),
            Kind::Aborted => (None, None, false),
        };
        Expected { status, verdict, arrives }
    }

    /// Whether some of it may be at the origin before it is decided.
    pub(crate) fn may_arrive_in_part(self) -> bool {
        self.expected().arrives || self == Kind::Aborted
    }
}

/// Kinds in an order of chance, each as often as its share.
#[derive(Default)]
pub(crate) struct Deck(Vec<Kind>);

impl Deck {
    pub(crate) fn draw(&mut self) -> Kind {
        if self.0.is_empty() {
            self.0 = Kind::ALL.iter().flat_map(|kind| std::iter::repeat_n(*kind, kind.share())).collect();
            self.0.shuffle(&mut rand::rng());
        }
        self.0.pop().unwrap_or(Kind::Get)
    }
}

/// A length and a checksum: what a body is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print {
    pub(crate) length: usize,
    checksum: u32,
}

impl Print {
    pub(crate) fn of(bytes: &[u8]) -> Print {
        Print { length: bytes.len(), checksum: crc32fast::hash(bytes) }
    }
}

/// One request, ready to be sent.
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) host: String,
    pub(crate) request: Request,
    /// What must arrive; `None`: nothing, or something that is rewritten on the way.
    pub(crate) print: Option<Print>,
    /// The token in it.
    pub(crate) secret: Option<String>,
}

impl Case {
    /// A request of a kind. Its number is in its path, its place in its host.
    pub(crate) fn new(kind: Kind, number: u64, place: Place) -> Case {
        let host = place.host(kind);
        // To each host Envoy keeps connections of its own, in the clear and over TLS: the fewer, the sooner its memory is steady.
        let always_tunnelled = matches!(kind, Kind::Aborted | Kind::Conversation);
        // No tunnel leads to an address, and a name inside needs no leaf. What is given up is written by hand, in a tunnel.
        let clear = matches!(kind, Kind::Address | Kind::Inside) || (!always_tunnelled && number.is_multiple_of(4));
        let url = format!("{}://{host}/r/{number}", if clear { "http" } else { "https" });
        let secret = matches!(kind, Kind::Secret | Kind::Conversation).then(github_pat);
        let json = "application/json";
        let (media, body): (&str, Vec<u8>) = match kind {
            Kind::Get | Kind::Address | Kind::Inside | Kind::Stranger => ("", Vec::new()),
            Kind::Json => (json, document(number, "nothing in particular").into_bytes()),
            Kind::Secret => (json, document(number, &format!("the key is {} keep it", secret.as_deref().unwrap_or_default())).into_bytes()),
            Kind::Conversation => (json, conversation(number, secret.as_deref().unwrap_or_default()).into_bytes()),
            Kind::Source => ("text/plain", source(number, 256 << 10)),
            Kind::Chunked => ("text/plain", lines(number, 16 << 10)),
            Kind::Large => ("text/plain", lines(number, 3 << 20)),
            Kind::Gzip => (json, gzip(document(number, &"a longer note ".repeat(200)).as_bytes())),
            Kind::Aborted => ("text/plain", lines(number, 128 << 10)),
        };
        let mut request = if body.is_empty() { Request::get(&url) } else { Request::post(&url).header("Content-Type", media) };
        if kind == Kind::Gzip {
            request = request.header("Content-Encoding", "gzip");
        }
        if kind == Kind::Chunked {
            request = request.chunks(&[4 << 10; 4]).pause_ms(70);
        }
        if !clear && kind != Kind::Aborted && number % 4 == 3 {
            request = request.http2();
        }
        let print = (kind.expected().arrives && kind != Kind::Conversation).then(|| Print::of(&body));
        Case { kind, number, host, request: request.body(body), print, secret }
    }

    /// The bytes of an upload that will be given up: head and first half of a body, whose length is announced, or which comes in chunks that are
    /// released as they come.
    pub(crate) fn first_half(&self) -> Vec<Vec<u8>> {
        let chunked = self.number.is_multiple_of(2);
        let length = if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {}", 128 << 10) };
        let head = format!("POST /r/{} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n{length}\r\n\r\n", self.number, self.host);
        let pieces = (0..4).map(|_| lines(self.number, 16 << 10));
        let framed = |piece: Vec<u8>| {
            if chunked { [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat() } else { piece }
        };
        std::iter::once(head.into_bytes()).chain(pieces.map(framed)).collect()
    }

    /// How long a client waits between two pieces of what it will give up.
    pub(crate) fn hesitation(&self) -> Duration {
        Duration::from_millis(rand::rng().random_range(5..90))
    }
}

fn document(number: u64, note: &str) -> String {
    serde_json::json!({"entry": number, "note": note, "tags": ["one", "two"]}).to_string()
}

fn conversation(number: u64, secret: &str) -> String {
    let said = format!("for entry {number} the token is {secret} as I said");
    serde_json::json!({"model": "m", "messages": [{"role": "user", "content": said}]}).to_string()
}

/// Text that nobody has sent before, and that says nothing.
fn lines(number: u64, length: usize) -> Vec<u8> {
    let line = |n: usize| format!("line {n} of entry {number} says nothing in particular\n").into_bytes();
    filled(line, length)
}

/// A program that nobody has sent before.
fn source(number: u64, length: usize) -> Vec<u8> {
    let function = |n: usize| {
        let body =
            "    let total: usize = rows.iter().map(|row| row.len() + 1).sum();\n    if total == 0 { return None; }\n    Some(total)\n";
        format!("/// Adds up part {n} of entry {number}.\nfn part_{n}(rows: &[String]) -> Option<usize> {{\n{body}}}\n\n").into_bytes()
    };
    filled(function, length)
}

fn filled(piece: impl Fn(usize) -> Vec<u8>, length: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(length + 256);
    for n in 0.. {
        if all.len() >= length {
            break;
        }
        all.extend(piece(n));
    }
    all.truncate(length);
    all
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn a_deck_holds_every_kind_as_often_as_its_share() {
    let mut deck = Deck::default();
    let drawn: Vec<Kind> = (0..64).map(|_| deck.draw()).collect();
    for kind in Kind::ALL {
        assert_eq!(drawn.iter().filter(|one| **one == kind).count(), kind.share(), "{kind:?}");
    }
    assert!(deck.0.is_empty());
}
