//! Logs on standard error, and traces over OTLP.

use std::io::{self, IsTerminal};

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// The variable that chooses what is logged, in the syntax of `tracing_subscriber::EnvFilter`; `info` without it.
const FILTER: &str = "PORTCULLIS_LOG";

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The filter in the environment is wrong.
    #[error("{FILTER} is no filter: {0}")]
    Filter(String),
    /// The OTLP exporter could not be made.
    #[error("cannot export traces to {endpoint}: {message}")]
    Otlp {
        /// Where to.
        endpoint: String,
        /// What is wrong.
        message: String,
    },
    /// Logging was begun already.
    #[error("logging was begun already")]
    Twice,
}

/// Sends what traces are left when dropped.
#[derive(Debug)]
#[must_use = "traces end when it is dropped"]
pub struct LogGuard(Option<SdkTracerProvider>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Begins logging for this process: JSON lines on standard error (plain text on a terminal), and traces to `otlp` (`http://host:4317`) if
/// given. Call it inside the runtime: the exporter sends from there.
///
/// # Errors
/// See [`LogError`].
pub fn init(service: &'static str, otlp: Option<&str>) -> Result<LogGuard, LogError> {
    let filter = match std::env::var(FILTER) {
        Ok(text) => EnvFilter::try_new(&text).map_err(|error| LogError::Filter(error.to_string()))?,
        Err(_) => EnvFilter::new("info"),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(true);
    let lines = if io::stderr().is_terminal() { lines.boxed() } else { lines.json().flatten_event(true).boxed() };
    let provider = otlp.map(|endpoint| provider(service, endpoint)).transpose()?;
    subscriber(service, lines, filter, provider.as_ref()).try_init().map_err(|_| LogError::Twice)?;
    Ok(LogGuard(provider))
}

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// Lines of what the filter lets through, and traces of everything. A span that neither wants is never made.
fn subscriber(service: &'static str, lines: Lines, filter: EnvFilter, provider: Option<&SdkTracerProvider>) -> impl SubscriberInitExt {
    let mut layers: Vec<Lines> = vec![lines.with_filter(filter).boxed()];
    layers.extend(provider.map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer(service)).boxed()));
    tracing_subscriber::registry().with(layers)
}

fn provider(service: &'static str, endpoint: &str) -> Result<SdkTracerProvider, LogError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| LogError::Otlp { endpoint: endpoint.to_owned(), message: error.to_string() })?;
    let resource = Resource::builder().with_service_name(service).build();
    // The caller's decision counts; what has no caller is sampled.
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).with_resource(resource).build())
}

/// The span of the caller, as W3C trace context.
pub type TraceParent = opentelemetry::Context;

struct Lookup(String);

impl Extractor for Lookup {
    fn get(&self, key: &str) -> Option<&str> {
        // The only field that joins spans; the state of vendors is not ours.
        (key == "traceparent").then_some(self.0.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// The caller's span from its metadata (`traceparent`, W3C Trace Context), if it gave one.
pub fn parent_of(get: &dyn Fn(&str) -> Option<String>) -> Option<TraceParent> {
    let value = get("traceparent")?;
    Some(TraceContextPropagator::new().extract(&Lookup(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_of_a_request_is_made_for_traces_and_not_for_the_log() {
        let provider = SdkTracerProvider::builder().build();
        for (traced, provider) in [(false, None), (true, Some(&provider))] {
            let lines = tracing_subscriber::fmt::layer().with_writer(io::sink).boxed();
            let _current = subscriber("test", lines, EnvFilter::new("info"), provider).set_default();
            assert_eq!(tracing::debug_span!("request").is_disabled(), !traced);
            assert!(!tracing::info_span!("other").is_disabled());
        }
    }
}
