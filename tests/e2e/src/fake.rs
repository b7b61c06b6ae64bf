//! Scanners that misbehave, in the place of the real one.

use std::path::Path;

use anyhow::{Context, Result};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::{ProcessingMode, processing_mode};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{ExternalProcessor, ExternalProcessorServer};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse, processing_request};
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// How a scanner misbehaves. In the body: after it has asked for the body and withheld the head, as the real one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FakeScanner {
    /// Ends the stream with status OK, without an answer to the head.
    CloseAtHeaders,
    /// Ends the stream with status OK at the first piece of the body.
    CloseInBody,
    /// Ends the stream with an error, without an answer to the head.
    ErrorAtHeaders,
    /// Ends the stream with an error at the first piece of the body.
    ErrorInBody,
}

/// A fake scanner that is listening. Ends when dropped, with its connections: Envoy must not go on with it in the place of the next.
#[derive(Debug)]
pub struct RunningFake(Option<Runtime>);

impl Drop for RunningFake {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl FakeScanner {
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
        runtime.spawn(async move {
            let (health, health_service) = tonic_health::server::health_reporter();
            health.set_serving::<ExternalProcessorServer<Self>>().await;
            let router = tonic::transport::Server::builder().add_service(health_service).add_service(ExternalProcessorServer::new(self));
            drop(router.serve_with_incoming(UnixListenerStream::new(listener)).await);
        });
        Ok(RunningFake(Some(runtime)))
    }
}

#[tonic::async_trait]
impl ExternalProcessor for FakeScanner {
    type ProcessStream = ReceiverStream<Result<ProcessingResponse, Status>>;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Self::ProcessStream>, Status> {
        let (answers, receiver) = mpsc::channel(4);
        tokio::spawn(misbehave(*self, request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

async fn misbehave(
    how: FakeScanner,
    mut requests: Streaming<ProcessingRequest>,
    answers: mpsc::Sender<Result<ProcessingResponse, Status>>,
) {
    let in_body = matches!(how, FakeScanner::CloseInBody | FakeScanner::ErrorInBody);
    while let Ok(Some(request)) = requests.message().await {
        if in_body && matches!(request.request, Some(processing_request::Request::RequestHeaders(_))) {
            let mode = ProcessingMode {
                request_body_mode: processing_mode::BodySendMode::FullDuplexStreamed.into(),
                request_trailer_mode: processing_mode::HeaderSendMode::Send.into(),
                ..ProcessingMode::default()
            };
            // An Envoy that has gone away asks for nothing more, which ends the loop.
            drop(answers.send(Ok(ProcessingResponse { mode_override: Some(mode), ..ProcessingResponse::default() })).await);
            continue;
        }
        break;
    }
    if matches!(how, FakeScanner::ErrorAtHeaders | FakeScanner::ErrorInBody) {
        drop(answers.send(Err(Status::internal("a scanner that fails"))).await);
    }
}
