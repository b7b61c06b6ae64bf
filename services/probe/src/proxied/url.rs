//! The proxy's URL and the sink's.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::settings::Destination;

/// Why a text is no URL that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The proxy's.
    #[error("not a proxy: give http://HOST:PORT, https://HOST:PORT or http://NAME:TOKEN@HOST:PORT")]
    Proxy,
    /// The sink's.
    #[error("not a sink: give http://HOST/ or https://HOST/, with a name and not an address")]
    Sink,
}

/// Where the proxy is, and what it is told of who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Whether TLS is spoken with it.
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `NAME:TOKEN`.
    credentials: Option<String>,
}

impl ProxyUrl {
    pub(crate) fn destination(&self) -> Destination {
        Destination::new(self.host.clone(), self.port)
    }

    /// The header that carries the credentials, with its line end; nothing without credentials (RFC 7617).
    pub(crate) fn authorization(&self) -> String {
        let line = |text: &String| format!("Proxy-Authorization: Basic {}\r\n", data_encoding::BASE64.encode(text.as_bytes()));
        self.credentials.as_ref().map(line).unwrap_or_default()
    }
}

impl FromStr for ProxyUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // Tools take a bare `host:port` too.
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.map_err(|_| UrlError::Proxy)?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(UrlError::Proxy),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(UrlError::Proxy),
        };
        let named = !url.username().is_empty() || url.password().is_some();
        let credentials = named.then(|| format!("{}:{}", unescape(url.username()), unescape(url.password().unwrap_or_default())));
        Ok(Self { tls, host, port: url.port_or_known_default().ok_or(UrlError::Proxy)?, credentials })
    }
}

/// Without the credentials.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.destination())
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Undoes percent-encoding; what is none stays.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|hex| data_encoding::HEXLOWER_PERMISSIVE.decode(hex).ok());
        match decoded {
            Some(decoded) => {
                bytes.extend_from_slice(&decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where secrets are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkUrl {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl SinkUrl {
    /// What CONNECT names.
    pub(crate) fn with_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What the `Host` header names: the port only where it is not the scheme's.
    pub(crate) fn authority(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } { self.host.clone() } else { self.with_port() }
    }

    /// The same with a label before its name.
    pub(crate) fn below(&self, label: &str) -> Self {
        Self { host: format!("{label}.{}", self.host), ..self.clone() }
    }
}

impl FromStr for SinkUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|_| UrlError::Sink)?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(UrlError::Sink),
        };
        let named = !url.username().is_empty() || url.password().is_some();
        match (url.host(), url.port_or_known_default()) {
            // Paths and queries are the battery's own.
            (Some(Host::Domain(name)), Some(port)) if !named && url.path() == "/" && url.query().is_none() => {
                Ok(Self { tls, host: name.to_owned(), port })
            }
            _ => Err(UrlError::Sink),
        }
    }
}

impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/", if self.tls { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_as_tools_read_it_and_shown_without_its_token() {
        let proxy: ProxyUrl = "http://agent-7:a%3Ab%40c@10.96.0.128:3128".parse().unwrap();
        assert_eq!((proxy.tls, proxy.host.as_str(), proxy.port), (false, "10.96.0.128", 3128));
        assert_eq!(proxy.authorization(), format!("Proxy-Authorization: Basic {}\r\n", data_encoding::BASE64.encode(b"agent-7:a:b@c")));
        assert_eq!((proxy.to_string(), format!("{proxy:?}")), ("http://10.96.0.128:3128".into(), "http://10.96.0.128:3128".into()));
        for (text, shown) in [
            ("gateway:3128", "http://gateway:3128"),
            ("https://gateway", "https://gateway:443"),
            ("http://[fd00::1]:3128/", "http://[fd00::1]:3128"),
        ] {
            let proxy: ProxyUrl = text.parse().unwrap();
            assert_eq!((proxy.to_string().as_str(), proxy.authorization().as_str()), (shown, ""));
        }
        for bad in ["", "socks5://gateway:1080", "http://", "http://a b:1"] {
            assert_eq!(bad.parse::<ProxyUrl>(), Err(UrlError::Proxy), "{bad}");
        }
    }

    #[test]
    fn a_sink_is_a_name_and_nothing_more() {
        let sink: SinkUrl = "https://Example.com".parse().unwrap();
        assert_eq!((sink.with_port().as_str(), sink.authority().as_str()), ("example.com:443", "example.com"));
        let sink: SinkUrl = "http://sink.test:8080/".parse().unwrap();
        assert_eq!((sink.authority().as_str(), sink.below("a").to_string().as_str()), ("sink.test:8080", "http://a.sink.test:8080/"));
        for bad in ["example.com", "https://192.0.2.1/", "https://[::1]/", "ftp://a/", "https://u@a/", "https://a/path", "https://a/?q"] {
            assert_eq!(bad.parse::<SinkUrl>(), Err(UrlError::Sink), "{bad}");
        }
    }
}
