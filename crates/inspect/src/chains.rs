//! Secrets that nobody registered, cut up and sent in order: in one request after the other, in one parameter after the other. What a sandbox
//! has sent of late in short values is put together with what it sends now, and looked into.
//!
//! This is the one place where something of what was sent is kept: short values, a few for each place, for as long as the policy says, in this
//! process alone, and wiped when they go.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use engine::{Confidence, Engine, Finding, Kind, Media};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use policy::Located;
use zeroize::Zeroizing;

/// Sandboxes that are remembered.
const MAX_SANDBOXES: u64 = 1024;
/// Places of one sandbox that are remembered, and values of a place.
const MAX_PLACES: usize = 32;
const MAX_VALUES: usize = 16;
/// Values of one request that are looked at.
const MAX_SHARDS: usize = 16;
/// The place where all values of a sandbox come together.
const ANYWHERE: &str = "";

mod shards;

pub(crate) use shards::{Shard, of_body, of_head};

type Chain = VecDeque<(u64, Zeroizing<String>)>;

/// The values of one sandbox, by place.
#[derive(Default)]
struct Chains(BTreeMap<String, Chain>);

/// The values of all sandboxes.
pub(crate) struct Memory(Cache<String, Arc<Mutex<Chains>>>);

impl Default for Memory {
    fn default() -> Memory {
        Memory(Cache::builder().max_capacity(MAX_SANDBOXES).eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("sandboxes", &self.0.entry_count()).finish_non_exhaustive()
    }
}

/// Who sends when, and for how long values are remembered, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When<'a> {
    pub(crate) sandbox: &'a str,
    pub(crate) at: u64,
    pub(crate) window: u64,
}

impl Memory {
    /// Takes in the values of a request; gives secrets that end in one of them and began before, at the place of that value.
    pub(crate) fn send(&self, engine: &Engine, when: When<'_>, shards: &[Shard<'_>]) -> Vec<Located> {
        if shards.is_empty() {
            return Vec::new();
        }
        let chains = self.0.get_with_by_ref(when.sandbox, Arc::default);
        let mut chains = chains.lock().unwrap_or_else(PoisonError::into_inner);
        let shards = shards.get(..MAX_SHARDS).unwrap_or(shards);
        let mut found = chains.join(ANYWHERE, engine, when, shards);
        for shard in shards {
            found.extend(chains.join(&shard.place, engine, when, std::slice::from_ref(shard)));
        }
        found.sort_by_key(|one: &Located| (one.finding.fingerprint, one.finding.span.start));
        found.dedup_by(|a, b| {
            a.location == b.location && a.finding.span == b.finding.span && a.finding.fingerprint == b.finding.fingerprint
        });
        found
    }
}

/// Secrets in parts over the values of one request by itself.
pub(crate) fn within(engine: &Engine, shards: &[Shard<'_>]) -> Vec<Located> {
    let shards = shards.get(..MAX_SHARDS).unwrap_or(shards);
    Chains::default().join(ANYWHERE, engine, When { sandbox: "", at: 0, window: 0 }, shards)
}

/// What was sent before and what is new, one after the other.
struct Joined<'s, 'a> {
    text: Zeroizing<String>,
    /// Where the new begins.
    before: usize,
    /// Where each new value stands.
    ends: Vec<(Range<usize>, &'s Shard<'a>)>,
}

impl<'s, 'a> Joined<'s, 'a> {
    fn of(chain: &Chain, fresh: &[&'s Shard<'a>]) -> Joined<'s, 'a> {
        let before = chain.iter().map(|(_, sent)| sent.len()).sum::<usize>();
        let whole = before + fresh.iter().map(|shard| shard.text.len()).sum::<usize>();
        // As large as it will be: no copy is left behind where it grows.
        let mut text = Zeroizing::new(String::with_capacity(whole));
        chain.iter().for_each(|(_, sent)| text.push_str(sent));
        let mut ends = Vec::with_capacity(fresh.len());
        for shard in fresh {
            let start = text.len();
            text.push_str(shard.text);
            ends.push((start..text.len(), *shard));
        }
        Joined { text, before, ends }
    }
}

impl Chains {
    /// Adds values to a place, and looks into what they make with those before them.
    fn join(&mut self, place: &str, engine: &Engine, when: When<'_>, shards: &[Shard<'_>]) -> Vec<Located> {
        if self.0.len() >= MAX_PLACES && !self.0.contains_key(place) {
            let age = |chain: &Chain| chain.back().map_or(0, |(at, _)| *at);
            let oldest = self
                .0
                .iter()
                .filter(|(name, _)| name.as_str() != ANYWHERE)
                .min_by_key(|(_, chain)| age(chain))
                .map(|(name, _)| name.clone());
            oldest.and_then(|name| self.0.remove(&name));
        }
        let chain = self.0.entry(place.to_owned()).or_default();
        chain.retain(|(at, _)| when.at.saturating_sub(*at) <= when.window);
        // What is sent again says nothing new.
        let fresh: Vec<&Shard<'_>> = shards.iter().filter(|shard| chain.iter().all(|(_, sent)| sent.as_str() != shard.text)).collect();
        let said = (!chain.is_empty() || fresh.len() > 1) && fresh.iter().any(|shard| shard.is_odd());
        let joined = said.then(|| Joined::of(chain, &fresh));
        chain.extend(fresh.iter().map(|shard| (when.at, Zeroizing::new(shard.text.to_owned()))));
        let surplus = chain.len().saturating_sub(MAX_VALUES);
        chain.drain(..surplus);
        let Some(Joined { text, before, ends }) = joined else { return Vec::new() };
        // What counts stands there as it was sent: nothing need be taken apart.
        let report = engine.scan_plain(&Kind::body(Media::default()), text.as_bytes());
        let sure = report.findings.into_iter().filter(|f| f.confidence >= Confidence::High && f.trail.is_empty());
        sure.filter_map(|finding| {
            // It ends in a new value and began in an earlier one.
            let (part, shard) = ends.iter().find(|(part, _)| {
                let part = part.start as u64..part.end as u64;
                part.contains(&finding.span.end.saturating_sub(1)) && finding.span.start < part.start
            })?;
            // What is whole on one side of the seam was found there, or is at home: what stands beside it only prolongs it.
            let whole = |side: Range<usize>| {
                let found = engine.scan(&Kind::body(Media::default()), text.as_bytes().get(side.clone()).unwrap_or_default()).findings;
                let overlaps = |one: &Finding| {
                    one.span.start + (side.start as u64) < finding.span.end && finding.span.start < one.span.end + side.start as u64
                };
                found.iter().any(overlaps)
            };
            if whole(0..part.start) || whole(part.clone()) {
                return None;
            }
            let earlier = finding.span.start < before as u64;
            let trail = if earlier { vec!["pieces", "earlier-requests"] } else { vec!["pieces"] };
            let finding = Finding { span: shard.span.clone(), trail, field: shard.field.clone(), confidence: Confidence::High, ..finding };
            Some(Located { location: shard.location.clone(), finding })
        })
        .collect()
    }
}
