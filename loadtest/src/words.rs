//! Harmless text, the same for the same seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Plain words: nothing that a detector could take for the name of a secret.
const WORDS: [&str; 64] = [
    "river", "green", "paper", "garden", "window", "morning", "letter", "market", "winter", "summer", "bridge", "yellow", "island",
    "kitchen", "table", "orange", "forest", "silver", "teacher", "village", "story", "music", "picture", "corner", "valley", "engine",
    "circle", "button", "candle", "harbour", "meadow", "pencil", "quarter", "railway", "station", "thunder", "violin", "weather", "branch",
    "castle", "doctor", "evening", "farmer", "glass", "horse", "iron", "journey", "ladder", "mountain", "number", "ocean", "planet",
    "queen", "rabbit", "ship", "tower", "uncle", "voice", "wagon", "youth", "zebra", "apple", "bread", "cloud",
];

/// How long a mark is: the digits of the largest number that is put in.
pub(crate) const MARK: usize = 16;
/// What stands for a mark in a text.
pub(crate) const PLACEHOLDER: &str = "0000000000000000";

/// A source of words.
#[derive(Debug)]
pub(crate) struct Words(StdRng);

impl Words {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(crate) fn word(&mut self) -> &'static str {
        WORDS[self.0.random_range(0..WORDS.len())]
    }

    pub(crate) fn number(&mut self, below: u32) -> u32 {
        self.0.random_range(0..below)
    }

    /// A sentence of so many words.
    pub(crate) fn sentence(&mut self, words: usize) -> String {
        let mut sentence = (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ");
        sentence.push('.');
        sentence
    }

    /// At least so many bytes of sentences, with a mark (zeros, to be numbered) in each.
    pub(crate) fn marked(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 128);
        while text.len() < bytes {
            text.push_str("Page ");
            text.push_str(PLACEHOLDER);
            text.push_str(": ");
            for _ in 0..4 {
                text.push_str(&self.sentence(9));
                text.push(' ');
            }
        }
        text
    }

    /// Bytes by chance.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill(&mut bytes[..]);
        bytes
    }
}
