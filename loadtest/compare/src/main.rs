//! Measures the engine beside Hyperscan and kingfisher, in one process and alternating rounds, and prints its part of `docs/performance.md`.

#[path = "../../../crates/engine/benches/throughput/corpora.rs"]
mod corpora;
mod hyperscan;
mod spans;
mod targets;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corpora::Corpus;
use engine::{Coverage, Engine, FingerprintKey, Kind, Limits, Location, Media, RuleSet};
use kingfisher_scanner::{RulesDatabase, Scanner, get_builtin_rules};
use rules::Form;
use spans::{Spans, Way};
use targets::Targets;

const ROUNDS: usize = 15;
/// Plain patterns are slow, and far enough from the rest to be measured less well.
const PLAIN_ROUNDS: usize = 3;
const WAYS: [(&str, Way); 4] = [
    ("patterns, start of match", Way { start_of_match: true, context_words: false }),
    ("patterns, ends confirmed", Way { start_of_match: false, context_words: false }),
    ("words, start of match", Way { start_of_match: true, context_words: true }),
    ("words, ends confirmed", Way { start_of_match: false, context_words: true }),
];

/// All that is compared, and how long it took to start.
struct Sides {
    engine: Engine,
    kingfisher: Scanner,
    ways: [Spans; 4],
    started: [Duration; 6],
}

fn main() -> anyhow::Result<()> {
    let mut sides = sides()?;
    let mut targets = Targets::default();
    let mut tables = String::new();
    throughput(&mut sides, &mut targets, &mut tables);
    small(&sides, &mut targets, &mut tables);
    resent(&mut targets, &mut tables);
    start(&sides, &mut targets, &mut tables)?;
    head(&mut sides);
    println!("{targets}\n{tables}");
    Ok(())
}

fn sides() -> anyhow::Result<Sides> {
    let mut started = [Duration::ZERO; 6];
    let begun = Instant::now();
    let engine = compile();
    started[0] = begun.elapsed();
    let begun = Instant::now();
    let database = RulesDatabase::from_rule_collection(get_builtin_rules(None)?)?;
    let kingfisher = Scanner::new(Arc::new(database));
    started[1] = begun.elapsed();
    let mut slot = 2;
    let ways = WAYS.map(|(_, way)| {
        let begun = Instant::now();
        let spans = Spans::compile(RuleSet::builtin().detectors(), way);
        started[slot] = begun.elapsed();
        slot += 1;
        spans
    });
    Ok(Sides { engine, kingfisher, ways, started })
}

fn compile() -> Engine {
    Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).expect("the catalogue compiles")
}

/// What is measured, on what, and how.
fn head(sides: &mut Sides) {
    let detectors = RuleSet::builtin().detectors();
    println!(
        "## The engine alone\n\nWritten by `loadtest/compare/run --write`; do not edit, run it again (a few minutes, and five more the first time, to build).\n"
    );
    println!("Machine: {}, {} cores, of which one is used. {}.", cpu(), cores(), environment());
    println!(
        "{}; kingfisher-scanner 3.0.1, called as a library, with its own rules and settings, on the same Hyperscan.",
        hyperscan_version()
    );
    println!(
        "One process; all sides take turns on each corpus and the medians of {ROUNDS} turns count ({PLAIN_ROUNDS} for plain patterns, which are slow). The machine's speed changes with its neighbours': trust the ratios.\n"
    );
    println!(
        "**Detectors** is the matcher alone beside Hyperscan 5.4 in block mode, with the same {} detectors and exact spans on both sides. Hyperscan gets the patterns as they are, or, where a detector tells by words of its context, those words, near which the pattern is then confirmed, as our engine does it; and it tells starts itself, or ends, which a reversed lazy DFA and our regular expressions make into spans. The targets are held against the fastest of the four; the ratio to plain patterns, as a user of Hyperscan would run them, stands beside it. Ours also looks for every word reversed and rotated, judges values behind {} names, boundaries and checksums; Hyperscan's does not.\n",
        detectors.len(),
        detectors.iter().filter(|d| d.form != Form::Pattern).count()
    );
    println!(
        "**Whole pipeline** is `Engine::scan` with all layers, beside kingfisher's `scan_bytes`, which decodes base64 and nothing else. Corpora are made from the crate sources on the machine (`crates/engine/benches/throughput/corpora.rs`), in requests of 200 KiB. Those are below `Limits::whole_bytes` (1 MiB), so that their chunks are held and scanned as a whole: chunks beside whole measure that path, not windows.\n"
    );
    println!(
        "| Hyperscan | expressions from patterns | detectors as words | refused by Hyperscan, so as words | found in their own examples |\n|---|---|---|---|---|"
    );
    let with_pattern: Vec<usize> =
        (0..detectors.len()).filter(|i| detectors[*i].form == Form::Pattern && !detectors[*i].examples.is_empty()).collect();
    for ((name, _), spans) in WAYS.iter().zip(&mut sides.ways) {
        let shape = spans.shape;
        let finds = |i: &&usize| {
            detectors[**i].examples.iter().any(|example| {
                let mut found = false;
                spans.each(example.as_bytes(), |rule| found |= rule == **i);
                found
            })
        };
        let found = with_pattern.iter().filter(finds).count();
        println!("| {name} | {} | {} | {} | {found} of {} |", shape.patterns, shape.words, shape.refused, with_pattern.len());
    }
    let ours = with_pattern.iter().filter(|i| detectors[**i].examples.iter().any(|e| sides.engine.matches(e.as_bytes()) > 0)).count();
    println!("| (Portcullis) | | | | {ours} of {} |\n", with_pattern.len());
}

