//! Listening and shutting down.

use hyper_util::rt::TokioIo;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn config(folder: &Path, listen: Address) -> Config {
    Config {
        listen,
        tls: None,
        ca_dir: folder.join("ca"),
        key_access: KeyAccess::OwnerOnly,
        readiness: Readiness::default(),
        limits: Limits::default(),
        registry: Registry::new(),
    }
}

#[tokio::test]
async fn a_unix_socket_is_private_replaces_a_stale_one_and_answers_health_checks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certificates.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let bound = Certificates::build(config(folder.path(), Address::Unix(path.clone()))).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(bound.run(async { drop(stopped.await) }));
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://socket").connect_with_connector(connect).await.unwrap();
    let reply = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(reply.into_inner().status(), ServingStatus::Serving);
    drop(stop);
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = Certificates::build(config(folder.path(), Address::Unix(path.clone()))).await.unwrap_err();
    assert!(error.to_string().contains("not a socket"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"data");
}

#[tokio::test]
async fn the_port_chosen_by_the_system_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bound = Certificates::build(config(folder.path(), Address::Tcp(([127, 0, 0, 1], 0).into()))).await.unwrap();
    assert!(matches!(bound.address(), Address::Tcp(address) if address.port() != 0));
    assert!(bound.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
}
