//! A token in every layer, alone and in pairs: it is found, and the layer is named.

use std::io::Write;

use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD, HEXLOWER};
use portcullis_engine::{Confidence, Coverage, Engine, FingerprintKey, Kind, Limits, Location, Media, RuleSet};
use rand::distr::{Alphanumeric, SampleString};

fn engine() -> &'static Engine {
    static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| {
        Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).unwrap_or_else(|e| panic!("{e}"))
    });
    &ENGINE
}

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn each(text: &str, form: impl Fn(u32) -> String) -> Vec<u8> {
    text.chars().map(|c| form(u32::from(c))).collect::<String>().into_bytes()
}

fn listed(text: &str, form: impl Fn(u8) -> String, between: &str) -> Vec<u8> {
    text.bytes().map(form).collect::<Vec<_>>().join(between).into_bytes()
}

/// The text in pieces of six to nine, each in a form.
fn pieces(text: &str, form: impl Fn(&str) -> String) -> Vec<u8> {
    uneven(text).iter().map(|c| form(c)).collect::<String>().into_bytes()
}

fn uneven(text: &str) -> Vec<String> {
    let mut rest = text;
    let mut all = Vec::new();
    for size in [7, 9, 6, 8].into_iter().cycle() {
        if rest.len() <= size {
            all.push(rest.to_owned());
            break;
        }
        let (piece, after) = rest.split_at(size);
        all.push(piece.to_owned());
        rest = after;
    }
    all
}

/// As [`pieces`], with the number of each.
fn numbered(text: &str, form: impl Fn(u8, &str) -> String) -> Vec<u8> {
    (0..).zip(uneven(text)).map(|(i, c)| form(i, &c)).collect::<String>().into_bytes()
}

fn chunks(text: &str, size: usize) -> Vec<String> {
    text.as_bytes().chunks(size).map(|c| String::from_utf8_lossy(c).into_owned()).collect()
}

fn packed(text: &str, coding: &str) -> Vec<u8> {
    let level = flate2::Compression::default();
    let all = |result: std::io::Result<Vec<u8>>| result.expect("in memory");
    match coding {
        "gzip" => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), level);
            out.write_all(text.as_bytes()).expect("in memory");
            all(out.finish())
        }
        "zlib" => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), level);
            out.write_all(text.as_bytes()).expect("in memory");
            all(out.finish())
        }
        "deflate" => {
            let mut out = flate2::write::DeflateEncoder::new(Vec::new(), level);
            out.write_all(text.as_bytes()).expect("in memory");
            all(out.finish())
        }
        "bzip2" => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            out.write_all(text.as_bytes()).expect("in memory");
            all(out.finish())
        }
        "xz" => {
            let mut out = Vec::new();
            lzma_rs::xz_compress(&mut text.as_bytes(), &mut out).expect("in memory");
            out
        }
        other => panic!("{other}"),
    }
}

fn xxd(text: &str) -> Vec<u8> {
    let line = |(i, part): (usize, &[u8])| {
        let hex: Vec<String> = part.chunks(2).map(|p| HEXLOWER.encode(p)).collect();
        format!("{:08x}: {:<39}  {}\n", i * 16, hex.join(" "), String::from_utf8_lossy(part))
    };
    text.as_bytes().chunks(16).enumerate().map(line).collect::<String>().into_bytes()
}

/// Lines of sixteen bytes behind their offset in octal, as `od` writes them.
fn dump(text: &str, word: usize, form: impl Fn(&[u8]) -> String) -> Vec<u8> {
    let line = |(i, part): (usize, &[u8])| format!("{:07o}{}\n", i * 16, part.chunks(word).map(&form).collect::<String>());
    text.as_bytes().chunks(16).enumerate().map(line).collect::<String>().into_bytes()
}

const USUAL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// An encoded text in another alphabet, without its padding.
fn other(encoded: &str, usual: &str, alphabet: &str) -> Vec<u8> {
    let letter = |b: u8| usual.bytes().position(|u| u == b).map(|i| alphabet.as_bytes()[i]);
    encoded.bytes().filter_map(letter).collect()
}

