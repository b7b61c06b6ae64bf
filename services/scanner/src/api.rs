//! The Scan API: the same Inspector as live traffic, for people, CI and tools.

use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use engine::{Confidence, Coverage};
use inspect::{Facts, Flow, Head, Header, Identity, Inspector, Opened, Outcome, Release, Step};
use policy::{Action, Reason};
use scan_proto::v1::scan_service_server::ScanService;
use scan_proto::v1::scan_stream_request::Step as In;
use scan_proto::v1::scan_stream_response::Event as Out;
use scan_proto::v1::{self as pb};
use tokio::sync::mpsc;
use tokio::time;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::record::{Recorder, request_id};

/// Answers that may wait for the caller to take them.
const WAITING_ANSWERS: usize = 16;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    inspector: Inspector,
    recorder: Recorder,
}

impl Api {
    pub(crate) fn new(inspector: Inspector, recorder: Recorder) -> Api {
        Api { inspector, recorder }
    }
}

#[tonic::async_trait]
impl ScanService for Api {
    type ScanStreamStream = Pin<Box<dyn Stream<Item = Result<pb::ScanStreamResponse, Status>> + Send>>;

    async fn scan(&self, request: Request<pb::ScanRequest>) -> Result<Response<pb::ScanResponse>, Status> {
        let pb::ScanRequest { head, body } = request.into_inner();
        let head = head_of(head, body.is_empty())?;
        let facts = Facts::of(&head);
        let begun = Instant::now();
        let (outcome, sent) = tokio::task::block_in_place(|| whole(&self.inspector, &head, body));
        self.recorder.record(&facts, &outcome, begun.elapsed());
        let redacted_body = if outcome.verdict.action == Action::Redact { sent } else { Bytes::new() };
        Ok(Response::new(pb::ScanResponse { outcome: Some(outcome_of(&outcome, facts.request_id)), redacted_body }))
    }

    async fn scan_stream(&self, request: Request<Streaming<pb::ScanStreamRequest>>) -> Result<Response<Self::ScanStreamStream>, Status> {
        let (answers, receiver) = mpsc::channel(WAITING_ANSWERS);
        let (api, inbound) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            if let Err(status) = api.stream(inbound, &answers).await {
                // The caller is gone: nobody to tell.
                let _told = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list_detectors(&self, request: Request<pb::ListDetectorsRequest>) -> Result<Response<pb::ListDetectorsResponse>, Status> {
        let wanted = request.into_inner().provider;
        let snapshot = self.inspector.snapshot();
        let detectors = snapshot.engine.detectors().iter().filter(|d| wanted.is_empty() || d.provider == wanted);
        let detectors = detectors
            .map(|d| pb::Detector {
                id: d.id.clone(),
                provider: d.provider.clone(),
                name: d.name.clone(),
                reference: d.reference.clone(),
                confidence: confidence(d.confidence).into(),
                home_hosts: d.home.iter().flat_map(|home| home.hosts.iter().cloned()).collect(),
            })
            .collect();
        Ok(Response::new(pb::ListDetectorsResponse { detectors }))
    }

    async fn get_policy(&self, _: Request<pb::GetPolicyRequest>) -> Result<Response<pb::GetPolicyResponse>, Status> {
        let snapshot = self.inspector.snapshot();
        let hex = |bytes: [u8; 16]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        Ok(Response::new(pb::GetPolicyResponse {
            policy_id: hex(snapshot.policy.id()),
            engine_id: hex(snapshot.engine.id().0),
            remarks: snapshot.policy.lints().to_vec(),
            buffer_bytes: snapshot.policy.limits().buffer_bytes as u64,
        }))
    }
}

type Answers = mpsc::Sender<Result<pb::ScanStreamResponse, Status>>;

impl Api {
    async fn stream(&self, mut inbound: Streaming<pb::ScanStreamRequest>, answers: &Answers) -> Result<(), Status> {
        let limits = self.inspector.limits();
        let deadline = time::Instant::now() + limits.stream_timeout;
        let Some(In::Head(head)) = next(&mut inbound, deadline).await? else {
            return Err(Status::invalid_argument("the first message must hold the head"));
        };
        // Whether a body follows is known at the end only.
        let head = head_of(Some(head), false)?;
        let facts = Facts::of(&head);
        let mut busy = Duration::ZERO;
        let mut flow = match timed(&mut busy, || self.inspector.open(&head)) {
            Opened::Decided(outcome, _) => return self.end(answers, facts, outcome, busy).await,
            Opened::Body(flow) => flow,
        };
        loop {
            match next(&mut inbound, deadline).await? {
                Some(In::Chunk(chunk)) => {
                    let step = tokio::task::block_in_place(|| timed(&mut busy, || flow.push(chunk)));
                    match step {
                        Step::Hold => {}
                        Step::Release(Release { body, .. }) => released(answers, body).await?,
                        Step::Deny(outcome) => return self.end(answers, facts, outcome, busy).await,
                    }
                }
                Some(In::End(pb::End {})) => {
                    let (outcome, Release { body, .. }) = tokio::task::block_in_place(|| timed(&mut busy, || flow.finish(&[])));
                    released(answers, body).await?;
                    return self.end(answers, facts, outcome, busy).await;
                }
                Some(In::Head(_)) => return Err(Status::invalid_argument("a second head")),
                None => {
                    let outcome = Flow::fail(flow, Reason::Internal);
                    self.recorder.record(&facts, &outcome, busy);
                    return Err(Status::invalid_argument("the stream was closed without an end"));
                }
            }
        }
    }

    async fn end(&self, answers: &Answers, facts: Facts, outcome: Outcome, busy: Duration) -> Result<(), Status> {
        self.recorder.record(&facts, &outcome, busy);
        send(answers, Out::Outcome(outcome_of(&outcome, facts.request_id))).await
    }
}

/// The next step; `None` at the end of the stream.
async fn next(inbound: &mut Streaming<pb::ScanStreamRequest>, deadline: time::Instant) -> Result<Option<In>, Status> {
    match time::timeout_at(deadline, inbound.message()).await {
        Err(_) => Err(Status::deadline_exceeded("the request took too long")),
        Ok(Err(status)) => Err(status),
        Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(message))) => message.step.map(Some).ok_or_else(|| Status::invalid_argument("a message without a step")),
    }
}

