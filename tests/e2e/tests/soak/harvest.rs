//! What reached the origin: taken from it as it comes, since nobody can keep 45 minutes of bodies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_e2e::{BodyEnd, Recorded, Tap};

use crate::kinds::Print;
use crate::ledger::Arrival;
use crate::planted::Planted;

const EVERY: Duration = Duration::from_millis(250);

/// Takes arrivals, and looks for secrets in every byte of every connection.
pub(crate) struct Harvest {
    tap: Tap,
    planted: Arc<Planted>,
    barn: Mutex<Barn>,
}

#[derive(Default)]
struct Barn {
    arrivals: Vec<Arrival>,
    wrong: Vec<String>,
    /// The last bytes of each connection: a secret may come in two pieces.
    tails: HashMap<usize, Vec<u8>>,
    bytes: u64,
}

impl Harvest {
    pub(crate) fn new(tap: Tap, planted: Arc<Planted>) -> Arc<Harvest> {
        Arc::new(Harvest { tap, planted, barn: Mutex::default() })
    }

    /// Gathers for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            self.gather();
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Whether no request is under way at the origin.
    pub(crate) fn is_idle(&self) -> bool {
        self.tap.open() == 0
    }

    /// What arrived since it was asked last, and what was wrong with it.
    pub(crate) fn take(&self) -> (Vec<Arrival>, Vec<String>) {
        self.gather();
        let mut barn = self.barn.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut barn.arrivals), std::mem::take(&mut barn.wrong))
    }

    /// Bytes that were looked at so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.barn.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    fn gather(&self) {
        let mut barn = self.barn.lock().unwrap_or_else(PoisonError::into_inner);
        for request in self.tap.take_ended() {
            match arrival(&request) {
                Some(arrival) => barn.arrivals.push(arrival),
                None => barn.wrong.push(format!("a request without a number arrived: {} {}", request.method, request.path)),
            }
            // Over HTTP/2 heads are compressed: the bytes of the connection do not show what they say.
            let headers = request.headers.values().map(http::HeaderValue::as_bytes);
            if headers.chain([request.path.as_bytes(), request.authority.as_bytes()]).any(|bytes| self.planted.is_in(bytes)) {
                barn.wrong.push(format!("a secret arrived in the head of {}", request.path));
            }
        }
        for (connection, bytes) in self.tap.take_bytes() {
            barn.bytes += bytes.len() as u64;
            let mut seen = barn.tails.remove(&connection).unwrap_or_default();
            seen.extend(bytes);
            if self.planted.is_in(&seen) {
                barn.wrong.push(format!("a secret arrived on connection {connection}"));
            }
            let tail = seen.split_off(seen.len().saturating_sub(Planted::OVERLAP));
            barn.tails.insert(connection, tail);
        }
    }
}

fn arrival(request: &Recorded) -> Option<Arrival> {
    let number = request.path.strip_prefix("/r/")?.parse().ok()?;
    Some(Arrival { number, print: Print::of(&request.body), whole: request.end == BodyEnd::Clean })
}
