//! Room and time for requests, shared fairly between sandboxes: one that sends without end is refused before others feel it.

use std::sync::Arc;
use std::time::Duration;

use inspect::{Fair, Share};
use prometheus::Histogram;
use tokio::time::Instant;

use super::intake::{Intake, Lease};
use crate::turns::{TooLong, Turn, Turns};
use crate::workers::Workers;
use crate::{Limits, Metrics};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    streams: Arc<Fair>,
    limit: usize,
    turns: Turns,
    pub(super) workers: Workers,
    intake: Intake,
    patience: Duration,
    waited: Histogram,
    waited_for_others: Histogram,
}

impl Admission {
    pub(crate) fn new(limits: &Limits, metrics: &Metrics) -> Admission {
        Admission {
            streams: Arc::default(),
            limit: limits.streams,
            turns: Turns::new(limits.turns),
            workers: Workers::start(limits.turns),
            intake: Intake::new(limits.bodies),
            patience: limits.turn_wait,
            waited: metrics.turn_wait.clone(),
            waited_for_others: metrics.intake_wait.clone(),
        }
    }

    /// A place for a request of the sandbox, for as long as it is held; `None`: it has as many as it may, or all are taken.
    pub(crate) fn enter(&self, sandbox: &str) -> Option<Share> {
        let mut share = self.streams.share(sandbox);
        share.resize(1, self.limit).then_some(share)
    }

    /// Until when a message that comes now may wait, for whatever it is.
    pub(crate) fn patience(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// A turn at computing.
    ///
    /// # Errors
    /// None came before `end`.
    pub(crate) async fn turn(&self, sandbox: &str, end: Instant) -> Result<Turn, TooLong> {
        let timer = self.waited.start_timer();
        let turn = self.turns.take(sandbox, end).await;
        timer.observe_duration();
        turn
    }

    /// The right to take in (more of) a long body; `None`: it did not come before `end`.
    pub(crate) async fn lease(&self, sandbox: &str, end: Instant) -> Option<Lease> {
        let timer = self.waited_for_others.start_timer();
        let lease = tokio::time::timeout_at(end, self.intake.lease(sandbox)).await;
        timer.observe_duration();
        lease.ok().flatten()
    }
}
