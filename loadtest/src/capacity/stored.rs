//! The form of `loadtest/results/capacity.json`, which docs/scaling.md is computed from. Fields are described in `loadtest/README.md`.

use serde::Serialize;

use crate::measured::Measured;

#[derive(Debug, Serialize)]
pub(super) struct Capacity {
    pub(super) measured: Measured,
    pub(super) costs: Vec<Cost>,
    pub(super) memory: Memory,
    pub(super) service_times_us: ServiceTimes,
    pub(super) load: Vec<Load>,
    pub(super) mint_us_per_leaf: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Cost {
    pub(super) tier: String,
    pub(super) what: String,
    pub(super) cpu_us_per_request: f64,
    pub(super) cpu_ms_per_mib: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) envoy_idle_tunnel_kib: f64,
    pub(super) envoy_stream_kib: f64,
    pub(super) scanner_stream_kib: f64,
    pub(super) scanner_base_mib: f64,
    pub(super) envoy_base_mib: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct ServiceTimes {
    pub(super) scenario: String,
    pub(super) quantiles: Vec<(f64, f64)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Load {
    pub(super) scenario: String,
    pub(super) rate_per_s: f64,
    pub(super) utilisation: f64,
    pub(super) mean_us: f64,
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
}

impl Capacity {
    /// The figures as text.
    pub(super) fn table(&self) -> String {
        let mut lines = vec![format!("{}, {}, revision {}", self.measured.machine, self.measured.date, self.measured.revision)];
        lines.push("\n| tier | what | µs a request | ms a MiB |\n|---|---|---|---|".to_owned());
        for cost in &self.costs {
            let mib = cost.cpu_ms_per_mib.map_or_else(String::new, |ms| format!("{ms:.2}"));
            lines.push(format!("| {} | {} | {:.1} | {mib} |", cost.tier, cost.what, cost.cpu_us_per_request));
        }
        let memory = &self.memory;
        lines.push(format!(
            "\nMemory: Envoy {:.0} MiB, an idle tunnel {:.0} KiB, a held request {:.0} KiB; scanner {:.0} MiB, a held request {:.0} KiB",
            memory.envoy_base_mib,
            memory.envoy_idle_tunnel_kib,
            memory.envoy_stream_kib,
            memory.scanner_base_mib,
            memory.scanner_stream_kib
        ));
        lines.push(format!("A leaf: {:.0} µs of the certificates service", self.mint_us_per_leaf));
        let times =
            self.service_times_us.quantiles.iter().map(|(quantile, us)| format!("p{} {us:.0}", quantile * 100.0)).collect::<Vec<_>>();
        lines.push(format!("{} alone, µs: {}", self.service_times_us.scenario, times.join(", ")));
        lines.push("\n| load | requests/s | of the peak | mean, µs | p50 | p90 | p99 |\n|---|---|---|---|---|---|---|".to_owned());
        for load in &self.load {
            lines.push(format!(
                "| {} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} | {:.0} |",
                load.scenario, load.rate_per_s, load.utilisation, load.mean_us, load.p50_us, load.p90_us, load.p99_us
            ));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_that_the_readme_describes_and_others_read() {
        let capacity = Capacity {
            measured: Measured { date: "d".into(), revision: "r".into(), machine: "m".into(), command: "c".into() },
            costs: vec![Cost { tier: "envoy".into(), what: "get".into(), cpu_us_per_request: 1.0, cpu_ms_per_mib: None }],
            memory: Memory {
                envoy_idle_tunnel_kib: 1.0,
                envoy_stream_kib: 1.0,
                scanner_stream_kib: 1.0,
                scanner_base_mib: 1.0,
                envoy_base_mib: 1.0,
            },
            service_times_us: ServiceTimes { scenario: "get".into(), quantiles: vec![(0.5, 1.0)] },
            load: vec![Load {
                scenario: "get".into(),
                rate_per_s: 1.0,
                utilisation: 0.5,
                mean_us: 1.0,
                p50_us: 1.0,
                p90_us: 1.0,
                p99_us: 1.0,
            }],
            mint_us_per_leaf: 1.0,
        };
        let value = serde_json::to_value(&capacity).unwrap();
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        for (key, inner) in value.as_object().unwrap() {
            assert!(readme.contains(key), "{key}");
            let inner = if let Some(list) = inner.as_array() { &list[0] } else { inner };
            for field in inner.as_object().into_iter().flat_map(|map| map.keys()) {
                assert!(readme.contains(field.as_str()), "{key}.{field}");
            }
        }
        assert_eq!(value["service_times_us"]["quantiles"][0], serde_json::json!([0.5, 1.0]));
        assert!(value["costs"][0]["cpu_ms_per_mib"].is_null() && capacity.table().contains("| envoy | get | 1.0 |  |"));
    }
}
