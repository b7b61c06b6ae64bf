//! The service through its own ports: ext_proc, Scan API with reflection and health, metrics, audit, reload.

use std::path::Path;
use std::time::Duration;

use engine::{Engine, FingerprintKey, Limits as EngineLimits, RuleSet};
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Said;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Answered;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, HttpHeaders, ProcessingRequest};
use inspect::Snapshot;
use policy::{Policy, Preset};
use portcullis_scanner::{Config, Limits, Load, Scanner};
use rand::distr::{Alphanumeric, SampleString};
use scan_proto::v1::scan_service_client::ScanServiceClient;
use scan_proto::v1::{self as pb, scan_stream_request::Step, scan_stream_response::Event};
use telemetry::{Address, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ListServiceResponse, ServerReflectionRequest};

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

struct Running {
    folder: tempfile::TempDir,
    scan: String,
    api: String,
    metrics: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<()>,
}

const ANY: Address = Address::Tcp(std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0));

async fn start(limits: Limits) -> Running {
    start_with(limits, Preset::Default.source()).await
}

async fn start_with(limits: Limits, policy: &str) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, policy).expect("a policy");
    let (audit, watched) = (folder.path().join("audit.jsonl"), file.clone());
    let load = Load::new(move || {
        let policy = Policy::from_yaml("policy.yaml", &std::fs::read_to_string(&file)?)?;
        let engine = Engine::compile(RuleSet::builtin(), EngineLimits::default(), FingerprintKey([7; 32]))?;
        Ok(Snapshot { engine, policy: policy.into() })
    });
    let config = Config {
        listen: ANY,
        api_listen: Some(ANY),
        tls: None,
        metrics_listen: Some(([127, 0, 0, 1], 0).into()),
        audit: Some(audit),
        load,
        watch: vec![watched],
        sandbox: "box".into(),
        tokens: None,
        shared_state: None,
        limits,
        registry: prometheus::Registry::new(),
    };
    let bound = Scanner::build(config).await.expect("the service is built");
    let (scan, api) = (format!("http://{}", bound.address()), format!("http://{}", bound.api_address().expect("an address")));
    let metrics = bound.metrics_address().expect("an address");
    let (stop, shutdown) = Shutdown::new();
    let ended = tokio::spawn(async move { bound.run(shutdown).await.expect("the service ends well") });
    Running { folder, scan, api, metrics, stop, ended }
}

impl Running {
    async fn channel(to: &str) -> Channel {
        Channel::from_shared(to.to_owned()).expect("a URL").connect().await.expect("a connection")
    }

    async fn api(&self) -> ScanServiceClient<Channel> {
        ScanServiceClient::new(Running::channel(&self.api).await)
    }

    async fn page(&self, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.metrics).await.expect("a connection");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("read");
        text
    }

    async fn end(self) -> tempfile::TempDir {
        self.stop.send_replace(true);
        self.ended.await.expect("no panic");
        self.folder
    }
}

