//! What a tunnel may carry, and where it may lead.

use portcullis_e2e::{Request, Stack};

#[tokio::test]
async fn fronting_is_refused_on_tls_and_plain_tunnels() {
    let stack = Stack::start(&[]).await;
    for url in ["https://sink.example.net/", "http://sink.example.net/"] {
        for host in ["api.github.com", "sink.example.net.evil.test", "evil.sink.example.net", "sink.example.net:444"] {
            let answer = stack.send(Request::get(url).tunnel().inner_host(host)).await;
            assert!(matches!(answer.status, 403 | 400), "{url} {host}: {}", answer.status);
        }
    }
    assert_eq!(stack.origin.requests().len(), 0);
}

#[tokio::test]
async fn a_handshake_that_asks_for_another_name_than_the_request_is_refused() {
    let stack = Stack::start(&[]).await;
    for (name, status) in [("sink.example.net", 200), ("api.github.com", 403)] {
        let mut connection = stack.client.tls("sink.example.net:443", name).await.expect("a tunnel");
        connection.send(b"GET / HTTP/1.1\r\nHost: sink.example.net\r\n\r\n").await.expect("sent");
        assert_eq!(connection.response("GET").await.expect("an answer").status, status, "{name}");
    }
    assert_eq!(stack.origin.requests().len(), 1);
}

#[tokio::test]
async fn ssh_and_random_bytes_in_a_tunnel_reach_nobody() {
    let stack = Stack::start(&[]).await;
    for bytes in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], &[0, 1, 2, 3, 255, 254, 253, 9, 9, 9]] {
        let answer = stack.raw_tunnel("sink.example.net", bytes).await;
        assert!(answer.is_empty(), "{} bytes came back", answer.len());
    }
    let connections = stack.origin.connections();
    assert!(
        connections.is_empty(),
        "{:?}\n{}",
        connections.iter().map(|c| String::from_utf8_lossy(c)).collect::<Vec<_>>(),
        stack.gateway.logs()
    );
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_not_reached() {
    // No --allow-upstream here: 127.0.0.1 is private again.
    let stack = Stack::start_without_allowance(&[]).await;
    for url in ["https://sink.example.net/", "http://sink.example.net/"] {
        let answer = stack.send(Request::get(url)).await;
        assert_ne!(answer.status, 200, "{url}");
    }
    assert_eq!(stack.origin.connections().len(), 0);
}

#[tokio::test]
async fn an_upstream_with_a_certificate_nobody_trusts_gets_nothing() {
    let stack = Stack::start_with_other_upstream_ca(&[]).await;
    let answer = stack.send(Request::get("https://sink.example.net/")).await;
    assert!((500..=599).contains(&answer.status), "{}", answer.status);
    assert_eq!(stack.origin.requests().len(), 0);
}
