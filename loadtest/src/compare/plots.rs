//! The pictures of a comparison, SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::figures::Figures;
use crate::world::Target;

/// The file of the peaks.
pub(super) const PEAKS: &str = "load-peaks.svg";
/// The file of the latencies.
pub(super) const LATENCIES: &str = "load-latency.svg";

const SIZE: (u32, u32) = (900, 420);
/// Latencies are drawn at these quantiles.
const DRAWN: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.999];

fn colour(target: Target) -> RGBColor {
    match target {
        Target::Direct => RGBColor(150, 150, 150),
        Target::Envoy => RGBColor(80, 130, 190),
        Target::Floor => RGBColor(220, 160, 60),
        Target::Portcullis => RGBColor(60, 140, 90),
        Target::Mitmproxy => RGBColor(180, 80, 90),
    }
}

/// Requests per second of each scenario and target, of the floor's.
pub(super) fn peaks(figures: &Figures, file: &Path) -> Result<()> {
    let of_floor = |name: &str, target| -> Option<f64> {
        let floor = figures.row(name, Target::Floor, false)?.rate_per_s;
        Some(figures.row(name, target, false)?.rate_per_s / floor)
    };
    let names: Vec<&str> = figures.scenarios().into_iter().filter(|name| of_floor(name, Target::Floor).is_some()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let most = names.iter().flat_map(|name| [Target::Envoy, Target::Portcullis].map(|target| of_floor(name, target).unwrap_or(0.0)));
    let top = (most.fold(1.0, f64::max) * 1.1).min(6.0);
    peak_chart(&root, &names, top, &of_floor).map_err(|error| anyhow!("{}: {error}", file.display()))
}

/// An error of the drawing library, which borrows what is drawn on.
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn peak_chart(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    names: &[&str],
    top: f64,
    of_floor: &dyn Fn(&str, Target) -> Option<f64>,
) -> Drawn {
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption("Requests per second, of the floor's", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..names.len() as f64, 0.0..top)?;
    let label =
        |x: &f64| if x.fract() == 0.5 { names.get(*x as usize).map_or_else(String::new, |name| (*name).to_owned()) } else { String::new() };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .disable_x_mesh()
        .x_labels(names.len() * 2 + 1)
        .x_label_formatter(&label)
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;
    let shown = [Target::Envoy, Target::Floor, Target::Portcullis, Target::Mitmproxy];
    let width = 0.8 / shown.len() as f64;
    for (place, target) in shown.into_iter().enumerate() {
        let bars = names.iter().enumerate().filter_map(|(x, name)| {
            let left = x as f64 + 0.1 + place as f64 * width;
            Some(Rectangle::new([(left, 0.0), (left + width * 0.92, of_floor(name, target)?.min(top))], colour(target).filled()))
        });
        chart
            .draw_series(bars)?
            .label(target.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour(target).filled()));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    root.present()?;
    Ok(())
}

/// Latencies of each target over the quantiles, one chart for a scenario.
pub(super) fn latencies(figures: &Figures, file: &Path) -> Result<()> {
    let names: Vec<&str> =
        figures.scenarios().into_iter().filter(|name| figures.rows.iter().any(|row| row.open && row.scenario == *name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let draw = || -> Drawn {
        root.fill(&WHITE)?;
        for (area, name) in root.split_evenly((1, names.len())).iter().zip(&names) {
            latency_chart(area, figures, name)?;
        }
        root.present()?;
        Ok(())
    };
    draw().map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn latency_chart(area: &DrawingArea<SVGBackend<'_>, Shift>, figures: &Figures, name: &str) -> Drawn {
    let rows: Vec<_> = figures.rows.iter().filter(|row| row.open && row.scenario == name).collect();
    let points = |row: &super::figures::Row| -> Vec<(f64, f64)> {
        DRAWN.iter().enumerate().map(|(x, quantile)| (x as f64, row.quantile_us(*quantile) / 1e3)).collect()
    };
    let top = rows.iter().flat_map(|row| points(row)).map(|(_, ms)| ms).fold(0.1, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{name}: latency, ms"), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..(DRAWN.len() - 1) as f64, (0.05..top).log_scale())?;
    let label =
        |x: &f64| DRAWN.get(x.round() as usize).map_or_else(String::new, |quantile| format!("p{}", (quantile * 1000.0).round() / 10.0));
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(DRAWN.len())
        .x_label_formatter(&label)
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;
    for row in rows {
        let colour = colour(row.target);
        chart
            .draw_series(LineSeries::new(points(row), colour.stroke_width(2)))?
            .label(row.target.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .position(SeriesLabelPosition::LowerRight)
        .draw()?;
    Ok(())
}
