//! What a server says of its refs before a push, with one word added: that packs must be whole (gitprotocol-capabilities, "no-thin").
//!
//! A client's packs are thin by default: they hold what a file has changed against one that the server has, and no reader in between can tell what
//! comes of it, not even whether a secret does that is partly old text. A client that is told so sends whole objects.

/// Bytes that are looked through for the first ref. A line has at most 65,520 (gitprotocol-common), and two short ones may come before it.
const MOST: usize = 66_000;
/// The longest line, with its length.
const LONGEST: usize = 65_520;
const NO_THIN: &[u8] = b" no-thin";

/// The body of an answer to `GET …/info/refs?service=git-receive-pack`, as it comes.
#[derive(Default)]
pub struct Advertisement {
    held: Vec<u8>,
    done: bool,
}

impl std::fmt::Debug for Advertisement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advertisement").field("held", &self.held.len()).field("done", &self.done).finish()
    }
}

enum Found {
    /// The first ref has not come as a whole.
    Short,
    /// The first ref's line, from where it begins to where it ends.
    Line(usize, usize),
    /// It is no advertisement, or none of this form.
    Nothing,
}

impl Advertisement {
    /// Takes the next bytes (`end`: the last ones) and gives those that may go on. What is no advertisement goes on as it came.
    pub fn push(&mut self, bytes: &[u8], end: bool) -> Vec<u8> {
        if self.done {
            return bytes.to_vec();
        }
        self.held.extend_from_slice(bytes);
        match first_ref(&self.held) {
            Found::Short if !end && self.held.len() < MOST => return Vec::new(),
            Found::Line(start, stop) => self.add(start, stop),
            Found::Short | Found::Nothing => {}
        }
        self.done = true;
        std::mem::take(&mut self.held)
    }

    /// Adds the word to the line of the first ref: its capabilities follow a zero byte, and may end in a line feed.
    fn add(&mut self, start: usize, stop: usize) {
        let line = self.held.get(start..stop).unwrap_or_default();
        let Some(zero) = line.iter().position(|b| *b == 0) else { return };
        let known = line.get(zero + 1..).unwrap_or_default();
        let has = known.split(|b| b.is_ascii_whitespace()).any(|word| word == NO_THIN.trim_ascii());
        let length = line.len() + NO_THIN.len();
        if has || length > LONGEST {
            return;
        }
        let at = start + line.trim_ascii_end().len().max(zero + 1);
        self.held.splice(at..at, NO_THIN.iter().copied());
        self.held.splice(start..start + 4, format!("{length:04x}").into_bytes());
    }
}

/// Finds it behind the name of the service, the flush packet after that, and the protocol's version.
fn first_ref(bytes: &[u8]) -> Found {
    let mut at = 0;
    loop {
        let Some(digits) = bytes.get(at..at + 4) else { return Found::Short };
        let length = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(length) = length.and_then(|text| usize::from_str_radix(text, 16).ok()) else { return Found::Nothing };
        match length {
            0 => at += 4,
            5..=LONGEST => {
                let Some(line) = bytes.get(at + 4..at + length) else { return Found::Short };
                if !line.starts_with(b"#") && !line.starts_with(b"version ") {
                    return Found::Line(at, at + length);
                }
                at += length;
            }
            _ => return Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789012345678901234567890123456789";

    fn line(text: &str) -> String {
        format!("{:04x}{text}", text.len() + 4)
    }

    fn advertised(begin: &str, capabilities: &str) -> String {
        format!("{begin}{}{}0000", line(&format!("{ID} refs/heads/main\0{capabilities}\n")), line(&format!("{ID} refs/heads/other\n")))
    }

    fn passed(text: &str, chunk: usize) -> String {
        let mut advertisement = Advertisement::default();
        let mut out = Vec::new();
        for part in text.as_bytes().chunks(chunk) {
            out.extend(advertisement.push(part, false));
        }
        out.extend(advertisement.push(b"", true));
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_word_is_added_whatever_the_chunks() {
        let service = format!("{}0000", line("# service=git-receive-pack\n"));
        for begin in ["", service.as_str(), &format!("{service}{}", line("version 1\n"))] {
            let text = advertised(begin, "report-status ofs-delta");
            let wanted = advertised(begin, "report-status ofs-delta no-thin");
            for chunk in 1..=text.len() {
                assert_eq!(passed(&text, chunk), wanted);
            }
            assert_eq!(passed(&wanted, 7), wanted, "once is enough");
            assert_eq!(passed(&advertised(begin, ""), 9), advertised(begin, " no-thin"));
        }
    }

    #[test]
    fn what_is_no_advertisement_passes_as_it_is() {
        let long = format!("{ID} refs/heads/main\0{}\n", "x".repeat(LONGEST - 65));
        let many = line("# a\n").repeat(30_000);
        for text in ["", "0000", "00", "zzzz", "+004", "0003", "0004", "fff1a", "<html>not found</html>", &line(&long), &many] {
            for chunk in [1, 1000, 100_000] {
                let chunk = if text.len() > 10_000 { chunk.max(1000) } else { chunk };
                assert_eq!(passed(text, chunk), text.to_owned());
            }
        }
        let without = format!("{}0000", line(&format!("{ID} refs/heads/main\n")));
        assert_eq!(passed(&without, 5), without);
    }
}
