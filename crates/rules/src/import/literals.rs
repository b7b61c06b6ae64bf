//! What must stand in every match of a pattern, so that the engine can look for it first.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Value, json};

/// So many texts are followed at once.
const MOST: usize = 64;
const LEAST: usize = 3;
/// Texts are followed so far.
const LONGEST: usize = 256;
const WITHIN: usize = 256;

/// The pattern as the engine reads it.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).nest_limit(200).build();
    parser.parse(pattern).map_err(|e| match e {
        regex_syntax::Error::Parse(e) => format!("the regex: {}", e.kind()),
        regex_syntax::Error::Translate(e) => format!("the regex: {} (patterns are of bytes)", e.kind()),
        _ => "the regex is invalid".to_owned(),
    })
}

/// Writes the anchors of a detector, or a context where no word stands in every match.
pub(super) fn announce(detector: &mut Value, pattern: &str, keywords: &[String], notes: &mut Vec<String>) -> Result<(), String> {
    let keywords: Vec<String> = keywords.iter().filter(|k| !k.is_empty()).map(|k| k.to_ascii_lowercase()).collect();
    let all = required(&parse(pattern)?);
    let held = |set: &&Vec<String>| set.iter().all(|text| keywords.iter().any(|k| text.contains(k.as_str())));
    if let Some(set) = all.iter().find(held).or(best(&all).filter(|_| keywords.is_empty())) {
        detector["anchors"] = json!(set);
        return Ok(());
    }
    let words: Vec<&String> = keywords.iter().filter(|k| k.len() >= LEAST).collect();
    if words.is_empty() || words.len() != keywords.len() {
        let set = best(&all).ok_or(format!(
            "neither keywords nor the regex hold a text of {LEAST} bytes that every match has: it would be tried at every byte"
        ))?;
        detector["anchors"] = json!(set);
        notes.push(format!("keywords shorter than {LEAST} bytes are left out: the regex alone decides"));
        return Ok(());
    }
    if let Some(set) = best(&all) {
        detector["anchors"] = json!(set);
    }
    detector["context"] = json!({"keywords": words, "within": WITHIN});
    notes.push(format!("keywords that are not in every match must stand in the field's name or at most {WITHIN} bytes before the match, not anywhere in the file"));
    Ok(())
}

fn best(all: &[Vec<String>]) -> Option<&Vec<String>> {
    all.iter().max_by_key(|set| set.iter().map(String::len).min())
}

/// Sets of texts, in lower case, of each of which one stands in every match.
fn required(hir: &Hir) -> Vec<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(group) => required(&group.sub),
        HirKind::Repetition(r) if r.min > 0 => required(&r.sub),
        HirKind::Alternation(subs) => {
            let whole = exact(hir).into_iter().filter(|set| usable(set));
            let each: Option<Vec<Vec<String>>> = subs.iter().map(|s| best(&required(s)).cloned()).collect();
            let joined = each.map(|sets| sets.concat()).filter(|set| usable(set));
            whole.chain(joined).collect()
        }
        HirKind::Concat(subs) => concat(subs),
        _ => exact(hir).into_iter().filter(|set| usable(set)).collect(),
    }
}

fn usable(set: &[String]) -> bool {
    !set.is_empty() && set.len() <= MOST && set.iter().all(|t| t.len() >= LEAST)
}

fn concat(subs: &[Hir]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut run = vec![String::new()];
    for sub in subs {
        match exact(sub).and_then(|next| {
            product(&run, &next).or_else(|| {
                all.push(std::mem::take(&mut run));
                Some(next)
            })
        }) {
            Some(longer) => run = longer,
            None => {
                all.push(std::mem::replace(&mut run, vec![String::new()]));
                all.extend(required(sub));
            }
        }
    }
    all.push(run);
    all.retain(|set| usable(set));
    all
}

fn product(run: &[String], next: &[String]) -> Option<Vec<String>> {
    let longest = |set: &[String]| set.iter().map(String::len).max().unwrap_or_default();
    (run.len() * next.len() <= MOST && longest(run) + longest(next) <= LONGEST)
        .then(|| run.iter().flat_map(|a| next.iter().map(move |b| format!("{a}{b}"))).collect())
}

/// All texts that something matches, in lower case, if they are few and ASCII.
fn exact(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(l) => l.0.is_ascii().then(|| vec![String::from_utf8_lossy(&l.0).to_ascii_lowercase()]),
        HirKind::Class(Class::Bytes(class)) => {
            let few = class.ranges().iter().map(|r| usize::from(r.end() - r.start()) + 1).sum::<usize>() <= 8;
            let mut bytes: Vec<u8> = few.then(|| class.ranges().iter().flat_map(|r| r.start()..=r.end()).collect::<Vec<_>>())?;
            bytes.make_ascii_lowercase();
            bytes.sort_unstable();
            bytes.dedup();
            bytes.is_ascii().then(|| bytes.iter().map(|b| char::from(*b).to_string()).collect())
        }
        HirKind::Capture(group) => exact(&group.sub),
        HirKind::Concat(subs) => subs.iter().try_fold(vec![String::new()], |run, sub| product(&run, &exact(sub)?)),
        HirKind::Alternation(subs) => {
            let mut all = Vec::new();
            for sub in subs {
                all.extend(exact(sub)?);
                if all.len() > MOST {
                    return None;
                }
            }
            Some(all)
        }
        _ => None,
    }
}
