//! As much of an API server as what runs in the cluster speaks to: Secrets and ConfigMaps can be read, made and replaced by service
//! accounts, as far as the rendered Roles say.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use portcullis_e2e::TestCa;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::objects::Object;
use crate::state::{Key, Shared, State};
use crate::system::API;

/// Where it listens; its Service is at port 443.
const PORT: u16 = 6443;
/// The largest object.
const LARGEST: usize = 4 << 20;

type Answer = (StatusCode, Value);

/// The certificate of the API server, and its CA in PEM.
///
/// # Errors
/// The random source failed.
pub(crate) fn identity() -> Result<(Arc<ServerConfig>, String)> {
    let ca = TestCa::new()?;
    let mut server = ca.server(&[&API.to_string(), "kubernetes.default.svc"])?;
    Arc::get_mut(&mut server).context("a configuration of our own")?.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((server, ca.pem().to_owned()))
}

/// Serves. Runs for ever.
///
/// # Errors
/// The port cannot be opened.
pub(crate) async fn serve(shared: Arc<Shared>, identity: Arc<ServerConfig>) -> Result<()> {
    let (listener, acceptor) = (TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?, TlsAcceptor::from(identity));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            // A connection that breaks is the caller's to mend.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| respond(Arc::clone(&shared), request));
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let token =
        head.headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    let body = Limited::new(body, LARGEST).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, value) = shared.update(|state| answer(state, &token, &head.method, head.uri.path(), &body));
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    Ok(response)
}

fn answer(state: &mut State, token: &str, method: &Method, path: &str, body: &[u8]) -> Answer {
    let Some(account) = state.tokens.iter().find(|(_, given)| !token.is_empty() && **given == token).map(|(account, _)| account.clone())
    else {
        return status(StatusCode::UNAUTHORIZED, "Unauthorized", "who asks is not known");
    };
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (namespace, resource, name) = match parts[..] {
        ["api", "v1", "namespaces", namespace, resource] => (namespace, resource, None),
        ["api", "v1", "namespaces", namespace, resource, name] => (namespace, resource, Some(name)),
        _ => return status(StatusCode::NOT_FOUND, "NotFound", "the server knows no such path"),
    };
    let kind = match resource {
        "secrets" => "Secret",
        "configmaps" => "ConfigMap",
        _ => return status(StatusCode::NOT_FOUND, "NotFound", "the server knows no such resource"),
    };
    let verb = match (method, name) {
        (&Method::GET, Some(_)) => "get",
        (&Method::POST, None) => "create",
        (&Method::PUT, Some(_)) => "update",
        _ => return status(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "not known here"),
    };
    if !may(state, &account, verb, (namespace, resource, name)) {
        let (of, who) = account;
        let message = format!("system:serviceaccount:{of}:{who} cannot {verb} {resource} {} in {namespace}", name.unwrap_or_default());
        return status(StatusCode::FORBIDDEN, "Forbidden", &message);
    }
    if state.object("Namespace", "default", namespace).is_none() {
        return status(StatusCode::NOT_FOUND, "NotFound", "no such namespace");
    }
    let key = |name: &str| (kind.to_owned(), namespace.to_owned(), name.to_owned());
    match name {
        Some(name) if verb == "get" => match state.objects.get(&key(name)) {
            Some(object) => (StatusCode::OK, versioned(object)),
            None => status(StatusCode::NOT_FOUND, "NotFound", name),
        },
        _ => write(state, key, name, kind, body),
    }
}

