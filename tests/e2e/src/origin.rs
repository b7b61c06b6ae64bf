//! A server of the outside world that records everything and answers as told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use crate::authority::TestCa;
use crate::record::{BodyEnd, Log, Recorded, Recording, Scheme};

type AnswerBody = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;
type Script = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

/// When an answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After the whole request has been read.
    AfterRequest,
    /// At once, while the body is still being read.
    AtOnce,
    /// At once, and each piece of the request body is sent back after the answer's own body, as it comes (streams that talk both ways).
    Echo,
}

/// What an origin answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The trailers, if any.
    pub trailers: Option<HeaderMap>,
    /// How long a slow origin thinks before it answers.
    pub delay: Duration,
    /// When the answer begins.
    pub when: When,
}

impl Default for Answer {
    fn default() -> Self {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = Bytes::from_static(br#"{"ok":true}"#);
        Self { status: StatusCode::OK, headers, body, trailers: None, delay: Duration::ZERO, when: When::AfterRequest }
    }
}

impl Answer {
    /// The usual answer with another body.
    #[must_use]
    pub fn body(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// The same with one more header.
    ///
    /// # Panics
    /// The name or value is not a header; both are written in the test.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name written in a test");
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value written in a test"));
        self
    }

    /// The same, at another moment.
    #[must_use]
    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// The same, later.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// An origin: one TLS listener (h2 and http/1.1 by ALPN) and one in the clear (http/1.1). Ends when dropped.
pub struct Origin {
    ip: Ipv4Addr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    log: Arc<Log>,
    script: Mutex<Script>,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").field("ip", &self.ip).finish_non_exhaustive()
    }
}

impl Origin {
    /// Starts an origin with a certificate for these names. Answers 200 and a small JSON object until told otherwise.
    ///
    /// # Errors
    /// No port is free, or a name cannot stand in a certificate.
    pub async fn start(ca: &TestCa, names: &[&str]) -> Result<Self> {
        Self::serve(ca, names, listen().await?)
    }

    /// As [`Origin::start`], at this address, on ports 443 and 80.
    ///
    /// # Errors
    /// As [`Origin::start`].
    pub async fn start_at(ip: Ipv4Addr, ca: &TestCa, names: &[&str]) -> Result<Self> {
        let tls = TcpListener::bind((ip, 443)).await.context("port 443")?;
        let plain = TcpListener::bind((ip, 80)).await.context("port 80")?;
        Self::serve(ca, names, (ip, tls, plain))
    }

    fn serve(ca: &TestCa, names: &[&str], (ip, tls, plain): (Ipv4Addr, TcpListener, TcpListener)) -> Result<Self> {
        let acceptor = TlsAcceptor::from(ca.server(names)?);
        let script: Script = Arc::new(|_| Answer::default());
        let shared = Arc::new(Shared { log: Log::new(), script: Mutex::new(script) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(tls, Some(acceptor), Arc::clone(&shared)));
        tasks.spawn(accept(plain, None, Arc::clone(&shared)));
        Ok(Self { ip, shared, _tasks: tasks })
    }

    /// Its address: TLS on port 443, in the clear on port 80.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Answers from now on as `script` says; it sees the request (with its body, for [`When::AfterRequest`] as default).
    pub fn answer(&self, script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// Every request so far, in the order of their heads, finished or not.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.requests()
    }

    /// The newest request.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn last(&self) -> Recorded {
        self.shared.log.last().expect("no request reached the origin")
    }

    /// Forgets everything recorded so far.
    pub fn forget(&self) {
        self.shared.log.forget();
    }

    /// The decrypted bytes of every connection that was opened so far and not forgotten, in order; of a failed TLS handshake, none.
    #[must_use]
    pub fn connections(&self) -> Vec<Vec<u8>> {
        self.shared.log.connections()
    }

    /// A way to take what is recorded away while it runs.
    #[must_use]
    pub fn tap(&self) -> Tap {
        Tap(Arc::clone(&self.shared.log))
    }

    /// Whether the bytes occur anywhere in what was received: understood requests and raw connections alike. Never for an empty needle.
    #[must_use]
    pub fn saw(&self, needle: &[u8]) -> bool {
        self.shared.log.contains(needle)
    }

    /// Waits until `count` requests have ended, cleanly or not, and gives all requests.
    ///
    /// # Errors
    /// It took longer than [`crate::PATIENCE`].
    pub async fn wait_for(&self, count: usize) -> Result<Vec<Recorded>> {
        let ended = move |requests: &[Recorded]| requests.iter().filter(|request| request.end != BodyEnd::Open).count() >= count;
        self.shared.log.wait_until(&format!("{count} requests to end at the origin"), ended).await
    }

    /// Waits until the requests are as wanted (a body of so many bytes, say), and gives them.
    ///
    /// # Errors
    /// It took longer than [`crate::PATIENCE`].
    pub async fn wait_until(&self, what: &str, wanted: impl Fn(&[Recorded]) -> bool) -> Result<Vec<Recorded>> {
        self.shared.log.wait_until(what, wanted).await
    }
}

/// What an origin records, taken away piece by piece: for tests that are too long to keep all of it.
#[derive(Debug, Clone)]
pub struct Tap(Arc<Log>);

impl Tap {
    /// Takes the requests that have ended, in the order of their heads, up to the first that has not.
    #[must_use]
    pub fn take_ended(&self) -> Vec<Recorded> {
        self.0.take_ended()
    }

