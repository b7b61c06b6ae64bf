//! What is tried through the proxy: it must meet the gateway's own refusal. What somebody beyond the gateway answers is an escape.

mod carriers;
mod gateway;
mod literals;
mod reply;
mod request;
mod secrets;
mod tricks;
mod url;
mod wire;

use std::sync::Arc;

use crate::run::Attempt;
use crate::settings::Settings;
use crate::system::System;

pub(crate) use gateway::Gateway;
use request::Request;
pub use url::{ProxyUrl, SinkUrl, UrlError};

/// All attempts through this gateway.
pub(crate) fn attempts(gateway: &Arc<Gateway>, settings: &Settings, system: &System) -> Vec<Attempt> {
    let mut attempts = tricks::attempts(gateway, settings, system);
    attempts.extend(carriers::attempts(gateway, &settings.sink));
    attempts
}

/// Sends a harmless request of each kind that the battery of secrets uses.
///
/// # Errors
/// Why one of them does not pass, and so why nothing is proven by others that do not.
pub(crate) async fn control(gateway: &Gateway, sink: &SinkUrl) -> Result<(), String> {
    for request in [Request::get("/"), Request::post("application/json", br#"{"note":"nothing to see here"}"#.to_vec())] {
        gateway.send(sink, &request).await.passed().map_err(|why| format!("{} {sink}: {why}", request.method))?;
    }
    Ok(())
}
