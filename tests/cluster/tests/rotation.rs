//! Certificates and CAs are exchanged while requests go on.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_cluster::stack::{GATEWAY_STATS, METRICS, SANDBOXES, SYSTEM, figure};
use portcullis_cluster::{Load, PATIENCE, PodName, Stack, inside};
use portcullis_e2e::{Client, Request, binary};
use tokio::process::Command;

const PARTS: [&str; 3] = ["gateway", "scanner", "certificates"];
const WORKERS: usize = 6;

async fn until(what: &str, stack: &Stack, so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !so().await? {
        ensure!(begun.elapsed() < PATIENCE, "waited for: {what}\n{}", stack.cluster.report());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    figure(&format!("{what} after {:.2} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

/// The Secret of a part.
fn secret(part: &str) -> String {
    format!("portcullis-{part}-tls")
}

/// What a part shows to who connects from a gateway's place, PEM.
async fn shown(stack: &Stack, to: &PodName, port: u16) -> Result<String> {
    let address = stack.cluster.pod(to)?.address.context("no address")?;
    let host = stack.cluster.host_of(&stack.pod("gateway")?)?;
    let mut client = Command::from(host.command("openssl"));
    client.args(["s_client", "-connect", &format!("{address}:{port}"), "-alpn", "h2"]).stdin(Stdio::null());
    Ok(String::from_utf8_lossy(&client.output().await?.stdout).into_owned())
}

/// Whether every scanner and every certificates service shows what is in its Secret.
async fn all_show_theirs(stack: &Stack) -> Result<bool> {
    for (part, port) in [("scanner", 9001), ("certificates", 9002)] {
        let secret = stack.cluster.texts("Secret", SYSTEM, &secret(part))?;
        let own = secret["tls.crt"].split_inclusive("-----END CERTIFICATE-----\n").next().unwrap_or_default().trim();
        for pod in stack.pods(part) {
            if !shown(stack, &pod, port).await?.contains(own) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How often every Envoy has taken new certificates towards the scanners, and every other part has.
async fn taken(stack: &Stack) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for pod in stack.pods("gateway") {
        let labels = "envoy_cluster_name=\"scanner\"";
        all.push(
            stack.cluster.metric(&pod, GATEWAY_STATS, "envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds", labels).await?,
        );
    }
    for pod in stack.pods("scanner").iter().chain(&stack.pods("certificates")) {
        all.push(stack.cluster.metric(pod, METRICS, "portcullis_tls_reloads_total", "result=\"ok\"").await?);
    }
    Ok(all)
}

/// Changes the Secrets of all parts, and waits until all of them have taken it.
async fn change(stack: &Stack, what: &str, change: impl Fn(&str, &mut BTreeMap<String, String>)) -> Result<()> {
    let before = taken(stack).await?;
    for part in PARTS {
        let mut texts = stack.cluster.texts("Secret", SYSTEM, &secret(part))?;
        change(part, &mut texts);
        stack.cluster.set("Secret", SYSTEM, &secret(part), &texts)?;
    }
    until(what, stack, async || Ok(taken(stack).await?.iter().zip(&before).all(|(now, before)| now > before))).await
}

async fn portcullis(arguments: &[&str]) -> Result<()> {
    let output = Command::new(binary()?).args(arguments).output().await?;
    ensure!(output.status.success(), "portcullis {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn read(folder: &Path, file: &str) -> Result<String> {
    std::fs::read_to_string(folder.join(file)).with_context(|| format!("{file} in {}", folder.display()))
}

#[test]
fn certificates_and_authorities_are_exchanged_without_a_failed_request() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let cluster = &stack.cluster;
        let load = Load::start(&stack.sandbox, WORKERS);
        ensure!(all_show_theirs(&stack).await?);

        // The CronJob makes anew what is not there; pods have the old meanwhile.
        let before = taken(&stack).await?;
        for part in PARTS {
            cluster.delete("Secret", SYSTEM, &secret(part));
        }
        cluster.run_cron_job(SYSTEM, "portcullis-pki", "pki-now")?;
        ensure!(cluster.job(SYSTEM, "pki-now").await?, "{}", cluster.report());
        let all = async || Ok(taken(&stack).await?.iter().zip(&before).all(|(now, before)| now > before));
        until("certificates of the same CA were taken by all", &stack, all).await?;
        ensure!(all_show_theirs(&stack).await?, "an old certificate is still shown");

        // Another CA of the parts, in the three steps of docs/tls.md.
        let folder = tempfile::tempdir()?;
        let other = |part: &str, file: &str| read(&folder.path().join(part), file);
        portcullis(&["pki", "issue", "--dir", &folder.path().display().to_string()]).await?;
        let (old_ca, new_ca) = (cluster.texts("Secret", SYSTEM, &secret("gateway"))?["ca.crt"].clone(), other("gateway", "ca.crt")?);
        let old_identity = cluster.texts("Secret", SYSTEM, &secret("gateway"))?;
        let both = format!("{old_ca}{new_ca}");
        let mut identities = BTreeMap::new();
        for part in PARTS {
            identities.insert(part, (other(part, "tls.crt")?, other(part, "tls.key")?));
        }
        change(&stack, "both CAs were trusted by all", |_, texts| drop(texts.insert("ca.crt".to_owned(), both.clone()))).await?;
        change(&stack, "certificates of the new CA were taken by all", |part, texts| {
            texts.extend([("tls.crt".to_owned(), identities[part].0.clone()), ("tls.key".to_owned(), identities[part].1.clone())]);
        })
        .await?;
        ensure!(all_show_theirs(&stack).await?, "a certificate of the old CA is still shown");
        change(&stack, "only the new CA was trusted by all", |_, texts| drop(texts.insert("ca.crt".to_owned(), new_ca.clone()))).await?;
        // New connections, which know nothing but the new CA.
        cluster.restart(SYSTEM, "portcullis-scanner")?;
        cluster.rolled_out(SYSTEM, "portcullis-scanner").await?;
        let scanner = stack.pod("scanner")?;
        let refused = async || cluster.metric(&scanner, METRICS, "portcullis_tls_handshakes_total", "result=\"refused\"").await;
        let before = refused().await?;
        for (name, text) in &old_identity {
            std::fs::write(folder.path().join(name), text)?;
        }
        let address = cluster.pod(&scanner)?.address.context("no address")?;
        let host = cluster.host_of(&stack.pod("gateway")?)?;
        let mut client = Command::from(host.command("openssl"));
        client.args(["s_client", "-connect", &format!("{address}:9001"), "-alpn", "h2", "-cert", "tls.crt", "-key", "tls.key"]);
        client.current_dir(folder.path()).stdin(Stdio::null()).output().await?;
        until("a certificate of the old CA was refused", &stack, async || Ok(refused().await? > before)).await?;

        // Another CA of the leaves: announced in the bundle, then it signs.
        let leaves = folder.path().join("leaves");
        portcullis(&["ca", "init", "--ca-dir", &leaves.display().to_string()]).await?;
        let (old, new) = (cluster.texts("Secret", SYSTEM, "portcullis-ca")?["ca.pem"].clone(), read(&leaves, "ca.pem")?);
        let bundle: BTreeMap<String, String> = ["ca.pem", "bundle.pem"].map(|name| (name.to_owned(), format!("{old}{new}"))).into();
        cluster.set("ConfigMap", SANDBOXES, "portcullis-ca-bundle", &bundle)?;
        let files = [("ca.pem", new.clone()), ("ca.key", read(&leaves, "ca.key")?), ("old.pem", old)];
        cluster.set("Secret", SYSTEM, "portcullis-ca", &files.map(|(name, text)| (name.to_owned(), text)).into())?;
        let reloaded = async || {
            let mut all = true;
            for pod in stack.pods("certificates") {
                all &= cluster.metric(&pod, METRICS, "portcullis_certificates_ca_reloads_total", "result=\"ok\"").await? > 0.0;
            }
            Ok(all)
        };
        until("the new CA of the leaves was taken by all", &stack, reloaded).await?;
        // Who trusts the new one only verifies a new name; a tool in the sandbox, with the bundle, both.
        let newest = Client::new(stack.sandbox.proxy(), &new)?;
        let answer = stack.sandbox.host().run(async move || newest.send(&Request::get("https://fresh.sink.example.net/")).await).await?;
        ensure!(answer?.status == 200);
        for name in ["sink.example.net", "another.sink.example.net"] {
            let fetch = format!("curl -sS -o /dev/null -w '%{{http_code}}' https://{name}/");
            let output = cluster.exec(&stack.sandbox.pod, &["sh", "-c", &fetch]).await?;
            ensure!(output.stdout == b"200", "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }

        let secrets = load.secrets().to_vec();
        let report = load.stop().await?;
        figure(&format!("all certificates exchanged: {report}"));
        let wrong = report.wrong(&cluster.world.origin.requests());
        ensure!(wrong.is_empty() && report.failed().count() == 0, "{wrong:#?} {report}");
        stack.check(&secrets)
    });
}
