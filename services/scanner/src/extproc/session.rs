//! One request as a state machine: events in, replies out. No I/O, no clock, no wire types; total: no order of events makes it panic.

use bytes::Bytes;
use inspect::{Advertised, Answer, Facts, Flow, Head, HeadEdits, Header, Inspector, Opened, Outcome, Problem, Release, Step};
use policy::{Action, Reason};

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The head of the request.
    Head(Box<Arrival>),
    /// A head for which there is no room: the request is refused.
    TooMany(Box<Arrival>),
    /// Bytes of the body; `end`: the last ones.
    Body { bytes: Bytes, end: bool },
    /// The body is complete and trailers follow it.
    Trailers(Vec<Header>),
    /// Nothing came for as long as a pause is.
    Pause,
    /// What a pause could not release was held for as long as it may be.
    HoldExpired,
    /// The request as a whole took too long.
    StreamExpired,
    /// There is no time to look at what came.
    Overloaded,
    /// The head of the upstream's answer; `end`: it has no body.
    AnswerHead { end: bool },
    /// Bytes of that answer's body; `end`: the last ones.
    AnswerBody { bytes: Bytes, end: bool },
    /// The answer is complete, and trailers follow it.
    AnswerTrailers,
}

impl Event {
    /// What it becomes when there is no time for it.
    pub(crate) fn refused(self) -> Event {
        match self {
            Event::Head(arrival) => Event::TooMany(arrival),
            _ => Event::Overloaded,
        }
    }
}

/// A head as it arrives.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) head: Head,
    /// Whether the tunnel was opened under another name than the request's.
    pub(crate) fronted: bool,
    /// Whether it came through a tunnel: then the client thinks it speaks to the upstream.
    pub(crate) tunnelled: bool,
}

/// What Envoy is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send the body as it comes, trailers too.
    WantBody,
    /// The head may travel. `answer`: the upstream's answer is wanted too.
    Head { edits: HeadEdits, verdict: &'static str, answer: bool },
    /// These bytes may travel.
    Body { bytes: Bytes, end: bool },
    /// The trailers may travel.
    Trailers,
    /// The head of the upstream's answer may travel, without the length of its body.
    AnswerHead,
    /// These bytes of it may travel.
    AnswerBody { bytes: Bytes, end: bool },
    /// Its trailers may travel.
    AnswerTrailers,
    /// The client gets this answer.
    Deny(Answer),
    /// The stream ends with an error: what came was no request.
    Broken(&'static str),
}

/// What the session waits for, beside events from Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Only for the end of the stream.
    Stream,
    /// A pause would release something.
    Pause,
    /// A pause did not release all.
    Hold,
}

enum State {
    Start,
    Body {
        flow: Box<Flow>,
        paused: bool,
    },
    /// The request is decided, and its answer goes through here.
    Answer(Advertised),
    Over,
}

