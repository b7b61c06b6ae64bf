//! What a body of any size costs, from what was measured at some sizes.

use crate::Error;
use crate::capacity::Cost;

/// Bytes of a MiB.
pub const MIB: f64 = 1_048_576.0;

/// CPU time of a request by the size of its body, at one tier: straight lines between what was measured, and on beyond.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Sizes in bytes and microseconds, rising in size; the first is without body.
    points: Vec<(f64, f64)>,
    /// Microseconds a byte beyond the last.
    slope: f64,
}

impl Curve {
    /// The curve of a tier. Of the kinds of request those count whose name begins with `like` (`json` of `json-4k`); where none does, all.
    ///
    /// # Errors
    /// The tier has no cost of `get`, or none of any body.
    pub fn of(costs: &[Cost], tier: &str, like: &str) -> Result<Curve, Error> {
        let ours: Vec<(&Cost, f64)> =
            costs.iter().filter(|c| c.tier == tier && !is_download(c)).filter_map(|c| Some((c, size(&c.what)?))).collect();
        let none = || Error::NoCost { tier: tier.to_owned() };
        let get = ours.iter().find(|(_, size)| *size == 0.0).ok_or_else(none)?.0.cpu_us_per_request;
        let alike = |c: &Cost| c.what.split('-').next() == Some(like);
        let some_alike = ours.iter().any(|(c, size)| *size > 0.0 && alike(c));
        let mut bodies: Vec<(&Cost, f64)> = ours.into_iter().filter(|(c, size)| *size > 0.0 && (!some_alike || alike(c))).collect();
        bodies.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (last, bytes) = *bodies.last().ok_or_else(none)?;
        let slope = last.cpu_ms_per_mib.map_or((last.cpu_us_per_request - get).max(0.0) / bytes, |ms| ms * 1000.0 / MIB);
        let points = std::iter::once((0.0, get)).chain(bodies.iter().map(|(c, size)| (*size, c.cpu_us_per_request))).collect();
        Ok(Curve { points, slope })
    }

    /// CPU time of a request with a body of so many bytes, microseconds.
    #[must_use]
    pub fn us(&self, bytes: f64) -> f64 {
        let between = self.points.windows(2).find(|two| bytes <= two[1].0);
        match between {
            Some(two) => {
                let share = (bytes - two[0].0) / (two[1].0 - two[0].0);
                two[0].1 + share * (two[1].1 - two[0].1)
            }
            None => self.points.last().map_or(0.0, |(size, us)| us + (bytes - size) * self.slope),
        }
    }
}

/// What Envoy spends on a MiB of a response, milliseconds, and whether that was measured: where no `download-…` was, it is what a MiB of a
/// request's body costs it, which is more, since that goes through the scanner as well.
#[must_use]
pub fn response_ms_per_mib(costs: &[Cost]) -> Option<(f64, bool)> {
    let envoy = || costs.iter().filter(|c| c.tier == "envoy");
    let dearest =
        |list: Vec<&Cost>| list.iter().filter_map(|c| Some((size(&c.what)?, c.cpu_ms_per_mib?))).max_by(|a, b| a.0.total_cmp(&b.0));
    let measured = dearest(envoy().filter(|c| is_download(c)).collect());
    measured.map(|(_, ms)| (ms, true)).or_else(|| dearest(envoy().collect()).map(|(_, ms)| (ms, false)))
}

fn is_download(cost: &Cost) -> bool {
    cost.what.starts_with("download")
}

/// The size of the body that a name tells: `get` none, `json-4k` 4 KiB, `upload-100m` 100 MiB. `None`: it tells none.
#[must_use]
pub fn size(what: &str) -> Option<f64> {
    if what == "get" {
        return Some(0.0);
    }
    what.split('-').rev().find_map(|word| {
        let word = word.to_lowercase();
        let word = word.trim_end_matches("ib").trim_end_matches('b');
        let (digits, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
        let factor = match unit {
            "k" => 1024.0,
            "m" => MIB,
            "g" => 1024.0 * MIB,
            _ => return None,
        };
        Some(digits.parse::<f64>().ok()? * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(what: &str, us: f64, ms: Option<f64>) -> Cost {
        Cost { tier: "scanner".into(), what: what.into(), cpu_us_per_request: us, cpu_ms_per_mib: ms }
    }

    #[test]
    fn names_tell_sizes() {
        let sizes = ["get", "json-4k", "upload-256KiB", "upload-100m", "llm-turn", "json-4"].map(size);
        assert_eq!(sizes, [Some(0.0), Some(4096.0), Some(262_144.0), Some(104_857_600.0), None, None]);
    }

    #[test]
    fn between_measured_sizes_it_is_a_straight_line_and_beyond_them_the_last_slope() {
        let costs = [cost("upload-1m", 1100.0, Some(2.0)), cost("get", 100.0, None), cost("json-1m", 5100.0, None)];
        let uploads = Curve::of(&costs, "scanner", "upload").unwrap();
        assert_eq!([0.0, MIB / 2.0, MIB, 3.0 * MIB].map(|b| uploads.us(b)), [100.0, 600.0, 1100.0, 5100.0]);
        let json = Curve::of(&costs, "scanner", "json").unwrap();
        assert!((json.us(2.0 * MIB) - 10_100.0).abs() < 1e-6, "{}", json.us(2.0 * MIB));
        assert!(Curve::of(&costs, "envoy", "json").is_err());
    }

    #[test]
    fn a_response_costs_what_a_download_did_or_at_most_what_an_upload_does() {
        let envoy = |what: &str, ms| Cost { tier: "envoy".into(), what: what.into(), cpu_us_per_request: 1.0, cpu_ms_per_mib: Some(ms) };
        assert_eq!(response_ms_per_mib(&[envoy("upload-1m", 7.0)]), Some((7.0, false)));
        assert_eq!(response_ms_per_mib(&[envoy("upload-1m", 7.0), envoy("download-1m", 3.0)]), Some((3.0, true)));
        assert_eq!(response_ms_per_mib(&[]), None);
    }
}
