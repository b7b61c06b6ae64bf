//! `loadtest report`: two comparisons side by side.

use std::path::PathBuf;

use anyhow::Result;

use crate::compare::{self, Comparison, Figures};
use crate::out;

/// Prints what changed from one to the other.
///
/// # Errors
/// One of the files is nothing that `compare` stored.
pub(crate) fn run(before: &PathBuf, after: &PathBuf) -> Result<()> {
    out::line(&text(&compare::stored(before)?, &compare::stored(after)?))
}

fn text(before: &Comparison, after: &Comparison) -> String {
    let said = |comparison: &Comparison| {
        let measured = &comparison.measured;
        format!("{}, revision {}, {}, {} rounds", measured.date, measured.revision, measured.machine, comparison.rounds)
    };
    let mut lines = vec![format!("before: {}", said(before)), format!("after:  {}", said(after)), String::new()];
    let (old, new) = (Figures::of(before), Figures::of(after));
    lines.push("| what | target | before | after | met |\n|---|---|---|---|---|".to_owned());
    for wanted in &new.wanted {
        let was = old.wanted.iter().find(|old| old.what == wanted.what);
        let met = |met: bool| if met { "yes" } else { "no" };
        let was = was.map_or((String::new(), "-"), |was| (was.measured(), met(was.met)));
        lines.push(format!(
            "| {} | {} | {} | {} | {} → {} |",
            wanted.what,
            wanted.target,
            was.0,
            wanted.measured(),
            was.1,
            met(wanted.met)
        ));
    }
    lines.push(
        "\n| scenario | target | loop | requests/s before | after | ratio | p50 ratio | p99 ratio |\n|---|---|---|---|---|---|---|---|"
            .to_owned(),
    );
    for row in &new.rows {
        let Some(was) = old.row(&row.scenario, row.target, row.open) else { continue };
        let ratio = |quantile| row.quantile_us(quantile) / was.quantile_us(quantile);
        lines.push(format!(
            "| {} | {} | {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
            row.scenario,
            row.target.name(),
            if row.open { "open" } else { "closed" },
            was.rate_per_s,
            row.rate_per_s,
            row.rate_per_s / was.rate_per_s,
            ratio(0.5),
            ratio(0.99)
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Measured;
    use crate::sample::tests::sample;
    use crate::world::Target;

    #[test]
    fn what_both_have_is_set_side_by_side() {
        let comparison = |date: &str, rate: f64| Comparison {
            measured: Measured { date: date.into(), revision: "r".into(), machine: "m".into(), command: "c".into() },
            rounds: 1,
            seconds: 1.0,
            samples: vec![sample("get", Target::Floor, None, 1000.0, 10.0), sample("get", Target::Portcullis, None, rate, 10.0)],
            held_kib: Vec::new(),
        };
        let text = text(&comparison("2026-01-01", 900.0), &comparison("2026-01-02", 990.0));
        assert!(text.contains("| get: requests/s, of floor | ≥ 0.93 × | 0.90 | 0.99 | no → yes |"), "{text}");
        assert!(text.contains("| get | portcullis | closed | 900.0 | 990.0 | 1.10 | 1.00 | 1.00 |"), "{text}");
    }
}
