//! The generator: an open loop at a constant rate, or a closed loop that keeps so many requests under way.
//!
//! In the open loop request *i* is meant for the moment *i* / rate after the start. Workers take the numbers in order; one that comes late to
//! its number (because all were waiting for answers) finds its moment in the past, and the latency counts from that moment all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::lane::Lane;
use crate::live::Live;
use crate::route::Route;
use crate::scenario::Scenario;
use crate::source::Source;
use crate::tally::{Fate, Tally};

/// After the last request was due, answers are waited for this long: mitmproxy takes seconds for 256 KiB.
const GRACE: Duration = Duration::from_secs(40);
/// Connections are set up before the clock starts, within this.
const SET_UP: Duration = Duration::from_secs(30);
/// Of an answer that is not 200, this much is kept.
const SAID: usize = 600;

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// So many requests per second, whatever the answers do.
    Open(f64),
    /// A request as soon as there is an answer to the one before.
    Closed,
}

/// Workers with their connections, kept from run to run.
#[derive(Debug)]
pub(crate) struct Generator {
    source: Arc<Source>,
    lanes: Vec<Arc<Lane>>,
    streams: usize,
}

/// What workers of one run share.
#[derive(Debug)]
struct Run {
    pace: Pace,
    begun: Instant,
    /// When the last request of a closed loop is sent.
    until: Instant,
    /// When what is not answered counts as failed.
    cutoff: Instant,
    /// Requests of an open loop.
    total: u64,
    next: AtomicU64,
    /// One for each request that is due.
    due: Semaphore,
    live: Live,
}

impl Generator {
    /// Opens the connections of a scenario.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) async fn new(scenario: &Scenario, route: &Route, connections: usize) -> Result<Self> {
        let source = Arc::new(Source::new(scenario)?);
        let count = source.endpoints().len();
        let lanes: Vec<_> = (0..connections).map(|number| Arc::new(Lane::new(route.clone(), number, count))).collect();
        let generator = Self { source, lanes, streams: scenario.load.streams };
        let mut opening = JoinSet::new();
        for lane in &generator.lanes {
            let (lane, source) = (Arc::clone(lane), Arc::clone(&generator.source));
            opening.spawn(async move {
                for place in 0..source.endpoints().len() {
                    let sender = lane.sender(source.endpoints(), place).await?;
                    lane.keep(place, sender).await;
                }
                anyhow::Ok(())
            });
        }
        let opened = async { opening.join_all().await.into_iter().collect::<Result<()>>() };
        tokio::time::timeout(SET_UP, opened).await.context("connections take too long to open")??;
        Ok(generator)
    }

    /// Sends for this long and waits for the answers.
    ///
    /// # Errors
    /// None of the requests': those are counted.
    pub(crate) async fn run(&self, pace: Pace, lasting: Duration, live: Live) -> Result<Tally> {
        let begun = Instant::now();
        let total = match pace {
            Pace::Open(rate) => ((rate * lasting.as_secs_f64()).round() as u64).max(1),
            Pace::Closed => u64::MAX,
        };
        let until = begun + lasting;
        let (due, next) = (Semaphore::new(0), AtomicU64::new(0));
        let run = Arc::new(Run { pace, begun, until, cutoff: until + GRACE, total, next, due, live });
        let workers = self.lanes.len() * self.streams;
        let stop = Arc::new(Stop(AtomicBool::new(false)));
        if let Pace::Open(rate) = pace {
            let (run, stop) = (Arc::clone(&run), Arc::clone(&stop));
            // A thread, since the timers of tokio are good to a millisecond only.
            std::thread::Builder::new().name("pacer".into()).spawn(move || pacer(&run, rate, workers, &stop))?;
        }
        // A run that is given up ends its pacer too.
        let _ends = StopWhenDropped(stop);
        let mut tasks = JoinSet::new();
        for worker in 0..workers {
            let (run, source, lane) = (Arc::clone(&run), Arc::clone(&self.source), Arc::clone(&self.lanes[worker / self.streams]));
            tasks.spawn(async move { work(&run, &source, &lane).await });
        }
        let mut tally = Tally::new()?;
        while let Some(done) = tasks.join_next().await {
            tally.add(done??)?;
        }
        tally.elapsed = begun.elapsed();
        Ok(tally)
    }
}

