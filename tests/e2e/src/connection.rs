//! A connection whose bytes a test controls, and HTTP/1.1 responses read from it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;

use crate::patiently;

/// The longest head of a response, in bytes.
const LONGEST_HEAD: usize = 256 * 1024;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A response.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status code; 0 where [`crate::Stack::send`] got no response, and the body then says why.
    pub status: u16,
    /// Names in lower case and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without framing.
    pub body: Vec<u8>,
    /// The trailers, in order.
    pub trailers: Vec<(String, String)>,
    /// Whether the connection broke off before the body ended.
    pub truncated: bool,
}

impl Response {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }

    /// The body as text; bytes that are no text are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An open connection: a tunnel, TLS inside a tunnel, or plain TCP to the proxy.
pub struct Connection {
    reader: Reader,
    writer: WriteHalf<Box<dyn Stream>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// A connection over any stream.
    #[must_use]
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::new(stream)
    }

    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        let (reader, writer) = tokio::io::split(stream);
        Self { reader: Reader { inner: reader, buffered: Vec::new() }, writer }
    }

    /// Connects to a server.
    ///
    /// # Errors
    /// It does not accept.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self::new(patiently("a server to accept", TcpStream::connect(address)).await?.with_context(|| format!("connect to {address}"))?))
    }

    /// Asks for a page, as the last thing on this connection.
    ///
    /// # Errors
    /// No response came.
    pub async fn page(mut self, method: &str, path: &str) -> Result<Response> {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        self.response(method).await
    }

    /// Gives up the stream; what was read ahead must have been used.
    pub(crate) fn into_stream(self) -> Result<Box<dyn Stream>> {
        if !self.reader.buffered.is_empty() {
            bail!("the proxy sent {} bytes before it was asked", self.reader.buffered.len());
        }
        Ok(self.reader.inner.unsplit(self.writer))
    }

    /// Writes these bytes and flushes.
    ///
    /// # Errors
    /// The peer has closed, or took nothing for [`crate::PATIENCE`].
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        write(&mut self.writer, bytes).await
    }

    /// Writes each piece by itself, flushed, with a pause before each but the first.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_pieces(&mut self, pieces: &[&[u8]], pause: Duration) -> Result<()> {
        write_pieces(&mut self.writer, pieces, |_| tokio::time::sleep(pause)).await
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// The peer has closed.
    pub async fn finish(&mut self) -> Result<()> {
        patiently("the end of writing", self.writer.shutdown()).await?.context("end of writing")
    }

    /// Reads the next response; interim ones (1xx) are skipped, except 101.
    ///
    /// # Errors
    /// The connection ended before a whole head, or what came is not HTTP.
    pub async fn response(&mut self, method: &str) -> Result<Response> {
        self.reader.response(method).await
    }

    /// Reads everything until the peer closes or breaks the connection.
    ///
    /// # Errors
    /// Nothing came, and no end, for [`crate::PATIENCE`].
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>> {
        while self.reader.more().await? {}
        Ok(std::mem::take(&mut self.reader.buffered))
    }

    /// Sends the pieces while reading the response, as a response may come before the request has been sent. Before each piece but the first
    /// it does what `before` does, which is told the number of the piece, and which is left undone when the response comes first.
    ///
    /// # Errors
    /// No response came: the connection ended before a whole head, or nothing moved for [`crate::PATIENCE`].
    pub async fn exchange<F: Future<Output = ()>>(
        &mut self,
        method: &str,
        pieces: &[&[u8]],
        before: impl Fn(usize) -> F,
    ) -> Result<Response> {
        let Self { reader, writer } = self;
        let sending = write_pieces(writer, pieces, before);
        tokio::pin!(sending);
        // While a long upload makes progress there is nothing to read, so reading is patient only from its first byte on.
        let sent = tokio::select! {
            biased;
            sent = &mut sending => Some(sent),
            _ = reader.more_without_limit() => None,
        };
        let reading = reader.response(method);
        let Some(sent) = sent else {
            tokio::pin!(reading);
            return tokio::select! {
                response = &mut reading => response,
                // What failed is that the peer takes no more, having answered already.
                _ = &mut sending => reading.await,
            };
        };
        match (reading.await, sent) {
            (Err(error), Err(sent)) => Err(error.context(format!("after a failed write: {sent}"))),
            (result, _) => result,
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let written = patiently("the peer to take bytes", writer.write(bytes)).await?.context("write")?;
        bytes = bytes.get(written..).unwrap_or_default();
        if written == 0 {
            bail!("the peer takes no more bytes");
        }
    }
    patiently("the peer to take bytes", writer.flush()).await?.context("flush")
}

async fn write_pieces<F: Future<Output = ()>>(
    writer: &mut (impl AsyncWrite + Unpin),
    pieces: &[&[u8]],
    before: impl Fn(usize) -> F,
) -> Result<()> {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            before(number).await;
        }
        write(writer, piece).await?;
    }
    Ok(())
}

struct Reader {
    inner: ReadHalf<Box<dyn Stream>>,
    buffered: Vec<u8>,
}

impl Reader {
    /// Reads more; false at the end of the stream, be it clean or not.
    async fn more(&mut self) -> Result<bool> {
        patiently("the peer to answer", self.more_without_limit()).await
    }

    /// As [`Reader::more`], however long it takes. Dropping it loses nothing.
    async fn more_without_limit(&mut self) -> bool {
        let mut chunk = vec![0; 16 * 1024];
        match self.inner.read(&mut chunk).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.buffered.extend_from_slice(chunk.get(..length).unwrap_or_default());
                true
            }
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(at) = self.buffered.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffered.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.buffered.len() > LONGEST_HEAD {
                bail!("a line of the response is longer than {LONGEST_HEAD} bytes");
            }
            if !self.more().await? {
                bail!("the connection ended before a response");
            }
        }
    }

    async fn fields(&mut self) -> Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line}"))?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Takes exactly this many bytes; fewer if the stream ends before.
    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffered.len() < length && self.more().await? {}
        Ok(self.buffered.drain(..length.min(self.buffered.len())).collect())
    }

    async fn response(&mut self, method: &str) -> Result<Response> {
        loop {
            let status_line = self.line().await?;
            let status = status_line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
            let status: u16 = status.with_context(|| format!("not a status line: {status_line}"))?;
            let mut response = Response { status, headers: self.fields().await?, ..Response::default() };
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let bodiless = method == "HEAD" || (method == "CONNECT" && status == 200) || matches!(status, 101 | 204 | 304);
            if !bodiless {
                self.body(&mut response).await?;
            }
            return Ok(response);
        }
    }

    async fn body(&mut self, response: &mut Response) -> Result<()> {
        if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            if self.chunked(response).await.is_err() {
                response.truncated = true;
            }
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().context("content-length of the response")?;
            response.body = self.take(length).await?;
            response.truncated = response.body.len() < length;
        } else {
            while self.more().await? {}
            response.body = std::mem::take(&mut self.buffered);
        }
        Ok(())
    }

    async fn chunked(&mut self, response: &mut Response) -> Result<()> {
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).context("chunk size")?;
            if size == 0 {
                response.trailers = self.fields().await?;
                return Ok(());
            }
            let chunk = self.take(size).await?;
            response.body.extend_from_slice(&chunk);
            if chunk.len() < size || !self.line().await?.is_empty() {
                bail!("a chunk is cut short");
            }
        }
    }
}
