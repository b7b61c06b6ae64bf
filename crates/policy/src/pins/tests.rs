use proptest::prelude::*;

use super::*;
use crate::Destination;

const OURS: &str = "acme-service-credential-0123-wxyz";
const THEIRS: &str = "evil-service-credential-0123-wxyz";

fn policy(only: &str) -> Policy {
    let print = CredentialPrint::make(OURS.as_bytes()).unwrap();
    let only = only.replace("OURS", &format!("'{print}'"));
    Policy::from_yaml("test", &format!("version: 1\ngroups: {{ci: ['ci-*']}}\nonly: [{only}]\n")).unwrap()
}

fn ask(policy: &Policy, request: &str, headers: &[(&str, &str)]) -> Result<(), Reason> {
    let (method, url) = request.split_once(' ').unwrap();
    let (host, rest) = url.split_once('/').unwrap_or((url, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let subject = Subject {
        sandbox: "ci-1".into(),
        method: method.into(),
        destination: Destination::parse(host, true).unwrap(),
        path: format!("/{path}"),
        ..Subject::default()
    };
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
    policy.admit_owned(&subject, &Carried { query, headers: &headers, known: None }).map_err(|(reason, entry)| {
        assert!(entry.starts_with("only["));
        reason
    })
}

const CREDENTIAL: Result<(), Reason> = Err(Reason::CredentialForeign);
const TENANT: Result<(), Reason> = Err(Reason::TenantForeign);
const TWO: Result<(), Reason> = Err(Reason::Ambiguous);

fn basic(pair: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}

#[test]
fn only_registered_credentials_pass_wherever_they_stand() {
    let policy = policy("{service: github, credentials: [OURS], accounts: [acme-bot]}");
    let bearer = |token: &str| format!("Bearer {token}");
    let (ours, theirs) = (bearer(OURS), bearer(THEIRS));
    let ask = |request: &str, headers: &[(&str, &str)]| ask(&policy, request, headers);
    let user = "GET api.github.com/user";
    for header in [ours.clone(), format!("token {OURS}"), basic(&format!("x-access-token:{OURS}")), basic(&format!("{OURS}:")), OURS.into()]
    {
        assert_eq!(ask(user, &[("Authorization", &header)]), Ok(()));
    }
    assert_eq!(ask(user, &[("authorization", &basic(&format!("acme-bot:{OURS}")))]), Ok(()));
    let joined = format!("Bearer {OURS}, Bearer {THEIRS}");
    for header in
        [theirs.clone(), joined, basic(&format!("{THEIRS}:{OURS}")), basic("x-access-token:"), "Digest a=b".into(), "Basic ?".into()]
    {
        assert_eq!(ask(user, &[("authorization", &header)]), CREDENTIAL, "{header}");
    }
    assert_eq!(ask(user, &[("authorization", &ours), ("authorization", &theirs)]), CREDENTIAL, "said twice");
    assert_eq!(ask(user, &[("authorization", &ours), ("x-api-key", THEIRS)]), CREDENTIAL);
    assert_eq!(ask(user, &[("authorization", &ours), ("cookie", "__cf_bm=x; user_session=y")]), CREDENTIAL);
    assert_eq!(ask(user, &[("authorization", &ours), ("cookie", "__cf_bm=x")]), Ok(()));
    assert_eq!(ask(&format!("{user}?access%5Ftoken={THEIRS}"), &[("authorization", &ours)]), CREDENTIAL);
    assert_eq!(ask(user, &[]), CREDENTIAL, "none at all");
    assert_eq!(ask("GET other.example/", &[("authorization", &theirs)]), Ok(()), "another host");
}

#[test]
fn accounts_of_signed_requests_are_told_from_the_key_id() {
    // The example of the article that describes the form; its account is 609629065308.
    let id = concat!("ASIAY34F", "ZKBOKMUTVV7A");
    assert_eq!(aws_account(id).as_deref(), Some("609629065308"));
    assert_eq!(aws_account(concat!("AKIAIOSF", "ODNN7EXAMPLE")), None, "of the old kind");
    let policy = policy("{service: aws-s3, accounts: ['609629065308'], buckets: [acme]}");
    let signed =
        |id: &str| format!("AWS4-HMAC-SHA256 Credential={id}/20261124/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=00");
    let put = "PUT acme.s3.eu-west-1.amazonaws.com/k";
    assert_eq!(ask(&policy, put, &[("authorization", &signed(id)), ("x-amz-security-token", "t")]), Ok(()));
    assert_eq!(ask(&policy, put, &[("authorization", &signed("AKIAIOSF"))]), CREDENTIAL);
    let presigned = format!("{put}?X-Amz-Credential={id}%2F20261124%2Feu-west-1");
    assert_eq!(ask(&policy, &format!("{presigned}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"), &[]), Ok(()));
    assert_eq!(ask(&policy, &presigned, &[]), CREDENTIAL, "an id that nothing is signed with");
    assert_eq!(ask(&policy, &format!("{put}?x-amz-credential=AKIAOTHER%2F2026"), &[("authorization", &signed(id))]), CREDENTIAL);
    assert_eq!(ask(&policy, put, &[]), CREDENTIAL);
}

#[test]
fn a_tenant_is_told_from_host_and_path() {
    let s3 = policy("{service: aws-s3, buckets: [acme, acme.v2]}");
    for (host, expected) in [
        ("acme.s3.amazonaws.com/k", Ok(())),
        ("acme.v2.s3.dualstack.eu-west-1.amazonaws.com/k", Ok(())),
        ("acme.s3-accelerate.amazonaws.com/k", Ok(())),
        ("s3.eu-west-1.amazonaws.com/acme/a%2F..b", Ok(())),
        ("s3-eu-west-1.amazonaws.com/acme/k", Ok(())),
        ("evil.s3.eu-west-1.amazonaws.com/acme/k", TENANT),
        ("acme.evil.s3.amazonaws.com/k", TENANT),
        ("s3.amazonaws.com/evil/k", TENANT),
        ("s3.amazonaws.com//acme/k", TWO),
        ("s3.amazonaws.com/acme/%2e%2e/evil/k", TWO),
        ("ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/k", TENANT),
        ("x.mrap.accesspoint.s3-global.amazonaws.com/k", TENANT),
    ] {
        assert_eq!(ask(&s3, &format!("PUT {host}"), &[]), expected, "{host}");
    }
    assert_eq!(ask(&s3, "PUT acme.s3.amazonaws.com/k", &[("x-amz-copy-source", "/evil/k")]), TENANT);
    assert_eq!(ask(&s3, "PUT acme.s3.amazonaws.com/?policy", &[]), TENANT);
    let cases = [
        (
            "{service: github, owners: [acme], repositories: [other/shop]}",
            vec![
                ("POST api.github.com/repos/Acme/x/issues", Ok(())),
                ("POST api.github.com/repos/other/shop/issues", Ok(())),
                ("POST github.com/other/shop.git/git-receive-pack", Ok(())),
                ("POST uploads.github.com/repos/evil/x/releases/1/assets", TENANT),
                ("POST api.github.com/repos/acme/x/forks", TENANT),
                ("POST api.github.com/user/repos", TENANT),
                ("POST api.github.com/graphql", TENANT),
                ("POST api.github.com/gists", TENANT),
                ("POST api.github.com/repositories/42/issues", TENANT),
                ("GET api.github.com/rate_limit", Ok(())),
                ("POST api.github.com/repos/acme%2Fx/issues", TWO),
            ],
        ),
        (
            "{service: gitlab, owners: [acme], repositories: ['id:42']}",
            vec![
                ("POST gitlab.com/api/v4/projects/acme%2Fsub%2Fshop/issues", Ok(())),
                ("POST gitlab.com/api/v4/projects/42/issues", Ok(())),
                ("POST gitlab.com/api/v4/projects/43/issues", TENANT),
                ("POST gitlab.com/api/v4/projects/evil%2Fshop/issues", TENANT),
                ("POST gitlab.com/acme/sub/shop.git/git-receive-pack", Ok(())),
                ("POST gitlab.com/api/v4/projects", TENANT),
            ],
        ),
        (
            "{service: npm, packages: ['@acme/*']}",
            vec![
                ("PUT registry.npmjs.org/@acme%2fcli", Ok(())),
                ("PUT registry.npmjs.org/@acme/cli", Ok(())),
                ("PUT registry.npmjs.org/@evil%2fcli", TENANT),
                ("PUT registry.npmjs.org/-/package/@evil%2fcli/dist-tags/x", TENANT),
            ],
        ),
        (
            "{service: gcs, buckets: [acme], projects: [acme-1]}",
            vec![
                ("POST storage.googleapis.com/upload/storage/v1/b/acme/o?name=x", Ok(())),
                ("POST storage.googleapis.com/upload/storage/v1/b/evil/o?name=x", TENANT),
                ("POST storage.googleapis.com/storage/v1/b/acme/o/k/rewriteTo/b/evil/o/k", TENANT),
                ("POST storage.googleapis.com/storage/v1/b/acme/o/k?userProject=evil", TENANT),
                ("PUT acme.storage.googleapis.com/k", Ok(())),
                ("PUT evil.storage.googleapis.com/k", TENANT),
                ("POST storage.googleapis.com/batch/storage/v1", TENANT),
            ],
        ),
        (
            "{service: slack, organizations: [T1]}",
            vec![("POST hooks.slack.com/services/T1/B/x", Ok(())), ("POST hooks.slack.com/services/T2/B/x", TENANT)],
        ),
    ];
    for (only, requests) in cases {
        let policy = policy(only);
        for (request, expected) in requests {
            assert_eq!(ask(&policy, request, &[]), expected, "{only} {request}");
        }
    }
}

#[test]
fn permissions_are_as_narrow_as_they_say() {
    let unclear = policy("{service: github, owners: [acme], unclear: allow}");
    assert_eq!(ask(&unclear, "POST api.github.com/graphql", &[]), Ok(()));
    for path in ["//repos/evil/x", "/repos//evil/x", "/%2572epos/evil/x", "/repos;a/evil/x"] {
        assert_eq!(ask(&unclear, &format!("POST api.github.com{path}"), &[]), TWO, "{path}");
    }
    let reads = policy("{service: aws-s3, buckets: [acme], reads: allow}");
    assert_eq!(ask(&reads, "GET evil.s3.amazonaws.com/k", &[]), Ok(()));
    assert_eq!(ask(&reads, "PUT evil.s3.amazonaws.com/k/git-upload-pack", &[]), TENANT);
    let anonymous = policy("{service: pypi, credentials: [OURS], anonymous: reads}");
    assert_eq!(ask(&anonymous, "GET pypi.org/simple/requests/", &[]), Ok(()));
    assert_eq!(ask(&anonymous, "POST upload.pypi.org/legacy/", &[]), CREDENTIAL);
    let both = policy("{service: github, owners: [acme]}, {service: github, owners: [beta]}");
    assert_eq!(ask(&both, "POST api.github.com/repos/beta/x/issues", &[]), Ok(()), "one of them holds");
    let others = policy("{service: github, owners: [acme], sandboxes: [box]}");
    assert_eq!(ask(&others, "POST api.github.com/repos/evil/x/issues", &[]), Ok(()), "for another sandbox");
}

#[test]
fn a_hash_is_made_of_what_cannot_be_guessed_only() {
    for weak in ["", "hunter2", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(CredentialPrint::make(weak.as_bytes()), Err(TooWeak));
    }
    let print = CredentialPrint::make(OURS.as_bytes()).unwrap();
    assert_eq!(CredentialPrint::parse(&print.to_string()), Some(print));
    assert_eq!(CredentialPrint::make(format!("{OURS}\n").as_bytes()), Ok(print));
}

/// Each byte as it stands, escaped once or twice.
fn written(name: &str, how: &[u8]) -> String {
    let one = |(byte, how): (u8, &u8)| match how % 3 {
        0 => char::from(byte).to_string(),
        1 => format!("%{byte:02X}"),
        _ => format!("%25{byte:02x}"),
    };
    name.bytes().zip(how.iter().cycle()).map(one).collect()
}

proptest! {
    #[test]
    fn no_spelling_of_a_foreign_tenant_passes(how in prop::collection::vec(0_u8..3, 1..24), before in "(|/|/\\.|/x/\\.\\.|/acme/x/\\.\\.|/;)", unclear: bool) {
        let unclear = if unclear { "unclear: allow" } else { "reads: deny" };
        for (service, list, hosts) in [
            ("github", "owners", ["api.github.com/repos/NAME/x/issues", "github.com/NAME/x.git/git-receive-pack"]),
            ("gitlab", "owners", ["gitlab.com/api/v4/projects/NAME%2Fx/issues", "gitlab.com/NAME/x.git/git-receive-pack"]),
            ("npm", "packages", ["registry.npmjs.org/NAME", "registry.npmjs.org/-/package/NAME/dist-tags/x"]),
            ("aws-s3", "buckets", ["s3.amazonaws.com/NAME/k", "s3.eu-west-1.amazonaws.com/NAME"]),
            ("gcs", "buckets", ["storage.googleapis.com/storage/v1/b/NAME/o", "storage.googleapis.com/NAME/k"]),
        ] {
            let policy = policy(&format!("{{service: {service}, {list}: [acme], {unclear}}}"));
            for place in hosts {
                let place = place.replace("NAME", &written("evil", &how));
                let (host, path) = place.split_once('/').unwrap();
                prop_assert!(ask(&policy, &format!("PUT {host}{before}/{path}"), &[]).is_err() , "{host}{before}/{path}");
            }
        }
    }

    #[test]
    fn no_head_panics(path in "/[a-z%2eEfF;.@/\\\\:\u{e9}-]{0,40}", query in "[a-zA-Z%=&;+-]{0,40}", value in "\\PC{0,40}") {
        for only in ["{service: gcs, buckets: [a], accounts: [b]}", "{service: github, owners: [a], credentials: [OURS]}", "{service: npm, packages: [a]}"] {
            let policy = policy(only);
            for host in ["storage.googleapis.com", "api.github.com", "gist.github.com", "registry.npmjs.org"] {
                let _answer = ask(&policy, &format!("PUT {host}{path}?{query}"), &[("authorization", &value), ("cookie", &value)]);
            }
        }
    }
}
