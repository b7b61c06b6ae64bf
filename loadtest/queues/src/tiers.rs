//! Gateway and scanner as models for the simulation.

use crate::capacity::Capacity;
use crate::costs::Curve;
use crate::sim::{Arrivals, Balance, Class, Model, Service};
use crate::sizing::Prices;
use crate::{Activity, Error, Limits, Workload};

/// How long Linux lets one thread run while others wait (EEVDF's base slice is 0.7 ms times one and the logarithm of the processors, at most
/// 2.8 ms): the scanner looks into bodies on threads of their own (`block_in_place`).
pub const SLICE_US: f64 = 2800.0;
/// Replicas of a simulated tier, and gateways that send to it. With many more it does not change; with fewer, chance evens out less.
pub const REPLICAS: usize = 10;
/// Bodies reach Envoy and scanner in chunks of no more than this (`per_connection_buffer_limit_bytes`).
const CHUNK: f64 = 65_536.0;
/// Tunnels through each simulated gateway.
const CONNECTIONS: usize = 200;

/// What models are made from.
#[derive(Debug, Clone, Copy)]
pub struct Tiers<'a> {
    /// What sandboxes send.
    pub load: &'a Workload,
    /// What it costs.
    pub capacity: &'a Capacity,
    /// What a replica has.
    pub limits: &'a Limits,
    /// Requests of a run.
    pub jobs: usize,
    /// What chance begins with.
    pub seed: u64,
}

impl Tiers<'_> {
    /// Scanners with so many processors each, behind gateways that balance as Envoy does.
    ///
    /// # Errors
    /// A cost is lacking.
    pub fn scanner(&self, cores: usize) -> Result<Model, Error> {
        let cost = |a: &Activity, bytes| Ok(Curve::of(&self.capacity.costs, "scanner", &a.like)?.us(bytes));
        let balance = Balance::LeastOfTwo { gateways: REPLICAS };
        Ok(Model { pools: vec![REPLICAS], cores, balance, slice_us: Some(SLICE_US), ..self.model(cost)? })
    }

    /// The workers of gateways. A connection stays with one gateway, and there with one worker; a worker takes chunks in turn.
    ///
    /// # Errors
    /// A cost is lacking.
    pub fn gateway(&self) -> Result<Model, Error> {
        let prices = Prices::of(self.capacity)?;
        let cost = |a: &Activity, bytes| {
            let curve = Curve::of(&self.capacity.costs, "envoy", &a.like)?;
            Ok(prices.envoy_us(a)? - curve.us(a.body_kib * 1024.0) + curve.us(bytes))
        };
        let chunk = Curve::of(&self.capacity.costs, "envoy", "upload")?.us(CHUNK);
        let workers = REPLICAS * (self.limits.gateway.cpus.round() as usize).max(1);
        let balance = Balance::Sticky { connections: REPLICAS * CONNECTIONS };
        Ok(Model { pools: vec![workers], cores: 1, balance, slice_us: Some(chunk), ..self.model(cost)? })
    }

    fn model(&self, cost: impl Fn(&Activity, f64) -> Result<f64, Error>) -> Result<Model, Error> {
        let class = |a: &Activity| {
            let bytes = a.body_kib * 1024.0;
            let mean = cost(a, bytes)?;
            let service = if a.grows {
                Service::Quantiles(vec![(0.0, cost(a, 0.0)?), (0.5, mean), (1.0, cost(a, 2.0 * bytes)?)])
            } else {
                self.shape(&a.like).with_mean(mean)
            };
            Ok(Class { name: a.name.clone(), weight: a.per_hour, service, pool: 0 })
        };
        let classes = self.load.does.iter().map(class).collect::<Result<Vec<_>, Error>>()?;
        let (arrivals, balance) = (Arrivals::Poisson { rate: 1.0 }, Balance::Random);
        let (pools, cores, slice_us, failure) = (vec![1], 1, None, None);
        Ok(Model { arrivals, classes, pools, cores, balance, slice_us, failure, jobs: self.jobs, seed: self.seed })
    }

    /// How service times vary: those of the kind of request, or else the first that were measured.
    fn shape(&self, like: &str) -> Service {
        let sets = self.capacity.service_times_us.all();
        let set = sets.iter().find(|set| set.scenario.starts_with(like)).or(sets.first());
        set.map_or(Service::Constant(1.0), |set| Service::Quantiles(set.quantiles.clone()))
    }

    /// Names of what has no body.
    pub fn without_body(&self) -> impl Iterator<Item = &str> {
        self.load.does.iter().filter(|a| a.body_kib == 0.0).map(|a| a.name.as_str())
    }

    /// Utilisations that are tried.
    pub fn grid() -> impl Iterator<Item = f64> {
        (2..=19).map(|n| f64::from(n) * 0.05)
    }

    /// The highest utilisation up to which requests without body wait no longer than they should, at the 99th percentile; `None`: not even
    /// at the lowest that is tried.
    #[must_use]
    pub fn allowed(&self, model: &Model) -> Option<f64> {
        let holds = |utilisation: &f64| self.small_p99(model, *utilisation).is_some_and(|p99| p99 < self.load.wait_p99_ms * 1000.0);
        Tiers::grid().take_while(holds).last()
    }

    /// How long requests without body wait at the 99th percentile, microseconds.
    #[must_use]
    pub fn small_p99(&self, model: &Model, utilisation: f64) -> Option<f64> {
        let names: Vec<&str> = self.without_body().collect();
        model.at(utilisation).run().waits_of(&names).map(|waits| waits.p99)
    }
}
