//! Where a request comes from, as its host tells: audit records name hosts and never paths, so this is how a record finds its request.
//!
//! A worker sends one request at a time, and the next 15 go to other hosts. So a record belongs to the last request that began at its place
//! (but for one that a frozen scanner writes late).

use crate::kinds::Kind;

/// How many hosts of each kind a worker uses in turn.
const SLOTS: u64 = 16;

/// A worker, and which of its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) worker: usize,
    pub(crate) slot: u64,
}

impl Place {
    /// That of a worker's so many-eth request.
    pub(crate) fn of(worker: usize, turn: u64) -> Place {
        Place { worker, slot: turn % SLOTS }
    }

    /// The host for a request of this kind.
    pub(crate) fn host(self, kind: Kind) -> String {
        let Place { worker, slot } = self;
        match kind {
            Kind::Address => format!("10.77.{worker}.{slot}"),
            Kind::Inside => format!("s{slot}-w{worker}.inside.example.net"),
            Kind::Conversation => format!("s{slot}-w{worker}.model.example.net"),
            _ => format!("s{slot}-w{worker}.sink.example.net"),
        }
    }

    /// The place that a host tells.
    pub(crate) fn in_host(host: &str) -> Option<Place> {
        if let Some(rest) = host.strip_prefix("10.77.") {
            let (worker, slot) = rest.split_once('.')?;
            return Some(Place { worker: worker.parse().ok()?, slot: slot.parse().ok()? });
        }
        let (slot, worker) = host.split('.').next()?.strip_prefix('s')?.split_once("-w")?;
        Some(Place { worker: worker.parse().ok()?, slot: slot.parse().ok()? })
    }
}

#[test]
fn a_host_tells_its_place() {
    for kind in Kind::ALL {
        let place = Place::of(7, 29);
        assert_eq!(Place::in_host(&place.host(kind)), Some(place), "{kind:?}");
    }
    assert_eq!(Place::in_host("sink.example.net"), None);
}
