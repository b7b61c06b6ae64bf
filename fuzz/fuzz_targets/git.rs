//! Pushes: any bytes, and packs made of any objects, deltas and lies. Reading ends, in bounded memory, and tells the same however it is cut.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git::{Advertisement, Event, Limits, Push, Service};
use libfuzzer_sys::fuzz_target;
use sha1::{Digest, Sha1};

const LIMITS: Limits = Limits { memory: 256 << 10, grace: 1 << 20, ratio: 50 };
const COMMAND: &str = "0000000000000000000000000000000000000001 0000000000000000000000000000000000000002 refs/heads/main\0report-status";

fuzz_target!(|input: (bool, Vec<(u8, u16, Vec<u8>)>, &[u8], u8)| {
    let (make, entries, bytes, cut) = input;
    let text = String::from_utf8_lossy(bytes);
    drop(Service::of("POST", &text, None));
    drop(Service::of("GET", &text, Some(&text)));
    assert_eq!(advertised(bytes, bytes.len().max(1)), advertised(bytes, usize::from(cut).max(1)));
    let body = if make { push(&entries, bytes) } else { bytes.to_vec() };
    assert_eq!(read(&body, body.len().max(1)), read(&body, usize::from(cut).max(1)));
});

/// A push with a pack of these entries: kind, what is added to the length that is told, or the distance, and content.
fn push(entries: &[(u8, u16, Vec<u8>)], name: &[u8]) -> Vec<u8> {
    let mut pack = [b"PACK\0\0\0\x02".as_slice(), &u32::try_from(entries.len()).unwrap_or(0).to_be_bytes()].concat();
    let mut starts = Vec::new();
    for (kind, number, content) in entries {
        let start = pack.len();
        let lie = if *kind > 250 { usize::from(*number) } else { 0 };
        let kind = kind % 8;
        let mut rest = (content.len() + lie) >> 4;
        pack.push(kind << 4 | ((content.len() + lie) & 15) as u8);
        while rest > 0 {
            *pack.last_mut().expect("one") |= 0x80;
            pack.push((rest & 0x7f) as u8);
            rest >>= 7;
        }
        match kind {
            6 => {
                let base: usize = starts.get(usize::from(*number) % starts.len().max(1)).copied().unwrap_or_default();
                let mut distance = start - base;
                let mut digits = vec![(distance & 0x7f) as u8];
                while distance >> 7 > 0 {
                    distance = (distance >> 7) - 1;
                    digits.insert(0, 0x80 | (distance & 0x7f) as u8);
                }
                pack.extend(digits);
            }
            7 => {
                // The name of an object of the pack, before or after this one.
                let of = entries.get(usize::from(*number) % entries.len()).map(|(_, _, content)| content.as_slice()).unwrap_or(name);
                let mut hash = Sha1::new();
                hash.update(format!("blob {}\0", of.len()));
                hash.update(of);
                pack.extend(hash.finalize());
            }
            _ => {}
        }
        let mut encoder = ZlibEncoder::new(pack, Compression::fast());
        encoder.write_all(content).expect("in memory");
        pack = encoder.finish().expect("in memory");
        starts.push(start);
    }
    pack.extend(Sha1::digest(&pack));
    [format!("{:04x}{COMMAND}0000", COMMAND.len() + 4).as_bytes(), &pack].concat()
}

/// What a client is told of where it may push.
fn advertised(bytes: &[u8], chunk: usize) -> Vec<u8> {
    let mut advertisement = Advertisement::default();
    let mut out: Vec<u8> = bytes.chunks(chunk).flat_map(|part| advertisement.push(part, false)).collect();
    out.extend(advertisement.push(&[], true));
    assert!(out == bytes || out.len() == bytes.len() + " no-thin".len());
    out
}

/// What is told, and whether it is a push at all.
fn read(body: &[u8], chunk: usize) -> (Vec<(String, Vec<u8>)>, bool, bool) {
    let (mut told, mut push, mut open) = (Vec::new(), Push::new(LIMITS), false);
    let mut take = |event: Event<'_>| match event {
        Event::Line { text, bytes, span } => told.push((format!("{text:?} {span:?}"), bytes.to_vec())),
        Event::Object { object, bytes, span } => told.push((format!("{object:?} {span:?}"), bytes.to_vec())),
        Event::Piece { object, start, last, .. } => {
            // How much a broken stream gives before it breaks depends on how it comes.
            if !open {
                told.push((format!("{object:?} from {start}"), Vec::new()));
            }
            open = !last;
        }
        Event::Missed { at, miss } => told.push((format!("{miss:?} {at}"), Vec::new())),
    };
    let read = body.chunks(chunk).try_for_each(|part| push.push(part, &mut take)).and_then(|()| push.finish(&mut take));
    assert!(push.told() <= body.len() as u64 && push.memory() < 8 << 20);
    let descends = push.commands().updates.iter().any(|update| push.descends(update));
    (told, read.is_ok(), descends)
}
