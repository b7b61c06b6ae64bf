//! A sandbox: a pod made of the rendered template, and a client in it that knows what the template tells it, and nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use portcullis_e2e::{Client, Request, Response};
use serde_json::json;

use crate::cluster::{Cluster, PodName};
use crate::host::Host;
use crate::kubelet;
use crate::objects::{Object, PodSpec};

/// A pod for an agent.
#[derive(Debug)]
pub struct Sandbox {
    /// Its name.
    pub pod: PodName,
    host: Arc<Host>,
    client: Client,
}

impl Cluster {
    /// Makes a pod of the PodTemplate `portcullis-sandbox`, and waits until it runs.
    ///
    /// # Errors
    /// There is no such template, or it does not come up.
    pub async fn sandbox(&self, name: &str) -> Result<Sandbox> {
        let namespace = "portcullis-sandboxes";
        let template = self.object("PodTemplate", namespace, "portcullis-sandbox")?.value()["template"].clone();
        let metadata = json!({"name": name, "namespace": namespace, "labels": template["metadata"]["labels"]});
        self.apply([Object::new(json!({"kind": "Pod", "metadata": metadata, "spec": template["spec"]}))?])?;
        let pod = (namespace.to_owned(), name.to_owned());
        self.pod_is(&pod, "runs", |pod| pod.ready_since).await?;
        let spec = self.shared.state().pods.get(&pod).map(|pod| Arc::clone(&pod.spec)).context("the sandbox is gone")?;
        let client = self.client(&pod, &spec)?;
        Ok(Sandbox { host: self.host_of(&pod)?, client, pod })
    }

    /// A client that knows proxy and CA from the container's environment and files.
    fn client(&self, pod: &PodName, spec: &PodSpec) -> Result<Client> {
        let container = spec.containers.first().context("a sandbox without containers")?;
        let environment = kubelet::environment(&self.shared.state(), pod, spec, container)?;
        let variable = |name: &str| {
            let found = environment.iter().rev().find(|(given, _)| given == name);
            found.map(|(_, value)| value.clone()).with_context(|| format!("the sandbox has no {name}"))
        };
        let proxy = variable("HTTPS_PROXY")?;
        let (host, port) = proxy.trim_start_matches("http://").trim_end_matches('/').split_once(':').context("a proxy without port")?;
        // There is no DNS: the name is in the pod's hosts file.
        let alias = spec.host_aliases.iter().find(|alias| alias.hostnames.iter().any(|name| name == host));
        let ip = alias.with_context(|| format!("{host} is not among the sandbox's hosts"))?.ip.parse()?;
        // The bundle has all roots; ours stands beside it.
        let bundle = variable("SSL_CERT_FILE")?;
        let ca = Path::new(&bundle).with_file_name("ca.pem");
        let ca = kubelet::read(pod, container, &ca).with_context(|| ca.display().to_string())?;
        Client::new(SocketAddr::new(ip, port.parse()?), &String::from_utf8(ca)?)
    }
}

impl Sandbox {
    /// Sends a request through the gateway. Where no response came, the status is 0 and the body says why.
    ///
    /// # Errors
    /// The sandbox is gone.
    pub async fn send(&self, request: Request) -> Result<Response> {
        let client = self.client.clone();
        self.host
            .run(async move || {
                let failed = |error: anyhow::Error| Response { body: format!("{error:#}").into_bytes(), ..Response::default() };
                client.send(&request).await.unwrap_or_else(failed)
            })
            .await
    }

    /// Its host, for what goes round the gateway.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}
