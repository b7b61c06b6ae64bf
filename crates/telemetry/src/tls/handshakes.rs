//! Handshakes under way: bounded in number and time, none of them in the way of another.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::server::TlsStream;

use super::{Guard, H2};
use crate::seldom::Seldom;

/// A handshake takes milliseconds; who needs longer than this is dead or has bad intentions.
const DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes under way at a time, each with a few tens of KiB. One more takes the place of the oldest: an honest client is done before as
/// many others have come, and connections that say nothing keep nobody out.
const UNDER_WAY: usize = 512;

/// The handshakes of one listener.
#[derive(Debug)]
pub(crate) struct Handshakes {
    guard: Guard,
    running: JoinSet<Result<TlsStream<TcpStream>, Refused>>,
    by_age: VecDeque<AbortHandle>,
    refusals: Seldom,
}

/// Why a client did not come in.
#[derive(Debug)]
enum Refused {
    /// The time was over.
    Late,
    /// It went away, as whoever only tries whether a port is open.
    Left,
    /// It is not let in, or does not want to.
    Said(Option<SocketAddr>, String),
}

impl Handshakes {
    pub(crate) fn new(guard: Guard) -> Handshakes {
        Handshakes { guard, running: JoinSet::new(), by_age: VecDeque::new(), refusals: Seldom::default() }
    }

    /// Begins a handshake; the oldest unfinished one goes when there are too many.
    pub(crate) fn begin(&mut self, stream: TcpStream) {
        if self.by_age.len() >= UNDER_WAY {
            self.by_age.retain(|one| !one.is_finished());
        }
        if self.by_age.len() >= UNDER_WAY
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
        }
        let acceptor = self.guard.acceptor.clone();
        self.by_age.push_back(self.running.spawn(async move {
            let peer = stream.peer_addr().ok();
            let accepted = tokio::time::timeout(DEADLINE, acceptor.accept(stream)).await.map_err(|_| Refused::Late)?;
            let stream = accepted.map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Refused::Left,
                _ => Refused::Said(peer, error.to_string()),
            })?;
            // A client that offers no protocol at all is not refused by the handshake itself.
            if stream.get_ref().1.alpn_protocol() != Some(H2) {
                return Err(Refused::Said(peer, "the client does not speak HTTP/2 (ALPN h2)".to_owned()));
            }
            Ok(stream)
        }));
    }

    /// The next connection that may come in. Pending as well while no handshake is under way.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TlsStream<TcpStream>> {
        while let Poll::Ready(Some(ended)) = self.running.poll_join_next(cx) {
            let (result, stream) = match ended {
                Ok(Ok(stream)) => ("ok", Some(stream)),
                Ok(Err(Refused::Late)) => ("timeout", None),
                Ok(Err(Refused::Left)) => ("left", None),
                Ok(Err(Refused::Said(peer, why))) => {
                    self.say(peer, &why);
                    ("refused", None)
                }
                Err(_) => ("crowded", None),
            };
            self.guard.metrics.handshakes.with_label_values(&[result]).inc();
            if let Some(stream) = stream {
                return Poll::Ready(stream);
            }
        }
        Poll::Pending
    }

    /// Whoever reaches the port can be refused as often as they like: not all of it is logged.
    fn say(&mut self, peer: Option<SocketAddr>, why: &str) {
        if let Some(unsaid) = self.refusals.due() {
            let peer = peer.map_or_else(|| "?".to_owned(), |peer| peer.to_string());
            tracing::warn!(peer, why, unsaid, "a client was refused");
        }
    }
}
