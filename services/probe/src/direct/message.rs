//! DNS messages, as much of them as a question needs (RFC 1035 section 4).

/// A query for the IPv4 address of a name.
pub(super) fn query(id: u16, name: &str) -> Vec<u8> {
    question(id, 0x0100, name, [0, 1])
}

/// A query for the services of a local network, to be answered to whoever asks (RFC 6762 section 5.4).
pub(super) fn mdns_query(name: &str) -> Vec<u8> {
    const PTR: u8 = 12;
    let mut message = question(0, 0, name, [0, PTR]);
    if let Some(class) = message.len().checked_sub(2).and_then(|at| message.get_mut(at)) {
        *class = 0x80;
    }
    message
}

fn question(id: u16, flags: u16, name: &str, kind: [u8; 2]) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    for number in [id, flags, 1, 0, 0, 0] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    for label in name.split('.') {
        // Names here are our own, of short labels.
        message.push(u8::try_from(label.len()).unwrap_or_default());
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind);
    message.extend_from_slice(&[0, 1]);
    message
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The code: 0 is no error.
    pub(super) code: u8,
    /// How many records.
    pub(super) records: u16,
}

impl Answer {
    /// The answer to the query with this id; `None`: something else.
    pub(super) fn read(message: &[u8], id: u16) -> Option<Self> {
        let header = message.first_chunk::<12>()?;
        let is_answer = header[2] & 0x80 != 0 && header[..2] == id.to_be_bytes();
        is_answer.then(|| Self { code: header[3] & 15, records: u16::from_be_bytes([header[6], header[7]]) })
    }

    /// The code's name.
    pub(super) fn name(self) -> &'static str {
        match self.code {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            _ => "another code",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_what_the_standard_says() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
        assert_eq!(query(0x1234, "a.test"), expected);
        assert!(mdns_query("a.local").ends_with(b"\x05local\x00\x00\x0c\x80\x01"));
    }

    #[test]
    fn only_the_answer_to_the_query_is_one() {
        let mut message = query(7, "a.test");
        assert_eq!(Answer::read(&message, 7), None, "a query is no answer");
        (message[2], message[3], message[7]) = (0x81, 0x83, 2);
        let answer = Answer::read(&message, 7).unwrap();
        assert_eq!((answer, answer.name()), (Answer { code: 3, records: 2 }, "NXDOMAIN"));
        assert_eq!(Answer::read(&message, 8), None);
        assert_eq!(Answer::read(&message[..11], 7), None);
    }
}
