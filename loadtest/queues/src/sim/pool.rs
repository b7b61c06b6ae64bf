//! Replicas, and how a request finds one.

use std::collections::VecDeque;

use rand::Rng;

/// How a request finds its replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// One queue before all processors of all replicas: what no balancing can better.
    Central,
    /// Any replica, whatever it has to do.
    Random,
    /// Envoy's LEAST_REQUEST: of two replicas drawn (perhaps twice the same) the one with fewer requests under way. Each gateway knows of its
    /// own requests only.
    LeastOfTwo {
        /// How many gateways there are.
        gateways: usize,
    },
    /// A Service of Kubernetes in front of gateways: a connection finds any replica, and all its requests go there.
    Sticky {
        /// Connections.
        connections: usize,
    },
}

struct Replica {
    up: bool,
    epoch: u32,
    busy: usize,
    waiting: VecDeque<usize>,
    /// Requests under way, by gateway.
    under_way: Vec<usize>,
}

pub(super) struct Pool {
    replicas: Vec<Replica>,
    /// Those that are there, by number.
    up: Vec<usize>,
    cores: usize,
    balance: Balance,
    /// The replica of each connection.
    connections: Vec<usize>,
}

impl Pool {
    pub(super) fn of(replicas: usize, cores: usize, balance: Balance, chance: &mut impl Rng) -> Pool {
        let (replicas, cores) = if balance == Balance::Central { (1, replicas * cores) } else { (replicas, cores) };
        let gateways = if let Balance::LeastOfTwo { gateways } = balance { gateways } else { 1 };
        let connections = if let Balance::Sticky { connections } = balance { connections } else { 0 };
        let empty = || Replica { up: true, epoch: 0, busy: 0, waiting: VecDeque::new(), under_way: vec![0; gateways] };
        Pool {
            replicas: (0..replicas).map(|_| empty()).collect(),
            up: (0..replicas).collect(),
            cores,
            balance,
            connections: (0..connections).map(|_| chance.random_range(0..replicas)).collect(),
        }
    }

    pub(super) fn epoch(&self, replica: usize) -> u32 {
        self.replicas[replica].epoch
    }

    /// The gateway that sends, and the replica; `None`: there is none.
    pub(super) fn choose(&mut self, chance: &mut impl Rng) -> Option<(usize, usize)> {
        if self.up.is_empty() {
            return None;
        }
        let mut any = || self.up[chance.random_range(0..self.up.len())];
        match self.balance {
            Balance::Central => Some((0, 0)),
            Balance::Random => Some((0, any())),
            Balance::LeastOfTwo { gateways } => {
                let (one, other) = (any(), any());
                let gateway = chance.random_range(0..gateways);
                let load = |replica: usize| self.replicas[replica].under_way[gateway];
                Some((gateway, if load(other) < load(one) { other } else { one }))
            }
            Balance::Sticky { connections } => {
                let anew = any();
                let home = &mut self.connections[chance.random_range(0..connections)];
                if !self.replicas[*home].up {
                    *home = anew;
                }
                Some((0, *home))
            }
        }
    }

    /// A request comes to a replica. Says whether it is served at once.
    pub(super) fn take(&mut self, replica: usize, gateway: usize, job: usize) -> bool {
        let replica = &mut self.replicas[replica];
        replica.under_way[gateway] += 1;
        let free = replica.busy < self.cores;
        if free {
            replica.busy += 1;
        } else {
            replica.waiting.push_back(job);
        }
        free
    }

    /// A request is done.
    pub(super) fn leave(&mut self, replica: usize, gateway: usize) {
        self.replicas[replica].under_way[gateway] -= 1;
    }

    /// A processor is free; what it served may want more of it. Gives what it serves next.
    pub(super) fn next(&mut self, replica: usize, unfinished: Option<usize>) -> Option<usize> {
        let replica = &mut self.replicas[replica];
        replica.waiting.extend(unfinished);
        let next = replica.waiting.pop_front();
        if next.is_none() {
            replica.busy -= 1;
        }
        next
    }

    /// A replica goes. Says how many requests it takes along.
    pub(super) fn fail(&mut self, index: usize) -> usize {
        let replica = &mut self.replicas[index];
        (replica.up, replica.busy) = (false, 0);
        replica.epoch += 1;
        replica.waiting.clear();
        let lost = replica.under_way.iter().sum();
        replica.under_way.fill(0);
        self.up.retain(|up| *up != index);
        lost
    }

    /// It is back, and empty.
    pub(super) fn heal(&mut self, index: usize) {
        self.replicas[index].up = true;
        self.up.push(index);
    }
}
