//! HTTP/2 to the inside of a tunnel.

use std::convert::Infallible;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::connection::{Response, Stream};
use crate::patiently;
use crate::request::Request;

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

/// One HTTP/2 connection; any number of streams.
#[derive(Debug)]
pub struct H2 {
    sender: http2::SendRequest<Body>,
    driver: JoinHandle<()>,
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl H2 {
    pub(crate) async fn new(stream: Box<dyn Stream>) -> Result<Self> {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = patiently("the HTTP/2 handshake", handshake).await??;
        // How the connection ended shows in the responses of its streams.
        let driver = tokio::spawn(async { drop(connection.await) });
        Ok(Self { sender, driver })
    }

    /// Sends a request and reads the response.
    ///
    /// # Errors
    /// The stream broke off before a response, or nothing moved for [`crate::PATIENCE`].
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        let length = request.announces_length().then_some(request.body.len());
        let stream = self.start(request, length).await?;
        let pieces: Vec<Bytes> = request.pieces().into_iter().map(Bytes::copy_from_slice).collect();
        let H2Stream { frames, response } = stream;
        let sending = async move {
            for (number, piece) in pieces.into_iter().enumerate() {
                if number > 0 && !request.pause.is_zero() {
                    tokio::time::sleep(request.pause).await;
                }
                // The stream may be answered and closed before its end; the response tells.
                if patiently("the peer to take a frame", frames.send(Ok(Frame::data(piece)))).await?.is_err() {
                    break;
                }
            }
            // Ends the body.
            drop(frames);
            anyhow::Ok(())
        };
        let mut response = response;
        tokio::pin!(sending);
        tokio::select! {
            early = &mut response => early.map_err(|error| anyhow!(error))?,
            sent = &mut sending => {
                sent?;
                patiently("the response", response).await?.map_err(|error| anyhow!(error))?
            }
        }
    }

    /// Opens a stream whose body is sent piece by piece, its length not announced; the body and chunks of the request are not sent.
    ///
    /// # Errors
    /// The connection is closed, or a header of the request is none.
    pub async fn open(&mut self, request: &Request) -> Result<H2Stream> {
        self.start(request, None).await
    }

    async fn start(&mut self, request: &Request, length: Option<usize>) -> Result<H2Stream> {
        let target = request.target()?;
        let authority = request.inner_host.as_deref().unwrap_or(target.authority);
        let uri = format!("{}://{authority}{}", if target.tls { "https" } else { "http" }, target.path);
        let mut built = http::Request::builder().method(request.method.as_str()).uri(&uri);
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).context("header name")?;
            built = built.header(name, HeaderValue::from_bytes(value.as_bytes()).context("header value")?);
        }
        if let Some(length) = length {
            built = built.header(http::header::CONTENT_LENGTH, length);
        }
        let (frames, receiver) = mpsc::channel(4);
        let built = built.body(StreamBody::new(ReceiverStream::new(receiver)))?;
        patiently("the connection to take a request", self.sender.ready()).await??;
        let pending = self.sender.send_request(built);
        let response = tokio::spawn(async move { collect(pending.await?).await });
        Ok(H2Stream { frames, response })
    }
}

/// An open stream: pieces go in, one response comes out.
#[derive(Debug)]
pub struct H2Stream {
    frames: mpsc::Sender<Result<Frame<Bytes>, Infallible>>,
    response: JoinHandle<Result<Response>>,
}

impl H2Stream {
    /// Sends a piece of the body.
    ///
    /// # Errors
    /// The stream is closed.
    pub async fn send(&self, piece: impl Into<Bytes>) -> Result<()> {
        let sent = self.frames.send(Ok(Frame::data(piece.into())));
        patiently("the peer to take a frame", sent).await?.map_err(|_| anyhow!("the stream is closed"))
    }

    /// Ends the body, with trailers or without, and reads the response.
    ///
    /// # Errors
    /// The stream broke off before a response.
    pub async fn finish(self, trailers: Option<HeaderMap>) -> Result<Response> {
        if let Some(trailers) = trailers {
            let sent = self.frames.send(Ok(Frame::trailers(trailers)));
            patiently("the peer to take trailers", sent).await?.map_err(|_| anyhow!("the stream is closed"))?;
        }
        drop(self.frames);
        patiently("the response", self.response).await?.map_err(|error| anyhow!(error))?
    }
}

/// Reads a response to its end; a body that breaks off is marked, not lost.
async fn collect(response: http::Response<hyper::body::Incoming>) -> Result<Response> {
    let text =
        |headers: &HeaderMap| headers.iter().map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
    let (head, mut body) = response.into_parts();
    let mut collected = Response { status: head.status.as_u16(), headers: text(&head.headers), ..Response::default() };
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => collected.body.extend_from_slice(&data),
            Ok(Err(frame)) => collected.trailers = frame.into_trailers().map(|trailers| text(&trailers)).unwrap_or_default(),
            Err(_) => collected.truncated = true,
        }
        if collected.truncated {
            break;
        }
    }
    Ok(collected)
}
