//! Pushes as they stream: what is told of them, in any chunks, and of those that lie.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use portcullis_git::{Event, Id, Limits, Malformed, Miss, Object, Push};
use proptest::prelude::*;
use sha1::{Digest, Sha1};

const ZERO: &str = "0000000000000000000000000000000000000000";
const LIMITS: Limits = Limits { memory: 1 << 20, grace: 4 << 20, ratio: 100 };

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn id(kind: &str, content: &[u8]) -> [u8; 20] {
    let mut hash = Sha1::new();
    hash.update(format!("{kind} {}\0", content.len()));
    hash.update(content);
    hash.finalize().into()
}

fn packet(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// Head of an entry.
fn head(kind: u8, size: usize) -> Vec<u8> {
    let mut out = vec![kind << 4 | u8::try_from(size & 15).expect("four bits")];
    let mut rest = size >> 4;
    while rest > 0 {
        *out.last_mut().expect("one") |= 0x80;
        out.push(u8::try_from(rest & 0x7f).expect("seven bits"));
        rest >>= 7;
    }
    out
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// A pack under construction.
struct Builder {
    bytes: Vec<u8>,
    count: u32,
}

impl Builder {
    fn new() -> Builder {
        Builder { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), count: 0 }
    }

    /// Adds an entry with its head as given; where it begins in the pack.
    fn raw(&mut self, head: &[u8], content: &[u8]) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(head);
        self.bytes.extend(zlib(content));
        self.count += 1;
        at
    }

    fn whole(&mut self, kind: u8, content: &[u8]) -> usize {
        self.raw(&head(kind, content.len()), content)
    }

    fn behind(&mut self, base: usize, delta: &[u8]) -> usize {
        let mut rest = self.bytes.len() - base;
        let mut distance = vec![u8::try_from(rest & 0x7f).expect("seven bits")];
        while rest >> 7 > 0 {
            rest = (rest >> 7) - 1;
            distance.insert(0, 0x80 | u8::try_from(rest & 0x7f).expect("seven bits"));
        }
        self.raw(&[head(6, delta.len()), distance].concat(), delta)
    }

    fn named(&mut self, base: [u8; 20], delta: &[u8]) -> usize {
        self.raw(&[head(7, delta.len()).as_slice(), &base].concat(), delta)
    }

    fn pack(mut self) -> Vec<u8> {
        self.bytes[8..12].copy_from_slice(&self.count.to_be_bytes());
        let hash: [u8; 20] = Sha1::digest(&self.bytes).into();
        self.bytes.extend(hash);
        self.bytes
    }

    /// A push of it to a new branch.
    fn push(self) -> Vec<u8> {
        push(ZERO, &"1".repeat(40), &self.pack())
    }
}

fn push(old: &str, new: &str, pack: &[u8]) -> Vec<u8> {
    let command = packet(&format!("{old} {new} refs/heads/main\0 report-status side-band-64k"));
    [command.as_slice(), b"0000", pack].concat()
}

/// A delta that copies all of its base and adds `text` behind it.
fn appended(base: &[u8], text: &[u8]) -> Vec<u8> {
    let size = |mut n: usize| {
        let mut out = Vec::new();
        while n > 0x7f {
            out.push(0x80 | u8::try_from(n & 0x7f).expect("seven bits"));
            n >>= 7;
        }
        out.push(u8::try_from(n).expect("seven bits"));
        out
    };
    let length = u16::try_from(base.len()).expect("short").to_le_bytes();
    let mut out = [size(base.len()), size(base.len() + text.len()), vec![0xb0, length[0], length[1]]].concat();
    for part in text.chunks(100) {
        out.push(u8::try_from(part.len()).expect("short"));
        out.extend_from_slice(part);
    }
    out
}

/// What is told of a push: texts in order, with pieces joined; and how it ends.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    texts: Vec<(String, Vec<u8>)>,
    missed: Vec<(u64, Miss)>,
    malformed: bool,
    open: bool,
}

impl Told {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Line { text, bytes, .. } => self.texts.push((format!("{text:?}"), bytes.to_vec())),
            Event::Object { object, bytes, .. } => self.texts.push((format!("{object:?}"), bytes.to_vec())),
            Event::Piece { object, bytes, last, .. } => {
                if !self.open {
                    self.texts.push((format!("{object:?}+"), Vec::new()));
                }
                self.texts.last_mut().expect("one").1.extend_from_slice(bytes);
                self.open = !last;
            }
            Event::Missed { at, miss } => self.missed.push((at, miss)),
        }
    }

    fn holds(&self, text: &[u8]) -> bool {
        self.texts.iter().any(|(_, bytes)| bytes.windows(text.len()).any(|w| w == text))
    }
}

