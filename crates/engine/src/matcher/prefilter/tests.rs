use proptest::prelude::*;

use super::{Prefilter, Word};
use crate::matcher::opening::ANY;

fn naive(words: &[(Vec<u8>, bool)], text: &[u8]) -> Vec<(usize, usize)> {
    let mut hits = Vec::new();
    for (i, (word, exact)) in words.iter().enumerate() {
        // One way of writing counts only if all that want the word want that one.
        let all_exact = words.iter().filter(|(w, _)| w.eq_ignore_ascii_case(word)).all(|(w, e)| *e && w == word);
        for (at, part) in text.windows(word.len()).enumerate() {
            if part == &word[..] || (!(all_exact && *exact) && part.eq_ignore_ascii_case(word)) {
                hits.push((at, i));
            }
        }
    }
    hits.sort_unstable();
    hits
}

fn found(words: &[(Vec<u8>, bool)], text: &[u8]) -> Vec<(usize, usize)> {
    let filter =
        Prefilter::new(words.iter().enumerate().map(|(i, (w, e))| (Word { text: w.clone(), exact: *e, before: ANY, behind: ANY }, i)));
    let mut hits = Vec::new();
    let mut last = 0;
    filter.each(text, |range, i| {
        assert!(last <= range.start, "by where they begin");
        last = range.start;
        hits.push((range.start, *i));
        true
    });
    hits.sort_unstable();
    hits
}

proptest! {
    #[test]
    fn every_word_is_found_wherever_it_stands_and_nothing_else(
        words in prop::collection::vec(("[abAB_]{3,9}".prop_map(String::into_bytes), any::<bool>()), 1..8),
        text in prop::collection::vec(prop::sample::select(b"abAB_ \x80".to_vec()), 0..300),
    ) {
        prop_assert_eq!(found(&words, &text), naive(&words, &text));
    }
}

proptest! {
    #[test]
    fn parts_that_are_left_out_hide_no_word_that_begins_elsewhere(
        text in prop::collection::vec(prop::sample::select(b"abAB_ ".to_vec()), 0..300),
        cuts in prop::collection::vec(0..300_usize, 0..6),
    ) {
        let words = [(b"aab".to_vec(), false), (b"bba_".to_vec(), false), (b"_abab".to_vec(), true), (b"abbaabba".to_vec(), false)];
        let filter =
            Prefilter::new(words.iter().enumerate().map(|(i, (w, e))| (Word { text: w.clone(), exact: *e, before: ANY, behind: ANY }, i)));
        let mut cuts = cuts;
        cuts.sort_unstable();
        let parts: Vec<_> = cuts.chunks_exact(2).map(|c| c[0].min(text.len())..c[1].min(text.len())).filter(|p| !p.is_empty()).collect();
        let mut hits = Vec::new();
        filter.each_but(&text, &parts, |range, i| {
            hits.push((range.start, *i));
            true
        });
        prop_assert!(hits.is_sorted_by_key(|(at, _)| *at));
        let outside = |at: &usize| !parts.iter().any(|p| p.contains(at));
        hits.retain(|(at, _)| outside(at));
        hits.sort_unstable();
        let mut expected = naive(&words, &text);
        expected.retain(|(at, _)| outside(at));
        prop_assert_eq!(hits, expected);
    }
}

#[test]
fn words_over_the_edge_of_a_piece_are_found() {
    let words = [(b"needle".to_vec(), false), (b"abc".to_vec(), true)];
    for shift in 0..10 {
        let mut text = vec![b'.'; super::PIECE + 20];
        text[super::PIECE - shift..][..6].copy_from_slice(b"NeedLE");
        text[super::PIECE + 8 - shift..][..3].copy_from_slice(b"abc");
        assert_eq!(found(&words, &text).len(), 2, "{shift}");
    }
}