async fn released(answers: &Answers, body: Bytes) -> Result<(), Status> {
    if body.is_empty() { Ok(()) } else { send(answers, Out::Released(body)).await }
}

async fn send(answers: &Answers, event: Out) -> Result<(), Status> {
    let gone = |_| Status::cancelled("nobody takes the answers");
    answers.send(Ok(pb::ScanStreamResponse { event: Some(event) })).await.map_err(gone)
}

fn timed<T>(busy: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    *busy += begun.elapsed();
    result
}

/// One request whose bytes are all there.
fn whole(inspector: &Inspector, head: &Head, body: Bytes) -> (Outcome, Bytes) {
    let mut flow = match inspector.open(head) {
        Opened::Decided(outcome, _) => return (outcome, Bytes::new()),
        Opened::Body(flow) => flow,
    };
    let mut sent = BytesMut::new();
    match flow.push(body) {
        Step::Hold => {}
        Step::Release(Release { body, .. }) => sent.extend_from_slice(&body),
        Step::Deny(outcome) => return (outcome, Bytes::new()),
    }
    let (outcome, last) = flow.finish(&[]);
    sent.extend_from_slice(&last.body);
    (outcome, sent.freeze())
}

fn head_of(head: Option<pb::RequestHead>, end: bool) -> Result<Head, Status> {
    let pb::RequestHead { method, url, headers, sandbox, request_id: id } = head.ok_or_else(|| Status::invalid_argument("no head"))?;
    let wrong = || Status::invalid_argument("url: not https://host/path or http://host/path");
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err(wrong()),
    };
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    Ok(Head {
        request_id: if id.is_empty() { request_id() } else { id },
        identity: if sandbox.is_empty() { Identity::Unrelated } else { Identity::Given },
        sandbox: or(sandbox, "api"),
        at: crate::record::milliseconds(),
        method: or(method, "POST"),
        tls,
        authority: authority.to_owned(),
        path: Bytes::from(path),
        headers: headers.into_iter().map(|h| Header { name: h.name.to_ascii_lowercase(), value: h.value }).collect(),
        end,
    })
}

fn outcome_of(outcome: &Outcome, request_id: String) -> pb::Outcome {
    let gap = match outcome.coverage {
        Coverage::Complete => None,
        Coverage::Partial { gap, .. } => Some(gap.as_str()),
    };
    let findings = outcome.findings.iter().map(|(located, judged)| pb::Finding {
        detector: located.finding.detector.id.clone(),
        confidence: confidence(located.finding.confidence).into(),
        home: judged.home,
        action: verdict(judged.action).into(),
        location: located.location.to_string(),
        start: located.finding.span.start,
        end: located.finding.span.end,
        trail: located.finding.trail.iter().map(|layer| (*layer).to_owned()).collect(),
        fingerprint: located.finding.fingerprint.to_string(),
        known: engine::known::name_of(&located.finding.detector).unwrap_or_default().to_owned(),
    });
    pb::Outcome {
        verdict: verdict(outcome.verdict.action).into(),
        reason: outcome.verdict.reason.as_str().to_owned(),
        complete: gap.is_none(),
        gap: gap.unwrap_or_default().to_owned(),
        findings: findings.collect(),
        request_id,
        cached: outcome.cached,
        rule: outcome.rule.as_deref().unwrap_or_default().to_owned(),
        would: outcome.would.as_ref().map(|would| pb::Would {
            verdict: verdict(would.verdict.action).into(),
            reason: would.verdict.reason.as_str().to_owned(),
            rule: would.rule.to_string(),
        }),
        retry_after: outcome.retry_after.unwrap_or_default(),
    }
}

fn verdict(action: Action) -> pb::Verdict {
    match action {
        Action::Allow => pb::Verdict::Allow,
        Action::Redact => pb::Verdict::Redact,
        Action::Deny => pb::Verdict::Deny,
    }
}

fn confidence(confidence: Confidence) -> pb::Confidence {
    match confidence {
        Confidence::Low => pb::Confidence::Low,
        Confidence::Medium => pb::Confidence::Medium,
        Confidence::High => pb::Confidence::High,
        Confidence::Certain => pb::Confidence::Certain,
    }
}
