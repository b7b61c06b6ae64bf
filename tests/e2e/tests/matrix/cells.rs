//! One cell: a request while something goes wrong, what became of it, and what must hold whatever went wrong.

use std::cell::Cell as Slot;
use std::time::{Duration, Instant};

use portcullis_e2e::{BodyEnd, PATIENCE, Response, RunningFake, github_pat};

use crate::bodies::Body;
use crate::expectations::{Fault, Mode, Witness};
use crate::observation::Observation;
use crate::world::{HOST, World};

/// Envoy's count of what it said to scanners.
const SAID: &str = "ext_proc.stream_msgs_sent";

/// How a request travels.
pub(crate) struct Way<'a> {
    /// Inside a tunnel with TLS to this host; `None`: in the clear, in absolute form. CONNECT is a request of its own, which the scanner is asked
    /// about too: a scanner that is down or fails at the head would leave nothing of the request within to be seen.
    pub(crate) tunnel: Option<&'a str>,
    /// The fake scanner in the place of the real one.
    pub(crate) fake: Option<&'a RunningFake>,
}

impl Way<'_> {
    pub(crate) const CLEAR: Way<'static> = Way { tunnel: None, fake: None };
}

/// What is tried in one cell.
struct Trial<'a> {
    world: &'a World,
    fault: Fault,
    body: Body,
    way: &'a Way<'a>,
}

/// All cells of one part of the matrix in one mode, and what was wrong in them.
pub(crate) struct Cells {
    pub(crate) mode: Mode,
    pub(crate) wrong: Vec<String>,
}

/// What is counted, at one moment.
#[derive(Default)]
struct Counts {
    failed_open: u64,
    without_verdict: u64,
    streams_failed: u64,
    message_timeouts: u64,
    audited: u64,
    judged: u64,
    judged_bytes: u64,
    audit_lost: u64,
}

impl Counts {
    async fn of(world: &World, scanner_lives: bool) -> Counts {
        let mut counts = Counts {
            failed_open: world.stat("ext_proc.failure_mode_allowed").await,
            without_verdict: world.stat("rbac.verdict_.shadow_denied").await,
            streams_failed: world.stat("ext_proc.streams_failed").await,
            message_timeouts: world.stat("ext_proc.message_timeouts").await,
            audited: world.audit_lines(),
            ..Counts::default()
        };
        // A scanner that is frozen would keep us waiting.
        if scanner_lives {
            counts.judged = world.metric("portcullis_requests_total{").await;
            counts.judged_bytes = world.metric("portcullis_request_body_bytes_sum").await;
            counts.audit_lost = world.metric("portcullis_audit_dropped_total").await;
        }
        counts
    }
}

impl Cells {
    pub(crate) fn new(mode: Mode) -> Cells {
        Cells { mode, wrong: Vec::new() }
    }

    /// A request while the fault is there.
    pub(crate) async fn during(&mut self, world: &World, fault: Fault, body: Body, way: &Way<'_>) {
        self.run(Trial { world, fault, body, way }, None::<fn()>, async {}).await;
    }

    /// A request while the fault is there, and something that happens meanwhile.
    pub(crate) async fn with(&mut self, world: &World, fault: Fault, body: Body, way: &Way<'_>, meanwhile: impl Future<Output = ()>) {
        self.run(Trial { world, fault, body, way }, None::<fn()>, meanwhile).await;
    }

    /// A request in whose body the fault comes: once the scanner has taken up, and has let pass if it does, what came before.
    pub(crate) async fn within(&mut self, world: &World, fault: Fault, body: Body, way: &Way<'_>, strike: impl Fn()) {
        self.run(Trial { world, fault, body, way }, Some(strike), async {}).await;
    }

    /// Notes what was wrong beside the cells.
    pub(crate) fn note(&mut self, fault: Fault, result: Result<(), String>) {
        if let Err(why) = result {
            self.wrong.push(format!("{} × {}: {why}", fault.name(), self.mode.name()));
        }
    }

