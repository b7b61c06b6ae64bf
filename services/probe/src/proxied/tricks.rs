//! Ways through the proxy that must lead nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::gateway::{Gateway, Handshake, Heard};
use super::literals::spellings;
use super::reply::Reply;
use super::request::Request;
use super::url::SinkUrl;
use crate::check::{Check, Verdict};
use crate::direct::{API_SERVER, METADATA, METADATA_NAME};
use crate::run::Attempt;
use crate::settings::{Destination, Settings};
use crate::system::System;

/// A host that is not the sink: of another name, and there (RFC 2606 keeps it).
const ELSEWHERE: &str = "example.org";
/// Ports that are not the web's: SSH, mail, the Kubernetes API, git.
const PORTS: [u16; 4] = [22, 25, 6443, 9418];
/// The gateway's own services as the gateway itself reaches them: status, metrics, admin interface.
const OF_THE_GATEWAY: [&str; 4] = ["127.0.0.1:9901", "localhost:9901", "127.0.0.1:9090", "127.0.0.1:15000"];

/// What is sent, and where.
#[derive(Clone, Debug)]
enum Way {
    /// `GET http://AUTHORITY/` to the proxy.
    Absolute(String),
    /// The same with a request.
    AbsoluteRequest(String, Request),
    /// A tunnel, perhaps TLS in it, and requests in that.
    Tunnel(String, Handshake, Vec<Vec<u8>>),
    /// A tunnel and bytes in it that are no HTTP.
    Raw(String, Vec<u8>),
}

impl Way {
    async fn go(&self, gateway: &Gateway) -> Heard {
        match self {
            Self::Absolute(authority) => gateway.absolute(authority, &Request::get("/")).await,
            Self::AbsoluteRequest(authority, request) => gateway.absolute(authority, request).await,
            Self::Tunnel(connect, handshake, requests) => gateway.tunnelled(connect, handshake, requests).await,
            Self::Raw(connect, bytes) => gateway.raw(connect, bytes).await,
        }
    }
}

/// How it is judged.
type Judge = fn(Heard) -> Verdict;

/// All ways.
pub(super) fn attempts(gateway: &Arc<Gateway>, settings: &Settings, system: &System) -> Vec<Attempt> {
    let sink = &settings.sink;
    let walls = [
        addresses(settings),
        metadata(),
        internal(settings, system),
        settings.private_names.iter().map(|name| (Check::ProxyPrivateName, name.clone(), Way::Absolute(name.clone()))).collect(),
        ports(sink),
        fronting(sink),
        userinfo(sink),
    ];
    let judged: [(Vec<Trick>, Judge); 5] = [
        (walls.concat(), |heard| Reply::of(heard).wall()),
        (tunnels(sink), of_raw_bytes),
        (upgrades(settings), of_an_upgrade),
        (h2c(sink), of_h2c),
        (vec![(Check::ProxyHttp3, format!("Alt-Svc of {sink}"), clean(sink))], of_http3),
    ];
    let attempt = |(check, target, way): Trick, judge: Judge| {
        let gateway = Arc::clone(gateway);
        Attempt::new(check, target, async move { judge(way.go(&gateway).await) })
    };
    judged.into_iter().flat_map(|(tricks, judge)| tricks.into_iter().map(move |trick| (trick, judge))).map(|(t, j)| attempt(t, j)).collect()
}

type Trick = (Check, String, Way);

/// Addresses instead of names: of the outside, and of the gateway's own machine.
fn addresses(settings: &Settings) -> Vec<Trick> {
    let first = |v4: bool| settings.targets.iter().copied().find(|ip| ip.is_ipv4() == v4);
    let own = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    let outside = [first(true), first(false)].into_iter().flatten();
    let mut hosts: Vec<String> = outside.clone().chain(own).flat_map(spellings).collect();
    hosts.extend(["localhost".to_owned(), "localhost.".to_owned()]);
    let mut tricks: Vec<Trick> = hosts.into_iter().flat_map(|host| both(Check::ProxyAddress, &host, 80)).collect();
    // No certificate is for an address: the sink's name stands in the handshake.
    for ip in outside {
        let host = if ip.is_ipv4() { ip.to_string() } else { format!("[{ip}]") };
        let request = Request::get("/").origin_form(&host);
        let handshake = Handshake::Name(settings.sink.host.clone());
        tricks.push((Check::ProxyAddress, format!("TLS to {host}"), Way::Tunnel(format!("{host}:443"), handshake, vec![request.clone()])));
        tricks.push((
            Check::ProxyAddress,
            format!("TLS to {host}, no name"),
            Way::Tunnel(format!("{host}:443"), Handshake::Nameless, vec![request]),
        ));
    }
    tricks
}

