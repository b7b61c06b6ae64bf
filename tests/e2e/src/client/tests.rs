//! The harness by itself: client and origin over a relay that does nothing but CONNECT.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::{Answer, BodyEnd, Origin, Scheme, TestCa, When};

/// A proxy that answers every CONNECT with a tunnel to port 443 or 80 of `to`.
async fn relay(to: Ipv4Addr) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut tunnels = JoinSet::new();
        loop {
            let (mut inside, _) = listener.accept().await.unwrap();
            tunnels.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(inside.read_u8().await.unwrap());
                }
                let port = if head.windows(5).any(|part| part == b":443 ") { 443 } else { 80 };
                let mut outside = TcpStream::connect((to, port)).await.unwrap();
                inside.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                drop(copy_bidirectional(&mut inside, &mut outside).await);
            });
        }
    });
    (address, tasks)
}

async fn world() -> (Origin, Client, JoinSet<()>) {
    let ca = TestCa::new().unwrap();
    let origin = Origin::start(&ca, &["a.test"]).await.unwrap();
    let (proxy, tasks) = relay(origin.ip()).await;
    let client = Client::new(proxy, ca.pem()).unwrap();
    (origin, client, tasks)
}

#[tokio::test]
async fn requests_are_recorded_as_they_were_sent() {
    let (origin, client, _tasks) = world().await;
    let post = |url: &str| Request::post(url).header("x-mine", "a  b").body("hello");
    for (request, scheme, version) in [
        (post("https://a.test/p?q=%41"), Scheme::Https, http::Version::HTTP_11),
        (post("https://a.test/p?q=%41").chunks(&[1, 2]), Scheme::Https, http::Version::HTTP_11),
        (post("https://a.test/p?q=%41").http2(), Scheme::Https, http::Version::HTTP_2),
        (post("https://a.test/p?q=%41").http2().chunks(&[1, 2]).pause_ms(1), Scheme::Https, http::Version::HTTP_2),
        (post("http://a.test/p?q=%41").tunnel(), Scheme::Http, http::Version::HTTP_11),
    ] {
        let response = client.send(&request).await.unwrap();
        assert_eq!((response.status, response.text().as_str(), response.truncated), (200, r#"{"ok":true}"#, false));
        assert_eq!(response.header("Content-Type").as_deref(), Some("application/json"));
        let seen = origin.last();
        assert_eq!((seen.scheme, seen.version, seen.method.as_str(), seen.path.as_str()), (scheme, version, "POST", "/p?q=%41"));
        assert_eq!((seen.authority.as_str(), seen.body.as_slice(), seen.end), ("a.test", &b"hello"[..], BodyEnd::Clean));
        assert_eq!(seen.header("x-mine").as_deref(), Some("a  b"));
        assert_eq!(seen.header("content-length"), request.chunks.is_none().then(|| "5".to_owned()));
    }
    assert_eq!((origin.requests().len(), origin.connections().len()), (5, 5));
    assert!(origin.saw(b"a  b") && origin.saw(b"POST /p?q=%41 HTTP/1.1\r\n") && !origin.saw(b"") && !origin.saw(b"nothing of the kind"));
    origin.forget();
    assert!(!origin.saw(b"hello"));
    client.send(&post("https://a.test/again")).await.unwrap();
    assert_eq!(origin.last().path, "/again");
}

#[tokio::test]
async fn a_body_of_another_inner_host_of_any_size_arrives_whole() {
    let (origin, client, _tasks) = world().await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for request in [Request::post("https://a.test/"), Request::post("https://a.test/").http2()] {
        client.send(&request.inner_host("b.test").body(body.clone())).await.unwrap();
        assert!(origin.last().body == body);
        assert_eq!(origin.last().authority, "b.test");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_recorded_as_broken() {
    let (origin, client, _tasks) = world().await;
    let mut connection = client.tls("a.test:443", "a.test").await.unwrap();
    connection.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    origin.wait_until("the first bytes", |requests| requests.iter().any(|request| request.body == b"abc")).await.unwrap();
    assert_eq!(origin.last().end, BodyEnd::Open);
    drop(connection);
    assert_eq!(origin.wait_for(1).await.unwrap()[0].end, BodyEnd::Broken);
}

#[tokio::test]
async fn an_answer_can_come_before_the_end_of_the_request_and_echo_it() {
    let (origin, client, _tasks) = world().await;
    origin.answer(|_| Answer::body("first ").when(When::Echo).delay(Duration::from_millis(1)).header("x-theirs", "y"));
    let mut h2 = client.h2("a.test:443", "a.test").await.unwrap();
    let stream = h2.open(&Request::post("https://a.test/")).await.unwrap();
    stream.send("one ").await.unwrap();
    origin.wait_until("the first piece", |requests| requests.iter().any(|request| request.body == b"one ")).await.unwrap();
    stream.send("two").await.unwrap();
    let trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("x-end"), http::HeaderValue::from_static("z"))]);
    let response = stream.finish(Some(trailers)).await.unwrap();
    assert_eq!((response.text().as_str(), response.header("x-theirs").as_deref()), ("first one two", Some("y")));
    assert_eq!(origin.wait_for(1).await.unwrap()[0].trailers.as_ref().unwrap()["x-end"], "z");
}

#[tokio::test]
async fn an_early_refusal_is_read_although_the_upload_goes_on() {
    let (origin, client, _tasks) = world().await;
    origin.answer(|_| Answer { status: http::StatusCode::FORBIDDEN, ..Answer::default().when(When::AtOnce) });
    for request in [Request::post("https://a.test/"), Request::post("https://a.test/").http2()] {
        let response = client.send(&request.body(vec![b'x'; 4 << 20])).await.unwrap();
        assert_eq!(response.status, 403);
    }
}

#[tokio::test]
async fn a_server_name_nobody_has_a_certificate_for_is_an_error() {
    let (origin, client, _tasks) = world().await;
    let error = client.send(&Request::get("https://b.test/")).await.unwrap_err();
    assert!(format!("{error:#}").contains("certificate"), "{error:#}");
    assert_eq!((origin.requests().len(), origin.connections().len()), (0, 1));
}
