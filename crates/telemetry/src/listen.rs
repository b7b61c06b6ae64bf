//! Where a service listens.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};

/// Where a service listens: a TCP address, or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket; it is made with mode 0600, and a stale one is replaced.
    Unix(PathBuf),
}

/// The text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address: give 127.0.0.1:9001, [::1]:9001 or unix:/path")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:") {
            Some("") => Err(AddressError),
            Some(path) => Ok(Self::Unix(PathBuf::from(path))),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Binds an address; returns it as it is in use, with the port the system chose.
    ///
    /// # Errors
    /// The address cannot be bound, or a file that is no socket stands in its place.
    pub async fn bind(address: &Address) -> io::Result<(Address, Listener)> {
        match address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                Ok((Address::Tcp(listener.local_addr()?), Listener::Tcp(listener)))
            }
            Address::Unix(path) => Ok((address.clone(), Listener::Unix(bind_unix(path)?))),
        }
    }
}

/// Binds a socket inside a private folder, gives it mode 0600 and moves it into place, so that others never can connect.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket"));
        }
        Ok(_) | Err(_) => {}
    }
    // A short name: the path of a socket holds 107 bytes (unix(7)).
    let private = path.with_file_name(format!(".{:08x}", rand::random::<u32>()));
    DirBuilder::new().mode(0o700).create(&private)?;
    let inside = private.join("s");
    let bound = UnixListener::bind(&inside).and_then(|listener| {
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o600))?;
        fs::rename(&inside, path)?;
        Ok(listener)
    });
    let removed = fs::remove_dir_all(&private);
    let listener = bound?;
    removed?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1:9001", "[::1]:80", "unix:/run/x.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in ["", "unix:", "localhost", "127.0.0.1", ":9001"] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_unix_socket_is_its_owners_and_replaces_a_stale_one_only() {
        let dir = tempfile::tempdir().unwrap();
        let address = Address::Unix(dir.path().join("s.sock"));
        for _ in 0..2 {
            let (_, listener) = Listener::bind(&address).await.unwrap();
            assert_eq!(fs::metadata(dir.path().join("s.sock")).unwrap().permissions().mode() & 0o777, 0o600);
            drop(listener);
        }
        fs::write(dir.path().join("file"), "x").unwrap();
        assert!(Listener::bind(&Address::Unix(dir.path().join("file"))).await.is_err());
    }
}
