//! Sizes and durations with units, as people write them.

use std::time::Duration;

/// Reads `64KiB`, `1MiB`, `2GiB`, `1TiB` or a plain number of bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Reads `50ms`, `10s`, `5m`, `1h`. A number without a unit is no duration.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_nonsense_is_not() {
        assert_eq!(bytes("1MiB"), Some(1 << 20));
        assert_eq!(bytes("512 KiB"), Some(512 << 10));
        assert_eq!(bytes("7"), Some(7));
        assert_eq!(duration("50ms"), Some(Duration::from_millis(50)));
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        for bad in ["", "MiB", "1MB", "-1", "1.5MiB", "99999999999999999999", "18446744073709551615GiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        for bad in ["10", "s", "1d", "1 minute"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
