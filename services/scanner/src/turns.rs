//! Whose turn it is to compute: long scans run one a core, and sandboxes take turns at it, so that one with much to scan does not keep others
//! waiting.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

/// What a turn is taken to cost until it is known, in nanoseconds: else all turns of a moment went to one sandbox.
const EXPECTED: u64 = 1_000_000;
/// So many sandboxes that had a turn lately are remembered; of more, those that owe nothing are forgotten.
const REMEMBERED: usize = 1024;

/// Gives turns: at most so many at a time, the next one always to the waiting sandbox that has computed least ("start-time fair queuing":
/// Goyal, Vin and Cheng, IEEE/ACM Transactions on Networking 5(5), 1997). Cheap to clone.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    /// The virtual time, in nanoseconds of one core: what the sandbox that was chosen last had had. Who was idle begins here, neither ahead
    /// for that nor behind.
    now: u64,
    queues: HashMap<Arc<str>, Queue>,
    /// The sandboxes that wait, by what they have had.
    order: BTreeSet<(u64, Arc<str>)>,
}

#[derive(Default)]
struct Queue {
    had: u64,
    running: u64,
    waiters: VecDeque<oneshot::Sender<Turn>>,
    /// Where it stands in the order, while somebody waits.
    place: Option<u64>,
}

/// The right to compute, until it is dropped; the time that takes is put down to the sandbox.
pub(crate) struct Turn {
    turns: Turns,
    sandbox: Arc<str>,
    begun: Instant,
}

/// No turn came in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Turns").field("free", &state.free).field("waiting", &state.order.len()).finish()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

impl Turns {
    /// `slots` at a time, at least one.
    pub(crate) fn new(slots: usize) -> Turns {
        Turns(Arc::new(Mutex::new(State::new(slots))))
    }

    /// Waits for a turn, until `end` at most.
    ///
    /// # Errors
    /// None came.
    pub(crate) async fn take(&self, sandbox: &str, end: tokio::time::Instant) -> Result<Turn, TooLong> {
        let waiter = match self.lock().ask(sandbox) {
            Asked::Now(sandbox) => return Ok(self.turn(sandbox)),
            Asked::Wait(waiter) => waiter,
        };
        // A turn that comes when nobody waits any longer is dropped with the channel, which passes it on.
        let turn = tokio::time::timeout_at(end, waiter).await.ok().and_then(Result::ok);
        let mut turn = turn.ok_or(TooLong)?;
        turn.begun = Instant::now();
        Ok(turn)
    }

