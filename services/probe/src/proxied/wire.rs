//! A connection, and answers of HTTP/1.1 read from it within bounds.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that is read of an answer.
const LONGEST: usize = 64 * 1024;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// An answer; its body may be cut short.
    Answer(Response),
    /// Bytes that are no HTTP.
    Bytes,
    /// The end, before a byte.
    End,
}

/// A connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new() }
    }

    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Sends. Who answered already may take no more: the answer counts.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        if self.stream.write_all(bytes).await.is_ok() {
            drop(self.stream.flush().await);
        }
    }

    /// Reads an answer. To CONNECT, one with status 200 has no body.
    pub(crate) async fn read(&mut self, to_connect: bool) -> Read {
        loop {
            let Some(end) = self.head_end().await else {
                return if self.buffer.is_empty() { Read::End } else { Read::Bytes };
            };
            let head: Vec<u8> = self.buffer.drain(..end).collect();
            let Some(mut response) = parse(&head) else { return Read::Bytes };
            match response.status {
                101 => return Read::Answer(response),
                100..=199 => continue,
                204 | 304 => return Read::Answer(response),
                200 if to_connect => return Read::Answer(response),
                _ => {}
            }
            // What a body lacks changes nothing in who answered.
            drop(self.body(&mut response).await);
            return Read::Answer(response);
        }
    }

    /// Where the head ends; `None`: there is none.
    async fn head_end(&mut self) -> Option<usize> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return Some(at + 4);
            }
            // What does not begin like an answer is none: no need to wait for its end.
            let begun = self.buffer.len().min(5);
            if self.buffer.get(..begun) != b"HTTP/".get(..begun) || self.buffer.len() > LONGEST || !self.more().await {
                return None;
            }
        }
    }

    async fn body(&mut self, response: &mut Response) -> io::Result<()> {
        if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let line = self.line().await?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
                let chunk = self.take(size).await?;
                response.body.extend_from_slice(&chunk);
                if size == 0 {
                    while !self.line().await?.is_empty() {}
                    return Ok(());
                }
                self.line().await?;
            }
        }
        if let Some(length) = response.header("content-length") {
            let length = length.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            response.body = self.take(length).await?;
        } else {
            while self.buffer.len() < LONGEST && self.more().await {}
            response.body = std::mem::take(&mut self.buffer);
        }
        Ok(())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.buffer.len() > LONGEST || !self.more().await {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// So many bytes, or the first of them.
    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let wanted = length.min(LONGEST);
        while self.buffer.len() < wanted {
            if !self.more().await {
                break;
            }
        }
        let taken: Vec<u8> = self.buffer.drain(..wanted.min(self.buffer.len())).collect();
        if length > LONGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(taken) }
    }

    /// Reads more; false at the end, be it clean or not.
    async fn more(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.buffer.extend_from_slice(chunk.get(..length).unwrap_or_default());
                true
            }
        }
    }
}

/// A status line and headers.
fn parse(head: &[u8]) -> Option<Response> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Some(Response { status, headers: headers.collect(), body: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> (Read, Vec<u8>) {
        let (mut there, here) = tokio::io::duplex(1 << 20);
        there.write_all(bytes).await.unwrap();
        drop(there);
        let mut wire = Wire::new(here);
        let read = wire.read(false).await;
        while wire.more().await {}
        (read, wire.buffer)
    }

    #[tokio::test]
    async fn answers_end_where_their_framing_says() {
        for (wire, body) in [
            ("HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1", "abc"),
            ("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: x\r\n\r\nHTTP/1.1", "abcd"),
            ("HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1", ""),
        ] {
            let (Read::Answer(response), rest) = read(wire.as_bytes()).await else { panic!("{wire}") };
            assert_eq!((response.status, response.body.as_slice(), rest.as_slice()), (403, body.as_bytes(), &b"HTTP/1.1"[..]), "{wire}");
        }
        let (Read::Answer(response), _) = read(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nto the end").await else { panic!() };
        assert_eq!((response.body.as_slice(), response.header("a")), (&b"to the end"[..], Some("b")));
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told_from_nothing() {
        assert_eq!(read(b"").await.0, Read::End);
        for bytes in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], b"HTTP/1.1 200", b"HTTP/1.1 abc\r\n\r\n", b"\x15\x03\x03"] {
            assert_eq!(read(bytes).await.0, Read::Bytes);
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_read_within_bounds() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        let (Read::Answer(response), _) = read(&[head, vec![b'x'; 4 * LONGEST]].concat()).await else { panic!() };
        assert!(response.body.len() <= LONGEST + 4096);
        assert_eq!(read(&[b"HTTP/".to_vec(), vec![b'x'; 4 * LONGEST]].concat()).await.0, Read::Bytes);
    }
}
