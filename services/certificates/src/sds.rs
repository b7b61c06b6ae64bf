//! The delta ADS server: one stream for all names, kept bounded by taking old names back.
//!
//! Envoy keeps every on-demand secret until the server removes it (envoy.md S5), so each stream has a limit of names and the
//! oldest go by `removed_resources`; Envoy asks again at the next handshake. A refused name is answered by `removed_resources` as
//! well, which fails the handshake at once. Protocol: <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, TlsCertificate, secret};
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryService;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::cache::Leaves;
use crate::metrics::Metrics;
use crate::mint::Leaf;
use crate::name::HostName;
use crate::subscriptions::{Subscriptions, within_limit};

/// The only resource type served.
pub const SECRET_TYPE: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// Resources in one reply. A resource is about 1.2 KB, so a reply stays far below the 4 MiB that gRPC peers accept by default.
const REPLY_RESOURCES: usize = 500;
/// Leaves minted before other tasks get their turn: about a millisecond of work.
const MINT_SLICE: usize = 16;
/// Replies waiting for the network.
const REPLY_QUEUE: usize = 8;
/// An Envoy that takes no reply for this long is gone.
const SEND_PATIENCE: Duration = Duration::from_secs(30);
/// How often leaves are looked at for renewal. They are renewed with half a day left, so the moment does not matter.
const RENEWAL_TICK: Duration = Duration::from_secs(60);

type Reply = Result<DeltaDiscoveryResponse, Status>;

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdsServer {
    leaves: Arc<Leaves>,
    metrics: Metrics,
    names_per_stream: usize,
    streams: Arc<Semaphore>,
    /// Becomes true, or closes, when the service shuts down.
    ending: watch::Receiver<bool>,
}

