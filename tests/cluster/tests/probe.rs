//! The escape probe in a sandbox: it finds nothing where nothing is, and every hole that is punched on purpose.

use anyhow::{Context, Result, ensure};
use portcullis_cluster::objects::parse;
use portcullis_cluster::stack::{METRICS, SANDBOXES, figure};
use portcullis_cluster::{Stack, inside};
use serde_json::Value;

/// Runs the probe where it is deployed; gives its exit code and what escaped, as `check target`.
async fn probe(stack: &Stack) -> Result<(Option<i32>, Vec<String>)> {
    let pods = stack.cluster.pods(SANDBOXES, "app.kubernetes.io/component=probe");
    let pod = pods.first().context("no probe")?;
    let output = stack.cluster.exec(pod, &["/usr/local/bin/portcullis", "probe", "--format", "json"]).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&text).with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    figure(&format!("probe: {} in {} s: {}", report["result"], report["seconds"], report["counts"]));
    let rows = report["results"].as_array().into_iter().flatten();
    let text = |row: &Value, member: &str| row[member].as_str().unwrap_or_default().to_owned();
    let not_blocked = rows.filter(|row| row["outcome"] != "blocked");
    Ok((
        output.status.code(),
        not_blocked.map(|row| format!("{} {} {}", text(row, "outcome"), text(row, "check"), text(row, "target"))).collect(),
    ))
}

fn policy(name: &str, egress: &str) -> String {
    format!(
        "kind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {SANDBOXES}}}\nspec: {{podSelector: {{}}, policyTypes: [Egress], egress: [{egress}]}}"
    )
}

#[test]
fn the_probe_finds_no_way_out_and_every_hole_that_is_punched() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let cluster = &stack.cluster;
        let (code, found) = probe(&stack).await?;
        ensure!(code == Some(0) && found.is_empty(), "{code:?} {found:#?}\n{}", cluster.report());
        ensure!(cluster.world.contacts().is_empty(), "the world heard of it: {:?}", cluster.world.contacts());
        // As a Job, as docs/deploy.md has it run at once.
        cluster.run_cron_job(SANDBOXES, "portcullis-probe", "probe-now")?;
        ensure!(cluster.job(SANDBOXES, "probe-now").await?, "the Job failed\n{}", cluster.report());

        // One port of one protocol, to anywhere.
        for (name, egress, hole) in [
            ("names", "{ports: [{port: 53, protocol: UDP}]}", "escaped dns_udp"),
            ("shell", "{ports: [{port: 22}]}", "escaped tcp"),
            ("cluster", "{to: [{namespaceSelector: {}}], ports: [{port: 9090}]}", "escaped internal"),
        ] {
            cluster.apply(parse(&policy(name, egress))?)?;
            cluster.settled().await?;
            let (code, found) = probe(&stack).await?;
            ensure!(code == Some(1) && found.iter().any(|row| row.starts_with(hole)), "{name}: {code:?} {found:#?}");
            cluster.delete("NetworkPolicy", SANDBOXES, name);
        }
        cluster.settled().await?;
        let (code, found) = probe(&stack).await?;
        ensure!(code == Some(0) && found.is_empty(), "holes that were shut: {code:?} {found:#?}");

        // No walls at all.
        for name in ["default-deny", "to-gateway"] {
            cluster.object("NetworkPolicy", SANDBOXES, name)?;
            cluster.delete("NetworkPolicy", SANDBOXES, name);
        }
        cluster.settled().await?;
        let (code, found) = probe(&stack).await?;
        figure(&format!("without walls: {} ways out", found.len()));
        for check in ["tcp", "udp", "dns_udp", "dns_tcp", "metadata"] {
            ensure!(found.iter().any(|row| row.starts_with(&format!("escaped {check} "))), "{check} did not escape: {found:#?}");
        }
        ensure!(code == Some(1));
        // The deployed probe says so too, when it runs the next time; until then it tells of its last run.
        let pod = cluster.pods(SANDBOXES, "app.kubernetes.io/component=probe").into_iter().next().context("no probe")?;
        let told = cluster.metric(&pod, METRICS, "portcullis_probe_last_run_timestamp_seconds", "").await?;
        ensure!(told > 0.0, "the deployed probe has not run");
        stack.check(&[])
    });
}
