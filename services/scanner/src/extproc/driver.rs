//! The loop around a session: reads, writes, keeps the time.

use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use inspect::Share;
use tokio::sync::mpsc;
use tokio::time;
use tonic::{Request, Status, Streaming};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Admission;
use super::intake::{Lease, SHORT};
use super::session::{Event, Reply, Session, Waiting};
use super::{replies, translate};
use crate::doorman::Doorman;
use crate::record::{End, Recorder};

/// The first message must come within this: Envoy opens a stream because it has one.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// Envoy must take an answer within this, beside its own pace of reading.
const ANSWER: Duration = Duration::from_secs(60);
/// From this many bytes on, looking at them is work for a thread of its own, and for which sandboxes take turns.
const HEAVY: usize = 16 << 10;

type Answers = mpsc::Sender<Result<ProcessingResponse, Status>>;

/// The way back to Envoy. If nobody says that all is done, it ends the stream with an error when dropped: on a stream that ends cleanly
/// Envoy forwards the request unscanned.
#[derive(Debug)]
pub(super) struct Guard {
    answers: Answers,
    /// A place in the channel that is kept free for the error.
    last: Option<mpsc::OwnedPermit<Result<ProcessingResponse, Status>>>,
}

impl Guard {
    pub(super) fn new(answers: Answers) -> Result<Guard, ()> {
        let last = answers.clone().try_reserve_owned().map_err(|_| ())?;
        Ok(Guard { answers, last: Some(last) })
    }

    /// All is said: the stream may end cleanly.
    fn done(mut self) {
        self.last = None;
    }

    fn fail(mut self, status: Status) {
        if let Some(last) = self.last.take() {
            last.send(Err(status));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(last) = self.last.take() {
            last.send(Err(Status::internal("the scanner came to no decision")));
        }
    }
}

/// A stream under way, as the metrics count it: dropped without an end, it was aborted.
#[derive(Debug)]
struct Life {
    recorder: Recorder,
    ended: bool,
}

impl Life {
    fn begin(recorder: Recorder) -> Life {
        recorder.metrics().streams.inc();
        Life { recorder, ended: false }
    }

