//! How long, and what when.

use std::time::Duration;

use rand::Rng;
use rand::seq::SliceRandom;

use crate::faults::Fault;

/// How often the policy is changed before anything else, where slopes of memory are bounded.
const EARLY: usize = 12;

/// The plan of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Every fault once.
    Short,
    /// Faults by chance, for so long.
    Full(Duration),
}

impl Plan {
    /// `PORTCULLIS_SOAK_MINUTES`, or the short form.
    pub(crate) fn given() -> Plan {
        let Some(minutes) = std::env::var_os("PORTCULLIS_SOAK_MINUTES") else { return Plan::Short };
        let minutes: u64 = minutes.to_str().and_then(|text| text.parse().ok()).expect("PORTCULLIS_SOAK_MINUTES is a number of minutes");
        assert!(minutes > 0, "a run of no minutes proves nothing");
        Plan::Full(Duration::from_secs(60 * minutes))
    }

    /// How long requests are sent for, at least.
    pub(crate) fn length(self) -> Duration {
        match self {
            Plan::Short => Duration::from_secs(20),
            Plan::Full(length) => length,
        }
    }

    /// The time up to which memory is given to fill its caches: its slope is taken after that.
    pub(crate) fn warm_up(self) -> Duration {
        self.length() / 3
    }

    /// The windows of which the least memory counts: no shorter than what lies between two changes of policy, mostly.
    pub(crate) fn window(self) -> Duration {
        self.length() / 15
    }

    /// Whether the slope of memory says something: within a few minutes caches still fill.
    pub(crate) fn bounds_slopes(self) -> bool {
        self.length() >= Duration::from_secs(30 * 60)
    }

    /// How long a chapter is: after it everything is held against everything.
    pub(crate) fn chapter(self) -> Duration {
        match self {
            Plan::Short => self.length(),
            Plan::Full(length) => (length / 3).min(Duration::from_secs(5 * 60)),
        }
    }

    /// The time between the end of a fault and the next.
    fn gap(self) -> Duration {
        match self {
            Plan::Short => Duration::from_millis(500),
            // With that of the fault itself, one begins every 60 to 90 s; in a run of a few minutes more often, so that there are some.
            Plan::Full(length) if length >= Duration::from_secs(20 * 60) => Duration::from_secs(rand::rng().random_range(55..85)),
            Plan::Full(_) => Duration::from_secs(rand::rng().random_range(6..12)),
        }
    }

    /// How often memory is looked at.
    pub(crate) fn sample(self) -> Duration {
        match self {
            Plan::Short => Duration::from_millis(500),
            Plan::Full(_) => Duration::from_secs(2),
        }
    }
}

/// Which fault is next.
pub(crate) struct Faults {
    plan: Plan,
    deck: Vec<Fault>,
    /// Changes of policy that come first, at once.
    early: usize,
}

impl Faults {
    pub(crate) fn new(plan: Plan) -> Faults {
        // The last comes first. In a long run that is the exchange of the gateway, for which there is little time.
        let mut deck = Fault::ALL.to_vec();
        if plan == Plan::Short {
            deck.reverse();
        }
        // An allocator keeps room for two engines in pieces: after some ten changes of policy there is no more to get. Over a long time that would
        // look like a leak.
        let early = if plan.bounds_slopes() { EARLY } else { 0 };
        Faults { plan, deck, early }
    }

    /// The time until the next one.
    pub(crate) fn gap(&self) -> Duration {
        if self.early > 0 { Duration::from_millis(500) } else { self.plan.gap() }
    }

    /// The next one at this time of the run; `None`: there is none any more.
    ///
    /// The gateway is exchanged in the first half of the warm-up only: its Envoy has the other half to open the connections that it keeps, and a
    /// long series then.
    pub(crate) fn next(&mut self, at: Duration) -> Option<Fault> {
        if let Some(left) = self.early.checked_sub(1) {
            self.early = left;
            return Some(Fault::PolicyChanged);
        }
        loop {
            let Some(fault) = self.deck.pop() else {
                if self.plan == Plan::Short {
                    return None;
                }
                self.deck = Fault::ALL.to_vec();
                self.deck.shuffle(&mut rand::rng());
                continue;
            };
            if self.plan == Plan::Short || fault != Fault::GatewayExchanged || at < self.plan.warm_up() / 2 {
                return Some(fault);
            }
        }
    }
}

#[test]
fn the_short_form_has_every_fault_once_and_the_full_one_exchanges_the_gateway_while_it_warms_up() {
    let mut short = Faults::new(Plan::Short);
    let all: Vec<Fault> = std::iter::from_fn(|| short.next(Duration::from_secs(15))).collect();
    assert_eq!(all, Fault::ALL);
    let plan = Plan::Full(Duration::from_secs(45 * 60));
    let mut full = Faults::new(plan);
    assert!((0..EARLY).all(|_| full.next(Duration::ZERO) == Some(Fault::PolicyChanged)));
    let early: Vec<_> = (0..60).filter_map(|_| full.next(Duration::ZERO)).collect();
    assert_eq!(early.iter().filter(|fault| **fault == Fault::GatewayExchanged).count(), 10);
    assert!((0..60).all(|_| full.next(plan.warm_up() / 2) != Some(Fault::GatewayExchanged)));
}
