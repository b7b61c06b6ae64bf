//! What reached an origin: requests as they were understood, and the decrypted bytes of each connection.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// Over what a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// How the body of a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// It has not ended yet.
    Open,
    /// As the protocol says.
    Clean,
    /// The connection or stream broke off, or the framing was wrong.
    Broken,
}

/// One request as the origin saw it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Over what it came.
    pub scheme: Scheme,
    /// The HTTP version.
    pub version: http::Version,
    /// The method.
    pub method: String,
    /// The path and query, as sent.
    pub path: String,
    /// `:authority` or `Host`; empty if there was none.
    pub authority: String,
    /// The headers, values as bytes.
    pub headers: HeaderMap,
    /// The body so far, without framing.
    pub body: Vec<u8>,
    /// The trailers, if the body had any.
    pub trailers: Option<HeaderMap>,
    /// How the body ended.
    pub end: BodyEnd,
}

impl Recorded {
    /// The first value of a header as text; `None` if it is absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    /// Whether the bytes occur in the method, path, authority, a header, the body or a trailer.
    #[must_use]
    pub fn contains(&self, needle: &[u8]) -> bool {
        let headers = self.headers.iter().chain(self.trailers.iter().flatten());
        let in_headers =
            headers.into_iter().any(|(name, value)| contains(name.as_str().as_bytes(), needle) || contains(value.as_bytes(), needle));
        in_headers
            || [self.method.as_bytes(), self.path.as_bytes(), self.authority.as_bytes(), &self.body]
                .iter()
                .any(|part| contains(part, needle))
    }
}

/// Everything one origin recorded; shared by its connections.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Recorded>,
    /// By number, so that forgetting does not mix up those that are still open.
    connections: BTreeMap<usize, Vec<u8>>,
    requests_before: usize,
    connections_before: usize,
    next_connection: usize,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changes: watch::Sender::new(0) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere must not hide what was recorded.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, and says its number.
    pub(crate) fn connection(&self) -> usize {
        let mut state = self.state();
        let number = state.next_connection;
        state.next_connection += 1;
        state.connections.insert(number, Vec::new());
        number
    }

    /// Adds a request whose body is still to come, and says its number.
    pub(crate) fn request(&self, request: Recorded) -> usize {
        let mut state = self.state();
        state.requests.push(request);
        let number = state.requests_before + state.requests.len() - 1;
        drop(state);
        self.changed();
        number
    }

    /// Changes a request.
    pub(crate) fn update(&self, number: usize, change: impl FnOnce(&mut Recorded)) {
        let mut state = self.state();
        let index = number.checked_sub(state.requests_before);
        if let Some(request) = index.and_then(|index| state.requests.get_mut(index)) {
            change(request);
        }
        drop(state);
        self.changed();
    }

    /// One request.
    pub(crate) fn get(&self, number: usize) -> Option<Recorded> {
        let state = self.state();
        state.requests.get(number.checked_sub(state.requests_before)?).cloned()
    }

    /// The newest request.
    pub(crate) fn last(&self) -> Option<Recorded> {
        self.state().requests.last().cloned()
    }

    /// Forgets everything so far; what still comes over open connections is recorded.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.requests_before += state.requests.len();
        state.requests.clear();
        state.connections.clear();
        state.connections_before = state.next_connection;
    }

    /// Takes the requests that have ended, up to the first that has not.
    pub(crate) fn take_ended(&self) -> Vec<Recorded> {
        let mut state = self.state();
        let ended = state.requests.iter().take_while(|request| request.end != BodyEnd::Open).count();
        state.requests_before += ended;
        state.requests.drain(..ended).collect()
    }

    /// Takes the bytes of each connection since they were taken last.
    pub(crate) fn take_bytes(&self) -> BTreeMap<usize, Vec<u8>> {
        std::mem::take(&mut self.state().connections)
    }

    /// How many requests have not ended.
    pub(crate) fn open(&self) -> usize {
        self.state().requests.iter().filter(|request| request.end == BodyEnd::Open).count()
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    pub(crate) fn connections(&self) -> Vec<Vec<u8>> {
        // Not those of before, over which something still came: the end of a handshake, mostly.
        let state = self.state();
        state.connections.range(state.connections_before..).map(|(_, bytes)| bytes.clone()).collect()
    }

    pub(crate) fn contains(&self, needle: &[u8]) -> bool {
        let state = self.state();
        state.requests.iter().any(|request| request.contains(needle)) || state.connections.values().any(|bytes| contains(bytes, needle))
    }

    /// Waits until the requests are as wanted, and gives them.
    pub(crate) async fn wait_until(&self, what: &str, wanted: impl Fn(&[Recorded]) -> bool) -> anyhow::Result<Vec<Recorded>> {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                // The lock must not be held while waiting.
                let reached = wanted(&self.state().requests);
                if reached || changes.changed().await.is_err() {
                    return self.requests();
                }
            }
        };
        crate::patiently(what, waiting).await
    }
}

/// Whether `needle` occurs in `haystack`; an empty one never does, so that a test cannot pass or fail by an empty secret.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && memchr::memmem::find(haystack, needle).is_some()
}

/// A stream that notes every byte read from it.
#[derive(Debug)]
pub(crate) struct Recording<S> {
    inner: S,
    log: Arc<Log>,
    connection: usize,
}

impl<S> Recording<S> {
    pub(crate) fn new(inner: S, log: Arc<Log>, connection: usize) -> Self {
        Self { inner, log, connection }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recording<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.log.state().connections.entry(self.connection).or_default().extend_from_slice(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recording<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
