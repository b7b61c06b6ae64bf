//! Clean requests without end, and what became of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::{Client, Request};

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When it was sent.
    pub begun: Instant,
    /// The status; 0 where no response came.
    pub status: u16,
    /// The answer, or why there is none.
    pub text: String,
}

/// Requests that are sent until somebody asks for the outcomes.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    workers: JoinSet<Vec<Outcome>>,
}

impl Load {
    /// Begins: so many at a time, each the next of `requests` in turn.
    #[must_use]
    pub fn start(client: &Client, at_a_time: usize, requests: &[Request]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for worker in 0..at_a_time {
            let (client, over, requests) = (client.clone(), Arc::clone(&over), requests.to_vec());
            workers.spawn(async move {
                let mut outcomes = Vec::new();
                for request in requests.iter().cycle().skip(worker) {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let begun = Instant::now();
                    let (status, text) = match client.send(request).await {
                        Ok(response) => (response.status, response.text()),
                        Err(error) => (0, format!("{error:#}")),
                    };
                    outcomes.push(Outcome { begun, status, text });
                }
                outcomes
            });
        }
        Self { over, workers }
    }

    /// Ends, and gives all outcomes.
    pub async fn stop(self) -> Vec<Outcome> {
        self.over.store(true, Ordering::Relaxed);
        self.workers.join_all().await.into_iter().flatten().collect()
    }
}
