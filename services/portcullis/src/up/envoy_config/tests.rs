use super::*;

fn values() -> Values {
    Values {
        listen: "127.0.0.1:4000".parse().unwrap(),
        tls: None,
        admin: "/s/admin.sock".into(),
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
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            x.iter().for_each(|(k, v)| differences(&format!("{path}/{k}"), v, &y[k], out))
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
        "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address",
        "/type",
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
