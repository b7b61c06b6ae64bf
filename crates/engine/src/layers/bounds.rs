//! Where an encoded run really begins and ends: what belongs to the way it is written, and says nothing by itself.
//!
//! A replaced run must not leave half an array or a bare prefix behind.

use std::ops::Range;

/// Longest name of a function before its bracket: `String.fromCharCode`.
const MAX_NAME: usize = 40;
/// Longest beginning of a `data:` URL (RFC 2397).
const MAX_DATA: usize = 128;

/// With the brackets around it, and the name of the function they call.
pub(super) fn enclosed(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let blank = |b: &&u8| b.is_ascii_whitespace();
    let before = bytes.get(..run.start).unwrap_or_default();
    let behind = bytes.get(run.end..).unwrap_or_default();
    let open = run.start - before.iter().rev().take(MAX_NAME).take_while(blank).count();
    let close = run.end + behind.iter().take(MAX_NAME).take_while(blank).count();
    let (Some(left), Some(right)) = (open.checked_sub(1).and_then(|i| bytes.get(i)), bytes.get(close)) else { return run };
    match (left, right) {
        (b'[', b']') | (b'{', b'}') => open - 1..close + 1,
        (b'(', b')') => {
            let name = before.get(..open - 1).unwrap_or_default().iter().rev().take(MAX_NAME);
            let name = name.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
            open - 1 - name..close + 1
        }
        _ => run,
    }
}

/// With the quotes at both ends.
pub(super) fn quoted(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let quote = |at: Option<usize>| at.and_then(|i| bytes.get(i)).filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    match (quote(run.start.checked_sub(1)), quote(Some(run.end))) {
        (Some(open), Some(close)) if open == close => run.start - 1..run.end + 1,
        _ => run,
    }
}

/// With the indent of its first line and the line break after its last, as a wrapped block has them.
pub(super) fn lines(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let before = bytes.get(..run.start).unwrap_or_default();
    let indent = before.iter().rev().take(MAX_NAME).take_while(|b| matches!(b, b' ' | b'\t')).count();
    let start = run.start - indent;
    // A block that follows text on its line has no indent.
    let fresh = before.get(..start).is_none_or(|b| b.last().is_none_or(|b| matches!(b, b'\n' | b'"')) || b.ends_with(b"\\n"));
    line_end(bytes, (if fresh { start } else { run.start })..run.end)
}

/// With the line break after it, as bytes or as `\n` in text, and the indent of what follows. Who replaces a run keeps both.
pub(super) fn line_end(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let behind = bytes.get(run.end..).unwrap_or_default();
    let Some(end) = [&b"\r\n"[..], b"\n", b"\\r\\n", b"\\n"].into_iter().find(|b| behind.starts_with(b)).map(<[u8]>::len) else {
        return run;
    };
    let indent = behind.iter().skip(end).take(MAX_NAME).take_while(|b| matches!(b, b' ' | b'\t')).count();
    run.start..run.end + end + indent
}

/// With the brackets of the list or the object that the literals of a row are.
pub(super) fn listed(bytes: &[u8], row: Range<usize>) -> Range<usize> {
    let list = enclosed(bytes, row.clone());
    if list != row {
        return list;
    }
    let object = enclosed(bytes, named(bytes, row.clone()));
    if bytes.get(object.start) == Some(&b'{') { object } else { row }
}

/// With the name that the first of several numbered values has.
fn named(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let before = bytes.get(run.start.saturating_sub(MAX_NAME)..run.start).unwrap_or_default();
    let name = before.iter().rev().take_while(|b| !matches!(b, b'{' | b',' | b';' | b'\n')).count();
    run.start - name..run.end
}

/// With the `data:…;base64,` before it.
pub(super) fn data_url(bytes: &[u8], run: Range<usize>) -> Range<usize> {
    let before = bytes.get(run.start.saturating_sub(MAX_DATA)..run.start).unwrap_or_default();
    if !before.ends_with(b",") {
        return run;
    }
    match memchr::memmem::rfind(before, b"data:") {
        Some(at) if !before.get(at..).unwrap_or_default().iter().any(u8::is_ascii_whitespace) => run.start - (before.len() - at)..run.end,
        _ => run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_quotes_lines_and_the_head_of_a_data_url_belong_to_the_run() {
        assert_eq!(enclosed(b"x = [ 1, 2 ];", 6..10), 4..12);
        assert_eq!(enclosed(b"y(String.fromCharCode(1,2))", 22..25), 2..26);
        assert_eq!(enclosed(b"[ 1, 2", 2..6), 2..6);
        assert_eq!(quoted(b"'a' + 'b'", 1..8), 0..9);
        assert_eq!(lines(b"k:\n  QUJD\n  REVG\nz", 5..16), 3..17);
        assert_eq!(listed(br#"{"k1": "a", "k2": "b"}"#, 7..21), 0..22);
        assert_eq!(listed(br#"{"k1": "a", "z": 1}"#, 7..10), 7..10);
        assert_eq!(lines(b"k: QUJD", 3..7), 3..7);
        assert_eq!(data_url(b"src=data:text/plain;base64,QUJD", 27..31), 4..31);
    }
}
