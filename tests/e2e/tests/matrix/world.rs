//! Where a cell is run: a gateway of `portcullis up`, or one of separate parts.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_e2e::{Client, Connection, Origin, PATIENCE, Pods, Stack, github_pat};

/// The host outside.
pub(crate) const HOST: &str = "sink.example.net";

/// A whole gateway with the world around it.
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub(crate) enum World {
    Up(Stack),
    Pods(Pods),
}

impl World {
    pub(crate) fn client(&self) -> &Client {
        match self {
            World::Up(stack) => &stack.client,
            World::Pods(pods) => &pods.client,
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        match self {
            World::Up(stack) => &stack.origin,
            World::Pods(pods) => &pods.origin,
        }
    }

    /// A statistic of Envoy's; 0 where there is no Envoy to ask.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let asked = match self {
            World::Up(stack) => stack.gateway.counter(name).await,
            World::Pods(pods) => pods.stat(name).await,
        };
        asked.unwrap_or_default()
    }

    /// The sum of the scanner's metrics whose line begins so.
    pub(crate) async fn metric(&self, begin: &str) -> u64 {
        let page = match self {
            World::Up(stack) => stack.gateway.metrics().await,
            World::Pods(pods) => pods.metrics().await,
        };
        let page = page.unwrap_or_default();
        let values = page.lines().filter(|line| line.starts_with(begin)).filter_map(|line| line.rsplit_once(' '));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts and sizes far below 2^53")]
        values.filter_map(|(_, value)| value.parse::<f64>().ok()).map(|value| value as u64).sum()
    }

    /// The whole lines of the audit log; 0 where there is none.
    pub(crate) fn audit_lines(&self) -> u64 {
        let World::Up(stack) = self else { return 0 };
        let text = std::fs::read_to_string(self.state("log/audit.jsonl").unwrap_or_else(|| stack.gateway.state_dir().into()));
        let is_whole = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        text.unwrap_or_default().lines().filter(is_whole).count() as u64
    }

    /// A file of the state folder as `up` sees it, which may have mounted something there.
    pub(crate) fn state(&self, file: &str) -> Option<PathBuf> {
        let World::Up(stack) = self else { return None };
        let root = PathBuf::from(format!("/proc/{}/root", stack.pid("up")));
        Some(root.join(stack.gateway.state_dir().strip_prefix("/").ok()?).join(file))
    }

    /// Waits until something without an event of its own is so.
    pub(crate) async fn wait_until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let begun = std::time::Instant::now();
        while !condition().await {
            assert!(begun.elapsed() < PATIENCE, "waited {} s until {what}\n{}", PATIENCE.as_secs(), self.logs());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    pub(crate) fn logs(&self) -> String {
        match self {
            World::Up(stack) => stack.gateway.logs(),
            World::Pods(pods) => pods.logs(),
        }
    }

    /// Connects as a client: to the proxy itself, for a request in the clear, or to a host inside a tunnel with TLS.
    pub(crate) async fn connect(&self, tunnel: Option<&str>) -> anyhow::Result<Connection> {
        match tunnel {
            None => self.client().connect().await,
            Some(host) => self.client().tls(&format!("{host}:443"), host).await,
        }
    }

    /// The next request after a fault: a clean one passes, scanned; one with a secret is refused.
    pub(crate) async fn is_fine(&self, tunnel: Option<&str>) -> Result<(), String> {
        let host = tunnel.unwrap_or(HOST);
        for (secret, expected) in [(None, 200), (Some(github_pat()), 403)] {
            let target = if tunnel.is_none() { format!("http://{host}/after") } else { "/after".to_owned() };
            let (method, pieces) = crate::bodies::Body::Small.request(&target, host, secret.as_deref());
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let sent = async { self.connect(tunnel).await?.exchange(method, &pieces, |_| async {}).await };
            let answer = sent.await.map_err(|error| format!("afterwards: {error:#}"))?;
            let mark = answer.header("x-portcullis-failed-open");
            if answer.status != expected || mark.as_deref() == Some("1") {
                return Err(format!("afterwards: {} instead of {expected}, mark {mark:?}: {}", answer.status, answer.text()));
            }
        }
        Ok(())
    }
}
