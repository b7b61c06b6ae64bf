//! Who comes in, and who does not.

use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_with_a_certificate_of_ours_and_an_allowed_name_comes_in() {
    let running = Running::start().await;
    let (ca, other) = (&running.ca, Ca::new());
    assert!(running.client().passes(running.address).await);
    assert_eq!((running.handshakes("ok"), running.handshakes("refused")), (1, 0));

    let good = || Some(ca.leaf("gateway"));
    let speaks = |alpn: &[&[u8]]| alpn.iter().map(|p| p.to_vec()).collect::<Vec<_>>();
    let expired = ca.leaf_until("gateway", SystemTime::now() - Duration::from_secs(5));
    let refused = [
        ("no certificate", Client::new(&ca.pem, None)),
        ("another CA", Client::new(&ca.pem, Some(other.leaf("gateway")))),
        ("another name", Client::new(&ca.pem, Some(ca.leaf("scanner")))),
        ("a name that begins alike", Client::new(&ca.pem, Some(ca.leaf("gateway.evil")))),
        ("a wildcard", Client::new(&ca.pem, Some(ca.leaf("*")))),
        ("expired", Client::new(&ca.pem, Some(expired))),
        ("TLS 1.2", Client { version: &rustls::version::TLS12, ..Client::new(&ca.pem, good()) }),
        ("another protocol", Client { alpn: speaks(&[b"http/1.1"]), ..Client::new(&ca.pem, good()) }),
        ("no protocol", Client { alpn: Vec::new(), ..Client::new(&ca.pem, good()) }),
    ];
    for (number, (what, client)) in refused.iter().enumerate() {
        assert!(!client.passes(running.address).await, "{what}");
        // Counted when the server is told, which may be after the client is. tonic's channel may have tried again.
        while running.handshakes("refused") <= number as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!((running.handshakes("ok"), running.handshakes("left")), (1, 0));
    drop(TcpStream::connect(running.address).await.unwrap());
    assert!(running.client().passes(running.address).await);
    while running.handshakes("left") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_has_its_own_names() {
    let running = Running::start().await;
    let (address, _stop) = serve(running.shared.guard(&["one".to_owned(), "two".to_owned()]).unwrap()).await;
    for (name, passes) in [("one", true), ("TWO", true), ("gateway", false)] {
        assert_eq!(Client::new(&running.ca.pem, Some(running.ca.leaf(name))).passes(address).await, passes, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_resumed_so_that_every_connection_shows_its_certificate() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let running = Running::start().await;
    let connector = TlsConnector::from(Arc::new(running.client().config()));
    for _ in 0..3 {
        let stream = TcpStream::connect(running.address).await.unwrap();
        let mut stream = connector.connect(ServerName::try_from("scanner").unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
        // The preface of HTTP/2 and empty settings. What comes back comes after the tickets of a server that hands them out.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_nobody_out() {
    let running = Running::start().await;
    let mut silent = Vec::new();
    // More than there is room for; each stays open.
    for _ in 0..600 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    let begun = Instant::now();
    assert!(running.client().passes(running.address).await);
    assert!(begun.elapsed() < Duration::from_secs(3), "the deadline of the silent ones had to pass first: {:?}", begun.elapsed());
    let crowded = Instant::now();
    while running.handshakes("crowded") < 600 + 1 - 512 && crowded.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(running.handshakes("crowded") >= 600 + 1 - 512);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_drags_on_is_ended() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let running = Running::start().await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    // The beginning of a TLS record, and no more.
    slow.write_all(&[22, 3, 1]).await.unwrap();
    let begun = Instant::now();
    assert_eq!(slow.read(&mut [0; 1]).await.unwrap_or_default(), 0, "the server closes");
    assert!(begun.elapsed() > Duration::from_secs(3) && begun.elapsed() < Duration::from_secs(30));
    assert_eq!(running.handshakes("timeout"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_the_certificates_it_began_with() {
    let running = Running::start().await;
    let open = running.client().channel(running.address).await.unwrap();
    assert!(answers(&open).await);
    let old = running.client();

    let new = Ca::new();
    write(running.dir.path(), &new.leaf("scanner"), &new.pem);
    running.shared.refresh(SystemTime::now());
    assert_eq!((running.reloads("ok"), running.reloads("error")), (1, 0));
    assert!(answers(&open).await, "what is open goes on");
    assert!(!old.passes(running.address).await, "new handshakes are of the new CA");
    assert!(Client::new(&new.pem, Some(new.leaf("gateway"))).passes(running.address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn during_an_overlap_both_cas_are_trusted_and_the_old_one_only_until_it_ends() {
    let running = Running::start().await;
    let now = SystemTime::now();
    let old = Ca::until(now + HOUR);
    write(running.dir.path(), &running.ca.leaf_until("scanner", now + 2 * HOUR), &format!("{}{}", running.ca.pem, old.pem));
    let of_old = Client::new(&running.ca.pem, Some(old.leaf("gateway")));
    for (at, trusted) in [(now, true), (now + HOUR - Duration::from_secs(5), true), (now + HOUR, false)] {
        // From the second time on the files are the same: only time passes.
        running.shared.refresh(at);
        assert_eq!(of_old.passes(running.address).await, trusted);
        assert!(running.client().passes(running.address).await);
    }
}
