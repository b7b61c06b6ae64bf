//! What the host may have left in the sandbox: a token for the cluster, the sockets of a container runtime.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use crate::check::{Check, Verdict};
use crate::run::Attempt;

/// Where Kubernetes mounts the token of a service account.
const TOKENS: [&str; 1] = ["/var/run/secrets/kubernetes.io/serviceaccount/token"];
/// Docker, containerd, CRI-O, Podman, k3s, BuildKit: whoever reaches one of these starts containers with a network of their own.
const SOCKETS: [&str; 7] = [
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/buildkit/buildkitd.sock",
    "/host/run/containerd/containerd.sock",
];
/// A socket on this machine answers at once.
const WITHIN: Duration = Duration::from_secs(1);

/// All of them.
pub(crate) fn attempts() -> Vec<Attempt> {
    let tokens = TOKENS.map(|path| Attempt::new(Check::ServiceAccount, path, async move { token(Path::new(path)) }));
    let sockets = SOCKETS.map(|path| Attempt::new(Check::HostSocket, path, socket(Path::new(path))));
    tokens.into_iter().chain(sockets).collect()
}

fn token(path: &Path) -> Verdict {
    // One byte tells; the token itself is nobody's business.
    match std::fs::File::open(path).and_then(|mut file| file.read(&mut [0])) {
        Ok(1..) => Verdict::escaped("a token for the cluster is mounted"),
        Ok(0) => Verdict::blocked("empty"),
        Err(error) if error.kind() == ErrorKind::NotFound => Verdict::blocked("not there"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Verdict::blocked("not permitted"),
        Err(error) => Verdict::failed(format!("cannot try: {error}")),
    }
}

async fn socket(path: &Path) -> Verdict {
    match tokio::time::timeout(WITHIN, UnixStream::connect(path)).await {
        Ok(Ok(_)) => Verdict::escaped("connected to the container runtime"),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Verdict::blocked("not there"),
            ErrorKind::PermissionDenied => Verdict::blocked("not permitted"),
            ErrorKind::ConnectionRefused => Verdict::blocked("refused"),
            _ => Verdict::failed(format!("cannot try: {error}")),
        },
        Err(_) => Verdict::failed("neither connected nor refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    #[tokio::test]
    async fn what_is_there_is_told_and_what_is_not_there_too() {
        let folder = std::env::temp_dir().join(format!("pc-probe-{}", rand::random::<u64>()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("token");
        assert_eq!(token(&path).outcome, Outcome::Blocked);
        std::fs::write(&path, "").unwrap();
        assert_eq!(token(&path).outcome, Outcome::Blocked);
        std::fs::write(&path, "x").unwrap();
        assert_eq!(token(&path).outcome, Outcome::Escaped);
        let path = folder.join("docker.sock");
        assert_eq!(socket(&path).await, Verdict::blocked("not there"));
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert_eq!(socket(&path).await.outcome, Outcome::Escaped);
        drop(listener);
        assert_eq!(socket(&path).await, Verdict::blocked("refused"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
