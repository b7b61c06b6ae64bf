//! The CA folder: modes, races, refusals.

use std::os::unix::fs::MetadataExt;

use super::*;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("ca");
    (parent, folder)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn open(folder: &Path) -> Result<Authority, CertificatesError> {
    Authority::load_or_create(folder, KeyAccess::OwnerOnly, SystemTime::now())
}

#[test]
fn a_new_ca_is_private_and_the_next_start_finds_the_same() {
    let (_parent, folder) = folder();
    let first = open(&folder).unwrap();
    assert_eq!((mode(&folder), mode(&folder.join(KEY_FILE)), mode(&folder.join(CERTIFICATE_FILE))), (0o700, 0o600, 0o644));
    assert_eq!(open(&folder).unwrap().certificate_pem(), first.certificate_pem());
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [LOCK_FILE, KEY_FILE, CERTIFICATE_FILE], "no temporary file is left");
}

#[test]
fn starts_that_race_end_with_the_same_ca() {
    let (_parent, folder) = folder();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let folder = folder.clone();
            std::thread::spawn(move || open(&folder).unwrap().certificate_pem)
        })
        .collect();
    let mut certificates: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    certificates.dedup();
    assert_eq!(certificates.len(), 1);
}

#[test]
fn a_key_that_others_can_read_is_refused_in_one_line() {
    let (_parent, folder) = folder();
    open(&folder).unwrap();
    for lax in [0o640, 0o604, 0o620, 0o644] {
        chmod(&folder.join(KEY_FILE), lax);
        let error = open(&folder).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains(KEY_FILE) && !error.contains('\n'), "{error}");
    }
    chmod(&folder.join(KEY_FILE), 0o600);
    chmod(&folder, 0o755);
    assert!(open(&folder).unwrap_err().to_string().contains("chmod 700"));
}

#[test]
fn a_key_readable_by_its_group_is_accepted_only_when_asked_for() {
    let (_parent, folder) = folder();
    open(&folder).unwrap();
    chmod(&folder.join(KEY_FILE), 0o440);
    chmod(&folder, 0o777);
    Authority::load(&folder, KeyAccess::GroupRead, SystemTime::now()).unwrap();
    chmod(&folder.join(KEY_FILE), 0o444);
    assert!(Authority::load(&folder, KeyAccess::GroupRead, SystemTime::now()).is_err());
}

#[test]
fn a_key_left_by_a_start_that_died_is_used() {
    let (_parent, folder) = folder();
    open(&folder).unwrap();
    let key = fs::read(folder.join(KEY_FILE)).unwrap();
    fs::remove_file(folder.join(CERTIFICATE_FILE)).unwrap();
    open(&folder).unwrap();
    assert_eq!(fs::read(folder.join(KEY_FILE)).unwrap(), key);
}

#[test]
fn a_certificate_without_its_key_or_with_another_is_refused() {
    let (_parent, folder) = folder();
    open(&folder).unwrap();
    fs::remove_file(folder.join(KEY_FILE)).unwrap();
    assert!(matches!(open(&folder), Err(CertificatesError::KeyMissing { .. })));
    place(&folder.join(KEY_FILE), mint::new_key().unwrap().serialize_pem().as_bytes(), 0o600).unwrap();
    assert!(open(&folder).unwrap_err().to_string().contains("not of the key"));
}

#[test]
fn broken_and_expired_files_are_refused_without_quoting_them() {
    let (_parent, folder) = folder();
    open(&folder).unwrap();
    let later = SystemTime::now() + mint::CA_LIFE;
    assert!(Authority::load(&folder, KeyAccess::OwnerOnly, later).unwrap_err().to_string().contains("expired"));
    let earlier = SystemTime::now() - 2 * mint::BACKDATE;
    assert!(Authority::load(&folder, KeyAccess::OwnerOnly, earlier).unwrap_err().to_string().contains("not valid yet"));
    fs::write(folder.join(KEY_FILE), "sesame").unwrap();
    let error = open(&folder).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sesame"));
}

#[test]
fn a_file_is_never_written_over() {
    let (_parent, folder) = folder();
    open(&folder).unwrap();
    let before = fs::read(folder.join(KEY_FILE)).unwrap();
    assert!(place(&folder.join(KEY_FILE), b"other", 0o600).is_err());
    assert_eq!(fs::read(folder.join(KEY_FILE)).unwrap(), before);
}
