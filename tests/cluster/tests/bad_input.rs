//! What is missing, broken or over: the pod says so in one line and is not ready; traffic goes on with what still works, or follows the
//! fail mode.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_cluster::objects::Object;
use portcullis_cluster::stack::{METRICS, SYSTEM, figure};
use portcullis_cluster::{PATIENCE, Phase, PodName, PodView, Stack, inside};
use portcullis_e2e::{Request, Response};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use time::OffsetDateTime;

const SCANNER_TLS: &str = "portcullis-scanner-tls";
/// How long the certificate lives that ends while it is in use.
const SHORT: Duration = Duration::from_secs(8);

async fn until(what: &str, stack: &Stack, so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !so().await? {
        ensure!(begun.elapsed() < PATIENCE, "waited for: {what}\n{}", stack.cluster.report());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn status(stack: &Stack) -> Result<u16> {
    Ok(stack.sandbox.send(Request::get("https://sink.example.net/")).await?.status)
}

/// A scanner's Secret whose certificate ends so, by the CA of the parts.
fn ending(stack: &Stack, ends: OffsetDateTime) -> Result<BTreeMap<String, String>> {
    let ca = stack.cluster.texts("Secret", SYSTEM, "portcullis-internal-ca")?;
    let issuer = Issuer::from_ca_cert_pem(&ca["tls.crt"], KeyPair::from_pem(&ca["tls.key"])?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["portcullis-scanner".to_owned()])?;
    params.not_before = OffsetDateTime::now_utc() - Duration::from_secs(7200);
    params.not_after = ends;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer)?.pem();
    let texts = [("tls.crt", certificate), ("tls.key", key.serialize_pem()), ("ca.crt", ca["tls.crt"].clone())];
    Ok(texts.map(|(name, text)| (name.to_owned(), text)).into())
}

/// Exchanges a part, which its newest pod does not survive: it ends with code 2 and one line that says this, over and over. All others stay.
async fn refuses_to_start(stack: &Stack, part: &str, line: &str) -> Result<()> {
    let mut old = stack.pods(part);
    old.retain(|pod| stack.cluster.pod(pod).is_ok_and(|pod| pod.ready_since.is_some()));
    stack.cluster.restart(SYSTEM, &format!("portcullis-{part}"))?;
    let ended = |pod: &PodView| {
        let state = pod.containers.get(part)?;
        state.last.clone().filter(|last| state.restarts > 0 && last.message.contains(line))
    };
    let label = format!("app.kubernetes.io/component={part}");
    let (pod, last) = stack.cluster.some_pod_is(SYSTEM, &label, &format!("ends saying {line:?}"), ended).await?;
    ensure!(!old.contains(&pod), "{} is an old pod", pod.1);
    // Beside what it logged before.
    let said: Vec<&str> = last.message.lines().filter(|line| !line.starts_with('{')).collect();
    figure(&format!("{part}: {}", said.join("; ")));
    ensure!(last.code == 2, "code {}: {}", last.code, last.message);
    ensure!(said.len() == 1, "not one line: {}", last.message);
    ensure!(stack.cluster.pod(&pod)?.ready_since.is_none(), "{} is ready", pod.1);
    for pod in old {
        ensure!(stack.cluster.pod(&pod)?.ready_since.is_some(), "{} did not stay", pod.1);
    }
    ensure!(status(stack).await? == 200, "traffic stopped");
    Ok(())
}

/// The lines of a scanner's log that are errors about this.
fn told(stack: &Stack, pod: &PodName, about: &str) -> usize {
    stack.cluster.logs(pod, "scanner").lines().filter(|line| line.contains("ERROR") && line.contains(about)).count()
}

#[test]
fn what_cannot_be_used_at_start_is_said_in_one_line_and_the_old_pods_go_on() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let cluster = &stack.cluster;
        let good = cluster.texts("Secret", SYSTEM, SCANNER_TLS)?;
        let running = stack.pods("scanner");

        // No Secret: kubelet says so, and waits.
        cluster.delete("Secret", SYSTEM, SCANNER_TLS);
        cluster.restart(SYSTEM, "portcullis-scanner")?;
        let waits =
            |pod: &PodView| matches!(&pod.phase, Phase::Waiting(why) if why == "Secret portcullis-scanner-tls is missing").then_some(());
        cluster.some_pod_is(SYSTEM, "app.kubernetes.io/component=scanner", "waits", waits).await?;
        ensure!(status(&stack).await? == 200);

        // A part of it, and one that is over. Scanners that run keep what they had, and say so once.
        let mut partly = good.clone();
        partly.remove("tls.key").context("no key")?;
        cluster.set("Secret", SYSTEM, SCANNER_TLS, &partly)?;
        refuses_to_start(&stack, "scanner", "tls.key").await?;
        cluster.set("Secret", SYSTEM, SCANNER_TLS, &ending(&stack, OffsetDateTime::now_utc() - Duration::from_secs(3600))?)?;
        refuses_to_start(&stack, "scanner", "expired").await?;
        for pod in &running {
            let errors = cluster.metric(pod, METRICS, "portcullis_tls_reloads_total", "result=\"error\"").await?;
            ensure!(errors >= 1.0 && told(&stack, pod, "tls") >= 1, "{errors} counted\n{}", cluster.logs(pod, "scanner"));
        }
        cluster.set("Secret", SYSTEM, SCANNER_TLS, &good)?;
        cluster.rolled_out(SYSTEM, "portcullis-scanner").await?;

        // A policy that does not parse.
        let policy = cluster.texts("ConfigMap", SYSTEM, "portcullis-policy")?;
        let broken = [("policy.yaml".to_owned(), "version: 1\nextends: [default\n".to_owned())];
        cluster.set("ConfigMap", SYSTEM, "portcullis-policy", &broken.into())?;
        refuses_to_start(&stack, "scanner", "policy.yaml").await?;
        cluster.set("ConfigMap", SYSTEM, "portcullis-policy", &policy)?;
        cluster.rolled_out(SYSTEM, "portcullis-scanner").await?;

        // The other parts.
        for part in ["gateway", "certificates"] {
            let name = format!("portcullis-{part}-tls");
            let good = cluster.texts("Secret", SYSTEM, &name)?;
            let mut partly = good.clone();
            partly.remove("tls.crt").context("no certificate")?;
            cluster.set("Secret", SYSTEM, &name, &partly)?;
            refuses_to_start(&stack, part, "tls.crt").await?;
            cluster.set("Secret", SYSTEM, &name, &good)?;
            cluster.rolled_out(SYSTEM, &format!("portcullis-{part}")).await?;
        }
        ensure!(status(&stack).await? == 200);
        stack.check(&[])
    });
}

