//! Into the cluster: read what there is, compute, write what differs. Whoever changes an object in between makes us begin anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use certificates::pki::{Held, Item, Settings};
use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use super::kubernetes::{Api, Failure};
use super::{Common, Line, Outcome, SANDBOXES, namespace, objects};
use crate::out;

/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Readings of the cluster before giving up.
const ATTEMPTS: u32 = 5;
/// The wait after the first failed attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// All of it takes seconds.
const DEADLINE: Duration = Duration::from_secs(120);

/// What `pki apply` can be told.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The namespace of the gateway's parts [default: the one that this runs in].
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,
    /// A namespace of sandboxes, which gets the bundle that they trust; may be given several times.
    #[arg(long, value_name = "NAME", default_value = SANDBOXES, value_parser = namespace)]
    sandbox_namespace: Vec<String>,
    #[command(flatten)]
    common: Common,
    /// The API of the cluster: https://HOST:PORT [default: that of the cluster that this runs in].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The token to show there [default: that of the service account].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The CA that the API's certificate is of, PEM [default: that of the service account].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Runs `pki apply`.
///
/// # Errors
/// When this runs in no cluster, the API refuses, or objects keep changing.
pub(super) fn apply(args: &ApplyArgs) -> Result<()> {
    let server = args.server.clone().map_or_else(in_cluster, Ok)?;
    let of_account = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| Path::new(ACCOUNT).join(name));
    let token = Zeroizing::new(text(&of_account(&args.token_file, "token"))?);
    let api = Api::new(&server, token.trim(), &text(&of_account(&args.ca_file, "ca.crt"))?)?;
    let own = match &args.namespace {
        Some(name) => name.clone(),
        None => {
            let path = of_account(&None, "namespace");
            namespace(text(&path)?.trim()).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?
        }
    };
    let roots = args.common.roots()?;
    let settings = Settings { groups: &args.common.groups(), namespace: &own, roots: &roots };
    let mut work = Work { api, settings, sandboxes: &args.sandbox_namespace, lines: Vec::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let timed = tokio::time::timeout(DEADLINE, work.run()).await;
        timed.unwrap_or_else(|_| bail!("not done after {} s", DEADLINE.as_secs()))
    });
    // What was done was done, whatever became of the rest.
    for line in &work.lines {
        out::line(&line.to_string())?;
    }
    result
}

fn in_cluster() -> Result<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) else {
        bail!(
            "this does not run in a cluster (KUBERNETES_SERVICE_HOST is not set): give --server, --token-file, --ca-file and --namespace"
        );
    };
    Ok(if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") })
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

struct Work<'a> {
    api: Api,
    settings: Settings<'a>,
    sandboxes: &'a [String],
    lines: Vec<Line>,
}

impl Work<'_> {
    async fn run(&mut self) -> Result<()> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.round().await {
                Ok(()) => break,
                Err(Failure::Again(why)) if attempt == ATTEMPTS => bail!("{why}; gave up after {ATTEMPTS} attempts"),
                Err(Failure::Again(_)) => {
                    // Two that met once should not meet again.
                    tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
                    pause *= 2;
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads all, computes, writes what differs. A conflict ends it: what was computed then may rest on what is not there any more.
    async fn round(&mut self) -> Result<(), Failure> {
        let (own, sandboxes) = (self.settings.namespace, self.sandboxes);
        let mut found: BTreeMap<(Item, &str), Value> = BTreeMap::new();
        let mut held: BTreeMap<Item, Held> = BTreeMap::new();
        for item in self.settings.groups.iter().flat_map(|group| group.items()) {
            for namespace in objects::namespaces(item, own, sandboxes) {
                if let Some(object) = self.api.get(kind(item), namespace, &item.object()).await? {
                    // Nothing is computed from a bundle, and there may be several.
                    if item != Item::Bundle {
                        held.insert(item, objects::held(item, &object));
                    }
                    found.insert((item, namespace), object);
                }
            }
        }
        let planned = super::plan(&held, &self.settings).map_err(Failure::Final)?;
        for object in objects::of(&planned, own, sandboxes) {
            let before = found.get(&(object.item, object.namespace));
            let outcome = Outcome::of(before.map(|before| objects::held(object.item, before)).as_ref(), object.planned);
            match outcome {
                Outcome::Made => self.api.create(kind(object.item), object.namespace, &object.to_json(None)).await?,
                Outcome::Renewed => {
                    self.api.replace(kind(object.item), object.namespace, &object.item.object(), &object.to_json(before)).await?;
                }
                Outcome::Kept | Outcome::Left => {}
            }
            self.note(Line { outcome, what: object.to_string(), ends: object.planned.ends });
        }
        Ok(())
    }

    /// What an earlier attempt wrote is kept by a later one: the first word counts.
    fn note(&mut self, line: Line) {
        match self.lines.iter_mut().find(|other| other.what == line.what) {
            Some(other) if matches!(line.outcome, Outcome::Made | Outcome::Renewed) => *other = line,
            Some(_) => {}
            None => self.lines.push(line),
        }
    }
}

/// The kind, as the API's paths name it.
fn kind(item: Item) -> &'static str {
    if objects::is_public(item) { "configmaps" } else { "secrets" }
}
