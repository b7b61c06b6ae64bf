//! The loop around a session: reads, writes, keeps the time.

use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use inspect::Share;
use telemetry::TraceParent;
use tokio::sync::mpsc;
use tokio::time;
use tonic::{Code, Status, Streaming};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Admission;
use super::session::{Event, Reply, Session, Waiting};
use super::{replies, translate};
use crate::doorman::Doorman;
use crate::record::{End, Recorder};

/// The first message must come within this: Envoy opens a stream because it has one.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// Envoy must take an answer within this, beside its own pace of reading.
const ANSWER: Duration = Duration::from_secs(60);
/// From this many bytes on, looking at them is work that must not stop the other tasks of this thread, and for which sandboxes take turns.
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

    fn fail(mut self, code: Code, why: &'static str) {
        if let Some(last) = self.last.take() {
            last.send(Err(Status::new(code, why)));
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

/// One stream.
pub(super) struct Driver {
    pub(super) session: Session,
    pub(super) doorman: Doorman,
    pub(super) admission: Admission,
    pub(super) guard: Guard,
    pub(super) recorder: Recorder,
    pub(super) seen: translate::Seen,
    pub(super) inbound: Streaming<ProcessingRequest>,
    pub(super) parent: Option<TraceParent>,
}

impl Driver {
    pub(super) async fn run(mut self) {
        // For traces, which take spans of any level. Not for the log, which would format one for every request and never print it.
        let span = tracing::debug_span!(
            "scan",
            otel.kind = "server",
            verdict = tracing::field::Empty,
            reason = tracing::field::Empty,
            body_bytes = tracing::field::Empty
        );
        if let Some(parent) = self.parent.take()
            && let Err(error) = span.set_parent(parent)
        {
            tracing::debug!(%error, "the span is not joined to its caller's");
        }
        self.recorder.metrics().streams.inc();
        let streams = self.recorder.metrics().streams.clone();
        self.serve().instrument(span).await;
        streams.dec();
    }

    async fn serve(mut self) {
        let limits = self.session.limits();
        let begun = time::Instant::now();
        let mut busy = Duration::ZERO;
        let mut deadline = begun + FIRST_MESSAGE;
        let mut place: Option<Share> = None;
        loop {
            let (alarm, at) = match self.session.waiting() {
                Waiting::Stream => (Event::StreamExpired, deadline),
                Waiting::Pause => (Event::Pause, deadline.min(time::Instant::now() + limits.pause)),
                Waiting::Hold => (Event::HoldExpired, deadline.min(time::Instant::now() + limits.hold_timeout)),
            };
            let event = tokio::select! {
                message = self.inbound.message() => match message {
                    Ok(Some(message)) => translate::event(message, &mut self.seen, |seen| self.doorman.who(seen), crate::record::request_id),
                    // The client or Envoy went away: there is nobody to decide for.
                    Ok(None) | Err(_) => {
                        self.recorder.end(End::Aborted);
                        return self.guard.fail(Code::Cancelled, "the request ended before it was decided");
                    }
                },
                () = time::sleep_until(at) => Some(if at >= deadline { Event::StreamExpired } else { alarm }),
            };
            let Some(event) = event else { continue };
            let event = match event {
                Event::Head(arrival) if place.is_none() => {
                    deadline = begun + limits.stream_timeout;
                    place = self.admission.enter(&arrival.head.sandbox);
                    if place.is_some() { Event::Head(arrival) } else { Event::TooMany(arrival) }
                }
                event => event,
            };
            for reply in self.answers(event, place.as_ref(), &mut busy).await {
                match replies::messages(reply, self.session.headers(), self.session.request_id()) {
                    Ok(messages) => {
                        for message in messages {
                            // The stream's own end is the only thing that is not waited for without bound.
                            if !matches!(time::timeout(ANSWER, self.guard.answers.send(Ok(message))).await, Ok(Ok(()))) {
                                self.recorder.end(End::Aborted);
                                return self.guard.fail(Code::DeadlineExceeded, "an answer was not taken");
                            }
                        }
                    }
                    Err(why) => {
                        self.recorder.end(End::Protocol);
                        self.record(busy);
                        return self.guard.fail(Code::InvalidArgument, why);
                    }
                }
            }
            if self.session.over() {
                self.record(busy);
                self.recorder.end(End::Decided);
                return self.guard.done();
            }
        }
    }

    /// What follows from an event. Long work waits for its turn, and is refused when none comes.
    async fn answers(&mut self, event: Event, place: Option<&Share>, busy: &mut Duration) -> Vec<Reply> {
        // Without a place there is no work: nothing has come yet, or it was refused.
        let (event, turn) = match place.filter(|_| self.session.work(&event) >= HEAVY) {
            None => (event, None),
            Some(place) => match self.admission.turn(place.sandbox()).await {
                Ok(turn) => (event, Some(turn)),
                Err(_) => (event.refused(), None),
            },
        };
        let started = Instant::now();
        let answers = if turn.is_some() { tokio::task::block_in_place(|| self.session.on(event)) } else { self.session.on(event) };
        *busy += started.elapsed();
        answers
    }

    fn record(&mut self, busy: Duration) {
        if let Some((facts, outcome)) = self.session.take_outcome() {
            self.recorder.record(&facts, &outcome, busy);
        }
    }
}
