//! The harness itself, with manifests of its own: what kubelet, controllers, Services and policies do here is what Kubernetes does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use portcullis_cluster::objects::parse;
use portcullis_cluster::{Cluster, Phase, PodName, PodView, inside};
use serde_json::Value;

/// A namespace whose pods serve a folder over HTTP, and a client.
const MANIFESTS: &str = r#"
kind: Namespace
metadata: {name: shop}
---
kind: Secret
metadata: {name: goods, namespace: shop}
stringData: {apple: one, pear: one}
---
kind: ConfigMap
metadata: {name: sizes, namespace: shop}
data: {SIZE: large}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.1.1, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
kind: Service
metadata: {name: each, namespace: shop}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 3
      securityContext: {runAsUser: 65532}
      containers:
      - name: web
        image: python
        command: [python3, -u, -m, http.server, "8080", --directory, /data]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /apple, port: http}, periodSeconds: 1, failureThreshold: 1}
        livenessProbe: {httpGet: {path: /pear, port: http}, periodSeconds: 1, failureThreshold: 2}
        securityContext: {readOnlyRootFilesystem: true}
        volumeMounts: [{name: goods, mountPath: /data, readOnly: true}]
      volumes:
      - {name: goods, secret: {secretName: goods, defaultMode: 0440}}
---
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000}
  hostAliases: [{ip: 10.96.1.1, hostnames: [shop.test]}]
  containers:
  - name: client
    image: shell
    command: [sleep, infinity]
    envFrom: [{configMapRef: {name: sizes}}]
    env:
    - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: BOTH, value: "$(SIZE) at $(ADDRESS)"}
    volumeMounts: [{name: work, mountPath: /work}]
    securityContext: {readOnlyRootFilesystem: true}
  volumes: [{name: work, emptyDir: {}}]
"#;

async fn shop() -> Result<(Cluster, PodName)> {
    let cluster = Cluster::new().await?;
    cluster.apply(parse(MANIFESTS)?)?;
    cluster.rolled_out("shop", "web").await?;
    let client = ("shop".to_owned(), "client".to_owned());
    cluster.pod_is(&client, "runs", |pod| pod.ready_since).await?;
    Ok((cluster, client))
}

/// What a command in the client's container writes.
async fn sh(cluster: &Cluster, client: &PodName, script: &str) -> Result<String> {
    let output = cluster.exec(client, &["sh", "-c", script]).await?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(text.trim().to_owned())
}