fn read_with<'b>(limits: Limits, chunks: impl IntoIterator<Item = &'b [u8]>) -> (Told, Push) {
    let (mut told, mut push) = (Told::default(), Push::new(limits));
    let mut before = 0;
    for chunk in chunks {
        if push.push(chunk, &mut |event| told.take(event)).is_err() {
            told.malformed = true;
            return (told, push);
        }
        assert!(push.told() >= before, "what was told is not taken back");
        before = push.told();
    }
    told.malformed = push.finish(&mut |event| told.take(event)).is_err();
    (told, push)
}

fn read(bytes: &[u8]) -> Told {
    read_with(LIMITS, [bytes]).0
}

/// One of everything.
fn sample() -> Vec<u8> {
    let mut pack = Builder::new();
    let text = b"line one\nline two\n".repeat(40);
    pack.whole(1, b"tree 1111111111111111111111111111111111111111\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nthe message\n");
    pack.whole(2, &[b"100644 a name\0".as_slice(), &[7; 20]].concat());
    let base = pack.whole(3, &text);
    pack.behind(base, &appended(&text, b"appended by distance"));
    pack.named(id("blob", &text), &appended(&text, b"appended by name"));
    pack.named([9; 20], &appended(&text, b"appended to what is not here"));
    pack.whole(4, b"object 1111111111111111111111111111111111111111\ntype commit\ntag v1\ntagger a <a@b> 1 +0000\n\nthe tag\n");
    pack.whole(3, b"");
    pack.push()
}

#[test]
fn every_kind_of_object_is_told_and_only_a_base_that_is_not_here_is_missed() {
    let (told, push) = read_with(LIMITS, [sample().as_slice()]);
    assert!(!told.malformed && matches!(*told.missed, [(_, Miss::Base)]), "{:?}", told.missed);
    for text in
        ["the message", "a name\n", "line two", "appended by distance", "appended by name", "appended to what is not here", "the tag"]
    {
        assert!(told.holds(text.as_bytes()), "{text}");
    }
    assert!(told.holds(b"line two\nappended by distance"), "with what stands around it");
    assert_eq!(push.told(), sample().len() as u64 - 20, "the checksum is never told");
    assert_eq!(push.commands().updates.len(), 1);
}

#[test]
fn a_base_that_comes_later_or_through_others_is_waited_for() {
    let mut pack = Builder::new();
    let first = b"the first half ".to_vec();
    let second = [first.as_slice(), b"and the second "].concat();
    let third = [second.as_slice(), b"and the third"].concat();
    pack.named(id("blob", &second), &appended(&second, b"and the third"));
    pack.named(id("blob", &first), &appended(&first, b"and the second "));
    pack.whole(3, &first);
    let told = read(&pack.push());
    assert!(told.missed.is_empty() && told.holds(&third), "{told:?}");
}

#[test]
fn a_chain_of_extreme_depth_is_followed_in_either_order() {
    for forward in [true, false] {
        let mut contents = vec![b"0".to_vec()];
        for n in 1..5000 {
            let text = [contents[0].as_slice(), format!(" {n}").as_bytes()].concat();
            contents.push(text);
        }
        let mut pack = Builder::new();
        // Each is the base of the next.
        let mut links: Vec<([u8; 20], Vec<u8>)> = contents
            .windows(2)
            .map(|pair| {
                let delta = [
                    &[u8::try_from(pair[0].len()).unwrap(), u8::try_from(pair[1].len()).unwrap(), u8::try_from(pair[1].len()).unwrap()],
                    pair[1].as_slice(),
                ]
                .concat();
                (id("blob", &pair[0]), delta)
            })
            .collect();
        if !forward {
            links.reverse();
        }
        if forward {
            pack.whole(3, &contents[0]);
        }
        for (base, delta) in &links {
            pack.named(*base, delta);
        }
        if !forward {
            pack.whole(3, &contents[0]);
        }
        let (told, push) = read_with(Limits { memory: 8 << 20, ..LIMITS }, [pack.push().as_slice()]);
        assert!(told.missed.is_empty() && told.holds(b" 4999"), "{:?}", told.missed.first());
        assert!(push.memory() < 16 << 20);
    }
}

