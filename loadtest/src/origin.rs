//! A light server of the outside world: drains bodies, counts, and answers as the query says. HTTP/1.1 and HTTP/2 over TLS.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::payload::Payload;
use crate::template::Template;
use crate::words::Words;

/// The parameter of the query that says how many bytes the answer has.
const ANSWER: &str = "answer=";
/// The parameter of the query that says after how many milliseconds the answer comes.
const DELAY: &str = "delay=";
/// The pieces of answers.
const PIECE: usize = 64 << 10;

/// An origin. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Origin {
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

/// What reached the origin.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    /// Requests whose body has come to its end.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of bodies, of unfinished requests too.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A path with what the origin is to answer in its query.
pub(crate) fn with_answer(path: &str, bytes: u64, delay_ms: u64) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    let delay = if delay_ms > 0 { format!("&{DELAY}{delay_ms}") } else { String::new() };
    format!("{path}{mark}{ANSWER}{bytes}{delay}")
}

impl Origin {
    /// Serves on this listener.
    pub(crate) fn start(listener: TcpListener, tls: Arc<ServerConfig>) -> Self {
        let counts = Arc::new(Counts::default());
        let piece = Arc::new(Template::new(Words::new(1).marked(PIECE).into_bytes()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, TlsAcceptor::from(tls), Arc::clone(&counts), piece));
        Self { counts, _tasks: tasks }
    }

    /// What reached it.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, counts: Arc<Counts>, piece: Arc<Template>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                // Out of files, say: the next may be accepted again.
                let Ok((stream, _)) = accepted else { continue };
                drop(stream.set_nodelay(true));
                let (acceptor, counts, piece) = (acceptor.clone(), Arc::clone(&counts), Arc::clone(&piece));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper::service::service_fn(|request| respond(request, Arc::clone(&counts), Arc::clone(&piece)));
                    let mut builder = auto::Builder::new(TokioExecutor::new());
                    // Windows as servers of the world have them: not what limits the run.
                    builder.http2().initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20).max_concurrent_streams(1000);
                    // A connection that breaks shows at the client.
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        }
    }
}

async fn respond(request: Request<Incoming>, counts: Arc<Counts>, piece: Arc<Template>) -> Result<Response<Payload>, Infallible> {
    let (head, mut body) = request.into_parts();
    while let Some(frame) = body.frame().await {
        // Broken off by the other side: there is nobody to answer.
        let Ok(frame) = frame else { return Ok(Response::new(Payload::none())) };
        if let Some(data) = frame.data_ref() {
            counts.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
    }
    counts.requests.fetch_add(1, Ordering::Relaxed);
    let query = head.uri.query().unwrap_or_default();
    let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.parse::<u64>().ok()).unwrap_or(0);
    let delay = asked(DELAY);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut payload = Payload::pieces(piece, 0, asked(ANSWER));
    let grpc = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let mut headers = HeaderMap::new();
    if grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        // An empty message, whatever was asked for.
        payload = Payload::whole(vec![0; 5].into());
        payload = payload.with_trailers(HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]));
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(payload.len()));
    }
    let mut response = Response::new(payload);
    *response.headers_mut() = headers;
    Ok(response)
}
