//! What a push asks for, before its pack: lines of `old new ref` (gitprotocol-pack, "Reference Update Request"), plain or in a signed
//! certificate, and push options.

use std::fmt;
use std::ops::Range;

use crate::hash::{Format, Id};
use crate::push::Malformed;

/// One ref that is to change.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    /// What it is now; `None`: it is to be made.
    pub old: Option<Id>,
    /// What it is to be; `None`: it is to be deleted.
    pub new: Option<Id>,
    /// Its full name, `refs/heads/main`: a valid one.
    pub name: String,
    /// Where its line stands in the request.
    pub span: Range<u64>,
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("name_bytes", &self.name.len()).field("span", &self.span).finish_non_exhaustive()
    }
}

/// What the client understands and asks for (gitprotocol-capabilities), as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// It reads a report of what became of its refs.
    pub report_status: bool,
    /// It reads messages beside that report; the most bytes of one packet.
    pub side_band: Option<usize>,
    /// Push options follow the commands.
    pub push_options: bool,
    /// The hash of the repository.
    pub format: Format,
}

/// The commands of a push.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    /// The refs that are to change, in order.
    pub updates: Vec<Update>,
    /// What the client understands.
    pub capabilities: Capabilities,
    /// Whether they came in a push certificate. Whose it is and whether it is valid only the server can say.
    pub signed: bool,
}

impl Commands {
    /// Whether a pack follows: something is to be there afterwards that may not have been before.
    pub(crate) fn want_pack(&self) -> bool {
        self.updates.iter().any(|update| update.new.is_some())
    }
}

/// More refs than this are not pushed at once. Git's own mirrors stay below.
const MOST_UPDATES: usize = 100_000;
/// All lines before the pack together.
const MOST_BYTES: u64 = 16 << 20;

/// Where in the section of commands a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between commands.
    Commands,
    /// In the head of a certificate.
    CertificateHead,
    /// In the commands of a certificate.
    CertificateCommands,
    /// In its signature.
    Signature,
    /// In the push options.
    Options,
    /// Behind all of it.
    End,
}

