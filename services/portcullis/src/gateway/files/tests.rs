use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// A configuration as `envoy/` has it, and what it points at.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(first_year: i32, last_year: i32) -> Mounted {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["portcullis-gateway".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(first_year, 1, 1), date_time_ymd(last_year, 1, 1));
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("tls.crt", &params.self_signed(&key).unwrap().pem());
        write("tls.key", &key.serialize_pem());
        write(
            "envoy.yaml",
            &format!("admin: {{address: {{pipe: {{path: /a.sock}}}}}}\nx: [{{path_config_source: {{path: {at}/sds.yaml}}}}]\n"),
        );
        write(
            "sds.yaml",
            &format!(
                "resources: [{{tls_certificate: {{certificate_chain: {{filename: {at}/tls.crt}}, private_key: {{filename: {at}/tls.key}}, \
             watched_directory: {{path: {at}}}}}}}]\n"
            ),
        );
        Mounted(folder)
    }

    fn check(&self) -> Result<Setup> {
        check(&self.0.path().join("envoy.yaml"))
    }

    fn refusal(&self) -> String {
        let text = format!("{:#}", self.check().unwrap_err());
        assert!(!text.contains('\n'), "{text}");
        text
    }
}

#[test]
fn a_configuration_whose_files_are_there_is_taken() {
    assert_eq!(Mounted::new(2020, 4000).check().unwrap().admin, Some("/a.sock".into()));
}

#[test]
fn every_file_that_is_missing_is_named() {
    for file in ["envoy.yaml", "sds.yaml", "tls.crt", "tls.key"] {
        let mounted = Mounted::new(2020, 4000);
        fs::remove_file(mounted.0.path().join(file)).unwrap();
        let refusal = mounted.refusal();
        assert!(refusal.contains(file), "{file}: {refusal}");
    }
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named() {
    for file in ["envoy.yaml", "sds.yaml", "tls.crt"] {
        let mounted = Mounted::new(2020, 4000);
        fs::write(mounted.0.path().join(file), "{ [").unwrap();
        let refusal = mounted.refusal();
        assert!(refusal.contains(file), "{file}: {refusal}");
    }
}

#[test]
fn a_certificate_that_is_over_or_not_yet_good_is_refused() {
    assert!(Mounted::new(2020, 2021).refusal().contains("tls.crt expired at"));
    assert!(Mounted::new(3999, 4000).refusal().contains("tls.crt is not valid before"));
}
