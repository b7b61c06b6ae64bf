//! From replies to Envoy's messages.

use std::collections::HashMap;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::{BodySendMode, HeaderSendMode};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, GrpcStatus, HeaderMutation, HeadersResponse, ImmediateResponse, ProcessingResponse,
    StreamedBodyResponse, TrailersResponse, body_mutation,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use inspect::{Answer, HeadEdits, Header};

use super::session::Reply;

/// The namespace that the gateway's second lock and its access log read (envoy/envoy.yaml).
const NAMESPACE: &str = "portcullis.scan";

/// One body message carries at most this: Envoy's own chunks are as large.
const CHUNK: usize = 64 << 10;

/// The messages of a reply; `Err` with the text of the error status.
pub(crate) fn messages(reply: Reply, headers: &[Header], request_id: &str) -> Result<Vec<ProcessingResponse>, &'static str> {
    Ok(match reply {
        Reply::WantBody => vec![ProcessingResponse { mode_override: Some(duplex()), ..ProcessingResponse::default() }],
        Reply::Head { edits, verdict, answer } => {
            let common = CommonResponse { header_mutation: mutation(&edits, headers), ..CommonResponse::default() };
            let response = Response::RequestHeaders(HeadersResponse { response: Some(common) });
            vec![ProcessingResponse {
                response: Some(response),
                dynamic_metadata: Some(metadata(verdict, request_id)),
                mode_override: answer.then(answered),
                ..ProcessingResponse::default()
            }]
        }
        Reply::Body { bytes, end } => pieces(bytes, end, Response::RequestBody),
        Reply::Trailers => {
            let response = Response::RequestTrailers(TrailersResponse { header_mutation: None });
            vec![ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }]
        }
        Reply::AnswerHead => {
            let shorter = HeaderMutation { remove_headers: vec!["content-length".to_owned()], ..HeaderMutation::default() };
            let common = CommonResponse { header_mutation: Some(shorter), ..CommonResponse::default() };
            let response = Response::ResponseHeaders(HeadersResponse { response: Some(common) });
            vec![ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }]
        }
        Reply::AnswerBody { bytes, end } => pieces(bytes, end, Response::ResponseBody),
        Reply::AnswerTrailers => {
            let response = Response::ResponseTrailers(TrailersResponse { header_mutation: None });
            vec![ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }]
        }
        Reply::Deny(answer) => vec![ProcessingResponse {
            response: Some(Response::ImmediateResponse(immediate(answer))),
            dynamic_metadata: Some(metadata("deny", request_id)),
            ..ProcessingResponse::default()
        }],
        Reply::Broken(why) => return Err(why),
    })
}

/// The mode in which the body is streamed both ways, with trailers as that mode demands.
fn duplex() -> ProcessingMode {
    ProcessingMode {
        request_header_mode: HeaderSendMode::Send.into(),
        request_body_mode: BodySendMode::FullDuplexStreamed.into(),
        request_trailer_mode: HeaderSendMode::Send.into(),
        response_header_mode: HeaderSendMode::Skip.into(),
        response_body_mode: BodySendMode::None.into(),
        response_trailer_mode: HeaderSendMode::Skip.into(),
    }
}

/// The mode in which the answer's body is streamed both ways. The request has none.
fn answered() -> ProcessingMode {
    ProcessingMode {
        request_header_mode: HeaderSendMode::Send.into(),
        request_body_mode: BodySendMode::None.into(),
        request_trailer_mode: HeaderSendMode::Skip.into(),
        response_header_mode: HeaderSendMode::Send.into(),
        response_body_mode: BodySendMode::FullDuplexStreamed.into(),
        response_trailer_mode: HeaderSendMode::Send.into(),
    }
}

/// Messages of a body, of the request or of its answer.
fn pieces(mut bytes: Bytes, end: bool, side: impl Fn(BodyResponse) -> Response) -> Vec<ProcessingResponse> {
    let mut out = Vec::with_capacity(bytes.len() / CHUNK + 1);
    loop {
        let part = bytes.split_to(bytes.len().min(CHUNK));
        let last = bytes.is_empty();
        let streamed = StreamedBodyResponse { body: part.to_vec(), end_of_stream: end && last, ..StreamedBodyResponse::default() };
        let mutation = BodyMutation { mutation: Some(body_mutation::Mutation::StreamedResponse(streamed)) };
        let common = CommonResponse { body_mutation: Some(mutation), ..CommonResponse::default() };
        let response = side(BodyResponse { response: Some(common) });
        out.push(ProcessingResponse { response: Some(response), ..ProcessingResponse::default() });
        if last {
            break out;
        }
    }
}

fn mutation(edits: &HeadEdits, headers: &[Header]) -> Option<HeaderMutation> {
    if edits.is_empty() {
        return None;
    }
    let mut mutation = HeaderMutation::default();
    mutation.set_headers.extend(edits.path.as_ref().map(|path| set(":path", path, false)));
    mutation.set_headers.extend(edits.content_length.map(|n| set("content-length", n.to_string().as_bytes(), false)));
    let mut done: Vec<&str> = Vec::new();
    for name in edits.headers.iter().filter_map(|(index, _)| headers.get(*index)).map(|h| h.name.as_str()) {
        if done.contains(&name) {
            continue;
        }
        done.push(name);
        // All values of a name that came several times are said again, in order: overwriting cannot name one of them.
        let values: Vec<&[u8]> = headers
            .iter()
            .enumerate()
            .filter(|(_, h)| h.name == name)
            .map(|(index, h)| edits.headers.iter().find(|(edited, _)| *edited == index).map_or(h.value.as_ref(), |(_, new)| new.as_ref()))
            .collect();
        if values.len() > 1 {
            mutation.remove_headers.push(name.to_owned());
        }
        mutation.set_headers.extend(values.iter().enumerate().map(|(i, value)| set(name, value, i > 0)));
    }
    Some(mutation)
}

fn set(name: &str, value: &[u8], append: bool) -> HeaderValueOption {
    let action = if append { HeaderAppendAction::AppendIfExistsOrAdd } else { HeaderAppendAction::OverwriteIfExistsOrAdd };
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), raw_value: value.to_vec(), ..HeaderValue::default() }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    }
}

fn immediate(answer: Answer) -> ImmediateResponse {
    let mut headers =
        HeaderMutation { set_headers: vec![set("content-type", answer.content_type.as_bytes(), false)], remove_headers: Vec::new() };
    headers.set_headers.extend(answer.retry_after.map(|seconds| set("retry-after", seconds.to_string().as_bytes(), false)));
    // A proxy that asks for credentials says which ones (RFC 9110 section 11.7.1).
    headers.set_headers.extend((answer.status == 407).then(|| set("proxy-authenticate", b"Basic realm=\"portcullis\"", false)));
    ImmediateResponse {
        status: Some(HttpStatus { code: i32::from(answer.status) }),
        // Envoy chooses the type of a gRPC answer itself.
        headers: answer.grpc_status.is_none().then_some(headers),
        grpc_status: answer.grpc_status.map(|status| GrpcStatus { status }),
        body: answer.body.into_bytes(),
        details: "portcullis_denied".to_owned(),
    }
}

fn metadata(verdict: &str, request_id: &str) -> Struct {
    let text = |value: &str| Value { kind: Some(Kind::StringValue(value.to_owned())) };
    let fields = HashMap::from([("verdict".to_owned(), text(verdict)), ("request_id".to_owned(), text(request_id))]);
    let inner = Value { kind: Some(Kind::StructValue(Struct { fields })) };
    Struct { fields: HashMap::from([(NAMESPACE.to_owned(), inner)]) }
}