#[derive(Debug)]
struct Stop(AtomicBool);

struct StopWhenDropped(Arc<Stop>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Says when each request is due.
fn pacer(run: &Run, rate: f64, workers: usize, stop: &Stop) {
    // A thread sleeps up to its slack too long, 50 µs if nobody says otherwise. If the system does not allow it, requests start that late.
    rustix::thread::set_current_timer_slack(std::num::NonZero::new(1)).ok();
    for number in 0..run.total {
        let at = run.begun + moment(number, rate);
        if let Some(wait) = at.checked_duration_since(Instant::now()) {
            std::thread::sleep(wait);
        }
        if stop.0.load(Ordering::Relaxed) {
            return;
        }
        run.due.add_permits(1);
    }
    // Each worker once more, to see that there is nothing left.
    run.due.add_permits(workers);
}

fn moment(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

async fn work(run: &Run, source: &Source, lane: &Lane) -> Result<Tally> {
    let mut tally = Tally::new()?;
    loop {
        let meant = match run.pace {
            Pace::Open(rate) => {
                run.due.acquire().await?.forget();
                let number = run.next.fetch_add(1, Ordering::Relaxed);
                if number >= run.total {
                    return Ok(tally);
                }
                run.begun + moment(number, rate)
            }
            Pace::Closed => {
                let now = Instant::now();
                if now >= run.until {
                    return Ok(tally);
                }
                now
            }
        };
        let fate = match timeout_at(run.cutoff.into(), exchange(source, lane)).await {
            Ok(fate) => fate?,
            Err(_) => Fate::Failed("not answered before the end of the run".into()),
        };
        run.live.count(&fate);
        tally.note(meant.elapsed(), fate);
    }
}

/// One request and its answer.
async fn exchange(source: &Source, lane: &Lane) -> Result<Fate> {
    let ready = source.next()?;
    let (place, bytes) = (ready.endpoint, ready.request.body().len());
    let mut sender = match lane.sender(source.endpoints(), place).await {
        Ok(sender) => sender,
        // The outermost says at which step, which is enough of a kind.
        Err(error) => return Ok(Fate::Failed(format!("opening: {error}"))),
    };
    let answer = match sender.send(ready.request).await {
        Ok(answer) => answer,
        Err(error) => {
            lane.forget(place).await;
            return Ok(Fate::Failed(kind(&error).to_owned()));
        }
    };
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let (mut said, mut grpc) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let (true, Some(data)) = (status != 200, frame.data_ref()) {
                    said.extend_from_slice(&data[..data.len().min(SAID.saturating_sub(said.len()))]);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    grpc = trailers.get("grpc-status").map(|status| String::from_utf8_lossy(status.as_bytes()).into_owned());
                }
            }
            Err(error) => {
                lane.forget(place).await;
                return Ok(Fate::Failed(format!("answer: {}", kind(&error))));
            }
        }
    }
    lane.keep(place, sender).await;
    Ok(match (status, grpc.as_deref()) {
        (200, None | Some("0")) => Fate::Fine(bytes),
        (200, Some(status)) => Fate::Failed(format!("grpc-status {status}")),
        (403, _) => Fate::Refused(String::from_utf8_lossy(&said).into_owned()),
        (other, _) => Fate::Failed(format!("status {other}")),
    })
}

/// The kind of an error: few words, the same for all of a kind.
fn kind(error: &hyper::Error) -> &'static str {
    if error.is_incomplete_message() {
        "closed before the answer"
    } else if error.is_canceled() {
        "connection given up"
    } else if error.is_parse() {
        "not HTTP"
    } else if error.is_timeout() {
        "timed out"
    } else {
        "connection broken"
    }
}

#[cfg(test)]
mod tests;