/// Makes an object, or replaces the one of this name.
fn write(state: &mut State, key: impl Fn(&str) -> Key, name: Option<&str>, kind: &str, body: &[u8]) -> Answer {
    let given: Option<Value> = serde_json::from_slice(body).ok();
    let Some(mut object) = given.and_then(|value| Object::new(value).ok()).filter(|object| object.kind() == kind) else {
        return status(StatusCode::BAD_REQUEST, "BadRequest", "no object of that kind");
    };
    let before = state.objects.get(&key(name.unwrap_or(object.name())));
    let version = object.value()["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    match (name, before) {
        (None, Some(_)) => return status(StatusCode::CONFLICT, "AlreadyExists", object.name()),
        (Some(name), None) => return status(StatusCode::NOT_FOUND, "NotFound", name),
        (Some(name), Some(_)) if name != object.name() => return status(StatusCode::BAD_REQUEST, "BadRequest", "two names"),
        (Some(_), Some(before)) if version.is_some_and(|version| version != versioned(before)["metadata"]["resourceVersion"]) => {
            return status(StatusCode::CONFLICT, "Conflict", "somebody else was faster");
        }
        _ => {}
    }
    let (_, namespace, _) = key("");
    object.value_mut()["metadata"]["namespace"] = json!(namespace);
    if let Some(metadata) = object.value_mut()["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let answer = versioned(&object);
    state.objects.insert(key(object.name()), object);
    (if name.is_none() { StatusCode::CREATED } else { StatusCode::OK }, answer)
}

/// An object with a version that changes when it does.
fn versioned(object: &Object) -> Value {
    let mut hasher = DefaultHasher::new();
    object.value().to_string().hash(&mut hasher);
    let mut value = object.value().clone();
    value["metadata"]["resourceVersion"] = json!(hasher.finish().to_string());
    value
}

/// Whether a Role that is bound to the account allows this.
fn may(state: &State, (of, who): &(String, String), verb: &str, (namespace, resource, name): (&str, &str, Option<&str>)) -> bool {
    let lists =
        |rule: &Value, member: &str, wanted: &str| rule[member].as_array().is_some_and(|list| list.iter().any(|given| given == wanted));
    let rule_allows = |rule: &Value| {
        let by_name = rule["resourceNames"].as_array().is_none_or(|names| name.is_some_and(|name| names.iter().any(|given| given == name)));
        lists(rule, "apiGroups", "") && lists(rule, "resources", resource) && lists(rule, "verbs", verb) && by_name
    };
    state.of_kind("RoleBinding").filter(|binding| binding.namespace() == namespace).any(|binding| {
        let subjects = binding.value()["subjects"].as_array().into_iter().flatten();
        let bound = subjects
            .into_iter()
            .any(|subject| subject["kind"] == "ServiceAccount" && subject["name"] == *who && subject["namespace"] == *of);
        let role = binding.value()["roleRef"]["name"].as_str().and_then(|role| state.object("Role", namespace, role));
        bound && role.is_some_and(|role| role.value()["rules"].as_array().into_iter().flatten().any(rule_allows))
    })
}

fn status(code: StatusCode, reason: &str, message: &str) -> Answer {
    (code, json!({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code.as_u16()}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::parse;

    const OBJECTS: &str = "
kind: Namespace
metadata: {name: a}
---
kind: Namespace
metadata: {name: b}
---
kind: Role
metadata: {name: r, namespace: a}
rules:
- {apiGroups: [\"\"], resources: [secrets], resourceNames: [mine], verbs: [get, update]}
- {apiGroups: [\"\"], resources: [secrets], verbs: [create]}
---
kind: RoleBinding
metadata: {name: r, namespace: a}
roleRef: {kind: Role, name: r}
subjects: [{kind: ServiceAccount, name: s, namespace: a}]
---
kind: Secret
metadata: {name: other, namespace: a}
---
kind: Secret
metadata: {name: mine, namespace: b}
";

    #[test]
    fn accounts_may_what_their_roles_say() {
        let mut state = State::default();
        state
            .objects
            .extend(parse(OBJECTS).unwrap().into_iter().map(|o| ((o.kind().to_owned(), o.namespace().to_owned(), o.name().to_owned()), o)));
        state.tokens.insert(("a".to_owned(), "s".to_owned()), "t".to_owned());
        let mut ask = |token: &str, method: &Method, path: &str, body: &Value| {
            let (status, value) = answer(&mut state, token, method, path, body.to_string().as_bytes());
            (status.as_u16(), value)
        };
        let (mine, all) = ("/api/v1/namespaces/a/secrets/mine", "/api/v1/namespaces/a/secrets");
        let object = |data: &str| json!({"kind": "Secret", "metadata": {"name": "mine"}, "data": {"x": data}});
        assert_eq!(ask("", &Method::GET, mine, &Value::Null).0, 401);
        assert_eq!(ask("u", &Method::GET, mine, &Value::Null).0, 401);
        assert_eq!(ask("t", &Method::GET, mine, &Value::Null).0, 404);
        assert_eq!(ask("t", &Method::GET, "/api/v1/namespaces/a/secrets/other", &Value::Null).0, 403);
        assert_eq!(ask("t", &Method::GET, "/api/v1/namespaces/b/secrets/mine", &Value::Null).0, 403);
        assert_eq!(ask("t", &Method::GET, "/api/v1/namespaces/a/configmaps/mine", &Value::Null).0, 403);
        assert_eq!(ask("t", &Method::POST, all, &object("1")).0, 201);
        assert_eq!(ask("t", &Method::POST, all, &object("1")).0, 409);
        let read = ask("t", &Method::GET, mine, &Value::Null).1;
        let mut newer = object("2");
        newer["metadata"]["resourceVersion"] = read["metadata"]["resourceVersion"].clone();
        assert_eq!(ask("t", &Method::PUT, mine, &newer).0, 200);
        assert_eq!(ask("t", &Method::PUT, mine, &newer).0, 409, "it has changed since");
        assert_eq!(ask("t", &Method::GET, mine, &Value::Null).1["data"]["x"], "2");
    }
}
