//! What sandboxes send, what it costs, and how many replicas that is.

use super::{SIZES, Study, figure, percent, table};
use crate::sizing::{Plan, Prices, Sized};
use crate::{Error, Limits, Workload};

pub(super) fn workload(load: &Workload) -> String {
    let does = load.does.iter().map(|a| {
        let figures = [a.per_hour, a.body_kib, a.response_kib, a.answering_s, a.tunnels];
        std::iter::once(a.name.clone()).chain(figures.map(figure)).collect()
    });
    let each = table(&["one sandbox at work", "requests/h", "body KiB", "answer KiB", "lasts s", "tunnels"], does);
    let all = SIZES.iter().map(|&n| {
        let figures = [
            n,
            n * load.at_work(),
            load.requests_per_s(n),
            load.mib_up_per_s(n),
            load.mib_down_per_s(n),
            load.sum(n, |a| a.sending_s + a.answering_s),
            load.tunnels(n),
        ];
        figures.map(figure).to_vec()
    });
    let heads = ["sandboxes", "at work at the peak", "requests/s", "MiB/s out", "MiB/s in", "requests under way", "tunnels"];
    format!("{each}\n{}", table(&heads, all))
}

pub(super) fn costs(study: &Study) -> Result<String, Error> {
    let m = &study.capacity.measured;
    let prices = Prices::of(&study.capacity)?;
    let (mut rows, mut sum) = (Vec::new(), [0.0, 0.0]);
    for a in &study.load.does {
        let us = [prices.envoy_us(a)?, prices.scanner_us(a)?];
        sum = [sum[0] + us[0] * a.per_hour / 1e6, sum[1] + us[1] * a.per_hour / 1e6];
        let an_hour = us.map(|us| figure(us * a.per_hour / 1e6));
        rows.push([vec![a.name.clone()], us.map(figure).to_vec(), an_hour.to_vec()].concat());
    }
    rows.push(vec!["all".to_owned(), String::new(), String::new(), figure(sum[0]), figure(sum[1])]);
    let heads = ["request", "gateway CPU µs", "scanner CPU µs", "gateway CPU s an hour at work", "scanner CPU s an hour at work"];
    Ok(format!(
        "Measured on {}, revision {}, by `{}`. Machine: {}. Other sizes are on straight lines through these. Signing a leaf takes {} µs.\n\n{}",
        m.date,
        m.revision,
        m.command,
        m.machine,
        figure(study.capacity.mint_us_per_leaf),
        table(&heads, rows)
    ))
}

pub(super) fn replicas(plans: &[Plan], limits: &Limits) -> String {
    let row = |n: f64, name: &str, tier: &Sized, cpus: f64| {
        let (all, left) = tier.utilisation;
        let bare = tier.needs.first().map_or(0.0, |need| need.replicas);
        vec![
            figure(n),
            name.to_owned(),
            figure(tier.cpus),
            tier.first().to_owned(),
            figure(bare),
            format!("**{}**", figure(tier.replicas)),
            figure(tier.replicas * cpus),
            percent(all),
            percent(left),
        ]
    };
    let rows = plans.iter().flat_map(|p| {
        [row(p.sandboxes, "gateway", &p.gateway, limits.gateway.cpus), row(p.sandboxes, "scanner", &p.scanner, limits.scanner.cpus)]
    });
    let heads =
        ["sandboxes", "tier", "CPUs in use", "what limits", "replicas for it", "with reserve", "CPUs asked for", "in use", "a zone lost"];
    let cells = plans.iter().map(|p| {
        let why = if p.cells_for.is_empty() { "one is enough".to_owned() } else { format!("for {}", p.cells_for) };
        format!("{} sandboxes: {} ({why})", figure(p.sandboxes), figure(p.cells))
    });
    format!("{}\nGroups of their own (*cells*, below): {}.\n", table(&heads, rows), cells.collect::<Vec<_>>().join("; "))
}

pub(super) fn limits(plans: &[Plan]) -> String {
    let tier = |name: &str, of: fn(&Plan) -> &Sized| {
        let mut whats: Vec<&str> = plans.last().map(|p| of(p).needs.iter().map(|n| n.what).collect()).unwrap_or_default();
        whats.dedup();
        whats
            .into_iter()
            .map(|what| {
                let needs = plans.iter().map(|p| of(p).needs.iter().find(|n| n.what == what).map_or(0.0, |n| n.replicas));
                [vec![name.to_owned(), what.to_owned()], needs.map(figure).collect()].concat()
            })
            .collect::<Vec<_>>()
    };
    let rows = tier("gateway", |p| &p.gateway).into_iter().chain(tier("scanner", |p| &p.scanner));
    let sizes = SIZES.map(|n| format!("for {}", figure(n)));
    table(&["tier", "bound", &sizes[0], &sizes[1], &sizes[2]], rows)
}

pub(super) fn around(plans: &[Plan], load: &Workload, limits: &Limits) -> String {
    let line = |what: &str, of: &dyn Fn(&Plan) -> f64| {
        std::iter::once(what.to_owned()).chain(plans.iter().map(|p| figure(of(p)))).collect::<Vec<_>>()
    };
    let rows = [
        line("names a day, in one cell", &|p| p.around.names),
        line("leaves signed a day, in one cell", &|p| p.around.leaves_per_day),
        line("CPUs for signing, in one cell", &|p| p.around.signing_cpus),
        line("shared state: exchanges/s", &|p| p.around.exchanges_per_s),
        line("shared state: commands/s at most", &|p| p.around.commands_per_s),
        line("audit log: records/s at the peak", &|p| p.around.records_per_s),
        line("audit log: GiB a day", &|p| p.around.audit_gib_per_day),
        line("gateways' access log: GiB a day", &|p| p.around.access_gib_per_day),
        line("Prometheus: series", &|p| p.around.series),
        line("Prometheus: samples/s", &|p| p.around.samples_per_s),
    ];
    let sizes = SIZES.map(figure);
    let over = |bound: f64| plans.iter().find(|p| p.around.names > bound).map(|p| figure(p.sandboxes));
    let said = |bound: f64, what: &str| match over(bound) {
        Some(n) => format!("From {n} sandboxes on there are more names a day in a cell than {what} ({}).", figure(bound)),
        None => format!("Names a day in a cell stay below what {what} ({}).", figure(bound)),
    };
    format!(
        "{}\n{} {}\n",
        table(&["sandboxes", &sizes[0], &sizes[1], &sizes[2]], rows),
        said(load.house.names_per_gateway, "a gateway holds certificates for"),
        said(limits.names, "its DNS cache has room for")
    )
}
