//! Connections that are kept: one for each endpoint, opened when needed, and anew after an error.

use anyhow::{Context, Result};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;

use crate::payload::Payload;
use crate::route::Route;
use crate::scenario::Protocol;
use crate::source::Endpoint;

/// The connections of one agent: of as many workers as share them (over HTTP/2), or of one.
#[derive(Debug)]
pub(crate) struct Lane {
    route: Route,
    number: usize,
    slots: Vec<Mutex<Option<Sender>>>,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(crate) enum Sender {
    Http1(http1::SendRequest<Payload>),
    Http2(http2::SendRequest<Payload>),
}

impl Lane {
    pub(crate) fn new(route: Route, number: usize, endpoints: usize) -> Self {
        Self { route, number, slots: (0..endpoints).map(|_| Mutex::new(None)).collect() }
    }

    /// A connection to this endpoint that can take a request.
    ///
    /// # Errors
    /// There is none and it cannot be opened.
    pub(crate) async fn sender(&self, endpoints: &[Endpoint], place: usize) -> Result<Sender> {
        let mut slot = self.slots[place].lock().await;
        match slot.take() {
            Some(Sender::Http1(mut sender)) => {
                // Closed while it was idle: not an error of a request.
                let open = sender.ready().await.is_ok();
                if open {
                    return Ok(Sender::Http1(sender));
                }
            }
            Some(Sender::Http2(sender)) if !sender.is_closed() => {
                *slot = Some(Sender::Http2(sender.clone()));
                return Ok(Sender::Http2(sender));
            }
            _ => {}
        }
        let opened = self.open(&endpoints[place]).await?;
        if let Sender::Http2(sender) = &opened {
            *slot = Some(Sender::Http2(sender.clone()));
        }
        Ok(opened)
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Sender> {
        let stream = TokioIo::new(self.route.open(&endpoint.host, endpoint.protocol, self.number).await?);
        Ok(match endpoint.protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.context("http1")?;
                // What ends a connection shows in its requests.
                tokio::spawn(async move { drop(connection.await) });
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
                let (sender, connection) = builder.handshake(stream).await.context("http2")?;
                tokio::spawn(async move { drop(connection.await) });
                Sender::Http2(sender)
            }
        })
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(crate) async fn keep(&self, place: usize, sender: Sender) {
        if let Sender::Http1(_) = sender {
            *self.slots[place].lock().await = Some(sender);
        }
    }

    /// Forgets the connection to this endpoint.
    pub(crate) async fn forget(&self, place: usize) {
        *self.slots[place].lock().await = None;
    }
}

impl Sender {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn send(&mut self, request: Request<Payload>) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}
