//! Envoy's external processor (`envoy.service.ext_proc.v3`).

mod admission;
mod driver;
mod intake;
pub(crate) mod protocol;
pub(crate) mod replies;
pub(crate) mod session;
pub(crate) mod translate;

use std::pin::Pin;
use std::sync::Arc;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessor;
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use inspect::Inspector;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::Limits;
use crate::doorman::Doorman;
use crate::record::Recorder;

use admission::Admission;
use driver::{Begun, Driver, Guard};
use protocol::Protocol;
use session::Session;

/// Answers that may wait for Envoy to take them; then the session waits too (back-pressure).
const WAITING_ANSWERS: usize = 16;

/// The service: one gRPC stream a request.
#[derive(Debug, Clone)]
pub(crate) struct Processor {
    inspector: Inspector,
    recorder: Recorder,
    /// One permit a stream.
    streams: Arc<Semaphore>,
    /// Refuses gateways of another version.
    protocol: Protocol,
    /// Says who sends.
    doorman: Doorman,
    /// Room and time, shared fairly.
    admission: Admission,
}

impl Processor {
    pub(crate) fn new(inspector: &Inspector, recorder: &Recorder, limits: &Limits, doorman: Doorman) -> Processor {
        Processor {
            inspector: inspector.clone(),
            recorder: recorder.clone(),
            streams: Arc::new(Semaphore::new(limits.streams)),
            protocol: Protocol::new(recorder.metrics().protocol_refusals.clone()),
            doorman,
            admission: Admission::new(limits, recorder.metrics()),
        }
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Self::ProcessStream>, Status> {
        self.protocol.admit(request.metadata()).map_err(|status| *status)?;
        let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
            self.recorder.metrics().streams_refused.inc();
            return Err(Status::resource_exhausted("too many streams"));
        };
        let session = Session::new(self.inspector.clone());
        let driver = Driver::new(session, self.doorman.clone(), self.admission.clone(), self.recorder.clone(), request);
        let (driver, first) = match driver.begin().await? {
            Begun::Decided(messages) => return Ok(Response::new(Box::pin(tokio_stream::iter(messages.into_iter().map(Ok))))),
            Begun::Open(driver, first) => (driver, first),
        };
        let (answers, receiver) = mpsc::channel(WAITING_ANSWERS);
        let guard = Guard::new(answers).map_err(|()| Status::internal("no room for an answer"))?;
        tokio::spawn(async move {
            driver.run(first, guard).await;
            drop(permit);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
