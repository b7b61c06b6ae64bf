//! Who sends: one request at a time, with a pause after each, and a note of what was seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use portcullis_e2e::{Client, Response};
use rand::Rng;
use tokio::sync::watch;

use crate::kinds::{Case, Deck, Kind};
use crate::ledger::{Moment, Seen, Sent};
use crate::place::Place;
use crate::planted::Planted;

/// The pause after a request, in milliseconds: so that all of them together send some 100 to 200 requests a second.
const PAUSE: std::ops::Range<u64> = 20..60;

/// Whose requests with credentials that are nobody's are, in audit records.
const NOBODY: &str = "(unknown)";

/// What workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Send,
    Wait,
    Stop,
}

/// The way out, as long as it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// A client of each sandbox.
    pub(crate) clients: Vec<Client>,
    /// A client that nobody knows.
    pub(crate) stranger: Client,
    /// Whether the gateway ends.
    pub(crate) ending: bool,
}

/// What workers share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) ways: watch::Sender<Ways>,
    /// How many workers stand still.
    pub(crate) waiting: watch::Sender<usize>,
    pub(crate) planted: Arc<Planted>,
    sent: Mutex<Vec<Sent>>,
    numbers: AtomicU64,
    leaks: Mutex<Vec<String>>,
}

impl Desk {
    pub(crate) fn new(ways: Ways, planted: Arc<Planted>) -> Arc<Desk> {
        Arc::new(Desk {
            phase: watch::Sender::new(Phase::Wait),
            ways: watch::Sender::new(ways),
            waiting: watch::Sender::new(0),
            planted,
            sent: Mutex::default(),
            numbers: AtomicU64::new(1),
            leaks: Mutex::default(),
        })
    }

    pub(crate) fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers that held a secret.
    pub(crate) fn take_leaks(&self) -> Vec<String> {
        std::mem::take(&mut self.leaks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The name of a worker's sandbox.
pub(crate) fn sandbox(number: usize) -> String {
    format!("soak-{number}")
}

/// Sends until it is told to stop.
pub(crate) async fn work(worker: usize, desk: Arc<Desk>) {
    let (mut phase, mut ways) = (desk.phase.subscribe(), desk.ways.subscribe());
    let (mut deck, mut turn) = (Deck::default(), 0);
    loop {
        let now = *phase.borrow_and_update();
        match now {
            Phase::Stop => return,
            Phase::Wait => {
                desk.waiting.send_modify(|waiting| *waiting += 1);
                // An error means that the desk is gone, which is held here.
                drop(phase.changed().await);
                desk.waiting.send_modify(|waiting| *waiting -= 1);
            }
            Phase::Send => {
                // Nobody is sent to a gateway that ends. An error means that the desk is gone, which is held here.
                drop(ways.wait_for(|ways| !ways.ending).await);
                let case = Case::new(deck.draw(), desk.numbers.fetch_add(1, Ordering::Relaxed), Place::of(worker, turn));
                turn += 1;
                one(worker, &desk, case, turn - 1).await;
                let pause = rand::rng().random_range(PAUSE);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }
}

async fn one(worker: usize, desk: &Desk, case: Case, turn: u64) {
    if let Some(secret) = &case.secret {
        desk.planted.add(secret);
    }
    let ways = desk.ways.borrow().clone();
    let own = worker % ways.clients.len();
    let (client, sandbox) = match case.kind {
        Kind::Stranger => (&ways.stranger, NOBODY.to_owned()),
        _ => (&ways.clients[own], sandbox(own)),
    };
    let begun = now();
    let answer = if case.kind == Kind::Aborted { give_up(client, &case).await } else { client.send(&case.request).await.map(Some) };
    let ended = now();
    let (seen, id, reason) = match answer {
        Ok(None) => (Seen::GaveUp, None, None),
        Ok(Some(answer)) if answer.truncated => (Seen::Cut(format!("{} without its end", answer.status)), None, None),
        Ok(Some(answer)) => {
            let text = answer.text();
            if desk.planted.is_in(text.as_bytes()) {
                desk.leaks.lock().unwrap_or_else(PoisonError::into_inner).push(format!("the answer to request {}", case.number));
            }
            (Seen::Answer(answer.status), told(&answer, &text, "request"), told(&answer, &text, "reason"))
        }
        Err(error) => (Seen::Cut(format!("{error:#}")), None, None),
    };
    let (number, kind, print, place) = (case.number, case.kind, case.print, Place::of(worker, turn));
    let sent = Sent { number, place, kind, print, sandbox, begun, ended, seen, id, reason };
    desk.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
}

/// Sends a half, and goes away.
async fn give_up(client: &Client, case: &Case) -> Result<Option<Response>> {
    let mut connection = client.tls(&format!("{}:443", case.host), &case.host).await?;
    for piece in case.first_half() {
        if connection.send(&piece).await.is_err() {
            bail!("the gateway went away first");
        }
        tokio::time::sleep(case.hesitation()).await;
    }
    Ok(None)
}

/// What a refusal tells of itself, as JSON or as text: `[REASON, request ID]`.
fn told(answer: &Response, text: &str, what: &str) -> Option<String> {
    let media = answer.header("content-type").unwrap_or_default();
    if media == "application/problem+json" {
        let problem: serde_json::Value = serde_json::from_str(text).ok()?;
        let field = if what == "request" { "request_id" } else { "reason" };
        return Some(problem.get(field)?.as_str()?.to_owned());
    }
    let (reason, id) = text.lines().find_map(|line| line.strip_prefix('[')?.strip_suffix(']')?.split_once(", request "))?;
    Some(if what == "request" { id } else { reason }.to_owned())
}

/// The wall clock.
pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set");
    Moment::try_from(since.as_micros()).expect("a clock that is set")
}

#[test]
fn what_a_refusal_tells_is_read_from_both_forms() {
    let answer = |media: &str, body: &str| Response {
        headers: vec![("content-type".to_owned(), media.to_owned())],
        body: body.as_bytes().to_vec(),
        ..Response::default()
    };
    let json = answer("application/problem+json", r#"{"reason":"r","request_id":"ab12"}"#);
    let text = answer("text/plain", "Portcullis: no.\n[r, request ab12]\nhttps://\n");
    for one in [json, text] {
        let both = ["request", "reason"].map(|what| told(&one, &one.text(), what));
        assert_eq!(both, [Some("ab12".to_owned()), Some("r".to_owned())]);
    }
    assert_eq!(told(&answer("text/plain", "upstream connect error"), "upstream connect error", "request"), None);
}