#[test]
fn memory_is_bounded_and_what_does_not_fit_is_a_gap() {
    let mut pack = Builder::new();
    let base = pack.whole(3, b"half of it");
    let mut seed = 1_u32;
    for _ in 0..200 {
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .take(50_000)
        .collect();
        pack.whole(3, &noise);
    }
    let at = pack.behind(base, &appended(b"half of it", b", and the rest"));
    let bytes = pack.push();
    let start = bytes.windows(4).position(|w| w == b"PACK").expect("a pack");
    let (told, push) = read_with(LIMITS, bytes.chunks(10_000));
    assert_eq!(told.missed, [((at + start) as u64, Miss::Bound)]);
    assert!(told.holds(b", and the rest"), "what is added is looked at all the same");
    assert!(push.memory() < 2 << 20, "{}", push.memory());
}

#[test]
fn what_was_let_go_is_made_again() {
    let mut pack = Builder::new();
    let first = b"one ".repeat(2000);
    let second = appended(&first, b"half of it");
    let base = pack.whole(3, &first);
    let base = pack.behind(base, &second);
    let whole = [first.as_slice(), b"half of it"].concat();
    for n in 0..400_u32 {
        pack.whole(3, format!("{n} ").repeat(10_000).as_bytes());
    }
    pack.behind(base, &appended(&whole, b", and the rest"));
    let limits = Limits { grace: 64 << 20, ..LIMITS };
    let (told, push) = read_with(limits, pack.push().chunks(10_000));
    assert!(told.missed.is_empty() && told.holds(b"half of it, and the rest"), "{:?}", told.missed);
    assert!(push.memory() < 2 << 20, "{}", push.memory());
}

#[test]
fn an_object_too_long_to_be_held_is_told_in_pieces() {
    let mut pack = Builder::new();
    let long = b"a long line of text, as long as it is\n".repeat(100_000);
    pack.whole(3, &long);
    pack.whole(3, b"short");
    let (told, push) = read_with(Limits { grace: 1 << 30, ..LIMITS }, pack.push().chunks(1000).map(<[u8]>::as_ref));
    assert!(told.missed.is_empty() && !told.open);
    assert_eq!(told.texts[1].1.len(), long.len());
    assert_eq!(told.texts[1].0, format!("{:?}+", Some(Object::Blob)));
    assert!(push.memory() < 2 << 20);
}

#[test]
fn packs_that_lie_are_gaps_and_bounded() {
    let bomb = vec![0_u8; 20 << 20];
    let mut cases: Vec<(&str, Builder, Miss)> = Vec::new();
    let mut add = |name, miss, make: &dyn Fn(&mut Builder)| {
        let mut pack = Builder::new();
        make(&mut pack);
        cases.push((name, pack, miss));
    };
    add("more than it says", Miss::Broken, &|p| {
        p.raw(&head(3, 3), b"four");
    });
    add("less than it says", Miss::Broken, &|p| {
        p.raw(&head(3, 5), b"four");
    });
    add("far more than it says", Miss::Broken, &|p| {
        p.raw(&head(3, 5), &vec![b'x'; 1 << 20]);
    });
    add("an exabyte", Miss::Broken, &|p| {
        p.raw(&head(3, 1 << 60), b"x");
    });
    add("a bomb", Miss::Bound, &|p| {
        p.whole(3, &bomb);
    });
    add("no kind", Miss::Broken, &|p| {
        p.raw(&head(5, 4), b"four");
    });
    add("a base before the pack", Miss::Broken, &|p| {
        p.raw(&[head(6, 4), vec![0x7f]].concat(), b"four");
    });
    add("its own base", Miss::Broken, &|p| {
        p.raw(&[head(6, 4), vec![0]].concat(), b"four");
    });
    add("no delta", Miss::Broken, &|p| {
        let base = p.whole(3, b"base");
        p.behind(base, b"\x04\x04\x00what");
    });
    add("a delta for another base", Miss::Broken, &|p| {
        let base = p.whole(3, b"base");
        p.behind(base, &appended(b"other base", b"x"));
    });
    add("a base that no entry is", Miss::Bound, &|p| {
        let base = p.whole(3, b"base");
        p.behind(base + 1, &appended(b"base", b"x"));
    });
    add("a delta that makes too much", Miss::Bound, &|p| {
        let base = p.whole(3, &vec![b'x'; 65_000]);
        // Copies of 64 KB each.
        let steps: Vec<u8> = std::iter::repeat_n([0xb0, 0xe8, 0xfd], 100).flatten().collect();
        p.behind(base, &[&[0xe8, 0xfb, 3, 0xa0, 0xdd, 0x8c, 3][..], &steps].concat());
    });
    for (name, pack, miss) in cases {
        let (told, push) = read_with(LIMITS, pack.push().chunks(4096));
        assert!(!told.malformed, "{name}");
        assert!(told.missed.iter().any(|(_, m)| *m == miss), "{name}: {:?}", told.missed);
        assert!(push.memory() < 3 << 20, "{name}: {}", push.memory());
    }
}

