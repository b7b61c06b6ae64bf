//! The parts as pods run them: what happens when a scanner dies, when the gateway is told to end, when certificates change.

use std::time::{Duration, Instant};

use portcullis_e2e::{Answer, Connection, Load, Pods, PodsOptions, Request, github_pat};

const GET: &[u8] = b"GET http://sink.example.net/ HTTP/1.1\r\nHost: sink.example.net\r\n\r\n";
const GET_INSIDE: &[u8] = b"GET / HTTP/1.1\r\nHost: sink.example.net\r\n\r\n";

async fn start(options: PodsOptions) -> Pods {
    Pods::start(&options).await.unwrap_or_else(|error| panic!("{error:#}"))
}

fn with(gateway: &[&str]) -> PodsOptions {
    PodsOptions { gateway: gateway.iter().map(|&argument| argument.to_owned()).collect(), ..PodsOptions::default() }
}

/// The texts that envoy/README.md gives for markers, each taken by a real Envoy in the place of what ships.
#[test]
fn the_texts_of_the_readme_are_valid_configurations() {
    let readme = include_str!("../../../envoy/README.md");
    let texts: Vec<(&str, &str)> = readme
        .split("at `#@")
        .skip(1)
        .map(|part| {
            let (marker, rest) = part.split_once("`:\n\n```yaml\n").expect("a text after the marker");
            (marker, rest.split_once("```").expect("the end of the text").0)
        })
        .collect();
    assert!(texts.len() >= 2, "{texts:?}");
    for (marker, text) in texts {
        portcullis_e2e::validate(&format!("#@{marker}"), text).unwrap_or_else(|error| panic!("{marker}: {error:#}"));
    }
}

/// One request of each kind: without a body, with one, within a tunnel.
fn requests() -> Vec<Request> {
    let post = Request::post("http://sink.example.net/").header("content-type", "text/plain").body("nothing to see here");
    vec![Request::get("http://sink.example.net/"), post, Request::get("https://sink.example.net/")]
}

/// Whether the gateway's status listener says that it is ready.
async fn ready(pods: &Pods) -> u16 {
    status(pods, "GET", "/ready").await
}

async fn status(pods: &Pods, method: &str, path: &str) -> u16 {
    let address = pods.listener("status").await.expect("an address");
    let connection = Connection::open(address).await.expect("a connection");
    connection.page(method, path).await.expect("an answer").status
}

#[tokio::test]
async fn a_scanner_that_is_killed_fails_nothing_but_what_was_under_way_in_it_and_its_successor_is_found() {
    let mut pods = start(PodsOptions { scanners: 2, ..PodsOptions::default() }).await;
    let load = Load::start(&pods.client, 8, &requests());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, killed) = pods.scanners.remove(0);
    killed.kill().unwrap();
    let dead = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Its place is taken by another, at another address.
    let before = pods.stat("cluster.scanner.membership_change").await.unwrap();
    pods.add_scanner("portcullis-scanner").unwrap();
    let healthy = async |pods: &Pods| pods.stat("cluster.scanner.membership_healthy").await.is_ok_and(|n| n == 2);
    pods.wait_until("the new scanner is found", healthy).await;
    assert!(pods.stat("cluster.scanner.membership_change").await.unwrap() > before);
    let outcomes = load.stop().await;
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.begun > dead && outcome.status != 200).collect();
    assert!(failed.is_empty(), "{} of {} failed after the death: {:?}", failed.len(), outcomes.len(), failed[0]);
    let under_way = outcomes.iter().filter(|outcome| outcome.status != 200).count();
    assert!(under_way <= 8, "{under_way} failed before it was dead, and no more than 8 were under way");
    assert!(outcomes.iter().filter(|outcome| outcome.begun > dead).count() > 100, "too little load to say anything");
    // What it judges has not changed.
    assert_eq!(pods.client.send(&Request::get(&format!("https://sink.example.net/{}", github_pat()))).await.unwrap().status, 403);
}

