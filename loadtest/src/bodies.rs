//! The bodies of scenarios: seeded, harmless, and no two the same.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use serde::Deserialize;

use crate::pack;
use crate::payload::Payload;
use crate::template::Template;
use crate::words::{PLACEHOLDER, Words};

/// So many different texts stand behind the numbers.
const VARIANTS: u64 = 16;
/// Conversations that are under way at the same time.
const CONVERSATIONS: u64 = 16;
/// The pieces of a body that is never in memory as a whole.
const PIECE: usize = 64 << 10;

/// What kind of body a request has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// None.
    None,
    /// A list of small objects, JSON.
    Json,
    /// A conversation with a model that is sent again with each turn, JSON; the size is that of one turn.
    Conversation,
    /// Source code, as text.
    Source,
    /// Bytes by chance, in pieces.
    Artefact,
    /// One message of gRPC, framed.
    Grpc,
    /// A push over git's smart HTTP; the size is that of the file in it.
    GitPush,
}

/// Makes the bodies of one kind.
#[derive(Debug)]
pub(crate) enum Bodies {
    None,
    Whole(Vec<Template>),
    Pieces { piece: Arc<Template>, bytes: u64 },
    Conversation { turns: Vec<Template> },
    Push(Vec<Template>),
}

impl Bodies {
    /// Prepares bodies of this kind: `bytes` each, and so many turns of a conversation.
    pub(crate) fn new(kind: Kind, bytes: usize, turns: usize, seed: u64) -> Self {
        let variants = |make: fn(&mut Words, usize) -> Vec<u8>| {
            (0..VARIANTS).map(|v| Template::new(make(&mut Words::new(seed ^ v << 32), bytes))).collect()
        };
        match kind {
            Kind::None => Self::None,
            Kind::Json => Self::Whole(variants(json)),
            Kind::Source => Self::Whole(variants(source)),
            Kind::Grpc => Self::Whole(variants(grpc)),
            Kind::GitPush => Self::Push(variants(source)),
            Kind::Artefact => Self::Pieces { piece: Arc::new(Template::new(artefact(&mut Words::new(seed)))), bytes: bytes as u64 },
            Kind::Conversation => {
                let mut words = Words::new(seed);
                Self::Conversation { turns: (0..turns).map(|turn| Template::new(message(&mut words, turn, bytes))).collect() }
            }
        }
    }

    /// The body of the request with this number.
    ///
    /// # Errors
    /// None that happens: writing into memory.
    pub(crate) fn body(&self, number: u64) -> Result<Payload> {
        let variant = |templates: &[Template]| templates[usize::try_from(number % VARIANTS).unwrap_or(0)].numbered(number);
        Ok(match self {
            Self::None => Payload::none(),
            Self::Whole(templates) => Payload::whole(variant(templates)),
            // Numbers of pieces of different bodies are apart.
            Self::Pieces { piece, bytes } => Payload::pieces(Arc::clone(piece), number << 20, *bytes),
            Self::Conversation { turns } => Payload::whole(conversation(turns, number)),
            Self::Push(templates) => Payload::whole(pack::push(&variant(templates), number)?),
        })
    }
}

/// A list of small objects: exactly so many bytes.
fn json(words: &mut Words, bytes: usize) -> Vec<u8> {
    let mut text = String::from("{\"items\":[");
    loop {
        let comma = if text.ends_with('[') { "" } else { "," };
        let item = format!(
            "{comma}{{\"id\":\"{PLACEHOLDER}\",\"name\":\"{} {}\",\"count\":{},\"state\":\"open\",\"note\":\"{}\"}}",
            words.word(),
            words.word(),
            words.number(1000),
            words.sentence(6)
        );
        if text.len() + item.len() + 2 > bytes && !comma.is_empty() {
            break;
        }
        text.push_str(&item);
    }
    text.push_str("]}");
    // Blanks at the end are JSON too.
    let mut text = text.into_bytes();
    text.resize(bytes.max(text.len()), b' ');
    text
}

