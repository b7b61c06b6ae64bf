//! Secrets made at run time, so that no scanner has a reason to flag this tree.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use data_encoding::BASE64;
use rand::Rng;
use rules::RuleSet;

use crate::gateway::binary;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random letters and digits.
#[must_use]
pub fn random_token(length: usize) -> String {
    let mut rng = rand::rng();
    std::iter::repeat_with(|| char::from(BASE62[rng.random_range(0..BASE62.len())])).take(length).collect()
}

/// A classic personal access token of GitHub with a right checksum: `ghp_`, 30 random characters, and the CRC-32 of these in base 62,
/// six characters with leading zeros (<https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>).
#[must_use]
pub fn github_pat() -> String {
    let random = random_token(30);
    format!("{}_{random}{}", "ghp", base62(crc32fast::hash(random.as_bytes())))
}

/// Six digits, the most significant first; 62^6 is more than 2^32.
fn base62(mut number: u32) -> String {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(number % 62) as usize];
        number /= 62;
    }
    digits.map(char::from).iter().collect()
}

/// A secret of a detector: what `replay` finds in the catalogue's own example.
///
/// # Errors
/// The binary is not built, or finds nothing in that detector's example.
pub fn secret_of(id: &str) -> Result<String> {
    static SECRETS: OnceLock<Result<BTreeMap<String, String>, String>> = OnceLock::new();
    let secrets = SECRETS.get_or_init(|| secrets().map_err(|error| format!("{error:#}")));
    let secrets = secrets.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    secrets.get(id).cloned().with_context(|| format!("no secret of {id}"))
}

fn secrets() -> Result<BTreeMap<String, String>> {
    let detectors = RuleSet::builtin().detectors();
    let examples: Vec<(&str, &str)> = detectors.iter().filter_map(|d| Some((&*d.id, d.examples.first()?.as_str()))).collect();
    let record = |(i, (_, example)): (usize, &(&str, &str))| {
        let headers = [serde_json::json!({"name": "content-type", "value": "text/plain"})];
        let body = BASE64.encode(example.as_bytes());
        let url = "https://example.com/";
        format!("{}\n", serde_json::json!({"id": i, "method": "POST", "url": url, "headers": headers, "body_base64": body}))
    };
    let input: String = examples.iter().enumerate().map(record).collect();
    let mut running = Command::new(binary()?).args(["replay", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = running.stdin.take().context("no standard input")?;
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = running.wait_with_output()?;
    writing.join().ok().context("the writer panicked")??;
    let secret = |((id, example), line): (&(&str, &str), &str)| {
        let answer: serde_json::Value = serde_json::from_str(line).ok()?;
        let finding = answer.get("findings")?.as_array()?.iter().find(|f| f.get("detector").is_some_and(|d| d == *id))?;
        let span = finding.get("span")?.as_array()?;
        let at = |i: usize| span.get(i).and_then(|v| usize::try_from(v.as_u64()?).ok());
        Some(((*id).to_owned(), example.get(at(0)?..at(1)?)?.to_owned()))
    };
    Ok(examples.iter().zip(std::str::from_utf8(&output.stdout)?.lines()).filter_map(secret).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_has_six_digits_of_base_62() {
        assert_eq!(base62(0), "000000");
        assert_eq!(base62(61), "00000z");
        assert_eq!(base62(62), "000010");
        assert_eq!(base62(u32::MAX), "4gfFC3");
        assert_eq!(github_pat().len(), 40);
        assert_ne!(github_pat(), github_pat());
    }
}