impl AdsServer {
    pub(crate) fn new(leaves: Arc<Leaves>, metrics: Metrics, limits: crate::server::Limits, ending: watch::Receiver<bool>) -> Self {
        let streams = Arc::new(Semaphore::new(limits.streams));
        Self { leaves, metrics, names_per_stream: limits.names_per_stream, streams, ending }
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for AdsServer {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = ReceiverStream<Reply>;

    async fn stream_aggregated_resources(
        &self,
        _request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("only the delta protocol is served: set api_type: DELTA_GRPC"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Status::resource_exhausted("too many ADS streams"))?;
        let (replies, receiver) = mpsc::channel(REPLY_QUEUE);
        self.metrics.streams.inc();
        let session = Session {
            server: self.clone(),
            subscriptions: Subscriptions::default(),
            counted: 0,
            replies,
            next_nonce: 0,
            epoch: rand::random(),
            _permit: permit,
        };
        // The task ends with the request stream, with the receiver, or with the service: whichever comes first.
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// One open stream.
struct Session {
    server: AdsServer,
    subscriptions: Subscriptions,
    /// What this stream has added to the gauge of active names.
    counted: i64,
    replies: mpsc::Sender<Reply>,
    next_nonce: u64,
    epoch: u64,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.server.metrics.active.sub(self.counted);
        self.server.metrics.streams.dec();
    }
}

impl Session {
    async fn run(mut self, mut requests: Streaming<DeltaDiscoveryRequest>) {
        if let Err(status) = self.serve(&mut requests).await {
            // Nobody is left to tell when this fails: the peer has gone.
            drop(self.replies.try_send(Err(status)));
        }
    }

    async fn serve(&mut self, requests: &mut Streaming<DeltaDiscoveryRequest>) -> Result<(), Status> {
        let mut tick = tokio::time::interval(RENEWAL_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ending = self.server.ending.clone();
        let closed = self.replies.clone();
        loop {
            tokio::select! {
                () = wait_for_end(&mut ending) => return Err(Status::unavailable("the certificates service is shutting down")),
                () = closed.closed() => return Ok(()),
                _ = tick.tick() => self.renew(SystemTime::now()).await?,
                request = requests.message() => match request? {
                    Some(request) => self.answer(request, SystemTime::now()).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Answers one request. An acknowledgement asks for nothing and gets nothing.
    async fn answer(&mut self, request: DeltaDiscoveryRequest, now: SystemTime) -> Result<(), Status> {
        if let Some(error) = &request.error_detail {
            // Sent again it would be rejected again; the code says enough, and the message could quote what was sent.
            self.server.metrics.rejected.inc();
            tracing::warn!(code = error.code, "Envoy rejected certificates");
        }
        if request.type_url != SECRET_TYPE {
            return self.refuse_type(request).await;
        }
        for name in &request.resource_names_unsubscribe {
            self.subscriptions.remove(name);
        }
        let (names, surplus) = within_limit(request.resource_names_subscribe, self.server.names_per_stream);
        self.server.metrics.evicted.inc_by(surplus.len() as u64);
        let mut reply = Pending { removed: surplus, resources: Vec::new() };
        for (done, name) in names.into_iter().enumerate() {
            if done % MINT_SLICE == MINT_SLICE - 1 {
                tokio::task::yield_now().await;
            }
            self.subscribe(name, &request.initial_resource_versions, now, &mut reply);
        }
        let evicted = self.subscriptions.shrink(self.server.names_per_stream);
        self.server.metrics.evicted.inc_by(evicted.len() as u64);
        reply.removed.extend(evicted);
        self.count();
        self.send(SECRET_TYPE, reply).await
    }

    /// Subscribes to one name, or refuses it.
    fn subscribe(&mut self, name: String, known: &HashMap<String, String>, now: SystemTime, reply: &mut Pending) {
        let leaf = HostName::parse(&name).map_err(|error| error.to_string()).and_then(|host| {
            let leaf = self.server.leaves.get(&host, now).map_err(|error| {
                tracing::error!(%error, "cannot mint a certificate");
                "mint".to_owned()
            })?;
            Ok((host, leaf))
        });
        match leaf {
            Ok((host, leaf)) => {
                self.subscriptions.add(&name, host, leaf.renew_at);
                // After a reconnect Envoy says what it holds; the same version need not travel again.
                if known.get(&name) != Some(&leaf.version) {
                    reply.resources.push(secret_resource(name, &leaf));
                }
            }
            Err(reason) => {
                self.server.metrics.refused.with_label_values(&[reason.as_str()]).inc();
                self.subscriptions.remove(&name);
                reply.removed.push(name);
            }
        }
    }

    /// Pushes a new leaf for each name whose leaf is past half of its life.
    async fn renew(&mut self, now: SystemTime) -> Result<(), Status> {
        let mut reply = Pending::default();
        for (done, (name, host)) in self.subscriptions.due(now).into_iter().enumerate() {
            if done % MINT_SLICE == MINT_SLICE - 1 {
                tokio::task::yield_now().await;
            }
            match self.server.leaves.get(&host, now) {
                Ok(leaf) => {
                    self.subscriptions.renewed(&name, leaf.renew_at);
                    self.server.metrics.renewed.inc();
                    reply.resources.push(secret_resource(name, &leaf));
                }
                // The old leaf still has half of its life; the next tick tries again.
                Err(error) => tracing::error!(%error, "cannot renew a certificate"),
            }
        }
        self.send(SECRET_TYPE, reply).await
    }

    /// Says of each name of a type we do not serve that it does not exist.
    async fn refuse_type(&mut self, request: DeltaDiscoveryRequest) -> Result<(), Status> {
        self.server.metrics.refused.with_label_values(&["type"]).inc_by(request.resource_names_subscribe.len() as u64);
        self.send(&request.type_url, Pending { removed: request.resource_names_subscribe, resources: Vec::new() }).await
    }

    /// Sends what is pending, in as many replies as it takes; nothing pending, nothing sent.
    async fn send(&mut self, type_url: &str, pending: Pending) -> Result<(), Status> {
        let mut removed = pending.removed;
        let mut resources = pending.resources.into_iter().peekable();
        while resources.peek().is_some() || !removed.is_empty() {
            self.next_nonce = self.next_nonce.wrapping_add(1);
            let reply = DeltaDiscoveryResponse {
                // Informational by the protocol; tells two runs apart in Envoy's config dump.
                system_version_info: format!("{:016x}.{}", self.epoch, self.next_nonce),
                resources: resources.by_ref().take(REPLY_RESOURCES).collect(),
                type_url: type_url.to_owned(),
                removed_resources: std::mem::take(&mut removed),
                nonce: format!("{:016x}.{}", self.epoch, self.next_nonce),
                ..DeltaDiscoveryResponse::default()
            };
            let sent = tokio::time::timeout(SEND_PATIENCE, self.replies.send(Ok(reply))).await;
            sent.map_err(|_| Status::deadline_exceeded("replies are not read"))?.map_err(|_| Status::cancelled("the stream has ended"))?;
        }
        Ok(())
    }

    /// Brings the gauge of active names up to date.
    fn count(&mut self) {
        let names = i64::try_from(self.subscriptions.len()).unwrap_or(i64::MAX);
        self.server.metrics.active.add(names - self.counted);
        self.counted = names;
    }
}

/// Waits until the service shuts down. The guard that `wait_for` gives must not live across an await.
async fn wait_for_end(ending: &mut watch::Receiver<bool>) {
    drop(ending.wait_for(|ending| *ending).await);
}

/// What a reply will carry.
#[derive(Default)]
struct Pending {
    resources: Vec<Resource>,
    removed: Vec<String>,
}

/// Wraps a leaf and its key as the secret of this name. Never log the result: its `Debug` shows the key.
fn secret_resource(name: String, leaf: &Leaf) -> Resource {
    let inline = |text: &str| Some(DataSource { specifier: Some(Specifier::InlineString(text.to_owned())), ..DataSource::default() });
    let (certificate_chain, private_key) = (inline(&leaf.certificate_pem), inline(leaf.key_pem.as_str()));
    let certificate = TlsCertificate { certificate_chain, private_key, ..TlsCertificate::default() };
    let secret = Secret { name: name.clone(), r#type: Some(secret::Type::TlsCertificate(certificate)) };
    let resource = Any { type_url: SECRET_TYPE.to_owned(), value: secret.encode_to_vec() };
    Resource { name, version: leaf.version.clone(), resource: Some(resource), ..Resource::default() }
}

#[cfg(test)]
mod tests;
