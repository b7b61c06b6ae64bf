use super::*;

fn tokens() -> (Tokens, String, String) {
    let mut tokens = Tokens::default();
    let (id, token) = tokens.add("agent-7", "2026-11-24T04:00:00Z".into(), false, rand::random()).expect("a token");
    (tokens, id, token)
}

#[test]
fn a_token_is_known_by_its_hash_and_for_its_own_sandbox_only() {
    let (mut tokens, id, token) = tokens();
    let (other, second) = tokens.add("agent-8", String::new(), false, rand::random()).expect("a token");
    let tokens = Tokens::parse(&tokens.to_json().expect("json")).expect("what was written");
    assert_eq!(tokens.id_of("agent-7", &token).as_deref(), Some(id.as_str()));
    assert_eq!(tokens.id_of("agent-8", &second).as_deref(), Some(other.as_str()));
    let hash = tokens.entries()[0].hash.clone();
    for (sandbox, shown) in
        [("agent-8", token.as_str()), ("agent-7", &second), ("agent-7", ""), ("agent-7", &hash), ("", &token), ("agent-7", &token[1..])]
    {
        assert_eq!(tokens.id_of(sandbox, shown), None);
    }
}

#[test]
fn a_token_holds_256_bits_and_neither_the_file_nor_debug_shows_them() {
    let (tokens, _, token) = tokens();
    assert_eq!(BASE64URL_NOPAD.decode(token.strip_prefix(PREFIX).expect("the prefix").as_bytes()).expect("base64url").len(), 32);
    let said = format!("{tokens:?} {}", String::from_utf8(tokens.to_json().expect("json")).expect("text"));
    assert!(!said.contains(&token) && !said.contains(&token[PREFIX.len()..]));
}

#[test]
fn a_token_that_is_taken_back_is_known_no_more_and_the_others_stay() {
    let (mut tokens, id, token) = tokens();
    let (_, second) = tokens.add("agent-7", String::new(), false, rand::random()).expect("a token");
    assert_eq!(tokens.retain(|entry| entry.id != id), 1);
    assert_eq!(tokens.id_of("agent-7", &token), None);
    assert!(tokens.id_of("agent-7", &second).is_some());
    assert_eq!(tokens.retain(|entry| entry.id != id), 0);
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_not_quoted() {
    let (tokens, ..) = tokens();
    let good = String::from_utf8(tokens.to_json().expect("json")).expect("text");
    let hash = tokens.entries()[0].hash.clone();
    for bad in [
        String::new(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("agent-7", "a:b"),
        good.replace(&hash, &hash[2..]),
        good.replace("\"made\"", "\"maid\""),
        good[..good.len() / 2].to_owned(),
    ] {
        let error = Tokens::parse(bad.as_bytes()).expect_err("refused");
        assert!(!error.contains(&hash), "{error}");
    }
}

#[test]
fn one_sandbox_has_so_many_tokens_and_no_more() {
    let mut tokens = Tokens::default();
    for _ in 0..MAX_OF_ONE {
        tokens.add("a", String::new(), false, rand::random()).expect("a token");
    }
    assert!(tokens.add("a", String::new(), false, rand::random()).is_err());
    assert!(tokens.add("b", String::new(), false, rand::random()).is_ok());
    assert!(tokens.add("not a name", String::new(), false, rand::random()).is_err());
}

#[test]
fn a_file_that_is_not_there_holds_no_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(Tokens::read(&folder.path().join("tokens.json")).expect("none"), Tokens::default());
    assert!(Tokens::read(folder.path()).is_err());
}
