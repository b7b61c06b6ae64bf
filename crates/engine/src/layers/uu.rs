//! Lines of uuencode and xxencode without the line that announces them: the first character says how long a line is, and it is.

use std::ops::{ControlFlow, Range};

use super::census;
use super::sink::{Flow, Sink};

/// A single line with less bytes may be chance.
const MIN: usize = 20;
/// xxencode has letters and digits only.
const XX: &[u8; 64] = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What each byte stands for in xxencode; 0xff for those that it has not.
static XX_VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut i = 0;
    while i < XX.len() {
        values[XX[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Blocks of such lines.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    // Most views are one line.
    if !sink.census.any(census::LINE) && !may_be(bytes.strip_suffix(b"\r").unwrap_or(bytes)) {
        return ControlFlow::Continue(());
    }
    let mut blocks = [(false, Vec::new(), None), (true, Vec::new(), None)];
    // Whether one of them has begun.
    let mut begun = false;
    let mut at = 0;
    let breaks = sink.breaks();
    for end in breaks.iter().copied().chain([bytes.len()]) {
        let from = at;
        let line = bytes.get(from..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let may_be = may_be(line);
        at = end + 1;
        if !may_be && !begun {
            continue;
        }
        begun = false;
        for (xx, decoded, run) in &mut blocks {
            if may_be && fits(line, *xx) && decode(line, *xx, decoded) {
                let start = run.as_ref().map_or(from, |r: &Range<usize>| r.start);
                *run = Some(start..from + line.len());
                begun = true;
            } else if run.is_some() {
                flush(sink, decoded, run.take())?;
            }
        }
    }
    blocks.into_iter().try_for_each(|(_, mut decoded, run)| flush(sink, &mut decoded, run))
}

fn flush(sink: &mut Sink<'_, '_>, decoded: &mut Vec<u8>, run: Option<Range<usize>>) -> Flow {
    let decoded = std::mem::take(decoded);
    match run {
        Some(run) if decoded.len() >= MIN && super::container::worth(&decoded) && !sink.claimed(&run) => {
            sink.run(decoded, run, "uuencode", None)
        }
        _ => ControlFlow::Continue(()),
    }
}

/// Whether a line may be one of either kind. A first character stands for 63 at most.
fn may_be(line: &[u8]) -> bool {
    line.len() % 4 == 1 && line.len() <= 85 && (fits(line, false) || fits(line, true))
}

fn value(byte: u8, xx: bool) -> Option<u8> {
    if xx {
        return Some(XX_VALUES[usize::from(byte)]).filter(|v| *v < 64);
    }
    (0x20..=0x60).contains(&byte).then(|| (byte - 0x20) & 0x3f)
}

/// Whether a line is as long as its first character says: hardly any other is.
fn fits(line: &[u8], xx: bool) -> bool {
    let length = line.first().and_then(|b| value(*b, xx)).map_or(0, usize::from);
    length > 0 && line.len() == 1 + length.div_ceil(3) * 4
}

fn decode(line: &[u8], xx: bool, out: &mut Vec<u8>) -> bool {
    let Some((length, data)) = line.split_first().and_then(|(b, data)| Some((usize::from(value(*b, xx)?), data))) else { return false };
    let Some(six) = data.iter().map(|b| value(*b, xx)).collect::<Option<Vec<u8>>>() else { return false };
    let bytes = six.chunks_exact(4).flat_map(|q| [q[0] << 2 | q[1] >> 4, q[1] << 4 | q[2] >> 2, q[2] << 6 | q[3]]);
    out.extend(bytes.take(length));
    true
}
