//! What a body of any size costs, from what was measured at some sizes.

use crate::Error;
use crate::capacity::Cost;

/// Bytes of a MiB.
pub const MIB: f64 = 1_048_576.0;

/// CPU time of a request by the size of its body, at one tier: straight lines between what was measured, and on beyond.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Sizes in bytes and microseconds, rising in size; the first is without body, and there is another.
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// The curve of a tier. Of the kinds of request those count whose name begins with `like`; where none does, all.
    ///
    /// # Errors
    /// The tier has no cost of `get`, or none of any body.
    pub fn of(costs: &[Cost], tier: &str, like: &str) -> Result<Curve, Error> {
        let none = || Error::NoCost { tier: tier.to_owned() };
        let get = costs.iter().find(|c| c.tier == tier && c.what == "get").ok_or_else(none)?.cpu_us_per_request;
        let bodies: Vec<(&str, f64, f64)> =
            costs.iter().filter(|c| c.tier == tier).filter_map(|c| Some((c.what.as_str(), size(c)?, c.cpu_us_per_request))).collect();
        let some_alike = bodies.iter().any(|(what, ..)| what.starts_with(like));
        let chosen = bodies.iter().filter(|(what, ..)| !some_alike || what.starts_with(like));
        let mut points: Vec<(f64, f64)> = chosen.map(|(_, size, us)| (*size, *us)).collect();
        if points.is_empty() {
            return Err(none());
        }
        points.push((0.0, get));
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(Curve { points })
    }

    /// CPU time of a request with a body of so many bytes, microseconds.
    #[must_use]
    pub fn us(&self, bytes: f64) -> f64 {
        let last = self.points.len() - 1;
        let above = self.points.partition_point(|(size, _)| *size < bytes).clamp(1, last);
        let ((size, us), (size_above, us_above)) = (self.points[above - 1], self.points[above]);
        // A longer body never costs less than a shorter one, whatever chance made of the two measurements.
        us + (bytes - size) * ((us_above - us) / (size_above - size)).max(0.0)
    }
}

/// What Envoy spends on a MiB of an answer, microseconds. Answers were not measured by themselves: it is what a MiB of the longest request's body
/// costs it beyond what a request costs anyway, which is more, since a body goes to the scanner and back as well.
///
/// # Errors
/// As [`Curve::of`].
pub fn answer_us_per_mib(costs: &[Cost]) -> Result<f64, Error> {
    let longest = costs.iter().filter(|c| c.tier == "envoy").filter_map(|c| Some((size(c)?, c))).max_by(|a, b| a.0.total_cmp(&b.0));
    let (_, cost) = longest.ok_or_else(|| Error::NoCost { tier: "envoy".to_owned() })?;
    let curve = Curve::of(costs, "envoy", &cost.what)?;
    Ok(curve.us(MIB) - curve.us(0.0))
}

/// The mean size of its bodies, bytes: all of the time was divided by all requests, and by all bytes. `None`: it had none.
fn size(cost: &Cost) -> Option<f64> {
    let ms = cost.cpu_ms_per_mib.filter(|ms| *ms > 0.0)?;
    Some(cost.cpu_us_per_request / 1000.0 / ms * MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(what: &str, us: f64, ms: Option<f64>) -> Cost {
        Cost { tier: "scanner".into(), what: what.into(), cpu_us_per_request: us, cpu_ms_per_mib: ms }
    }

    #[test]
    fn between_measured_sizes_it_is_a_straight_line_and_beyond_them_it_goes_on() {
        // Of 1 MiB, 4 KiB and 1 MiB.
        let costs = [
            cost("upload-1m", 1100.0, Some(1.1)),
            cost("get", 100.0, None),
            cost("json-4k", 200.0, Some(51.2)),
            cost("json-1m", 5100.0, Some(5.1)),
        ];
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} is not {b}");
        let uploads = Curve::of(&costs, "scanner", "upload").unwrap();
        for (bytes, us) in [(0.0, 100.0), (MIB / 2.0, 600.0), (MIB, 1100.0), (3.0 * MIB, 3100.0)] {
            near(uploads.us(bytes), us);
        }
        let json = Curve::of(&costs, "scanner", "json").unwrap();
        for (bytes, us) in [(2048.0, 150.0), (4096.0, 200.0), (MIB, 5100.0)] {
            near(json.us(bytes), us);
        }
        assert!(Curve::of(&costs, "envoy", "json").is_err());
    }

    #[test]
    fn an_answer_costs_what_the_longest_body_does_without_its_request() {
        let envoy = costs_of_envoy(&[("get", 100.0, None), ("json-4k", 300.0, Some(76.8)), ("upload-256k", 600.0, Some(2.4))]);
        assert!((answer_us_per_mib(&envoy).unwrap() - 2000.0).abs() < 1e-6);
        assert!(answer_us_per_mib(&envoy[..1]).is_err());
    }

    fn costs_of_envoy(costs: &[(&str, f64, Option<f64>)]) -> Vec<Cost> {
        costs.iter().map(|(what, us, ms)| Cost { tier: "envoy".into(), ..cost(what, *us, *ms) }).collect()
    }

    #[test]
    fn a_longer_body_never_costs_less() {
        let noisy = [cost("get", 100.0, None), cost("json-4k", 90.0, Some(23.04))];
        assert_eq!(Curve::of(&noisy, "scanner", "json").unwrap().us(8192.0), 100.0);
    }
}