fn base45(text: &str) -> Vec<u8> {
    let digit = |n: u32| b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"[n as usize % 45];
    let group = |pair: &[u8]| {
        let n = pair.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
        let digits = [digit(n), digit(n / 45), digit(n / 2025)];
        digits[..pair.len() + 1].to_vec()
    };
    text.as_bytes().chunks(2).flat_map(group).collect()
}

/// Letters, digits and the few marks of the text, as code page 037 has them.
fn ebcdic(byte: u8) -> u8 {
    match byte {
        b'a'..=b'i' => byte - b'a' + 0x81,
        b'j'..=b'r' => byte - b'j' + 0x91,
        b's'..=b'z' => byte - b's' + 0xa2,
        b'A'..=b'I' => byte - b'A' + 0xc1,
        b'J'..=b'R' => byte - b'J' + 0xd1,
        b'S'..=b'Z' => byte - b'S' + 0xe2,
        b'0'..=b'9' => byte - b'0' + 0xf0,
        b'_' => 0x6d,
        b',' => 0x6b,
        b'.' => 0x4b,
        b'\n' => 0x25,
        _ => 0x40,
    }
}

fn uuencode(text: &str) -> Vec<u8> {
    let six = |n: u8| char::from(if n & 0x3f == 0 { b'`' } else { (n & 0x3f) + 0x20 });
    let mut out = "begin 644 f\n".to_owned();
    for line in text.as_bytes().chunks(45) {
        out.push(six(u8::try_from(line.len()).expect("short")));
        for group in line.chunks(3) {
            let byte = |i: usize| group.get(i).copied().unwrap_or(0);
            out.extend([byte(0) >> 2, byte(0) << 4 | byte(1) >> 4, byte(1) << 2 | byte(2) >> 6, byte(2)].map(six));
        }
        out.push('\n');
    }
    (out + "`\nend\n").into_bytes()
}