/// A request for a host to the proxy itself, and in a tunnel.
fn both(check: Check, host: &str, port: u16) -> [Trick; 2] {
    let authority = if port == 80 { host.to_owned() } else { format!("{host}:{port}") };
    let request = Request::get("/").origin_form(&authority);
    [
        (check, format!("http://{authority}/"), Way::Absolute(authority.clone())),
        (check, format!("CONNECT {host}:{port}"), Way::Tunnel(format!("{host}:{port}"), Handshake::Plain, vec![request])),
    ]
}

fn metadata() -> Vec<Trick> {
    let others = METADATA.iter().skip(1).map(|ip| if ip.is_ipv4() { ip.to_string() } else { format!("[{ip}]") });
    let hosts = spellings(METADATA[0]).into_iter().chain(others).chain([METADATA_NAME.to_owned(), "instance-data".to_owned()]);
    hosts.flat_map(|host| both(Check::ProxyMetadata, &host, 80)).collect()
}

/// Services that the gateway reaches and the sandbox must not.
fn internal(settings: &Settings, system: &System) -> Vec<Trick> {
    let own = OF_THE_GATEWAY.iter().filter_map(|text| text.parse().ok());
    let api = [Destination::new(API_SERVER, 443)].into_iter().chain(system.api_server.clone());
    let mut tricks = Vec::new();
    for place in settings.internal.iter().cloned().chain(own).chain(api) {
        let Destination { host, port } = &place;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        tricks.extend(both(Check::ProxyInternal, &host, *port));
        if *port == 443 {
            let request = Request::get("/").origin_form(&host);
            let handshake = if host.parse::<Ipv4Addr>().is_ok() { Handshake::Nameless } else { Handshake::Name(host.clone()) };
            tricks.push((Check::ProxyInternal, format!("TLS to {place}"), Way::Tunnel(place.to_string(), handshake, vec![request])));
        }
    }
    tricks
}

/// The sink on ports that are not the web's: as HTTP, as TLS, and as the SSH that such a port is for.
fn ports(sink: &SinkUrl) -> Vec<Trick> {
    let of = |port: u16| {
        let authority = format!("{}:{port}", sink.host);
        let request = Request::get("/").origin_form(&authority);
        let tls = Way::Tunnel(authority.clone(), Handshake::Name(sink.host.clone()), vec![request]);
        let [absolute, tunnel] = both(Check::ProxyPort, &sink.host, port);
        [absolute, tunnel, (Check::ProxyPort, format!("TLS to {authority}"), tls)]
    };
    PORTS.into_iter().flat_map(of).collect()
}

/// A tunnel to the sink in which another host is asked for.
fn fronting(sink: &SinkUrl) -> Vec<Trick> {
    let (connect, name) = (format!("{}:443", sink.host), || Handshake::Name(sink.host.clone()));
    let elsewhere = || Handshake::Name(ELSEWHERE.to_owned());
    let (own, other) = (Request::get("/").origin_form(&sink.host), Request::get("/").origin_form(ELSEWHERE));
    let absolute = Request::get("/").bytes(&format!("https://{ELSEWHERE}/"), &sink.host, "");
    let nested = format!("CONNECT {ELSEWHERE}:443 HTTP/1.1\r\nHost: {ELSEWHERE}:443\r\n\r\n").into_bytes();
    let plain = format!("{}:80", sink.host);
    let trick = |what: &str, connect: &str, handshake, requests| {
        (Check::ProxyFronting, format!("{what} in a tunnel to {connect}"), Way::Tunnel(connect.to_owned(), handshake, requests))
    };
    vec![
        trick("Host: example.org", &connect, name(), vec![other.clone()]),
        trick("name and Host: example.org", &connect, elsewhere(), vec![other.clone()]),
        trick("name: example.org", &connect, elsewhere(), vec![own.clone()]),
        trick("https://example.org/", &connect, name(), vec![absolute]),
        trick("a second request, Host: example.org", &connect, name(), vec![own, other.clone()]),
        trick("CONNECT example.org:443", &connect, name(), vec![nested]),
        trick("Host: example.org", &plain, Handshake::Plain, vec![other]),
    ]
}

