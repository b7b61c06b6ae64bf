//! What one sandbox does to hurt: it is bounded, and its neighbour's requests all pass meanwhile.
//!
//! `PORTCULLIS_ABUSE=full` plays each at its full size (minutes); else a tenth to a hundredth of it. How much slower the neighbour was is
//! not asserted: `PORTCULLIS_ABUSE_RECORD=FILE` appends a line of JSON for each attack, from which `tests/abuse/run` makes docs/abuse.md.

use std::io::Write;
use std::time::Duration;

use portcullis_e2e::{Client, Connection, Load, Request, Stack};

const HOST: &str = "sink.example.net";
const AUTHORITY: &str = "sink.example.net:443";
const MIB: u64 = 1 << 20;

/// So many of something, or the full number.
fn size(short: usize, full: usize) -> usize {
    if std::env::var("PORTCULLIS_ABUSE").is_ok_and(|what| what == "full") { full } else { short }
}

/// A gateway, a sandbox that attacks (nobody in particular) and one that works beside it.
struct World {
    stack: Stack,
    neighbour: Client,
}

impl World {
    async fn start() -> World {
        World::with(&[]).await
    }

    async fn with(names: &[&str]) -> World {
        let stack = Stack::start_with_names(&[], names).await;
        let (_, _, neighbour) = stack.sandbox("neighbour").await;
        World { stack, neighbour }
    }

    /// How long the neighbour's requests since `load` began took, in milliseconds, in order; all of them passed.
    async fn worked(&self, load: Load) -> Vec<f64> {
        // Outcomes say when each began; the next one of the same worker began when it ended.
        let outcomes = load.stop().await;
        for outcome in &outcomes {
            assert_eq!(outcome.status, 200, "the neighbour: {}", outcome.text);
        }
        let begun: Vec<_> = outcomes.iter().map(|outcome| outcome.begun).collect();
        let mut took: Vec<f64> = begun.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0]).as_secs_f64() * 1e3).collect();
        assert!(took.len() > 3, "the neighbour hardly worked");
        took.sort_by(f64::total_cmp);
        took
    }

    fn work(&self) -> Load {
        let url = format!("https://{HOST}/");
        Load::start(
            &self.neighbour,
            1,
            &[Request::get(&url), Request::post(&url).header("content-type", "text/plain").body("harmless words")],
        )
    }

    /// Plays an attack, so many of something, while the neighbour works.
    async fn play(&self, what: &str, count: usize, attack: impl AsyncFnOnce()) {
        let alone = self.work();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let alone = self.worked(alone).await;
        let load = self.work();
        attack().await;
        // Not so short that nothing could have gone wrong.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let meanwhile = self.worked(load).await;
        let mib = |role: &str| self.stack.rss(role) / MIB;
        write_down(&serde_json::json!({
            "what": what,
            "count": count,
            "alone": quantiles(&alone),
            "meanwhile": quantiles(&meanwhile),
            "envoy": mib("envoy"),
            "scanner": mib("scanner"),
            "certificates": mib("certificates"),
        }));
    }

    async fn tls(&self) -> Connection {
        self.stack.client.tls(AUTHORITY, HOST).await.expect("a tunnel")
    }
}

/// The median, and what 99 of 100 do not reach; of numbers in order.
fn quantiles(sorted: &[f64]) -> [f64; 2] {
    [sorted[sorted.len() / 2], sorted[(sorted.len() * 99 / 100).min(sorted.len() - 1)]]
}

