//! How long a request keeps a processor busy.

use rand::Rng;

/// A distribution of service times, microseconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Service {
    /// Always the same.
    Constant(f64),
    /// Exponential, with this mean.
    Exponential(f64),
    /// What was measured: pairs of a quantile (0 to 1) and a time, rising; straight lines between, and nothing beyond the first and last.
    Quantiles(Vec<(f64, f64)>),
}

impl Service {
    /// The mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self {
            Service::Constant(mean) | Service::Exponential(mean) => *mean,
            Service::Quantiles(points) => {
                let between: f64 = points.windows(2).map(|two| (two[1].0 - two[0].0) * (two[0].1 + two[1].1) / 2.0).sum();
                let below = points.first().map_or(0.0, |(q, us)| q * us);
                let above = points.last().map_or(0.0, |(q, us)| (1.0 - q) * us);
                below + between + above
            }
        }
    }

    /// The same shape with another mean.
    #[must_use]
    pub fn with_mean(&self, mean: f64) -> Service {
        match self {
            Service::Constant(_) => Service::Constant(mean),
            Service::Exponential(_) => Service::Exponential(mean),
            Service::Quantiles(points) => {
                let factor = mean / self.mean();
                Service::Quantiles(points.iter().map(|(q, us)| (*q, us * factor)).collect())
            }
        }
    }

    /// One of them.
    pub fn sample(&self, chance: &mut impl Rng) -> f64 {
        let u: f64 = chance.random();
        match self {
            Service::Constant(us) => *us,
            Service::Exponential(mean) => -mean * (1.0 - u).ln(),
            Service::Quantiles(points) => {
                let above = points.partition_point(|(q, _)| *q < u);
                match (above.checked_sub(1).map(|i| points[i]), points.get(above)) {
                    (Some((q, us)), Some((q2, us2))) => us + (us2 - us) * (u - q) / (q2 - q),
                    (Some((_, us)), None) | (None, Some(&(_, us))) => us,
                    (None, None) => 0.0,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn samples_have_the_mean_that_is_said() {
        let mut chance = StdRng::seed_from_u64(1);
        let quantiles = Service::Quantiles(vec![(0.1, 1.0), (0.5, 3.0), (0.99, 10.0)]);
        for service in [Service::Constant(5.0), Service::Exponential(5.0), quantiles.clone(), quantiles.with_mean(50.0)] {
            let mean = (0..200_000).map(|_| service.sample(&mut chance)).sum::<f64>() / 200_000.0;
            assert!((mean / service.mean() - 1.0).abs() < 0.01, "{service:?}: {mean}");
        }
        assert!((quantiles.with_mean(50.0).mean() - 50.0).abs() < 1e-9);
    }
}
