//! A cluster by hand: `cargo run -p portcullis-cluster -- production` keeps an overlay of `deploy/` running and takes commands.

use std::io::Write;

use anyhow::{Context, Result, bail};
use portcullis_cluster::stack::{SANDBOXES, SYSTEM};
use portcullis_cluster::{PodName, Stack, enter, is_inside};
use tokio::sync::mpsc;

const USAGE: &str = "usage: portcullis-cluster OVERLAY [REPLICAS]   (a folder of deploy/overlays, such as production; components after a + each: dev+fail-open)";
const HELP: &str = "\
pods                    what runs, and where
exec POD COMMAND…       run a command in a pod, through sh where there is one: exec agent curl -sS https://example.com
logs POD                what a pod wrote
kill POD                kill its container with SIGKILL; it is started again
delete POD              end it; its Deployment makes another
lose POD                cut it off from the network, silently
restart DEPLOYMENT      exchange its pods one by one
get POD PORT PATH       ask it by HTTP from where Prometheus would
contacts                who spoke to the world outside other than to web servers
quit";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (overlay, replicas) = match &arguments[..] {
        [overlay] if !overlay.starts_with('-') => (overlay.clone(), 2),
        [overlay, replicas] => (overlay.clone(), replicas.parse().context(USAGE)?),
        _ => bail!(USAGE),
    };
    if !is_inside() {
        let nothing = tempfile::NamedTempFile::new()?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let status = enter(&arguments, nothing.path())?;
        std::process::exit(status.code().unwrap_or(1));
    }
    tokio::runtime::Runtime::new()?.block_on(run(&overlay, replicas))
}

async fn run(overlay: &str, replicas: usize) -> Result<()> {
    say(&format!("starting {overlay}\n"))?;
    let stack = Stack::start(overlay, replicas).await?;
    say(&format!("{HELP}\n"))?;
    let mut lines = lines();
    loop {
        say("> ")?;
        tokio::select! {
            line = lines.recv() => match line {
                None => return Ok(()),
                Some(line) if line.trim() == "quit" => return Ok(()),
                Some(line) => match command(&stack, line.split_whitespace().collect()).await {
                    Ok(text) => say(&format!("{}\n", text.trim_end()))?,
                    Err(error) => say(&format!("{error:#}\n"))?,
                },
            },
            // The first process of a process namespace is ended by no signal that it does not ask for.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// The lines of standard input. Reading it blocks, so that it takes a thread of its own.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.blocking_send(line)));
    receiver
}

/// Written and flushed, as there may be no line end.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

async fn command(stack: &Stack, words: Vec<&str>) -> Result<String> {
    let cluster = &stack.cluster;
    Ok(match words[..] {
        [] => String::new(),
        ["help"] => HELP.to_owned(),
        ["pods"] => {
            let mut text = String::new();
            for pod in cluster.all_pods() {
                let view = cluster.pod(&pod)?;
                let restarts: u32 = view.containers.values().map(|container| container.restarts).sum();
                let address = view.address.map_or_else(String::new, |address| address.to_string());
                let ready = if view.ready_since.is_some() { "ready" } else { "not ready" };
                text.push_str(&format!("{:<22}{:<42}{address:<14}{ready:<11}{restarts} restarts  {:?}\n", pod.0, pod.1, view.phase));
            }
            text
        }
        ["exec", pod, ref argv @ ..] => {
            let pod = find(stack, pod)?;
            let script = argv.join(" ");
            // Our own image has no shell.
            let ours = argv.first().is_some_and(|program| program.starts_with('/'));
            let argv = if ours { argv.to_vec() } else { vec!["sh", "-c", &script] };
            let output = cluster.exec(&pod, &argv).await?;
            format!("{}{}({})", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr), output.status)
        }
        ["logs", pod] => {
            let pod = find(stack, pod)?;
            let logs = cluster.all_logs().into_iter().filter(|(id, ..)| *id == pod);
            logs.map(|(_, container, log)| format!("== {container}\n{log}")).collect()
        }
        ["kill", pod] => {
            let pod = find(stack, pod)?;
            let containers: Vec<String> = cluster.pod(&pod)?.containers.into_keys().collect();
            containers.iter().try_for_each(|container| cluster.kill(&pod, container))?;
            "killed".to_owned()
        }
        ["delete", pod] => {
            cluster.end(&find(stack, pod)?);
            "told to end".to_owned()
        }
        ["lose", pod] => {
            cluster.lose(&find(stack, pod)?).await?;
            "cut off".to_owned()
        }
        ["restart", deployment] => {
            let namespace = [SYSTEM, SANDBOXES].into_iter().find(|namespace| cluster.object("Deployment", namespace, deployment).is_ok());
            let namespace = namespace.with_context(|| format!("no Deployment {deployment}"))?;
            cluster.restart(namespace, deployment)?;
            cluster.rolled_out(namespace, deployment).await?;
            "exchanged".to_owned()
        }
        ["get", pod, port, path] => {
            let (status, text) = cluster.ask(&find(stack, pod)?, port.parse()?, path).await?;
            format!("{text}\n({status})")
        }
        ["contacts"] => cluster.world.contacts().iter().map(|contact| format!("{contact:?}\n")).collect(),
        _ => bail!("not known; try: help"),
    })
}

/// The pod whose name is, or begins with, this.
fn find(stack: &Stack, name: &str) -> Result<PodName> {
    let pods = stack.cluster.all_pods();
    let exact = pods.iter().find(|pod| pod.1 == name);
    exact.or_else(|| pods.iter().find(|pod| pod.1.starts_with(name))).cloned().with_context(|| format!("no pod {name}"))
}
