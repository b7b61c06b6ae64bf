//! Bodies as hyper sends them: one piece, or many pieces of a template without the whole ever being in memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::template::Template;

/// A body of a known length.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    first: Bytes,
    /// What follows: pieces of this template, numbered on.
    rest: Option<Rest>,
    trailers: Option<http::HeaderMap>,
}

#[derive(Debug, Clone)]
struct Rest {
    piece: Arc<Template>,
    number: u64,
    left: u64,
}

impl Payload {
    /// No body.
    pub(crate) fn none() -> Self {
        Self::whole(Bytes::new())
    }

    /// A body of one piece.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { first: bytes, rest: None, trailers: None }
    }

    /// A body of so many bytes, made of pieces of the template with numbers from `number` on.
    pub(crate) fn pieces(piece: Arc<Template>, number: u64, bytes: u64) -> Self {
        Self { first: Bytes::new(), rest: Some(Rest { piece, number, left: bytes }), trailers: None }
    }

    /// The same with trailers at the end.
    pub(crate) fn with_trailers(self, trailers: http::HeaderMap) -> Self {
        Self { trailers: Some(trailers), ..self }
    }

    /// The bytes that are still to come.
    pub(crate) fn len(&self) -> u64 {
        self.first.len() as u64 + self.rest.as_ref().map_or(0, |rest| rest.left)
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        if let Some(rest) = &mut self.rest
            && rest.left > 0
        {
            let mut bytes = rest.piece.numbered(rest.number);
            bytes.truncate(usize::try_from(rest.left).unwrap_or(usize::MAX).min(bytes.len()));
            rest.number += 1;
            rest.left -= bytes.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
