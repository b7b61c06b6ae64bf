//! An agent's own credentials at home, under the default policy: the official SDKs of Anthropic and OpenAI, streams included, and what publishes
//! and signs with curl.

use portcullis_e2e::secret::secret_of;
use portcullis_e2e::{Answer, Recorded, Stack, client_tool};

/// Says what each API was made to answer, whole and as a stream.
const CLIENT: &str = r#"
import sys, anthropic, openai
claude = anthropic.Anthropic(api_key=sys.argv[1], max_retries=0)
ask = dict(model="claude", max_tokens=16, messages=[{"role": "user", "content": sys.argv[3]}])
print(claude.messages.create(**ask).content[0].text)
with claude.messages.stream(**ask) as stream:
    print("".join(stream.text_stream))
gpt = openai.OpenAI(api_key=sys.argv[2], max_retries=0)
ask = dict(model="gpt", messages=[{"role": "user", "content": sys.argv[3]}])
print(gpt.chat.completions.create(**ask).choices[0].message.content)
print("".join(chunk.choices[0].delta.content or "" for chunk in gpt.chat.completions.create(stream=True, **ask)))
"#;

/// A stand-in for both APIs, as far as the SDKs need one.
fn api(request: &Recorded) -> Answer {
    let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let stream = asked["stream"] == true;
    let body = match (asked["model"].as_str(), stream) {
        (Some("claude"), false) => {
            r#"{"id":"m","type":"message","role":"assistant","model":"claude","stop_reason":"end_turn","stop_sequence":null,"content":[{"type":"text","text":"whole"}],"usage":{"input_tokens":1,"output_tokens":1}}"#
        }
        (Some("claude"), true) => concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",",
            "\"stop_reason\":null,\"stop_sequence\":null,\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"strea\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"med\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
        (Some("gpt"), false) => {
            r#"{"id":"c","object":"chat.completion","created":1,"model":"gpt","choices":[{"index":0,"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}]}"#
        }
        (Some("gpt"), true) => concat!(
            "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"strea\"}}]}\n\n",
            "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"med\"}}]}\n\n",
            "data: [DONE]\n\n",
        ),
        _ => "{}",
    };
    let answer = Answer::body(body);
    if stream { answer.header("content-type", "text/event-stream") } else { answer }
}

#[tokio::test]
async fn the_sdks_work_with_their_own_keys_and_never_send_anothers() {
    let stack = Stack::start(&[]).await;
    stack.origin.answer(api);
    let (claude, gpt, pasted) =
        (secret_of("anthropic-api-key").unwrap(), secret_of("openai-api-key").unwrap(), secret_of("github-pat-classic").unwrap());
    for content in ["hello", &format!("push with {pasted}")] {
        stack.origin.forget();
        let command = [&client_tool("python/bin/python"), "-c", CLIENT, &claude, &gpt, content].map(ToOwned::to_owned);
        let output = stack.run(&command).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "whole\nstreamed\nwhole\nstreamed\n", "{}\n{}", String::from_utf8_lossy(&output.stderr), stack.gateway.logs());
        let requests = stack.origin.requests();
        assert_eq!(requests.len(), 4);
        for request in &requests {
            let key = request.header("x-api-key").or_else(|| request.header("authorization")).unwrap_or_default();
            let masked = key.replace(&claude, "<claude>").replace(&gpt, "<gpt>").replace(&pasted, "<pasted>");
            assert!(
                matches!(&*masked, "<claude>" | "Bearer <claude>" | "Bearer <gpt>"),
                "{} bytes, {:?} {:?}",
                masked.len(),
                request.path,
                masked.get(..12)
            );
        }
        assert!(!stack.origin.saw(pasted.as_bytes()), "what was pasted into the conversation left");
    }
}

#[tokio::test]
async fn publishing_and_signing_work_at_home() {
    let stack = Stack::start_with_names(&[], &["registry.npmjs.org", "upload.pypi.org", "bucket.s3.eu-central-1.amazonaws.com"]).await;
    let (github, npm, pypi) =
        (secret_of("github-pat-classic").unwrap(), secret_of("npm-access-token").unwrap(), secret_of("pypi-token").unwrap());
    let (id, key) = (secret_of("aws-access-key-id").unwrap(), portcullis_e2e::secret::random_token(40));
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let commands: [(&str, Vec<String>); 4] = [
        ("GitHub", vec!["-H".into(), bearer(&github), "https://api.github.com/user".into()]),
        (
            "npm",
            vec![
                "-X".into(),
                "PUT".into(),
                "-H".into(),
                bearer(&npm),
                "--json".into(),
                "{\"name\":\"p\"}".into(),
                "https://registry.npmjs.org/p".into(),
            ],
        ),
        (
            "PyPI",
            vec![
                "-u".into(),
                format!("__token__:{pypi}"),
                "-F".into(),
                ":action=file_upload".into(),
                "https://upload.pypi.org/legacy/".into(),
            ],
        ),
        (
            "SigV4",
            vec![
                "--aws-sigv4".into(),
                "aws:amz:eu-central-1:s3".into(),
                "-u".into(),
                format!("{id}:{key}"),
                "https://bucket.s3.eu-central-1.amazonaws.com/object".into(),
            ],
        ),
    ];
    for (name, arguments) in commands {
        stack.origin.forget();
        let mut command: Vec<String> = ["curl", "--silent", "--show-error", "--fail-with-body"].map(ToOwned::to_owned).to_vec();
        command.extend(arguments);
        let output = stack.run(&command).await;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
        let seen = stack.origin.last().header("authorization").unwrap_or_default();
        assert!(!seen.is_empty() && !seen.contains("portcullis"), "{name}");
        if name == "SigV4" {
            assert!(seen.starts_with("AWS4-HMAC-SHA256 Credential=") && seen.contains(&id));
        }
    }
}
