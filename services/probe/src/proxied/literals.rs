//! An address in the spellings that some reader or other takes for it.

use std::net::{IpAddr, Ipv4Addr};

/// All spellings, as they stand in a URL.
pub(super) fn spellings(ip: IpAddr) -> Vec<String> {
    match ip {
        IpAddr::V4(ip) => spellings4(ip),
        IpAddr::V6(ip) => vec![format!("[{ip}]")],
    }
}

fn spellings4(ip: Ipv4Addr) -> Vec<String> {
    let number = u32::from(ip);
    let [a, b, c, d] = ip.octets();
    let [high, low] = [number >> 16, number & 0xffff];
    vec![
        ip.to_string(),
        format!("{ip}."),
        // What inet_aton(3) reads.
        number.to_string(),
        format!("0x{number:08x}"),
        format!("0{number:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("{a}.{}", number & 0x00ff_ffff),
        format!("{a}.{b}.{low}"),
        // IPv4 in IPv6: mapped, translated (RFC 6052), 6to4 (RFC 3056).
        format!("[::ffff:{ip}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        // Full-width digits, which IDNA turns into digits, in percent-encoding.
        ip.to_string()
            .bytes()
            .map(|byte| if byte.is_ascii_digit() { format!("%EF%BC%{:X}", 0x90 + byte - b'0') } else { ".".into() })
            .collect(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_loopback() {
        assert_eq!(
            spellings(Ipv4Addr::LOCALHOST.into()),
            [
                "127.0.0.1",
                "127.0.0.1.",
                "2130706433",
                "0x7f000001",
                "017700000001",
                "0177.00.00.01",
                "0x7f.0x0.0x0.0x1",
                "127.1",
                "127.0.1",
                "[::ffff:127.0.0.1]",
                "[::ffff:7f00:1]",
                "[64:ff9b::7f00:1]",
                "[2002:7f00:1::]",
                "%EF%BC%91%EF%BC%92%EF%BC%97.%EF%BC%90.%EF%BC%90.%EF%BC%91",
            ]
        );
        assert_eq!(spellings("fd00:ec2::254".parse().unwrap()), ["[fd00:ec2::254]"]);
    }
}