#[test]
fn a_certificate_that_ends_takes_its_scanners_away_until_the_next_one_comes() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let cluster = &stack.cluster;
        let good = cluster.texts("Secret", SYSTEM, SCANNER_TLS)?;
        cluster.set("Secret", SYSTEM, SCANNER_TLS, &ending(&stack, OffsetDateTime::now_utc() + SHORT)?)?;
        ensure!(status(&stack).await? == 200);
        let ready = || stack.pods("scanner").iter().filter(|pod| cluster.pod(pod).is_ok_and(|pod| pod.ready_since.is_some())).count();
        until("no scanner is ready", &stack, async || Ok(ready() == 0)).await?;
        let (code, why) = cluster.ask(&stack.pod("scanner")?, METRICS.0, "/readyz").await?;
        figure(&format!("/readyz: {code} {}", why.trim()));
        ensure!(code == 503 && why.contains("expired") && why.trim().lines().count() == 1, "{code} {why}");
        for pod in stack.pods("scanner") {
            ensure!(told(&stack, &pod, "expired") == 1, "{}", cluster.logs(&pod, "scanner"));
        }
        // Connections that were made while it was valid go on. Gateways that have to make theirs find nobody, and nothing passes them.
        cluster.restart(SYSTEM, "portcullis-gateway")?;
        cluster.rolled_out(SYSTEM, "portcullis-gateway").await?;
        let before = cluster.world.origin.requests().len();
        ensure!(status(&stack).await? == 503, "something passed");
        ensure!(cluster.world.origin.requests().len() == before);
        cluster.set("Secret", SYSTEM, SCANNER_TLS, &good)?;
        until("all scanners are ready", &stack, async || Ok(ready() == 2)).await?;
        stack.every_gateway_knows_every_scanner().await?;
        ensure!(status(&stack).await? == 200);
        stack.check(&[])
    });
}

/// Gateways whose Envoy configuration is of another version than the scanners; and what a sandbox gets then.
async fn of_another_version(overlay: &str, replicas: usize) -> Result<(Stack, Response)> {
    let other = |objects: &mut Vec<Object>| {
        let envoy = objects.iter_mut().find(|object| object.kind() == "ConfigMap" && object.name().starts_with("portcullis-envoy"));
        let text = &mut envoy.context("no portcullis-envoy")?.value_mut()["data"]["envoy.yaml"];
        let (ours, theirs) = ("key: x-portcullis-protocol, value: \"2\"", "key: x-portcullis-protocol, value: \"0\"");
        let changed = text.as_str().context("no envoy.yaml")?.replace(ours, theirs);
        ensure!(text.as_str() != Some(&changed), "envoy.yaml says nothing of a protocol");
        *text = changed.into();
        Ok(())
    };
    let stack = Stack::start_with(overlay, replicas, other).await?;
    let answer = stack.sandbox.send(Request::get("https://sink.example.net/")).await?;
    let (mut refused, mut lines) = (0.0, 0);
    for pod in stack.pods("scanner") {
        refused += stack.cluster.metric(&pod, METRICS, "portcullis_protocol_refusals_total", "").await?;
        lines += told(&stack, &pod, "another version");
    }
    ensure!(refused > 0.0 && (1..=replicas).contains(&lines), "{overlay}: {refused} refused, {lines} lines");
    stack.check(&[])?;
    Ok((stack, answer))
}

#[test]
fn gateways_of_another_version_are_refused_and_nothing_passes() {
    inside(async || {
        let (stack, answer) = of_another_version("production", 2).await?;
        ensure!(answer.status != 200 && stack.cluster.world.origin.requests().is_empty(), "{}", answer.status);
        Ok(())
    });
}

#[test]
fn with_fail_open_gateways_of_another_version_are_refused_and_traffic_passes_marked() {
    inside(async || {
        let (_, answer) = of_another_version("dev+fail-open", 1).await?;
        ensure!(
            answer.status == 200 && answer.header("x-portcullis-failed-open").as_deref() == Some("1"),
            "{} {:?}",
            answer.status,
            answer.headers
        );
        Ok(())
    });
}
