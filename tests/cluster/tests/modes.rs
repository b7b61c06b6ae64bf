//! What happens to traffic while no scanner is there: as the overlay says.

use anyhow::{Result, ensure};
use portcullis_cluster::objects::Object;
use portcullis_cluster::stack::{GATEWAY_STATS, SYSTEM};
use portcullis_cluster::{Stack, inside};
use portcullis_e2e::{Request, Response, github_pat};

/// Takes all scanners away, and waits until the gateway knows.
async fn without_scanners(stack: &Stack) -> Result<()> {
    let scale = |object: &mut serde_json::Value| object["spec"]["replicas"] = 0.into();
    stack.cluster.change("Deployment", SYSTEM, "portcullis-scanner", scale)?;
    stack.cluster.delete("HorizontalPodAutoscaler", SYSTEM, "portcullis-scanner");
    stack.cluster.rolled_out(SYSTEM, "portcullis-scanner").await?;
    stack.every_gateway_knows_every_scanner().await
}

fn requests() -> [Request; 3] {
    let url = "https://sink.example.net/";
    [Request::get(url), Request::post(url).header("content-type", "text/plain").body("nothing to see here"), Request::get(url).http2()]
}

fn mark(answer: &Response) -> String {
    answer.header("x-portcullis-failed-open").unwrap_or_default()
}

#[test]
fn production_lets_nothing_pass_without_scanners() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        without_scanners(&stack).await?;
        let before = stack.cluster.world.origin.requests().len();
        for request in requests() {
            let answer = stack.sandbox.send(request).await?;
            ensure!(answer.status == 503 || answer.text().contains("503"), "{} {}", answer.status, answer.text());
        }
        ensure!(stack.cluster.world.origin.requests().len() == before, "something passed");
        // They come back, and so does traffic.
        stack.cluster.change("Deployment", SYSTEM, "portcullis-scanner", |object| object["spec"]["replicas"] = 2.into())?;
        stack.cluster.rolled_out(SYSTEM, "portcullis-scanner").await?;
        stack.every_gateway_knows_every_scanner().await?;
        for request in requests() {
            ensure!(stack.sandbox.send(request).await?.status == 200);
        }
        stack.check(&[])
    });
}

#[test]
fn fail_open_lets_pass_marked_and_counted_without_scanners() {
    inside(async || {
        let probeless = |objects: &mut Vec<Object>| {
            // What it sends would be counted too.
            objects.retain(|object| !(object.kind() == "Deployment" && object.name() == "portcullis-probe"));
            Ok(())
        };
        let stack = Stack::start_with("dev+fail-open", 1, probeless).await?;
        let secret = github_pat();
        let answer = stack.sandbox.send(Request::get("https://sink.example.net/")).await?;
        ensure!(answer.status == 200 && mark(&answer) != "1", "with a scanner nothing is marked");
        let held = stack.sandbox.send(Request::get(&format!("https://sink.example.net/{secret}"))).await?;
        ensure!(held.status == 403, "fail-open is about scanners that are gone, not about those that say no");
        let gateway = stack.pod("gateway")?;
        let counted =
            async || stack.cluster.metric(&gateway, GATEWAY_STATS, "envoy_http_ext_proc_failure_mode_allowed", "tunnel_tls").await;
        let before = counted().await?;
        without_scanners(&stack).await?;
        for request in requests() {
            let answer = stack.sandbox.send(request).await?;
            ensure!(answer.status == 200 && mark(&answer) == "1", "{} {:?}", answer.status, answer.headers);
        }
        let passed = counted().await? - before;
        ensure!((2.9..3.1).contains(&passed), "{passed} counted");
        ensure!(!stack.cluster.world.origin.saw(secret.as_bytes()));
        stack.check(&[secret])
    });
}
