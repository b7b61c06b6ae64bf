//! What a body asks for: never a panic, and cuts change nothing.
#![no_main]

use calls::{Fetches, graphql};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, body)) = data.split_first() else { return };
    let read = |parts: &[&[u8]]| {
        let mut fetches = Fetches::new(first & 1 == 1);
        let mut all = Vec::new();
        for part in parts {
            all.extend(fetches.push(part)?);
        }
        fetches.finish().map(|()| all)
    };
    let (a, b) = body.split_at(usize::from(first >> 1).min(body.len()));
    let (whole, cut) = (read(&[body]), read(&[a, b]));
    // What is read of a body that cannot be read depends on when that shows.
    if whole.is_ok() || cut.is_ok() {
        assert_eq!(whole, cut);
    }
    for content_type in ["application/json", "application/graphql", "application/x-www-form-urlencoded"] {
        let _read = graphql::fields(graphql::Request { query: "", content_type, body });
    }
});