/// Appends a line to the file that the environment names.
fn write_down(line: &serde_json::Value) {
    let Some(path) = std::env::var_os("PORTCULLIS_ABUSE_RECORD") else { return };
    let file = std::fs::File::options().create(true).append(true).open(&path);
    // One write a line: several tests append to the same file.
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_never_end_are_cut_off() {
    let world = World::start().await;
    let count = size(50, 2000);
    world
        .play("heads that never end", count, async || {
            let mut open = Vec::new();
            for _ in 0..count {
                let mut plain = world.stack.client.connect().await.expect("a connection");
                plain.send(format!("GET http://{HOST}/ HTTP/1.1\r\nx-slow: ").as_bytes()).await.expect("sent");
                open.push(plain);
            }
            for _ in 0..count / 10 {
                let mut inside = world.tls().await;
                inside.send(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx-slow: ").as_bytes()).await.expect("sent");
                open.push(inside);
            }
            // Each ends by the gateway's clock: 408, or a closed connection.
            for mut connection in open {
                let answer = connection.read_to_end().await.expect("the gateway ends it");
                assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
            }
        })
        .await;
    assert!(world.stack.origin.requests().iter().all(|request| request.header("x-slow").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_hardly_move_cost_little() {
    let world = World::start().await;
    let count = size(100, 3000);
    let before = world.stack.rss("scanner");
    world
        .play("bodies that hardly move", count, async || {
            let mut open = Vec::new();
            for _ in 0..count {
                let mut connection = world.tls().await;
                let head = format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: text/plain\r\ncontent-length: 1000000\r\n\r\na");
                connection.send(head.as_bytes()).await.expect("sent");
                open.push(connection);
            }
            for connection in &mut open {
                connection.send(b"b").await.expect("still open");
            }
        })
        .await;
    let grown = world.stack.rss("scanner").saturating_sub(before);
    assert!(grown < 64 * MIB + count as u64 * (64 << 10), "{} MiB for {count} streams", grown / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_tunnels_keep_nobody_out() {
    let world = World::start().await;
    let (silent_ones, idle_ones) = (size(300, 8000), size(1100, 8000));
    world
        .play("idle tunnels", silent_ones + idle_ones, async || {
            // Those that say nothing are closed within seconds; those that spoke TLS stay.
            let mut silent = Vec::new();
            for _ in 0..silent_ones {
                silent.push(world.stack.client.tunnel(AUTHORITY).await.expect("a tunnel"));
            }
            // More than 1,024, which is what Envoy lets through to a cluster when nobody says otherwise.
            let mut idle = Vec::new();
            for _ in 0..idle_ones {
                idle.push(world.tls().await);
            }
            for mut tunnel in silent {
                assert!(tunnel.read_to_end().await.expect("the gateway ends it").is_empty());
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_end_the_connection_and_nothing_else() {
    let world = World::start().await;
    let count = size(4, 100);
    world
        .play("connections of streams that are reset at once", count, async || {
            let url = format!("https://{HOST}/");
            for _ in 0..count {
                let mut connection = world.stack.client.h2(AUTHORITY, HOST).await.expect("a connection");
                for _ in 0..500 {
                    // Dropped at once: a reset. At some point Envoy has seen enough of them and closes.
                    if connection.open(&Request::post(&url)).await.is_err() {
                        break;
                    }
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_blocks_without_end_are_cut_off() {
    let world = World::start().await;
    let count = size(3, 50);
    world
        .play("header blocks of 64 MiB (CONTINUATION)", count, async || {
            for _ in 0..count {
                let mut connection = world.stack.client.tls_for(AUTHORITY, HOST, b"h2").await.expect("a connection");
                // The preface, empty SETTINGS, HEADERS without END_HEADERS (RFC 9113 sections 3.4, 6.2, 6.10).
                let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
                    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
                    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
                };
                let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
                bytes.extend(frame(4, 0, 0, &[]));
                bytes.extend(frame(1, 0, 1, &[]));
                // A literal field without indexing: `x` with a value of 1,000 bytes, again and again (RFC 7541 section 6.2.2).
                let mut field = vec![0x00, 0x01, b'x', 0x7f, 0xe9, 0x06];
                field.extend([b'v'; 1000]);
                let more = frame(9, 0, 1, &field.repeat(16));
                let mut sent = bytes.len();
                let mut open = connection.send(&bytes).await.is_ok();
                while open && sent < 64 << 20 {
                    open = connection.send(&more).await.is_ok();
                    sent += more.len();
                }
                assert!(!open, "{sent} bytes of one header block were taken");
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_the_smallest_chunks_pass_and_cost_a_stream_each() {
    let world = World::start().await;
    let count = size(5_000, 200_000);
    world
        .play("chunks of one byte", count, async || {
            let mut connection = world.tls().await;
            let head = format!("POST /chunks HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n");
            connection.send(head.as_bytes()).await.expect("sent");
            let some = b"1\r\na\r\n".repeat(100);
            for _ in 0..count / 100 {
                connection.send(&some).await.expect("taken");
            }
            connection.send(b"0\r\n\r\n").await.expect("taken");
            assert_eq!(connection.response("POST").await.expect("an answer").status, 200);
            // An extension without end is none (RFC 9112 section 7.1.1).
            let mut endless = world.tls().await;
            endless.send(head.as_bytes()).await.expect("sent");
            let mut open = endless.send(b"1;").await.is_ok();
            let mut sent = 0;
            while open && sent < size(4 << 20, 64 << 20) {
                open = endless.send(&[b'x'; 16 << 10]).await.is_ok();
                sent += 16 << 10;
            }
        })
        .await;
    let arrived = world.stack.origin.requests().into_iter().find(|request| request.path == "/chunks").expect("it arrived");
    assert_eq!(arrived.body.len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_names_fills_no_cache_beyond_its_bound() {
    let world = World::start().await;
    let count = size(300, 100_000);
    let (envoy, certificates) = (world.stack.rss("envoy"), world.stack.rss("certificates"));
    world
        .play("names that nobody has asked for", count, async || {
            let each = |from: usize| {
                let client = world.stack.client.clone();
                async move {
                    for i in (from..count).step_by(4) {
                        let name = format!("n{i}.flood.example");
                        // A leaf is made for the name; the name leads nowhere.
                        drop(client.tls(&format!("{name}:443"), &name).await);
                    }
                }
            };
            tokio::join!(each(0), each(1), each(2), each(3));
        })
        .await;
    for (role, before) in [("envoy", envoy), ("certificates", certificates)] {
        let grown = world.stack.rss(role).saturating_sub(before);
        // What a leaf and its listener's context weigh, for as many as are kept.
        assert!(grown < 128 * MIB + count.min(10_000) as u64 * (96 << 10), "{role} grew by {} MiB for {count} names", grown / MIB);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_sends_cannot_break_lines_of_logs() {
    let world = World::start().await;
    let tricks = ["%0a{\"verdict\":\"allow\"}", "%0d%0aevil: 1", "\"},{\"a\":\"", "%1b[31mred", "\\u000a", "%e2%80%a8"];
    let count = size(60, 6000);
    world
        .play("requests that try to break log lines", count, async || {
            for i in 0..count {
                let trick = tricks[i % tricks.len()];
                let request =
                    Request::get(&format!("https://{HOST}/{trick}?{trick}")).header("user-agent", trick).header("x-request-id", trick);
                drop(world.stack.client.send(&request).await);
            }
        })
        .await;
    let audit = std::fs::read_to_string(world.stack.gateway.state_dir().join("log/audit.jsonl")).expect("an audit log");
    assert!(audit.lines().count() >= count);
    for line in audit.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(record["verdict"].is_string() && record["reason"].is_string(), "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains("evil"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_uploads_without_end_takes_no_turn_of_its_neighbour() {
    let world = World::start().await;
    // Different each time: nothing comes from a cache.
    let upload = |n: usize| {
        let words: String = (0..60_000).map(|i| format!("w{} ", (i * 7919 + n * 104_729) % 99_991)).collect();
        Request::post(&format!("https://{HOST}/")).header("content-type", "text/plain").body(words)
    };
    let count = size(8, 64);
    world
        .play("connections that upload 350 KiB again and again", count, async || {
            let uploads: Vec<Request> = (0..8).map(upload).collect();
            let load = Load::start(&world.stack.client, count, &uploads);
            tokio::time::sleep(Duration::from_secs(size(4, 60) as u64)).await;
            for outcome in load.stop().await {
                assert!(matches!(outcome.status, 200 | 503), "{}", outcome.text);
            }
        })
        .await;
}
