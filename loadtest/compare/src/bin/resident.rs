//! What a process with nothing but the engine holds: a binary of its own, so that neither Hyperscan nor kingfisher is linked.

use std::hint::black_box;

use engine::{Engine, FingerprintKey, Kind, Limits, Location, Media, RuleSet};

fn main() -> std::io::Result<()> {
    let before = resident()?;
    let engine = Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).expect("the catalogue compiles");
    let compiled = resident()?;
    let media = Media { content_type: Some("application/json".into()), content_encoding: Vec::new() };
    let kind = Kind { location: Location::Body, media };
    for i in 0..64 {
        let message = |m| format!("{{\"role\":\"user\",\"content\":\"message {m} of {i}: a \\\"key\\\" and some more words\\n\"}}");
        let body = format!("{{\"messages\":[{}]}}", (0..3000).map(message).collect::<Vec<_>>().join(","));
        black_box(engine.scan(&kind, body.as_bytes()));
    }
    println!("{before:.1} {compiled:.1} {:.1}", resident()?);
    Ok(())
}

/// Resident megabytes.
fn resident() -> std::io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>().map_or(f64::NAN, |kib| kib * 1024.0 / 1e6))
}
