//! The tables of `docs/scaling.md`, as Markdown.

mod check;
mod picture;
mod plans;
mod queues;

use crate::sizing::{Allowed, Plan, plan};
use crate::tiers::Tiers;
use crate::{Capacity, Error, Limits, Workload};

pub use self::check::{Held, Prediction};

/// Numbers of sandboxes that replicas are told for.
pub const SIZES: [f64; 3] = [100.0, 10_000.0, 1_000_000.0];

/// One generated part of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its marker.
    pub name: &'static str,
    /// Its text.
    pub markdown: String,
}

/// All that tables are made from.
#[derive(Debug)]
pub struct Study {
    /// What sandboxes send.
    pub load: Workload,
    /// What it costs.
    pub capacity: Capacity,
    /// What bounds it.
    pub limits: Limits,
    /// Requests of a run of the simulation.
    pub jobs: usize,
    /// What chance begins with.
    pub seed: u64,
    /// Processors of the machine of the measurements.
    pub cores: usize,
}

impl Study {
    fn tiers(&self) -> Tiers<'_> {
        Tiers { load: &self.load, capacity: &self.capacity, limits: &self.limits, jobs: self.jobs, seed: self.seed }
    }

    fn scanner_cores(&self) -> usize {
        (self.limits.scanner.cpus.round() as usize).max(1)
    }

    /// The utilisations that the simulation allows. Where none is, the lowest that was tried.
    fn allowed(&self) -> Result<(Option<f64>, Option<f64>, Allowed), Error> {
        let tiers = self.tiers();
        let (gateway, scanner) = (tiers.allowed(&tiers.gateway()?), tiers.allowed(&tiers.scanner(self.scanner_cores())?));
        let lowest = Tiers::grid().next().unwrap_or(0.1);
        let allowed = Allowed { gateway: gateway.unwrap_or(lowest), scanner: scanner.unwrap_or(lowest) };
        Ok((gateway, scanner, allowed))
    }

    fn plans(&self, allowed: Allowed) -> Result<Vec<Plan>, Error> {
        SIZES.iter().map(|n| plan(*n, &self.load, &self.capacity, &self.limits, allowed)).collect()
    }

    /// All parts, in the order of the document.
    ///
    /// # Errors
    /// A cost is lacking.
    pub fn parts(&self) -> Result<Vec<Part>, Error> {
        let (gateway, scanner, allowed) = self.allowed()?;
        let plans = self.plans(allowed)?;
        let part = |name, markdown| Part { name, markdown };
        Ok(vec![
            part("workload", plans::workload(&self.load)),
            part("costs", plans::costs(self)?),
            part("replicas", plans::replicas(&plans, &self.limits)),
            part("limits", plans::limits(&plans)),
            part("around", plans::around(&plans, &self.load, &self.limits)),
            part("utilisation", queues::utilisation(self, gateway, scanner)?),
            part("picture", "![How the wait grows with utilisation](pictures/scaling.svg)".to_owned()),
            part("balance", queues::balance(self)?),
            part("bursts", queues::bursts(self)?),
            part("sizes", queues::sizes(self)?),
            part("failure", queues::failure(self)?),
            part("theory", queues::theory(self)),
            part("check", check::markdown(&check::predictions(self))),
        ])
    }

    /// What the simulation says of every measured point whose service times were measured.
    #[must_use]
    pub fn predictions(&self) -> Vec<Prediction> {
        check::predictions(self)
    }

    /// The picture: how the wait grows with utilisation. SVG.
    ///
    /// # Errors
    /// A cost is lacking, or it cannot be drawn.
    pub fn picture(&self) -> Result<String, Error> {
        picture::draw(self)
    }
}

/// A table: heads, and rows of as many cells.
fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(heads.len()));
    let rows: String = rows
        .into_iter()
        .map(|row| {
            debug_assert_eq!(row.len(), heads.len(), "{row:?} does not fit {heads:?}");
            line(&row)
        })
        .collect();
    line(&heads) + &rule + &rows
}

/// A number of three significant digits, or all digits before the point; thousands apart.
fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = if value == 0.0 || value.abs() >= 100.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 6) };
    let text = format!("{value:.*}", digits as usize);
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest.trim_end_matches('0'))));
    let mut apart = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !apart.ends_with('-') {
            apart.push(',');
        }
        apart.push(digit);
    }
    match rest {
        Some(rest) if !rest.is_empty() => format!("{apart}.{rest}"),
        _ => apart,
    }
}

/// A time that is given in microseconds, as milliseconds.
fn ms(us: f64) -> String {
    figure(us / 1000.0)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_thousands_stand_apart() {
        let texts = [0.0, 0.001_234, 0.5, 12.345, 999.6, 1234.5, 1e6, -1500.0, f64::INFINITY].map(figure);
        assert_eq!(texts, ["0", "0.00123", "0.5", "12.3", "1,000", "1,234", "1,000,000", "-1,500", "–"]);
    }
}