fn throughput(sides: &mut Sides, targets: &mut Targets, out: &mut String) {
    let mut row = |line: String| {
        out.push_str(&line);
        out.push('\n');
    };
    let mut counts = Vec::new();
    let ways = WAYS.map(|(name, _)| name).join(" | ");
    row(format!(
        "### Throughput\n\nMB/s.\n\n| corpus | detectors | Hyperscan: {ways} | ratio to the fastest | ratio to patterns | whole pipeline | kingfisher | ratio | 16 KiB chunks | chunks / whole |\n|{}",
        "---|".repeat(13)
    ));
    for corpus in corpora::all(1 << 20, 200 << 10) {
        let (times, found) = measure(sides, &corpus);
        let mb = corpus.bytes() as f64 / 1e6;
        let [ours, som, ends, words_som, words_ends, whole, theirs, chunks] = times.map(|t| mb / median(t).as_secs_f64());
        let plain = som.max(ends);
        let (matcher, pipeline) = (ours / plain.max(words_som).max(words_ends), whole / theirs);
        row(format!(
            "| {} | {ours:.0} | {som:.1} | {ends:.1} | {words_som:.0} | {words_ends:.0} | **{matcher:.2}** | {:.2} | {whole:.1} | {theirs:.1} | **{pipeline:.2}** | {chunks:.1} | {:.2} |",
            corpus.name,
            ours / plain,
            chunks / whole
        ));
        counts.push((corpus.name, found));
        let kind = body(corpus.content_type);
        let partial = corpus.bodies.iter().filter(|b| sides.engine.scan(&kind, b).coverage != Coverage::Complete).count();
        targets.corpus(corpus.name, [matcher, pipeline, chunks / whole], whole, (partial, corpus.bodies.len()));
    }
    row(format!(
        "\nMatches: Hyperscan's are of patterns alone, ours have boundaries, context and checks behind them, and none counts inside another.\n\n| corpus | detectors | Hyperscan: {ways} | whole pipeline | kingfisher | chunks |\n|{}",
        "---|".repeat(9)
    ));
    for (name, found) in counts {
        row(format!("| {name} | {} |", found.map(|n| n.to_string()).join(" | ")));
    }
}

/// Times of all rounds and matches, of every side.
fn measure(sides: &mut Sides, corpus: &Corpus) -> ([Vec<Duration>; 8], [usize; 8]) {
    let kind = body(corpus.content_type);
    let (mut times, mut found) = (<[Vec<Duration>; 8]>::default(), [0; 8]);
    let Sides { engine, kingfisher, ways, .. } = sides;
    for round in 0..=ROUNDS {
        let mut time = |slot: usize, work: &mut dyn FnMut(&[u8]) -> usize| {
            let begun = Instant::now();
            found[slot] = black_box(corpus.bodies.iter().map(|b| work(b)).sum::<usize>());
            times[slot].push(begun.elapsed());
        };
        time(0, &mut |b| engine.matches(b));
        for (slot, spans) in (1..).zip(ways.iter_mut()) {
            if slot <= 2 && round > PLAIN_ROUNDS {
                continue;
            }
            time(slot, &mut |b| spans.matches(b));
        }
        // Nothing was seen before, by either of the two.
        let fresh = engine.fresh();
        time(5, &mut |b| fresh.scan(&kind, b).findings.len());
        time(6, &mut |b| kingfisher.scan_bytes(b).expect("kingfisher scans").len());
        let fresh = engine.fresh();
        time(7, &mut |b| chunked(&fresh, &kind, b));
    }
    // The first round warms caches and lazy automata.
    times.iter_mut().for_each(|t| _ = t.remove(0));
    (times, found)
}

