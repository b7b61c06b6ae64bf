//! When requests come.

use std::collections::VecDeque;

use rand::Rng;

/// A stream of requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// At even distances, as a load test sends them.
    Paced {
        /// Requests a second.
        rate: f64,
    },
    /// Of very many that know nothing of each other.
    Poisson {
        /// Requests a second.
        rate: f64,
    },
    /// Of some that work and rest, each for exponential times, and send (Poisson) while they work.
    OnOff {
        /// Requests a second, on average.
        rate: f64,
        /// How many send.
        sources: usize,
        /// How long one works, seconds, on average.
        on_s: f64,
        /// How long one rests, seconds, on average.
        off_s: f64,
    },
    /// Of many, a share of whose requests come together: woken by a clock, or by a job that starts them all.
    Together {
        /// Requests a second, on average.
        rate: f64,
        /// The share of requests that comes in bursts; the rest is Poisson.
        share: f64,
        /// Seconds from burst to burst.
        every_s: f64,
        /// Seconds that a burst lasts; no longer than `every_s`.
        spread_s: f64,
    },
}

impl Arrivals {
    /// The same pattern at another rate.
    #[must_use]
    pub fn with_rate(&self, to: f64) -> Arrivals {
        let mut other = self.clone();
        match &mut other {
            Arrivals::Paced { rate } | Arrivals::Poisson { rate } | Arrivals::OnOff { rate, .. } | Arrivals::Together { rate, .. } => {
                *rate = to
            }
        }
        other
    }
}

/// Tells the times of a stream, in order, microseconds.
pub(super) struct Clock {
    arrivals: Arrivals,
    now: f64,
    /// How many work; `None` before the first request.
    working: Option<usize>,
    /// The rest of the burst under way, and when the next begins.
    burst: VecDeque<f64>,
    next_burst: f64,
}

impl Clock {
    pub(super) fn of(arrivals: &Arrivals) -> Clock {
        Clock { arrivals: arrivals.clone(), now: 0.0, working: None, burst: VecDeque::new(), next_burst: 0.0 }
    }

    pub(super) fn next(&mut self, chance: &mut impl Rng) -> f64 {
        match self.arrivals {
            Arrivals::Paced { rate } => self.now += 1e6 / rate,
            Arrivals::Poisson { rate } => self.now += pause(rate / 1e6, chance),
            Arrivals::OnOff { rate, sources, on_s, off_s } => self.on_off(rate / 1e6, sources, (on_s * 1e6, off_s * 1e6), chance),
            Arrivals::Together { rate, share, every_s, spread_s } => {
                return self.together(rate / 1e6, share, (every_s * 1e6, spread_s * 1e6), chance);
            }
        }
        self.now
    }

    /// Exponential times know no past: how many work says all, and no source needs to be followed by itself.
    fn on_off(&mut self, rate: f64, sources: usize, (on, off): (f64, f64), chance: &mut impl Rng) {
        let share = on / (on + off);
        let each = rate / (sources as f64 * share);
        let mut working = self.working.unwrap_or_else(|| (0..sources).filter(|_| chance.random::<f64>() < share).count());
        loop {
            let (sends, rests, wakes) = (working as f64 * each, working as f64 / on, (sources - working) as f64 / off);
            self.now += pause(sends + rests + wakes, chance);
            let mark = chance.random::<f64>() * (sends + rests + wakes);
            if mark < sends {
                break;
            } else if mark < sends + rests {
                working -= 1;
            } else {
                working += 1;
            }
        }
        self.working = Some(working);
    }

    fn together(&mut self, rate: f64, share: f64, (every, spread): (f64, f64), chance: &mut impl Rng) -> f64 {
        let alone = rate * (1.0 - share);
        if self.working.is_none() {
            self.working = Some(0);
            self.now = pause(alone, chance);
        }
        if self.burst.is_empty() {
            let mut times: Vec<f64> =
                (0..(rate * share * every).round().max(1.0) as usize).map(|_| self.next_burst + chance.random::<f64>() * spread).collect();
            times.sort_by(f64::total_cmp);
            self.burst = times.into();
            self.next_burst += every;
        }
        match self.burst.front() {
            Some(&first) if first <= self.now => {
                self.burst.pop_front();
                first
            }
            _ => {
                let time = self.now;
                self.now += pause(alone, chance);
                time
            }
        }
    }
}

fn pause(rate: f64, chance: &mut impl Rng) -> f64 {
    -(1.0 - chance.random::<f64>()).ln() / rate
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_pattern_keeps_its_rate_and_its_order() {
        let patterns = [
            Arrivals::Paced { rate: 1000.0 },
            Arrivals::Poisson { rate: 1000.0 },
            Arrivals::OnOff { rate: 1000.0, sources: 200, on_s: 0.5, off_s: 1.5 },
            Arrivals::Together { rate: 1000.0, share: 0.3, every_s: 1.0, spread_s: 0.1 },
        ];
        for arrivals in patterns {
            let (mut clock, mut chance) = (Clock::of(&arrivals), StdRng::seed_from_u64(7));
            let times: Vec<f64> = (0..200_000).map(|_| clock.next(&mut chance)).collect();
            assert!(times.windows(2).all(|two| two[0] <= two[1]), "{arrivals:?}");
            let rate = 200_000.0 / times.last().unwrap() * 1e6;
            assert!((rate / 1000.0 - 1.0).abs() < 0.02, "{arrivals:?}: {rate}");
        }
    }
}