    fn end(&mut self, end: End) {
        self.ended = true;
        self.recorder.end(end);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if !self.ended {
            self.recorder.end(End::Aborted);
        }
        self.recorder.metrics().streams.dec();
    }
}

/// One stream.
pub(super) struct Driver {
    session: Session,
    doorman: Doorman,
    admission: Admission,
    seen: translate::Seen,
    inbound: Streaming<ProcessingRequest>,
    /// Its share of the room, once there is a head.
    place: Option<Share>,
    /// The right to take in its body, while that is long and comes.
    lease: Option<Lease>,
    /// Bytes of the body that have come.
    received: u64,
    begun: time::Instant,
    deadline: time::Instant,
    /// Time spent on it.
    busy: Duration,
    /// For traces, which take spans of any level. Not for the log, which would format one for every request and never print it.
    span: Span,
    life: Life,
}

/// What became of a stream's first message.
pub(super) enum Begun {
    /// All is said: these messages, and the stream ends.
    Decided(Vec<ProcessingResponse>),
    /// These messages, and the rest goes on.
    Open(Box<Driver>, Vec<ProcessingResponse>),
}

impl Driver {
    pub(super) fn new(
        session: Session,
        doorman: Doorman,
        admission: Admission,
        recorder: Recorder,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Box<Driver> {
        let span = tracing::debug_span!(
            "scan",
            otel.kind = "server",
            verdict = tracing::field::Empty,
            reason = tracing::field::Empty,
            body_bytes = tracing::field::Empty
        );
        let said = |key: &str| request.metadata().get(key).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(parent) = telemetry::parent_of(&said)
            && let Err(error) = span.set_parent(parent)
        {
            tracing::debug!(%error, "the span is not joined to its caller's");
        }
        let seen = translate::Seen::of(request.metadata());
        let begun = time::Instant::now();
        Box::new(Driver {
            session,
            doorman,
            admission,
            seen,
            inbound: request.into_inner(),
            place: None,
            lease: None,
            received: 0,
            begun,
            deadline: begun + FIRST_MESSAGE,
            busy: Duration::ZERO,
            span,
            life: Life::begin(recorder),
        })
    }

    /// Takes the head. Most requests have no body and are decided here, in the task that took the stream, without one of their own.
    ///
    /// # Errors
    /// The status with which the stream ends.
    pub(super) async fn begin(mut self: Box<Self>) -> Result<Begun, Status> {
        let span = self.span.clone();
        async move {
            let messages = loop {
                if let Some(event) = self.event().await? {
                    break self.step(event).await?;
                }
            };
            if !self.session.over() {
                return Ok(Begun::Open(self, messages));
            }
            self.end(End::Decided);
            Ok(Begun::Decided(messages))
        }
        .instrument(span)
        .await
    }

    /// Goes on after `first`, which are still to be sent.
    pub(super) async fn run(mut self: Box<Self>, first: Vec<ProcessingResponse>, guard: Guard) {
        let span = self.span.clone();
        let ended = self.serve(first, &guard).instrument(span).await;
        // What the metrics say of it is true before Envoy can know of the end.
        drop(self);
        match ended {
            Ok(()) => guard.done(),
            Err(status) => guard.fail(status),
        }
    }

    async fn serve(&mut self, first: Vec<ProcessingResponse>, guard: &Guard) -> Result<(), Status> {
        self.send(first, guard).await?;
        while !self.session.over() {
            let event = match self.event().await {
                // Who asked has gone before all of the answer had come. The request was decided.
                Err(_) if self.session.answering() => break,
                event => event?,
            };
            if let Some(event) = event {
                let messages = self.step(event).await?;
                self.send(messages, guard).await?;
            }
        }
        self.end(End::Decided);
        Ok(())
    }

    async fn send(&mut self, messages: Vec<ProcessingResponse>, guard: &Guard) -> Result<(), Status> {
        for message in messages {
            // The stream's own end is the only thing that is not waited for without bound.
            if !matches!(time::timeout(ANSWER, guard.answers.send(Ok(message))).await, Ok(Ok(()))) {
                return Err(Status::deadline_exceeded("an answer was not taken"));
            }
        }
        Ok(())
    }

    /// The next event, from Envoy or the clock; none for messages that say nothing of the request.
    async fn event(&mut self) -> Result<Option<Event>, Status> {
        let limits = self.session.limits();
        let now = time::Instant::now();
        // Messages that keep coming must not keep the clock from being read.
        if now >= self.deadline {
            return Ok(Some(Event::StreamExpired));
        }
        let (alarm, at) = match self.session.waiting() {
            Waiting::Stream => (Event::StreamExpired, self.deadline),
            Waiting::Pause => (Event::Pause, self.deadline.min(now + limits.pause)),
            Waiting::Hold => (Event::HoldExpired, self.deadline.min(now + limits.hold_timeout)),
        };
        let lapse = self.lease.as_ref().map(|lease| lease.until);
        tokio::select! {
            // Mostly a message is there: then no alarm is set.
            biased;
            message = self.inbound.message() => match message {
                Ok(Some(message)) => Ok(translate::event(message, &mut self.seen, |seen| self.doorman.who(seen), crate::record::request_id)),
                // The client or Envoy went away: there is nobody to decide for.
                Ok(None) | Err(_) => Err(Status::cancelled("the request ended before it was decided")),
            },
            () = time::sleep_until(lapse.map_or(at, |lapse| at.min(lapse))) => Ok(if lapse.is_some_and(|lapse| lapse < at) {
                self.lease = None;
                None
            } else {
                Some(if at >= self.deadline { Event::StreamExpired } else { alarm })
            }),
        }
    }

    /// The messages that follow from an event.
    async fn step(&mut self, event: Event) -> Result<Vec<ProcessingResponse>, Status> {
        let event = match event {
            Event::Head(arrival) if self.place.is_none() => {
                self.deadline = self.begun + self.session.limits().stream_timeout;
                self.place = self.admission.enter(&arrival.head.sandbox);
                if self.place.is_some() { Event::Head(arrival) } else { Event::TooMany(arrival) }
            }
            event => event,
        };
        let until = self.admission.patience().min(self.deadline);
        let event = self.taken_in(event, until).await;
        let mut replies = self.answers(event, until).await?;
        // Envoy sends the body when it is told to, and not before.
        if replies.contains(&Reply::WantBody) && self.session.expected().is_some_and(|length| length > SHORT) && !self.leased(until).await {
            replies = self.session.on(Event::Overloaded);
        }
        if self.session.answering() {
            // The request travels now, whatever becomes of its answer.
            self.record();
        }
        let mut messages = Vec::new();
        for reply in replies {
            match replies::messages(reply, self.session.headers(), self.session.request_id()) {
                Ok(more) => messages.extend(more),
                Err(why) => {
                    self.end(End::Protocol);
                    return Err(Status::invalid_argument(why));
                }
            }
        }
        Ok(messages)
    }

    /// An event of a long body, once more of that may be taken in.
    async fn taken_in(&mut self, event: Event, until: time::Instant) -> Event {
        let Event::Body { bytes, .. } = &event else { return event };
        let more = bytes.len();
        self.received = self.received.saturating_add(more as u64);
        if self.received <= SHORT {
            return event;
        }
        if !self.leased(until).await {
            return Event::Overloaded;
        }
        if !self.lease.as_mut().is_some_and(|lease| lease.spend(more)) {
            self.lease = None;
        }
        event
    }

    /// Waits for a lease, if there is none, until then.
    async fn leased(&mut self, until: time::Instant) -> bool {
        if self.lease.is_none()
            && let Some(place) = &self.place
        {
            self.lease = self.admission.lease(place.sandbox(), until).await;
        }
        self.lease.is_some()
    }

    /// What the session answers. Long work waits for its turn, and is refused when none comes.
    ///
    /// # Errors
    /// It came to no end.
    async fn answers(&mut self, event: Event, until: time::Instant) -> Result<Vec<Reply>, Status> {
        // Without a place there is no work: nothing has come yet, or it was refused.
        let (event, turn) = match self.place.as_ref().filter(|_| self.session.work(&event) >= HEAVY) {
            None => (event, None),
            Some(place) => match self.admission.turn(place.sandbox(), until).await {
                Ok(turn) => (event, Some(turn)),
                Err(_) => (event.refused(), None),
            },
        };
        let Some(turn) = turn else {
            let started = Instant::now();
            let replies = self.session.on(event);
            self.busy += started.elapsed();
            return Ok(replies);
        };
        let mut session = self.session.take();
        let span = Span::current();
        let scanned = self.admission.workers.run(move || {
            let started = Instant::now();
            let replies = span.in_scope(|| session.on(event));
            let busy = started.elapsed();
            drop(turn);
            (session, replies, busy)
        });
        let (session, replies, busy) = scanned.await.map_err(|failed| Status::internal(failed.to_string()))?;
        self.session = session;
        self.busy += busy;
        Ok(replies)
    }

    /// The outcome, if there is one that is not recorded yet.
    fn record(&mut self) {
        if let Some((facts, outcome)) = self.session.take_outcome() {
            self.life.recorder.record(&facts, &outcome, self.busy);
        }
    }

    /// The end, with the outcome if there is one.
    fn end(&mut self, end: End) {
        self.record();
        self.life.end(end);
    }
}
