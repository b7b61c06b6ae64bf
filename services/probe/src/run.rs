//! One run: everything at once, within bounds.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::check::{Check, Outcome, Verdict};
use crate::proxied::Gateway;
use crate::report::{Report, Row};
use crate::settings::Settings;
use crate::system::System;
use crate::{direct, host, proxied};

/// Tries that are under way at a time.
const AT_A_TIME: usize = 48;
/// A run ends within this, whatever the network does.
const WITHIN: Duration = Duration::from_secs(28);
/// What is said of what has not ended by then.
const UNFINISHED: &str = "not finished in time";

/// Something that is tried, later.
pub(crate) struct Attempt {
    pub(crate) check: Check,
    pub(crate) target: String,
    trying: Pin<Box<dyn Future<Output = Verdict> + Send>>,
}

impl Attempt {
    pub(crate) fn new(check: Check, target: impl Into<String>, trying: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self { check, target: target.into(), trying: Box::pin(trying) }
    }
}

/// Tries everything that is wanted. Takes less than 30 s.
pub async fn run(settings: &Settings, system: &System) -> Report {
    let (started, begun) = (OffsetDateTime::now_utc(), Instant::now());
    let deadline = begun + WITHIN;
    let proxy = match &settings.proxy {
        Some(url) => url.destination().addresses(settings.timeout).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut attempts = direct::attempts(settings, system, &proxy);
    attempts.extend(host::attempts());
    let gateway = settings.proxy.clone().map(|url| Gateway::new(url, proxy, settings));
    let directly = all(wanted(settings, attempts), deadline);
    let mut rows = Vec::new();
    if settings.wants(Check::ProxyControl) {
        let (of_direct, through) = tokio::join!(directly, through(gateway, settings, system, deadline));
        rows.extend(of_direct);
        rows.extend(through);
    } else {
        rows.extend(directly.await);
    }
    Report::new(started, begun.elapsed(), rows)
}

/// Everything through the proxy, between two controls.
async fn through(gateway: Option<Gateway>, settings: &Settings, system: &System, deadline: Instant) -> Vec<Row> {
    let Some(gateway) = gateway.map(Arc::new) else {
        return vec![control_row("there is no proxy: give --proxy or set HTTPS_PROXY".into())];
    };
    let control =
        async || timeout_at(deadline, proxied::control(&gateway, &settings.sink)).await.unwrap_or_else(|_| Err(UNFINISHED.into()));
    let before = control().await;
    let mut rows = all(wanted(settings, proxied::attempts(&gateway, settings, system)), deadline).await;
    // Once more at the end: who was there at the beginning may have died meanwhile.
    let after = control().await;
    let controls: Vec<Row> = [before, after].into_iter().filter_map(Result::err).map(control_row).collect();
    if !controls.is_empty() {
        prove_nothing(&mut rows);
    }
    rows.extend(controls);
    rows
}

fn control_row(detail: String) -> Row {
    Row { check: Check::ProxyControl, target: "a harmless request".into(), outcome: Outcome::Failed, detail }
}

/// Where a harmless request does not pass, that others do not pass proves nothing. What got out got out all the same.
fn prove_nothing(rows: &mut [Row]) {
    for row in rows.iter_mut().filter(|row| row.outcome == Outcome::Blocked) {
        row.outcome = Outcome::Failed;
        row.detail.push_str("; a harmless request does not pass either");
    }
}

fn wanted(settings: &Settings, attempts: Vec<Attempt>) -> Vec<Attempt> {
    attempts.into_iter().filter(|attempt| settings.wants(attempt.check)).collect()
}

/// Makes all attempts, so many at a time, until the deadline.
async fn all(attempts: Vec<Attempt>, deadline: Instant) -> Vec<Row> {
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    let mut rows: Vec<Row> = Vec::with_capacity(attempts.len());
    let mut running = JoinSet::new();
    for (place, attempt) in attempts.into_iter().enumerate() {
        let Attempt { check, target, trying } = attempt;
        rows.push(Row { check, target, outcome: Outcome::Failed, detail: UNFINISHED.into() });
        let permits = Arc::clone(&permits);
        running.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire_owned().await;
            (place, trying.await)
        });
    }
    while let Ok(Some(ended)) = timeout_at(deadline, running.join_next()).await {
        // A panic in one attempt leaves its row as it is: not finished.
        if let Ok((place, verdict)) = ended
            && let Some(row) = rows.get_mut(place)
        {
            (row.outcome, row.detail) = (verdict.outcome, verdict.detail);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_end_is_failed_and_the_rest_is_told() {
        let attempts = vec![
            Attempt::new(Check::Tcp, "never", std::future::pending()),
            Attempt::new(Check::Udp, "soon", async { Verdict::blocked("no") }),
            Attempt::new(Check::Icmp, "later", async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Verdict::escaped("yes")
            }),
        ];
        let rows = all(attempts, Instant::now() + Duration::from_millis(400)).await;
        assert_eq!(rows.iter().map(|row| row.outcome).collect::<Vec<_>>(), [Outcome::Failed, Outcome::Blocked, Outcome::Escaped]);
    }

    #[tokio::test]
    async fn only_so_many_are_under_way_at_a_time() {
        let a_moment = || {
            Attempt::new(Check::Tcp, "x", async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Verdict::blocked("no")
            })
        };
        let begun = Instant::now();
        let rows = all((0..=AT_A_TIME).map(|_| a_moment()).collect(), begun + WITHIN).await;
        assert!(rows.len() == AT_A_TIME + 1 && begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    }

    #[test]
    fn walls_prove_nothing_without_a_control_and_escapes_still_do() {
        let row = |outcome| Row { check: Check::Secret, target: String::new(), outcome, detail: "x".into() };
        let mut rows = Outcome::ALL.map(row);
        prove_nothing(&mut rows);
        assert_eq!(rows.map(|row| row.outcome), [Outcome::Failed, Outcome::Failed, Outcome::Escaped]);
    }
}
