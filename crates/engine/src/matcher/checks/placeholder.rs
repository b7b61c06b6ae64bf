//! What documentation writes instead of a secret.
//!
//! One random value in ten thousand spells a short word. So in a value that looks random a word speaks only where chance would not have put it.

use std::ops::Range;

use super::super::assigned;

/// Words of placeholders, and where the second one begins of what is two.
const WORDS: [(&str, usize); 19] = [
    ("example", 0),
    ("placeholder", 5),
    ("changeme", 6),
    ("change-me", 7),
    ("change_me", 7),
    ("your-", 0),
    ("your_", 0),
    ("yourtoken", 4),
    ("yourkey", 4),
    ("yoursecret", 4),
    ("replace", 0),
    ("redacted", 0),
    ("dummy", 0),
    ("insert", 0),
    ("notreal", 3),
    ("not-real", 4),
    ("fakekey", 4),
    ("todo", 0),
    ("sample", 0),
];
/// What people fill a value with, and how many of it are no chance of two or three.
const FILLERS: [u8; 4] = *b"xX*.";
const FILLED: usize = 4;
/// Whole values that nobody keeps secret.
const WHOLE: [&str; 24] = [
    "password",
    "passwd",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "username",
    "user",
    "admin",
    "root",
    "test",
    "testing",
    "guest",
    "default",
    "postgres",
    "mysql",
    "redis",
    "mongo",
    "rabbitmq",
    "mypassword",
    "my-password",
    "mysecretpassword",
];
/// Bits that a letter takes to guess in a random value, in either case.
const LETTER_BITS: usize = 5;
/// What fewer than one random value in two to this power holds is not held by chance.
const NO_CHANCE_BITS: usize = 22;

/// Whether `value` is a placeholder.
pub(crate) fn placeholder(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    WHOLE.iter().any(|w| lower == w.as_bytes()) || spelled(value, &lower) || template(value) || regular(&lower)
}

/// Whether it says so in words or fillings.
fn spelled(value: &[u8], lower: &[u8]) -> bool {
    let mut signs = words(value, lower).chain(fillings(value));
    signs.any(|at| !among_random(value, &at) || apart(value, &at) || no_chance(value.len(), at.len()))
}

/// The words in it, in the capitals that people use.
fn words<'v>(value: &'v [u8], lower: &'v [u8]) -> impl Iterator<Item = Range<usize>> + 'v {
    let one_case = |part: &[u8]| !part.iter().skip(1).any(u8::is_ascii_uppercase) || !part.iter().any(u8::is_ascii_lowercase);
    let as_people_do = move |at: &Range<usize>, second: usize| {
        let (first, second) = value[at.clone()].split_at(second);
        one_case(first) && one_case(second)
    };
    WORDS.iter().flat_map(move |(word, second)| {
        let found = memchr::memmem::find_iter(lower, word.as_bytes()).map(|at| at..at + word.len());
        found.filter(move |at| as_people_do(at, *second))
    })
}

/// The runs of what people fill a value with.
fn fillings(value: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut end = 0;
    value.chunk_by(|a, b| a == b).filter_map(move |run| {
        end += run.len();
        (run.len() >= FILLED && FILLERS.contains(&run[0])).then_some(end - run.len()..end)
    })
}

/// Whether chance has made what a word stands in, all of it or the letters and digits around. What it has not, people wrote: with a meaning.
fn among_random(value: &[u8], at: &Range<usize>) -> bool {
    let letters = |bytes: &mut dyn Iterator<Item = &u8>| bytes.take_while(|b| b.is_ascii_alphanumeric()).count();
    let before = letters(&mut value[..at.start].iter().rev());
    let behind = letters(&mut value[at.end..].iter());
    assigned::is_opaque(value) || assigned::is_opaque(&value[at.start - before..at.end + behind])
}

/// Whether a word has an end of the value or a separator on both sides, or brings one.
fn apart(value: &[u8], at: &Range<usize>) -> bool {
    let seam = |i: usize| i == 0 || i == value.len() || value[i - 1..=i].iter().any(|b| !b.is_ascii_alphanumeric());
    seam(at.start) && seam(at.end)
}

/// Whether a word is too long to be spelled by chance in a value of this length.
fn no_chance(value: usize, word: usize) -> bool {
    let places = value.max(1).ilog2() as usize + 1;
    word * LETTER_BITS >= places + NO_CHANCE_BITS
}

/// Whether it leaves a place for the secret.
fn template(value: &[u8]) -> bool {
    value.contains(&b'<') || memchr::memmem::find(value, b"${").is_some() || memchr::memmem::find(value, b"{{").is_some()
}

/// Whether runs of the same or of counting bytes make most of it.
fn regular(lower: &[u8]) -> bool {
    // One of them ("aaaaaaaa", "0123456789", "abcdefgh").
    let longest = |step: u8| {
        let mut best = 1;
        let mut run = 1;
        for pair in lower.windows(2) {
            run = if pair[1].wrapping_sub(pair[0]) == step { run + 1 } else { 1 };
            best = best.max(run);
        }
        best
    };
    let len = lower.len();
    // Several of them ("abc123def456", "1234567890abcdef" twice).
    let near = lower.windows(2).filter(|p| p[1].abs_diff(p[0]) <= 1).count();
    (len >= 12 && near * 5 > len * 3) || longest(0) * 3 > len || longest(1) * 2 > len
}
