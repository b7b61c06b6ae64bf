//! `/metrics`, `/healthz` and `/readyz` over HTTP/1. What the process uses of the machine is told beside the service's own metrics.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::Shutdown;
use crate::process::Process;

/// Connections at a time: scrapers and probes, nobody else.
const CONNECTIONS: usize = 64;
/// A request's head must arrive within this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the service may get traffic: it says so itself, and no part of it has a fault.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<State>);

#[derive(Debug, Default)]
struct State {
    ready: AtomicBool,
    faults: Mutex<BTreeMap<&'static str, String>>,
}

impl Readiness {
    /// Says so from now on.
    pub fn set(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
    }

    /// A part of the service says what is wrong with it, or with `None` that nothing is any more.
    pub fn fault(&self, part: &'static str, what: Option<String>) {
        let mut faults = self.faults();
        match what {
            Some(what) => drop(faults.insert(part, what)),
            None => drop(faults.remove(part)),
        }
    }

    /// Whether the service may get traffic now.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed) && self.faults().is_empty()
    }

    fn faults(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line for people.
    fn line(&self) -> String {
        let faults: Vec<String> = self.faults().values().cloned().collect();
        if faults.is_empty() { "not ready\n".to_owned() } else { format!("not ready: {}\n", faults.join("; ")) }
    }
}

/// The endpoint for scrapers and probes.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
    registries: [Registry; 2],
    readiness: Readiness,
}

impl Endpoint {
    /// Binds the endpoint.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(address: SocketAddr, registry: Registry, readiness: Readiness) -> io::Result<Endpoint> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        // A registry of its own: a caller may serve one of his at several addresses.
        let process = Registry::new();
        Process::new().and_then(|metrics| process.register(Box::new(metrics))).map_err(io::Error::other)?;
        Ok(Endpoint { listener, address, registries: [registry, process], readiness })
    }

    /// The address in use.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until shutdown.
    pub async fn run(self, mut shutdown: Shutdown) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.wait() => return,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, most likely: not a reason to spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
            let (registries, readiness) = (self.registries.clone(), self.readiness.clone());
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let response = answer(&request, &registries, &readiness);
                    async move { Ok::<_, Infallible>(response) }
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
                if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                    tracing::debug!(%error, "a connection to the metrics endpoint failed");
                }
                drop(permit);
            });
        }
    }
}

fn answer(request: &Request<Incoming>, registries: &[Registry], readiness: &Readiness) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            match TextEncoder::new().encode_to_string(&registries.iter().flat_map(Registry::gather).collect::<Vec<_>>()) {
                Ok(text) => (StatusCode::OK, text),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            }
        }
        (&Method::GET, "/healthz") => (StatusCode::OK, "alive\n".to_owned()),
        (&Method::GET, "/readyz") if readiness.get() => (StatusCode::OK, "ready\n".to_owned()),
        (&Method::GET, "/readyz") => (StatusCode::SERVICE_UNAVAILABLE, readiness.line()),
        _ => (StatusCode::NOT_FOUND, "GET /metrics, /healthz or /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    // The text format of Prometheus, version 0.0.4.
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