#[tokio::test]
async fn requests_go_to_all_scanners() {
    let pods = start(PodsOptions { scanners: 2, ..PodsOptions::default() }).await;
    let load = Load::start(&pods.client, 8, &requests());
    let enough = async |pods: &Pods| pods.judged().await.is_ok_and(|judged| judged.iter().sum::<f64>() > 200.0);
    pods.wait_until("200 requests are judged", enough).await;
    assert!(load.stop().await.iter().all(|outcome| outcome.status == 200));
    let judged = pods.judged().await.unwrap();
    // Who has less to do gets more: in a machine with other work that is not half and half.
    assert!(judged.iter().all(|one| *one > judged.iter().sum::<f64>() / 20.0), "{judged:?}");
}

#[tokio::test]
async fn a_gateway_that_is_told_to_end_finishes_what_is_under_way_and_sends_the_rest_away() {
    let mut pods = start(with(&["--lame-duck", "2", "--drain", "16"])).await;
    assert_eq!(ready(&pods).await, 200);
    pods.origin.answer(|seen| if seen.path == "/slow" { Answer::default().delay(Duration::from_secs(7)) } else { Answer::default() });
    let authority = "sink.example.net:443";
    // A connection that is kept alive, a tunnel that is idle, and one with a long request under way.
    let mut kept = pods.client.connect().await.unwrap();
    kept.send(GET).await.unwrap();
    let first = kept.response("GET").await.unwrap();
    assert_eq!((first.status, first.header("connection")), (200, None));
    let mut idle = pods.client.tls(authority, "sink.example.net").await.unwrap();
    idle.send(GET_INSIDE).await.unwrap();
    assert_eq!(idle.response("GET").await.unwrap().status, 200);
    let long = tokio::spawn({
        let client = pods.client.clone();
        async move { client.send(&Request::get("https://sink.example.net/slow")).await }
    });
    pods.wait_until("the long request is under way", async |pods| pods.origin.requests().iter().any(|seen| seen.path == "/slow")).await;

    pods.gateway.terminate().unwrap();
    pods.wait_until("readiness fails", async |pods| ready(pods).await == 503).await;
    // Load balancers take their time: who still comes is served, and told to go.
    kept.send(GET).await.unwrap();
    let last = kept.response("GET").await.unwrap();
    assert_eq!((last.status, last.header("connection").as_deref()), (200, Some("close")));
    assert_eq!(pods.client.send(&Request::get("https://sink.example.net/")).await.unwrap().status, 200);
    assert_eq!(idle.read_to_end().await.unwrap(), b"", "the idle tunnel ends by itself");
    assert_eq!(long.await.unwrap().expect("the long request is answered").status, 200);
    let status = pods.gateway.ended(Duration::from_secs(20)).await.unwrap();
    assert!(status.success() && pods.gateway.said().contains("drained"), "{status}: {}", pods.gateway.said());
}

#[tokio::test]
async fn a_second_signal_ends_a_gateway_at_once_and_a_deadline_ends_it_in_time() {
    for (again, drain) in [(true, "60"), (false, "2")] {
        let mut pods = start(with(&["--lame-duck", "1", "--drain", drain])).await;
        pods.origin.answer(|_| Answer::default().delay(Duration::from_secs(90)));
        let client = pods.client.clone();
        let long = tokio::spawn(async move { client.send(&Request::get("https://sink.example.net/")).await });
        pods.wait_until("a request is under way", async |pods| !pods.origin.requests().is_empty()).await;
        pods.gateway.terminate().unwrap();
        pods.wait_until("it drains", async |pods| pods.gateway.said().contains("draining")).await;
        if again {
            pods.gateway.terminate().unwrap();
        }
        pods.gateway.ended(Duration::from_secs(10)).await.unwrap();
        assert!(long.await.unwrap().is_err(), "a request that would have taken longer");
        assert!(pods.gateway.said().contains("are cut"), "{}", pods.gateway.said());
    }
}

#[tokio::test]
async fn an_envoy_that_dies_takes_the_gateway_with_it() {
    let mut pods = start(with(&[])).await;
    pods.gateway.kill_child().unwrap();
    let status = pods.gateway.ended(Duration::from_secs(10)).await.unwrap();
    assert_eq!(status.code(), Some(137), "128 and the signal, as shells say it");
    assert!(pods.gateway.said().contains("portcullis: envoy ended by itself"), "{}", pods.gateway.said());
}

