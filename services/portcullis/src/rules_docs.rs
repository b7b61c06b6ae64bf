//! `portcullis rules docs`: the catalogue as a document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rules::{Check, Detector, Form, Place};

/// What stands before the tables.
const HEAD: &str = "# Detectors

Written by `portcullis rules docs`; do not edit, run it again.

**Sure** is the confidence of a match by itself: *certain* (a checksum holds, or the shape can be nothing else), *high*, *medium*, *low*. **Found by** are the
words of which one stands in every match; of a detector that goes by names, the name holds one of them. **Needs** is what else must hold. **At home** are
the hosts a credential may travel to, in headers that exist for credentials unless another place is named; elsewhere it is denied.
";

/// The document for these detectors.
pub(crate) fn document(detectors: &[&Detector]) -> String {
    let mut providers: BTreeMap<&str, Vec<&Detector>> = BTreeMap::new();
    for detector in detectors {
        providers.entry(&detector.provider).or_default().push(detector);
    }
    let with_home = detectors.iter().filter(|d| !d.home.is_empty()).count();
    let mut text = format!(
        "{HEAD}\n{} detectors of {} providers; {with_home} know where the credential is at home.\n",
        detectors.len(),
        providers.len()
    );
    for (provider, detectors) in providers {
        section(&mut text, provider, &detectors);
    }
    text
}

fn section(text: &mut String, provider: &str, detectors: &[&Detector]) {
    let mut references: Vec<&str> = detectors.iter().map(|d| d.reference.as_str()).filter(|r| !r.is_empty()).collect();
    references.dedup();
    let links: Vec<String> = references.iter().map(|r| format!("<{r}>")).collect();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n## {provider}\n\n{}\n\n| detector | finds | sure | found by | needs | at home |\n|---|---|---|---|---|---|\n",
        links.join(" ")
    );
    for detector in detectors {
        let cells =
            [&detector.id, &detector.name, detector.confidence.as_str(), &words(&detector.anchors), &needs(detector), &home(detector)];
        let _ = writeln!(text, "| {} |", cells.map(|c| c.replace('|', "\\|").replace('\n', " ")).join(" | "));
    }
}

/// A few words as code, and how many more there are.
fn words(words: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = words.iter().take(SHOWN).map(|w| code(w)).collect();
    let more = words.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(" ") } else { format!("{} and {more} more", shown.join(" ")) }
}

/// Text as code, whatever is in it.
fn code(text: &str) -> String {
    let text = text.escape_debug().to_string();
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn needs(detector: &Detector) -> String {
    let form = match detector.form {
        Form::Pattern => None,
        Form::Password => Some("a name, and a value people choose".to_owned()),
        Form::Secret => Some("a name, and a value machines choose".to_owned()),
    };
    let near = detector.context.as_ref().map(|context| format!("{} near", words(&context.keywords)));
    form.into_iter().chain(near).chain(detector.checks.iter().map(check)).collect::<Vec<_>>().join(", ")
}

fn check(check: &Check) -> String {
    match check {
        Check::GithubCrc32 => "checksum".to_owned(),
        Check::Checksum(name) => format!("checksum ({name})"),
        Check::Jwt => "a JSON Web Token's header".to_owned(),
        Check::Entropy(bits) => format!("entropy {bits}"),
        Check::Surprise(bits) => format!("surprise {bits}"),
        Check::Digits(digits) => format!("{digits} digits"),
        Check::NotPlaceholder => "no placeholder".to_owned(),
        Check::NotWords => "no plain words".to_owned(),
    }
}

fn home(detector: &Detector) -> String {
    let place = |place: &Place| match place {
        Place::CredentialHeader => "credential headers".to_owned(),
        Place::Header(name) => format!("header {}", code(name)),
        Place::Query(name) => format!("query {}", code(name)),
        Place::Body(name) => format!("body {}", code(name)),
        Place::Path => "path".to_owned(),
    };
    let all = detector.home.iter().map(|home| {
        let places: Vec<String> = home.places.iter().map(place).collect();
        let usual = matches!(home.places[..], [] | [Place::CredentialHeader]);
        if usual { words(&home.hosts) } else { format!("{} ({})", words(&home.hosts), places.join(", ")) }
    });
    all.collect::<Vec<_>>().join("; ")
}
