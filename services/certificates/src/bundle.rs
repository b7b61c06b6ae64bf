//! The trust bundle for sandboxes: the system's roots and our CA in one file, since many tools take only one file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::authority::{temporary_beside, write_new};
use crate::error::CertificatesError;

/// Where distributions keep their bundle, the most common first. The same list as Go's `crypto/x509/root_linux.go`, and macOS.
const USUAL_PLACES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",                            // openSUSE
    "/etc/pki/tls/cacert.pem",                           // OpenELEC
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
    "/etc/ssl/cert.pem",                                 // Alpine, macOS
    "/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD
];

/// Finds the file of trusted roots: `SSL_CERT_FILE` if set, as OpenSSL does, else the first of the usual places.
///
/// # Errors
/// There is none, or `SSL_CERT_FILE` names a file that is not there.
pub fn find_system_roots() -> Result<PathBuf, CertificatesError> {
    find_roots(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from), &USUAL_PLACES.map(Path::new))
}

fn find_roots(wanted: Option<PathBuf>, places: &[&Path]) -> Result<PathBuf, CertificatesError> {
    match wanted.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => fs::metadata(&path).map(|_| path.clone()).map_err(CertificatesError::file("read", path)),
        None => places.iter().find(|path| path.is_file()).map(|path| path.to_path_buf()).ok_or(CertificatesError::NoSystemRoots),
    }
}

/// Writes the system's roots, then our CA, as one PEM file of mode 0644, replacing what was there in one step.
///
/// # Errors
/// A file could not be read or written.
pub fn write_bundle(system_roots: &Path, ca_pem: &str, out: &Path) -> Result<(), CertificatesError> {
    let mut bundle = fs::read(system_roots).map_err(CertificatesError::file("read", system_roots))?;
    if bundle.last().is_some_and(|last| *last != b'\n') {
        bundle.push(b'\n');
    }
    bundle.extend_from_slice(ca_pem.as_bytes());
    let temporary = temporary_beside(out);
    write_new(&temporary, &bundle, 0o644).and_then(|()| fs::rename(&temporary, out)).map_err(|source| {
        // What failed is reported; a leftover temporary file holds nothing secret.
        drop(fs::remove_file(&temporary));
        CertificatesError::File { action: "write", path: out.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_the_roots_and_then_our_ca() {
        let folder = tempfile::tempdir().unwrap();
        let (roots, out) = (folder.path().join("roots"), folder.path().join("bundle.pem"));
        fs::write(&roots, "ROOTS").unwrap();
        fs::write(&out, "old").unwrap();
        write_bundle(&roots, "OURS\n", &out).unwrap();
        assert_eq!(fs::read_to_string(&out).unwrap(), "ROOTS\nOURS\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn the_variable_comes_before_the_usual_places_and_a_wrong_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("ours"), folder.path().join("usual"));
        fs::write(&usual, "").unwrap();
        assert!(find_roots(Some(ours.clone()), &[&usual]).is_err());
        fs::write(&ours, "").unwrap();
        assert_eq!(find_roots(Some(ours.clone()), &[&usual]).unwrap(), ours);
        assert_eq!(find_roots(None, &[Path::new("/nowhere/at/all"), &usual]).unwrap(), usual);
        assert!(matches!(find_roots(None, &[]), Err(CertificatesError::NoSystemRoots)));
    }
}