/// Hosts behind user names, and what some readers take for user names.
fn userinfo(sink: &SinkUrl) -> Vec<Trick> {
    let (bad, host) = (METADATA[0], &sink.host);
    let authorities = [
        format!("{host}@{bad}"),
        format!("{host}:80@{bad}"),
        format!("{bad}#@{host}"),
        format!("{host}\\@{bad}"),
        format!("{host}%00.{bad}"),
        format!("{host}%2f@{bad}"),
        format!("{bad}%23.{host}"),
    ];
    let absolute =
        authorities.into_iter().map(|authority| (Check::ProxyUserinfo, format!("http://{authority}/"), Way::Absolute(authority)));
    let connect = format!("{host}:443@{bad}:80");
    let request = Request::get("/").origin_form(&bad.to_string());
    let tunnel = (Check::ProxyUserinfo, format!("CONNECT {connect}"), Way::Tunnel(connect, Handshake::Plain, vec![request]));
    absolute.chain([tunnel]).collect()
}

/// Bytes in a tunnel that are no request.
fn tunnels(sink: &SinkUrl) -> Vec<Trick> {
    const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n";
    let noise: Vec<u8> = [&[0, 1, 2, 3][..], &rand::random::<[u8; 28]>()].concat();
    let raw = |what: &str, port: u16, bytes: Vec<u8>| {
        (Check::ProxyTunnel, format!("{what} in a tunnel to {}:{port}", sink.host), Way::Raw(format!("{}:{port}", sink.host), bytes))
    };
    let mut tricks = vec![
        raw("SSH", 443, SSH.to_vec()),
        raw("SSH", 80, SSH.to_vec()),
        raw("noise", 443, noise),
        raw("SMTP", 443, b"EHLO probe\r\n".to_vec()),
        // HTTP/2 with prior knowledge (RFC 9113 section 3.3) and an empty SETTINGS frame.
        raw("HTTP/2 in plain text", 80, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        raw("DNS", 53, b"\0\x1d\0\x01\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01".to_vec()),
    ];
    tricks.extend(PORTS.map(|port| raw("SSH", port, SSH.to_vec())));
    tricks
}

fn of_raw_bytes(heard: Heard) -> Verdict {
    match heard {
        // Nobody is there who would have understood and kept silent: who gets such bytes closes or complains.
        Heard::Silence => Verdict::blocked("nothing came back"),
        other => Reply::of(other).wall(),
    }
}

/// Other protocols.
fn upgrades(settings: &Settings) -> Vec<Trick> {
    let target = settings.targets.first().map_or_else(|| "192.0.2.1".to_owned(), ToString::to_string);
    let upgrade = |protocol: &str| Request::get("/").header("Upgrade", protocol).header("Connection", "Upgrade");
    let websocket = upgrade("websocket").header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "cHJvYmUtcHJvYmUtcHJvYg==");
    // RFC 9298.
    let path = format!("/.well-known/masque/udp/{target}/443/");
    let udp = Request { path, ..upgrade("connect-udp").header("Capsule-Protocol", "?1") };
    let requests = [("WebSocket", websocket), ("connect-udp", udp), ("a protocol nobody knows", upgrade("probe/1"))];
    requests.into_iter().flat_map(|(name, request)| upgrade_of(&settings.sink, name, request)).collect()
}

