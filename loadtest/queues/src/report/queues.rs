//! What the simulation says.

use super::{Study, figure, ms, percent, table};
use crate::Error;
use crate::sim::{Arrivals, Balance, Class, Failure, Model, Quantiles, Service};
use crate::sizing::Prices;
use crate::theory;
use crate::tiers::REPLICAS;

/// Processors of a scanner that are compared.
const CORES: [usize; 4] = [1, 2, 4, 8];

fn four(times: Option<Quantiles>) -> Vec<String> {
    times.map_or(vec!["–".to_owned(); 4], |t| [t.p50, t.p90, t.p99, t.p999].map(ms).to_vec())
}

/// How many times as many requests as other runs have those may have that must last for some time.
const MOST: usize = 20;

/// The number of requests of a run that lasts so long, seconds, but no fewer than others have.
fn lasting(model: &Model, rate: f64, seconds: f64) -> usize {
    ((rate * seconds) as usize).clamp(model.jobs, model.jobs * MOST)
}

pub(super) fn utilisation(study: &Study, gateway: Option<f64>, scanner: Option<f64>) -> Result<String, Error> {
    let tiers = study.tiers();
    let small: Vec<&str> = tiers.without_body().collect();
    let models = [("gateway", tiers.gateway()?), ("scanner", tiers.scanner(study.scanner_cores())?)];
    let mut rows = Vec::new();
    for (name, model) in &models {
        for utilisation in [0.3, 0.5, 0.6, 0.7, 0.8, 0.9] {
            let outcome = model.at(utilisation).run();
            let times = [four(outcome.waits_of(&small)), four(outcome.responses())].concat();
            rows.push([vec![(*name).to_owned(), percent(utilisation)], times].concat());
        }
    }
    let heads = ["tier", "busy", "wait p50", "p90", "p99", "p99.9", "time there p50", "p90", "p99", "p99.9"];
    let prices = Prices::of(&study.capacity)?;
    let used = crate::sizing::cpus(1e6, &study.load, |a| prices.scanner_us(a))?;
    let mut by_cores = Vec::new();
    for cores in CORES {
        let allowed = tiers.allowed(&tiers.scanner(cores)?);
        let cpus = allowed.map_or(f64::INFINITY, |allowed| used / allowed);
        by_cores.push(vec![cores.to_string(), allowed.map_or("none".to_owned(), percent), figure(cpus)]);
    }
    let said =
        [keeps("gateway", gateway, study.limits.gateway.target, study), keeps("scanner", scanner, study.limits.scanner.target, study)];
    Ok(format!(
        "{}\n{} {}\n\n{}",
        table(&heads, rows),
        said[0],
        said[1],
        table(&["CPUs of a scanner", "busy at most", "CPUs for 1,000,000 sandboxes, none in reserve"], by_cores)
    ))
}

/// What is allowed, beside what the autoscaler keeps.
fn keeps(tier: &str, allowed: Option<f64>, target: f64, study: &Study) -> String {
    let zones = study.load.around.zones;
    let objective = figure(study.load.wait_p99_ms);
    let Some(allowed) = allowed else {
        return format!("At no utilisation that was tried does the {tier} keep the wait below {objective} ms.");
    };
    let after = target * zones / (zones - 1.0);
    let (now, lost) = (target <= allowed + 1e-9, after <= allowed + 1e-9);
    let verdict = match (now, lost) {
        (true, true) => "that is kept, and still kept when a zone is lost".to_owned(),
        (true, false) => {
            format!(
                "that is kept; when a zone of {} is lost, the others run at {} until new pods are there, and it is not",
                figure(zones),
                percent(after)
            )
        }
        (false, _) => format!("at that it is not kept; either aim at {}, or give each replica more CPUs", percent(allowed)),
    };
    format!(
        "The {tier} keeps the wait below {objective} ms up to {}; the autoscaler aims at {}: {verdict}.",
        percent(allowed),
        percent(target)
    )
}

