use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(query: &str, content_type: &str, body: &str) -> Result<String, Unreadable> {
    fields(Request { query, content_type, body: body.as_bytes() }).map(|all| all.join(" "))
}

fn posted(document: &str) -> Result<String, Unreadable> {
    read("", "application/json", &json!({ "query": document, "variables": {"query": "text"} }).to_string())
}

#[test]
fn first_fields_are_told_by_kind_and_own_name() {
    for (document, told) in [
        ("{ viewer { login } }", "query.viewer"),
        ("query Q($id: ID!) { node(id: $id) { id } }", "query.node"),
        ("mutation { mergePullRequest(input: {}) { clientMutationId } }", "mutation.mergePullRequest"),
        ("mutation($i: X!) { addStar: deleteRef(input: $i) { x } more: addComment { x } }", "mutation.deleteRef mutation.addComment"),
        (
            "mutation { ...F ... on Mutation { b } ... @include(if: false) { c } } fragment F on Mutation { a ...G } fragment G on Mutation { d ...F }",
            "mutation.a mutation.d mutation.b mutation.c",
        ),
        ("query A { a } mutation B { b } subscription C { c }", "query.a mutation.b subscription.c"),
        ("# mutation { a }\n{ b(text: \"mutation { a }\") }", "query.b"),
    ] {
        assert_eq!(posted(document).as_deref(), Ok(told), "{document}");
    }
}

#[test]
fn documents_are_found_wherever_servers_look() {
    let json = "application/json";
    for (query, content_type, body, told) in [
        ("", json, r#"[{"query":"{a}"},{"query":"mutation{b}"}]"#, "query.a mutation.b"),
        ("", json, r#"{"_json":[{"query":"{a}"},{"query":"mutation{b}"}]}"#, "query.a mutation.b"),
        ("", json, r#"{"query":"{a}","query":"mutation{b}"}"#, "query.a mutation.b"),
        ("", json, r#"{"QUERY":"mutation{b}"}"#, "mutation.b"),
        ("", json, r#"{"\u0071uery":"mutation{b}"}"#, "mutation.b"),
        ("", "text/plain", r#" {"query":"mutation{b}"}"#, "mutation.b"),
        ("query=mutation%7Bb%7D", json, r#"{"query":"{a}"}"#, "mutation.b query.a"),
        ("query=mutation%7Bb%7D", "", "", "mutation.b"),
        ("", "application/x-www-form-urlencoded", "query=mutation{b}&variables={}", "mutation.b"),
        ("", "application/graphql", "mutation { b }", "mutation.b"),
        ("a=b", "", "", ""),
    ] {
        assert_eq!(read(query, content_type, body).as_deref(), Ok(told), "{query} {content_type} {body}");
    }
}

#[test]
fn what_is_not_read_is_said() {
    let json = "application/json";
    let deep = format!("{{\"query\":\"{}{}\"}}", "{a".repeat(200), "}".repeat(200));
    let wide = format!("{{\"query\":\"mutation {{ {} }}\"}}", "a ".repeat(2000));
    for (query, content_type, body) in [
        ("", json, r#"{"id":"stored"}"#),
        ("", json, r#"{"extensions":{"persistedQuery":{"sha256Hash":"x"}}}"#),
        ("", json, r#"[{"query":"{a}"},{"id":"stored"}]"#),
        ("", json, r#"{"query":null}"#),
        ("", json, r#"{"query":["mutation{b}"]}"#),
        ("", json, r#"{"query":"{a}""#),
        ("", json, r#"{"query":"mutation { ...F }"}"#),
        ("", json, r#"{"query":"mutation {"}"#),
        ("", json, r#"{"query":"type A { b: C }"}"#),
        ("", json, r#"{"variables":{"query":"{a}"}}"#),
        ("", json, deep.as_str()),
        ("", json, wide.as_str()),
        ("query[]=a", "", ""),
        ("", "multipart/form-data", "--x"),
        ("", "text/plain", "mutation { b }"),
        ("", "application/x-www-form-urlencoded", "a=b"),
    ] {
        assert_eq!(read(query, content_type, body), Err(Unreadable), "{query} {content_type} {body:.60}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", document in "[ {}()a-c.:@$\"#\\n]{0,80}") {
        let _read = (read(&text, "application/json", &text), posted(&document));
    }
}
