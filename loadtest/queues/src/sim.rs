//! The simulation: requests arrive, wait for a processor of the replica that they were sent to, and leave. Seeded: the same model gives the
//! same outcome. Times are microseconds.

mod arrivals;
mod outcome;
mod pool;
mod service;

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use self::arrivals::Arrivals;
use self::arrivals::Clock;
use self::outcome::Done;
pub use self::outcome::{Outcome, Quantiles};
pub use self::pool::Balance;
use self::pool::Pool;
pub use self::service::Service;

/// The share of requests at the beginning that does not count: the queues were empty.
const WARM_UP: f64 = 0.1;

/// What is simulated.
#[derive(Debug, Clone)]
pub struct Model {
    /// When requests come.
    pub arrivals: Arrivals,
    /// Which, and how long they keep a processor busy.
    pub classes: Vec<Class>,
    /// Replicas, by pool: a class has its own pool, or shares one.
    pub pools: Vec<usize>,
    /// Processors of a replica.
    pub cores: usize,
    /// How a request finds its replica.
    pub balance: Balance,
    /// How long a request keeps a processor while others wait for it; `None`: until it is done. The kernel takes turns between threads, and
    /// a long body comes in chunks.
    pub slice_us: Option<f64>,
    /// What happens to a replica.
    pub failure: Option<Failure>,
    /// Requests.
    pub jobs: usize,
    /// What chance begins with.
    pub seed: u64,
}

/// One kind of request.
#[derive(Debug, Clone)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its share of the requests, relative to those of the others.
    pub weight: f64,
    /// How long it keeps a processor busy.
    pub service: Service,
    /// Its pool.
    pub pool: usize,
}

/// The first replicas of the first pool go, and come back. What is under way in them fails; the rest of their load moves to the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failure {
    /// How many.
    pub replicas: usize,
    /// When.
    pub at_us: f64,
    /// For how long.
    pub for_us: f64,
}

impl Model {
    /// Requests a second that keep a share of the processors of all pools busy.
    #[must_use]
    pub fn rate_for(&self, utilisation: f64) -> f64 {
        let weights: f64 = self.classes.iter().map(|c| c.weight).sum();
        let mean = self.classes.iter().map(|c| c.weight * c.service.mean()).sum::<f64>() / weights;
        let cores = self.pools.iter().sum::<usize>() * self.cores;
        utilisation * cores as f64 / mean * 1e6
    }

    /// The same model at another utilisation.
    #[must_use]
    pub fn at(&self, utilisation: f64) -> Model {
        let rate = self.rate_for(utilisation);
        Model { arrivals: self.arrivals.with_rate(rate), ..self.clone() }
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self) -> Outcome {
        Run::of(self).go()
    }
}

/// What happens, and when; the number keeps the order of what happens at once.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Event(f64, u64, What);

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Arrive,
    /// A processor has given a request its slice.
    Slice {
        pool: usize,
        replica: usize,
        epoch: u32,
        job: usize,
        us: f64,
    },
    Fail(usize),
    Heal(usize),
}

impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// A request under way.
struct Job {
    class: usize,
    gateway: usize,
    arrived: f64,
    service: f64,
    left: f64,
}

struct Run<'a> {
    model: &'a Model,
    /// Of its own, so that models that differ elsewhere get the same requests at the same times.
    traffic: StdRng,
    chance: StdRng,
    clock: Clock,
    pools: Vec<Pool>,
    jobs: Vec<Job>,
    events: BinaryHeap<Reverse<Event>>,
    count: u64,
    done: Vec<Done>,
    failed: usize,
}

impl Run<'_> {
    fn of(model: &Model) -> Run<'_> {
        let mut chance = StdRng::seed_from_u64(model.seed ^ 0x9e37_79b9_7f4a_7c15);
        let pools = model.pools.iter().map(|n| Pool::of(*n, model.cores, model.balance, &mut chance)).collect();
        Run {
            model,
            traffic: StdRng::seed_from_u64(model.seed),
            chance,
            clock: Clock::of(&model.arrivals),
            pools,
            jobs: Vec::with_capacity(model.jobs),
            events: BinaryHeap::new(),
            count: 0,
            done: Vec::with_capacity(model.jobs),
            failed: 0,
        }
    }

    fn at(&mut self, time: f64, what: What) {
        self.count += 1;
        self.events.push(Reverse(Event(time, self.count, what)));
    }

    fn go(mut self) -> Outcome {
        if let Some(failure) = self.model.failure {
            for replica in 0..failure.replicas {
                self.at(failure.at_us, What::Fail(replica));
                self.at(failure.at_us + failure.for_us, What::Heal(replica));
            }
        }
        let first = self.clock.next(&mut self.traffic);
        self.at(first, What::Arrive);
        while let Some(Reverse(Event(now, _, what))) = self.events.pop() {
            match what {
                What::Arrive => self.arrive(now),
                What::Slice { pool, replica, epoch, job, us } => {
                    if self.pools[pool].epoch(replica) == epoch {
                        self.slice(now, pool, replica, job, us);
                    }
                }
                What::Fail(replica) => self.failed += self.pools[0].fail(replica),
                What::Heal(replica) => self.pools[0].heal(replica),
            }
        }
        Outcome::of(self.model, self.done, self.failed)
    }

    fn arrive(&mut self, now: f64) {
        let class = self.class();
        let service = self.model.classes[class].service.sample(&mut self.traffic);
        let index = self.jobs.len();
        if index + 1 < self.model.jobs {
            let next = self.clock.next(&mut self.traffic);
            self.at(next, What::Arrive);
        }
        let pool = self.model.classes[class].pool;
        let chosen = self.pools[pool].choose(&mut self.chance);
        let gateway = chosen.map_or(0, |(gateway, _)| gateway);
        self.jobs.push(Job { class, gateway, arrived: now, service, left: service });
        match chosen {
            // Nobody is there.
            None => self.failed += 1,
            Some((_, replica)) if self.pools[pool].take(replica, gateway, index) => self.serve(now, pool, replica, index),
            Some(_) => {}
        }
    }

    fn class(&mut self) -> usize {
        let classes = &self.model.classes;
        let mut mark = self.traffic.random::<f64>() * classes.iter().map(|c| c.weight).sum::<f64>();
        classes
            .iter()
            .position(|class| {
                mark -= class.weight;
                mark < 0.0
            })
            .unwrap_or(classes.len() - 1)
    }

    fn serve(&mut self, now: f64, pool: usize, replica: usize, job: usize) {
        let left = self.jobs[job].left;
        let us = self.model.slice_us.map_or(left, |slice| left.min(slice));
        let epoch = self.pools[pool].epoch(replica);
        self.at(now + us, What::Slice { pool, replica, epoch, job, us });
    }

    fn slice(&mut self, now: f64, pool: usize, replica: usize, index: usize, us: f64) {
        let job = &mut self.jobs[index];
        job.left -= us;
        let unfinished = job.left > 1e-9;
        if !unfinished {
            let response = now - job.arrived;
            let (class, arrived) = (job.class, job.arrived);
            let wait = (response - job.service).max(0.0);
            if index as f64 >= WARM_UP * self.model.jobs as f64 {
                self.done.push(Done { class, arrived, wait, response });
            }
            self.pools[pool].leave(replica, self.jobs[index].gateway);
        }
        if let Some(next) = self.pools[pool].next(replica, unfinished.then_some(index)) {
            self.serve(now, pool, replica, next);
        }
    }
}