#[test]
fn counts_and_checksums_that_lie_are_gaps() {
    let whole = sample();
    let count = whole.windows(4).position(|w| w == b"PACK").expect("a pack") + 11;
    for (name, change) in [("more", 1_i8), ("fewer", -1)] {
        let mut bytes = whole.clone();
        bytes[count] = bytes[count].wrapping_add_signed(change);
        let told = read(&bytes);
        assert!(!told.missed.is_empty() && !told.open, "{name}");
    }
    let mut wrong = whole.clone();
    *wrong.last_mut().expect("one") ^= 1;
    let trailing = [whole.as_slice(), b"and a word behind it"].concat();
    for bytes in [
        &wrong[..],
        &whole[..whole.len() - 1],
        &whole[..whole.len() / 2],
        &trailing,
        &push(ZERO, &"1".repeat(40), b"no pack at all, but text"),
    ] {
        let told = read(bytes);
        assert!(told.missed.iter().any(|(_, miss)| *miss == Miss::Broken));
    }
    let (_, broken) = read_with(LIMITS, [trailing.as_slice()]);
    assert!(broken.broken() && broken.told() <= whole.len() as u64, "what is told ends where the pack does");
}

#[test]
fn what_is_no_push_is_malformed() {
    for bytes in [&b""[..], b"hello", b"0003", b"0004", b"fff1", b"0001", b"00", b"0000x", b"zzzz", b"-001", b"0006\n\n"] {
        assert!(read(bytes).malformed, "{bytes:?}");
    }
    assert!(!read(b"0000").malformed, "the probe before a long push");
    let deletion = [packet(&format!("{} {ZERO} refs/heads/x\0", "1".repeat(40))), b"0000".to_vec()].concat();
    assert!(!read(&deletion).malformed);
    assert!(read(&[deletion.as_slice(), b"PACK"].concat()).malformed, "no pack follows deletions alone");
    assert_eq!(Push::new(LIMITS).finish(&mut |_| {}), Err(Malformed));
}

#[test]
fn a_descendant_is_proven_by_the_commits_of_the_pack() {
    let commit = |parent: &str, n: u32| {
        let parent = if parent.is_empty() { String::new() } else { format!("parent {parent}\n") };
        format!("tree {ZERO}\n{parent}author a <a@b> {n} +0000\ncommitter a <a@b> {n} +0000\n\n{n}\n").into_bytes()
    };
    let old = "2".repeat(40);
    let middle = commit(&old, 1);
    let tip = commit(&hex(&id("commit", &middle)), 2);
    let other = commit("", 3);
    for (new, proven) in [(&tip, true), (&other, false)] {
        let mut pack = Builder::new();
        pack.whole(1, &tip);
        let base = pack.whole(1, &middle);
        // As a delta, a commit counts as well.
        pack.behind(
            base,
            &[
                &[u8::try_from(middle.len()).unwrap() | 0x80, 1, u8::try_from(other.len()).unwrap(), u8::try_from(other.len()).unwrap()],
                other.as_slice(),
            ]
            .concat(),
        );
        let bytes = push(&old, &hex(&id("commit", new)), &pack.pack());
        let (told, push) = read_with(LIMITS, bytes.chunks(7));
        assert!(!told.malformed);
        assert_eq!(push.descends(&push.commands().updates[0]), proven);
    }
    let empty = push(&old, &"3".repeat(40), &Builder::new().pack());
    let (told, push) = read_with(LIMITS, [empty.as_slice()]);
    assert!(told.missed.is_empty() && !push.descends(&push.commands().updates[0]), "nothing shows it");
    let _: Option<Id> = push.commands().updates[0].new;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn chunks_change_nothing_that_is_told(cuts in prop::collection::vec(1_usize..400, 0..30), flip in prop::option::of((0_usize..3000, any::<u8>())), cut in 0_usize..3000) {
        let mut bytes = sample();
        if let Some((at, value)) = flip {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if cut % 3 == 0 {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        let mut chunks = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        prop_assert_eq!(read_with(LIMITS, [bytes.as_slice()]).0, read_with(LIMITS, chunks).0);
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..600), pack in any::<bool>()) {
        let bytes = if pack { push(ZERO, &"1".repeat(40), &[b"PACK\0\0\0\x02\0\0\0\x03".as_slice(), &bytes].concat()) } else { bytes };
        let (_, push) = read_with(LIMITS, bytes.chunks(11));
        prop_assert!(push.memory() < 2 << 20);
    }
}
