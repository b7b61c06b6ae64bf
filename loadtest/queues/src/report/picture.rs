//! How the wait grows with utilisation, as a picture.

use plotters::prelude::*;

use super::Study;
use crate::Error;
use crate::sim::Model;
use crate::tiers::Tiers;

const SIZE: (u32, u32) = (760, 420);
const LEAST_MS: f64 = 0.01;
const MOST_MS: f64 = 1000.0;

/// A line: its name, pairs of utilisation in per cent and wait in milliseconds, and its colour.
type Line = (String, Vec<(f64, f64)>, RGBColor);

pub(super) fn draw(study: &Study) -> Result<String, Error> {
    let tiers = study.tiers();
    let cores = study.scanner_cores();
    let bigger = cores * 4;
    let lines = [
        ("gateway".to_owned(), curve(&tiers, &tiers.gateway()?), RGBColor(0x1f, 0x77, 0xb4)),
        (format!("scanner, CPUs: {cores}"), curve(&tiers, &tiers.scanner(cores)?), RGBColor(0xd6, 0x27, 0x28)),
        (format!("scanner, CPUs: {bigger}"), curve(&tiers, &tiers.scanner(bigger)?), RGBColor(0x2c, 0xa0, 0x2c)),
    ];
    let mut svg = String::new();
    paint(&mut svg, &lines, study.load.wait_p99_ms).map_err(|error| Error::Picture(error.to_string()))?;
    Ok(svg)
}

fn curve(tiers: &Tiers<'_>, model: &Model) -> Vec<(f64, f64)> {
    let wait = |u: f64| tiers.small_p99(model, u).map(|us| (u * 100.0, (us / 1000.0).clamp(LEAST_MS, MOST_MS)));
    Tiers::grid().filter_map(wait).collect()
}

fn paint(svg: &mut String, lines: &[Line], objective: f64) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Wait of requests without body at the 99th percentile", ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..100.0, (LEAST_MS..MOST_MS).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("utilisation, %")
        .y_desc("ms")
        .y_label_formatter(&|ms| super::figure(*ms))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (name, points, colour) in lines {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let dashes = BLACK.mix(0.5).stroke_width(1);
    chart
        .draw_series(DashedLineSeries::new([(0.0, objective), (100.0, objective)], 5, 4, dashes))?
        .label("objective")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], dashes));
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).draw()?;
    area.present()?;
    Ok(())
}