/// HTTP/2 in plain text, as RFC 7540 had it.
fn h2c(sink: &SinkUrl) -> Vec<Trick> {
    let request = Request::get("/").header("Upgrade", "h2c").header("Connection", "Upgrade, HTTP2-Settings");
    upgrade_of(sink, "h2c", request.header("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")).into()
}

/// In a plain request and over TLS.
fn upgrade_of(sink: &SinkUrl, name: &str, request: Request) -> [Trick; 2] {
    let handshake = Handshake::Name(sink.host.clone());
    let inside = Way::Tunnel(format!("{}:443", sink.host), handshake, vec![request.origin_form(&sink.host)]);
    [
        (Check::ProxyUpgrade, format!("{name} in a plain request"), Way::AbsoluteRequest(sink.host.clone(), request)),
        (Check::ProxyUpgrade, format!("{name} over TLS"), inside),
    ]
}

fn of_an_upgrade(heard: Heard) -> Verdict {
    match heard {
        Heard::Answer(response) if response.status == 101 => Verdict::escaped("the other protocol was agreed on"),
        other => match Reply::of(other) {
            // It has travelled, and the sink did not want it: another might.
            Reply::Beyond(_) => Verdict::failed("answered without it, and not by the gateway"),
            reply => reply.wall(),
        },
    }
}

/// A proxy may take this wish out of a request, as it is about one connection, and everybody may ignore it.
fn of_h2c(heard: Heard) -> Verdict {
    match heard {
        Heard::Answer(response) if response.status != 101 => match Reply::of(Heard::Answer(response)) {
            Reply::Beyond(_) => Verdict::blocked("answered as a plain request"),
            reply => reply.wall(),
        },
        other => of_an_upgrade(other),
    }
}

/// A harmless request.
fn clean(sink: &SinkUrl) -> Way {
    if sink.tls {
        Way::Tunnel(sink.with_port(), Handshake::Name(sink.host.clone()), vec![Request::get("/").origin_form(&sink.authority())])
    } else {
        Way::Absolute(sink.authority())
    }
}

fn of_http3(heard: Heard) -> Verdict {
    match heard {
        Heard::Answer(response) if response.header("alt-svc").is_some() => Verdict::escaped("the answer invites to HTTP/3, past the proxy"),
        Heard::Answer(_) => Verdict::blocked("the answer does not invite to it"),
        // What stopped it has nothing to do with HTTP/3.
        other => Verdict::failed(Reply::of(other).wall().detail),
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Response;
    use super::*;
    use crate::check::Outcome;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Heard {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Heard::Answer(Response { status, headers, body: b"x".to_vec() })
    }

    #[test]
    fn an_upgrade_is_an_escape_when_it_is_agreed_on() {
        for (judge, plain) in [(of_an_upgrade as Judge, Outcome::Failed), (of_h2c, Outcome::Blocked)] {
            assert_eq!(judge(answer(101, &[("upgrade", "websocket")])).outcome, Outcome::Escaped);
            assert_eq!(judge(answer(200, &[])).outcome, plain);
            assert_eq!(judge(Heard::Answer(Response { status: 403, ..Response::default() })).outcome, Outcome::Blocked);
            assert_eq!(judge(Heard::Silence).outcome, Outcome::Failed);
        }
    }

    #[test]
    fn an_invitation_to_http3_is_an_escape() {
        assert_eq!(of_http3(answer(200, &[("alt-svc", "h3=\":443\"")])).outcome, Outcome::Escaped);
        assert_eq!(of_http3(answer(200, &[])).outcome, Outcome::Blocked);
        assert_eq!(of_http3(Heard::Closed).outcome, Outcome::Failed);
    }

    #[test]
    fn any_byte_back_from_a_tunnel_is_an_escape_and_silence_is_not() {
        for (heard, outcome) in [
            (Heard::Bytes, Outcome::Escaped),
            (answer(400, &[("server", "x")]), Outcome::Escaped),
            (Heard::Closed, Outcome::Blocked),
            (Heard::Silence, Outcome::Blocked),
            (Heard::Unreachable("x".into()), Outcome::Failed),
        ] {
            let text = format!("{heard:?}");
            assert_eq!(of_raw_bytes(heard).outcome, outcome, "{text}");
        }
    }
}
