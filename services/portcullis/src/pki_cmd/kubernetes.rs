//! As much of a client of the Kubernetes API as three calls need.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One call, from the connection to the end of the answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// An object holds at most 1 MiB of data, a third more as base64, and what the API says of it.
const LARGEST_ANSWER: usize = 4 << 20;

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// Somebody else was faster, or the API was not there: worth another attempt.
    Again(String),
    /// It would fail again.
    Final(anyhow::Error),
}

/// The API of a cluster.
pub(super) struct Api {
    host: String,
    port: u16,
    authority: String,
    name: ServerName<'static>,
    authorization: HeaderValue,
    connector: TlsConnector,
}

impl Api {
    /// # Errors
    /// The URL, the token or the CA is none.
    pub(super) fn new(server: &str, token: &str, ca_pem: &str) -> Result<Api> {
        let no_url = || anyhow!("{server} is not the URL of a Kubernetes API: expected https://HOST:PORT");
        let uri: Uri = server.parse().map_err(|_| no_url())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(no_url)?;
        if uri.scheme_str() != Some("https") || uri.path().len() > 1 || uri.query().is_some() {
            return Err(no_url());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| no_url())?;
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(ca.context("the CA of the Kubernetes API is not PEM")?).context("the CA of the Kubernetes API")?;
        }
        if roots.is_empty() {
            bail!("the file of the CA of the Kubernetes API holds no certificate");
        }
        // The error would quote the token.
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| anyhow!("the token of the service account is none"))?;
        authorization.set_sensitive(true);
        let mut config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (port, authority) = (authority.port_u16().unwrap_or(443), authority.to_string());
        Ok(Api { host, port, authority, name, authorization, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// An object; `None`: there is none.
    pub(super) async fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Value>, Failure> {
        let path = format!("/api/v1/namespaces/{namespace}/{kind}/{name}");
        match self.call(Method::GET, &path, None).await? {
            (StatusCode::OK, object) => Ok(Some(object)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, answer) => Err(refused("read", &path, status, &answer)),
        }
    }

    /// Makes an object that must not be there.
    pub(super) async fn create(&self, kind: &str, namespace: &str, object: &Value) -> Result<(), Failure> {
        let path = format!("/api/v1/namespaces/{namespace}/{kind}");
        match self.call(Method::POST, &path, Some(object)).await? {
            (StatusCode::CREATED | StatusCode::OK, _) => Ok(()),
            (StatusCode::NOT_FOUND, _) => Err(Failure::Final(anyhow!("there is no namespace {namespace}: make it first"))),
            (status, answer) => Err(refused("make", &path, status, &answer)),
        }
    }

    /// Replaces an object, provided that it is still the one that was read (its `resourceVersion`).
    pub(super) async fn replace(&self, kind: &str, namespace: &str, name: &str, object: &Value) -> Result<(), Failure> {
        let path = format!("/api/v1/namespaces/{namespace}/{kind}/{name}");
        match self.call(Method::PUT, &path, Some(object)).await? {
            (StatusCode::OK | StatusCode::CREATED, _) => Ok(()),
            (StatusCode::NOT_FOUND, _) => Err(Failure::Again(format!("{path} was removed meanwhile"))),
            (status, answer) => Err(refused("replace", &path, status, &answer)),
        }
    }

    async fn call(&self, method: Method, path: &str, object: Option<&Value>) -> Result<(StatusCode, Value), Failure> {
        let said = |why: String| format!("the Kubernetes API at {}: {why}", self.authority);
        match tokio::time::timeout(DEADLINE, self.exchange(method, path, object)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_of_tls(&error) => Err(Failure::Final(anyhow!(said(format!("{error:#}"))))),
            Ok(Err(error)) => Err(Failure::Again(said(format!("{error:#}")))),
            Err(_) => Err(Failure::Again(said(format!("no answer within {} s", DEADLINE.as_secs())))),
        }
    }

    async fn exchange(&self, method: Method, path: &str, object: Option<&Value>) -> Result<(StatusCode, Value)> {
        let body = object.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &self.authorization)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender, which goes at the end of this call.
        let connection = tokio::spawn(connection);
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await.map_err(|error| anyhow!("{error}"))?;
            Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null)))
        }
        .await;
        connection.abort();
        answer
    }
}

/// Whether the two could not agree on TLS, most likely because the CA is another: it would be so again.
fn is_of_tls(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref).is_some_and(|cause| cause.is::<rustls::Error>())
}

/// What an answer means that is neither what was hoped for nor expected.
fn refused(verb: &str, path: &str, status: StatusCode, answer: &Value) -> Failure {
    let reason = answer["reason"].as_str().unwrap_or_default();
    if status == StatusCode::CONFLICT || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Failure::Again(format!("cannot {verb} {path}: {status} {reason}"));
    }
    // Who may not do something is told what; other messages may quote what was sent.
    let told = (status == StatusCode::FORBIDDEN).then(|| answer["message"].as_str()).flatten().unwrap_or(reason);
    Failure::Final(anyhow!("cannot {verb} {path}: {status} {told}"))
}