/// An object without one of its members.
fn without(object: &Value, member: &str) -> Value {
    let rest = object.as_object().into_iter().flatten().filter(|(name, _)| *name != member);
    rest.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn a_container_sees_what_its_manifest_says_and_nothing_else() {
    inside(async || {
        let (cluster, client) = shop().await?;
        let address = cluster.pod(&client)?.address.context("no address")?;
        assert_eq!(sh(&cluster, &client, "echo $BOTH").await?, format!("large at {address}"));
        assert_eq!(sh(&cluster, &client, "id -u; grep -c CapEff:.*[1-9a-f] /proc/self/status").await?, "1000\n0");
        assert_eq!(sh(&cluster, &client, "touch /work/x && echo yes; touch /x || echo no").await?.lines().next(), Some("yes"));
        assert!(sh(&cluster, &client, "touch /x").await?.contains("Read-only"));
        assert!(sh(&cluster, &client, "ls /run /home /work/h").await?.contains("No such file"));
        assert_eq!(sh(&cluster, &client, "curl -s http://shop.test/apple").await?, "one");
        assert_eq!(sh(&cluster, &client, "curl -s http://web/apple; curl -s http://web.shop.svc.cluster.local/pear").await?, "oneone");
        assert_eq!(sh(&cluster, &client, "getent ahostsv4 each | grep -c STREAM").await?, "2");
        assert!(sh(&cluster, &client, "curl -sS --max-time 9 http://10.96.9.9/").await?.contains("after 0 ms"), "a Service that is none");
        assert_eq!(sh(&cluster, &client, "curl -s -o /dev/null -w '%{http_code}' http://example.com/").await?, "200", "the world");
        assert_eq!(cluster.troubles(), Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_service_balances_over_ready_pods_and_containers_are_started_again() {
    inside(async || {
        let (cluster, client) = shop().await?;
        let pods = cluster.pods("shop", "app=web");
        for _ in 0..10 {
            sh(&cluster, &client, "curl -s http://web/apple").await?;
        }
        let served =
            |pod: &PodName| cluster.logs(pod, "web").lines().filter(|line| line.contains("/apple") && line.contains("10.244")).count();
        assert!(pods.iter().all(|pod| served(pod) >= 5), "{}", cluster.report());
        cluster.kill(&pods[0], "web")?;
        cluster
            .pod_is(&pods[0], "is started again", |pod| (pod.containers["web"].restarts == 1 && pod.ready_since.is_some()).then_some(()))
            .await?;
        assert_eq!(cluster.pod(&pods[0])?.containers["web"].last.as_ref().map(|last| last.code), Some(137));
        // One file gone makes it not ready, the other makes kubelet kill it.
        cluster.change("Secret", "shop", "goods", |secret| secret["stringData"] = without(&secret["stringData"], "apple"))?;
        cluster.pod_is(&pods[1], "is not ready", |pod| pod.ready_since.is_none().then_some(())).await?;
        cluster.pod_is(&pods[0], "is not ready", |pod| pod.ready_since.is_none().then_some(())).await?;
        assert!(sh(&cluster, &client, "curl -sS --max-time 9 http://web/pear").await?.contains("connect to"));
        assert_eq!(sh(&cluster, &client, "getent ahostsv4 each | grep -c STREAM").await?, "0");
        cluster.change("Secret", "shop", "goods", |secret| secret["stringData"] = without(&secret["stringData"], "pear"))?;
        cluster.pod_is(&pods[1], "is killed", |pod| (pod.containers["web"].restarts > 0).then_some(())).await?;
        assert!(cluster.logs(&pods[1], "web").contains("liveness probe"));
        Ok(())
    });
}

#[test]
fn secrets_reach_running_containers_and_those_that_wait_for_them() {
    inside(async || {
        let (cluster, client) = shop().await?;
        cluster.change("Secret", "shop", "goods", |secret| secret["stringData"]["apple"] = "two".into())?;
        // Both pods, one after the other.
        for _ in 0..2 {
            assert_eq!(sh(&cluster, &client, "for i in 1 2 3 4 5 6 7 8 9; do test $(curl -s http://web/apple) = two && break; sleep 1; done; curl -s http://web/apple").await?, "two");
        }
        cluster.delete("Secret", "shop", "goods");
        cluster.restart("shop", "web")?;
        let waits = |pod: &PodView| matches!(&pod.phase, Phase::Waiting(why) if why == "Secret goods is missing").then_some(());
        cluster.some_pod_is("shop", "app=web", "waits", waits).await?;
        // The old ones go on meanwhile, with what they had.
        assert_eq!(sh(&cluster, &client, "curl -s http://web/apple").await?, "two");
        cluster.apply(parse("kind: Secret\nmetadata: {name: goods, namespace: shop}\nstringData: {apple: three, pear: three}")?)?;
        cluster.rolled_out("shop", "web").await?;
        assert_eq!(sh(&cluster, &client, "curl -s http://web/apple").await?, "three");
        Ok(())
    });
}

#[test]
fn a_rolling_update_never_has_fewer_ready_pods_than_it_may() {
    inside(async || {
        let (cluster, _) = shop().await?;
        let before = cluster.pods("shop", "app=web");
        cluster.restart("shop", "web")?;
        let rolled_out = cluster.rolled_out("shop", "web");
        tokio::pin!(rolled_out);
        loop {
            tokio::select! {
                done = &mut rolled_out => break done?,
                () = tokio::time::sleep(Duration::from_millis(5)) => {
                    let pods = cluster.pods("shop", "app=web");
                    let ready = pods.iter().filter(|pod| cluster.pod(pod).is_ok_and(|pod| pod.ready_since.is_some())).count();
                    assert!(pods.len() <= 3 && ready >= 2, "{ready} of {}", pods.len());
                }
            }
        }
        assert!(cluster.pods("shop", "app=web").iter().all(|pod| !before.contains(pod)));
        assert_eq!(cluster.troubles(), Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_pod_that_is_lost_answers_nothing_and_is_replaced() {
    inside(async || {
        let (cluster, client) = shop().await?;
        let pods = cluster.pods("shop", "app=web");
        let address = cluster.pod(&pods[0])?.address.context("no address")?;
        let fetch = format!("curl -sS --max-time 2 http://{address}:8080/apple");
        assert_eq!(sh(&cluster, &client, &fetch).await?, "one");
        cluster.lose(&pods[0]).await?;
        assert!(sh(&cluster, &client, &fetch).await?.contains("timed out"));
        cluster.pod_is(&pods[0], "is not ready", |pod| pod.ready_since.is_none().then_some(())).await?;
        cluster.give_up(&pods[0]);
        cluster.gone(&pods[0]).await?;
        cluster.rolled_out("shop", "web").await?;
        assert_eq!(sh(&cluster, &client, "curl -s http://web/apple").await?, "one");
        Ok(())
    });
}

#[test]
fn jobs_run_to_their_end_and_are_tried_again_as_often_as_they_may() {
    inside(async || {
        let (cluster, _) = shop().await?;
        let job = |name: &str, script: &str| {
            format!(
                "kind: Job\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  backoffLimit: 1\n  template:\n    spec:\n      restartPolicy: Never\n      \
                 securityContext: {{runAsUser: 1}}\n      containers: [{{name: job, image: shell, command: [sh, -c, \"{script}\"]}}]"
            )
        };
        cluster.apply(parse(&job("good", "exit 0"))?)?;
        cluster.apply(parse(&job("bad", "echo no luck; exit 3"))?)?;
        assert!(cluster.job("shop", "good").await?);
        assert!(!cluster.job("shop", "bad").await?);
        let tries = cluster.all_logs().into_iter().filter(|((_, pod), _, log)| pod.starts_with("bad-") && log.contains("no luck")).count();
        assert_eq!(tries, 2);
        Ok(())
    });
}

#[test]
fn the_world_hears_what_a_pod_says_on_any_port_of_any_address() {
    inside(async || {
        let (cluster, client) = shop().await?;
        sh(&cluster, &client, "echo hello | timeout 2 bash -c 'exec 3<>/dev/tcp/203.0.113.7/22; cat >&3; cat <&3'").await?;
        sh(&cluster, &client, "bash -c 'echo secret > /dev/udp/1.1.1.1/4242'").await?;
        let own = cluster.pod(&client)?.address.context("no address")?;
        let begun = Instant::now();
        while cluster.world.contacts().iter().filter(|contact| !contact.said.is_empty()).count() < 2
            && begun.elapsed() < Duration::from_secs(20)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let contacts = cluster.world.contacts();
        assert!(contacts.iter().all(|contact| contact.from.ip() == own));
        assert!(
            contacts.iter().any(|contact| contact.to == Some(SocketAddr::from(([203, 0, 113, 7], 22))) && contact.said == b"hello\n"),
            "{contacts:?}"
        );
        assert!(contacts.iter().any(|contact| contact.said == b"secret\n"), "{contacts:?}");
        // Names are answered by any address too.
        let asked = sh(&cluster, &client, "curl -s -o /dev/null -w '%{http_code}' http://192.0.2.1/").await?;
        assert_eq!(asked, "200");
        // A policy shuts all of it.
        let deny = "kind: NetworkPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {podSelector: {}, policyTypes: [Egress]}";
        cluster.apply(parse(deny)?)?;
        cluster.settled().await?;
        let before = cluster.world.contacts().len();
        sh(&cluster, &client, "timeout 2 bash -c 'exec 3<>/dev/tcp/203.0.113.7/22; echo again >&3'; echo again > /dev/udp/1.1.1.1/4242")
            .await?;
        assert_eq!(cluster.world.contacts().len(), before);
        Ok(())
    });
}
