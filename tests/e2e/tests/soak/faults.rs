//! What goes wrong meanwhile.

use std::net::Ipv4Addr;
use std::time::Duration;

use portcullis_e2e::PATIENCE;

use crate::ledger::{Ending, Kill};
use crate::life::Page;
use crate::worker::now;
use crate::world::{World, replace, write_policy};

/// Shorter than what ends the connections to a scanner that says nothing (3.5 s): whoever waits for it gets its answer.
const FROZEN: Duration = Duration::from_secs(2);
/// So long the gateway goes on as before when it is told to end.
const LAME_DUCK: Duration = Duration::from_secs(1);
/// Which of the two scanners lives to the end.
const STEADY: usize = 0;
/// Which one ends again and again.
const OTHER: usize = 1;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    PolicyChanged,
    ScannerFrozen,
    ScannerKilled,
    CertificatesRestarted,
    ScannerEnded,
    GatewayExchanged,
}

impl Fault {
    pub(crate) const ALL: [Fault; 6] = [
        Fault::PolicyChanged,
        Fault::ScannerFrozen,
        Fault::ScannerKilled,
        Fault::CertificatesRestarted,
        Fault::ScannerEnded,
        Fault::GatewayExchanged,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::PolicyChanged => "policy broken, then another one written",
            Fault::ScannerFrozen => "scanner frozen for 2 s",
            Fault::ScannerKilled => "scanner killed (SIGKILL), another one started",
            Fault::CertificatesRestarted => "certificates service restarted",
            Fault::ScannerEnded => "scanner told to end (SIGTERM), another one started",
            Fault::GatewayExchanged => "gateway drained, another one started",
        }
    }

    /// Does it, and returns when all is as before. `turn` is a number that was not used before.
    pub(crate) async fn happen(self, world: &mut World, turn: u32) {
        match self {
            Fault::PolicyChanged => policy_changed(world, turn).await,
            Fault::ScannerFrozen => frozen(world, if turn.is_multiple_of(2) { STEADY } else { OTHER }).await,
            Fault::ScannerKilled => killed(world).await,
            Fault::ScannerEnded => ended(world).await,
            Fault::CertificatesRestarted => {
                let said = world.pods.restart_certificates().await.unwrap_or_else(|error| panic!("{error:#}"));
                world.keep(&said);
                world.memory.watch("certificates", world.pods.certificates_pid());
            }
            Fault::GatewayExchanged => gateway_exchanged(world).await,
        }
    }
}

async fn policy_changed(world: &World, turn: u32) {
    const IN_FORCE: &str = "portcullis_last_reload_successful{what=\"policy\"}";
    const LOADED: &str = "portcullis_reloads_total{result=\"ok\"}";
    let before = metrics(world, LOADED).await;
    replace(&world.policy, "version: 1\nrules: [\n");
    until(world, "the broken policy is seen", async || metrics(world, IN_FORCE).await == [0.0; 2]).await;
    // A scanner that begins would not begin with it: it is mended before anything else happens.
    write_policy(&world.policy, turn);
    let loaded = async || metrics(world, LOADED).await.iter().zip(&before).all(|(now, then)| now > then);
    until(world, "the new policy is in force", async || loaded().await && metrics(world, IN_FORCE).await == [1.0; 2]).await;
}

async fn frozen(world: &World, place: usize) {
    let (_, pod) = &world.pods.scanners[place];
    pod.freeze().expect("a scanner");
    tokio::time::sleep(FROZEN).await;
    pod.thaw().expect("a scanner");
}

async fn killed(world: &mut World) {
    let ip = world.pods.scanners[OTHER].0;
    let page = world.page(ip).await;
    let from = now();
    world.pods.scanners[OTHER].1.kill().expect("a scanner");
    world.kills.push(Kill { from, to: now() });
    world.process(ip).ended = Some((Ending::Killed, page));
    // A moment in which its address leads to nobody, as in a cluster.
    tokio::time::sleep(Duration::from_secs(1)).await;
    gone(world);
    another(world).await;
}

async fn ended(world: &mut World) {
    let ip = world.pods.scanners[OTHER].0;
    world.pods.scanners[OTHER].1.terminate().expect("a scanner");
    let (_, pod) = world.pods.scanners.remove(OTHER);
    // Its address is taken out of the Service at once, as in a cluster.
    world.pods.tell_dns();
    let mut page = world.page(ip).await;
    while let Ok(text) = world.pods.metrics_of(ip).await {
        // Of a page that was cut by its end, nothing is known.
        if text.contains("portcullis_streams_limit") {
            page = Page::read(&text);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut pod = pod;
    let status = pod.ended(PATIENCE).await.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(status.success(), "the scanner ended with {status}:\n{}", pod.said());
    world.keep(&pod.said());
    world.process(ip).ended = Some((Ending::Told { under_way: page.under_way }, page));
    another(world).await;
}

/// The scanner is dead: what it said is kept.
fn gone(world: &mut World) {
    let (_, pod) = world.pods.scanners.remove(OTHER);
    world.keep(&pod.said());
}

/// Starts another scanner in its place, and waits until the gateway has found it.
async fn another(world: &mut World) {
    world.pods.add_scanner("portcullis-scanner").unwrap_or_else(|error| panic!("{error:#}"));
    world.scanner_began(OTHER);
    until(world, "the new scanner is found", async || {
        let stat = async |name: &str| world.pods.stat(name).await.unwrap_or_default();
        stat("cluster.scanner.membership_total").await == 2 && stat("cluster.scanner.membership_healthy").await == 2
    })
    .await;
}

async fn gateway_exchanged(world: &mut World) {
    world.pods.gateway.terminate().expect("a gateway");
    // As before for a while; then the Service sends nobody there any more.
    tokio::time::sleep(LAME_DUCK).await;
    world.desk.ways.send_modify(|ways| ways.ending = true);
    let status = world.pods.gateway.ended(PATIENCE).await.unwrap_or_else(|error| panic!("{error:#}"));
    let said = world.pods.gateway.said();
    assert!(status.success() && said.contains("drained"), "the gateway ended with {status}: {said}");
    world.keep(&said);
    world.pods.restart_gateway().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.gateway_began();
}

/// A metric of each scanner.
async fn metrics(world: &World, name: &str) -> Vec<f64> {
    let of = async |ip: Ipv4Addr| {
        let page = world.pods.metrics_of(ip).await.unwrap_or_default();
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
    };
    let mut all = Vec::new();
    for (ip, _) in &world.pods.scanners {
        all.push(of(*ip).await);
    }
    all
}

async fn until(world: &World, what: &str, condition: impl AsyncFn() -> bool) {
    world.pods.wait_until(what, async |_| condition().await).await;
}
