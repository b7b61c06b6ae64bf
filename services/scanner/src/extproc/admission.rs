//! Room and time for requests, shared fairly between sandboxes: one that sends without end is refused before others feel it.

use std::sync::Arc;
use std::time::Duration;

use inspect::{Fair, Share};
use prometheus::Histogram;

use crate::turns::{TooLong, Turn, Turns};
use crate::{Limits, Metrics};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    streams: Arc<Fair>,
    limit: usize,
    turns: Turns,
    patience: Duration,
    waited: Histogram,
}

impl Admission {
    pub(crate) fn new(limits: &Limits, metrics: &Metrics) -> Admission {
        Admission {
            streams: Arc::default(),
            limit: limits.streams,
            turns: Turns::new(limits.turns),
            patience: limits.turn_wait,
            waited: metrics.turn_wait.clone(),
        }
    }

    /// A place for a request of the sandbox, for as long as it is held; `None`: it has as many as it may, or all are taken.
    pub(crate) fn enter(&self, sandbox: &str) -> Option<Share> {
        let mut share = self.streams.share(sandbox);
        share.resize(1, self.limit).then_some(share)
    }

    /// A turn at computing.
    ///
    /// # Errors
    /// None came in time.
    pub(crate) async fn turn(&self, sandbox: &str) -> Result<Turn, TooLong> {
        let timer = self.waited.start_timer();
        let turn = self.turns.take(sandbox, self.patience).await;
        timer.observe_duration();
        turn
    }
}
