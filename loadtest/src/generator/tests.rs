use std::net::{Ipv4Addr, SocketAddr};

use portcullis_e2e::TestCa;
use tokio::net::TcpListener;

use super::*;
use crate::bodies::Kind;
use crate::origin::Origin;
use crate::scenario::{self, Protocol};

/// A scenario of one call, and an origin that takes `delay_ms` for each.
async fn world(protocol: Protocol, streams: usize, delay_ms: u64) -> (Scenario, Origin, Route) {
    let mut scenario = scenario::named("json-4k").unwrap();
    scenario.load.streams = streams;
    let (_, call) = &mut scenario.parts[0];
    call.protocol = protocol;
    call.delay_ms = delay_ms;
    let ca = TestCa::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let origin = Origin::start(listener, ca.server(&[&call.host]).unwrap());
    let route = Route::direct(address, ca.pem()).unwrap();
    (scenario, origin, route)
}

#[tokio::test]
async fn what_a_slow_server_holds_up_counts_from_when_it_was_meant() {
    let (scenario, origin, route) = world(Protocol::Http1, 1, 50).await;
    let generator = Generator::new(&scenario, &route, 1).await.unwrap();
    // 100 requests within half a second, of which the server can take one in 50 ms: the last waits for some four seconds.
    let tally = generator.run(Pace::Open(200.0), Duration::from_millis(500), Live::none()).await.unwrap();
    tally.check("a slow server", 0.0).unwrap();
    assert_eq!((tally.all(), origin.counts().requests()), (100, 100));
    // From when they were sent, none would be far above 50 ms.
    assert!(tally.quantile_us(0.5) > 1_500_000.0, "{}", tally.quantile_us(0.5));
    assert!(tally.quantile_us(1.0) > 3_500_000.0, "{}", tally.quantile_us(1.0));
}

#[tokio::test]
async fn a_closed_loop_counts_what_reached_the_origin_over_both_protocols() {
    for (protocol, streams) in [(Protocol::Http1, 1), (Protocol::Http2, 4)] {
        let (scenario, origin, route) = world(protocol, streams, 0).await;
        let generator = Generator::new(&scenario, &route, 2).await.unwrap();
        let tally = generator.run(Pace::Closed, Duration::from_millis(300), Live::none()).await.unwrap();
        tally.check("a closed loop", 0.0).unwrap();
        assert_eq!(tally.fine, origin.counts().requests());
        assert_eq!(tally.bytes, origin.counts().bytes());
        assert_eq!(tally.bytes, tally.fine * 4096);
        // Connections are kept: a second run goes on with other bodies.
        let more = generator.run(Pace::Open(100.0), Duration::from_millis(200), Live::none()).await.unwrap();
        assert_eq!(more.fine, 20);
    }
}

#[tokio::test]
async fn answers_that_are_not_as_they_should_be_count_by_their_kind() {
    let (mut scenario, origin, route) = world(Protocol::Http1, 1, 0).await;
    let generator = Generator::new(&scenario, &route, 1).await.unwrap();
    drop(origin);
    let tally = generator.run(Pace::Open(50.0), Duration::from_millis(100), Live::none()).await.unwrap();
    assert_eq!((tally.all(), tally.fine), (5, 0));
    assert!(tally.errors.contains_key("opening: connect"), "{}", tally.failures());
    scenario.parts[0].1.body.kind = Kind::None;
    assert!(Generator::new(&scenario, &route, 1).await.is_err());
}
