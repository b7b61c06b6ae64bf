//! The connections of a listener, as a tonic server takes them.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use crate::Listener;
use crate::seldom::Seldom;
use crate::tls::{Guard, Handshakes};

/// After an error of the listener itself (out of file descriptors, most likely): not a reason to spin, nor to end.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections, one by one; it never ends, and no error ends it.
#[derive(Debug)]
pub struct Incoming {
    listener: Listener,
    /// TCP connections go through it; a Unix socket is guarded by its mode.
    handshakes: Option<Handshakes>,
    pause: Option<Pin<Box<Sleep>>>,
    errors: Seldom,
}

impl Listener {
    /// Takes connections; TCP ones past the guard, if there is one. Sockets of the file system are guarded by their mode alone.
    #[must_use]
    pub fn incoming(self, guard: Option<Guard>) -> Incoming {
        Incoming { listener: self, handshakes: guard.map(Handshakes::new), pause: None, errors: Seldom::default() }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        match self {
            Listener::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, _)| {
                // Messages are small and wait for answers. A connection that is gone already says so soon enough.
                let _set = stream.set_nodelay(true);
                Connection(Over::Tcp(stream))
            }),
            Listener::Unix(listener) => listener.poll_accept(cx).map_ok(|(stream, _)| Connection(Over::Unix(stream))),
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(handshakes) = &mut this.handshakes
                && let Poll::Ready(stream) = handshakes.poll(cx)
            {
                return Poll::Ready(Some(Ok(Connection(Over::Tls(Box::new(stream))))));
            }
            if let Some(pause) = &mut this.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            match (std::task::ready!(this.listener.poll_accept(cx)), &mut this.handshakes) {
                (Ok(Connection(Over::Tcp(stream))), Some(handshakes)) => handshakes.begin(stream),
                (Ok(connection), _) => return Poll::Ready(Some(Ok(connection))),
                (Err(error), _) => {
                    if let Some(unsaid) = this.errors.due() {
                        tracing::warn!(%error, unsaid, "cannot take a connection");
                    }
                    this.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                }
            }
        }
    }
}

/// One connection, whatever it came over.
#[derive(Debug)]
pub struct Connection(Over);

#[derive(Debug)]
enum Over {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// Calls the same method of whichever stream it is.
macro_rules! forward {
    ($connection:expr, $method:ident($($argument:expr),*)) => {
        match &mut $connection.get_mut().0 {
            Over::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Over::Unix(stream) => Pin::new(stream).$method($($argument),*),
            Over::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_read(cx, buf))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, poll_write(cx, buf))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        forward!(self, poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Over::Tcp(stream) => stream.is_write_vectored(),
            Over::Unix(stream) => stream.is_write_vectored(),
            Over::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, poll_shutdown(cx))
    }
}
