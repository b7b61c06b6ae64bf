//! A service of the binary, running.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// It is stopped when it goes.
pub(crate) struct Service {
    child: Child,
    /// The line that says that it is ready.
    ready: Value,
}

impl Service {
    pub(crate) fn start(args: &[&str]) -> Service {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let ready = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).expect("text"), 0, "it ended before it was ready");
            if line.contains("is ready") {
                break serde_json::from_str(&line).expect("JSON");
            }
            assert!(line.starts_with('{'), "{line}");
        };
        // What comes later must be read, or the service waits for us.
        std::thread::spawn(move || drop(lines.read_to_end(&mut Vec::new())));
        Service { child, ready }
    }

    /// Where it listens for this.
    pub(crate) fn address(&self, what: &str) -> SocketAddr {
        self.ready[what].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {what} in {}", self.ready))
    }

    /// Status and text of a page of the metrics endpoint.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address("metrics")).await.expect("a connection");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("read");
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, text)
    }

    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told");
    }

    /// Waits for its end; its exit code.
    pub(crate) async fn wait(&mut self) -> Option<i32> {
        for _ in 0..1_000 {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not end");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
