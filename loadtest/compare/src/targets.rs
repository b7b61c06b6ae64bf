//! What issue 3 asks for, and whether the run meets it.

use std::fmt;

#[derive(Default)]
pub(crate) struct Targets(Vec<(String, String, String, bool)>);

impl Targets {
    /// The targets of one corpus: ratios of matcher, pipeline and chunks, the pipeline's MB/s, and bodies cut off by the budget, of all.
    pub(crate) fn corpus(&mut self, name: &str, [matcher, pipeline, chunks]: [f64; 3], speed: f64, (cut, all): (usize, usize)) {
        if name == "worst" {
            let measured = format!("{speed:.1} MB/s; {cut} of {all} cut off");
            self.0.push((
                "worst: whole pipeline, or cut off by the budget".into(),
                "≥ 50 MB/s".into(),
                measured,
                speed >= 50.0 || cut == all,
            ));
        } else {
            let (hyperscan, kingfisher) =
                (if matches!(name, "llm-json" | "lock-files") { 2.5 } else { 1.2 }, if name == "llm-json" { 3.0 } else { 2.0 });
            self.at_least(&format!("{name}: detectors, of Hyperscan"), hyperscan, matcher);
            self.at_least(&format!("{name}: whole pipeline, of kingfisher"), kingfisher, pipeline);
        }
        self.at_least(&format!("{name}: chunks of 16 KiB, of whole"), 0.95, chunks);
    }

    fn at_least(&mut self, what: &str, target: f64, measured: f64) {
        self.0.push((what.into(), format!("≥ {target} ×"), format!("{measured:.2} ×"), measured >= target));
    }

    pub(crate) fn at_most(&mut self, what: &str, target: f64, measured: f64, unit: &str) {
        let unit = if unit == "×" { " ×" } else { unit };
        self.0.push((what.into(), format!("≤ {target}{unit}"), format!("{measured:.2}{unit}"), measured <= target));
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = self.0.iter().filter(|t| t.3).count();
        writeln!(f, "### Targets\n\n{met} of {} are met.\n\n| what | target | measured | met |\n|---|---|---|---|", self.0.len())?;
        for (what, target, measured, met) in &self.0 {
            writeln!(f, "| {what} | {target} | {measured} | {} |", if *met { "yes" } else { "**no**" })?;
        }
        Ok(())
    }
}
