//! The pixels of a PNG: inflated step by step, of which only runs of text are kept. Most pictures decode to many times what their file takes, and to
//! nothing that anybody could read.

use std::ops::{ControlFlow, Range};

use simd::next_run;

use super::super::leaf;
use crate::Gap;
use crate::layers::coding::Decoder;
use crate::layers::sink::{Flow, Sink};

/// A run of text is at least this long, and has so many different characters: plain colours are printable too.
const LEAST: usize = 20;
const DIFFERENT: usize = 8;
/// Text that is kept, in bytes; more is no picture.
const MOST: usize = 1 << 20;
/// A run longer than this is looked at in pieces.
const LONGEST: usize = 64 << 10;
/// What inflating and looking for text costs: one unit of work for so many bytes.
const CHEAP: u64 = 16;

/// Looks at the stream that `parts` of the view are together.
pub(in crate::layers::container) fn look(sink: &mut Sink<'_, '_>, parts: &[Range<usize>]) -> Flow {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return ControlFlow::Continue(()) };
    let run = first.start..last.end;
    let bytes = sink.bytes();
    let Some(mut decoder) = Decoder::new("zlib") else { return ControlFlow::Continue(()) };
    let (mut texts, mut step) = (Texts::default(), Vec::new());
    for (i, part) in parts.iter().enumerate() {
        let mut at = part.start;
        loop {
            step.clear();
            let taken = decoder.feed(bytes.get(at..part.end).unwrap_or_default(), &mut step);
            let Some(taken) = taken.ok().filter(|_| !decoder.finished() || !step.is_empty()) else {
                // No stream, or an end before the end: what is left is looked at as it stands.
                leaf(sink, at..part.end, "png-chunk")?;
                for rest in parts.iter().skip(i + 1) {
                    leaf(sink, rest.clone(), "png-chunk")?;
                }
                return sink.unpacked(texts.end(), run, "png-pixels");
            };
            at += taken;
            if taken == 0 && step.is_empty() {
                break;
            }
            if !sink.budget.take(step.len() as u64, run.start) {
                return sink.unpacked(texts.end(), run, "png-pixels");
            }
            sink.work(step.len() as u64 / CHEAP + 1, run.start)?;
            if !texts.push(&step) {
                sink.budget.miss(run.start, Gap::Budget);
                return sink.unpacked(texts.end(), run, "png-pixels");
            }
        }
    }
    sink.unpacked(texts.end(), run, "png-pixels")
}

/// Runs of text in what comes piece by piece.
#[derive(Default)]
struct Texts {
    /// The last bytes, of which a run may go on.
    tail: Vec<u8>,
    found: Vec<u8>,
}

impl Texts {
    /// Takes the next bytes; `false` when there is more text than is kept.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.tail.extend_from_slice(bytes);
        let open = self.tail.iter().rev().take(LONGEST).take_while(|b| super::super::PRINTABLE.has(**b)).count();
        let whole = self.tail.len() - if open < LONGEST { open } else { 0 };
        self.keep(whole);
        self.tail.drain(..whole);
        self.found.len() <= MOST
    }

    fn keep(&mut self, whole: usize) {
        let bytes = self.tail.get(..whole).unwrap_or_default();
        let mut at = 0;
        while let Some(run) = next_run(bytes, at, &super::super::PRINTABLE, LEAST) {
            at = run.end;
            let text = bytes.get(run).unwrap_or_default();
            if varied(text) {
                self.found.extend_from_slice(text);
                self.found.push(b'\n');
            }
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.keep(self.tail.len());
        self.found
    }
}

fn varied(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    text.iter().for_each(|b| seen[usize::from(*b)] = true);
    seen.iter().filter(|s| **s).count() >= DIFFERENT
}
