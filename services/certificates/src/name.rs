//! Server names: what a leaf may be minted for.

use std::fmt;
use std::net::IpAddr;

/// The name Envoy asks for when a client sent no server name (`default_value` of the SNI mapper in `envoy/envoy.yaml`).
/// It is never minted, so such a handshake fails.
pub const NO_SERVER_NAME: &str = "deny-no-sni";

/// The longest name looked at, in bytes: 253 (RFC 1035 section 2.3.4 without the length octets) and one trailing dot.
const LONGEST: usize = 254;

/// A DNS name in normal form: lower case, A-labels, no trailing dot, at most 253 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

/// Why a name is refused. The wording is also the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The client sent no server name.
    #[error("no_sni")]
    NoServerName,
    /// The name is empty or longer than DNS allows, or a label is.
    #[error("length")]
    Length,
    /// The name holds an asterisk.
    #[error("wildcard")]
    Wildcard,
    /// The name is an IP address, or would be read as one.
    #[error("ip_literal")]
    IpLiteral,
    /// The name has characters or labels that no host name has.
    #[error("syntax")]
    Syntax,
}

impl NameError {
    pub(crate) const ALL: [NameError; 5] =
        [NameError::NoServerName, NameError::Length, NameError::Wildcard, NameError::IpLiteral, NameError::Syntax];
}

impl HostName {
    /// Reads a server name as it came in a TLS hello.
    ///
    /// Underscores are accepted, since hosts with them exist and clients verify them.
    ///
    /// # Errors
    /// Says why the name is refused. Nothing panics, whatever the name.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name == NO_SERVER_NAME {
            return Err(NameError::NoServerName);
        }
        if name.is_empty() || name.len() > LONGEST {
            return Err(NameError::Length);
        }
        if name.contains('*') {
            return Err(NameError::Wildcard);
        }
        if is_address(name) {
            return Err(NameError::IpLiteral);
        }
        let ascii = idna::domain_to_ascii(name).map_err(|_| NameError::Syntax)?;
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        if ascii.is_empty() || ascii.len() >= LONGEST {
            return Err(NameError::Length);
        }
        ascii.split('.').try_for_each(check_label)?;
        // Normalisation can turn something else into an address (full-width digits) or into the reserved name.
        if ascii == NO_SERVER_NAME {
            return Err(NameError::NoServerName);
        }
        if is_address(ascii) {
            return Err(NameError::IpLiteral);
        }
        Ok(Self(ascii.to_owned()))
    }

    /// The name in normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 1123 section 2.1 labels, and underscores.
fn check_label(label: &str) -> Result<(), NameError> {
    if label.len() > 63 {
        return Err(NameError::Length);
    }
    let legal = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if label.is_empty() || !legal || label.starts_with('-') || label.ends_with('-') {
        return Err(NameError::Syntax);
    }
    Ok(())
}

/// Whether a client could read the name as an IP address: the "ends in a number" rule of the WHATWG URL standard, and IPv6 literals.
fn is_address(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') || bare.parse::<IpAddr>().is_ok() {
        return true;
    }
    let last = bare.strip_suffix('.').unwrap_or(bare).rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let digits = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    digits || hex.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_brought_into_normal_form() {
        for (given, wanted) in [
            ("Api.GitHub.COM", "api.github.com"),
            ("example.com.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("r3---sn-abc.googlevideo.com", "r3---sn-abc.googlevideo.com"),
            ("my_bucket.s3.amazonaws.com", "my_bucket.s3.amazonaws.com"),
            ("localhost", "localhost"),
            ("1password.com", "1password.com"),
        ] {
            assert_eq!(HostName::parse(given).unwrap().as_str(), wanted);
        }
    }

    #[test]
    fn names_that_are_no_host_are_refused() {
        let long_label = format!("{}.com", "a".repeat(64));
        let long_name = format!("{}com", "a.".repeat(126));
        for (given, why) in [
            ("", NameError::Length),
            (NO_SERVER_NAME, NameError::NoServerName),
            ("Deny-No-SNI", NameError::NoServerName),
            (&long_name, NameError::Length),
            (&long_label, NameError::Length),
            ("*.example.com", NameError::Wildcard),
            ("127.0.0.1", NameError::IpLiteral),
            ("127.1", NameError::IpLiteral),
            ("127.0.0.1.", NameError::IpLiteral),
            ("2130706433", NameError::IpLiteral),
            ("0x7f.1", NameError::IpLiteral),
            ("0x7f000001", NameError::IpLiteral),
            ("[::1]", NameError::IpLiteral),
            ("::1", NameError::IpLiteral),
            ("１２７.0.0.１", NameError::IpLiteral),
            (".", NameError::Length),
            ("a..b", NameError::Syntax),
            (".example.com", NameError::Syntax),
            ("-a.example", NameError::Syntax),
            ("a b.example", NameError::Syntax),
            ("a/b", NameError::Syntax),
            ("a\0b.example", NameError::Syntax),
            ("a\nb.example", NameError::Syntax),
        ] {
            assert_eq!(HostName::parse(given), Err(why), "{given:?}");
        }
    }

    #[test]
    fn a_name_of_253_bytes_is_the_longest() {
        let name = format!("{}aaa", "a.".repeat(125));
        assert_eq!(name.len(), 253);
        assert!(HostName::parse(&name).is_ok());
        assert_eq!(HostName::parse(&format!("{name}a")), Err(NameError::Length));
    }
}
