//! Parts die, disappear and are exchanged under load: no secret passes, and nothing fails but what was under way in what died.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use portcullis_cluster::stack::{SYSTEM, figure};
use portcullis_cluster::{Load, PodView, Report, Sent, Stack, inside};

/// Clients at once.
const WORKERS: usize = 10;
/// How long load is watched before and after something happens.
const WHILE: Duration = Duration::from_secs(2);
/// How often a scanner is killed.
const KILLS: usize = 3;

/// Ends the load and holds what came of it to the invariants.
async fn judge(stack: &Stack, load: Load, what: &str) -> Result<Report> {
    let secrets = load.secrets().to_vec();
    let report = load.stop().await?;
    figure(&format!("{what}: {report}"));
    let wrong = report.wrong(&stack.cluster.world.origin.requests());
    ensure!(wrong.is_empty(), "{what}: {wrong:#?}");
    stack.check(&secrets)?;
    Ok(report)
}

/// Asserts that what failed was under way at one of these moments.
fn nothing_else_failed(report: &Report, moments: &[Instant]) -> Result<()> {
    let under_way: usize = moments.iter().map(|moment| report.under_way(*moment)).sum();
    figure(&format!("{} failed; {under_way} were under way, in all scanners together", report.failed().count()));
    let excused = |sent: &Sent| moments.iter().any(|moment| sent.begun <= *moment && *moment <= sent.ended);
    ensure!(report.failed().all(excused), "something failed that was not under way: {report}");
    Ok(())
}

#[test]
fn a_scanner_that_is_killed_fails_nothing_but_what_was_under_way_in_it() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let load = Load::start(&stack.sandbox, WORKERS);
        let mut kills = Vec::new();
        for number in 0..KILLS {
            tokio::time::sleep(WHILE).await;
            // In turns, so that each is the one that is left.
            let scanners = stack.pods("scanner");
            let victim = &scanners[number % scanners.len()];
            stack.cluster.kill(victim, "scanner")?;
            let killed = Instant::now();
            kills.push(killed);
            let again = u32::try_from(number / scanners.len() + 1)?;
            let back = |pod: &PodView| (pod.containers.get("scanner")?.restarts == again && pod.ready_since.is_some()).then_some(());
            stack.cluster.pod_is(victim, "is back", back).await?;
            figure(&format!("back after {:.2} s", killed.elapsed().as_secs_f64()));
        }
        tokio::time::sleep(WHILE).await;
        let report = judge(&stack, load, "scanners killed").await?;
        nothing_else_failed(&report, &kills)
    });
}

#[test]
fn a_scanner_that_disappears_with_its_network_fails_nothing_but_what_was_under_way_in_it() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let load = Load::start(&stack.sandbox, WORKERS);
        tokio::time::sleep(WHILE).await;
        let victim = stack.pod("scanner")?;
        stack.cluster.lose(&victim).await?;
        let lost = Instant::now();
        stack.cluster.pod_is(&victim, "is not ready", |pod| pod.ready_since.is_none().then_some(())).await?;
        figure(&format!("not ready after {:.2} s", lost.elapsed().as_secs_f64()));
        stack.cluster.give_up(&victim);
        stack.cluster.rolled_out(SYSTEM, "portcullis-scanner").await?;
        figure(&format!("replaced after {:.2} s", lost.elapsed().as_secs_f64()));
        tokio::time::sleep(WHILE).await;
        let report = judge(&stack, load, "a scanner lost").await?;
        nothing_else_failed(&report, &[lost])
    });
}

#[test]
fn a_rolling_restart_of_every_part_loses_nothing() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let load = Load::start(&stack.sandbox, WORKERS);
        tokio::time::sleep(WHILE).await;
        for part in ["scanner", "certificates", "gateway"] {
            let (before, begun) = (stack.pods(part), Instant::now());
            let deployment = format!("portcullis-{part}");
            stack.cluster.restart(SYSTEM, &deployment)?;
            stack.cluster.rolled_out(SYSTEM, &deployment).await?;
            let after = stack.pods(part);
            ensure!(after.len() == before.len() && after.iter().all(|pod| !before.contains(pod)), "{part} was not exchanged");
            figure(&format!("{part} exchanged in {:.2} s", begun.elapsed().as_secs_f64()));
        }
        tokio::time::sleep(WHILE).await;
        let report = judge(&stack, load, "everything exchanged").await?;
        ensure!(report.failed().count() == 0, "{report}");
        Ok(())
    });
}