    /// How many requests wait.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.lock().queues.values().map(|queue| queue.waiters.len()).sum()
    }

    fn turn(&self, sandbox: Arc<str>) -> Turn {
        Turn { turns: self.clone(), sandbox, begun: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Asked {
    Now(Arc<str>),
    Wait(oneshot::Receiver<Turn>),
}

impl State {
    fn new(slots: usize) -> State {
        State { free: slots.max(1), now: 0, queues: HashMap::new(), order: BTreeSet::new() }
    }

    fn ask(&mut self, sandbox: &str) -> Asked {
        let who = self.queues.get_key_value(sandbox).map_or_else(|| sandbox.into(), |(who, _)| Arc::clone(who));
        let now = self.now;
        let queue = self.queues.entry(Arc::clone(&who)).or_default();
        if queue.running == 0 && queue.waiters.is_empty() {
            queue.had = queue.had.max(now);
        }
        if self.free > 0 {
            self.free -= 1;
            queue.running += 1;
            return Asked::Now(who);
        }
        let (sender, receiver) = oneshot::channel();
        queue.waiters.push_back(sender);
        self.put(&who);
        Asked::Wait(receiver)
    }

    /// A turn ended and cost so much; who is next.
    fn ended(&mut self, sandbox: &Arc<str>, cost: u64) -> Option<(Arc<str>, oneshot::Sender<Turn>)> {
        if let Some(queue) = self.queues.get_mut(sandbox) {
            queue.running = queue.running.saturating_sub(1);
            queue.had = queue.had.saturating_add(cost);
        }
        self.put(sandbox);
        let next = self.next();
        if next.is_none() {
            self.free += 1;
            // Where nobody waits nobody owes anything.
            self.now = self.now.max(self.queues.get(sandbox).map_or(0, |queue| queue.had));
        }
        if self.queues.len() > REMEMBERED {
            let now = self.now;
            self.queues.retain(|_, queue| queue.running > 0 || !queue.waiters.is_empty() || queue.had > now);
        }
        next
    }

    /// The longest waiting request of the sandbox that has had least.
    fn next(&mut self) -> Option<(Arc<str>, oneshot::Sender<Turn>)> {
        while let Some((had, who)) = self.order.first().cloned() {
            self.now = self.now.max(had);
            let Some(queue) = self.queues.get_mut(&who) else {
                self.order.pop_first();
                continue;
            };
            let waiter = std::iter::from_fn(|| queue.waiters.pop_front()).find(|waiter| !waiter.is_closed());
            queue.running += u64::from(waiter.is_some());
            self.put(&who);
            if let Some(waiter) = waiter {
                return Some((who, waiter));
            }
        }
        None
    }

    /// Puts a sandbox into the order where it belongs now; out of it when nobody waits.
    fn put(&mut self, who: &Arc<str>) {
        let Some(queue) = self.queues.get_mut(who) else { return };
        let place = (!queue.waiters.is_empty()).then(|| queue.had.saturating_add(queue.running.saturating_mul(EXPECTED)));
        if place == queue.place {
            return;
        }
        if let Some(old) = std::mem::replace(&mut queue.place, place) {
            self.order.remove(&(old, Arc::clone(who)));
        }
        self.order.extend(place.map(|place| (place, Arc::clone(who))));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let next = self.turns.lock().ended(&self.sandbox, took);
        if let Some((who, waiter)) = next {
            // Who has gone just now gives it back, and so on.
            drop(waiter.send(self.turns.turn(who)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(millis: u64) -> tokio::time::Instant {
        tokio::time::Instant::now() + Duration::from_millis(millis)
    }

    fn long() -> tokio::time::Instant {
        after(60_000)
    }

    /// Asks for a turn and stays in the queue.
    async fn queued(turns: &Turns, sandbox: &'static str) -> tokio::task::JoinHandle<Result<Turn, TooLong>> {
        let (turns, before) = (turns.clone(), turns.waiting());
        let asking = turns.clone();
        let task = tokio::spawn(async move { asking.take(sandbox, long()).await });
        while turns.waiting() == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn who_computed_little_is_next_however_many_of_another_wait() {
        let turns = Turns::new(1);
        let first = turns.take("noisy", long()).await.unwrap();
        let mut noisy = Vec::new();
        for _ in 0..50 {
            noisy.push(queued(&turns, "noisy").await);
        }
        let quiet = queued(&turns, "quiet").await;
        std::thread::sleep(Duration::from_millis(3));
        drop(first);
        let turn = quiet.await.unwrap().unwrap();
        assert!(!noisy.iter().any(tokio::task::JoinHandle::is_finished));
        drop(turn);
        for task in noisy {
            drop(task.await.unwrap().unwrap());
        }
        assert_eq!((turns.waiting(), turns.lock().free), (0, 1));
    }

    /// How often `b` is next in the first twenty turns of `a` and `b`, which both want all, where a turn costs as much as given.
    fn turns_of_b(cost_of_a: u64, cost_of_b: u64) -> usize {
        let mut state = State::new(1);
        let Asked::Now(mut turn) = state.ask("a") else { panic!("nobody has it") };
        let _waiting: Vec<Asked> = ["a", "b"].iter().flat_map(|who| [*who; 40]).map(|who| state.ask(who)).collect();
        let mut next = || {
            let cost = if &*turn == "a" { cost_of_a } else { cost_of_b };
            turn = state.ended(&turn, cost).expect("somebody waits").0;
            &*turn == "b"
        };
        (0..20).filter(|_| next()).count()
    }

    #[test]
    fn two_that_want_all_get_as_much_time_each() {
        assert_eq!(turns_of_b(2_000_000, 2_000_000), 10);
        // Three of those in the time of one of these.
        assert_eq!(turns_of_b(6_000_000, 2_000_000), 15);
    }

    #[tokio::test]
    async fn patience_ends_and_a_turn_that_nobody_waits_for_is_passed_on() {
        let turns = Turns::new(1);
        let held = turns.take("a", long()).await.unwrap();
        assert_eq!(turns.take("b", after(20)).await.unwrap_err(), TooLong);
        let gone = queued(&turns, "b").await;
        let waits = queued(&turns, "c").await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(held);
        drop(waits.await.unwrap().unwrap());
        assert_eq!((turns.waiting(), turns.lock().free), (0, 1));
        drop(turns.take("b", long()).await.unwrap());
    }

    #[tokio::test]
    async fn sandboxes_without_end_are_not_remembered() {
        let turns = Turns::new(2);
        for i in 0..5 * REMEMBERED {
            drop(turns.take(&format!("s{i}"), long()).await.unwrap());
        }
        let state = turns.lock();
        assert!(state.queues.len() <= REMEMBERED + 1 && state.order.is_empty() && state.free == 2);
    }
}
