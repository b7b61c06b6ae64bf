//! A stand-in of the Kubernetes API: Secrets and ConfigMaps with versions, over HTTPS, for who has the token.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rand::distr::{Alphanumeric, SampleString};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Objects = BTreeMap<String, Value>;
type Hook = Box<dyn FnOnce(&mut Objects) + Send>;

/// What the server knows.
#[derive(Default)]
struct State {
    namespaces: Vec<String>,
    objects: Objects,
    version: u64,
    writes: u64,
    /// What happens just before a write of an object: another Job is faster.
    hooks: Vec<(Method, String, Hook)>,
    /// An answer instead of the object.
    answers: BTreeMap<String, (u16, Value)>,
}

/// A running stand-in; it ends with the process of the test.
pub(crate) struct Api {
    state: Arc<Mutex<State>>,
    token: String,
    ca_pem: String,
    port: u16,
}

impl Api {
    pub(crate) fn start(namespaces: &[&str]) -> Api {
        let (ca_pem, config) = certificates();
        let state = State { namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let token = Alphanumeric.sample_string(&mut rand::rng(), 40);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let port = listener.local_addr().expect("an address").port();
        let api = Api { state: Arc::clone(&state), token: token.clone(), ca_pem, port };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, config, state, token));
        });
        api
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn objects(&self) -> Objects {
        self.state.lock().expect("no panic").objects.clone()
    }

    /// Writes that were taken.
    pub(crate) fn writes(&self) -> u64 {
        self.state.lock().expect("no panic").writes
    }

    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state.lock().expect("no panic");
        change(state.objects.get_mut(path).expect("an object"));
    }

    /// Does something just before the next write of this object.
    pub(crate) fn before_write(&self, method: &str, path: &str, hook: impl FnOnce(&mut Objects) + Send + 'static) {
        let method = method.parse().expect("a method");
        self.state.lock().expect("no panic").hooks.push((method, path.to_owned(), Box::new(hook)));
    }

    /// Answers every question for this object in this way.
    pub(crate) fn answer(&self, path: &str, code: u16, reason: &str, message: &str) {
        self.state.lock().expect("no panic").answers.insert(path.to_owned(), (code, status(code, reason, message)));
    }
}

fn certificates() -> (String, ServerConfig) {
    let (ca_key, key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca_pem = ca.self_signed(&ca_key).expect("a certificate").pem();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).expect("a certificate");
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(leaf.der().to_vec())], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a certificate");
    (ca_pem, config)
}

async fn serve(listener: std::net::TcpListener, config: ServerConfig, state: Arc<Mutex<State>>, token: String) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (acceptor, state, token) = (acceptor.clone(), Arc::clone(&state), token.clone());
        tokio::spawn(async move {
            // A client that does not trust us goes away.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, Arc::clone(&state), token.clone()));
            let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>, token: String) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let authorized = parts.headers.get("authorization").is_some_and(|value| *value == format!("Bearer {token}"));
    let (code, value) = if authorized {
        state.lock().expect("no panic").handle(&parts.method, parts.uri.path(), serde_json::from_slice(&body).unwrap_or_default())
    } else {
        (401, status(401, "Unauthorized", "Unauthorized"))
    };
    Ok(Response::builder().status(code).body(Full::new(Bytes::from(value.to_string()))).expect("a response"))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message})
}

impl State {
    fn handle(&mut self, method: &Method, path: &str, mut object: Value) -> (u16, Value) {
        let not_found = (404, status(404, "NotFound", "not found"));
        let creates = *method == Method::POST;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let target = if creates { format!("{path}/{name}") } else { path.to_owned() };
        if let Some((code, answer)) = self.answers.get(&target) {
            return (*code, answer.clone());
        }
        if let Some(at) = self.hooks.iter().position(|(m, p, _)| m == method && *p == target) {
            let (_, _, hook) = self.hooks.remove(at);
            hook(&mut self.objects);
        }
        let namespace = target.split('/').nth(4).unwrap_or_default();
        let stored = self.objects.get(&target);
        match *method {
            Method::GET => stored.map_or(not_found, |object| (200, object.clone())),
            _ if !self.namespaces.iter().any(|n| n == namespace) => not_found,
            Method::POST if stored.is_some() => (409, status(409, "AlreadyExists", "already exists")),
            Method::PUT if stored.is_none() => not_found,
            Method::PUT if stored.is_some_and(|s| s["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"]) => {
                (409, status(409, "Conflict", "the object has been modified"))
            }
            Method::POST | Method::PUT => {
                self.version += 1;
                self.writes += 1;
                object["metadata"]["resourceVersion"] = self.version.to_string().into();
                self.objects.insert(target, object.clone());
                (if creates { 201 } else { 200 }, object)
            }
            _ => (405, status(405, "MethodNotAllowed", "")),
        }
    }
}
