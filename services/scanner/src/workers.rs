//! Threads that compute. Long scans give way to the threads that move bytes, here and in an Envoy beside us: one that waits for a processor to
//! take in or answer a request gets it before a scan goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// More than the others have: where both want all of a processor, a scan gets a third of what they get (`sched(7)`, "The nice value"). With
/// much more, scans on a machine that compiles would take ten times as long.
const NICE: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// As many threads as there are turns. They end when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Workers(Sender<Job>);

/// The job panicked, or no thread could be started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scan came to no end")]
pub(crate) struct Failed;

impl Workers {
    /// Starts so many threads, at least one.
    pub(crate) fn start(threads: usize) -> Workers {
        let (sender, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            if let Err(error) = std::thread::Builder::new().name("scan".to_owned()).spawn(move || work(&jobs)) {
                tracing::error!(%error, "a thread for scans cannot be started");
            }
        }
        Workers(sender)
    }

    /// Has a thread do it.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
        let (done, result) = oneshot::channel();
        // Who asked may have gone meanwhile.
        let job: Job = Box::new(move || drop(done.send(job())));
        self.0.send(job).map_err(|_| Failed)?;
        result.await.map_err(|_| Failed)
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "scans run at the priority of all else");
    }
    loop {
        // The lock is held while a thread waits for a job, and not while it does one.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { break };
        // One bad request must not take a thread from all others; the panic's message is in the log.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_panics_fails_and_takes_no_thread_with_it() {
        let workers = Workers::start(1);
        for _ in 0..3 {
            assert_eq!(workers.run(|| panic!("on purpose")).await, Err::<(), _>(Failed));
        }
        assert_eq!(workers.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn scans_give_way() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let of_scans = Workers::start(2).run(nice).await.unwrap();
        assert_eq!(of_scans, (nice() + NICE).min(19));
        assert_eq!(Workers::start(0).run(|| 7).await, Ok(7), "there is always one");
    }
}
