//! Envoy's admin interface over its Unix socket: is it ready, and where does it listen.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// A client of the admin socket. Every question is answered within a second or not at all.
#[derive(Debug)]
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    /// A client for this socket; nothing is opened yet.
    pub(crate) fn new(socket: PathBuf) -> Admin {
        Admin { socket }
    }

    /// Whether Envoy serves, the scanner is healthy, and the stream to the certificates service stands.
    pub(crate) fn ready(&self) -> bool {
        self.get("/ready").is_some()
            && self.stat("cluster.scanner.membership_healthy").is_some_and(|n| n > 0)
            && self.stat("control_plane.connected_state").is_some_and(|n| n > 0)
    }

    /// The address of a listener.
    pub(crate) fn listener(&self, name: &str) -> Option<SocketAddr> {
        let body: Value = serde_json::from_str(&self.get("/listeners?format=json")?).ok()?;
        let statuses = body.get("listener_statuses")?.as_array()?;
        let address =
            statuses.iter().find(|s| s.get("name").and_then(Value::as_str) == Some(name))?.pointer("/local_address/socket_address")?;
        let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
        Some(SocketAddr::new(address.get("address")?.as_str()?.parse().ok()?, port))
    }

    /// Fails health checks: whoever asks sends nobody here any more, and every answer from now on says that its connection ends.
    pub(crate) fn fail_health(&self) -> bool {
        self.ask("POST", "/healthcheck/fail").is_some()
    }

    /// Ends idle tunnels over Envoy's drain time, and busy ones with their last answer. Only the inner listener counts as inbound in
    /// `envoy/envoy.yaml`: drained from outside, a tunnel is cut, with whatever is under way in it.
    pub(crate) fn drain_tunnels(&self) -> bool {
        self.ask("POST", "/drain_listeners?inboundonly&graceful&skip_exit").is_some()
    }

    /// How many requests and tunnels are under way, and on how many connections.
    pub(crate) fn under_way(&self) -> Option<(u64, u64)> {
        Some((self.stat("http.proxy.downstream_rq_active")?, self.stat("http.proxy.downstream_cx_active")?))
    }

    fn stat(&self, name: &str) -> Option<u64> {
        let text = self.get(&format!("/stats?filter=^{}$", name.replace('.', "\\.")))?;
        text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")?.trim().parse().ok())
    }

    fn get(&self, path: &str) -> Option<String> {
        self.ask("GET", path)
    }

    /// The body of a 200 answer. With `Connection: close`, so that the body ends where the stream does.
    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream
            .write_all(format!("{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
            .ok()?;
        let mut answer = String::new();
        stream.take(1 << 20).read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status_ok = head.starts_with("HTTP/1.1 200");
        let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { dechunk(body)? } else { body.to_owned() };
        status_ok.then_some(body)
    }
}

/// Undoes the chunked coding.
fn dechunk(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::dechunk;

    #[test]
    fn chunks_are_joined_and_broken_ones_refused() {
        assert_eq!(dechunk("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").as_deref(), Some("abcde"));
        assert_eq!(dechunk("5\r\nabc"), None);
        assert_eq!(dechunk("zz\r\nabc"), None);
    }
}
