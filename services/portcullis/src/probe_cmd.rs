//! `portcullis probe`: tries every way out of the sandbox it runs in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use probe::{Class, Destination, Metrics, ProxyUrl, Report, Settings, SinkUrl, System, Trust};
use telemetry::{Endpoint, Readiness};

use crate::cli::exit;
use crate::out;

/// What `probe` can be told.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// The proxy: http://HOST:PORT, https://HOST:PORT, with NAME:TOKEN@ before the host if it wants to know who asks [default: $HTTPS_PROXY].
    #[arg(long, value_name = "URL")]
    proxy: Option<ProxyUrl>,
    /// Trusted certificates, with the gateway's CA among them, PEM [default: $SSL_CERT_FILE, else the system's].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Where secrets, made up for this, are sent to through the proxy: a host that the policy lets the sandbox reach.
    #[arg(long, value_name = "URL", default_value = "https://example.com/")]
    sink: SinkUrl,
    /// An address outside to try directly; may be given several times [default: public resolvers with anycast addresses].
    #[arg(long, value_name = "ADDR")]
    target: Vec<IpAddr>,
    /// A service that only the gateway may reach; may be given several times [default: scanner and certificates as `deploy/` names them].
    #[arg(long, value_name = "HOST:PORT")]
    internal: Vec<Destination>,
    /// A name that leads to a private address, which the gateway must refuse; may be given several times.
    #[arg(long, value_name = "NAME")]
    private_name: Vec<String>,
    /// The longest wait for a connection or an answer, 100ms to 5s; an answer through the proxy may take four times as long.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = timeout)]
    timeout: Duration,
    /// Try this class alone: tcp, udp, dns, icmp, metadata, cluster, host, proxy, secrets; may be given several times.
    #[arg(long, value_name = "CLASS")]
    only: Vec<Class>,
    /// Leave this class out; may be given several times.
    #[arg(long, value_name = "CLASS", conflicts_with = "only")]
    skip: Vec<Class>,
    /// How the result is written.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Show everything that was blocked line by line, instead of one line for each check and reason.
    #[arg(long)]
    all: bool,
    /// Run again and again, this far apart: 30s, 5m, 1h. What is found is logged, and written as JSON with `--format json`.
    #[arg(long, value_name = "DURATION", value_parser = every)]
    every: Option<Duration>,
    /// Where /metrics, /healthz and /readyz are [default: nowhere].
    #[arg(long, value_name = "ADDR", requires = "every")]
    metrics_listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table.
    Text,
    /// One JSON object, on one line.
    Json,
}

/// Tries everything, once or again and again.
///
/// # Errors
/// When a file or an address cannot be used, or standard output is closed.
pub(crate) fn run(args: ProbeArgs) -> Result<u8> {
    if args.all && (args.format == Format::Json || args.every.is_some()) {
        bail!("--all is about the table: without --every and --format json");
    }
    let settings = settings(&args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let code = runtime.block_on(async {
        match args.every {
            Some(every) => watch(&args, &settings, every).await,
            None => {
                let report = probe::run(&settings, &System::read()).await;
                tell(&report, args.format, args.all)?;
                Ok(report.exit_code())
            }
        }
    });
    // A resolver that hangs is not waited for.
    runtime.shutdown_background();
    code
}

async fn watch(args: &ProbeArgs, settings: &Settings, every: Duration) -> Result<u8> {
    let _guard = telemetry::init("portcullis-probe", None)?;
    let shutdown = telemetry::signal().context("cannot listen to signals")?;
    let registry = prometheus::Registry::new();
    telemetry::build_info(&registry)?;
    let metrics = Metrics::new(&registry)?;
    let readiness = Readiness::default();
    if let Some(at) = args.metrics_listen {
        let endpoint = Endpoint::bind(at, registry, readiness.clone()).await.with_context(|| format!("cannot listen on {at}"))?;
        tracing::info!(listen = %endpoint.address(), "metrics are served");
        tokio::spawn(endpoint.run(shutdown.clone()));
    }
    let mut written = Ok(());
    let tell = |report: &Report| {
        // The log tells people; a reader of standard output that goes away does not end the watch.
        if args.format == Format::Json && written.is_ok() {
            written = tell(report, Format::Json, false);
        }
    };
    probe::watch(settings, every, &metrics, &readiness, shutdown, tell).await;
    Ok(exit::FINE)
}

fn tell(report: &Report, format: Format, all: bool) -> Result<()> {
    match format {
        Format::Text => out::line(&report.table(all)),
        Format::Json => out::line(&serde_json::to_string(report)?),
    }
}

fn settings(args: &ProbeArgs) -> Result<Settings> {
    let classes = Class::ALL.map(|(class, _)| class).into_iter();
    let classes: Vec<Class> =
        classes.filter(|class| if args.only.is_empty() { !args.skip.contains(class) } else { args.only.contains(class) }).collect();
    if classes.is_empty() {
        bail!("--skip leaves nothing to try");
    }
    let internal = match args.internal.as_slice() {
        [] => Settings::INTERNAL.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
        given => given.to_vec(),
    };
    Ok(Settings {
        proxy: proxy(args)?,
        trust: trust(args)?,
        sink: args.sink.clone(),
        targets: if args.target.is_empty() { Settings::TARGETS.to_vec() } else { args.target.clone() },
        internal,
        private_names: args.private_name.clone(),
        timeout: args.timeout,
        classes,
    })
}

fn proxy(args: &ProbeArgs) -> Result<Option<ProxyUrl>> {
    if args.proxy.is_some() {
        return Ok(args.proxy.clone());
    }
    let names = ["HTTPS_PROXY", "https_proxy"];
    let set = names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name, value)));
    // The value is not repeated: it may hold a token.
    set.map(|(name, value)| value.parse().with_context(|| name.to_owned())).transpose()
}

fn trust(args: &ProbeArgs) -> Result<Trust> {
    match args.ca_file.clone().map_or_else(certificates::find_system_roots, Ok) {
        Ok(file) => Ok(Trust::file(&file)?),
        Err(certificates::CertificatesError::NoSystemRoots) => Ok(Trust::nobody()?),
        Err(error) => Err(error.into()),
    }
}

/// Reads `300ms`, `2s`, `5m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a number with ms, s, m or h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a number with ms, s, m or h".to_owned())?;
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| "too long".into())
}

fn within(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let given = duration(text)?;
    if (least..=most).contains(&given) { Ok(given) } else { Err(format!("from {least:?} to {most:?}")) }
}

fn timeout(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_millis(100), Duration::from_secs(5))
}

/// A run takes up to half a minute.
fn every(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(1), Duration::from_secs(24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_bounds() {
        assert_eq!(every("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(timeout("300ms"), Ok(Duration::from_millis(300)));
        for bad in ["", "5", "s", "5 m", "-1s", "1d", "99999999999999999999h", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(timeout("6s").is_err() && timeout("1ms").is_err() && every("0s").is_err() && every("25h").is_err());
    }
}