fn head(url: &str) -> Option<pb::RequestHead> {
    Some(pb::RequestHead { url: url.to_owned(), request_id: "mine".into(), ..pb::RequestHead::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scan_api_judges_as_the_gateway_does() {
    let running = start(Limits::default()).await;
    let mut api = running.api().await;
    let token = token();
    let ask = |url: &str, body: String| Request::new(pb::ScanRequest { head: head(url), body: body.into() });

    let found = api
        .scan(ask("https://sink.example.net/", format!("key {token}")))
        .await
        .expect("an answer")
        .into_inner()
        .outcome
        .expect("an outcome");
    assert_eq!((found.verdict(), found.reason.as_str(), found.complete), (pb::Verdict::Deny, "credential_misdirected", true));
    let [finding] = found.findings.as_slice() else { panic!("one finding") };
    assert!(finding.detector.starts_with("github-pat-classic"));
    assert_eq!((finding.location.as_str(), finding.start, finding.end), ("body", 4, 44));
    assert_eq!(found.request_id, "mine");

    let redacted =
        api.scan(ask("https://api.openai.com/v1/chat/completions", format!("key {token}"))).await.expect("an answer").into_inner();
    assert!(redacted.redacted_body.starts_with(b"key [portcullis:github-pat-classic"));

    let clean =
        api.scan(ask("https://sink.example.net/", "nothing".into())).await.expect("an answer").into_inner().outcome.expect("an outcome");
    assert_eq!(clean.verdict(), pb::Verdict::Allow);
    for bad in ["", "ftp://x/", "no url"] {
        assert_eq!(api.scan(ask(bad, String::new())).await.expect_err("no URL").code(), Code::InvalidArgument);
    }

    let detectors =
        api.list_detectors(pb::ListDetectorsRequest { provider: "github".into() }).await.expect("an answer").into_inner().detectors;
    assert!(detectors.iter().any(|d| d.id == "github-pat-classic" && d.home_hosts.contains(&"api.github.com".to_owned())));
    let policy = api.get_policy(pb::GetPolicyRequest {}).await.expect("an answer").into_inner();
    assert_eq!((policy.policy_id.len(), policy.buffer_bytes), (32, 1 << 20));

    let folder = running.end().await;
    let audit = std::fs::read_to_string(folder.path().join("audit.jsonl")).expect("an audit log");
    assert!(audit.lines().count() >= 3 && audit.contains("\"credential_misdirected\"") && !audit.contains(&token[4..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_request_gets_its_clean_bytes_back_and_then_the_outcome() {
    let running = start(Limits::default()).await;
    let mut api = running.api().await;
    let line = "a line of text\n".repeat(1000);
    let run = async |api: &mut ScanServiceClient<Channel>, last: String, end: bool| {
        let mut steps = vec![Step::Head(head("https://sink.example.net/").expect("a head"))];
        steps.extend((0..120).map(|_| Step::Chunk(line.clone().into())));
        steps.push(Step::Chunk(last.into()));
        steps.extend(end.then_some(Step::End(pb::End {})));
        let steps = tokio_stream::iter(steps.into_iter().map(|step| pb::ScanStreamRequest { step: Some(step) }));
        let mut answers = api.scan_stream(steps).await.expect("a stream").into_inner();
        let (mut released, mut outcome) = (0, None);
        loop {
            match answers.message().await {
                Ok(Some(pb::ScanStreamResponse { event: Some(Event::Released(bytes)) })) => released += bytes.len(),
                Ok(Some(pb::ScanStreamResponse { event: Some(Event::Outcome(last)) })) => outcome = Some(last),
                Ok(Some(_)) => panic!("an empty message"),
                Ok(None) => return Ok((released, outcome.expect("an outcome"))),
                Err(status) => return Err(status.code()),
            }
        }
    };
    let (released, outcome) = run(&mut api, "the end".into(), true).await.expect("an outcome");
    assert_eq!((released, outcome.verdict()), (120 * line.len() + 7, pb::Verdict::Allow));
    let (released, outcome) = run(&mut api, token(), true).await.expect("an outcome");
    assert!(released > 0 && released < 120 * line.len() + 1 && outcome.verdict() == pb::Verdict::Deny);
    assert_eq!(run(&mut api, "x".into(), false).await.expect_err("no end"), Code::InvalidArgument);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_find_the_api_by_reflection_and_probes_by_health() {
    let running = start(Limits::default()).await;
    let channel = Running::channel(&running.api).await;
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    let answers =
        ServerReflectionClient::new(channel.clone()).server_reflection_info(tokio_stream::iter([request])).await.expect("an answer");
    let answer = answers.into_inner().next().await.expect("one").expect("well");
    let Some(MessageResponse::ListServicesResponse(ListServiceResponse { service })) = answer.message_response else { panic!("a list") };
    let names: Vec<&str> = service.iter().map(|s| s.name.as_str()).collect();
    assert!(names.contains(&"portcullis.scan.v1.ScanService") && names.contains(&"grpc.health.v1.Health"), "{names:?}");
    for (to, service) in [
        (&running.api, "portcullis.scan.v1.ScanService"),
        (&running.api, ""),
        (&running.scan, ""),
        (&running.scan, "envoy.service.ext_proc.v3.ExternalProcessor"),
    ] {
        let mut health = HealthClient::new(Running::channel(to).await);
        let reply = health.check(HealthCheckRequest { service: service.into() }).await.expect("an answer").into_inner();
        assert_eq!(reply.status, 1, "{service} serves");
    }
    assert!(running.page("/readyz").await.starts_with("HTTP/1.1 200") && running.page("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(running.page("/nothing").await.starts_with("HTTP/1.1 404"));
    running.end().await;
}

fn headers(path: &str, end_of_stream: bool) -> ProcessingRequest {
    let pairs = [(":method", "POST"), (":authority", "sink.example.net"), (":path", path), (":scheme", "https")];
    let headers = pairs.map(|(key, value)| HeaderValue { key: key.into(), raw_value: value.into(), ..HeaderValue::default() }).to_vec();
    let headers = HttpHeaders { headers: Some(HeaderMap { headers }), end_of_stream, ..HttpHeaders::default() };
    ProcessingRequest { request: Some(Said::RequestHeaders(headers)), ..ProcessingRequest::default() }
}

fn chunk(body: &str, end_of_stream: bool) -> ProcessingRequest {
    let body = HttpBody { body: body.into(), end_of_stream, ..HttpBody::default() };
    ProcessingRequest { request: Some(Said::RequestBody(body)), ..ProcessingRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_without_a_decision_ends_with_an_error() {
    let running = start(Limits::default()).await;
    let mut client = ExternalProcessorClient::new(Running::channel(&running.scan).await);
    for said in [vec![], vec![headers("/", false)], vec![headers("/", false), chunk("half", false)], vec![chunk("no head", true)]] {
        // With the error at once, or after an answer.
        let Ok(answers) = client.process(tokio_stream::iter(said)).await else { continue };
        let mut answers = answers.into_inner();
        let ended = loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(status) => break Err(status),
            }
        };
        assert!(ended.is_err(), "an undecided stream must not end cleanly");
    }
    let mut decided = client.process(tokio_stream::iter([headers("/", true)])).await.expect("a stream").into_inner();
    let answer = decided.message().await.expect("well").expect("an answer");
    assert!(matches!(answer.response, Some(Answered::RequestHeaders(_))) && answer.dynamic_metadata.is_some());
    assert!(decided.message().await.expect("a clean end").is_none());
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_of_streams_new_ones_are_refused_and_counted() {
    let running = start(Limits { streams: 1, ..Limits::default() }).await;
    let mut client = ExternalProcessorClient::new(Running::channel(&running.scan).await);
    let (say, said) = tokio::sync::mpsc::channel(1);
    say.send(headers("/", false)).await.expect("taken");
    let mut first = client.process(tokio_stream::wrappers::ReceiverStream::new(said)).await.expect("a stream").into_inner();
    first.message().await.expect("well").expect("the body is wanted");
    let second = client.process(tokio_stream::iter([headers("/", true)])).await.expect_err("too many");
    assert_eq!(second.code(), Code::ResourceExhausted);
    let page = running.page("/metrics").await;
    for line in ["portcullis_streams_refused_total 1", "portcullis_streams 1", "portcullis_streams_limit 1"] {
        assert!(page.contains(&format!("\n{line}\n")), "{line}: {page}");
    }
    drop(say);
    running.end().await;
}

/// A stream of a request that came from an address.
fn from<S>(address: &'static str, said: S) -> tonic::Request<S> {
    let mut request = tonic::Request::new(said);
    request.metadata_mut().insert("x-portcullis-source", address.parse().expect("ASCII"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_takes_all_it_can_is_refused_while_others_are_served() {
    let policy = "version: 1\nidentity: {addresses: {noisy: [10.0.0.1], quiet: [10.0.0.2]}}\n";
    let running = start_with(Limits { streams: 90, ..Limits::default() }, policy).await;
    let mut client = ExternalProcessorClient::new(Running::channel(&running.scan).await);
    let mut open = Vec::new();
    let mut ask = async |address: &'static str| {
        let (say, said) = tokio::sync::mpsc::channel(1);
        say.send(headers("/", false)).await.expect("taken");
        let mut answers =
            client.process(from(address, tokio_stream::wrappers::ReceiverStream::new(said))).await.expect("a stream").into_inner();
        let answer = answers.message().await.expect("well").expect("an answer").response;
        open.push((say, answers));
        answer
    };
    for _ in 0..80 {
        assert!(!matches!(ask("10.0.0.1").await, Some(Answered::ImmediateResponse(_))));
    }
    let Some(Answered::ImmediateResponse(refused)) = ask("10.0.0.1").await else { panic!("eight ninths are taken") };
    assert_eq!(refused.status.map(|status| status.code), Some(503));
    assert!(String::from_utf8_lossy(&refused.body).contains("overloaded"));
    let set = refused.headers.expect("headers").set_headers;
    let header = |name: &str| set.iter().filter_map(|h| h.header.as_ref()).find(|h| h.key == name).map(|h| h.raw_value.clone());
    assert_eq!(header("retry-after"), Some(b"1".to_vec()));
    assert!(!matches!(ask("10.0.0.2").await, Some(Answered::ImmediateResponse(_))), "somebody else is served");
    let page = running.page("/metrics").await;
    assert!(page.contains("portcullis_requests_total{reason=\"overloaded\",verdict=\"deny\"} 1\n"), "{page}");
    open.clear();
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_bodies_of_one_sandbox_wait_for_each_other_and_all_come_through() {
    let running = start(Limits { bodies: 1, ..Limits::default() }).await;
    let client = ExternalProcessorClient::new(Running::channel(&running.scan).await);
    let mut uploads = tokio::task::JoinSet::new();
    for n in 0..12_u8 {
        let mut client = client.clone();
        uploads.spawn(async move {
            // Longer than what makes room for another one; some with a pause in which another one may come.
            const LENGTH: usize = 2_000_000;
            let mut head = headers("/", false);
            if let Some(Said::RequestHeaders(HttpHeaders { headers: Some(map), .. })) = &mut head.request {
                let length = HeaderValue { key: "content-length".into(), value: LENGTH.to_string(), ..HeaderValue::default() };
                map.headers.push(length);
            }
            let (say, said) = tokio::sync::mpsc::channel(1);
            say.send(head).await.expect("taken");
            let stream = tokio_stream::wrappers::ReceiverStream::new(said);
            let mut answers = client.process(stream).await.expect("a stream").into_inner();
            assert!(answers.message().await.expect("well").expect("an answer").mode_override.is_some(), "the body is wanted");
            let sending = tokio::spawn(async move {
                for part in 0..40 {
                    say.send(chunk(&" ".repeat(LENGTH / 40), part == 39)).await.expect("taken");
                    if part % 13 == 12 && n % 3 == 0 {
                        tokio::time::sleep(Duration::from_millis(40)).await;
                    }
                }
            });
            let mut passed = 0;
            while let Some(answer) = answers.message().await.expect("well") {
                if let Some(Answered::RequestBody(body)) = answer.response {
                    let mutation = body.response.expect("a response").body_mutation.expect("a body").mutation.expect("a part");
                    let Mutation::StreamedResponse(part) = mutation else { panic!("{mutation:?}") };
                    passed += part.body.len();
                }
            }
            sending.await.expect("all was sent");
            assert_eq!(passed, LENGTH);
        });
    }
    while let Some(done) = uploads.join_next().await {
        done.expect("passed");
    }
    assert!(running.page("/metrics").await.contains("portcullis_streams_ended_total{how=\"decided\"} 12\n"));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_bodies_that_wait_leave_room_for_the_heads_of_others() {
    let running = start(Limits { bodies: 1, turn_wait: Duration::from_secs(60), drain: Duration::ZERO, ..Limits::default() }).await;
    // One connection, as one of Envoy's workers has it.
    let client = ExternalProcessorClient::new(Running::channel(&running.scan).await);
    let begin = async |address: &'static str| {
        let (say, said) = tokio::sync::mpsc::channel(1);
        say.send(headers("/", false)).await.expect("taken");
        let stream = from(address, tokio_stream::wrappers::ReceiverStream::new(said));
        let mut answers = client.clone().process(stream).await.expect("a stream").into_inner();
        let answer = tokio::time::timeout(Duration::from_secs(5), answers.message()).await;
        answer.expect("bodies that wait hold up no head").expect("well").expect("an answer");
        (say, answers)
    };
    // It is taken in, and goes on and on.
    let (first, _its_answers) = begin("10.0.0.1").await;
    first.send(chunk(&" ".repeat(100_000), false)).await.expect("taken");
    let going_on = tokio::spawn(async move {
        while first.send(chunk(" ", false)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await
        }
    });
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (say, answers) = begin("10.0.0.1").await;
        waiting.spawn(async move {
            while say.send(chunk(&" ".repeat(30_000), false)).await.is_ok() {}
            drop(answers);
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let _other = begin("10.0.0.2").await;
    let page = running.page("/metrics").await;
    assert!(page.contains("\nportcullis_streams 42\n"), "{page}");
    going_on.abort();
    waiting.shutdown().await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_another_version_is_refused_and_counted() {
    let running = start(Limits::default()).await;
    let mut client = ExternalProcessorClient::new(Running::channel(&running.scan).await);
    let mut say = async |version: &'static str| {
        let mut request = Request::new(tokio_stream::iter([headers("/", true)]));
        request.metadata_mut().insert("x-portcullis-protocol", version.parse().expect("a value"));
        client.process(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(say("2").await, Ok(()));
    assert_eq!(say("1").await, Err(Code::FailedPrecondition));
    assert!(running.page("/metrics").await.contains("portcullis_protocol_refusals_total 1"));
    running.end().await;
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited 10 s for {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_taken_whole_and_a_bad_one_keeps_the_old() {
    let running = start(Limits::default()).await;
    let file = running.folder.path().join("policy.yaml");
    let replace = |text: &str| {
        let beside = file.with_extension("new");
        std::fs::write(&beside, text).expect("written");
        std::fs::rename(&beside, Path::new(&file)).expect("moved");
    };
    let mut api = running.api().await;
    let id = async |api: &mut ScanServiceClient<Channel>| {
        api.get_policy(pb::GetPolicyRequest {}).await.expect("an answer").into_inner().policy_id
    };
    let before = id(&mut api).await;
    // The one series of a metric.
    let series = async |name: &str| {
        let page = running.page("/metrics").await;
        let lines: Vec<String> = page.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    let info = series("portcullis_policy_info{").await;
    assert!(info.contains(&format!("policy=\"{}\"", &before[..8])) && info.ends_with("} 1"), "{info}");
    let again = start(Limits::default()).await;
    assert!(again.page("/metrics").await.contains(&info), "replicas of one policy and key are alike");
    again.end().await;
    let loaded = series("portcullis_policy_loaded_timestamp_seconds ").await;
    // Times are in whole seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    replace("version: 1\nhosts: {mode: nonsense}\n");
    eventually("the bad policy to be refused", async || {
        running.page("/metrics").await.contains("portcullis_reloads_total{result=\"error\"} 1")
    })
    .await;
    assert_eq!(id(&mut api).await, before);
    let same = (series("portcullis_policy_info{").await, series("portcullis_policy_loaded_timestamp_seconds ").await);
    assert_eq!(same, (info.clone(), loaded.clone()));
    let in_force =
        async |well: u8| running.page("/metrics").await.contains(&format!("portcullis_last_reload_successful{{what=\"policy\"}} {well}"));
    assert!(in_force(0).await);
    replace(Preset::Default.source());
    eventually("the mistake to be taken back", async || in_force(1).await).await;
    replace("version: 1\nextends: strict\nlimits: {memory: 64MiB}\n");
    eventually("the good policy", async || running.page("/metrics").await.contains("portcullis_reloads_total{result=\"ok\"} 1")).await;
    assert_ne!(id(&mut api).await, before);
    assert_ne!(series("portcullis_policy_info{").await, info);
    assert_ne!(series("portcullis_policy_loaded_timestamp_seconds ").await, loaded);
    assert!(running.page("/metrics").await.contains(&format!("portcullis_held_bytes_limit {}", 64 << 20)));
    let ask = pb::ScanRequest { head: head("https://sink.example.net/"), body: Default::default() };
    let outcome = api.scan(ask).await.expect("an answer").into_inner().outcome.expect("an outcome");
    assert_eq!(outcome.reason, "host_not_allowed");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_budgets_and_what_would_have_been_are_told_and_counted() {
    let running = start(Limits::default()).await;
    let file = running.folder.path().join("policy.yaml");
    let beside = file.with_extension("new");
    let rules = "  - {name: few, budget: {window: 1h, requests: 2}}\n  - {name: soon, methods: [PUT], action: deny, mode: monitor}\n";
    std::fs::write(&beside, format!("version: 1\nrules:\n{rules}")).expect("written");
    std::fs::rename(&beside, &file).expect("moved");
    eventually("the policy", async || running.page("/metrics").await.contains("portcullis_reloads_total{result=\"ok\"} 1")).await;
    let mut api = running.api().await;
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let head = pb::RequestHead { method: "PUT".into(), ..head("https://sink.example.net/").unwrap_or_default() };
        let answer = api.scan(pb::ScanRequest { head: Some(head), body: Default::default() }).await.expect("an answer");
        outcomes.push(answer.into_inner().outcome.expect("an outcome"));
    }
    let would = outcomes[0].would.as_ref().expect("something");
    assert_eq!((outcomes[0].verdict(), would.verdict(), would.reason.as_str()), (pb::Verdict::Allow, pb::Verdict::Deny, "rule_denied"));
    assert_eq!((would.rule.as_str(), outcomes[0].retry_after), ("soon", 0));
    assert_eq!((outcomes[2].reason.as_str(), outcomes[2].rule.as_str()), ("rate_limited", "few"));
    assert!((3000..=3900).contains(&outcomes[2].retry_after), "{}", outcomes[2].retry_after);
    let page = running.page("/metrics").await;
    assert!(page.contains("portcullis_monitored_total{reason=\"rule_denied\",verdict=\"deny\"} 2"), "{page}");
    assert!(page.contains("portcullis_requests_total{reason=\"rate_limited\",verdict=\"deny\"} 1"), "{page}");
    assert!(page.contains("portcullis_budget_evictions_total 0"), "{page}");
    running.end().await;
}