fn small(sides: &Sides, targets: &mut Targets, out: &mut String) {
    let header = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 agent/1.2.3 (session; build 2026-11-20T10:20:30Z) node-fetch/3.3.2 gzip, deflate, br, zstd, en-US";
    let item = |i| format!("{{\"id\":{i},\"name\":\"item number {i}\",\"state\":\"open\",\"note\":\"some words here\"}}");
    let json = format!("{{\"items\":[{}]}}", (0..28).map(item).collect::<Vec<_>>().join(","));
    out.push_str("\n### Small inputs\n\n| input | bytes | Portcullis µs | kingfisher µs | ratio of times |\n|---|---|---|---|---|\n");
    let header_kind = Kind { location: Location::Header("user-agent".into()), media: Media::default() };
    for (name, kind, bytes) in [("header", header_kind, header.as_bytes()), ("JSON", body("application/json"), json.as_bytes())] {
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(per_call(|| sides.engine.scan(&kind, black_box(bytes)).findings.len()));
            times[1].push(per_call(|| sides.kingfisher.scan_bytes(black_box(bytes)).map_or(0, |f| f.len())));
        }
        let [ours, theirs] = times.map(|t| median(t).as_secs_f64() * 1e6);
        out.push_str(&format!("| {name} | {} | {ours:.2} | {theirs:.2} | **{:.2}** |\n", bytes.len(), ours / theirs));
        targets.at_most(&format!("{name} of {} bytes, of kingfisher's time", bytes.len()), 0.5, ours / theirs, "×");
    }
}

/// A conversation, and again with one more message; a new engine each time, so that the first is the first.
fn resent(targets: &mut Targets, out: &mut String) {
    let corpora = corpora::all(1 << 20, 200 << 10);
    let first = &corpora.iter().find(|c| c.name == "llm-json").expect("a corpus of conversations").bodies[0];
    let mut second = first[..first.len() - 2].to_vec();
    second.extend_from_slice(b",{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"And now the same in green, please.\"}]}]}");
    let kind = body("application/json");
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let engine = compile();
        // Lazy automata are of the engine, not of the conversation.
        black_box(engine.scan(&kind, &corpora[0].bodies[1]));
        for (slot, bytes) in [first, &second].into_iter().enumerate() {
            let begun = Instant::now();
            black_box(engine.scan(&kind, bytes));
            times[slot].push(begun.elapsed());
        }
    }
    let [cold, warm] = times.map(|t| median(t).as_secs_f64() * 1e3);
    out.push_str(&format!(
        "\n### A resent conversation\n\n{} KiB for the first time {cold:.2} ms; again with one more message {warm:.2} ms.\n",
        first.len() >> 10
    ));
    targets.at_most("Resent conversation, of its first scan", 0.25, warm / cold, "×");
}

fn start(sides: &Sides, targets: &mut Targets, out: &mut String) -> anyhow::Result<()> {
    let seconds = sides.started.map(|t| t.as_secs_f64());
    out.push_str("\n### Start-up and memory\n\n| start-up | s |\n|---|---|\n");
    out.push_str(&format!("| Portcullis | {:.2} |\n| kingfisher | {:.2} |\n", seconds[0], seconds[1]));
    for ((name, _), seconds) in WAYS.iter().zip(&seconds[2..]) {
        out.push_str(&format!("| Hyperscan, {name} (each expression tried first, then all) | {seconds:.1} |\n"));
    }
    targets.at_most("Start-up", 0.5, seconds[0], " s");
    let child = std::process::Command::new(std::env::current_exe()?.with_file_name("resident")).output()?;
    let text = String::from_utf8(child.stdout)?;
    let megabytes: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [before, compiled, after] = megabytes[..] else { anyhow::bail!("not three figures: {text}") };
    out.push_str(&format!(
        "\nResident, in a process with nothing else linked: {before:.1} MB at first, {compiled:.1} MB with the catalogue compiled, {after:.1} MB after 64 requests of 200 KiB.\n"
    ));
    targets.at_most("Resident with the full catalogue, after requests", 60.0, after, " MB");
    Ok(())
}

fn per_call(mut work: impl FnMut() -> usize) -> Duration {
    let begun = Instant::now();
    (0..2000).for_each(|_| _ = black_box(work()));
    begun.elapsed() / 2000
}

fn chunked(engine: &Engine, kind: &Kind, bytes: &[u8]) -> usize {
    let mut stream = engine.stream(kind.clone());
    let early: usize = bytes.chunks(16 << 10).map(|chunk| stream.push(chunk).findings.len()).sum();
    early + stream.finish().findings.len()
}

fn body(content_type: &str) -> Kind {
    Kind { location: Location::Body, media: Media { content_type: Some(content_type.into()), content_encoding: Vec::new() } }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name| info.lines().find_map(|l| l.strip_prefix(name)).map(|l| l.trim_start_matches(['\t', ' ', ':']).to_owned());
    let wide = ["avx2", "avx512vbmi"].into_iter().filter(|f| info.contains(f)).collect::<Vec<_>>().join(", ");
    format!("{} ({wide})", field("model name").unwrap_or_else(|| "unknown processor".into()))
}

fn cores() -> usize {
    std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default().lines().filter(|l| l.starts_with("processor")).count()
}

/// Date, revision and compiler, from the script.
fn environment() -> String {
    std::env::var("COMPARE_AT").unwrap_or_else(|_| "Revision and date unknown: not run by the script".into())
}

fn hyperscan_version() -> String {
    std::env::var("HYPERSCAN").unwrap_or_else(|_| "Hyperscan".into())
}