pub(super) fn balance(study: &Study) -> Result<String, Error> {
    let tiers = study.tiers();
    let model = tiers.scanner(study.scanner_cores())?;
    let small: Vec<&str> = tiers.without_body().collect();
    let ways = [
        ("one queue for all (nothing can be better)", Balance::Central),
        ("LEAST_REQUEST, 1 gateway", Balance::LeastOfTwo { gateways: 1 }),
        ("LEAST_REQUEST, 10 gateways", Balance::LeastOfTwo { gateways: 10 }),
        ("LEAST_REQUEST, 100 gateways", Balance::LeastOfTwo { gateways: 100 }),
        ("any scanner", Balance::Random),
        ("by connection, 20 for each scanner", Balance::Sticky { connections: 20 * REPLICAS }),
    ];
    let rows = ways.iter().map(|(name, balance)| {
        let model = Model { balance: *balance, ..model.clone() };
        let at = |u: f64| model.at(u).run().waits_of(&small).map_or(["–".to_owned(), "–".to_owned()], |w| [ms(w.p99), ms(w.p999)]);
        std::iter::once((*name).to_owned()).chain([0.4, 0.6, 0.8].into_iter().flat_map(at)).collect()
    });
    let heads = ["to the scanners", "40 %: p99", "p99.9", "60 %: p99", "p99.9", "80 %: p99", "p99.9"];
    Ok(table(&heads, rows.collect::<Vec<_>>()))
}

pub(super) fn bursts(study: &Study) -> Result<String, Error> {
    let tiers = study.tiers();
    let model = tiers.scanner(study.scanner_cores())?;
    let small: Vec<&str> = tiers.without_body().collect();
    let ways = [
        ("of very many (Poisson)", Arrivals::Poisson { rate: 1.0 }),
        ("200 agents, 2 s at work, 6 s at rest", Arrivals::OnOff { rate: 1.0, sources: 200, on_s: 2.0, off_s: 6.0 }),
        ("20 agents, 2 s at work, 6 s at rest", Arrivals::OnOff { rate: 1.0, sources: 20, on_s: 2.0, off_s: 6.0 }),
        ("a fifth comes together, within 1 s of every 10", Arrivals::Together { rate: 1.0, share: 0.2, every_s: 10.0, spread_s: 1.0 }),
    ];
    let rows = ways.into_iter().map(|(name, arrivals)| {
        let model = Model { arrivals, ..model.clone() };
        let at = |u: f64| {
            // Bursts are seconds apart: there must be many of them.
            let jobs = lasting(&model, model.rate_for(u), 100.0);
            let waits = Model { jobs, ..model.at(u) }.run().waits_of(&small);
            waits.map_or(["–".to_owned(), "–".to_owned()], |w| [ms(w.p99), ms(w.p999)])
        };
        std::iter::once(name.to_owned()).chain([0.3, 0.5, 0.7].into_iter().flat_map(at)).collect()
    });
    let heads = ["requests come", "30 %: p99", "p99.9", "50 %: p99", "p99.9", "70 %: p99", "p99.9"];
    Ok(table(&heads, rows.collect::<Vec<_>>()))
}

/// What long requests do to short ones, and what it helps to give them scanners of their own.
pub(super) fn sizes(study: &Study) -> Result<String, Error> {
    let tiers = study.tiers();
    let model = tiers.scanner(study.scanner_cores())?;
    let busy = |c: &Class| c.weight * c.service.mean();
    let kib = |name: &str| study.load.does.iter().find(|a| a.name == name).map_or(0.0, |a| a.body_kib);
    let big = |class: &Class| kib(&class.name) >= 200.0;
    let total: f64 = model.classes.iter().map(busy).sum();
    let share: f64 = model.classes.iter().filter(|c| big(c)).map(busy).sum::<f64>() / total;
    // As many for each as keeps both as busy as all are together, so far as whole scanners can.
    let for_big = ((share * REPLICAS as f64).round() as usize).clamp(1, REPLICAS - 1);
    let apart = Model {
        pools: vec![REPLICAS - for_big, for_big],
        classes: model.classes.iter().map(|c| Class { pool: usize::from(big(c)), ..c.clone() }).collect(),
        ..model.clone()
    };
    let ways = [
        ("together, each until it is done", Model { slice_us: None, ..model.clone() }),
        ("together, in turns (as it is)", model),
        ("long ones apart, in turns", apart),
    ];
    let small: Vec<&str> = tiers.without_body().collect();
    let long: Vec<&str> = study.load.does.iter().filter(|a| a.body_kib >= 200.0).map(|a| a.name.as_str()).collect();
    let rows = ways.iter().map(|(name, model)| {
        let at = |u: f64| {
            let outcome = model.at(u).run();
            [outcome.waits_of(&small), outcome.waits_of(&long)].map(|w| w.map_or("–".to_owned(), |w| ms(w.p99)))
        };
        std::iter::once((*name).to_owned()).chain([0.4, 0.6, 0.8].into_iter().flat_map(at)).collect()
    });
    let heads = ["scanners", "40 %: without body", "long", "60 %: without body", "long", "80 %: without body", "long"];
    Ok(format!(
        "Long is from 200 KiB on; it takes {} of the scanners' time. Apart: {for_big} of {REPLICAS} scanners for it.\n\n{}",
        percent(share),
        table(&heads, rows.collect::<Vec<_>>())
    ))
}

