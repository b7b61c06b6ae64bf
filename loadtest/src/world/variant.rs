//! The Envoy configuration that `portcullis up` writes, with another processor or none. Everything else stays as it is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// The filter that asks the scanner.
const PROCESSOR: &str = "envoy.filters.http.ext_proc";
/// What stands behind it and asks for its verdict: the lock, without which nothing passes, and the count of what passes without.
const LOCKS: [&str; 2] = ["portcullis.verdict_required", "portcullis.verdict_missing"];

/// What two Envoys must not share.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) admin: PathBuf,
    pub(crate) status: PathBuf,
    pub(crate) access_log: PathBuf,
}

/// The configuration without a processor.
///
/// # Errors
/// It is not as expected.
pub(crate) fn without_processor(mut config: Value, places: &Places) -> Result<Value> {
    moved(&mut config, places)?;
    let mut removed = 0;
    walk(&mut config, &mut |map| {
        if let Some(filters) = map.get_mut("http_filters").and_then(Value::as_array_mut) {
            let before = filters.len();
            filters.retain(|filter| !is(filter, PROCESSOR) && !LOCKS.iter().any(|lock| is(filter, lock)));
            removed += before - filters.len();
        }
        if let Some(routes) = map.get_mut("typed_per_filter_config").and_then(Value::as_object_mut) {
            routes.retain(|name, _| name != PROCESSOR && !LOCKS.contains(&name.as_str()));
        }
    });
    anyhow::ensure!(removed > 0, "the configuration has no processor");
    Ok(config)
}

/// The configuration with a processor at this socket, and without what asks for a verdict.
///
/// # Errors
/// It is not as expected.
pub(crate) fn with_processor(mut config: Value, places: &Places, socket: &Path) -> Result<Value> {
    moved(&mut config, places)?;
    let mut pointed = false;
    walk(&mut config, &mut |map| {
        if let Some(filters) = map.get_mut("http_filters").and_then(Value::as_array_mut) {
            filters.retain(|filter| !LOCKS.iter().any(|lock| is(filter, lock)));
        }
        if let Some(routes) = map.get_mut("typed_per_filter_config").and_then(Value::as_object_mut) {
            routes.retain(|name, _| !LOCKS.contains(&name.as_str()));
        }
        if map.get("name").and_then(Value::as_str) == Some("scanner")
            && let Some(pipe) =
                map.get_mut("load_assignment").and_then(|load| load.pointer_mut("/endpoints/0/lb_endpoints/0/endpoint/address/pipe/path"))
        {
            *pipe = json!(socket);
            pointed = true;
        }
    });
    anyhow::ensure!(pointed, "the configuration has no scanner at a socket");
    Ok(config)
}

fn is(filter: &Value, name: &str) -> bool {
    filter.get("name").and_then(Value::as_str) == Some(name)
}

/// A port of the system's choice, and sockets and logs of its own.
fn moved(config: &mut Value, places: &Places) -> Result<()> {
    let mut set = |pointer: &str, value: Value| -> Result<()> {
        *config.pointer_mut(pointer).with_context(|| format!("the configuration has no {pointer}"))? = value;
        Ok(())
    };
    set("/admin/address/pipe/path", json!(places.admin))?;
    set("/static_resources/listeners/0/address/socket_address/port_value", json!(0))?;
    set("/static_resources/listeners/2/address", json!({"pipe": {"path": places.status, "mode": 0o600}}))?;
    walk(config, &mut |map| {
        if map.get("@type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with(".FileAccessLog")) {
            map.insert("path".into(), json!(places.access_log));
        }
    });
    Ok(())
}

/// Calls `visit` on every map, outermost first.
fn walk(value: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values_mut().for_each(|inner| walk(inner, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| walk(inner, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shipped file, with the scanner at a socket as `up` has it.
    fn shipped() -> Value {
        let mut config: Value = serde_saphyr::from_str(include_str!("../../../envoy/envoy.yaml")).unwrap();
        walk(&mut config, &mut |map| {
            if map.get("name").and_then(Value::as_str) == Some("scanner") && map.contains_key("load_assignment") {
                let address = json!({"address": {"pipe": {"path": "/old"}}});
                map.insert("load_assignment".into(), json!({"endpoints": [{"lb_endpoints": [{"endpoint": address}]}]}));
            }
        });
        config
    }

    fn places() -> Places {
        Places { admin: "/a".into(), status: "/s".into(), access_log: "/l".into() }
    }

    #[test]
    fn without_a_processor_nothing_of_it_is_left_and_the_rest_stays() {
        let config = without_processor(shipped(), &places()).unwrap();
        let text = config.to_string();
        assert!(!text.contains(&format!("\"{PROCESSOR}\"")) && LOCKS.iter().all(|lock| !text.contains(lock)));
        for kept in ["portcullis.no_fronting", "portcullis.identity", "on_demand_secret", "dynamic_forward_proxy", "upstream_tls"] {
            assert!(text.contains(kept), "{kept}");
        }
        assert!(without_processor(config, &places()).is_err(), "there is none any more");
    }

    #[test]
    fn with_a_processor_only_its_socket_and_the_locks_change() {
        let config = with_processor(shipped(), &places(), Path::new("/floor")).unwrap();
        let text = config.to_string();
        assert!(text.contains("\"/floor\"") && !text.contains("\"/old\"") && LOCKS.iter().all(|lock| !text.contains(lock)));
        assert_eq!(text.matches(&format!("\"{PROCESSOR}\"")).count(), shipped().to_string().matches(&format!("\"{PROCESSOR}\"")).count());
    }
}
