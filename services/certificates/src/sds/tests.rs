//! The delta protocol, spoken by a real client over a real socket.

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::google::rpc::Status as RpcStatus;
use prometheus::Registry;
use tonic::transport::Channel;

use super::*;
use crate::Address;
use crate::authority::KeyAccess;
use crate::server::{Certificates, Config, Limits};

/// A running service, and what ends it.
struct Service {
    folder: tempfile::TempDir,
    registry: Registry,
    address: String,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), crate::CertificatesError>>,
}

impl Service {
    async fn start(names_per_stream: usize) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Limits { names_per_stream, streams: 2, ..Limits::default() }).await
    }

    async fn start_in(folder: tempfile::TempDir, limits: Limits) -> Self {
        let registry = Registry::new();
        let config = Config {
            listen: Address::Tcp(([127, 0, 0, 1], 0).into()),
            tls: None,
            ca_dir: folder.path().join("ca"),
            key_access: KeyAccess::OwnerOnly,
            readiness: telemetry::Readiness::default(),
            limits,
            registry: registry.clone(),
        };
        let bound = Certificates::build(config).await.unwrap();
        let address = format!("http://{}", bound.address());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(bound.run(async { drop(stopped.await) }));
        Self { folder, registry, address, stop, task }
    }

    async fn client(&self) -> Client {
        let channel = Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap();
        let (requests, receiver) = mpsc::channel(8);
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let replies = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Client { requests, replies }
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric().iter().map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }
}

struct Client {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    replies: Streaming<DeltaDiscoveryResponse>,
}

