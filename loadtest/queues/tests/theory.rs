//! The simulation beside the queues that theory says everything of, and what must hold of any.

use queues::sim::{Arrivals, Balance, Class, Failure, Model, Outcome, Service};
use queues::theory;

const SERVICE: f64 = 1000.0;

fn model(cores: usize, service: Service) -> Model {
    Model {
        arrivals: Arrivals::Poisson { rate: 1.0 },
        classes: vec![Class { name: "only".into(), weight: 1.0, service, pool: 0 }],
        pools: vec![1],
        cores,
        balance: Balance::Central,
        slice_us: None,
        failure: None,
        jobs: 400_000,
        seed: 3,
    }
}

fn waits(outcome: &Outcome) -> queues::sim::Quantiles {
    outcome.waits().expect("requests were served")
}

fn near(what: &str, simulated: f64, exact: f64, share: f64) {
    assert!((simulated / exact - 1.0).abs() < share, "{what}: {simulated} is not {exact}");
}

#[test]
fn one_and_several_servers_wait_as_erlang_says() {
    for (cores, utilisation) in [(1, 0.3), (1, 0.7), (2, 0.6), (4, 0.8), (16, 0.9)] {
        let simulated = waits(&model(cores, Service::Exponential(SERVICE)).at(utilisation).run());
        let what = format!("M/M/{cores} at {utilisation}");
        near(&what, simulated.mean, theory::mmk_wait(cores, utilisation, SERVICE), 0.07);
        near(&what, simulated.p99, theory::mmk_wait_quantile(cores, utilisation, SERVICE, 0.99), 0.08);
    }
}

#[test]
fn service_times_that_do_not_vary_wait_half() {
    for utilisation in [0.3, 0.6, 0.8] {
        let simulated = waits(&model(1, Service::Constant(SERVICE)).at(utilisation).run());
        near("M/D/1", simulated.mean, theory::md1_wait(utilisation, SERVICE), 0.05);
    }
}

#[test]
fn very_short_turns_share_a_processor_evenly() {
    // M/M/1 with processor sharing has the mean of M/M/1 with a queue (Kleinrock II, 4.4).
    let simulated = waits(&Model { slice_us: Some(50.0), ..model(1, Service::Exponential(SERVICE)) }.at(0.6).run());
    near("M/M/1-PS", simulated.mean, theory::mmk_wait(1, 0.6, SERVICE), 0.07);
}

#[test]
fn waits_grow_with_utilisation() {
    let p99 = |u: f64| waits(&model(2, Service::Exponential(SERVICE)).at(u).run()).p99;
    let grown: Vec<f64> = [0.2, 0.4, 0.6, 0.8, 0.95].into_iter().map(p99).collect();
    assert!(grown.is_sorted(), "{grown:?}");
}

#[test]
fn balancing_that_knows_more_waits_less() {
    let ways = [
        Balance::Central,
        Balance::LeastOfTwo { gateways: 1 },
        Balance::LeastOfTwo { gateways: 20 },
        Balance::Random,
        Balance::Sticky { connections: 100 },
    ];
    let p99 = |balance| waits(&Model { pools: vec![10], balance, ..model(1, Service::Exponential(SERVICE)) }.at(0.7).run()).p99;
    let grown: Vec<f64> = ways.into_iter().map(p99).collect();
    assert!(grown.is_sorted(), "{grown:?}");
}

#[test]
fn bursts_wait_longer_than_what_comes_by_chance() {
    let ways = [
        Arrivals::Poisson { rate: 1.0 },
        Arrivals::OnOff { rate: 1.0, sources: 20, on_s: 0.5, off_s: 1.5 },
        Arrivals::Together { rate: 1.0, share: 0.5, every_s: 5.0, spread_s: 0.5 },
    ];
    let p99 = |arrivals| waits(&Model { arrivals, ..model(2, Service::Exponential(SERVICE)) }.at(0.5).run()).p99;
    let grown: Vec<f64> = ways.into_iter().map(p99).collect();
    assert!(grown.is_sorted(), "{grown:?}");
}

fn mixed() -> Model {
    let class = |name: &str, weight, us, pool| Class { name: name.into(), weight, service: Service::Constant(us), pool };
    let classes = vec![class("short", 99.0, 100.0, 0), class("long", 1.0, 10_000.0, 0)];
    Model { classes, ..model(1, Service::Constant(1.0)) }
}

#[test]
fn turns_help_the_short_and_a_place_of_their_own_helps_more() {
    let short = |model: Model| model.at(0.5).run().waits_of(&["short"]).expect("some").p99;
    let mut apart = mixed();
    (apart.pools, apart.classes[1].pool) = (vec![1, 1], 1);
    let waited = [short(apart), short(Model { slice_us: Some(1000.0), ..mixed() }), short(mixed())];
    assert!(waited.is_sorted(), "{waited:?}");
}

#[test]
fn a_replica_that_goes_takes_along_what_is_under_way_and_the_others_have_its_load() {
    let failure = Failure { replicas: 1, at_us: 60e6, for_us: 30e6 };
    let base = Model { pools: vec![3], balance: Balance::LeastOfTwo { gateways: 2 }, ..model(1, Service::Exponential(SERVICE)) }.at(0.6);
    let jobs = (base.rate_for(0.6) * 120.0) as usize;
    let outcome = Model { failure: Some(failure), jobs, ..base }.run();
    let p99 = |from: f64, to: f64| outcome.waits_of_between(&["only"], (from * 1e6, to * 1e6)).expect("some").p99;
    assert!(p99(61.0, 90.0) > 1.5 * p99(0.0, 60.0), "two thirds of the replicas have all of the load");
    assert!(p99(95.0, 120.0) < 1.5 * p99(0.0, 60.0), "what is back takes its part");
    assert!(outcome.failed < 100, "{} failed", outcome.failed);
    let alone =
        Model { pools: vec![1], balance: Balance::Random, failure: Some(failure), ..model(1, Service::Constant(SERVICE)) }.at(0.5).run();
    assert!(alone.failed > 10_000, "nobody was there for half a minute");
}

#[test]
fn the_same_seed_says_the_same_and_another_does_not() {
    let run = |seed| waits(&Model { seed, jobs: 10_000, ..model(1, Service::Exponential(SERVICE)) }.at(0.6).run());
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
