//! Secrets in binary serialisations: whatever their length, and whatever letter the length happens to be.

use portcullis_engine::{Engine, FingerprintKey, Kind, Limits, Media, RuleSet};
use rand::distr::{Alphanumeric, SampleString};

/// A secret of this many bytes that ends at a word's end, and nothing else.
fn secret(length: usize) -> String {
    ["acme", "-", &Alphanumeric.sample_string(&mut rand::rng(), length - 5)].concat()
}

fn engine() -> &'static Engine {
    const RULES: &str = r"
provider: acme
name: Acme
reference: https://acme.example/docs
detectors:
  - id: acme-key
    name: Acme key
    reference: https://acme.example/docs
    confidence: medium
    pattern: 'acme-[A-Za-z0-9]{25,118}'
    anchors: [acme-]
    home: [{hosts: [api.acme.example]}]
    examples: ['acme-{alnum:40}']
";
    static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| {
        let rules = RuleSet::from_yaml("acme", RULES).expect("a rule file");
        Engine::compile(&rules, Limits::default(), FingerprintKey([7; 32])).expect("it compiles")
    });
    &ENGINE
}

fn byte(n: usize) -> u8 {
    u8::try_from(n).expect("a byte")
}

fn varint(n: usize) -> Vec<u8> {
    if n < 128 { vec![byte(n)] } else { vec![byte(n & 127) | 128, byte(n >> 7)] }
}

/// Name, and a message with the text as one of its fields: behind it comes another.
type Form = (&'static str, fn(&str) -> Vec<u8>);

fn field(number: u8, text: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(text.len()), text].concat()
}

const FORMS: [Form; 14] = [
    ("protobuf, field 1", |t| [field(1, t.as_bytes()), field(2, b"x")].concat()),
    ("protobuf, field 4", |t| [field(3, b"hello"), field(4, t.as_bytes()), field(5, &[b'y'; 70])].concat()),
    ("protobuf, field 8", |t| [vec![8, 1], field(8, t.as_bytes()), field(9, &[b'y'; 70])].concat()),
    ("protobuf, field 15", |t| [field(15, t.as_bytes()), vec![8, 1]].concat()),
    ("CBOR", |t| [&[0xa2, 0x61, b'k', 0x78, byte(t.len())], t.as_bytes(), &[0x61, b'n', 1]].concat()),
    ("CBOR bytes", |t| [&[0xa2, 0x61, b'k', 0x58, byte(t.len())], t.as_bytes(), &[0x61, b'n', 1]].concat()),
    ("MessagePack", |t| [&[0x82, 0xa1, b'k', 0xd9, byte(t.len())], t.as_bytes(), &[0xa1, b'n', 1]].concat()),
    ("Avro", |t| [&[0, 4][..], b"id", &varint(t.len() * 2), t.as_bytes(), &[6], b"abc"].concat()),
    ("Ruby marshal", |t| [&b"\x04\x08{\x06\"\x06kI\""[..], &[byte(t.len() + 5)], t.as_bytes(), b"\x06:\x06ET"].concat()),
    ("Python marshal", |t| [&b"{z\x01kz"[..], &[byte(t.len())], t.as_bytes(), b"0"].concat()),
    ("Java", |t| [&b"\xac\xed\0\x05t\0"[..], &[byte(t.len())], t.as_bytes(), b"x"].concat()),
    ("BSON", |t| [&b"\x40\0\0\0\x02k\0"[..], &[byte(t.len() + 1), 0, 0, 0], t.as_bytes(), b"\0\0"].concat()),
    ("Thrift, compact", |t| [&[0x18][..], &varint(t.len()), t.as_bytes(), &[0x15, 2, 0]].concat()),
    ("SQLite row", |t| [&[3, 0][..], &varint(13 + 2 * t.len()), t.as_bytes(), &[0x20, 5, 3, 0, 25], b"second"].concat()),
];

#[test]
fn a_secret_of_any_length_is_found_in_every_serialisation() {
    let mut missed = Vec::new();
    for (name, form) in FORMS {
        for length in 30..=110 {
            let message = form(&secret(length));
            if engine().scan(&Kind::body(Media::default()), &message).findings.is_empty() {
                missed.push(format!("{name} {length}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn glued_to_a_word_in_text_it_is_none() {
    for length in 30..=110 {
        let text = format!("see x{} and y", secret(length));
        assert!(engine().scan(&Kind::body(Media::default()), text.as_bytes()).findings.is_empty(), "{length}");
    }
}