    async fn run(&mut self, trial: Trial<'_>, strike: Option<impl Fn()>, meanwhile: impl Future<Output = ()>) {
        let Trial { world, fault, body, way } = trial;
        let secret = fault.is_tried_with_a_secret().then(github_pat);
        let scanner_lives = matches!(fault.witness(), Witness::Scanner | Witness::Survivor);
        let before = Counts::of(world, scanner_lives).await;
        let fake_before = way.fake.map_or((0, 0), |fake| (fake.released_heads(), fake.released()));
        let said_before = world.stat(SAID).await;
        world.origin().forget();

        let at_the_gate = Slot::new(0_u64);
        let since = Slot::new(Instant::now());
        let sending = async {
            let host = way.tunnel.unwrap_or(HOST);
            let target = if way.tunnel.is_none() { format!("http://{host}/cell") } else { "/cell".to_owned() };
            let (method, pieces) = body.request(&target, host, secret.as_deref());
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let gate = |number: usize| {
                let (strike, at_the_gate, since) = (&strike, &at_the_gate, &since);
                async move {
                    tokio::time::sleep(body.pause()).await;
                    if number == body.gate()
                        && let Some(strike) = strike
                    {
                        taken_up(world, body, said_before).await;
                        at_the_gate.set(world.origin().requests().len() as u64);
                        strike();
                        since.set(Instant::now());
                    }
                }
            };
            let answer = async { world.connect(way.tunnel).await?.exchange(method, &pieces, gate).await }.await;
            (answer, since.get().elapsed())
        };
        let ((answer, took), ()) = tokio::join!(sending, meanwhile);

        let mut seen = observation(fault, self.mode, body, answer, took);
        // What the origin has begun to receive ends with the request.
        let ended = world.origin().wait_until("the request to end at the origin", |all| all.iter().all(|one| one.end != BodyEnd::Open));
        if let Err(error) = ended.await {
            self.wrong.push(format!("{seen}: {error:#}"));
        }
        if fault.witness() == Witness::Scanner {
            let judged = async || Counts::of(world, true).await.judged > before.judged;
            world.wait_until("the scanner counts the request", judged).await;
        }
        let after = Counts::of(world, scanner_lives).await;
        seen.failed_open = after.failed_open.saturating_sub(before.failed_open);
        seen.without_verdict = after.without_verdict.saturating_sub(before.without_verdict);
        seen.streams_failed = after.streams_failed.saturating_sub(before.streams_failed);
        seen.message_timeouts = after.message_timeouts.saturating_sub(before.message_timeouts);
        seen.audited = after.audited.saturating_sub(before.audited);
        seen.audit_lost = after.audit_lost.saturating_sub(before.audit_lost);
        let requests = world.origin().requests();
        seen.origin_requests = requests.len() as u64;
        seen.origin_bytes = requests.iter().map(|request| request.body.len() as u64).sum();
        let arrived = secret.as_deref().is_some_and(|secret| world.origin().saw(secret.as_bytes()));
        let (heads, bytes) = match fault.witness() {
            Witness::Nobody => (0, 0),
            Witness::BeforeTheGate if at_the_gate.get() > 0 => (at_the_gate.get(), body.before_the_gate()),
            Witness::BeforeTheGate => (0, 0),
            Witness::Survivor => (after.judged.saturating_sub(before.judged).max(at_the_gate.get()), body.before_the_gate()),
            Witness::Secret if arrived => (0, 0),
            Witness::Secret => (u64::MAX, u64::MAX),
            Witness::Fake => {
                let fake = way.fake.map_or((0, 0), |fake| (fake.released_heads(), fake.released()));
                (fake.0 - fake_before.0, fake.1 - fake_before.1)
            }
            Witness::Scanner => (after.judged.saturating_sub(before.judged), after.judged_bytes.saturating_sub(before.judged_bytes)),
        };
        seen.unscanned_requests = seen.origin_requests.saturating_sub(heads);
        seen.unscanned_bytes = seen.origin_bytes.saturating_sub(bytes);
        self.judge(&seen, arrived, way);
        if let Some(secret) = &secret
            && world.logs().contains(secret.as_str())
        {
            self.wrong.push(format!("{} × {}: a log holds the secret", fault.name(), self.mode.name()));
        }
        seen.write_down();
    }