/// Name of the layer, and how a text looks in it.
type Case = (&'static str, fn(&str) -> Vec<u8>);

const CASES: &[Case] = &[
    ("base64", |t| BASE64.encode(t.as_bytes()).into_bytes()),
    ("base64", |t| BASE64URL_NOPAD.encode(t.as_bytes()).into_bytes()),
    ("base64", |t| chunks(&BASE64.encode(t.repeat(3).as_bytes()), 76).join("\r\n").into_bytes()),
    ("base64", |t| chunks(&BASE64.encode(t.repeat(2).as_bytes()), 20).join("\n").into_bytes()),
    ("base64", |t| BASE64.encode(&format!("{t}\n{t}").bytes().map(ebcdic).collect::<Vec<_>>()).into_bytes()),
    ("reversed-base64", |t| BASE64.encode(t.as_bytes()).bytes().rev().collect()),
    ("hex", |t| HEXLOWER.encode(t.as_bytes()).into_bytes()),
    ("hex", |t| HEXLOWER.encode(t.as_bytes()).bytes().rev().collect()),
    ("hex", |t| HEXLOWER.encode(&t.bytes().map(|b| b.rotate_left(4)).collect::<Vec<_>>()).into_bytes()),
    ("hex", |t| listed(t, |b| format!("{b:02X}"), ":")),
    ("hex", |t| listed(t, |b| format!("0x{b:02x}"), ", ")),
    ("base32", |t| BASE32.encode(t.as_bytes()).into_bytes()),
    ("base32", |t| BASE32.encode(t.as_bytes()).trim_end_matches('=').to_lowercase().into_bytes()),
    ("uuencode", uuencode),
    ("uuencode", |t| {
        let whole = String::from_utf8(uuencode(t)).expect("text");
        whole.lines().skip(1).filter(|l| l.len() > 3).map(|l| format!("{l}\n")).collect::<String>().into_bytes()
    }),
    ("base64", |t| other(&BASE64.encode(t.as_bytes()), USUAL, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")),
    ("base64", |t| other(&BASE64.encode(t.as_bytes()), USUAL, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/")),
    ("base32", |t| other(&BASE32.encode(t.as_bytes()), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "ybndrfg8ejkmcpqxot1uwisza345h769")),
    ("base32", |t| other(&BASE32.encode(t.as_bytes()), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")),
    ("base32", |t| chunks(&BASE32.encode(t.repeat(2).as_bytes()), 64).join("\n").into_bytes()),
    ("hex", |t| other(&HEXLOWER.encode(t.as_bytes()), "0123456789abcdef", "abcdefghijklmnop")),
    ("base45", base45),
    ("yenc", |t| {
        let moved: Vec<u8> = t.bytes().map(|b| b.wrapping_add(42)).collect();
        [b"=ybegin line=128 size=59 name=a\r\n", &moved[..], b"\r\n=yend size=59\r\n"].concat()
    }),
    ("hex-dump", xxd),
    ("decimal", |t| listed(t, |b| b.to_string(), ", ")),
    ("decimal", |t| listed(t, |b| format!("chr({b})"), ".")),
    ("octal", |t| listed(t, |b| format!("{b:03o}"), " ")),
    ("binary", |t| listed(t, |b| format!("{b:08b}"), " ")),
    ("hex", |t| listed(t, |b| format!("0X{b:02X}u"), ",")),
    ("hex", |t| listed(t, |b| format!("0x{b:02x}"), ",\n  ")),
    ("octal", |t| listed(t, |b| format!("0o{b:o}"), ", ")),
    ("binary", |t| listed(t, |b| format!("0b{b:08b}"), ", ")),
    ("binary", |t| listed(t, |b| format!("{b:07b}"), " ")),
    ("binary", |t| {
        chunks(&listed(t, |b| format!("{b:08b}"), "").iter().map(|b| char::from(*b)).collect::<String>(), 76).join("\n").into_bytes()
    }),
    ("decimal", |t| {
        format!("{{{}}}", t.bytes().enumerate().map(|(i, b)| format!("\"{i}\": {b}")).collect::<Vec<_>>().join(", ")).into_bytes()
    }),
    ("decimal", |t| listed(t, |b| format!("{b:03}"), "")),
    ("hex-dump", |t| dump(t, 2, |w| format!(" {:02x}{:02x}", w.get(1).copied().unwrap_or(0), w[0]))),
    ("hex-dump", |t| dump(t, 2, |w| format!(" {:06o}", u16::from(w[0]) | u16::from(w.get(1).copied().unwrap_or(0)) << 8))),
    ("hex-dump", |t| dump(t, 1, |w| format!(" {:03o}", w[0]))),
    ("hex-dump", |t| dump(t, 1, |w| format!(" {:08b}", w[0]))),
    ("hex-dump", |t| dump(t, 1, |w| format!(" {:3}", w[0]))),
    ("hex-dump", |t| dump(t, 1, |w| format!("   {}", char::from(w[0])))),
    ("percent", |t| each(t, |c| format!("%u{c:04X}"))),
    ("escape", |t| each(t, |c| format!("\\x{{{c:02x}}}"))),
    ("escape", |t| each(t, |c| format!("\\{c:x} "))),
    ("escape", |t| each(t, |c| format!("\\{c:06x}"))),
    ("escape", |t| each(t, |c| format!("\\N{{U+{c:04X}}}"))),
    ("html-entity", |t| each(t, |c| format!("&#{c:07}"))),
    ("html-entity", |t| each(t, |c| format!("&#x{c:x}"))),
    ("percent", |t| each(t, |c| format!("%{c:02x}"))),
    ("escape", |t| each(t, |c| format!("\\u{c:04x}"))),
    ("escape", |t| each(t, |c| format!("\\x{c:02x}"))),
    ("escape", |t| each(t, |c| format!("\\u{{{c:x}}}"))),
    ("html-entity", |t| each(t, |c| format!("&#{c};"))),
    ("html-entity", |t| each(t, |c| format!("&#x{c:X};"))),
    ("quoted-printable", |t| each(t, |c| format!("={c:02X}"))),
    ("unicode", |t| each(t, |c| format!("{}\u{200b}", char::from_u32(c).expect("a character")))),
    ("unicode", |t| each(t, |c| format!("\u{202d}{}\u{202c}", char::from_u32(c).expect("a character")))),
    ("unicode", |t| each(t, |c| char::from_u32(if c > 0x20 { c + 0xfee0 } else { c }).expect("a character").to_string())),
    ("unicode", |t| each(t, |c| char::from_u32(c + 0xe0000).expect("a character").to_string())),
    ("variation-selectors", |t| {
        each(t, |c| char::from_u32(if c < 16 { 0xfe00 + c } else { 0xe0100 + c - 16 }).expect("a character").to_string())
    }),
    ("utf-16", |t| t.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ("utf-16", |t| t.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ("reversed", |t| t.bytes().rev().collect()),
    ("rot13", |t| {
        each(t, |c| {
            let turn = |base: u32| char::from_u32((c - base + 13) % 26 + base).expect("a letter").to_string();
            match c {
                0x41..=0x5a => turn(0x41),
                0x61..=0x7a => turn(0x61),
                c => char::from_u32(c).expect("a character").to_string(),
            }
        })
    }),
    ("rot47", |t| t.bytes().map(|b| if (33..127).contains(&b) { (b - 33 + 47) % 94 + 33 } else { b }).collect()),
    ("atbash", |t| {
        let mirrored = |b: u8| match b {
            b'a'..=b'z' => 219 - b,
            b'A'..=b'Z' => 155 - b,
            b => b,
        };
        t.bytes().map(mirrored).collect()
    }),
    ("joined", |t| chunks(t, 6).iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(" + ").into_bytes()),
    ("joined", |t| format!("[{}]", chunks(t, 1).iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(",")).into_bytes()),
    ("joined", |t| chunks(t, 7).iter().enumerate().map(|(i, c)| format!("p{i} = '{c}'\n")).collect::<String>().into_bytes()),
    // What stands between the pieces is the same, whatever it is.
    ("joined", |t| pieces(t, |c| format!("k.append(\"{c}\");\n"))),
    ("joined", |t| pieces(t, |c| format!("s <> \"{c}\" ")).into_iter().skip(5).collect()),
    ("joined", |t| format!("x = \"{}\"", uneven(t).join("\").concat(\"")).into_bytes()),
    ("joined", |t| format!("`{}`", uneven(t).iter().map(|c| format!("${{'{c}'}}")).collect::<String>()).into_bytes()),
    ("joined", |t| format!("[[{}]]", chunks(t, 7).iter().map(|c| format!("[\"{c}\"]")).collect::<Vec<_>>().join(", ")).into_bytes()),
    ("joined", |t| pieces(t, |c| format!("{{\"chunk\": \"{c}\", \"at\": 17}}\n"))),
    ("joined", |t| pieces(t, |c| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{c}\"}},\"index\":0}}]}}\n\n"))),
    ("joined", |t| {
        pieces(t, |c| {
            format!(
                "event: delta\ndata: {{\"type\":\"block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{c}\"}}}}\n\n"
            )
        })
    }),
    ("joined", |t| numbered(t, |i, c| format!("&part{i}={}", c.replace(' ', "%20")))),
    ("joined", |t| pieces(t, |c| format!("&part[]={}", c.replace(' ', "%20")))),
    ("joined", |t| numbered(t, |i, c| format!("; p{i}={}", c.replace(' ', "%20")))),
    ("joined", |t| numbered(t, |i, c| format!("{}={}\n", char::from(b'A' + i), c.replace(' ', "%20")))),
    ("joined", |t| numbered(t, |i, c| format!("seq={i}&part={}&", c.replace(' ', "%20")))),
    ("joined", |t| numbered(t, |i, c| format!("{i}. {c}\n"))),
    ("joined", |t| numbered(t, |i, c| format!("{i},{c},ok\n"))),
    ("joined", |t| pieces(t, |c| format!("  - {c}\n"))),
    ("joined", |t| pieces(t, |c| format!("> {c}\r\n"))),
    ("joined", |t| numbered(t, |i, c| format!("key.{i} = {c}\n"))),
    ("joined", |t| format!("<r>{}</r>", uneven(t).iter().map(|c| format!("<p n=\"7\">{c}</p>")).collect::<String>()).into_bytes()),
    ("joined", |t| uneven(t).join("<!-- -->").into_bytes()),
    ("joined", |t| pieces(t, |c| format!("<![CDATA[{c}]]>"))),
    ("columns", |t| chunks(t, 5).join("*").into_bytes()),
    ("columns", |t| chunks(t, 6).join("/**/").into_bytes()),
    ("columns", |t| listed(t, |b| format!("{b:02X}h"), " ")),
    ("columns", |t| listed(t, |b| format!("#{b:02x}"), "")),
    ("columns", |t| listed(t, |b| format!("${b:02x}"), ",")),
    ("columns", |t| listed(t, |b| format!("U+{b:04X}"), " ")),
    ("columns", |t| t.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()),
    ("columns", |t| t.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect()),
    ("binary", |t| t.bytes().flat_map(|b| (0..8).rev().map(move |i| if b >> i & 1 == 1 { b'L' } else { b'l' })).collect()),
    ("binary", |t| {
        t.bytes()
            .flat_map(|b| (0..8).rev().map(move |i| if b >> i & 1 == 1 { '\u{200c}' } else { '\u{200b}' }))
            .collect::<String>()
            .into_bytes()
    }),
    ("unicode", |t| each(t, |c| char::from_u32(0x2800 + c).expect("a character").to_string())),
    ("unicode", |t| each(t, |c| char::from_u32(0x1_f3f7 + c).expect("a character").to_string())),
    ("overlong", |t| t.bytes().flat_map(|b| [0xc0 | b >> 6, 0x80 | (b & 0x3f)]).collect()),
    ("xor", |t| t.bytes().map(|b| b ^ 0x5a).collect()),
    ("xor", |t| t.bytes().map(|b| b ^ 0xc3).collect()),
    ("xor", |t| HEXLOWER.encode(&t.bytes().map(|b| b ^ 0xff).collect::<Vec<_>>()).into_bytes()),
    ("ebcdic", |t| t.bytes().map(ebcdic).collect()),
    ("separated", |t| chunks(t, 4).join(" ").into_bytes()),
    ("separated", |t| chunks(t, 1).join(".").into_bytes()),
    ("separated", |t| chunks(t, 5).join("\n").into_bytes()),
    ("gzip", |t| packed(t, "gzip")),
    ("zlib", |t| packed(t, "zlib")),
    ("deflate", |t| packed(t, "deflate")),
    ("bzip2", |t| packed(t, "bzip2")),
    ("xz", |t| packed(t, "xz")),
];

fn found(bytes: &[u8], token: &str) -> Option<(Vec<&'static str>, std::ops::Range<u64>)> {
    let report = engine().scan(&Kind::body(Media::default()), bytes);
    let key = blake3::keyed_hash(&[7; 32], token.as_bytes());
    let hit = report.findings.iter().find(|f| f.fingerprint.0 == key.as_bytes()[..8])?;
    Some((hit.trail.clone(), hit.span.clone()))
}

#[test]
fn a_token_is_found_in_every_layer() {
    let mut missed = Vec::new();
    for (i, (layer, encode)) in CASES.iter().enumerate() {
        let token = token();
        let text = format!("the token is {token} ok");
        let bytes = encode(&text);
        match found(&bytes, &token) {
            // lzma-rs stores without compressing: the token is in plain sight as well.
            Some((trail, span)) if (trail.contains(layer) || *layer == "xz") && span.end <= bytes.len() as u64 && span.start < span.end => {
            }
            Some((trail, _)) => missed.push(format!("{i} {layer}: found through {trail:?}")),
            None => missed.push(format!("{i} {layer}: not found")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_token_is_found_behind_base64_of_every_layer() {
    let mut missed = Vec::new();
    for (i, (layer, encode)) in CASES.iter().enumerate() {
        let token = token();
        let inner = encode(&format!("the token is {token} ok"));
        let outer = format!("{{\"data\": \"{}\"}}", BASE64.encode(&inner));
        if found(outer.as_bytes(), &token).is_none() {
            missed.push(format!("{i} {layer}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join(", "));
}

/// The places that hold nothing but text, in which bytes are percent-encoded.
fn places(encoded: &[u8]) -> [(Kind, String); 5] {
    let percent: String = encoded.iter().map(|b| format!("%{b:02X}")).collect();
    let form = Media { content_type: Some("application/x-www-form-urlencoded".to_owned()), ..Media::default() };
    [
        (Kind::body(form), format!("id=7&note={percent}")),
        (Kind::of(Location::Query), format!("level=info&m={percent}")),
        (Kind::of(Location::Path), format!("/v1/{percent}/status")),
        (Kind::of(Location::Header("cookie".into())), format!("theme=dark; s={percent}")),
        // Anywhere else.
        (Kind::of(Location::Header("x-note".into())), percent),
    ]
}

#[test]
fn a_token_is_found_in_every_layer_behind_percent_escapes_in_every_place() {
    let mut missed = Vec::new();
    for (i, (layer, encode)) in CASES.iter().enumerate() {
        let token = token();
        let key = blake3::keyed_hash(&[7; 32], token.as_bytes());
        for (kind, text) in places(&encode(&format!("the token is {token} ok"))) {
            let report = engine().scan(&kind, text.as_bytes());
            if !report.findings.iter().any(|f| f.fingerprint.0 == key.as_bytes()[..8]) {
                missed.push(format!("{i} {layer} in {}", kind.location));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

fn jwt() -> String {
    let part = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
    let signature = Alphanumeric.sample_string(&mut rand::rng(), 32);
    [part(r#"{"alg":"HS256","typ":"JWT"}"#), part(r#"{"sub":"1234567","iat":1700000000}"#), part(&signature)].join(".")
}

#[test]
fn a_token_without_a_word_of_its_own_is_found_in_disguise() {
    for (layer, encode) in CASES.iter().filter(|(layer, _)| ["reversed", "rot13", "rot47", "atbash"].contains(layer)) {
        for text in [jwt(), format!("bearer {} that is it", jwt())] {
            let report = engine().scan(&Kind::body(Media::default()), &encode(&text));
            assert!(report.findings.iter().any(|f| f.detector.id == "jwt" && f.trail.contains(layer)), "{layer}");
        }
    }
}

#[test]
fn what_stands_between_characters_may_stand_in_the_text_too() {
    let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    let jwt = jwt();
    let password = format!("db_password = \"{}\"", random(20));
    for (text, mark) in [(jwt, "."), (password, " ")] {
        let apart = chunks(&text, 1).join(mark);
        for bytes in [apart.clone(), format!("note: {apart}"), format!("{apart} that is it")] {
            let report = engine().scan(&Kind::body(Media::default()), bytes.as_bytes());
            let found = report.findings.iter().any(|f| f.confidence != Confidence::Low && f.trail.contains(&"separated"));
            assert!(found, "{mark:?}: {:?}", report.findings.iter().map(|f| (f.detector.id.as_str(), &f.trail)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_quote_belongs_to_the_escapes_within_it() {
    let value = Alphanumeric.sample_string(&mut rand::rng(), 20);
    let text = format!("db_password = \"{value}\"");
    let bold = |c: char| match c {
        'a'..='z' => char::from_u32(u32::from(c) - 97 + 0x1d41a).expect("a letter"),
        c => c,
    };
    for bytes in [
        text.chars().map(bold).collect::<String>(),
        format!("db_pass=\r\nword = \"{}\"", chunks(&value, 7).join("=\r\n")),
        format!("{{\"db_password\": \"{}\"}}", value.chars().map(|c| format!("&#{};", u32::from(c))).collect::<String>()),
    ] {
        for bytes in [bytes.clone(), format!("It is {bytes} and \"more\".")] {
            let report = engine().scan(&Kind::body(Media::default()), bytes.as_bytes());
            assert!(report.findings.iter().any(|f| f.confidence != Confidence::Low), "{bytes}");
        }
    }
}

#[test]
fn the_first_of_several_pieces_is_not_lost() {
    for form in [|b: u8| format!("{b:02X}h"), |b| format!("({b:02x})"), |b| format!("<{}/>", char::from(b))] {
        let token = token();
        let bytes = listed(&token, form, " ");
        assert!(found(&bytes, &token).is_some(), "{}", form(b'x'));
    }
}

#[test]
fn bytes_in_hexadecimal_without_letters_are_no_decimal_codes() {
    // In hexadecimal most of its bytes have two decimal digits.
    let entropy = ["zAFdTaweQV9p8F8", "yYN7OwS3F34byU6"].concat();
    let token = ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat();
    for bytes in [listed(&token, |b| format!("{b:02X}h"), " "), listed(&token, |b| format!("#{b:02x}"), "")] {
        assert!(found(&bytes, &token).is_some());
    }
}

#[test]
fn a_byte_in_hexadecimal_before_decimal_codes_hides_nothing() {
    // Capitals and digits are two decimal digits each.
    let value = ["WX7QK2M9", "ZRT4PHV8", "NC3JYD6L"].concat();
    let text = format!("PASSWORD={value}");
    for before in ["", "ab ", "7F ", "x ab "] {
        let bytes = before.to_owned() + &text.bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(" ");
        let report = engine().scan(&Kind::body(Media::default()), bytes.as_bytes());
        assert!(report.findings.iter().any(|f| f.confidence != Confidence::Low), "{before:?}");
    }
}

#[test]
fn tokens_on_lines_of_one_length_are_seen_each() {
    let tokens: Vec<String> = std::iter::repeat_with(token).take(5).collect();
    // No fourth character ends a line, so that the lines are no text that was wrapped.
    let lines: Vec<String> = tokens.iter().map(|t| BASE64URL_NOPAD.encode(format!("x{t}").as_bytes())).collect();
    let bytes = lines.join("\n").into_bytes();
    let report = engine().scan(&Kind::body(Media::default()), &bytes);
    // By its own finding, or by a surer one of all lines together: bytes by chance may stand better before a token than the letter does.
    let mut at = 0;
    for line in &lines {
        let place = at..at + line.len() as u64;
        assert!(report.findings.iter().any(|f| f.span.start <= place.start && place.end <= f.span.end), "{place:?}");
        at = place.end + 1;
    }
}

#[test]
fn text_of_other_scripts_behind_percent_escapes_is_no_text_under_a_key() {
    for text in [
        "Съешь же ещё этих мягких французских булок, да выпей чаю",
        "いろはにほへとちりぬるをわかよたれそつねならむ",
        "你好世界人人生而自由在尊严和权利上一律平等",
    ] {
        for (kind, text) in places(text.as_bytes()) {
            let report = engine().scan(&kind, text.as_bytes());
            assert!(report.findings.is_empty() && report.coverage == Coverage::Complete, "{}", kind.location);
        }
    }
}

#[test]
fn pieces_in_paths_hosts_and_queries_are_joined() {
    let token = token();
    let scan = |location: Location, text: String| engine().scan(&Kind::of(location), text.as_bytes());
    let parts = chunks(&token, 8);
    for (location, text) in [
        (Location::Path, format!("/f/{}/x", parts.join("/"))),
        (Location::Query, parts.iter().enumerate().map(|(i, p)| format!("p{i}={p}")).collect::<Vec<_>>().join("&")),
        (Location::Query, parts.iter().map(|p| format!("p={p}")).collect::<Vec<_>>().join("&")),
    ] {
        let report = scan(location.clone(), text);
        assert!(report.findings.iter().any(|f| f.detector.id.starts_with("github-pat-classic")), "{location}");
    }
}

#[test]
fn harmless_text_in_every_layer_is_harmless() {
    let text = "It was a bright cold day in April, and the clocks were striking thirteen. ".repeat(4);
    for (layer, encode) in CASES {
        let report = engine().scan(&Kind::body(Media::default()), &encode(&text));
        assert!(report.findings.is_empty(), "{layer}: {:?}", report.findings.iter().map(|f| f.detector.id.as_str()).collect::<Vec<_>>());
        assert_eq!(report.coverage, Coverage::Complete, "{layer}");
    }
}
