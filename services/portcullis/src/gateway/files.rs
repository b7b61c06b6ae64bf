//! What the configuration needs of the file system, looked at before Envoy starts: Envoy itself waits for a certificate that is missing
//! without a word, and serves nothing meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What was read of a configuration.
#[derive(Debug)]
pub(super) struct Setup {
    /// The socket of the admin interface.
    pub(super) admin: Option<PathBuf>,
}

/// Checks that the configuration can be read, that every file it names can be, in those that secrets come by too, and that no certificate
/// that the gateway shows is over.
///
/// # Errors
/// One line about the first that cannot be used.
pub(super) fn check(config: &Path) -> Result<Setup> {
    let root = document(config)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    look(&root, now)?;
    let admin = root.pointer("/admin/address/pipe/path").and_then(Value::as_str).map(PathBuf::from);
    Ok(Setup { admin })
}

fn document(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| {
        // The lines after the first quote the file, which may hold a key.
        let why = error.to_string();
        anyhow!("{} is not YAML: {}", path.display(), why.lines().next().unwrap_or_default())
    })
}

/// Looks at the files that a document names, and into those that it takes secrets from.
fn look(value: &Value, now: Duration) -> Result<()> {
    match value {
        Value::Object(map) => {
            if let Some(path) = named(map, "path_config_source", "path") {
                look(&document(path)?, now)?;
            }
            if let Some(path) = named(map, "watched_directory", "path")
                && !path.is_dir()
            {
                bail!("{} is no folder", path.display());
            }
            if let Some(path) = named(map, "certificate_chain", "filename") {
                current(path, now)?;
            }
            if let Some(path) = map.get("filename").and_then(Value::as_str) {
                fs::File::open(path).with_context(|| format!("cannot read {path}"))?;
            }
            map.values().try_for_each(|inner| look(inner, now))
        }
        Value::Array(items) => items.iter().try_for_each(|item| look(item, now)),
        _ => Ok(()),
    }
}

fn named<'v>(map: &'v Map<String, Value>, key: &str, field: &str) -> Option<&'v Path> {
    map.get(key)?.get(field)?.as_str().map(Path::new)
}

/// Whether a certificate is good now. The first of a chain is one's own.
fn current(path: &Path, now: Duration) -> Result<()> {
    let name = path.display();
    let pem = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let first = CertificateDer::pem_slice_iter(&pem).next().with_context(|| format!("{name} holds no certificate"))?;
    let der = first.ok().with_context(|| format!("{name} holds no certificate in PEM"))?;
    let (_, certificate) = X509Certificate::from_der(&der).ok().with_context(|| format!("{name} holds no certificate"))?;
    let validity = certificate.validity();
    let now = i64::try_from(now.as_secs())?;
    if now > validity.not_after.timestamp() {
        bail!("the certificate in {name} expired at {}", validity.not_after);
    }
    if now < validity.not_before.timestamp() {
        bail!("the certificate in {name} is not valid before {}", validity.not_before);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