    /// What holds in every cell, and what the table says of this one.
    fn judge(&mut self, seen: &Observation, secret_arrived: bool, way: &Way<'_>) {
        let mut wrong = |why: String| self.wrong.push(format!("{seen}\n    {why}"));
        if seen.hung {
            wrong(format!("the client waited {} s for nothing", PATIENCE.as_secs()));
        }
        let unscanned = (seen.unscanned_requests > 0 || seen.unscanned_bytes > 0) && !seen.fault.is_the_scanners_word();
        match seen.mode {
            Mode::Closed => {
                if unscanned || secret_arrived {
                    wrong("something arrived that no scanner let pass".to_owned());
                }
                if seen.marked || seen.failed_open > 0 {
                    wrong("fail-closed failed open".to_owned());
                }
            }
            Mode::Open => {
                // Where there is an answer of the origin's: the gateway's own say of themselves that nothing came of the request.
                if (unscanned || secret_arrived) && seen.status == Some(200) && !seen.marked {
                    wrong("a request passed unscanned and is not marked".to_owned());
                }
                if seen.marked && !unscanned {
                    wrong("a request that was scanned, or did not pass, is marked".to_owned());
                }
                if seen.without_verdict != seen.unscanned_requests {
                    wrong(format!("{} without a verdict counted, {} passed unscanned", seen.without_verdict, seen.unscanned_requests));
                }
                // Envoy's own count has all of them but those whose stream ended without a failure.
                if !seen.fault.ends_without_a_failure() && seen.failed_open != seen.unscanned_requests {
                    wrong(format!("{} counted, {} passed unscanned", seen.failed_open, seen.unscanned_requests));
                }
            }
        }
        if way.fake.is_some_and(|fake| fake.streams() == 0) {
            wrong("the fake scanner was not asked".to_owned());
        }
        let expected = seen.fault.expected(seen.mode, seen.body);
        if !expected.holds(seen.seen()) {
            wrong(format!("{:?} instead of {expected:?}", seen.seen()));
        }
    }
}

/// Waits until the scanner has what was sent so far, and has let pass what it lets pass of it.
async fn taken_up(world: &World, body: Body, said_before: u64) {
    if body.is_released_early() {
        let arrived = |all: &[portcullis_e2e::Recorded]| all.iter().any(|request| !request.body.is_empty());
        world.origin().wait_until("the first bytes", arrived).await.unwrap_or_else(|error| panic!("{error:#}\n{}", world.logs()));
    } else {
        // Head and a piece of the body were sent to it, so it has asked for the body: from now on nothing passes unscanned in fail-open either.
        world.wait_until("the scanner has taken up the request", async || world.stat(SAID).await >= said_before + 2).await;
    }
}

fn observation(fault: Fault, mode: Mode, body: Body, answer: anyhow::Result<Response>, took: Duration) -> Observation {
    let (status, marked, hung, said) = match answer {
        Ok(answer) if answer.truncated => (None, false, false, format!("{}, truncated", answer.status)),
        Ok(answer) => (Some(answer.status), answer.header("x-portcullis-failed-open").as_deref() == Some("1"), false, answer.text()),
        Err(error) => (None, false, format!("{error:#}").contains("waited"), format!("{error:#}")),
    };
    Observation {
        fault,
        mode,
        body,
        status,
        hung,
        marked,
        milliseconds: took.as_millis(),
        origin_requests: 0,
        origin_bytes: 0,
        unscanned_requests: 0,
        unscanned_bytes: 0,
        failed_open: 0,
        without_verdict: 0,
        streams_failed: 0,
        message_timeouts: 0,
        audited: 0,
        audit_lost: 0,
        said,
    }
}
