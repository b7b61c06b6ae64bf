//! From load and cost to replicas.

use crate::capacity::Capacity;
use crate::costs::{Curve, MIB, answer_us_per_mib};
use crate::limits::Tier;
use crate::{Activity, Error, Limits, Workload};

/// Envoy begins to give memory back at this share of its heap (`shrink_heap`), so that it should not get there.
const HEAP: f64 = 0.9;
/// The share of a hard bound that is planned for. Alerts come at the same (`PortcullisStreamsNearlyFull`, `PortcullisMemoryBudgetNearlyUsed`).
const BOUND: f64 = 0.8;
/// What requests had sent whose memory was measured, KiB.
const SENT_KIB: f64 = 256.0;
/// Bodies are held up to this size; beyond it they slide through (`limits.buffer`), KiB.
const HELD_KIB: f64 = 1024.0;

/// What requests cost in CPU, of what was measured.
#[derive(Debug, Clone)]
pub struct Prices<'a> {
    capacity: &'a Capacity,
    answer_us_per_mib: f64,
}

impl<'a> Prices<'a> {
    /// From the measurements.
    ///
    /// # Errors
    /// Envoy has no cost of any body.
    pub fn of(capacity: &'a Capacity) -> Result<Prices<'a>, Error> {
        Ok(Prices { capacity, answer_us_per_mib: answer_us_per_mib(&capacity.costs)? })
    }

    /// CPU time of a request of this kind at the scanner, microseconds.
    ///
    /// # Errors
    /// The scanner has no costs.
    pub fn scanner_us(&self, activity: &Activity) -> Result<f64, Error> {
        Ok(Curve::of(&self.capacity.costs, "scanner", &activity.like)?.us(activity.body_kib * 1024.0))
    }

    /// CPU time of a request of this kind at the gateway, its answer included, microseconds.
    ///
    /// # Errors
    /// Envoy has no costs.
    pub fn envoy_us(&self, activity: &Activity) -> Result<f64, Error> {
        let request = Curve::of(&self.capacity.costs, "envoy", &activity.like)?.us(activity.body_kib * 1024.0);
        Ok(request + activity.response_kib * 1024.0 / MIB * self.answer_us_per_mib)
    }
}

/// What one bound asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The bound.
    pub what: &'static str,
    /// Replicas that are needed for it, none in reserve. A whole number.
    pub replicas: f64,
}

/// Replicas of a tier.
#[derive(Debug, Clone, PartialEq)]
pub struct Sized {
    /// CPUs in use at the peak.
    pub cpus: f64,
    /// What each bound asks for; the first asks for most.
    pub needs: Vec<Need>,
    /// What each bound asks for and one zone or one replica more, whichever is more; no fewer than the autoscaler keeps.
    pub replicas: f64,
    /// The share of the CPUs in use at the peak with these replicas, and with those that are left when a zone is lost.
    pub utilisation: (f64, f64),
}

impl Sized {
    /// The bound that asks for most.
    #[must_use]
    pub fn first(&self) -> &'static str {
        self.needs.first().map_or("", |need| need.what)
    }
}

/// All tiers, for a number of sandboxes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Sandboxes.
    pub sandboxes: f64,
    /// Gateways.
    pub gateway: Sized,
    /// Scanners.
    pub scanner: Sized,
    /// Groups of sandboxes with gateways, scanners and certificates services of their own, so that no bound of a group is passed.
    pub cells: f64,
    /// What asks for so many groups.
    pub cells_for: &'static str,
    /// What else grows.
    pub around: Around,
}

