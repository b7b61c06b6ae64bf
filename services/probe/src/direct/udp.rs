//! UDP: any answer is an escape.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::tcp::{HERE, is_here, refusal};
use crate::check::{Check, Verdict};
use crate::run::Attempt;
use crate::settings::Settings;

/// Servers of time, since the other targets have none: Cloudflare's and Google's.
const TIME: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(162, 159, 200, 1)), IpAddr::V4(Ipv4Addr::new(216, 239, 35, 0))];
/// The longest answer that is looked at.
const LONGEST: usize = 4096;

/// Each protocol to each target.
pub(super) fn attempts(settings: &Settings) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut add = |address: SocketAddr, protocol: &str, payload: Vec<u8>| {
        let within = settings.timeout;
        attempts.push(Attempt::new(Check::Udp, format!("{address} {protocol}"), async move {
            match ask(address, &payload, within).await {
                Ok((_, true)) => Verdict::blocked(HERE),
                Ok((_, false)) => Verdict::escaped("answered"),
                Err(verdict) => verdict,
            }
        }));
    };
    for ip in &settings.targets {
        add(SocketAddr::new(*ip, 123), "NTP", ntp());
        add(SocketAddr::new(*ip, 443), "QUIC", quic());
        add(SocketAddr::new(*ip, 853), "QUIC", quic());
        add(SocketAddr::new(*ip, 1194), "OpenVPN", openvpn());
        add(SocketAddr::new(*ip, 3478), "STUN", stun());
    }
    if settings.targets == Settings::TARGETS {
        TIME.into_iter().for_each(|ip| add(SocketAddr::new(ip, 123), "NTP", ntp()));
    }
    attempts
}

/// Sends a datagram, once more after half the time, and gives the answer, and whether it comes from this machine; or why there is none.
pub(super) async fn ask(address: SocketAddr, payload: &[u8], within: Duration) -> Result<(Vec<u8>, bool), Verdict> {
    let trouble = |error: io::Error| refusal(&error);
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(trouble)?;
    socket.connect(address).await.map_err(trouble)?;
    let mut answer = vec![0; LONGEST];
    for _ in 0..2 {
        socket.send(payload).await.map_err(trouble)?;
        if let Ok(received) = timeout(within / 2, socket.recv(&mut answer)).await {
            answer.truncate(received.map_err(trouble)?);
            return Ok((answer, socket.local_addr().is_ok_and(|local| is_here(local, address))));
        }
    }
    Err(Verdict::blocked(format!("no answer within {within:?}")))
}

/// A client's question for the time: version 4, mode 3, the rest zero (RFC 5905 section 7.3).
fn ntp() -> Vec<u8> {
    let mut packet = vec![0; 48];
    packet[0] = 0x23;
    packet
}

/// A long header with a version that is reserved for making servers list theirs, as long as a first packet must be (RFC 9000 sections 6.1,
/// 14.1 and 15).
fn quic() -> Vec<u8> {
    let mut packet = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
    packet.extend_from_slice(&rand::random::<[u8; 8]>());
    packet.push(8);
    packet.extend_from_slice(&rand::random::<[u8; 8]>());
    packet.resize(1200, 0);
    packet
}

/// A client's hard reset: the opcode, a session, no acknowledgements, packet 0.
fn openvpn() -> Vec<u8> {
    let mut packet = vec![0x38];
    packet.extend_from_slice(&rand::random::<[u8; 8]>());
    packet.extend_from_slice(&[0; 5]);
    packet
}

/// A binding request (RFC 8489 section 5).
fn stun() -> Vec<u8> {
    let mut packet = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    packet.extend_from_slice(&rand::random::<[u8; 12]>());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    #[tokio::test]
    async fn an_answer_is_told_from_silence_and_from_a_refusal() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let within = Duration::from_millis(200);
        let silent = ask(address, b"hello", within).await.unwrap_err();
        assert_eq!((silent.outcome, silent.detail.as_str()), (Outcome::Blocked, "no answer within 200ms"));
        let echo = tokio::spawn(async move {
            let mut buffer = [0; 64];
            // The two datagrams of the silent try come first.
            for _ in 0..3 {
                let (length, peer) = server.recv_from(&mut buffer).await.unwrap();
                drop(server.send_to(&buffer[..length], peer).await);
            }
        });
        assert_eq!(ask(address, b"hello", within).await.unwrap(), (b"hello".to_vec(), true));
        echo.await.unwrap();
        assert_eq!(ask(address, b"hello", within).await.unwrap_err(), Verdict::blocked("refused"));
    }

    #[test]
    fn packets_are_as_long_as_their_protocols_say() {
        assert_eq!([ntp().len(), quic().len(), openvpn().len(), stun().len()], [48, 1200, 14, 20]);
        assert_ne!(stun(), stun());
    }
}