/// One request.
pub(crate) struct Session {
    inspector: Inspector,
    state: State,
    /// Header names, to say which ones are edited.
    head: Option<Head>,
    facts: Option<Facts>,
    outcome: Option<Outcome>,
    /// Whether the head says how long the body is.
    length_known: bool,
    tunnelled: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Start => "start",
            State::Body { .. } => "body",
            State::Answer(_) => "answer",
            State::Over => "over",
        };
        f.debug_struct("Session").field("state", &state).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(inspector: Inspector) -> Session {
        Session { inspector, state: State::Start, head: None, facts: None, outcome: None, length_known: false, tunnelled: false }
    }

    /// Takes all of it; what stays behind answers nothing.
    pub(crate) fn take(&mut self) -> Session {
        let rest = Session { state: State::Over, ..Session::new(self.inspector.clone()) };
        std::mem::replace(self, rest)
    }

    /// Whether all is said.
    pub(crate) fn over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether the request is decided, and only its answer is still under way.
    pub(crate) fn answering(&self) -> bool {
        matches!(self.state, State::Answer(_))
    }

    /// The limits that the driver's clock needs.
    pub(crate) fn limits(&self) -> policy::PolicyLimits {
        self.inspector.limits()
    }

    /// The headers that [`HeadEdits`] speak of.
    pub(crate) fn headers(&self) -> &[Header] {
        self.head.as_ref().map(|h| h.headers.as_slice()).unwrap_or_default()
    }

    /// How the request ended, once.
    pub(crate) fn take_outcome(&mut self) -> Option<(Facts, Outcome)> {
        let outcome = self.outcome.take()?;
        Some((self.facts.take()?, outcome))
    }

    /// The id that the client, the audit log and Envoy's log share.
    pub(crate) fn request_id(&self) -> &str {
        self.head.as_ref().map(|h| h.request_id.as_str()).unwrap_or_default()
    }

    /// What a clock should watch.
    pub(crate) fn waiting(&self) -> Waiting {
        match &self.state {
            State::Body { flow, paused: false } if !self.length_known && flow.holds() => Waiting::Pause,
            State::Body { flow, paused: true } if flow.holds() => Waiting::Hold,
            _ => Waiting::Stream,
        }
    }

    /// How long the body is that is waited for, if its head says so.
    pub(crate) fn expected(&self) -> Option<u64> {
        match &self.state {
            State::Body { flow, .. } => flow.expected(),
            State::Start | State::Answer(_) | State::Over => None,
        }
    }

    /// How many bytes an event makes the engine look at, about.
    pub(crate) fn work(&self, event: &Event) -> usize {
        match (&self.state, event) {
            (State::Start, Event::Head(arrival)) => {
                let headers = arrival.head.headers.iter().map(|header| header.name.len() + header.value.len());
                arrival.head.path.len() + headers.sum::<usize>()
            }
            (State::Body { flow, .. }, Event::Body { bytes, end }) => flow.work(bytes.len(), *end),
            (State::Body { flow, .. }, Event::Trailers(_)) => flow.work(0, true),
            (State::Body { flow, .. }, Event::Pause | Event::HoldExpired) => flow.held(),
            _ => 0,
        }
    }

    /// What follows from an event.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Reply> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => match event {
                Event::Head(arrival) => self.head(*arrival),
                Event::TooMany(arrival) => self.too_many(*arrival),
                Event::StreamExpired => vec![Reply::Broken("no request came")],
                _ => vec![Reply::Broken("the first message was not a head")],
            },
            State::Body { flow, paused } => self.body(flow, paused, event),
            State::Answer(advertised) => self.answer(advertised, event),
            // What comes after the decision changes nothing.
            State::Over => Vec::new(),
        }
    }

    fn head(&mut self, Arrival { head, fronted, tunnelled }: Arrival) -> Vec<Reply> {
        self.facts = Some(Facts::of(&head));
        self.tunnelled = tunnelled;
        if head.method == "CONNECT" && !tunnelled {
            return self.tunnel(head);
        }
        // A blank or a control byte ends a request line for some readers and not for others (RFC 9112 section 3.2).
        let refused = fronted || head.path.iter().any(|b| b.is_ascii_control() || b.is_ascii_whitespace());
        self.length_known = head.headers.iter().any(|h| h.name == "content-length");
        let opened = self.inspector.open(&head);
        self.head = Some(head);
        match opened {
            Opened::Decided(outcome, _) if refused && outcome.verdict.action != Action::Deny => {
                self.deny(denied(outcome, Reason::Ambiguous))
            }
            Opened::Decided(outcome, edits) => self.decided(outcome, edits),
            Opened::Body(flow) if refused => {
                let outcome = flow.fail(Reason::Ambiguous);
                self.deny(outcome)
            }
            Opened::Body(flow) => {
                self.state = State::Body { flow, paused: false };
                vec![Reply::WantBody]
            }
        }
    }

    fn too_many(&mut self, Arrival { head, tunnelled, .. }: Arrival) -> Vec<Reply> {
        self.facts = Some(Facts::of(&head));
        self.tunnelled = tunnelled;
        let outcome = self.inspector.refuse(&head, Reason::Overloaded);
        self.head = Some(head);
        self.deny(outcome)
    }

    /// A tunnel is asked for. Its requests will come here one by one, so all that counts is who asks; they leave the records.
    fn tunnel(&mut self, head: Head) -> Vec<Reply> {
        let outcome = self.inspector.tunnel(&head);
        self.head = Some(head);
        if outcome.verdict.action == Action::Deny {
            return self.deny(outcome);
        }
        vec![Reply::Head { edits: HeadEdits::default(), verdict: "tunnel", answer: false }]
    }

    fn body(&mut self, mut flow: Box<Flow>, paused: bool, event: Event) -> Vec<Reply> {
        match event {
            Event::Body { bytes, end: true } => match flow.push(bytes) {
                Step::Deny(outcome) => self.deny(outcome),
                Step::Hold => self.finish(flow, None, Bytes::new()),
                Step::Release(Release { head, body }) => self.finish_after(flow, None, head, body),
            },
            Event::Body { bytes, end: false } => {
                let step = flow.push(bytes);
                self.step(flow, false, step)
            }
            Event::Trailers(trailers) => self.finish(flow, Some(&trailers), Bytes::new()),
            Event::Pause if paused => {
                self.state = State::Body { flow, paused };
                Vec::new()
            }
            Event::Pause => {
                let step = flow.pause();
                self.step(flow, true, step)
            }
            Event::HoldExpired => {
                let step = flow.expire();
                self.step(flow, false, step)
            }
            Event::StreamExpired => {
                let outcome = flow.fail(Reason::LimitExceeded);
                self.deny(outcome)
            }
            Event::Overloaded => {
                let outcome = flow.fail(Reason::Overloaded);
                self.deny(outcome)
            }
            Event::Head(_) | Event::TooMany(_) | Event::AnswerHead { .. } | Event::AnswerBody { .. } | Event::AnswerTrailers => {
                // Two heads on one stream, or an answer before its request: whoever speaks is not Envoy.
                self.outcome = Some(flow.fail(Reason::Internal));
                vec![Reply::Broken("a second head")]
            }
        }
    }

    fn step(&mut self, flow: Box<Flow>, paused: bool, step: Step) -> Vec<Reply> {
        match step {
            Step::Deny(outcome) => self.deny(outcome),
            Step::Hold => {
                self.state = State::Body { flow, paused };
                Vec::new()
            }
            Step::Release(Release { head, body }) => {
                self.state = State::Body { flow, paused };
                let mut replies = Vec::with_capacity(2);
                // The verdict so far: what has been looked at may travel.
                replies.extend(head.map(|edits| Reply::Head { edits, verdict: "streaming", answer: false }));
                if !body.is_empty() {
                    replies.push(Reply::Body { bytes: body, end: false });
                }
                replies
            }
        }
    }

    fn finish_after(&mut self, flow: Box<Flow>, trailers: Option<&[Header]>, head: Option<HeadEdits>, body: Bytes) -> Vec<Reply> {
        let mut replies: Vec<Reply> = head.map(|edits| Reply::Head { edits, verdict: "streaming", answer: false }).into_iter().collect();
        replies.extend(self.finish(flow, trailers, body));
        replies
    }

    /// The body is complete; `before` was released by its last chunk.
    fn finish(&mut self, flow: Box<Flow>, trailers: Option<&[Header]>, before: Bytes) -> Vec<Reply> {
        let (outcome, Release { head, body }) = flow.finish(trailers.unwrap_or_default());
        if outcome.verdict.action == Action::Deny {
            return self.deny(outcome);
        }
        let verdict = outcome.verdict.action.as_str();
        self.outcome = Some(outcome);
        let mut replies = Vec::with_capacity(4);
        replies.extend(head.map(|edits| Reply::Head { edits, verdict, answer: false }));
        if !before.is_empty() {
            replies.push(Reply::Body { bytes: before, end: false });
        }
        let end = trailers.is_none();
        if end || !body.is_empty() {
            replies.push(Reply::Body { bytes: body, end });
        }
        if !end {
            replies.push(Reply::Trailers);
        }
        replies
    }

    fn decided(&mut self, outcome: Outcome, mut edits: HeadEdits) -> Vec<Reply> {
        if outcome.verdict.action == Action::Deny {
            return self.deny(outcome);
        }
        let verdict = outcome.verdict.action.as_str();
        self.outcome = Some(outcome);
        let advertised =
            self.head.as_ref().zip(self.facts.as_ref()).and_then(|(head, facts)| Advertised::asked_for(head, facts, &mut edits));
        let answer = advertised.is_some();
        if let Some(advertised) = advertised {
            self.state = State::Answer(advertised);
        }
        vec![Reply::Head { edits, verdict, answer }]
    }

    fn answer(&mut self, mut advertised: Advertised, event: Event) -> Vec<Reply> {
        match event {
            Event::AnswerHead { end } => {
                if !end {
                    self.state = State::Answer(advertised);
                }
                vec![Reply::AnswerHead]
            }
            Event::AnswerBody { bytes, end } => {
                let bytes = advertised.push(&bytes, end);
                if !end {
                    self.state = State::Answer(advertised);
                }
                if end || !bytes.is_empty() { vec![Reply::AnswerBody { bytes, end }] } else { Vec::new() }
            }
            Event::AnswerTrailers => {
                let bytes = advertised.push(&[], true);
                let rest = (!bytes.is_empty()).then_some(Reply::AnswerBody { bytes, end: false });
                rest.into_iter().chain([Reply::AnswerTrailers]).collect()
            }
            Event::StreamExpired => vec![Reply::Broken("the answer took too long")],
            _ => vec![Reply::Broken("the answer was to come")],
        }
    }

    fn deny(&mut self, outcome: Outcome) -> Vec<Reply> {
        let problem = |facts: &Facts| {
            let problem = Problem::new(facts, &outcome);
            if self.tunnelled { problem.within_tunnel() } else { problem }
        };
        let answer = self.facts.as_ref().map(|facts| problem(facts).answer(facts.wire));
        self.outcome = Some(outcome);
        vec![answer.map_or(Reply::Broken("a denial before the head"), Reply::Deny)]
    }
}

/// The same outcome, denied for another reason.
fn denied(mut outcome: Outcome, reason: Reason) -> Outcome {
    outcome.verdict = policy::Verdict::deny(reason);
    outcome
}

#[cfg(test)]
mod tests;
