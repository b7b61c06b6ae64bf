//! Other protocols than HTTP/1 and HTTP/2 over TLS: by upgrade, or by an invitation to HTTP/3.

use super::{Trick, Way};
use crate::check::{Check, Verdict};
use crate::proxied::gateway::{Handshake, Heard};
use crate::proxied::reply::Reply;
use crate::proxied::request::Request;
use crate::proxied::url::SinkUrl;
use crate::settings::Settings;

/// Other protocols.
pub(super) fn upgrades(settings: &Settings) -> Vec<Trick> {
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
pub(super) fn h2c(sink: &SinkUrl) -> Vec<Trick> {
    let request = Request::get("/").header("Upgrade", "h2c").header("Connection", "Upgrade, HTTP2-Settings");
    upgrade_of(sink, "h2c", request.header("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")).into()
}

/// In a plain request and over TLS.
fn upgrade_of(sink: &SinkUrl, name: &str, request: Request) -> [Trick; 2] {
    let handshake = Handshake::Name(sink.host.clone());
    let inside = Way::Tunnel(format!("{}:443", sink.host), handshake, vec![request.origin_form(&sink.host)]);
    [
        (Check::ProxyUpgrade, format!("{name} in a plain request"), Way::Absolute(sink.host.clone(), request)),
        (Check::ProxyUpgrade, format!("{name} over TLS"), inside),
    ]
}

pub(super) fn of_an_upgrade(heard: Heard) -> Verdict {
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
pub(super) fn of_h2c(heard: Heard) -> Verdict {
    match heard {
        Heard::Answer(response) if response.status != 101 => match Reply::of(Heard::Answer(response)) {
            Reply::Beyond(_) => Verdict::blocked("answered as a plain request"),
            reply => reply.wall(),
        },
        other => of_an_upgrade(other),
    }
}

/// A harmless request, whose answer must not lead to HTTP/3.
pub(super) fn http3(sink: &SinkUrl) -> Vec<Trick> {
    vec![(Check::ProxyHttp3, format!("Alt-Svc of {sink}"), clean(sink))]
}

fn clean(sink: &SinkUrl) -> Way {
    if sink.tls {
        Way::Tunnel(sink.with_port(), Handshake::Name(sink.host.clone()), vec![Request::get("/").origin_form(&sink.authority())])
    } else {
        Way::get(&sink.authority())
    }
}

pub(super) fn of_http3(heard: Heard) -> Verdict {
    match heard {
        Heard::Answer(response) if response.header("alt-svc").is_some() => Verdict::escaped("the answer invites to HTTP/3, past the proxy"),
        Heard::Answer(_) => Verdict::blocked("the answer does not invite to it"),
        // What stopped it has nothing to do with HTTP/3.
        other => Verdict::failed(Reply::of(other).wall().detail),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Judge;
    use super::super::tests::answer;
    use super::*;
    use crate::check::Outcome;
    use crate::proxied::wire::Response;

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
}
