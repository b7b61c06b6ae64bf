//! Who sends: tokens in the proxy's URL, addresses, and nobody in particular.

use std::fs;
use std::path::PathBuf;

use portcullis_e2e::{Client, Request, Stack, TestCa};

const DEMANDING: &str = "identity: {required: true}\n";

/// A policy in a file, and the arguments of `up` for it.
fn policy(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.yaml");
    fs::write(&path, format!("version: 1\n{text}")).expect("written");
    (folder, path)
}

async fn start(text: &str) -> (tempfile::TempDir, Stack) {
    let (folder, path) = policy(text);
    let stack = Stack::start(&["--policy", &path.display().to_string()]).await;
    (folder, stack)
}

/// Every way in which a request can come: in a tunnel over TLS with HTTP/1 and HTTP/2, in absolute form, and in a tunnel in the clear.
fn ways() -> [Request; 4] {
    let (tls, plain) = ("https://sink.example.net/", "http://sink.example.net/");
    [Request::get(tls), Request::get(tls).http2(), Request::post(plain).body("hello"), Request::get(plain).tunnel()]
}

#[tokio::test]
async fn who_is_not_known_is_asked_who_it_is_before_anything_is_resolved() {
    let (_policy, stack) = start(DEMANDING).await;
    let (_, token, known) = stack.sandbox("agent-7").await;
    let (_, other, _) = stack.sandbox("agent-8").await;
    stack.origin.forget();
    stack.dns.forget();
    let stranger = || stack.stranger();
    let made_up = format!("agent-7:pcs_{}", "A".repeat(43));
    let strangers: [(&str, Client); 8] = [
        ("no token", stranger()),
        ("an unknown token", stranger().with_credentials(&made_up)),
        ("the token of another", stranger().with_credentials(&format!("agent-7:{other}"))),
        ("a sandbox that is not there", stranger().with_credentials(&format!("agent-9:{token}"))),
        ("no name", stranger().with_credentials(&format!(":{token}"))),
        ("another scheme", stranger().proxy_header("Proxy-Authorization", &format!("Bearer {token}"))),
        ("a header that names a sandbox", stranger().proxy_header("X-Portcullis-Sandbox", "agent-7")),
        ("a wrong one before the right one", stranger().with_credentials(&made_up).with_credentials(&format!("agent-7:{token}"))),
    ];
    for (name, client) in strangers {
        for request in ways() {
            let answer = client.send(&request).await.expect("an answer");
            assert_eq!(answer.status, 407, "{name}: {}", answer.text());
            assert_eq!(answer.header("proxy-authenticate").as_deref(), Some("Basic realm=\"portcullis\""), "{name}");
        }
    }
    assert_eq!(stack.origin.connections().len(), 0);
    assert!(stack.dns.queries().is_empty(), "{:?}", stack.dns.queries());
    for request in ways() {
        let answer = known.send(&request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // Who has a tunnel cannot say inside it that it is somebody else, nor has it to say anything.
    let inner =
        Request::get("https://sink.example.net/").header("Proxy-Authorization", "Basic eDp5").header("X-Portcullis-Sandbox", "agent-8");
    assert_eq!(known.send(&inner).await.expect("an answer").status, 200);
    let seen = stack.origin.last();
    assert_eq!((seen.header("proxy-authorization"), seen.header("x-portcullis-sandbox")), (None, None));
}

#[tokio::test]
async fn credentials_as_long_as_a_head_may_be_are_refused_in_fail_open_too() {
    // What is said of a request to the scanner is as long as what the agent said: no length of it may make the scanner fail.
    let (_policy, path) = policy("");
    let stack = Stack::start(&["--fail-open", "--policy", &path.display().to_string()]).await;
    for long in [1 << 10, 17 << 10, 50 << 10, 58 << 10] {
        let client = stack.stranger().proxy_header("Proxy-Authorization", &format!("Basic {}", "A".repeat(long)));
        for request in ways() {
            let answer = client.send(&request).await.expect("an answer");
            assert_eq!(answer.status, 407, "{long} bytes: {}", answer.text());
        }
    }
    let bytes =
        b"CONNECT sink.example.net:443 HTTP/1.1\r\nHost: sink.example.net:443\r\nProxy-Authorization: Basic \xff\xfe\t\xc3\xa4\r\n\r\n";
    let mut connection = stack.stranger().connect().await.expect("a connection");
    connection.send(bytes).await.expect("sent");
    assert_eq!(connection.response("CONNECT").await.expect("an answer").status, 407);
    assert_eq!(stack.origin.requests().len(), 0);
}

#[tokio::test]
async fn each_request_of_a_connection_says_who_sends_it() {
    let (_policy, stack) = start(DEMANDING).await;
    let (_, token, _) = stack.sandbox("agent-7").await;
    let credentials = data_encoding::BASE64.encode(format!("agent-7:{token}").as_bytes());
    let mut connection = stack.stranger().connect().await.expect("a connection");
    for (header, status) in [(format!("Proxy-Authorization: Basic {credentials}\r\n"), 200), (String::new(), 407)] {
        let request = format!("GET http://sink.example.net/ HTTP/1.1\r\nHost: sink.example.net\r\n{header}\r\n");
        connection.send(request.as_bytes()).await.expect("sent");
        assert_eq!(connection.response("GET").await.expect("an answer").status, status);
    }
}

#[tokio::test]
async fn sandboxes_are_judged_by_their_own_rules_and_leave_a_trace_but_not_their_token() {
    let text = "identity: {required: true}
groups: {builders: [\"ci-*\"], agents: [agent-7]}
rules:
  - {name: no-writing, groups: [agents], methods: [POST, PUT], action: deny}
  - {name: not-there, sandboxes: [ci-1], hosts: [api.openai.com], action: deny}
";
    let (_policy, stack) = start(text).await;
    let (id, token, agent) = stack.sandbox("agent-7").await;
    let (_, builders, builder) = stack.sandbox("ci-1").await;
    let requests = [
        Request::post("https://sink.example.net/").body("x"),
        Request::get("https://api.openai.com/"),
        Request::post("http://sink.example.net/").body("x"),
    ];
    for (client, expected) in [(&agent, [403, 200, 403]), (&builder, [200, 403, 200]), (&stack.client, [200, 200, 200])] {
        for (request, status) in requests.iter().zip(expected) {
            // A header that names the other one changes nothing.
            let request = request.clone().header("x-portcullis-sandbox", "ci-1").header("x-forwarded-user", "agent-7");
            let answer = client.send(&request).await.expect("an answer");
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    }
    let wrong = "pcs_notATokenOfAnybodyButLikeOne";
    stack.stranger().with_credentials(&format!("agent-7:{wrong}")).send(&requests[1]).await.expect("an answer");
    let audit = fs::read_to_string(stack.gateway.state_dir().join("log/audit.jsonl")).expect("the audit log");
    let records: Vec<serde_json::Value> = audit.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mine = records.iter().find(|r| r["sandbox"] == "agent-7" && r["reason"] == "rule_denied").expect("a record of the agent's");
    assert_eq!((&mine["identity"], &mine["token"], &mine["groups"][0]), (&"token".into(), &id.as_str().into(), &"agents".into()), "{mine}");
    let metrics = stack.gateway.metrics().await.expect("metrics");
    assert!(metrics.contains("portcullis_group_requests_total{group=\"agents\",verdict=\"deny\"}"), "{metrics}");
    assert!(!metrics.contains("agent-7") && !metrics.contains("ci-1"), "a sandbox's name is no label");
    let own = stack.gateway.credentials().expect("credentials").split_once(':').expect("a token").1.to_owned();
    let encoded = |name: &str, token: &str| data_encoding::BASE64.encode(format!("{name}:{token}").as_bytes());
    for secret in [
        token.clone(),
        builders.clone(),
        wrong.to_owned(),
        encoded("agent-7", &token),
        encoded("agent-7", wrong),
        encoded("ci-1", &builders),
    ] {
        stack.assert_no_log_holds(&secret);
        assert!(!metrics.contains(&secret) && !stack.origin.saw(secret.as_bytes()));
    }
    // What `up` printed is the user's own terminal; no file holds it.
    let files = stack.gateway.logs().replace(&stack.gateway.output(), "");
    assert!(!files.contains(&own) && !files.contains(&encoded("local", &own)));
    assert!(!stack.origin.saw(own.as_bytes()));
}

#[tokio::test]
async fn a_token_that_is_taken_back_is_refused_at_once_and_in_open_tunnels_too() {
    let (_policy, stack) = start(DEMANDING).await;
    let (id, _, agent) = stack.sandbox("agent-7").await;
    let mut open = agent.tls("sink.example.net:443", "sink.example.net").await.expect("a tunnel");
    let ask = b"GET / HTTP/1.1\r\nHost: sink.example.net\r\n\r\n";
    open.send(ask).await.expect("sent");
    assert_eq!(open.response("GET").await.expect("an answer").status, 200);
    assert!(stack.gateway.portcullis(&["sandbox", "token", "revoke", "nobody"]).is_err());
    stack.gateway.portcullis(&["sandbox", "token", "revoke", &id]).expect("revoked");
    let refused = async || agent.send(&Request::get("http://127.0.0.2/")).await.is_ok_and(|answer| answer.status == 407);
    stack.wait_until("the gateway forgot the token", refused).await;
    stack.origin.forget();
    for request in ways() {
        assert_eq!(agent.send(&request).await.expect("an answer").status, 407);
    }
    open.send(ask).await.expect("sent");
    let answer = open.response("GET").await.expect("an answer");
    assert_eq!((answer.status, answer.header("proxy-authenticate")), (403, None));
    assert!(answer.text().contains("identity_unknown"), "{}", answer.text());
    assert_eq!(stack.origin.requests().len(), 0);
}

#[tokio::test]
async fn an_address_says_who_sends_and_no_header_changes_it() {
    let text = "identity: {required: true, addresses: {here: [127.0.0.0/8], there: [10.9.8.0/24]}}
rules: [{name: there-only, sandboxes: [there], action: deny}]
";
    let (_policy, stack) = start(text).await;
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Envoy-External-Address", "X-Client-IP"] {
        for value in ["10.9.8.7", "for=10.9.8.7"] {
            let client = stack.stranger().proxy_header(header, value);
            for request in ways() {
                let answer = client.send(&request.header(header, value)).await.expect("an answer");
                assert_eq!(answer.status, 200, "{header}: {}", answer.text());
            }
        }
    }
    let audit = fs::read_to_string(stack.gateway.state_dir().join("log/audit.jsonl")).expect("the audit log");
    assert!(audit.contains(r#""sandbox":"here","identity":"address""#) && !audit.contains(r#""sandbox":"there""#));
}

#[tokio::test]
async fn real_tools_use_what_up_printed_and_stop_at_407_without_it() {
    let (_policy, stack) = start(DEMANDING).await;
    let code = |url: &str, more: &[&str]| {
        let common = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_connect}", "--max-time", "30"];
        common.iter().chain(more).map(|a| (*a).to_owned()).chain([stack.url(url)]).collect::<Vec<String>>()
    };
    let proxy = format!("http://{}", stack.gateway.proxy());
    for (url, with, without) in [("https://sink.example.net/", "200 200", "000 407"), ("http://sink.example.net/", "200 000", "407 000")] {
        let output = stack.run(&code(url, &[])).await;
        assert_eq!(String::from_utf8_lossy(&output.stdout), with, "{}", String::from_utf8_lossy(&output.stderr));
        let output = stack.run(&code(url, &["--proxy", &proxy])).await;
        assert_eq!(String::from_utf8_lossy(&output.stdout), without, "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn nobody_gets_a_tunnel_while_the_scanner_is_down() {
    let (_policy, stack) = start(DEMANDING).await;
    let (_, _, agent) = stack.sandbox("agent-7").await;
    stack.origin.forget();
    stack.without_supervision().kill("scanner");
    for client in [agent, stack.stranger()] {
        for request in ways() {
            let answer = client.send(&request).await.expect("an answer");
            assert!((500..=599).contains(&answer.status), "{}", answer.status);
        }
    }
    assert_eq!(stack.origin.connections().len(), 0);
}

/// Certificates say who sends, on every connection, in tunnels and out of them, and the connection to the gateway is TLS.
#[tokio::test]
async fn a_client_certificate_says_who_sends() {
    let text = "identity: {required: true, certificates: [{uri: 'spiffe://corp.example/sandbox/*'}]}
rules: [{name: ci-reads, sandboxes: ['ci-*'], methods: [POST], action: deny}]
";
    let (folder, path) = policy(text);
    let (ca, other) = (TestCa::new().expect("a CA"), TestCa::new().expect("a CA"));
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (certificate, key) = ca.leaf(&["127.0.0.1".parse().expect("an address")], &[]).expect("a certificate");
    let files = [file("gateway.pem", &certificate), file("gateway.key", &key), file("clients.pem", ca.pem())];
    let policy = path.display().to_string();
    let stack = Stack::start_unproven(&[
        "--policy",
        &policy,
        "--listen-certificate",
        &files[0],
        "--listen-key",
        &files[1],
        "--client-ca",
        &files[2],
    ])
    .await;
    let client = |ca_of: &TestCa, uri: &str| {
        let (certificate, key) = ca_of.leaf(&[], &[uri]).expect("a certificate");
        stack.stranger().with_proxy_tls(ca.pem(), Some((&certificate, &key))).expect("a client")
    };
    let agent = client(&ca, "spiffe://corp.example/sandbox/agent-7");
    for request in ways() {
        assert_eq!(agent.send(&request).await.expect("an answer").status, 200);
    }
    let audit = fs::read_to_string(stack.gateway.state_dir().join("log/audit.jsonl")).expect("the audit log");
    assert!(
        audit.lines().filter(|line| line.contains(r#""sandbox":"agent-7""#) && line.contains(r#""identity":"certificate""#)).count() > 0
    );
    // Rules go by it, and no header changes it.
    let ci = client(&ca, "spiffe://corp.example/sandbox/ci-1");
    let post =
        Request::post("https://sink.example.net/").body("x").header("x-forwarded-client-cert", "URI=spiffe://corp.example/sandbox/agent-7");
    let answer = ci.send(&post).await.expect("an answer");
    assert!(answer.status == 403 && answer.text().contains("ci-reads"), "{}", answer.text());
    // Somebody's certificate that the policy does not know, and a token that is wrong beside a certificate that is right.
    for stranger in [client(&ca, "spiffe://corp.example/other/agent-7"), agent.clone().with_credentials("agent-7:pcs_wrong")] {
        assert_eq!(stranger.send(&Request::get("https://sink.example.net/")).await.expect("an answer").status, 407);
    }
    // A certificate of another CA, none at all, and no TLS: no HTTP is spoken.
    stack.origin.forget();
    let bare = stack.stranger().with_proxy_tls(ca.pem(), None).expect("a client");
    for stranger in [client(&other, "spiffe://corp.example/sandbox/agent-7"), bare, stack.stranger()] {
        let answer = stranger.send(&Request::get("https://sink.example.net/")).await;
        assert!(answer.as_ref().map_or(true, |a| a.status != 200), "{answer:?}");
    }
    assert!(stack.origin.requests().is_empty());
}
