//! Steady load from a sandbox: clean requests and secrets, over new tunnels and over kept ones, small and slow; and what came of each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use portcullis_e2e::{Client, Connection, Recorded, Request, Response, github_pat};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Sandbox;

/// Where the load goes.
const HOST: &str = "sink.example.net";
/// How often each worker sends.
const PACE: Duration = Duration::from_millis(120);
/// A body that is more than one read, and the pauses that make it slow.
const LARGE: usize = 96 * 1024;
const PAUSE: u64 = 100;
/// How many of the failed are told in full.
const TOLD: usize = 8;

/// Requests that go on until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    workers: Vec<oneshot::Receiver<Vec<Sent>>>,
    secrets: Vec<String>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Whether it held a secret.
    pub secret: bool,
    /// Its path, which no other has.
    pub path: String,
    /// When it was begun.
    pub begun: Instant,
    /// When its answer was read.
    pub ended: Instant,
    /// The status of its answer; 0 where there was none.
    pub status: u16,
    /// Why there was none, or what a refusal said.
    pub said: String,
}

impl Load {
    /// Begins.
    #[must_use]
    pub fn start(sandbox: &Sandbox, workers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let secrets: Vec<String> = (0..workers).map(|_| github_pat()).collect();
        let start = |(number, secret): (usize, &String)| {
            let worker = Worker { client: sandbox.client(), number, secret: secret.clone(), kept: None };
            let stop = Arc::clone(&stop);
            sandbox.host().start(async move || worker.run(&stop).await)
        };
        let workers = secrets.iter().enumerate().map(start).collect();
        Self { stop, workers, secrets }
    }

    /// The secrets that are sent.
    #[must_use]
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Ends, once what is under way has ended.
    ///
    /// # Errors
    /// A worker panicked.
    pub async fn stop(self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sent = Vec::new();
        for worker in self.workers {
            sent.extend(worker.await?);
        }
        Ok(Report { sent, secrets: self.secrets })
    }
}

struct Worker {
    client: Client,
    number: usize,
    secret: String,
    /// A tunnel that is used again.
    kept: Option<Connection>,
}

impl Worker {
    async fn run(mut self, stop: &AtomicBool) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut ticks = interval(PACE);
        // After a long answer, one at a time again.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            let turn = sent.len() + self.number;
            let path = format!("/{}/{}", self.number, sent.len());
            let begun = Instant::now();
            let (secret, answer) = self.send(turn, &path).await;
            let ended = Instant::now();
            let (status, said) = match answer {
                Ok(response) if response.status == 200 && !response.truncated => (200, String::new()),
                Ok(response) => (response.status, response.text().chars().take(200).collect()),
                Err(error) => (0, format!("{error:#}")),
            };
            sent.push(Sent { secret, path, begun, ended, status, said });
        }
        sent
    }

    /// Sends one request of the kind whose turn it is; says whether it held the secret.
    async fn send(&mut self, turn: usize, path: &str) -> (bool, Result<Response>) {
        let url = format!("https://{HOST}{path}");
        let request = match turn % 8 {
            0 => Request::get(&url),
            1 => Request::post(&url).header("content-type", "application/json").body(r#"{"text":"nothing to see here"}"#),
            2 => Request::post(&url).header("content-type", "text/plain").body(format!("token: {}", self.secret)),
            3 => Request::post(&url)
                .header("content-type", "text/plain")
                .body(vec![b'x'; LARGE])
                .chunks(&[LARGE / 3, LARGE / 3])
                .pause_ms(PAUSE),
            4 => Request::get(&url).header("x-note", &self.secret),
            5 => Request::get(&url).http2(),
            _ => return (false, self.send_kept(path).await),
        };
        (matches!(turn % 8, 2 | 4), self.client.send(&request).await)
    }

    /// Sends over a tunnel that was used before, as clients with a pool do: one that the other side has closed is not used again.
    async fn send_kept(&mut self, path: &str) -> Result<Response> {
        let mut kept = None;
        if let Some(mut connection) = self.kept.take() {
            let closed = timeout(Duration::ZERO, connection.read_to_end()).await.is_ok();
            kept = (!closed).then_some(connection);
        }
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.client.tls(&format!("{HOST}:443"), HOST).await?,
        };
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await?;
        let response = connection.response("GET").await?;
        if !response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.kept = Some(connection);
        }
        Ok(response)
    }
}

/// What came of a load.
#[derive(Debug)]
pub struct Report {
    /// All requests.
    pub sent: Vec<Sent>,
    secrets: Vec<String>,
}

impl Report {
    /// Clean requests that were not answered 200.
    pub fn failed(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| !sent.secret && sent.status != 200)
    }

    /// Clean requests that were under way at this moment.
    pub fn under_way(&self, moment: Instant) -> usize {
        self.sent.iter().filter(|sent| !sent.secret && sent.begun <= moment && moment <= sent.ended).count()
    }

    /// What is wrong by what arrived in the world: secrets, and requests that arrived twice or never though they were answered.
    #[must_use]
    pub fn wrong(&self, arrived: &[Recorded]) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.secrets.iter().any(|secret| arrived.iter().any(|request| request.contains(secret.as_bytes()))) {
            wrong.push("a secret arrived".to_owned());
        }
        let times = |path: &str| arrived.iter().filter(|request| request.path == path).count();
        for sent in &self.sent {
            let arrived = times(&sent.path);
            let expected = if sent.secret {
                0..=0
            } else if sent.status == 200 {
                1..=1
            } else {
                0..=1
            };
            if !expected.contains(&arrived) {
                wrong.push(format!("{} arrived {arrived} times: {}", sent.path, sent.status));
            }
            if sent.secret && sent.status == 200 {
                wrong.push(format!("{} held a secret and was answered 200", sent.path));
            }
        }
        wrong
    }

    /// The longest that a clean request took.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.sent.iter().filter(|sent| !sent.secret).map(|sent| sent.ended - sent.begun).max().unwrap_or_default()
    }

    /// How many per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let (first, last) = (self.sent.iter().map(|sent| sent.begun).min(), self.sent.iter().map(|sent| sent.ended).max());
        let seconds = first.zip(last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        f64::from(u32::try_from(self.sent.len()).unwrap_or(u32::MAX)) / seconds.max(0.001)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.sent.iter().filter(|sent| sent.secret);
        let refused = secrets.clone().filter(|sent| sent.status == 403).count();
        let failed = self.failed().count();
        write!(
            f,
            "{} requests at {:.0}/s: {} clean, {failed} failed, the longest took {:.2} s; {} with a secret, {refused} refused by name",
            self.sent.len(),
            self.rate(),
            self.sent.len() - secrets.clone().count(),
            self.longest().as_secs_f64(),
            secrets.count(),
        )?;
        for sent in self.failed().take(TOLD) {
            write!(f, "\n  {} after {:.3} s: {} {}", sent.path, (sent.ended - sent.begun).as_secs_f64(), sent.status, sent.said)?;
        }
        Ok(())
    }
}
