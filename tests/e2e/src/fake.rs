//! Scanners that misbehave, in the place of the real one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::{ProcessingMode, processing_mode};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{ExternalProcessor, ExternalProcessorServer};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeadersResponse, HttpBody, ProcessingRequest, ProcessingResponse, StreamedBodyResponse,
    body_mutation, processing_request, processing_response,
};
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

type Answers = mpsc::Sender<Result<ProcessingResponse, Status>>;

/// How a scanner misbehaves. In the body: after it has asked for the body and withheld the head, as the real one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeScanner {
    /// Ends the stream with status OK, without an answer to the head.
    CloseAtHeaders,
    /// Ends the stream with status OK at the first piece of the body.
    CloseInBody,
    /// Ends the stream with status OK once it has released the head and the first piece of the body.
    CloseAfterRelease,
    /// Ends the stream with an error, without an answer to the head.
    ErrorAtHeaders,
    /// Ends the stream with an error at the first piece of the body.
    ErrorInBody,
    /// Ends the stream with an error once it has released the head and the first piece of the body.
    ErrorAfterRelease,
    /// Says nothing to the head, and lives: its connection answers pings.
    HangAtHeaders,
    /// Says nothing any more from the first piece of the body on, and lives.
    HangInBody,
    /// Says nothing any more once it has released the head and the first piece of the body, and lives.
    HangAfterRelease,
}

/// When the misbehaviour begins.
#[derive(PartialEq, Eq)]
enum Since {
    Head,
    Body,
    Release,
}

/// What the misbehaviour is.
#[derive(PartialEq, Eq)]
enum How {
    Close,
    Error,
    Hang,
}

/// What a fake scanner did.
#[derive(Debug, Default)]
struct Deeds {
    streams: AtomicU64,
    released: AtomicU64,
    released_heads: AtomicU64,
}

/// A fake scanner that is listening. Ends when dropped, with its connections: Envoy must not go on with it in the place of the next.
#[derive(Debug)]
pub struct RunningFake {
    runtime: Option<Runtime>,
    deeds: Arc<Deeds>,
}

impl RunningFake {
    /// How many streams it took up.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.deeds.streams.load(Ordering::SeqCst)
    }

    /// How many bytes of bodies it let pass.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.deeds.released.load(Ordering::SeqCst)
    }

    /// How many heads it let pass.
    #[must_use]
    pub fn released_heads(&self) -> u64 {
        self.deeds.released_heads.load(Ordering::SeqCst)
    }
}

impl Drop for RunningFake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl FakeScanner {
    fn parts(self) -> (Since, How) {
        match self {
            Self::CloseAtHeaders => (Since::Head, How::Close),
            Self::CloseInBody => (Since::Body, How::Close),
            Self::CloseAfterRelease => (Since::Release, How::Close),
            Self::ErrorAtHeaders => (Since::Head, How::Error),
            Self::ErrorInBody => (Since::Body, How::Error),
            Self::ErrorAfterRelease => (Since::Release, How::Error),
            Self::HangAtHeaders => (Since::Head, How::Hang),
            Self::HangInBody => (Since::Body, How::Hang),
            Self::HangAfterRelease => (Since::Release, How::Hang),
        }
    }

    /// Listens on the socket, in the place of whatever listened there.
    pub(crate) fn listen(self, socket: &Path) -> Result<RunningFake> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("old socket of the scanner"),
            _ => {}
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(socket).with_context(|| socket.display().to_string())?
        };
        let deeds = Arc::<Deeds>::default();
        let server = Server { fake: self, deeds: Arc::clone(&deeds) };
        runtime.spawn(async move {
            let (health, health_service) = tonic_health::server::health_reporter();
            health.set_serving::<ExternalProcessorServer<Server>>().await;
            let router = tonic::transport::Server::builder().add_service(health_service).add_service(ExternalProcessorServer::new(server));
            drop(router.serve_with_incoming(UnixListenerStream::new(listener)).await);
        });
        Ok(RunningFake { runtime: Some(runtime), deeds })
    }
}

#[derive(Clone, Debug)]
struct Server {
    fake: FakeScanner,
    deeds: Arc<Deeds>,
}

#[tonic::async_trait]
impl ExternalProcessor for Server {
    type ProcessStream = ReceiverStream<Result<ProcessingResponse, Status>>;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Self::ProcessStream>, Status> {
        let (answers, receiver) = mpsc::channel(8);
        self.deeds.streams.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(misbehave(self.clone(), request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

async fn misbehave(server: Server, mut requests: Streaming<ProcessingRequest>, answers: Answers) {
    let (since, how) = server.fake.parts();
    while let Ok(Some(request)) = requests.message().await {
        // An Envoy that has gone away asks for nothing more, which ends the loop.
        match request.request {
            Some(processing_request::Request::RequestHeaders(head)) if since != Since::Head && !head.end_of_stream => {
                drop(answers.send(Ok(want_body())).await);
                continue;
            }
            Some(processing_request::Request::RequestBody(piece)) if since == Since::Release => {
                server.deeds.released_heads.fetch_add(1, Ordering::SeqCst);
                server.deeds.released.fetch_add(piece.body.len() as u64, Ordering::SeqCst);
                drop(answers.send(Ok(head())).await);
                drop(answers.send(Ok(body(piece))).await);
            }
            _ => {}
        }
        break;
    }
    match how {
        How::Close => {}
        How::Error => drop(answers.send(Err(Status::internal("a scanner that fails"))).await),
        How::Hang => {
            // Takes what comes, and goes when Envoy goes.
            while let Ok(Some(_)) = requests.message().await {}
            answers.closed().await;
        }
    }
}

/// Asks for the body and withholds the head.
fn want_body() -> ProcessingResponse {
    let mode = ProcessingMode {
        request_body_mode: processing_mode::BodySendMode::FullDuplexStreamed.into(),
        request_trailer_mode: processing_mode::HeaderSendMode::Send.into(),
        ..ProcessingMode::default()
    };
    ProcessingResponse { mode_override: Some(mode), ..ProcessingResponse::default() }
}

/// Lets the head pass, with a verdict as the real one gives it.
fn head() -> ProcessingResponse {
    let verdict = Value { kind: Some(Kind::StringValue("allow".to_owned())) };
    let scan = Struct { fields: HashMap::from([("verdict".to_owned(), verdict)]) };
    let scan = Value { kind: Some(Kind::StructValue(scan)) };
    ProcessingResponse {
        response: Some(processing_response::Response::RequestHeaders(HeadersResponse { response: Some(CommonResponse::default()) })),
        dynamic_metadata: Some(Struct { fields: HashMap::from([("portcullis.scan".to_owned(), scan)]) }),
        ..ProcessingResponse::default()
    }
}

/// Lets a piece of the body pass.
fn body(piece: HttpBody) -> ProcessingResponse {
    let streamed = StreamedBodyResponse { body: piece.body, end_of_stream: piece.end_of_stream, ..StreamedBodyResponse::default() };
    let mutation = BodyMutation { mutation: Some(body_mutation::Mutation::StreamedResponse(streamed)) };
    let common = CommonResponse { body_mutation: Some(mutation), ..CommonResponse::default() };
    let response = processing_response::Response::RequestBody(BodyResponse { response: Some(common) });
    ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }
}