/// Reads the section line by line.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) commands: Commands,
    at: At,
    bytes: u64,
    plain: bool,
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader { commands: Commands::default(), at: At::Commands, bytes: 0, plain: false }
    }

    /// Whether the section is complete.
    pub(crate) fn ended(&self) -> bool {
        self.at == At::End
    }

    /// Whether the ref commands are complete (options may follow).
    pub(crate) fn decided(&self) -> bool {
        matches!(self.at, At::Options | At::End)
    }

    /// A flush packet.
    pub(crate) fn flush(&mut self) -> Result<(), Malformed> {
        self.at = match self.at {
            At::Commands if self.commands.capabilities.push_options && !self.commands.updates.is_empty() => At::Options,
            At::Commands | At::Options => At::End,
            _ => return Err(Malformed),
        };
        Ok(())
    }

    /// The payload of a line that stands at `span`.
    pub(crate) fn line(&mut self, payload: &[u8], span: Range<u64>) -> Result<(), Malformed> {
        self.bytes = self.bytes.saturating_add(payload.len() as u64);
        if self.bytes > MOST_BYTES {
            return Err(Malformed);
        }
        let (line, capabilities) = match payload.iter().position(|b| *b == 0) {
            Some(at) => (payload.get(..at).unwrap_or_default(), payload.get(at + 1..)),
            None => (payload, None),
        };
        let chomped = line.strip_suffix(b"\n").unwrap_or(line);
        match self.at {
            At::Commands => {
                if let Some(list) = capabilities {
                    self.capabilities(list)?;
                }
                if chomped.starts_with(b"shallow ") {
                    return chomped.strip_prefix(b"shallow ").and_then(Id::hex).map(drop).ok_or(Malformed);
                }
                if chomped == b"push-cert" {
                    self.at = At::CertificateHead;
                    // Two lists of commands are two readings.
                    let first = !self.commands.signed && !self.plain;
                    self.commands.signed = true;
                    return if first { Ok(()) } else { Err(Malformed) };
                }
                self.plain = true;
                if self.commands.signed { Err(Malformed) } else { self.update(chomped, span) }
            }
            _ if capabilities.is_some() => Err(Malformed),
            At::Options => Ok(()),
            At::End => Err(Malformed),
            At::CertificateHead | At::CertificateCommands | At::Signature if line == b"push-cert-end\n" => {
                self.at = At::Commands;
                Ok(())
            }
            // A certificate is a text that was cut into packets: only cut at its lines it has one reading.
            At::CertificateHead | At::CertificateCommands if !line.ends_with(b"\n") || contains(chomped, b'\n') => Err(Malformed),
            At::CertificateHead => {
                if chomped.is_empty() {
                    self.at = At::CertificateCommands;
                }
                Ok(())
            }
            At::CertificateCommands if line.starts_with(b"-----BEGIN ") => {
                self.at = At::Signature;
                Ok(())
            }
            At::CertificateCommands => self.update(chomped, span),
            At::Signature => Ok(()),
        }
    }

    fn update(&mut self, line: &[u8], span: Range<u64>) -> Result<(), Malformed> {
        let mut parts = line.splitn(3, |b| *b == b' ');
        let old = parts.next().and_then(Id::hex).ok_or(Malformed)?;
        let new = parts.next().and_then(Id::hex).ok_or(Malformed)?;
        let name = parts.next().ok_or(Malformed)?;
        let valid = gix_validate::reference::name(name.into()).is_ok() && old.format() == new.format();
        let name = std::str::from_utf8(name).ok().filter(|_| valid).ok_or(Malformed)?;
        let (old, new) = (Some(old).filter(|id| !id.is_zero()), Some(new).filter(|id| !id.is_zero()));
        if self.commands.updates.len() >= MOST_UPDATES || (old.is_none() && new.is_none()) {
            return Err(Malformed);
        }
        self.commands.updates.push(Update { old, new, name: name.to_owned(), span });
        Ok(())
    }

    fn capabilities(&mut self, list: &[u8]) -> Result<(), Malformed> {
        let list = list.strip_suffix(b"\n").unwrap_or(list);
        let known = &mut self.commands.capabilities;
        for word in list.split(|b| *b == b' ') {
            match word {
                b"report-status" | b"report-status-v2" => known.report_status = true,
                // The largest packets of each (gitprotocol-capabilities), without length and band.
                b"side-band-64k" => known.side_band = Some(65_515),
                b"side-band" if known.side_band.is_none() => known.side_band = Some(995),
                b"push-options" => known.push_options = true,
                b"object-format=sha1" => known.format = Format::Sha1,
                b"object-format=sha256" => known.format = Format::Sha256,
                other if other.starts_with(b"object-format=") || contains(other, 0) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(())
    }
}

fn contains(text: &[u8], byte: u8) -> bool {
    text.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const Z: &str = "0000000000000000000000000000000000000000";

    fn read(lines: &[&str]) -> Result<Reader, Malformed> {
        let mut reader = Reader::new();
        for line in lines {
            if *line == "0000" {
                reader.flush()?;
            } else {
                reader.line(line.as_bytes(), 0..1)?;
            }
        }
        Ok(reader)
    }

    #[test]
    fn updates_capabilities_and_options_are_read() {
        let first = format!("{Z} {A} refs/heads/main\0 report-status-v2 side-band-64k push-options object-format=sha1 agent=git/2");
        let reader = read(&[&first, &format!("{A} {Z} refs/tags/v1\n"), "0000"]).expect("commands");
        assert!(reader.decided() && !reader.ended());
        let reader = read(&[&first, &format!("{A} {Z} refs/tags/v1\n"), "0000", "ci.skip", "0000"]).expect("commands");
        let Commands { updates, capabilities, signed } = &reader.commands;
        assert!(reader.ended() && !signed && capabilities.report_status && capabilities.side_band == Some(65_515));
        assert_eq!(
            updates.iter().map(|u| (u.name.as_str(), u.old.is_some(), u.new.is_some())).collect::<Vec<_>>(),
            [("refs/heads/main", false, true), ("refs/tags/v1", true, false)]
        );
        assert!(reader.commands.want_pack());
        assert!(read(&["0000"]).is_ok_and(|r| r.ended() && !r.commands.want_pack()), "the probe before a long push");
    }

    #[test]
    fn a_certificate_holds_the_commands() {
        let (first, command) = ("push-cert\0report-status", format!("{Z} {A} refs/heads/main\n"));
        let head = ["certificate version 0.1\n", "pusher a <a@b> 1 +0000\n", "nonce 1\n", "\n"];
        let signature = ["-----BEGIN PGP SIGNATURE-----\n", "abc\n", "push-cert-end\n", "0000"];
        let lines = [&[first][..], &head, &[&command], &signature].concat();
        let reader = read(&lines).expect("a certificate");
        assert!(reader.ended() && reader.commands.signed && reader.commands.updates.len() == 1);
        let both = [&[command.as_str()][..], &lines].concat();
        assert!(read(&both).is_err(), "commands beside a certificate");
        let pair = format!("{command}{command}");
        let two = [&[first][..], &head, &[&pair], &signature].concat();
        assert!(read(&two).is_err(), "two lines in one packet");
    }

    #[test]
    fn what_has_no_one_reading_is_malformed() {
        for line in [
            "",
            "hello",
            &format!("{Z} {A}"),
            &format!("{Z} {A} "),
            &format!("{Z} {A} refs/heads/a b"),
            &format!("{Z} {A} refs/heads/a..b"),
            &format!("{Z} {A} refs/heads/a\u{1b}"),
            &format!("{Z} {Z} refs/heads/a"),
            &format!("{Z}{Z} {A} refs/heads/a"),
            &format!("{Z}  {A} refs/heads/a"),
            &format!("{Z} {A} refs/heads/a\0object-format=md5"),
            &format!("{Z} {A} refs/heads/a\0x\0y"),
            "shallow x",
        ] {
            assert!(read(&[line]).is_err(), "{line:?}");
        }
    }
}