/// What grows beside gateways and scanners.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// Names that all sandboxes of a group use in a day.
    pub names: f64,
    /// Leaves signed in a day, over all certificates services of a group.
    pub leaves_per_day: f64,
    /// CPUs that signing takes, on average.
    pub signing_cpus: f64,
    /// Exchanges a second with the shared state.
    pub exchanges_per_s: f64,
    /// Commands a second there, at most: books that are used more than once between two exchanges count once.
    pub commands_per_s: f64,
    /// Records a second of the audit log, and GiB a day with those of the access log.
    pub records_per_s: f64,
    /// GiB a day of the audit log.
    pub audit_gib_per_day: f64,
    /// GiB a day of the gateways' access log.
    pub access_gib_per_day: f64,
    /// Series of Prometheus.
    pub series: f64,
    /// Samples a second.
    pub samples_per_s: f64,
}

/// The share of a tier's CPUs that may be in use: what the simulation allows, of gateway and scanner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowed {
    /// Gateway.
    pub gateway: f64,
    /// Scanner.
    pub scanner: f64,
}

/// Replicas for a number of sandboxes.
///
/// # Errors
/// A cost is lacking.
pub fn plan(sandboxes: f64, load: &Workload, capacity: &Capacity, limits: &Limits, allowed: Allowed) -> Result<Plan, Error> {
    let prices = Prices::of(capacity)?;
    let gateway = gateway(sandboxes, load, &prices, limits, allowed.gateway)?;
    let scanner = scanner(sandboxes, load, &prices, limits, allowed.scanner)?;
    let (cells, cells_for) = cells(&gateway, &scanner, load, limits);
    let around = around(sandboxes, load, capacity, (&gateway, &scanner), cells);
    Ok(Plan { sandboxes, gateway, scanner, cells, cells_for, around })
}

fn whole(value: f64) -> f64 {
    // What is a hair above a whole number is that number: sums of fractions are.
    (value - 1e-9).ceil().max(1.0)
}

fn gateway(n: f64, load: &Workload, prices: &Prices<'_>, limits: &Limits, allowed: f64) -> Result<Sized, Error> {
    let memory = &prices.capacity.memory;
    let cpus = cpus(n, load, |a| prices.envoy_us(a))?;
    let (tunnels, streams) = (load.tunnels(n), load.sum(n, |a| a.sending_s + a.answering_s));
    let room = HEAP * limits.heap_mib.min(limits.gateway.memory_mib) - memory.envoy_base_mib;
    let used = (tunnels * memory.envoy_idle_tunnel_kib + streams * memory.envoy_stream_kib) / 1024.0;
    let needs = vec![
        Need { what: "memory", replicas: whole(used / room.max(1.0)) },
        Need { what: "tunnels (circuit breaker of `inner`)", replicas: whole(tunnels / (BOUND * limits.tunnels)) },
        Need { what: "connections of sandboxes", replicas: whole(tunnels / (BOUND * limits.connections)) },
        Need {
            what: "requests under way upstream (circuit breaker of `upstream_tls`)",
            replicas: whole(streams / (BOUND * limits.upstream)),
        },
        Need {
            what: "streams to scanners (circuit breaker of `scanner`)",
            replicas: whole(load.sum(n, |a| a.sending_s) / (BOUND * limits.gateway_streams)),
        },
        Need { what: "ports to one address outside", replicas: whole(streams * load.around.one_destination / (BOUND * load.around.ports)) },
    ];
    Ok(sized(cpus, needs, &limits.gateway, allowed, load.around.zones))
}

fn scanner(n: f64, load: &Workload, prices: &Prices<'_>, limits: &Limits, allowed: f64) -> Result<Sized, Error> {
    let memory = &prices.capacity.memory;
    let cpus = cpus(n, load, |a| prices.scanner_us(a))?;
    // The scanner's stream ends with the verdict, not with the answer (services/scanner/src/extproc/driver.rs).
    let streams = load.sum(n, |a| a.sending_s);
    let held = load.sum(n, |a| a.sending_s * a.body_kib.min(HELD_KIB)) / 1024.0;
    let room = limits.scanner.memory_mib * BOUND - memory.scanner_base_mib;
    // What was measured had so much of a body held; what has none takes nearly nothing.
    let used = held / SENT_KIB * memory.scanner_stream_kib;
    let needs = vec![
        Need { what: "memory", replicas: whole(used / room.max(1.0)) },
        Need { what: "held bytes (`limits.memory`)", replicas: whole(held / (BOUND * load.house.held_mib)) },
        Need { what: "requests under way (autoscaler)", replicas: whole(streams / limits.scanner_streams_target) },
        Need { what: "requests under way (`--max-streams`)", replicas: whole(streams / (BOUND * load.house.scanner_streams)) },
    ];
    Ok(sized(cpus, needs, &limits.scanner, allowed, load.around.zones))
}

