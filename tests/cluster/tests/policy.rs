//! One policy for all scanners, changed while they run.

use std::time::Instant;

use anyhow::{Result, ensure};
use portcullis_cluster::stack::{METRICS, SYSTEM, figure};
use portcullis_cluster::{PATIENCE, Stack, inside};
use portcullis_e2e::Request;

/// What every scanner says of a metric.
async fn of_all(stack: &Stack, name: &str, labels: &str) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for pod in stack.pods("scanner") {
        values.push(stack.cluster.metric(&pod, METRICS, name, labels).await?);
    }
    Ok(values)
}

/// The policy that every scanner says it has.
async fn policies(stack: &Stack) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for pod in stack.pods("scanner") {
        let (_, text) = stack.cluster.ask(&pod, METRICS.0, METRICS.1).await?;
        let line = text.lines().find(|line| line.starts_with("portcullis_policy_info{")).unwrap_or_default();
        all.push(line.to_owned());
    }
    Ok(all)
}

fn set(stack: &Stack, policy: &str) -> Result<()> {
    stack.cluster.change("ConfigMap", SYSTEM, "portcullis-policy", |object| object["data"]["policy.yaml"] = policy.into())
}

async fn until(what: &str, stack: &Stack, so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !so().await? {
        ensure!(begun.elapsed() < PATIENCE, "waited for: {what}\n{}", stack.cluster.report());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

#[test]
fn a_changed_policy_reaches_every_scanner_and_a_broken_one_none() {
    inside(async || {
        let stack = Stack::start("production", 3).await?;
        let send = async || stack.sandbox.send(Request::get("https://sink.example.net/")).await.map(|answer| answer.status);
        ensure!(send().await? == 200);
        let before = policies(&stack).await?;
        ensure!(before.len() == 3 && before.iter().all(|policy| *policy == before[0] && !policy.is_empty()), "{before:?}");

        let begun = Instant::now();
        set(&stack, "version: 1\nextends: default\nhosts:\n  block: [sink.example.net]\n")?;
        let moved = async || policies(&stack).await.map(|now| now.iter().all(|policy| *policy == now[0] && *policy != before[0]));
        until("all scanners have the new policy", &stack, moved).await?;
        figure(&format!("a new policy was everywhere after {:.2} s", begun.elapsed().as_secs_f64()));
        // By many connections, so that each scanner decides some of them; none lets one pass.
        let denied_before = of_all(&stack, "portcullis_requests_total", "verdict=\"deny\"").await?;
        let denied_everywhere = async || {
            ensure!(send().await? == 403, "one scanner decides by the old policy");
            let now = of_all(&stack, "portcullis_requests_total", "verdict=\"deny\"").await?;
            Ok(now.iter().zip(&denied_before).all(|(now, before)| now > before))
        };
        until("every scanner has denied something", &stack, denied_everywhere).await?;

        let blocked = policies(&stack).await?;
        set(&stack, "version: 1\nextends: default\nhosts:\n  blok: [sink.example.net]\n")?;
        let refused = async || Ok(of_all(&stack, "portcullis_reloads_total", "result=\"error\"").await?.iter().all(|count| *count == 1.0));
        until("all scanners refused the broken policy", &stack, refused).await?;
        ensure!(policies(&stack).await? == blocked, "a broken policy changed something");
        ensure!(send().await? == 403);
        for pod in stack.pods("scanner") {
            let log = stack.cluster.logs(&pod, "scanner");
            let told: Vec<&str> = log.lines().filter(|line| line.contains("blok")).collect();
            ensure!(told.len() == 1 && told[0].contains("line 4"), "{told:?}");
            ensure!(stack.cluster.pod(&pod)?.ready_since.is_some(), "a broken policy took a scanner away");
        }

        set(&stack, "version: 1\nextends: default\n")?;
        until("all scanners have the old policy again", &stack, async || Ok(policies(&stack).await? == before)).await?;
        for _ in 0..10 {
            ensure!(send().await? == 200);
        }
        stack.check(&[])
    });
}
