//! Hosts and ports that the gateway must not lead to, however they are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Trick, Way};
use crate::check::Check;
use crate::direct::{API_SERVER, METADATA, METADATA_NAME};
use crate::proxied::gateway::Handshake;
use crate::proxied::literals::spellings;
use crate::proxied::request::Request;
use crate::proxied::url::SinkUrl;
use crate::settings::{Destination, Settings};
use crate::system::System;

/// A host that is not the sink: of another name, and there (RFC 2606 keeps it).
const ELSEWHERE: &str = "example.org";
/// The gateway's own services as the gateway itself reaches them: status, metrics, admin interface.
const OF_THE_GATEWAY: [&str; 4] = ["127.0.0.1:9901", "localhost:9901", "127.0.0.1:9090", "127.0.0.1:15000"];

/// All of them.
pub(super) fn walls(settings: &Settings, system: &System) -> Vec<Trick> {
    let sink = &settings.sink;
    let private = settings.private_names.iter().map(|name| (Check::ProxyPrivateName, name.clone(), Way::get(name))).collect();
    [addresses(settings), metadata(), internal(settings, system), private, ports(sink), fronting(sink), userinfo(sink)].concat()
}

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
        (check, format!("http://{authority}/"), Way::get(&authority)),
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
            let is_address = place.host.parse::<IpAddr>().is_ok();
            let handshake = if is_address { Handshake::Nameless } else { Handshake::Name(host.clone()) };
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
    super::PORTS.into_iter().flat_map(of).collect()
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
    let absolute = authorities.into_iter().map(|authority| (Check::ProxyUserinfo, format!("http://{authority}/"), Way::get(&authority)));
    let connect = format!("{host}:443@{bad}:80");
    let request = Request::get("/").origin_form(&bad.to_string());
    let tunnel = (Check::ProxyUserinfo, format!("CONNECT {connect}"), Way::Tunnel(connect, Handshake::Plain, vec![request]));
    absolute.chain([tunnel]).collect()
}
