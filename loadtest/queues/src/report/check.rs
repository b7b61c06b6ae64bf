//! The simulation beside what was measured.

use super::{Study, figure, percent, table};
use crate::LoadPoint;
use crate::sim::{Arrivals, Balance, Class, Model, Quantiles, Service};
use crate::tiers::SLICE_US;

/// An error up to which a prediction is called good.
const GOOD: f64 = 0.25;

/// One measured point, and what the simulation says of it.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// What was measured.
    pub measured: LoadPoint,
    /// What the simulation says, microseconds.
    pub predicted: Quantiles,
    /// What it says if requests came by chance (Poisson) and not at even distances, microseconds.
    pub by_chance: Quantiles,
    /// The processors' time for a request over the time that it takes alone.
    pub busy_share: f64,
}

impl Prediction {
    /// By how much the prediction is off, of what was measured: of the median and of the 99th percentile. Positive: it says too much.
    #[must_use]
    pub fn errors(&self) -> (f64, f64) {
        (self.predicted.p50 / self.measured.p50_us - 1.0, self.predicted.p99 / self.measured.p99_us - 1.0)
    }

    fn worst(&self) -> f64 {
        let (p50, p99) = self.errors();
        p50.abs().max(p99.abs())
    }
}

/// How far the simulation can be trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Points with no more than this utilisation are all good.
    pub up_to: f64,
    /// The worst error among them.
    pub worst: f64,
}

impl Held {
    /// Up to where all points are good; `None`: the one with the lowest utilisation is not.
    #[must_use]
    pub fn of(predictions: &[Prediction]) -> Option<Held> {
        let mut sorted: Vec<&Prediction> = predictions.iter().collect();
        sorted.sort_by(|a, b| a.measured.utilisation.total_cmp(&b.measured.utilisation));
        let good: Vec<&Prediction> = sorted.into_iter().take_while(|p| p.worst() <= GOOD).collect();
        let worst = good.iter().map(|p| p.worst()).fold(0.0, f64::max);
        Some(Held { up_to: good.last()?.measured.utilisation, worst })
    }
}

/// What the simulation says of every measured point whose service times were measured.
///
/// Service times are those of requests alone, from sending to the answer. They are not the processors' time: what runs beside each other
/// (generator, gateway, scanner, origin are all on the one machine) is less in them than it costs, and waiting for the wire is more. At the
/// peak all processors are busy, so at a part of it that part of them is: that is the time which queues, in the shape of the measured times,
/// and what comes of waiting is added to the time alone. So the utilisation is given to the model; it says how waiting follows from it.
pub(super) fn predictions(study: &Study) -> Vec<Prediction> {
    study.capacity.load.iter().filter_map(|point| prediction(study, point)).collect()
}

fn prediction(study: &Study, point: &LoadPoint) -> Option<Prediction> {
    let alone = Service::Quantiles(study.capacity.service_times(&point.scenario)?.quantiles.clone());
    let busy = point.utilisation * study.cores as f64 / point.rate_per_s * 1e6;
    let busy_share = busy / alone.mean();
    let model = Model {
        arrivals: Arrivals::Paced { rate: point.rate_per_s },
        classes: vec![Class { name: point.scenario.clone(), weight: 1.0, service: alone.with_mean(busy), pool: 0 }],
        pools: vec![1],
        cores: study.cores,
        balance: Balance::Central,
        slice_us: Some(SLICE_US),
        failure: None,
        jobs: study.jobs,
        seed: study.seed,
    };
    let by_chance = Model { arrivals: Arrivals::Poisson { rate: point.rate_per_s }, ..model.clone() };
    let times = |model: &Model| Quantiles::of(model.run().waits_and_services().map(|(wait, busy)| wait + busy / busy_share).collect());
    Some(Prediction { measured: point.clone(), predicted: times(&model)?, by_chance: times(&by_chance)?, busy_share })
}

pub(super) fn markdown(predictions: &[Prediction]) -> String {
    if predictions.is_empty() {
        return "No point under load was measured whose service times were measured too: the simulation is not checked.".to_owned();
    }
    let signed = |share: f64| format!("{:+.0} %", share * 100.0);
    let rows = predictions.iter().map(|p| {
        let (m, (p50, p99)) = (&p.measured, p.errors());
        let us = [m.p50_us, p.predicted.p50].map(figure);
        let tail = [m.p99_us, p.predicted.p99].map(figure);
        [
            vec![m.scenario.clone(), figure(m.rate_per_s), percent(m.utilisation), percent(p.busy_share)],
            us.to_vec(),
            vec![signed(p50)],
            tail.to_vec(),
            vec![signed(p99), figure(p.by_chance.p99)],
        ]
        .concat()
    });
    let point = ["scenario", "requests/s", "of the peak", "CPU over time alone"];
    let heads = [&point[..], &["p50 µs", "predicted", "error", "p99 µs", "predicted", "error", "if by chance"]].concat();
    format!("{}\n{}\n", table(&heads, rows), sentence(predictions))
}

fn sentence(predictions: &[Prediction]) -> String {
    let worst = predictions.iter().max_by(|a, b| a.worst().total_cmp(&b.worst()));
    let worst = worst.map_or(String::new(), |p| {
        format!(
            "The worst of all {} points is off by {} ({} at {}).",
            predictions.len(),
            percent(p.worst()),
            p.measured.scenario,
            percent(p.measured.utilisation)
        )
    });
    match Held::of(predictions) {
        Some(held) => format!(
            "Median and 99th percentile hold within {} up to a utilisation of {}. {worst}",
            percent(held.worst),
            percent(held.up_to)
        ),
        None => {
            format!("The simulation does not hold: already at the lowest utilisation it is off by more than {}. {worst}", percent(GOOD))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(utilisation: f64, p50: f64, p99: f64) -> Prediction {
        let measured =
            LoadPoint { scenario: "get".into(), rate_per_s: 1.0, utilisation, mean_us: 100.0, p50_us: 100.0, p90_us: 150.0, p99_us: 200.0 };
        let predicted = Quantiles { mean: p50, p50, p90: p50, p99, p999: p99 };
        Prediction { measured, predicted, by_chance: predicted, busy_share: 0.5 }
    }

    #[test]
    fn it_is_trusted_up_to_the_first_point_that_is_off() {
        let points =
            [prediction(0.8, 100.0, 200.0), prediction(0.5, 110.0, 180.0), prediction(0.7, 100.0, 90.0), prediction(0.3, 100.0, 220.0)];
        let held = Held::of(&points).expect("two points are good");
        assert!(held.up_to == 0.5 && (held.worst - 0.1).abs() < 1e-9, "{held:?}");
        assert_eq!(Held::of(&points[2..3]), None);
        assert_eq!(Held::of(&[]), None);
        let said = sentence(&points);
        assert!(said.contains("within 10 % up to a utilisation of 50 %") && said.contains("off by 55 % (get at 70 %)"), "{said}");
        assert!(sentence(&points[2..3]).contains("does not hold"));
        assert!(markdown(&[]).contains("not checked"));
    }
}