pub(super) fn failure(study: &Study) -> Result<String, Error> {
    let tiers = study.tiers();
    let workers = (study.limits.gateway.cpus.round() as usize).max(1);
    let (scanner, gateway) = (tiers.scanner(study.scanner_cores())?, tiers.gateway()?);
    let small: Vec<&str> = tiers.without_body().collect();
    let mut rows = Vec::new();
    for (name, model, each) in [("scanners", &scanner, 1), ("gateways", &gateway, workers)] {
        for replicas in [3, 10] {
            for utilisation in [0.4, 0.6] {
                let model = Model { pools: vec![replicas * each], ..model.clone() }.at(utilisation);
                let rate = model.rate_for(utilisation);
                let jobs = ((rate * 90.0) as usize).min(study.jobs * MOST);
                // 90 seconds, unless runs are to be short.
                let second = jobs as f64 / rate / 90.0 * 1e6;
                let failure = Failure { replicas: each, at_us: 40.0 * second, for_us: 20.0 * second };
                let outcome = Model { jobs, failure: Some(failure), ..model }.run();
                let (begin, end) = (failure.at_us, failure.at_us + failure.for_us);
                let spans = [(0.0, begin), (begin, end), (end, end + 10.0 * second), (end + 10.0 * second, f64::INFINITY)];
                let waits = spans.map(|span| outcome.waits_of_between(&small, span).map_or("–".to_owned(), |w| ms(w.p99)));
                let what = vec![format!("{replicas} {name}"), percent(utilisation)];
                rows.push([what, waits.to_vec(), vec![outcome.failed.to_string()]].concat());
            }
        }
    }
    let heads = ["one of", "busy", "p99 before", "while it is gone", "10 s after", "later", "failed with it"];
    Ok(table(&heads, rows))
}

pub(super) fn theory(study: &Study) -> String {
    let service = 1000.0;
    let queue = |cores: usize, service: Service, u: f64| {
        let model = Model {
            arrivals: Arrivals::Poisson { rate: 1.0 },
            classes: vec![Class { name: String::new(), weight: 1.0, service, pool: 0 }],
            pools: vec![1],
            cores,
            balance: Balance::Central,
            slice_us: None,
            failure: None,
            jobs: study.jobs * 5,
            seed: study.seed,
        };
        model.at(u).run().waits().map_or(0.0, |w| w.mean)
    };
    let mut rows = Vec::new();
    for u in [0.5, 0.8] {
        let cases = [
            ("M/M/1", queue(1, Service::Exponential(service), u), theory::mmk_wait(1, u, service)),
            ("M/M/4", queue(4, Service::Exponential(service), u), theory::mmk_wait(4, u, service)),
            ("M/D/1", queue(1, Service::Constant(service), u), theory::md1_wait(u, service)),
        ];
        let row = |(name, simulated, exact): (&str, f64, f64)| {
            vec![name.to_owned(), percent(u), ms(exact), ms(simulated), format!("{:+.1} %", (simulated / exact - 1.0) * 100.0)]
        };
        rows.extend(cases.map(row));
    }
    table(&["queue", "busy", "mean wait, exact", "simulated", "error"], rows)
}
