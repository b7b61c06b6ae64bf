//! Secrets out, placeholders in.

use std::ops::Range;

use engine::Finding;

/// One span that is to be replaced, in offsets of its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replacement {
    pub(crate) span: Range<u64>,
    placeholder: String,
    /// For a place too short for that: without the detector.
    short: String,
    /// Whether the secret stands inside a compressed or packed layer, where no byte can be exchanged.
    rigid: bool,
}

impl Replacement {
    /// The placeholder for a finding: the same for the same secret, so that a conversation that is sent again stays the same.
    pub(crate) fn of(finding: &Finding) -> Replacement {
        const RIGID: [&str; 8] = ["gzip", "deflate", "zlib", "br", "zstd", "zip", "tar", "compress"];
        let print = finding.fingerprint.to_string();
        let print = print.get(..4).unwrap_or_default();
        Replacement {
            span: finding.span.clone(),
            placeholder: format!("[portcullis:{}:{}]", finding.detector.id, print),
            short: format!("[portcullis:{print}]"),
            // Compression inside a text encoding is a run of text, which can be exchanged as a whole.
            rigid: finding.trail.first().is_some_and(|layer| RIGID.contains(layer)),
        }
    }
}

/// What the place of a replacement asks of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A header's value: as it is.
    Header,
    /// A path, a query or a form: percent-encoded (RFC 3986 section 2.1).
    Escaped,
    /// Text of a body: as it is.
    Text,
    /// Text whose length is fixed: cut or filled to the span's length.
    Exact,
    /// The same in a path, a query or a form, where brackets and colons would need to be escaped.
    ExactEscaped,
}

/// `bytes`, which begin at `base` of their location, with all replacements made that lie in them. `None`: it cannot be done here.
pub(crate) fn rewrite(bytes: &[u8], base: u64, replacements: &[Replacement], place: Place) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0_usize;
    for (span, replacement) in merged(replacements) {
        if replacement.rigid {
            return None;
        }
        let start = usize::try_from(span.start.checked_sub(base)?).ok()?;
        let end = usize::try_from(span.end.checked_sub(base)?).ok()?;
        let run = bytes.get(start..end)?;
        // Bytes that are no text have a form that we would break.
        if run.is_empty() || run.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace()) {
            return None;
        }
        let placeholder = text(replacement, run.len(), place);
        out.extend_from_slice(bytes.get(at..start)?);
        if place == Place::Text {
            out.extend_from_slice(&dressed(run, placeholder.as_bytes())?);
        } else {
            out.extend_from_slice(placeholder.as_bytes());
        }
        at = end;
    }
    out.extend_from_slice(bytes.get(at..)?);
    Some(out)
}

/// The placeholder as the run was written: between the same line breaks and indents, and where the run is a literal, a list or a call, as a
/// string literal. `None`: how strings are quoted here cannot be seen.
fn dressed(run: &[u8], placeholder: &[u8]) -> Option<Vec<u8>> {
    let (before, core, behind) = layout(run);
    let quotes: [&[u8]; 4] = [b"\\\"", b"\"", b"'", b"`"];
    let literal = quotes.into_iter().find(|q| core.len() >= 2 * q.len() && core.starts_with(q) && core.ends_with(q));
    let bracket = matches!((core.first(), core.last()), (Some(b'['), Some(b']')) | (Some(b'{'), Some(b'}'))) || core.ends_with(b")");
    let quote = match literal {
        Some(quote) => quote,
        None if bracket => quotes.into_iter().find(|q| core.windows(q.len()).any(|w| w == *q))?,
        None => b"",
    };
    Some([before, quote, placeholder, quote, behind].concat())
}

/// The line breaks and indents at both ends, as bytes or as `\n` in text, and what is between them.
fn layout(run: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let breaks = |end: &[u8]| ["\\n", "\\r", "\n", "\r", " ", "\t"].iter().find(|b| end.ends_with(b.as_bytes())).map_or(0, |b| b.len());
    let mut end = run.len();
    while let Some(n) = run.get(..end).map(breaks).filter(|n| *n > 0) {
        end -= n;
    }
    let start = run.iter().take(end).take_while(|b| b.is_ascii_whitespace()).count();
    (&run[..start], &run[start..end], &run[end..])
}

/// Spans that overlap become one, under the name of the first.
fn merged(replacements: &[Replacement]) -> Vec<(Range<u64>, &Replacement)> {
    let mut sorted: Vec<&Replacement> = replacements.iter().collect();
    sorted.sort_by_key(|r| (r.span.start, r.span.end));
    let mut out: Vec<(Range<u64>, &Replacement)> = Vec::with_capacity(sorted.len());
    for replacement in sorted {
        match out.last_mut() {
            Some((span, first)) if replacement.span.start < span.end => {
                span.end = span.end.max(replacement.span.end);
                if replacement.rigid {
                    *first = replacement;
                }
            }
            _ => out.push((replacement.span.clone(), replacement)),
        }
    }
    out
}

