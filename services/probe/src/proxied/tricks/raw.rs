//! Bytes in a tunnel that are no HTTP.

use super::{Trick, Way};
use crate::check::{Check, Verdict};
use crate::proxied::gateway::Heard;
use crate::proxied::reply::Reply;
use crate::proxied::url::SinkUrl;

/// Bytes in a tunnel that are no request.
pub(super) fn tunnels(sink: &SinkUrl) -> Vec<Trick> {
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
    tricks.extend(super::PORTS.map(|port| raw("SSH", port, SSH.to_vec())));
    tricks
}

pub(super) fn of_raw_bytes(heard: Heard) -> Verdict {
    match heard {
        // Nobody is there who would have understood and kept silent: who gets such bytes closes or complains.
        Heard::Silence => Verdict::blocked("nothing came back"),
        other => Reply::of(other).wall(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer;
    use super::*;
    use crate::check::Outcome;

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
