use std::collections::BTreeSet;

use super::*;

fn values() -> Values {
    Values {
        listen: "127.0.0.1:4000".parse().unwrap(),
        tls: None,
        admin: "/s/admin.sock".into(),
        status: "/s/status.sock".into(),
        access_log: "/s/access.log".into(),
        scanner: "/s/scanner.sock".into(),
        certificates: "/s/certificates.sock".into(),
        fail_open: false,
        dns: None,
        allow_upstream: Vec::new(),
        upstream_ca: "/s/roots.pem".into(),
    }
}

/// Paths of all leaves that differ, with list indices as they are.
fn differences(path: &str, a: &Value, b: &Value, out: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: BTreeSet<_> = x.keys().chain(y.keys()).collect();
            keys.into_iter().for_each(|k| differences(&format!("{path}/{k}"), &a[k.as_str()], &b[k.as_str()], out));
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().for_each(|(i, (v, w))| differences(&format!("{path}/{i}"), v, w, out));
        }
        _ if a == b => {}
        _ => out.push(path.into()),
    }
}

fn changed(values: &Values) -> Vec<String> {
    let before: Value = serde_saphyr::from_str(SOURCE).unwrap();
    let after: Value = serde_json::from_str(&render(values).unwrap()).unwrap();
    let mut out = Vec::new();
    differences("", &before, &after, &mut out);
    out
}

/// The documented list (envoy/README.md), and nothing else.
#[test]
fn only_the_documented_values_change() {
    let all = Values {
        fail_open: true,
        dns: Some("127.0.0.1:5353".parse().unwrap()),
        allow_upstream: vec!["127.0.0.0/8".parse().unwrap()],
        ..values()
    };
    let allowed = [
        "/admin/address/pipe/path",
        "/address/socket_address/address",
        "/address/socket_address/port_value",
        "/typed_config/path",
        "/failure_mode_allow",
        "/disabled",
        "/resolvers",
        "/resolved_address_filter/ranges",
        "/trusted_ca/filename",
        "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/pipe",
        "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/pipe/path",
        "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address",
        "/listeners/2/address/pipe",
        "/listeners/2/address/socket_address",
        "/type",
        "/cluster_type",
        "/transport_socket",
        "/upstream_bind_config",
    ];
    let changes = changed(&all);
    for change in &changes {
        assert!(allowed.iter().any(|a| change.ends_with(a)), "{change} is not a documented value");
    }
    for value in allowed {
        assert!(changes.iter().any(|c| c.ends_with(value)), "{value} is documented but was not set");
    }
}

#[test]
fn fail_closed_is_what_ships() {
    let changes = changed(&values());
    assert!(
        !changes.iter().any(|c| c.ends_with("failure_mode_allow") || c.ends_with("/disabled") || c.ends_with("/resolvers")),
        "{changes:?}"
    );
}

/// Every special-purpose range that policy knows is filtered by Envoy on the resolved address too.
#[test]
fn envoy_filters_every_special_purpose_range() {
    let root: Value = serde_json::from_str(&render(&values()).unwrap()).unwrap();
    let mut filtered = Vec::new();
    walk(&mut root.clone(), &mut |map| {
        if let Some(ranges) = map.get("resolved_address_filter").and_then(|f| f.get("ranges")).and_then(Value::as_array) {
            filtered = ranges
                .iter()
                .map(|r| {
                    Cidr::new(r["address_prefix"].as_str().unwrap().parse().unwrap(), r["prefix_len"].as_u64().unwrap() as u8).unwrap()
                })
                .collect();
        }
    });
    for (range, name) in policy::SPECIAL_RANGES {
        let mut left = vec![range.parse::<Cidr>().unwrap()];
        for filter in &filtered {
            left = left.into_iter().flat_map(|c| c.without(*filter)).collect();
        }
        assert!(left.is_empty(), "{range} ({name}) is not filtered: {left:?}");
    }
}

/// What clusters may patch.
const MARKERS: [&str; 6] = ["#@fail-open", "#@scanner", "#@private-addresses", "#@dns", "#@listener-tls", "#@upstream-trust"];

/// The file with another text between two markers, as a kustomize replacement with `delimiter` and `index: 1` makes it.
fn patched(marker: &str, text: &str) -> Value {
    let parts: Vec<&str> = SOURCE.split(marker).collect();
    assert_eq!(parts.len(), 3, "{marker} stands {} times in the file", parts.len() - 1);
    serde_saphyr::from_str(&format!("{}{marker}\n{text}\n{marker}{}", parts[0], parts[2])).unwrap()
}

#[test]
fn every_marker_stands_twice_around_whole_lines() {
    for marker in MARKERS {
        let lines: Vec<&str> = SOURCE.lines().filter(|line| line.contains(marker)).collect();
        assert_eq!(lines.len(), 2, "{marker}");
        assert!(lines[0] == lines[1] && lines[0].trim() == marker, "{marker} is not alone on its lines: {lines:?}");
    }
    let all = SOURCE.lines().filter(|line| line.trim_start().starts_with("#@")).count();
    assert_eq!(all, 2 * MARKERS.len(), "a marker that this test does not know");
}

/// A scanner whose packets are lost is noticed by its connection alone. What waits for it must still have time for another one.
#[test]
fn a_dead_connection_is_known_while_a_request_still_waits() {
    let seconds = |value: &Value| value.as_str().unwrap().strip_suffix('s').unwrap().parse::<f64>().unwrap();
    let (mut waits, mut notices) = (Vec::new(), Vec::new());
    walk(&mut serde_saphyr::from_str(SOURCE).unwrap(), &mut |map| {
        waits.extend(map.get("message_timeout").map(seconds));
        // Envoy adds up to 15 % to the interval.
        notices.extend(map.get("connection_keepalive").map(|pings| seconds(&pings["interval"]) * 1.15 + seconds(&pings["timeout"])));
    });
    assert!(!waits.is_empty() && !notices.is_empty());
    for (wait, notice) in waits.iter().flat_map(|wait| notices.iter().map(move |notice| (wait, notice))) {
        assert!(notice + 0.25 < *wait, "noticed after {notice} s, and a request waits {wait} s");
    }
}

#[test]
fn the_fail_open_patch_sets_what_up_sets() {
    let mut before: Value = serde_saphyr::from_str(SOURCE).unwrap();
    let by_patch = patched("#@fail-open", "              failure_mode_allow: &fail_open true");
    walk(&mut before, &mut |map| {
        if let Some(mode) = map.get_mut("failure_mode_allow") {
            *mode = json!(true);
        }
        if let Some(disabled) = map.get_mut("disabled").filter(|v| **v == json!(false)) {
            *disabled = json!(true);
        }
    });
    assert_eq!(by_patch, before);
}
