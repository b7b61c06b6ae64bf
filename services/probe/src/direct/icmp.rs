//! ICMP echo, by the socket that needs no privilege, or by a raw one where this process may have it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, ipproto, socket};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::tcp::refusal;
use crate::check::{Check, Verdict};
use crate::run::Attempt;
use crate::settings::Settings;

/// Each target.
pub(super) fn attempts(settings: &Settings) -> Vec<Attempt> {
    let within = settings.timeout;
    settings.targets.iter().map(|ip| Attempt::new(Check::Icmp, ip.to_string(), echo(*ip, within))).collect()
}

async fn echo(ip: IpAddr, within: Duration) -> Verdict {
    let socket = match open(ip) {
        Ok(socket) => socket,
        // Who may not make such a socket cannot get out by it. The probe has the rights of the sandbox it stands for.
        Err(error) => {
            let refused = refusal(&error);
            return Verdict { detail: format!("no socket for it: {}", refused.detail), ..refused };
        }
    };
    let nonce = rand::random::<[u8; 16]>();
    match exchange(&socket, ip, &nonce, within).await {
        Ok(true) => Verdict::escaped("the echo came back"),
        Ok(false) => Verdict::blocked(format!("no answer within {within:?}")),
        Err(error) => refusal(&error),
    }
}

/// A socket for ICMP. What is done with it, connecting, sending and receiving, is what is done with one for UDP.
fn open(ip: IpAddr) -> io::Result<UdpSocket> {
    let (family, protocol) = if ip.is_ipv4() { (AddressFamily::INET, ipproto::ICMP) } else { (AddressFamily::INET6, ipproto::ICMPV6) };
    let opened = socket(family, SocketType::DGRAM, Some(protocol)).or_else(|_| socket(family, SocketType::RAW, Some(protocol)))?;
    let socket = StdSocket::from(opened);
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Whether what was sent comes back in time.
async fn exchange(socket: &UdpSocket, ip: IpAddr, nonce: &[u8; 16], within: Duration) -> io::Result<bool> {
    let (request, reply) = if ip.is_ipv4() { (8, 0) } else { (128, 129) };
    socket.connect(SocketAddr::new(ip, 0)).await?;
    socket.send(&message(request, nonce)).await?;
    let deadline = Instant::now() + within;
    let mut answer = [0; 512];
    while let Ok(received) = timeout_at(deadline, socket.recv(&mut answer)).await {
        // A raw socket hears more than answers to us, and for IPv4 with the header of the packet before them.
        let heard = answer.get(..received?).unwrap_or_default();
        let at = heard.windows(nonce.len()).position(|window| window == nonce);
        if at.and_then(|at| at.checked_sub(HEADER)).and_then(|at| heard.get(at)) == Some(&reply) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;

/// An echo request or reply (RFC 792, RFC 4443); for IPv6 the kernel makes the checksum anew.
fn message(kind: u8, nonce: &[u8; 16]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend_from_slice(&rand::random::<[u8; 2]>());
    message.extend_from_slice(&[0, 1]);
    message.extend_from_slice(nonce);
    let sum = checksum(&message).to_be_bytes();
    message.splice(2..4, sum);
    message
}

/// The checksum of the Internet (RFC 1071) over an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // What is left fits.
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_its_checksum_sums_up_to_nothing() {
        let message = message(8, &[7; 16]);
        assert_eq!((message.len(), message[0]), (24, 8));
        assert_eq!(checksum(&message), 0);
    }

    #[tokio::test]
    async fn an_echo_comes_back_from_where_it_is_answered() {
        // As root a raw socket is there; elsewhere perhaps neither.
        match open(IpAddr::from([127, 0, 0, 1])) {
            Ok(socket) => {
                let answered = exchange(&socket, IpAddr::from([127, 0, 0, 1]), &rand::random(), Duration::from_secs(2)).await;
                assert!(answered.unwrap());
            }
            Err(error) => assert_eq!(refusal(&error).outcome, crate::check::Outcome::Blocked, "{error}"),
        }
    }
}
