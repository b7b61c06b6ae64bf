//! What Envoy and scanner say to each other, as a number: `envoy/envoy.yaml` sends it with every stream. A scanner that met another
//! configuration than its own would misread it; it refuses instead, and traffic follows the fail mode.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;
use tonic::Status;
use tonic::metadata::MetadataMap;

const KEY: &str = "x-portcullis-protocol";
/// What this scanner understands.
const KNOWN: [&str; 1] = ["2"];
/// A gateway of another version says so with every request.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Stands at the beginning of every stream.
#[derive(Debug, Clone)]
pub(crate) struct Protocol {
    refused: IntCounter,
    said: Arc<Mutex<Option<Instant>>>,
}

impl Protocol {
    pub(crate) fn new(refused: IntCounter) -> Protocol {
        Protocol { refused, said: Arc::default() }
    }

    /// Lets a stream in that says nothing of a protocol, or one that is known.
    pub(crate) fn admit(&self, metadata: &MetadataMap) -> Result<(), Box<Status>> {
        let Some(other) = metadata.get_all(KEY).iter().find(|value| !KNOWN.iter().any(|known| known == value)) else { return Ok(()) };
        self.refused.inc();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() >= BETWEEN_LINES) {
            *said = Some(Instant::now());
            let theirs: String = other.to_str().unwrap_or("?").chars().take(16).collect();
            tracing::error!(
                theirs,
                ours = KNOWN.join(","),
                "a gateway of another version is refused: its Envoy configuration is not this scanner's"
            );
        }
        Err(Box::new(Status::failed_precondition("the Envoy configuration is not of this scanner's version")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(values: &[&'static str]) -> (bool, u64) {
        let protocol = Protocol::new(IntCounter::new("refused", "refused").unwrap());
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append(KEY, value.parse().unwrap());
        }
        (protocol.admit(&metadata).is_ok(), protocol.refused.get())
    }

    #[test]
    fn what_is_known_or_not_said_is_let_in_and_all_else_is_refused_and_counted() {
        for known in [&[][..], &["2"]] {
            assert_eq!(admitted(known), (true, 0), "{known:?}");
        }
        for other in [&["1"][..], &["0"], &[""], &["2.0"], &["1", "2"], &["2", "1"]] {
            assert_eq!(admitted(other), (false, 1), "{other:?}");
        }
    }
}
