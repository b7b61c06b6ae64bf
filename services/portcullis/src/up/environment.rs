//! What a shell has to export so that its tools go through the gateway and trust it.

use std::net::SocketAddr;
use std::path::Path;

/// Names of variables that hold the proxy's URL.
const PROXY: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

/// Names of variables that hold the path of the CA bundle, and who reads them.
const BUNDLE: [&str; 9] = [
    "SSL_CERT_FILE",       // OpenSSL, Go, uv, rustls-native-certs
    "CURL_CA_BUNDLE",      // curl
    "REQUESTS_CA_BUNDLE",  // Python requests, pip
    "PIP_CERT",            // pip
    "GIT_SSL_CAINFO",      // git
    "NODE_EXTRA_CA_CERTS", // Node.js
    "DENO_CERT",           // Deno
    "CARGO_HTTP_CAINFO",   // Cargo
    "AWS_CA_BUNDLE",       // AWS CLI and SDKs
];

/// Environment variables, in a fixed order.
#[derive(Debug)]
pub(crate) struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// The environment for a proxy at `proxy`, which is told who asks (`NAME:TOKEN`) if it wants to know, and the CA bundle at `bundle`.
    pub(crate) fn new(scheme: &str, proxy: SocketAddr, credentials: Option<&str>, bundle: &Path) -> Environment {
        let credentials = credentials.map(|text| format!("{text}@")).unwrap_or_default();
        let url = format!("{scheme}://{credentials}{proxy}");
        let mut variables: Vec<(&'static str, String)> = PROXY.iter().map(|name| (*name, url.clone())).collect();
        variables.extend(["NO_PROXY", "no_proxy"].map(|name| (name, "localhost,127.0.0.1,::1".into())));
        variables.extend(BUNDLE.iter().map(|name| (*name, bundle.display().to_string())));
        // Node.js 24 and later: fetch and http follow the variables above.
        variables.push(("NODE_USE_ENV_PROXY", "1".into()));
        Environment(variables)
    }

    /// Names and values.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Lines for a POSIX shell.
    pub(crate) fn exports(&self) -> String {
        self.0.iter().map(|(name, value)| format!("export {name}={}", quote(value))).collect::<Vec<_>>().join("\n")
    }
}

/// Quotes for a POSIX shell, only where needed.
fn quote(value: &str) -> String {
    if value.bytes().all(|b| b.is_ascii_alphanumeric() || b"/:._-,+@%".contains(&b)) {
        value.into()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_survives_the_shell() {
        let exports = Environment::new("http", "127.0.0.1:3128".parse().unwrap(), None, Path::new("/home/a b/it's.pem")).exports();
        assert!(exports.contains("export HTTPS_PROXY=http://127.0.0.1:3128\n"));
        assert!(exports.contains(r"export SSL_CERT_FILE='/home/a b/it'\''s.pem'"));
    }

    #[test]
    fn who_asks_stands_in_the_url() {
        let exports = Environment::new("http", "127.0.0.1:3128".parse().unwrap(), Some("local:pcs_x"), Path::new("/b.pem")).exports();
        assert!(exports.contains("export https_proxy=http://local:pcs_x@127.0.0.1:3128\n"), "{exports}");
    }
}
