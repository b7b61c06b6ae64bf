//! The folder: what is refused at start, what keeps the old set, how Kubernetes swaps it.

use std::os::unix::fs::symlink;
use std::time::Instant;

use super::*;

fn load(dir: &Path) -> Result<Shared, TlsError> {
    Shared::load(dir, &Registry::new(), &Readiness::default(), SystemTime::now())
}

#[test]
fn what_is_missing_wrong_or_expired_is_named_in_one_line_without_quoting_it() {
    let ca = Ca::new();
    let good = ca.leaf("scanner");
    let expired = ca.leaf_until("scanner", SystemTime::now() - Duration::from_secs(1));
    let early = ca.leaf_until("scanner", SystemTime::now() + 24 * HOUR);
    let ended = Ca::until(SystemTime::now() - Duration::from_secs(1));
    let sesame = "-----BEGIN PRIVATE KEY-----\nc2VzYW1l\n-----END PRIVATE KEY-----\n";
    let with_key = |key: &str| Leaf { key: key.to_owned(), ..good.clone() };
    for (leaf, trust, words) in [
        (Leaf { certificate: String::new(), ..good.clone() }, ca.pem.as_str(), "tls.crt holds no certificates"),
        (Leaf { certificate: sesame.to_owned(), ..good.clone() }, &ca.pem, "tls.crt holds no certificates"),
        (expired, &ca.pem, "tls.crt has expired; renew it"),
        (early, &ca.pem, "tls.crt is not valid yet; is the clock right?"),
        (with_key(""), &ca.pem, "tls.key holds no private key"),
        (with_key("c2VzYW1l"), &ca.pem, "tls.key holds no private key"),
        (with_key(sesame), &ca.pem, "tls.key holds no private key"),
        (with_key(&ca.leaf("scanner").key), &ca.pem, "tls.key is not the key of tls.crt"),
        (good.clone(), "", "ca.crt holds no certificates"),
        (good.clone(), &good.key, "ca.crt holds no certificates"),
        (good.clone(), &ended.pem, "ca.crt holds only certificates that have expired"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &leaf, trust);
        let error = load(dir.path()).map(drop).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains('\n'), "{words}: {text}");
        assert!(!format!("{text}{error:?}").contains("c2VzYW1l"), "{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    for missing in ["tls.crt", "tls.key", "ca.crt"] {
        write(dir.path(), &good, &ca.pem);
        load(dir.path()).unwrap();
        fs::remove_file(dir.path().join(missing)).unwrap();
        let text = load(dir.path()).map(drop).unwrap_err().to_string();
        assert!(text.contains(&format!("cannot read {}", dir.path().join(missing).display())), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_set_keeps_the_old_one_and_counts_once() {
    let running = Running::start().await;
    let good = running.ca.leaf("scanner");
    fs::write(running.dir.path().join("tls.crt"), &good.certificate).unwrap();
    for _ in 0..3 {
        running.shared.refresh(SystemTime::now());
        assert_eq!((running.reloads("ok"), running.reloads("error")), (0, 1), "a certificate without its key");
    }
    fs::remove_file(running.dir.path().join("ca.crt")).unwrap();
    running.shared.refresh(SystemTime::now());
    assert_eq!((running.reloads("ok"), running.reloads("error")), (0, 2), "wrong in another way");
    assert!(running.client().passes(running.address).await);
    assert!(running.shared.readiness.get());

    write(running.dir.path(), &good, &running.ca.pem);
    running.shared.refresh(SystemTime::now());
    assert_eq!((running.reloads("ok"), running.reloads("error")), (1, 2));
    assert!(running.client().passes(running.address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_makes_the_service_unready_until_there_is_another() {
    let running = Running::start().await;
    let (shared, now) = (&running.shared, SystemTime::now());
    shared.refresh(now + HOUR - Duration::from_secs(60));
    assert!(shared.readiness.get());
    shared.refresh(now + HOUR);
    assert!(!shared.readiness.get());
    assert_eq!(running.reloads("error"), 0, "nothing new is wrong");
    write(running.dir.path(), &running.ca.leaf_until("scanner", now + 2 * HOUR), &running.ca.pem);
    shared.refresh(now + HOUR);
    assert!(shared.readiness.get());
    assert_eq!(shared.metrics.expiry.get(), seconds(now + 2 * HOUR));
}

/// A folder as Kubernetes mounts a Secret: files are links through `..data`, which is swapped as a whole.
fn mount(dir: &Path, version: &str, leaf: &Leaf, trust: &str) {
    let data = dir.join(version);
    fs::create_dir(&data).unwrap();
    write(&data, leaf, trust);
    symlink(version, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key", "ca.crt"] {
        if !dir.join(name).exists() {
            symlink(format!("..data/{name}"), dir.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_secret_that_is_swapped_is_taken_within_seconds() {
    let (ca, dir, registry) = (Ca::new(), tempfile::tempdir().unwrap(), Registry::new());
    mount(dir.path(), "..2026_1", &ca.leaf("scanner"), &ca.pem);
    let tls = Tls::start(dir.path(), &registry, &Readiness::default()).unwrap();
    let (address, _stop) = serve(tls.guard(&["gateway".to_owned()]).unwrap()).await;
    assert!(Client::new(&ca.pem, Some(ca.leaf("gateway"))).passes(address).await);

    let new = Ca::new();
    mount(dir.path(), "..2026_2", &new.leaf("scanner"), &new.pem);
    fs::remove_dir_all(dir.path().join("..2026_1")).unwrap();
    let (client, begun) = (Client::new(&new.pem, Some(new.leaf("gateway"))), Instant::now());
    while !client.passes(address).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "the new certificates were not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(tls.shared.metrics.reloads.with_label_values(&["error"]).get(), 0, "never half of each");
}
