//! Counts shared between scanners through a Redis or Valkey server.
//!
//! Four times a second each scanner adds what it has counted, and learns what all have counted, of those books that its requests have used
//! since. A request never waits for the server; what it costs is that scanners know of each other a little late. What is stored names nobody:
//! hashes of rule, sandbox and secret stand for them, and numbers for the rest.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use inspect::{Book, Inspector, Shared, Way};
use prometheus::{IntCounter, IntGauge, Registry};
use redis::aio::MultiplexedConnection;
use redis::{Client, Pipeline, TlsCertificates};
use telemetry::Shutdown;

/// How often counts are exchanged.
const INTERVAL: Duration = Duration::from_millis(250);
/// An exchange that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Books in one round trip.
const BATCH: usize = 500;
/// Names of keys begin with this; the number is that of the layout.
const PREFIX: &str = "portcullis:1:";

/// Where counts are shared. Its `Debug` shows nothing: the URL may hold a password.
#[derive(Clone)]
pub struct SharedState(Client);

impl std::fmt::Debug for SharedState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedState(..)")
    }
}

/// Why it cannot be used. No text of it holds the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedStateError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the file holds is no URL of such a server.
    #[error("{0} holds no URL of a server; expected redis://HOST:PORT, rediss://… or unix://PATH")]
    Url(String),
    /// The CA cannot be used.
    #[error("{0} holds no CA certificate, or the URL is not one of rediss://")]
    Ca(String),
    /// A metric is registered twice.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl SharedState {
    /// The server whose URL stands in a file, with the CA of its certificate.
    ///
    /// # Errors
    /// See [`SharedStateError`].
    pub fn read(file: &Path, ca: Option<&Path>) -> Result<SharedState, SharedStateError> {
        let name = |path: &Path| path.display().to_string();
        let read = |path: &Path| std::fs::read(path).map_err(|source| SharedStateError::Read { file: name(path), source });
        let text = read(file)?;
        let url = std::str::from_utf8(&text).map_err(|_| SharedStateError::Url(name(file)))?.trim();
        // The client's own error might quote it.
        let client = match ca {
            None => Client::open(url).map_err(|_| SharedStateError::Url(name(file)))?,
            Some(ca) => {
                let pem = read(ca)?;
                if !pem.windows(27).any(|line| line == b"-----BEGIN CERTIFICATE-----") {
                    return Err(SharedStateError::Ca(name(ca)));
                }
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
                Client::build_with_tls(url, certificates).map_err(|_| SharedStateError::Ca(name(ca)))?
            }
        };
        Ok(SharedState(client))
    }
}

/// Exchanges counts for as long as the service runs.
pub(crate) struct Exchanger {
    client: Client,
    shared: Shared,
    up: IntGauge,
    errors: IntCounter,
    exchanges: IntCounter,
    connection: Option<MultiplexedConnection>,
    /// Fields that say nothing any more, by key.
    stale: Vec<(String, Vec<String>)>,
    /// Whether the last exchange went well; `None`: there was none.
    well: Option<bool>,
}

impl Exchanger {
    /// From now on counts are meant to be shared.
    pub(crate) fn new(state: &SharedState, inspector: &Inspector, registry: &Registry) -> Result<Exchanger, SharedStateError> {
        let up = IntGauge::new(
            "portcullis_shared_state_up",
            "Whether counts are shared with other scanners: 1, or 0 while the server cannot be reached.",
        )?;
        let errors = IntCounter::new("portcullis_shared_state_errors_total", "Exchanges of counts that failed.")?;
        let exchanges = IntCounter::new("portcullis_shared_state_exchanges_total", "Exchanges of counts that went well.")?;
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(exchanges.clone()))?;
        let (client, shared) = (state.0.clone(), inspector.share());
        Ok(Exchanger { client, shared, up, errors, exchanges, connection: None, stale: Vec::new(), well: None })
    }

    pub(crate) async fn run(mut self, mut shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.wait() => break,
                _ = ticks.tick() => self.tick().await,
            }
        }
        // What was counted last is told too: others go on.
        self.tick().await;
    }

    async fn tick(&mut self) {
        let books = self.shared.take();
        let mut left = books.as_slice();
        loop {
            let (batch, rest) = left.split_at(left.len().min(BATCH));
            match tokio::time::timeout(TIMEOUT, self.exchange(batch)).await {
                Ok(Ok(told)) => self.settle(batch, &told),
                Ok(Err(error)) => return self.lost(left, error.category()),
                Err(_) => return self.lost(left, "no answer"),
            }
            left = rest;
            if left.is_empty() {
                break;
            }
        }
        self.exchanges.inc();
        self.up.set(1);
        self.shared.reached(true);
        if self.well != Some(true) {
            tracing::info!("counts are shared with other scanners");
        }
        self.well = Some(true);
    }

    /// One round trip: what was counted goes, what all have counted comes.
    async fn exchange(&mut self, books: &[Book]) -> redis::RedisResult<Vec<HashMap<String, u64>>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.client.get_multiplexed_async_connection().await?),
        };
        let mut pipe = redis::pipe();
        pipe.cmd("PING").ignore();
        for (key, fields) in &self.stale {
            pipe.hdel(key, fields).ignore();
        }
        for book in books {
            changes(&mut pipe, book);
        }
        pipe.query_async(connection).await
    }

    fn settle(&mut self, books: &[Book], told: &[HashMap<String, u64>]) {
        self.stale.clear();
        for (book, fields) in books.iter().zip(told) {
            let fields: Vec<(String, u64)> = fields.iter().map(|(field, value)| (field.clone(), *value)).collect();
            let stale = self.shared.settle(book, &fields);
            if !stale.is_empty() {
                self.stale.push((key(book), stale));
            }
        }
    }

    fn lost(&mut self, books: &[Book], why: &str) {
        self.connection = None;
        self.shared.give_back(books);
        self.shared.reached(false);
        self.up.set(0);
        self.errors.inc();
        if self.well != Some(false) {
            tracing::error!(why, "counts cannot be shared with other scanners; this one counts for itself, or refuses, as policy says");
        }
        self.well = Some(false);
    }
}

fn key(book: &Book) -> String {
    format!("{PREFIX}{}", book.name())
}

fn changes(pipe: &mut Pipeline, book: &Book) {
    let key = key(book);
    for change in &book.changes {
        match change.way {
            Way::Add => pipe.hincr(&key, &change.field, change.value).ignore(),
            Way::First => pipe.hset_nx(&key, &change.field, change.value).ignore(),
            Way::Set => pipe.hset(&key, &change.field, change.value).ignore(),
        };
    }
    let keep = i64::try_from(book.keep).unwrap_or(i64::MAX);
    pipe.pexpire(&key, keep.max(1000)).ignore().hgetall(&key);
}
