//! The values that `up` sets in the Envoy configuration. Everything else travels as it is in `envoy/envoy.yaml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Cidr;

/// The configuration that clusters use too.
const SOURCE: &str = include_str!("../../../../envoy/envoy.yaml");

/// The values of one installation.
#[derive(Debug)]
pub(crate) struct Values {
    /// Where the proxy listens.
    pub(crate) listen: SocketAddr,
    /// TLS between sandboxes and gateway.
    pub(crate) tls: Option<Tls>,
    /// The admin socket.
    pub(crate) admin: PathBuf,
    /// The socket of the status pages.
    pub(crate) status: PathBuf,
    /// The access log.
    pub(crate) access_log: PathBuf,
    /// The scanner's socket.
    pub(crate) scanner: PathBuf,
    /// The certificates service's socket.
    pub(crate) certificates: PathBuf,
    /// Whether requests pass while the scanner is down.
    pub(crate) fail_open: bool,
    /// A DNS server instead of the system's.
    pub(crate) dns: Option<SocketAddr>,
    /// Ranges taken out of the private-address filter.
    pub(crate) allow_upstream: Vec<Cidr>,
    /// Trusted CA certificates for upstreams.
    pub(crate) upstream_ca: PathBuf,
}

/// TLS between sandboxes and gateway.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// The gateway's certificate and key.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The CA of client certificates, which are demanded then.
    pub(crate) client_ca: Option<PathBuf>,
}

/// The configuration with `values` set, as JSON (which Envoy reads like YAML).
///
/// # Errors
/// When the shipped file does not have a value where it should be; a test holds that it does.
pub(crate) fn render(values: &Values) -> Result<String> {
    let mut root: Value = serde_saphyr::from_str(SOURCE).context("envoy/envoy.yaml")?;
    *at(&mut root, "/admin/address/pipe/path")? = json!(values.admin);
    *at(&mut root, "/static_resources/listeners/0/address/socket_address")? =
        json!({"address": values.listen.ip().to_string(), "port_value": values.listen.port()});
    *at(&mut root, "/static_resources/listeners/2/address")? = json!({"pipe": {"path": values.status, "mode": 0o600}});
    let mut missing = Err(anyhow::anyhow!("envoy/envoy.yaml has no private-address filter"));
    walk(&mut root, &mut |map| {
        if map.get("@type").and_then(Value::as_str).is_some_and(|t| t.ends_with(".FileAccessLog")) {
            map.insert("path".into(), json!(values.access_log));
        }
        if map.get("name").and_then(Value::as_str) == Some("portcullis.verdict_required") {
            map.insert("disabled".into(), json!(values.fail_open));
        }
        if let Some(mode) = map.get_mut("failure_mode_allow") {
            *mode = json!(values.fail_open);
        }
        if let Some(resolvers) = map.get_mut("resolvers")
            && let Some(dns) = values.dns
        {
            *resolvers = json!([{"socket_address": {"address": dns.ip().to_string(), "port_value": dns.port()}}]);
        }
        if let Some(filter) = map.get_mut("resolved_address_filter") {
            missing = narrow(filter, &values.allow_upstream);
        }
        if let Some(ca) = map.get_mut("trusted_ca") {
            *ca = json!({"filename": values.upstream_ca});
        }
        match map.get("name").and_then(Value::as_str) {
            Some("admin") => point_at(map, &values.admin),
            Some("scanner") => point_at(map, &values.scanner),
            Some("certificates") => point_at(map, &values.certificates),
            _ => {}
        }
    });
    missing?;
    if let Some(tls) = &values.tls {
        let chain =
            at(&mut root, "/static_resources/listeners/0/filter_chains/0")?.as_object_mut().context("envoy/envoy.yaml: no filter chain")?;
        chain.insert("transport_socket".into(), transport_socket(tls));
    }
    Ok(serde_json::to_string_pretty(&root)?)
}

fn transport_socket(tls: &Tls) -> Value {
    let file = |path: &Path| json!({"filename": path});
    let mut common = json!({
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [{"certificate_chain": file(&tls.certificate), "private_key": file(&tls.key)}],
    });
    if let (Some(ca), Some(common)) = (&tls.client_ca, common.as_object_mut()) {
        common.insert("validation_context".into(), json!({"trusted_ca": file(ca)}));
    }
    json!({"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": tls.client_ca.is_some(),
        "common_tls_context": common,
    }})
}

fn at<'v>(root: &'v mut Value, pointer: &str) -> Result<&'v mut Value> {
    root.pointer_mut(pointer).with_context(|| format!("envoy/envoy.yaml has no {pointer}"))
}

/// Calls `visit` on every map, outermost first.
fn walk(value: &mut Value, visit: &mut dyn FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values_mut().for_each(|v| walk(v, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| walk(v, visit)),
        _ => {}
    }
}

/// A cluster with one Unix socket as its endpoint. The folder of the sockets is for the owner alone: no TLS, no names, no TCP.
fn point_at(cluster: &mut serde_json::Map<String, Value>, socket: &Path) {
    if cluster.contains_key("load_assignment") {
        let name = cluster.get("name").cloned().unwrap_or_default();
        cluster.remove("cluster_type");
        cluster.remove("transport_socket");
        cluster.remove("upstream_bind_config");
        cluster.insert("type".into(), json!("STATIC"));
        cluster.insert(
            "load_assignment".into(),
            json!({"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": socket}}}}]}]}),
        );
    }
}

/// Takes `allowed` out of the filtered ranges.
fn narrow(filter: &mut Value, allowed: &[Cidr]) -> Result<()> {
    let ranges = filter.get_mut("ranges").and_then(Value::as_array_mut).context("the private-address filter has no ranges")?;
    let mut kept = Vec::new();
    for range in ranges.iter() {
        let address = range.get("address_prefix").and_then(Value::as_str).context("a range without address")?;
        let prefix =
            range.get("prefix_len").and_then(Value::as_u64).and_then(|p| u8::try_from(p).ok()).context("a range without prefix")?;
        kept.push(Cidr::new(address.parse()?, prefix).map_err(anyhow::Error::msg)?);
    }
    for hole in allowed {
        kept = kept.into_iter().flat_map(|range| range.without(*hole)).collect();
    }
    *ranges = kept.iter().map(|c| json!({"address_prefix": c.address().to_string(), "prefix_len": c.prefix()})).collect();
    Ok(())
}

#[cfg(test)]
mod tests;