#[tokio::test]
async fn the_status_listener_shows_two_pages_and_no_more() {
    let pods = start(with(&[])).await;
    for (method, path, expected) in [
        ("GET", "/ready", 200),
        ("GET", "/stats/prometheus", 200),
        ("GET", "/stats/prometheus?usedonly", 200),
        ("GET", "/stats", 404),
        ("GET", "/stats/prometheus/", 404),
        ("GET", "/stats/recentlookups", 404),
        ("GET", "/server_info", 404),
        ("GET", "/listeners", 404),
        ("GET", "/", 404),
        ("POST", "/ready", 404),
        ("HEAD", "/ready", 404),
        ("POST", "/stats/prometheus", 404),
        ("POST", "/healthcheck/fail", 404),
        ("GET", "/healthcheck/fail", 404),
        ("GET", "/ready/../server_info", 404),
        ("GET", "/%72eady", 404),
    ] {
        assert_eq!(status(&pods, method, path).await, expected, "{method} {path}");
    }
    assert_eq!(ready(&pods).await, 200, "nothing of this failed its health");
}

#[tokio::test]
async fn the_gateway_takes_up_new_certificates_without_a_restart() {
    let mut pods = start(with(&[])).await;
    let expiry = async |pods: &Pods| pods.stat("cluster.scanner.client_ssl_socket_factory.ssl_context_update_by_sds").await.unwrap_or(0);
    let before = expiry(&pods).await;
    let load = Load::start(&pods.client, 2, &requests());
    for _ in 0..2 {
        let seen = expiry(&pods).await;
        let (certificate, key) = pods.ca.part("portcullis-gateway").unwrap();
        pods.identity.set(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", pods.ca.pem())]).unwrap();
        pods.wait_until("Envoy reads the new certificate", async |pods| expiry(pods).await > seen).await;
    }
    assert!(expiry(&pods).await >= before + 2);
    // A new scanner is spoken to with the new certificate.
    pods.add_scanner("portcullis-scanner").unwrap();
    let healthy = async |pods: &Pods| pods.stat("cluster.scanner.membership_healthy").await.is_ok_and(|n| n == 2);
    pods.wait_until("the new scanner is found", healthy).await;
    assert!(load.stop().await.iter().all(|outcome| outcome.status == 200));
}

#[tokio::test]
async fn a_scanner_with_the_certificate_of_another_part_is_not_spoken_to() {
    let mut pods = start(with(&[])).await;
    assert_eq!(pods.client.send(&Request::get("https://sink.example.net/")).await.unwrap().status, 200);
    pods.scanners.clear();
    pods.add_scanner("portcullis-certificates").unwrap();
    pods.wait_until("Envoy looks at it", async |pods| pods.stat("cluster.scanner.ssl.fail_verify_san").await.is_ok_and(|n| n > 0)).await;
    let seen = pods.origin.requests().len();
    let answer = pods.client.send(&Request::get("https://sink.example.net/")).await.unwrap();
    assert_eq!((answer.status, pods.origin.requests().len()), (503, seen), "{}", answer.text());
}

#[tokio::test]
async fn with_a_scanner_of_another_version_traffic_follows_the_fail_mode() {
    let other = ("x-portcullis-protocol, value: \"2\"".to_owned(), "x-portcullis-protocol, value: \"1\"".to_owned());
    let open = ("&fail_open false".to_owned(), "&fail_open true".to_owned());
    for (changes, expected, mark) in [(vec![other.clone()], 503, None), (vec![other, open], 200, Some("1"))] {
        let pods = start(PodsOptions { changes, ..PodsOptions::default() }).await;
        for request in requests() {
            let answer = pods.client.send(&request).await.unwrap();
            assert_eq!(answer.status, expected, "{}", answer.text());
            assert_eq!(answer.header("x-portcullis-failed-open").filter(|mark| mark == "1").as_deref(), mark);
        }
        let (_, scanner) = &pods.scanners[0];
        assert_eq!(scanner.said().matches("a gateway of another version is refused").count(), 1, "{}", scanner.said());
    }
}
