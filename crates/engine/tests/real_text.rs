//! What Portcullis once said against real text (`tests/false-positives/run`), as look-alikes: each line is harmless, however it is carried.

use portcullis_engine::{Confidence, Coverage, Engine, FingerprintKey, Kind, Limits, Media, RuleSet};
use rand::distr::{Alphanumeric, SampleString};

fn engine() -> &'static Engine {
    static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| {
        Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).unwrap_or_else(|e| panic!("{e}"))
    });
    &ENGINE
}

/// Code: the value is a name, a call or an expression.
const CODE: [&str; 12] = [
    "    check_private_key_bytes: x25519_check_private_key_bytes,",
    "    let raw_private_key: Curve25519SeedBin<'_>,",
    "let traffic_secret_expander = TLS13_CHACHA20_POLY1305_SHA256_INTERNAL",
    "        private_key = ed25519.Ed25519PrivateKey.from_private_bytes(data)",
    "    password = base64.b16encode(random_bytes[8:]).decode(\"utf-8\")",
    "\t\t\tpassword = utf8_to_utf16_dup(buf);",
    "            password = self._decode_base64(auth_parts[1])",
    "my $Token = qr/[\\x21\\x23-\\x27\\x2A\\x2B\\x2D\\x2E\\x30-\\x39\\x41-\\x5A\\x5E-\\x7A]/;",
    "self.assertEqual(splitpasswd('user:a\\nb'), ('user', 'a\\nb'))",
    "            \"\"\", 'password', '\\xa1\\xa2')",
    "api_key = os.environ[\"ACME_API_KEY_2\"]",
    "token: ${{ secrets.DEPLOY_TOKEN_2 }}",
];

/// Names of what is handed around openly, or is about a credential.
const NAMES: [&str; 20] = [
    "        \"NextToken\": \"eyJDdXN0b21lckFjY291bnRJZCI6IjI3MDIwNTQwMjg0NSJ9\",",
    "        \"nextPageToken\": \"AAAAKgAAAAEAAAAAAAAAA2QJKNtidVgd49TTeNwYcpD+QKT2ynuEbibcQWe2\",",
    "        \"ClientToken\": \"4752b573-40a6-4eac-a8a4-a72058761219\",",
    "            \"RequestToken\": \"20999d87-e304-4725-ad84-832dcbfd7fc5\",",
    "            \"LockToken\":\"0bc01e21-03c9-4b98-9433-6229cbf1ef1c\",",
    "        --lifecycle-action-token bcd2f1b8-9a78-44d3-8a7a-4dd07d7cf635",
    "              \"PasswordLastUsed\": \"2016-09-08T21:47:36Z\",",
    "            \"encryptionKey\": \"arn:aws:kms:us-west-2:417498243647:key/c9fe2447-0795-4fda-afed-b5a0f0f9d3f5\",",
    "  \"SecretArn\": \"arn:aws:secretsmanager:us-west-2:123456789012:secret:proxysecret1-Abd6hT\"",
    "  SSEType=KMS,KMSMasterKeyId=abcd1234-abcd-1234-a123-ab1234a1b234",
    "            \"token_url\": \"https://graph.facebook.com/v2.9/oauth/access_token\",",
    "      \"PrivateKeyCiphertextBlob\": \"AQIDAHi6LtupRpdKl2aJTzkK6FbhOtQkMlQJJH3PdtHvS/y\",",
    "X-Amz-Credential=AKIA32P3D2JDNMVAJLGF%2F20190814%2Fus-west-2%2Fs3%2Faws4_request",
    "<user>\\[rB]\\[lB]:<password>\\[rB]@\\[rB]<hostname>",
    "<input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"su9mI4ROnl89Sm995ytbxAk7jqevt0MLaMRTvetw0tESulEETldq8b8k\">",
    "\"deviceToken\": \"b19b8f89a50f8a8e9bb8bdb5eba456bf92d5d98065e5751f75143a5f61debc26\"",
    "\"signingKey\": \"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpdPzHLblIv5KtOtwJi6cL2nNKRGfNguOG6lhvhJHDpKTHr5m4J8iAm4XUK8d\"",
    "\"storageKey\": \"avatars/77d1450a-2f39-455a-8fd4-b392ae36e1f8.webp\"",
    "api_key: abc123def456ghi789jkl012",
    "token: 123e4567-e89b-12d3-a456-426614174000",
];

/// Documentation, hashes of passwords, ciphertexts at rest.
const DOCUMENTATION: [&str; 8] = [
    "username=user&password=secure%20password",
    "  hashed_password: \"$argon2id$v=19$m=65536,t=3,p=4$C29tZXNhbHQ$eW91bGxORXZlckd1ZXNz\"",
    "  password: \"$2b$12$abcdefghijklmnopqrstuuKq0hN0Y7H9dV0rT1sX2yZ3wA4bC5dE6\"",
    "  password: 'bm90IG15IHJlYWwgcGFzc3dvcmQ=',",
    "  password: ENC[AES256_GCM,data:63Bv0cLcrmkTj+USmgMMHEo+Xc=,iv:LQ7Gzd/tZ80/18WE5f7D8XxnkW4MBtl7,type:str]",
    "echo machine command-option-gpg login username password password",
    "trueCryptPassword: password",
    "The token is stored in the keychain, the password in /etc/app/secret.conf.",
];

/// The line by itself, as a tool's result in a chat request, in a form, in markup and as part of a longer text.
fn carried(line: &str) -> Vec<Vec<u8>> {
    let message = serde_json::json!({"messages": [{"role": "user", "content": format!("see below\n{line}\nthanks\n")}]});
    let percent: String =
        line.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    let markup = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#x27;");
    vec![
        line.as_bytes().to_vec(),
        message.to_string().into_bytes(),
        format!("title=a&content={percent}&b=c").into_bytes(),
        format!("<?xml version=\"1.0\"?><a><b>{markup}</b></a>").into_bytes(),
        format!("first line\n{line}\nlast line\n").into_bytes(),
    ]
}

#[test]
fn harmless_lines_are_harmless_in_every_carrier() {
    let mut wrong = Vec::new();
    for line in CODE.iter().chain(&NAMES).chain(&DOCUMENTATION) {
        for (i, body) in carried(line).iter().enumerate() {
            let report = engine().scan(&Kind::body(Media::default()), body);
            let sure: Vec<&str> =
                report.findings.iter().filter(|f| f.confidence >= Confidence::Medium).map(|f| f.detector.id.as_str()).collect();
            if !sure.is_empty() || report.coverage != Coverage::Complete {
                wrong.push(format!("carrier {i}: {line}: {sure:?} {:?}", report.coverage));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_notations_with_a_random_value_are_found_in_every_carrier() {
    let mut missed = Vec::new();
    for (name, notation) in [
        ("assignment", "    api_key = \"{}\""),
        ("type", "    let raw_private_key: &str = \"{}\";"),
        ("call", "client.set('client_secret', '{}')"),
        ("json", "        \"SecretToken\": \"{}\","),
        ("flag", "deploy --auth-token {} --now"),
        ("element", "<password>{}</password>"),
        ("pair", "  - name: DB_PASSWORD\n    value: {}"),
        ("connection string", "Password={};Encrypt=true"),
        ("prose", "The API key is {}."),
        ("properties", "spring.datasource.password={}"),
    ] {
        let line = notation.replace("{}", &format!("a1{}", Alphanumeric.sample_string(&mut rand::rng(), 30)));
        for (i, body) in carried(&line).iter().enumerate() {
            if engine().scan(&Kind::body(Media::default()), body).findings.is_empty() {
                missed.push(format!("{name} in carrier {i}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