fn text(replacement: &Replacement, len: usize, place: Place) -> String {
    let plain = &replacement.placeholder;
    match place {
        Place::Header | Place::Text => plain.clone(),
        Place::Escaped => plain.replace('[', "%5B").replace(']', "%5D").replace(':', "%3A"),
        Place::ExactEscaped => text(replacement, len, Place::Exact).replace(['[', ']', ':'], "_"),
        Place::Exact => {
            let fitting = [plain, &replacement.short].into_iter().find(|text| text.len() <= len).map_or("", String::as_str);
            format!("{fitting}{}", "*".repeat(len - fitting.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replacement(span: Range<u64>) -> Replacement {
        Replacement { span, placeholder: "[portcullis:x:0a1b]".into(), short: "[portcullis:0a1b]".into(), rigid: false }
    }

    #[test]
    fn placeholders_stand_where_the_secrets_stood() {
        let rewrite =
            |place| String::from_utf8(rewrite(b"key=SECRETSECRETSECRETSECRET&a=1", 0, &[replacement(4..28)], place).unwrap()).unwrap();
        assert_eq!(rewrite(Place::Text), "key=[portcullis:x:0a1b]&a=1");
        assert_eq!(rewrite(Place::Escaped), "key=%5Bportcullis%3Ax%3A0a1b%5D&a=1");
        assert_eq!(rewrite(Place::Exact), "key=[portcullis:x:0a1b]*****&a=1");
        assert_eq!(rewrite(Place::ExactEscaped), "key=_portcullis_x_0a1b_*****&a=1");
    }

    #[test]
    fn a_replaced_run_leaves_lines_and_literals_whole() {
        let dressed = |run: &str| dressed(run.as_bytes(), b"[x]").map(|d| String::from_utf8(d).unwrap());
        assert_eq!(dressed("  QUJD\n  REVG\n").as_deref(), Some("  [x]\n"));
        assert_eq!(dressed(r"QUJD\nREVG\n").as_deref(), Some(r"[x]\n"));
        assert_eq!(dressed(r#"["QUJD", "REVG"]"#).as_deref(), Some(r#""[x]""#));
        assert_eq!(dressed(r#"[\"QUJD\", \"REVG\"]"#).as_deref(), Some(r#"\"[x]\""#));
        assert_eq!(dressed("'QU' + 'JD'").as_deref(), Some("'[x]'"));
        assert_eq!(dressed("chr(12)"), None);
    }

    #[test]
    fn an_exact_placeholder_takes_the_room_there_is() {
        let fit = |len: u64| String::from_utf8(rewrite(&[b'S'; 24], 0, &[replacement(0..len)], Place::Exact).unwrap()).unwrap();
        assert!(fit(20).starts_with("[portcullis:x:0a1b]*S"));
        assert!(fit(18).starts_with("[portcullis:0a1b]*S"));
        assert!(fit(5).starts_with("*****S"));
    }

    #[test]
    fn what_cannot_be_done_is_not_done() {
        assert_eq!(rewrite(b"abc", 0, &[replacement(2..9)], Place::Text), None, "beyond the end");
        assert_eq!(rewrite(b"abc", 5, &[replacement(2..4)], Place::Text), None, "before the beginning");
        assert_eq!(rewrite(b"a\0c", 0, &[replacement(0..3)], Place::Text), None, "no text");
        let rigid = Replacement { rigid: true, ..replacement(0..2) };
        assert_eq!(rewrite(b"abc", 0, &[replacement(0..3), rigid], Place::Text), None, "inside compression");
    }

    proptest! {
        #[test]
        fn no_replaced_byte_is_left(spans in prop::collection::vec((0_u64..90, 1_u64..10), 0..8), base in 0_u64..50) {
            let bytes = vec![b'S'; 100];
            let all: Vec<Replacement> = spans.iter().map(|(at, len)| replacement(at + base..at + len + base)).collect();
            let covered = (0..100).filter(|i| spans.iter().any(|(at, len)| (*at..at + len).contains(i))).count();
            let new = rewrite(&bytes, base, &all, Place::Text).unwrap();
            prop_assert_eq!(new.iter().filter(|b| **b == b'S').count(), 100 - covered);
            prop_assert_eq!(rewrite(&bytes, base, &all, Place::Exact).unwrap().len(), 100);
        }
    }
}
