//! What every cluster brings along: namespaces, DNS, the Service of the API server.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use portcullis_e2e::dns_reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

use crate::host::Host;
use crate::network;
use crate::objects::{Object, PodSpec, parse};
use crate::state::{Phase, Pod, Shared};

/// The Service of the cluster's DNS.
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The Service of the API server.
pub(crate) const API: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// What names end with.
const ZONE: &str = ".svc.cluster.local";
/// The longest question over UDP that is looked at.
const LONGEST: usize = 1500;

const OBJECTS: &str = "
kind: Namespace
metadata: {name: default}
---
kind: Namespace
metadata: {name: kube-system}
---
kind: Namespace
metadata: {name: monitoring, labels: {portcullis.dev/monitoring: \"true\"}}
---
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  selector: {k8s-app: kube-dns}
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]
---
kind: Service
metadata: {name: kubernetes, namespace: default}
spec:
  clusterIP: 10.96.0.1
  selector: {component: kube-apiserver}
  ports: [{name: https, port: 443, targetPort: 6443}]
";

/// The objects.
pub(crate) fn objects() -> Result<Vec<Object>> {
    parse(OBJECTS)
}

/// A pod whose program is the harness itself. It is ready at once.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn pod(shared: &Shared, namespace: &str, name: &str, label: (&str, &str)) -> Result<Arc<Host>> {
    let host = Arc::new(Host::new(&format!("{namespace}.{name}"))?);
    let wire = shared.node.wire(&host)?;
    let spec: PodSpec = serde_json::from_value(serde_json::json!({"containers": []}))?;
    let pod = Pod {
        labels: [(label.0.to_owned(), label.1.to_owned())].into(),
        owner: None,
        revision: String::new(),
        spec: Arc::new(spec),
        phase: Phase::Running,
        host: Some(Arc::clone(&host)),
        wire: Some(wire),
        walled: false,
        containers: std::collections::BTreeMap::new(),
        ready_since: Some(Instant::now()),
        end: watch::channel(None).0,
    };
    shared.update(|state| state.pods.insert((namespace.to_owned(), name.to_owned()), pod));
    Ok(host)
}

/// Answers the cluster's questions for names: Services from the state, everything else as `outside` knows it. Runs for ever.
///
/// # Errors
/// The port cannot be opened.
pub(crate) async fn dns(shared: Arc<Shared>, outside: Names) -> Result<()> {
    let look_up = move |name: &str| match name.strip_suffix(ZONE) {
        Some(service) => service_addresses(&shared, service),
        None => outside.look_up(name),
    };
    serve_dns(Ipv4Addr::UNSPECIFIED, Arc::new(look_up)).await
}

fn service_addresses(shared: &Shared, service: &str) -> Option<Vec<Ipv4Addr>> {
    let (name, namespace) = service.split_once('.')?;
    let state = shared.state();
    let services = network::services(&state).ok()?;
    let service = services.iter().find(|service| service.name == name && service.namespace == namespace)?;
    match service.address().ok()? {
        Some(address) => Some(vec![address]),
        None => Some(service.backends(&network::backends(&state)).map(|pod| pod.v4).collect()),
    }
}

/// Names of the outside world. One that begins with a dot stands for everything below it.
#[derive(Clone, Debug)]
pub(crate) struct Names(pub(crate) Arc<[(String, Ipv4Addr)]>);

impl Names {
    pub(crate) fn look_up(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        let exact = self.0.iter().find(|(known, _)| known == name);
        let below = || self.0.iter().find(|(known, _)| known.starts_with('.') && name.ends_with(known.as_str()));
        exact.or_else(below).map(|(_, address)| vec![*address])
    }
}

type LookUp = Arc<dyn Fn(&str) -> Option<Vec<Ipv4Addr>> + Send + Sync>;

/// Serves DNS over UDP and TCP at this address. Runs for ever.
///
/// # Errors
/// The port cannot be opened.
pub(crate) async fn serve_dns(address: Ipv4Addr, look_up: LookUp) -> Result<()> {
    let (udp, tcp) = (UdpSocket::bind((address, 53)).await?, TcpListener::bind((address, 53)).await?);
    let over_tcp = Arc::clone(&look_up);
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            let look_up = Arc::clone(&over_tcp);
            // Who closes early asks no more.
            tokio::spawn(async move { drop(answer_stream(stream, look_up).await) });
        }
    });
    let mut buffer = [0; LONGEST];
    loop {
        // An error here is the ICMP answer to an earlier reply; the next query has nothing to do with it.
        let Ok((length, peer)) = udp.recv_from(&mut buffer).await else { continue };
        if let Some(reply) = buffer.get(..length).and_then(|query| dns_reply(query, |name| look_up(name))) {
            drop(udp.send_to(&reply, peer).await);
        }
    }
}

async fn answer_stream(mut stream: TcpStream, look_up: LookUp) -> Result<()> {
    loop {
        let mut query = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut query).await?;
        let Some(reply) = dns_reply(&query, |name| look_up(name)) else { return Ok(()) };
        stream.write_u16(u16::try_from(reply.len())?).await?;
        stream.write_all(&reply).await?;
    }
}
