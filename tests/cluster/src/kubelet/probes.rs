//! What kubelet asks containers.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::objects::{Container, IntOrString, Probe};
use crate::state::{PodId, Shared};

/// Asks a container that runs at this address until it must be killed, and says why.
pub(super) async fn ask(shared: &Arc<Shared>, id: &PodId, container: &Container, address: Ipv4Addr) -> String {
    if let Some(probe) = &container.startup_probe
        && let Some(why) = until(probe, container, address, false).await
    {
        return format!("startup probe: {why}");
    }
    set(shared, id, &container.name, |state| state.started = true);
    tokio::select! {
        // Never ends.
        why = readiness(shared, id, container, address) => why,
        why = liveness(container, address) => format!("liveness probe: {why}"),
    }
}

async fn readiness(shared: &Arc<Shared>, id: &PodId, container: &Container, address: Ipv4Addr) -> String {
    let Some(probe) = &container.readiness_probe else {
        set(shared, id, &container.name, |state| state.ready = true);
        return std::future::pending().await;
    };
    loop {
        if until(probe, container, address, false).await.is_none() {
            set(shared, id, &container.name, |state| state.ready = true);
            until(probe, container, address, true).await;
        }
        set(shared, id, &container.name, |state| state.ready = false);
    }
}

async fn liveness(container: &Container, address: Ipv4Addr) -> String {
    let Some(probe) = &container.liveness_probe else { return std::future::pending().await };
    loop {
        if let Some(why) = until(probe, container, address, true).await {
            return why;
        }
    }
}

/// Asks until the answer has been good often enough (`None`), or bad often enough (why). While it is `good`, only the bad ends it.
async fn until(probe: &Probe, container: &Container, address: Ipv4Addr, good: bool) -> Option<String> {
    let (mut successes, mut failures) = (0, 0);
    sleep(Duration::from_secs(if good { probe.period_seconds } else { probe.initial_delay_seconds })).await;
    loop {
        let begun = Instant::now();
        match once(probe, container, address).await {
            Ok(()) => {
                (successes, failures) = (successes + 1, 0);
                if !good && successes >= probe.success_threshold {
                    return None;
                }
            }
            Err(error) => {
                (successes, failures) = (0, failures + 1);
                if failures >= probe.failure_threshold {
                    return Some(format!("{error:#}"));
                }
            }
        }
        tokio::time::sleep_until(begun + Duration::from_secs(probe.period_seconds)).await;
    }
}

async fn once(probe: &Probe, container: &Container, address: Ipv4Addr) -> Result<()> {
    let within = Duration::from_secs(probe.timeout_seconds);
    timeout(within, attempt(probe, container, address)).await.context("no answer in time")?
}

async fn attempt(probe: &Probe, container: &Container, address: Ipv4Addr) -> Result<()> {
    if let Some(socket) = &probe.tcp_socket {
        TcpStream::connect((address, port(&socket.port, container)?)).await?;
        return Ok(());
    }
    let Some(http) = &probe.http_get else { bail!("a probe of a kind that is not known here") };
    if http.scheme.as_deref().is_some_and(|scheme| scheme != "HTTP") {
        bail!("a probe over {:?}", http.scheme);
    }
    let mut stream = TcpStream::connect((address, port(&http.port, container)?)).await?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe/1.32\r\nConnection: close\r\n\r\n", http.path);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status: u16 = answer.get(9..12).and_then(|code| code.parse().ok()).context("no HTTP answer")?;
    if !(200..400).contains(&status) {
        bail!("{status}");
    }
    Ok(())
}

fn port(port: &IntOrString, container: &Container) -> Result<u16> {
    match port {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(name) => {
            let named = container.ports.iter().find(|port| port.name.as_ref() == Some(name));
            Ok(named.with_context(|| format!("no port {name}"))?.container_port)
        }
    }
}

/// Changes a container's state, and with it the pod's readiness.
pub(super) fn set(shared: &Arc<Shared>, id: &PodId, container: &str, change: impl FnOnce(&mut crate::state::ContainerState)) {
    shared.update_pod(id, |pod| {
        change(pod.containers.entry(container.to_owned()).or_default());
        let ready = pod.spec.containers.iter().all(|container| pod.containers.get(&container.name).is_some_and(|state| state.ready));
        pod.ready_since = if ready { pod.ready_since.or_else(|| Some(std::time::Instant::now())) } else { None };
    });
}