fn subscribe(names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: SECRET_TYPE.into(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

impl Client {
    async fn send(&self, request: DeltaDiscoveryRequest) {
        self.requests.send(request).await.unwrap();
    }

    async fn ask(&mut self, request: DeltaDiscoveryRequest) -> DeltaDiscoveryResponse {
        self.send(request).await;
        self.replies.message().await.unwrap().unwrap()
    }

    async fn acknowledge(&self, reply: &DeltaDiscoveryResponse) {
        let acknowledgement =
            DeltaDiscoveryRequest { type_url: SECRET_TYPE.into(), response_nonce: reply.nonce.clone(), ..DeltaDiscoveryRequest::default() };
        self.send(acknowledgement).await;
    }
}

fn names(reply: &DeltaDiscoveryResponse) -> Vec<&str> {
    reply.resources.iter().map(|resource| resource.name.as_str()).collect()
}

fn certificate(resource: &Resource) -> (String, String) {
    let secret = Secret::decode(resource.resource.as_ref().unwrap().value.as_slice()).unwrap();
    assert_eq!(secret.name, resource.name);
    let Some(secret::Type::TlsCertificate(certificate)) = secret.r#type else { panic!("not a certificate") };
    let text = |source: Option<DataSource>| match source.unwrap().specifier {
        Some(Specifier::InlineString(text)) => text,
        _ => panic!("not inline"),
    };
    (text(certificate.certificate_chain), text(certificate.private_key))
}

#[tokio::test]
async fn a_thousand_new_names_in_a_row_are_served_over_one_stream() {
    let service = Service::start(2_000).await;
    let mut client = service.client().await;
    let mut nonces = std::collections::HashSet::new();
    for number in 0..1_000 {
        let name = format!("host-{number}.example");
        let reply = client.ask(subscribe(&[&name])).await;
        assert_eq!(names(&reply), [name.as_str()]);
        assert!(reply.removed_resources.is_empty() && reply.type_url == SECRET_TYPE);
        assert!(nonces.insert(reply.nonce.clone()), "nonces differ");
        client.acknowledge(&reply).await;
    }
    assert_eq!(service.metric("portcullis_certificates_minted_total"), 1_000.0);
    assert_eq!(service.metric("portcullis_certificates_active"), 1_000.0);
    assert_eq!(service.metric("portcullis_certificates_ads_streams"), 1.0);
}

#[tokio::test]
async fn the_oldest_name_is_taken_back_when_there_are_too_many_and_can_be_asked_for_again() {
    let service = Service::start(2).await;
    let mut client = service.client().await;
    client.ask(subscribe(&["a.example", "b.example"])).await;
    let reply = client.ask(subscribe(&["c.example"])).await;
    assert_eq!((names(&reply), reply.removed_resources.clone()), (vec!["c.example"], vec!["a.example".to_owned()]));
    // Envoy unsubscribes what was taken back.
    client.send(DeltaDiscoveryRequest { resource_names_unsubscribe: vec!["a.example".into()], ..subscribe(&[]) }).await;
    let reply = client.ask(subscribe(&["a.example"])).await;
    assert_eq!((names(&reply), reply.removed_resources.clone()), (vec!["a.example"], vec!["b.example".to_owned()]));
    assert_eq!(service.metric("portcullis_certificates_evicted_total"), 2.0);
    assert_eq!(service.metric("portcullis_certificates_active"), 2.0);
    assert_eq!(service.metric("portcullis_certificates_minted_total"), 3.0, "the second a.example came from memory");
}

#[tokio::test]
async fn more_names_at_once_than_the_limit_are_answered_one_way_or_the_other() {
    let service = Service::start(2).await;
    let mut client = service.client().await;
    let reply = client.ask(subscribe(&["a.example", "b.example", "c.example"])).await;
    assert_eq!((names(&reply), reply.removed_resources.clone()), (vec!["b.example", "c.example"], vec!["a.example".to_owned()]));
}

#[tokio::test]
async fn an_unsubscribed_name_makes_room() {
    let service = Service::start(2).await;
    let mut client = service.client().await;
    client.ask(subscribe(&["a.example", "b.example"])).await;
    let swap = DeltaDiscoveryRequest { resource_names_unsubscribe: vec!["a.example".into()], ..subscribe(&["c.example"]) };
    assert!(client.ask(swap).await.removed_resources.is_empty());
}

#[tokio::test]
async fn hostile_names_are_refused_and_the_stream_goes_on() {
    let service = Service::start(100).await;
    let mut client = service.client().await;
    let long = "a".repeat(100_000);
    let hostile = ["deny-no-sni", "*", "*.example.com", "127.0.0.1", "[::1]", "", ".", "a..b", "x\0y", "\u{202e}x", "xn--a", &long];
    let reply = client.ask(subscribe(&hostile)).await;
    assert!(reply.resources.is_empty());
    assert_eq!(reply.removed_resources, hostile);
    assert_eq!(service.metric("portcullis_certificates_refused_total"), hostile.len() as f64);
    assert_eq!(names(&client.ask(subscribe(&["fine.example"])).await), ["fine.example"]);
    assert_eq!(service.metric("portcullis_certificates_active"), 1.0);
}

#[tokio::test]
async fn each_spelling_is_a_secret_of_its_own_with_one_certificate() {
    let service = Service::start(100).await;
    let mut client = service.client().await;
    let reply = client.ask(subscribe(&["A.Example", "a.example"])).await;
    assert_eq!(names(&reply), ["A.Example", "a.example"]);
    assert_eq!(certificate(&reply.resources[0]), certificate(&reply.resources[1]));
    assert!(certificate(&reply.resources[0]).1.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_rejected_reply_is_counted_and_not_sent_again() {
    let service = Service::start(100).await;
    let mut client = service.client().await;
    let reply = client.ask(subscribe(&["a.example"])).await;
    let error_detail = Some(RpcStatus { code: 13, ..RpcStatus::default() });
    client.send(DeltaDiscoveryRequest { response_nonce: reply.nonce, error_detail, ..subscribe(&[]) }).await;
    assert_eq!(names(&client.ask(subscribe(&["b.example"])).await), ["b.example"]);
    assert_eq!(service.metric("portcullis_certificates_rejected_total"), 1.0);
}

#[tokio::test]
async fn other_resource_types_do_not_exist() {
    let service = Service::start(100).await;
    let mut client = service.client().await;
    let reply = client.ask(DeltaDiscoveryRequest { type_url: "other".into(), ..subscribe(&["a.example"]) }).await;
    assert_eq!((reply.type_url.as_str(), reply.removed_resources), ("other", vec!["a.example".to_owned()]));
}

#[tokio::test]
async fn after_a_reconnect_only_what_changed_travels_again() {
    let service = Service::start(100).await;
    let mut client = service.client().await;
    let reply = client.ask(subscribe(&["a.example", "b.example"])).await;
    let mut versions: HashMap<_, _> = reply.resources.into_iter().map(|resource| (resource.name, resource.version)).collect();
    versions.insert("b.example".into(), "older".into());
    drop(client);
    let mut client = service.client().await;
    let hello = DeltaDiscoveryRequest { initial_resource_versions: versions.clone(), ..subscribe(&["a.example", "b.example"]) };
    assert_eq!(names(&client.ask(hello.clone()).await), ["b.example"]);

    // A new process has a new leaf key, so everything travels again.
    drop(client);
    drop(service.stop);
    service.task.await.unwrap().unwrap();
    let service = Service::start_in(service.folder, Limits::default()).await;
    let mut client = service.client().await;
    assert_eq!(names(&client.ask(hello).await), ["a.example", "b.example"]);
}

#[tokio::test]
async fn streams_beyond_the_limit_are_turned_away() {
    let service = Service::start(100).await;
    let mut clients = [service.client().await, service.client().await];
    for client in &mut clients {
        client.ask(subscribe(&["a.example"])).await;
    }
    let channel = Channel::from_shared(service.address.clone()).unwrap().connect().await.unwrap();
    let refused = AggregatedDiscoveryServiceClient::new(channel).delta_aggregated_resources(tokio_stream::pending()).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::ResourceExhausted);
}

#[tokio::test]
async fn an_open_stream_does_not_keep_the_service_from_ending() {
    let service = Service::start(100).await;
    let mut client = service.client().await;
    client.ask(subscribe(&["a.example"])).await;
    drop(service.stop);
    assert_eq!(client.replies.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    drop(client);
    service.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_leaf_is_pushed_again_at_half_of_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let authority = crate::Authority::load_or_create(&folder.path().join("ca"), KeyAccess::OwnerOnly, now).unwrap();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let leaves = Arc::new(Leaves::new(authority, 10, metrics.clone()));
    let (_ending, ended) = watch::channel(false);
    let server = AdsServer::new(leaves, metrics, Limits::default(), ended);
    let permit = Arc::clone(&server.streams).try_acquire_owned().unwrap();
    let (replies, mut sent) = mpsc::channel(8);
    let subscriptions = Subscriptions::default();
    let mut session = Session { server, subscriptions, counted: 0, replies, next_nonce: 0, epoch: 0, _permit: permit };
    session.answer(subscribe(&["a.example"]), now).await.unwrap();
    let first = sent.recv().await.unwrap().unwrap();
    let half = crate::mint::LEAF_LIFE / 2;
    session.renew(now + half - Duration::from_secs(1)).await.unwrap();
    assert!(sent.try_recv().is_err(), "nothing is due yet");
    session.renew(now + half).await.unwrap();
    let second = sent.recv().await.unwrap().unwrap();
    assert_eq!(names(&second), ["a.example"]);
    assert_ne!(first.resources[0].version, second.resources[0].version);
    session.renew(now + half).await.unwrap();
    assert!(sent.try_recv().is_err(), "once is enough");
}

#[tokio::test]
async fn after_a_new_ca_only_new_and_renewed_leaves_are_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let [old, new] =
        ["old", "new"].map(|name| crate::Authority::load_or_create(&folder.path().join(name), KeyAccess::OwnerOnly, now).unwrap());
    let new_ca = new.certificate_pem().to_owned();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let leaves = Arc::new(Leaves::new(old, 10, metrics.clone()));
    let (_ending, ended) = watch::channel(false);
    let server = AdsServer::new(Arc::clone(&leaves), metrics, Limits::default(), ended);
    let permit = Arc::clone(&server.streams).try_acquire_owned().unwrap();
    let (replies, mut sent) = mpsc::channel(8);
    let subscriptions = Subscriptions::default();
    let mut session = Session { server, subscriptions, counted: 0, replies, next_nonce: 0, epoch: 0, _permit: permit };
    // Whether the new CA signed it; the key that comes with it must be its own.
    let of_new = |reply: &DeltaDiscoveryResponse| {
        let (chain, key) = certificate(&reply.resources[0]);
        let (_, pem) = x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap();
        let (_, ca) = x509_parser::pem::parse_x509_pem(new_ca.as_bytes()).unwrap();
        let leaf = pem.parse_x509().unwrap();
        let key = rcgen::KeyPair::from_pem(&key).unwrap();
        assert_eq!(leaf.public_key().raw, rcgen::PublicKeyData::subject_public_key_info(&key));
        leaf.verify_signature(Some(ca.parse_x509().unwrap().public_key())).is_ok()
    };
    session.answer(subscribe(&["a.example"]), now).await.unwrap();
    assert!(!of_new(&sent.recv().await.unwrap().unwrap()));
    leaves.replace(new);
    session.renew(now).await.unwrap();
    assert!(sent.try_recv().is_err(), "what was pushed stays until it is due");
    session.answer(subscribe(&["b.example"]), now).await.unwrap();
    assert!(of_new(&sent.recv().await.unwrap().unwrap()));
    session.renew(now + crate::mint::LEAF_LIFE / 2).await.unwrap();
    let renewed = sent.recv().await.unwrap().unwrap();
    assert!(names(&renewed).contains(&"a.example") && of_new(&renewed));
}
