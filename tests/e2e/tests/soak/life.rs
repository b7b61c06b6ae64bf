//! One scanner process: its audit file, and what it counts.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ledger::{Counts, Ending, Life, Moment, Record};
use crate::place::Place;

/// A scanner process, from its start to its end.
#[derive(Debug)]
pub(crate) struct Process {
    number: usize,
    pub(crate) ip: Ipv4Addr,
    file: PathBuf,
    read: u64,
    before: Page,
    /// How it ended, with what it counted up to then.
    pub(crate) ended: Option<(Ending, Page)>,
}

/// What a scanner counts, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) counts: Counts,
    pub(crate) lost: u64,
    pub(crate) under_way: u64,
}

impl Page {
    /// Reads it from what stands at `/metrics`.
    pub(crate) fn read(text: &str) -> Page {
        let mut page = Page::default();
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts far below 2^53")]
            let value = value as u64;
            if let Some(labels) = name.strip_prefix("portcullis_requests_total{") {
                let label = |name: &str| Some(labels.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
                if let (Some(verdict), Some(reason)) = (label("verdict"), label("reason"))
                    && value > 0
                {
                    page.counts.insert((verdict, reason), value);
                }
            } else if name == "portcullis_audit_dropped_total" {
                page.lost = value;
            } else if name == "portcullis_streams" {
                page.under_way = value;
            }
        }
        page
    }

    pub(crate) fn requests(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl Process {
    pub(crate) fn new(number: usize, ip: Ipv4Addr, folder: &Path) -> Process {
        let file = folder.join(format!("{ip}.jsonl"));
        Process { number, ip, file, read: 0, before: Page::default(), ended: None }
    }

    /// How many lines it has written that were not taken yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.rest().iter().filter(|byte| **byte == b'\n').count() as u64
    }

    /// What of its counts was not accounted for yet.
    pub(crate) fn counted_since(&self, page: &Page) -> u64 {
        page.requests().saturating_sub(self.before.requests())
    }

    /// Takes what is new: records, and what it counted beside them. The file is searched by the caller for what must not be in it.
    pub(crate) fn take(&mut self, now: &Page) -> (Life, Vec<Record>, Vec<u8>) {
        let (ending, page) = self.ended.clone().unwrap_or((Ending::Lives, now.clone()));
        let bytes = self.rest();
        self.read += bytes.len() as u64;
        let mut records = Vec::new();
        let mut torn = 0;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match record(self.number, line) {
                Some(record) => records.push(record),
                None => torn += 1,
            }
        }
        let since = |(key, count): (&(String, String), &u64)| {
            let count = count - self.before.counts.get(key).copied().unwrap_or_default();
            (count > 0).then(|| (key.clone(), count))
        };
        let counted = page.counts.iter().filter_map(since).collect();
        let lost = page.lost - self.before.lost;
        self.before = page;
        (Life { number: self.number, ending, counted, lost, torn }, records, bytes)
    }

    fn rest(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Before its first record there may be no file.
        if let Ok(mut file) = File::open(&self.file) {
            file.seek(SeekFrom::Start(self.read)).expect("a file");
            file.read_to_end(&mut bytes).expect("a file that can be read");
        }
        bytes
    }
}

fn record(life: usize, line: &[u8]) -> Option<Record> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let text = |name: &str| Some(line.get(name)?.as_str()?.to_owned());
    Some(Record {
        life,
        time: moment(&text("time")?)?,
        id: text("request_id")?,
        place: Place::in_host(&text("host")?),
        sandbox: text("sandbox")?,
        verdict: text("verdict")?,
        reason: text("reason")?,
    })
}

fn moment(text: &str) -> Option<Moment> {
    let nanoseconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    Moment::try_from(nanoseconds / 1000).ok()
}

#[test]
fn a_page_of_metrics_is_read() {
    let text = "# HELP x y\nportcullis_requests_total{reason=\"clean\",verdict=\"allow\"} 12\nportcullis_requests_total{reason=\"internal\",\
                verdict=\"deny\"} 0\nportcullis_streams 3\nportcullis_streams_limit 20000\nportcullis_audit_dropped_total 2\n";
    let page = Page::read(text);
    assert_eq!(page.counts, Counts::from([(("allow".to_owned(), "clean".to_owned()), 12)]));
    assert_eq!((page.lost, page.under_way, page.requests()), (2, 3, 12));
}

#[test]
fn a_process_gives_what_is_new_and_counts_what_is_torn() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut process = Process::new(3, Ipv4Addr::LOCALHOST, folder.path());
    let line = r#"{"time":"1970-01-01T00:00:01.000002003Z","request_id":"a","sandbox":"s","host":"s5-w1.sink.example.net","verdict":"allow","reason":"r"}"#;
    let page = |count| Page { counts: Counts::from([(("allow".to_owned(), "r".to_owned()), count)]), ..Page::default() };
    assert!(process.take(&Page::default()).1.is_empty());
    std::fs::write(&process.file, format!("{line}\n{line}\n")).expect("written");
    assert_eq!((process.waiting(), process.counted_since(&page(2))), (2, 2));
    let (life, records, _) = process.take(&page(2));
    assert_eq!((life.counted.values().sum::<u64>(), life.torn, records.len()), (2, 0, 2));
    assert_eq!((records[0].time, records[0].place), (1_000_002, Some(Place { worker: 1, slot: 5 })));
    std::fs::write(&process.file, format!("{line}\n{line}\n{line}\n{{\"time\"")).expect("written");
    process.ended = Some((Ending::Killed, page(4)));
    let (life, records, bytes) = process.take(&Page::default());
    assert_eq!((life.counted.values().sum::<u64>(), life.torn, records.len(), life.ending), (2, 1, 1, Ending::Killed));
    assert!(bytes.ends_with(b"{\"time\""));
}
