//! Words of placeholders: in what people write they speak against a value, in what chance has made they do not.

use portcullis_engine::{Engine, FingerprintKey, Kind, Limits, Media, RuleSet};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const MIXED: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SMALL: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const CAPITALS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// How tokens begin, of what they are made, and how long they are: Vercel, GitLab, Contentful, Hugging Face, Clojars, OneSignal, RunPod.
const SHAPES: [(&str, &[u8], usize); 7] = [
    ("vcp_", MIXED, 40),
    ("glpat-", MIXED, 32),
    ("CFPAT-", MIXED, 43),
    ("hf_", MIXED, 34),
    ("CLOJARS_", SMALL, 60),
    ("os_v2_app_", SMALL, 100),
    ("rpa_", CAPITALS, 40),
];

/// What chance spells; longer words it spells in no case that people write.
const SHORT: [&str; 3] = ["todo", "xxxx", "dummy"];
const LONG: [&str; 6] = ["example", "sample", "replace", "changeme", "insert", "placeholder"];

fn found(text: &str) -> bool {
    static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| {
        Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).unwrap_or_else(|e| panic!("{e}"))
    });
    !ENGINE.scan(&Kind::body(Media::default()), text.as_bytes()).findings.is_empty()
}

/// A random value with `word` in its middle, between digits: chance does not make it longer.
fn with(word: &str, (prefix, alphabet, length): (&str, &[u8], usize), rng: &mut StdRng) -> String {
    let mut value: Vec<u8> = (0..length).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
    let at = rng.random_range(1..length - word.len());
    value[at - 1..=at + word.len()].copy_from_slice(format!("7{word}4").as_bytes());
    format!("{prefix}{}", String::from_utf8(value).expect("letters and digits"))
}

#[test]
fn a_random_value_that_spells_a_word_is_found() {
    let mut rng = StdRng::seed_from_u64(1);
    for shape in SHAPES {
        for word in SHORT {
            for _ in 0..200 {
                let letter = |letter: char, rng: &mut StdRng| match shape.1 {
                    SMALL => letter,
                    CAPITALS => letter.to_ascii_uppercase(),
                    _ if rng.random() => letter.to_ascii_uppercase(),
                    _ => letter,
                };
                let word: String = word.chars().map(|l| letter(l, &mut rng)).collect();
                let value = with(&word, shape, &mut rng);
                assert!(found(&value), "{value}");
            }
        }
        for word in LONG.iter().filter(|_| shape.1 == MIXED) {
            for _ in 0..100 {
                // The first of three is small and the second a capital, or the other way round: so people do not write.
                let odd = |(i, l): (usize, char)| if i % 2 == 1 || (i > 2 && rng.random()) { l.to_ascii_uppercase() } else { l };
                let word: String = word.chars().enumerate().map(odd).collect();
                let value = with(&word, shape, &mut rng);
                assert!(found(&value), "{value}");
            }
        }
    }
}

#[test]
fn what_people_write_instead_of_a_token_is_not_found() {
    let chance = concat!("9fK3mQz7Lw2R", "t8Vb5Xc1");
    let written = [
        "x".repeat(32),
        "X".repeat(32),
        "abcd1234xxxxxxxxxxxxxxxxxxxx5678".to_owned(),
        "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx".to_owned(),
        "YOUR_GITLAB_TOKEN_GOES_HERE_1234".to_owned(),
        "your-personal-access-token-here1".to_owned(),
        "yourTokenFromTheSettingsPage1234".to_owned(),
        "putYourTokenHereTodoBeforeYouRun".to_owned(),
        "thisIsADummyTokenForTestsOnly123".to_owned(),
        format!("{chance}EXAMPLE"),
        format!("{chance}ExampleKey"),
        format!("{chance}-example"),
        format!("example{chance}"),
        format!("Sample{chance}"),
        format!("changeMe{chance}"),
        format!("REPLACE_ME_{chance}"),
        format!("{chance}-todo"),
        format!("todo-{chance}"),
        format!("DUMMY_{chance}"),
        format!("xxxx-{chance}"),
        format!("{chance}xxxxxx"),
        format!("your_{chance}"),
    ];
    for value in written {
        let token = format!("glpat-{value}");
        assert!(!found(&token), "{token}");
    }
    assert!(found(&format!("glpat-{chance}{chance}")));
}