/// Source code: exactly so many bytes.
fn source(words: &mut Words, bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 512);
    while text.len() < bytes {
        let (noun, verb, kind) = (words.word(), words.word(), words.word());
        text.push_str(&format!("/// {} Page {PLACEHOLDER}.\n", words.sentence(8)));
        text.push_str(&format!("pub fn {verb}_{noun}({kind}: &[u32], limit: usize) -> Option<u32> {{\n"));
        text.push_str(&format!("    // {}\n", words.sentence(7)));
        text.push_str(&format!("    let mut {noun} = {};\n    for item in {kind}.iter().take(limit) {{\n", words.number(100)));
        text.push_str(&format!("        if *item > {} {{\n            {noun} += item;\n        }}\n    }}\n", words.number(1000)));
        text.push_str(&format!("    ({noun} > {}).then_some({noun})\n}}\n\n", words.number(1000)));
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// One message, framed: not compressed, its length, a number and a text (field 1 and field 2). Exactly so many bytes.
fn grpc(words: &mut Words, bytes: usize) -> Vec<u8> {
    let text = words.marked(bytes);
    let mut message = vec![0x08, 0x2a, 0x12];
    // Frame, the two bytes of field 1, the tag and the length (three bytes of seven bits) of field 2.
    let length = bytes.saturating_sub(5 + 3 + 3).min(text.len()).min((1 << 21) - 1);
    for shift in [0, 7, 14] {
        let seven = u8::try_from(length >> shift & 0x7f).unwrap_or_default();
        message.push(if shift < 14 { seven | 0x80 } else { seven });
    }
    message.extend_from_slice(&text.as_bytes()[..length]);
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

/// A piece of an artefact, with a place for its number.
fn artefact(words: &mut Words) -> Vec<u8> {
    let mut piece = words.bytes(PIECE);
    let start = PIECE / 2;
    piece[start..start + PLACEHOLDER.len()].copy_from_slice(PLACEHOLDER.as_bytes());
    piece
}

/// One message of a conversation, as an item of its list.
fn message(words: &mut Words, turn: usize, bytes: usize) -> Vec<u8> {
    let role = if turn.is_multiple_of(2) { "user" } else { "assistant" };
    format!("{{\"role\":\"{role}\",\"content\":[{{\"type\":\"text\",\"text\":\"{}\"}}]}}", words.marked(bytes)).into_bytes()
}

/// The request with this number: several conversations at the same time, each a turn longer each time, and then a new one.
fn conversation(turns: &[Template], number: u64) -> Bytes {
    let (lane, step) = (number % CONVERSATIONS, number / CONVERSATIONS);
    let length = turns.len() as u64;
    let (turn, which) = (usize::try_from(step % length).unwrap_or(0), step / length * CONVERSATIONS + lane);
    let mut body = b"{\"model\":\"claude-sonnet\",\"max_tokens\":1024,\"messages\":[".to_vec();
    for (index, template) in turns[..=turn].iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        // What was said stays as it was: the number is that of the conversation.
        body.extend_from_slice(&template.numbered(which));
    }
    body.extend_from_slice(b"]}");
    body.into()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn bytes(bodies: &Bodies, number: u64) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let payload = bodies.body(number).unwrap();
        let said = payload.len();
        let bytes = runtime.block_on(payload.collect()).unwrap().to_bytes().to_vec();
        assert_eq!(bytes.len() as u64, said);
        bytes
    }

    #[test]
    fn bodies_have_their_size_and_no_two_are_the_same() {
        for (kind, size) in
            [(Kind::Json, 4096), (Kind::Source, 256 << 10), (Kind::Grpc, 2048), (Kind::Grpc, 100_000), (Kind::Artefact, 1_000_000)]
        {
            let bodies = Bodies::new(kind, size, 1, 1);
            let (one, other) = (bytes(&bodies, 3), bytes(&bodies, 3 + VARIANTS));
            assert_eq!(one.len(), size, "{kind:?}");
            assert_ne!(one, other, "{kind:?}");
            assert_eq!(one, bytes(&Bodies::new(kind, size, 1, 1), 3), "{kind:?} is the same for the same seed");
        }
        assert_eq!(bytes(&Bodies::new(Kind::None, 0, 1, 1), 0), b"");
    }

    #[test]
    fn json_is_json_and_frames_are_frames() {
        let value: serde_json::Value = serde_json::from_slice(&bytes(&Bodies::new(Kind::Json, 4096, 1, 1), 9)).unwrap();
        assert!(value["items"].as_array().unwrap().len() > 10);
        let framed = bytes(&Bodies::new(Kind::Grpc, 2048, 1, 1), 9);
        assert_eq!(u32::from_be_bytes(framed[1..5].try_into().unwrap()) as usize + 5, framed.len());
    }

    #[test]
    fn a_conversation_grows_by_a_turn_and_keeps_what_was_said() {
        let bodies = Bodies::new(Kind::Conversation, 600, 4, 1);
        let said = |number: u64| -> Vec<serde_json::Value> {
            let value: serde_json::Value = serde_json::from_slice(&bytes(&bodies, number)).unwrap();
            value["messages"].as_array().unwrap().clone()
        };
        let turns: Vec<_> = (0..4).map(|step| said(5 + step * CONVERSATIONS)).collect();
        assert_eq!(turns.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(turns[3][..3], turns[2][..]);
        let next = said(5 + 4 * CONVERSATIONS);
        assert!(next.len() == 1 && next[0] != turns[0][0], "a new conversation says something else");
    }
}
