//! SARIF 2.1.0 (OASIS), the form that code hosts read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Hit;

/// One document with one run.
pub(crate) fn document(hits: &[Hit]) -> Value {
    let rules: BTreeMap<&str, &str> = hits.iter().map(|h| (h.detector.as_str(), h.name.as_str())).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portcullis",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|(id, name)| json!({"id": id, "shortDescription": {"text": name}})).collect::<Vec<_>>(),
            }},
            "results": hits.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(hit: &Hit) -> Value {
    json!({
        "ruleId": hit.detector,
        "level": if hit.confidence == "low" { "note" } else { "error" },
        "message": {"text": hit.name},
        "partialFingerprints": {"portcullis/v1": hit.fingerprint},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": hit.path},
            "region": {"startLine": hit.line, "startColumn": hit.column, "byteOffset": hit.start, "byteLength": hit.end.saturating_sub(hit.start)},
        }}],
        "properties": {"confidence": hit.confidence, "trail": hit.trail},
    })
}
