//! What has no secret in it arrives bit for bit.

use portcullis_e2e::{Request, Stack};

/// Bytes that look like nothing in particular, the same every time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b"the quick brown fox jumps over a lazy dog \n"[(state >> 33) as usize % 43]
    })
    .take(len)
    .collect()
}

#[tokio::test]
async fn clean_requests_arrive_bit_for_bit_with_their_content_length() {
    let stack = Stack::start(&[]).await;
    for len in [0, 1, 4096, 65_536, 300_000, 1 << 20, (1 << 20) + 1, 3 << 20] {
        let body = noise(len);
        for request in [
            Request::post("https://sink.example.net/up?a=%41&b=+").body(body.clone()),
            Request::post("https://sink.example.net/up?a=%41&b=+").body(body.clone()).http2(),
        ] {
            let answer = stack.send(request.header("x-mine", "a  b").header("content-type", "text/plain")).await;
            assert_eq!(answer.status, 200, "{len}: {}", answer.text());
            let seen = stack.origin.last();
            assert!(seen.body == body, "{len}: {} bytes arrived", seen.body.len());
            assert_eq!(seen.path, "/up?a=%41&b=+");
            assert_eq!(seen.header("content-length"), Some(len.to_string()), "{len}");
            assert_eq!(seen.header("x-mine"), Some("a  b".into()));
        }
    }
}

#[tokio::test]
async fn chunked_bodies_arrive_whole_and_nobody_learns_of_the_gateway() {
    let stack = Stack::start(&[]).await;
    let body = noise(200_000);
    let request = Request::post("https://sink.example.net/").body(body.clone()).chunks(&[1, 7, 4096, 100_000]);
    let answer = stack
        .send(
            request.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").header("x-forwarded-for", "10.1.2.3"),
        )
        .await;
    assert_eq!(answer.status, 200);
    let seen = stack.origin.last();
    assert!(seen.body == body);
    for name in [
        "traceparent",
        "tracestate",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
        "via",
        "x-envoy-expected-rq-timeout-ms",
        "proxy-authorization",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-portcullis-failed-open").as_deref().unwrap_or("0"), "0");
}

#[tokio::test]
async fn a_slow_body_is_waited_for() {
    let stack = Stack::start(&[]).await;
    // Longer than Envoy's message timeout: the withheld head must not run into it.
    let answer = stack.send(Request::post("https://sink.example.net/").body(noise(3000)).chunks(&[1000, 2000]).pause_ms(1600)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stack.origin.last().body.len(), 3000);
}