    /// Takes the decrypted bytes of each connection, by its number, since they were taken last.
    #[must_use]
    pub fn take_bytes(&self) -> BTreeMap<usize, Vec<u8>> {
        self.0.take_bytes()
    }

    /// How many requests have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open()
    }
}

/// Finds a loopback address whose ports 443 and 80 are free, and listens on them, in that order.
///
/// # Errors
/// This user may not bind them.
pub async fn listen() -> Result<(Ipv4Addr, TcpListener, TcpListener)> {
    loop {
        let [a, b, c] = rand::random::<[u8; 3]>();
        // Not 127.0.0.0/16, where people keep services of their own.
        let ip = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
        match (TcpListener::bind((ip, 443)).await, TcpListener::bind((ip, 80)).await) {
            (Ok(tls), Ok(plain)) => return Ok((ip, tls, plain)),
            (Err(error), _) | (_, Err(error)) if error.kind() != ErrorKind::AddrInUse => {
                return Err(error).context("cannot bind ports 443 and 80; run: sysctl -w net.ipv4.ip_unprivileged_port_start=80");
            }
            _ => {}
        }
    }
}

/// Accepts connections for ever; all of them end with this task.
async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                // Small writes go out at once, or a test would wait for Nagle.
                drop(stream.set_nodelay(true));
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                let number = shared.log.connection();
                connections.spawn(async move {
                    match acceptor {
                        Some(acceptor) => {
                            // A handshake that fails is the peer's choice; tests see it at the client.
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, Scheme::Https, shared, number).await;
                            }
                        }
                        None => serve(stream, Scheme::Http, shared, number).await,
                    }
                });
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, scheme: Scheme, shared: Arc<Shared>, connection: usize) {
    let io = TokioIo::new(Recording::new(stream, Arc::clone(&shared.log), connection));
    let service = hyper::service::service_fn(move |request| respond(request, scheme, Arc::clone(&shared)));
    // A connection that breaks is recorded with the request it broke.
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await);
}

async fn respond(request: Request<Incoming>, scheme: Scheme, shared: Arc<Shared>) -> Result<Response<AnswerBody>, Infallible> {
    let (head, body) = request.into_parts();
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let recorded = Recorded {
        scheme,
        version: head.version,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        authority: head.uri.authority().map(ToString::to_string).or_else(|| host.map(str::to_owned)).unwrap_or_default(),
        headers: head.headers,
        body: Vec::new(),
        trailers: None,
        end: BodyEnd::Open,
    };
    let script = Arc::clone(&shared.script.lock().unwrap_or_else(PoisonError::into_inner));
    let mut answer = script(&recorded);
    let mut guard = Unfinished { log: Arc::clone(&shared.log), number: shared.log.request(recorded.clone()), armed: true };
    let number = guard.number;
    let (frames, receiver) = mpsc::channel(16);
    let mut response = Response::new(StreamBody::new(ReceiverStream::new(receiver)));
    if answer.when == When::AfterRequest {
        read(body, &mut guard, None).await;
        // Asked again, now that the body is there to decide on.
        if let Some(request) = shared.log.get(number) {
            answer = script(&request);
        }
        tokio::time::sleep(answer.delay).await;
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers.clone();
        response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
        if answer.trailers.is_some() {
            response.headers_mut().remove(http::header::CONTENT_LENGTH);
        }
        tokio::spawn(send(answer, frames));
    } else {
        tokio::time::sleep(answer.delay).await;
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers.clone();
        tokio::spawn(async move {
            let trailers = answer.trailers.take();
            let echo = (answer.when == When::Echo).then(|| frames.clone());
            send(answer, frames.clone()).await;
            read(body, &mut guard, echo).await;
            if let Some(trailers) = trailers {
                drop(frames.send(Ok(Frame::trailers(trailers))).await);
            }
        });
    }
    Ok(response)
}

/// Marks a request as broken off when its task is dropped before the body ended.
struct Unfinished {
    log: Arc<Log>,
    number: usize,
    armed: bool,
}

impl Unfinished {
    fn end(&mut self, end: BodyEnd) {
        self.armed = false;
        self.log.update(self.number, |request| request.end = end);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.armed {
            self.end(BodyEnd::Broken);
        }
    }
}

/// Reads a body to its end, recording each piece as it comes.
async fn read(mut body: Incoming, request: &mut Unfinished, echo: Option<mpsc::Sender<Result<Frame<Bytes>, Infallible>>>) {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return request.end(BodyEnd::Broken) };
        match frame.into_data() {
            Ok(data) => {
                request.log.update(request.number, |request| request.body.extend_from_slice(&data));
                if let Some(echo) = &echo {
                    // A client that no longer listens may still send.
                    drop(echo.send(Ok(Frame::data(data))).await);
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    request.log.update(request.number, |request| request.trailers = Some(trailers));
                }
            }
        }
    }
    request.end(BodyEnd::Clean);
}

/// Sends the body and trailers of an answer; fails only when nobody listens any more.
async fn send(answer: Answer, frames: mpsc::Sender<Result<Frame<Bytes>, Infallible>>) {
    if !answer.body.is_empty() {
        drop(frames.send(Ok(Frame::data(answer.body))).await);
    }
    if let Some(trailers) = answer.trailers {
        drop(frames.send(Ok(Frame::trailers(trailers))).await);
    }
}