/// CPUs in use at the peak, of so many sandboxes, where requests cost so many microseconds.
pub(crate) fn cpus(n: f64, load: &Workload, us: impl Fn(&Activity) -> Result<f64, Error>) -> Result<f64, Error> {
    let prices = load.does.iter().map(|a| Ok((a.name.clone(), us(a)?))).collect::<Result<std::collections::BTreeMap<_, _>, Error>>()?;
    Ok(load.sum(n, |a| prices[&a.name]) / 1e6)
}

fn sized(cpus: f64, mut needs: Vec<Need>, tier: &Tier, allowed: f64, zones: f64) -> Sized {
    needs.insert(0, Need { what: "CPU", replicas: whole(cpus / (tier.cpus * allowed)) });
    needs.sort_by(|a, b| b.replicas.total_cmp(&a.replicas));
    let most = needs[0].replicas;
    // What is left after a zone is lost must do; the autoscaler keeps its own number as well.
    let reserve = whole(most * zones / (zones - 1.0)).max(most + 1.0);
    let replicas = reserve.max(whole(cpus / (tier.cpus * tier.target))).max(tier.least);
    let share = cpus / (replicas * tier.cpus);
    let left = replicas - (replicas / zones).ceil();
    Sized { cpus, needs, replicas, utilisation: (share, cpus / (left.max(1.0) * tier.cpus)) }
}

fn cells(gateway: &Sized, scanner: &Sized, load: &Workload, limits: &Limits) -> (f64, &'static str) {
    // All gateways may be at one certificates service, when the others go.
    let asks = [
        ("the gateways' autoscaler", gateway.replicas / limits.gateway.most),
        ("the scanners' autoscaler", scanner.replicas / limits.scanner.most),
        ("gateways at one certificates service", gateway.replicas / load.house.certificate_streams),
    ];
    let (what, cells) = asks.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("", 1.0));
    (whole(cells), if cells <= 1.0 { "" } else { what })
}

fn around(n: f64, load: &Workload, capacity: &Capacity, (gateway, scanner): (&Sized, &Sized), cells: f64) -> Around {
    let a = &load.around;
    let names = load.names_per_day(n / cells);
    // A leaf that is wanted for all of the day is signed anew at half of its life; each certificates service signs for itself.
    let leaves_per_day = names * a.certificate_replicas * (24.0 / (load.house.leaf_life_h / 2.0)).max(1.0);
    let per_day = load.requests_per_day(n);
    let gib = |bytes: f64| bytes / (1024.0 * MIB);
    let series = gateway.replicas * a.gateway_series + scanner.replicas * a.scanner_series;
    Around {
        names,
        leaves_per_day,
        signing_cpus: leaves_per_day * capacity.mint_us_per_leaf / 1e6 / 86_400.0,
        exchanges_per_s: scanner.replicas * load.house.exchanges_per_s,
        commands_per_s: scanner.replicas * load.house.exchanges_per_s + load.requests_per_s(n) * a.books_per_request * a.commands_per_book,
        records_per_s: load.requests_per_s(n),
        audit_gib_per_day: gib(per_day * a.audit_bytes),
        access_gib_per_day: gib(per_day * a.access_bytes),
        series,
        samples_per_s: series / a.scrape_s,
    }
}
