//! The floor of this architecture: an ext_proc that does nothing, as naive as a first try. It answers heads; it asks for bodies in the mode
//! that the scanner asks for, withholds the head, and gives the whole body back at its end.

use std::path::Path;

use anyhow::{Context, Result};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::{ProcessingMode, processing_mode};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{ExternalProcessor, ExternalProcessorServer};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeadersResponse, HttpHeaders, ProcessingRequest, ProcessingResponse, StreamedBodyResponse,
    TrailersResponse, body_mutation, processing_request, processing_response,
};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// One body message carries at most this: well below the 4 MiB that gRPC takes.
const CHUNK: usize = 64 << 10;

type Answers = mpsc::Sender<Result<ProcessingResponse, Status>>;

/// Serves on a Unix socket until the process ends.
///
/// # Errors
/// The socket cannot be listened on.
pub(crate) async fn serve(socket: &Path) -> Result<()> {
    let listener = UnixListener::bind(socket).with_context(|| socket.display().to_string())?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ExternalProcessorServer<Nothing>>().await;
    let router = tonic::transport::Server::builder().add_service(health_service).add_service(ExternalProcessorServer::new(Nothing));
    router.serve_with_incoming(UnixListenerStream::new(listener)).await.context("the floor")
}

#[derive(Debug)]
struct Nothing;

#[tonic::async_trait]
impl ExternalProcessor for Nothing {
    type ProcessStream = ReceiverStream<Result<ProcessingResponse, Status>>;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<Self::ProcessStream>, Status> {
        let (answers, receiver) = mpsc::channel(4);
        tokio::spawn(pass(request.into_inner(), answers));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// One request.
async fn pass(mut requests: Streaming<ProcessingRequest>, answers: Answers) {
    let (mut held, mut head_withheld) = (Vec::new(), false);
    while let Ok(Some(message)) = requests.message().await {
        let replies = match message.request {
            Some(processing_request::Request::RequestHeaders(head)) if head.end_of_stream || is_connect(&head) => vec![head_passes()],
            Some(processing_request::Request::RequestHeaders(_)) => {
                head_withheld = true;
                vec![ProcessingResponse { mode_override: Some(duplex()), ..ProcessingResponse::default() }]
            }
            Some(processing_request::Request::RequestBody(part)) => {
                held.extend_from_slice(&part.body);
                if part.end_of_stream { released(&mut held, &mut head_withheld, true) } else { Vec::new() }
            }
            Some(processing_request::Request::RequestTrailers(_)) => {
                let mut replies = released(&mut held, &mut head_withheld, false);
                replies.push(response(processing_response::Response::RequestTrailers(TrailersResponse::default())));
                replies
            }
            // Not asked for.
            _ => Vec::new(),
        };
        for reply in replies {
            // Envoy has gone away: there is nobody to answer.
            if answers.send(Ok(reply)).await.is_err() {
                return;
            }
        }
    }
}

/// Whether this opens a tunnel: what comes through it has no end to wait for, and is asked about inside.
fn is_connect(head: &HttpHeaders) -> bool {
    let headers = head.headers.as_ref().map(|map| &map.headers[..]).unwrap_or_default();
    headers.iter().any(|header| header.key == ":method" && (header.raw_value == b"CONNECT" || header.value == "CONNECT"))
}

/// The head, if it is still withheld, and all of the body.
fn released(held: &mut Vec<u8>, head_withheld: &mut bool, end: bool) -> Vec<ProcessingResponse> {
    let mut replies = Vec::new();
    if std::mem::take(head_withheld) {
        replies.push(head_passes());
    }
    let body = std::mem::take(held);
    let mut chunks = body.chunks(CHUNK).peekable();
    if chunks.peek().is_none() && end {
        replies.push(piece(Vec::new(), true));
    }
    while let Some(chunk) = chunks.next() {
        replies.push(piece(chunk.to_vec(), end && chunks.peek().is_none()));
    }
    replies
}

fn response(response: processing_response::Response) -> ProcessingResponse {
    ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }
}

fn head_passes() -> ProcessingResponse {
    response(processing_response::Response::RequestHeaders(HeadersResponse { response: Some(CommonResponse::default()) }))
}

fn piece(body: Vec<u8>, end_of_stream: bool) -> ProcessingResponse {
    let streamed = StreamedBodyResponse { body, end_of_stream, ..StreamedBodyResponse::default() };
    let mutation = BodyMutation { mutation: Some(body_mutation::Mutation::StreamedResponse(streamed)) };
    let common = CommonResponse { body_mutation: Some(mutation), ..CommonResponse::default() };
    response(processing_response::Response::RequestBody(BodyResponse { response: Some(common) }))
}

fn duplex() -> ProcessingMode {
    ProcessingMode {
        request_header_mode: processing_mode::HeaderSendMode::Send.into(),
        request_body_mode: processing_mode::BodySendMode::FullDuplexStreamed.into(),
        request_trailer_mode: processing_mode::HeaderSendMode::Send.into(),
        response_header_mode: processing_mode::HeaderSendMode::Skip.into(),
        response_body_mode: processing_mode::BodySendMode::None.into(),
        response_trailer_mode: processing_mode::HeaderSendMode::Skip.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_given_back_whole_with_its_head_first_and_one_end() {
        let (mut held, mut withheld) = (vec![7; CHUNK * 2 + 1], true);
        let replies = released(&mut held, &mut withheld, true);
        assert_eq!((replies.len(), withheld), (4, false));
        let ends = |reply: &ProcessingResponse| format!("{reply:?}").contains("end_of_stream: true");
        assert_eq!(replies.iter().map(ends).collect::<Vec<_>>(), [false, false, false, true]);
        assert_eq!(released(&mut Vec::new(), &mut true, true).len(), 2, "an empty body ends too");
        assert_eq!(released(&mut Vec::new(), &mut true, false).len(), 1, "trailers end it");
    }
}
