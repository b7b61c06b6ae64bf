//! TCP: a connection that is made is an escape, whoever closes it afterwards.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::check::{Check, Verdict};
use crate::run::Attempt;
use crate::settings::Settings;

/// The web, remote shells, mail, DNS over TLS, databases, the Kubernetes API, git.
const PORTS: [u16; 10] = [80, 443, 22, 25, 853, 8080, 3306, 5432, 6443, 9418];
/// One of GitHub's addresses for SSH, since the others have no SSH server (<https://api.github.com/meta>).
const SSH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(140, 82, 112, 3)), 22);
/// Addresses for documentation (RFC 5737, RFC 3849), which nobody has: who answers there answers everywhere.
const NOBODY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// How long a peer may take to speak first or to close.
const FIRST_WORD: Duration = Duration::from_millis(300);

/// The ports of every target, and where those are the usual ones, some more.
pub(super) fn attempts(settings: &Settings) -> Vec<Attempt> {
    let mut addresses: Vec<SocketAddr> = settings.targets.iter().flat_map(|ip| PORTS.map(|port| SocketAddr::new(*ip, port))).collect();
    let mut attempts = Vec::new();
    if settings.targets == Settings::TARGETS {
        addresses.push(SSH);
        for address in NOBODY.map(|ip| SocketAddr::new(ip, 443)) {
            let within = settings.timeout;
            attempts.push(Attempt::new(Check::Tcp, address.to_string(), async move {
                match reach(address, within).await {
                    Ok(_) => Verdict::escaped("connected, though nobody has this address: something on the way accepts every connection"),
                    Err(verdict) => verdict,
                }
            }));
        }
    }
    attempts.extend(addresses.into_iter().map(|address| attempt(Check::Tcp, address, settings.timeout)));
    attempts
}

/// A connection to an address that must not be made.
pub(super) fn attempt(check: Check, address: SocketAddr, within: Duration) -> Attempt {
    Attempt::new(check, address.to_string(), connect(address, within))
}

/// Connects, and if that succeeds, listens for a moment to say more about it.
pub(super) async fn connect(address: SocketAddr, within: Duration) -> Verdict {
    let mut stream = match reach(address, within).await {
        Ok(stream) => stream,
        Err(verdict) => return verdict,
    };
    let mut first = [0; 64];
    Verdict::escaped(match timeout(FIRST_WORD, stream.read(&mut first)).await {
        Err(_) => "connected",
        Ok(Ok(0) | Err(_)) => "connected, and closed at once by the other side",
        Ok(Ok(_)) => "connected, and the other side spoke first",
    })
}

/// A connection to somebody else; or why there is none.
pub(super) async fn reach(address: SocketAddr, within: Duration) -> Result<TcpStream, Verdict> {
    let stream = match timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(refusal(&error)),
        Err(_) => return Err(Verdict::blocked(format!("no answer within {within:?}"))),
    };
    match stream.local_addr() {
        Ok(here) if is_here(here, address) => Err(Verdict::blocked(HERE)),
        _ => Ok(stream),
    }
}

/// The sandbox may talk to itself.
pub(super) const HERE: &str = "this is the sandbox itself";

/// Whether the two ends of a connection are the same machine.
pub(super) fn is_here(local: SocketAddr, peer: SocketAddr) -> bool {
    peer.ip().is_loopback() || local.ip() == peer.ip()
}

/// What an error of a socket says about the wall; one that is about this machine tells nothing.
pub(super) fn refusal(error: &io::Error) -> Verdict {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => Verdict::blocked("refused"),
        Some(Errno::CONNRESET | Errno::CONNABORTED) => Verdict::blocked("reset"),
        Some(Errno::NETUNREACH | Errno::NETDOWN | Errno::ADDRNOTAVAIL) => Verdict::blocked("no route"),
        Some(Errno::HOSTUNREACH | Errno::HOSTDOWN) => Verdict::blocked("unreachable"),
        Some(Errno::ACCESS | Errno::PERM) => Verdict::blocked("not permitted"),
        Some(Errno::TIMEDOUT) => Verdict::blocked("no answer"),
        Some(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => Verdict::blocked("this system does not speak it"),
        _ => Verdict::failed(format!("cannot try: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::check::Outcome;

    #[test]
    fn walls_are_told_from_trouble_of_our_own() {
        for (error, outcome) in [
            (Errno::CONNREFUSED, Outcome::Blocked),
            (Errno::NETUNREACH, Outcome::Blocked),
            (Errno::HOSTUNREACH, Outcome::Blocked),
            (Errno::ACCESS, Outcome::Blocked),
            (Errno::PERM, Outcome::Blocked),
            (Errno::TIMEDOUT, Outcome::Blocked),
            (Errno::AFNOSUPPORT, Outcome::Blocked),
            (Errno::MFILE, Outcome::Failed),
            (Errno::NOBUFS, Outcome::Failed),
            (Errno::INVAL, Outcome::Failed),
        ] {
            assert_eq!(refusal(&io::Error::from_raw_os_error(error.raw_os_error())).outcome, outcome, "{error:?}");
        }
    }

    #[tokio::test]
    async fn the_sandbox_itself_is_no_escape() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let verdict = connect(listener.local_addr().unwrap(), Duration::from_secs(2)).await;
        assert_eq!(verdict, Verdict::blocked("this is the sandbox itself"));
    }

    #[test]
    fn another_address_is_another_machine() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 80);
        for (local, peer, here) in [
            ("10.0.0.2", "10.0.0.2", true),
            ("127.0.0.1", "127.0.0.2", true),
            ("::1", "::1", true),
            ("10.0.0.2", "10.0.0.3", false),
            ("fd00::2", "fd00::3", false),
        ] {
            assert_eq!(is_here(address(local), address(peer)), here, "{local} {peer}");
        }
    }
}
