//! A path as the tenants in it are read: segment by segment, escapes taken out once, and nothing that a server could read in another way.

/// How often a path is decoded in search of dot segments: what a server, a cache and a framework may each do once.
const MAX_DECODINGS: usize = 3;

/// The segments of a path without its query, each decoded once.
#[derive(Debug, Clone)]
pub(super) struct Segments(Vec<String>);

impl Segments {
    /// Reads a path. `None`: it has dot segments in some reading, or a segment that is no text, so that it may lead elsewhere than it says.
    pub(super) fn of(path: &str) -> Option<Segments> {
        let rest = path.strip_prefix('/')?;
        if climbs(path) {
            return None;
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Some(Segments(Vec::new()));
        }
        rest.split('/').map(decoded).collect::<Option<Vec<_>>>().map(Segments)
    }

    /// Whether no segment is empty, and the first ones are words and names as they stand.
    pub(super) fn are_plain(&self) -> bool {
        self.0.iter().all(|s| !s.is_empty()) && self.0.iter().take(3).all(|s| is_plain(s, true))
    }

    pub(super) fn all(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// Whether some reading of a path has a `.` or `..` segment.
fn climbs(path: &str) -> bool {
    let mut text = path.as_bytes().to_vec();
    for _ in 0..=MAX_DECODINGS {
        let segments = text.split(|b| matches!(b, b'/' | b'\\'));
        // Parameters behind a semicolon are dropped by some before they look for dots.
        let dots = |s: &[u8]| matches!(s.split(|b| *b == b';').next().unwrap_or_default(), b"." | b"..");
        if segments.into_iter().any(dots) {
            return true;
        }
        if !text.contains(&b'%') {
            break;
        }
        text = unescaped(&text);
    }
    false
}

/// Percent escapes taken out once; `None`: that is no text.
pub(super) fn decoded(text: &str) -> Option<String> {
    String::from_utf8(unescaped(text.as_bytes())).ok()
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escape = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        (rest, _) = match escape {
            Some((high, low)) => (after.get(2..).unwrap_or_default(), out.push(high << 4 | low)),
            None => (after, out.push(*first)),
        };
    }
    out
}

/// Whether this can be a tenant's name as it stands: no escape, parameter, backslash or blank that another reader would take for something else.
/// Slashes are part of names in two places (`@scope/name`, `group/project`), where the caller says so.
pub(super) fn is_plain(name: &str, slashes: bool) -> bool {
    let of_names = |b: u8| b.is_ascii_alphanumeric() || b"._-~@$:+".contains(&b) || (slashes && b == b'/');
    let odd = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    (1..=256).contains(&name.len()) && name.bytes().all(of_names) && !name.split('/').any(odd)
}

/// The values of a query's key, escapes taken out once. Keys are compared without regard to case and escapes; where a name can be read in
/// two ways (`a%255b`), it is no name that any of these services takes.
pub(super) fn values<'a>(query: &'a str, key: &'a str) -> impl Iterator<Item = Option<String>> + 'a {
    let pairs = query.split(['&', ';']).filter(|p| !p.is_empty());
    pairs.filter_map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let same = decoded(&name.replace('+', " ")).is_some_and(|name| name.trim().eq_ignore_ascii_case(key));
        same.then(|| decoded(&value.replace('+', " ")))
    })
}

/// Whether a query has one of these keys.
pub(super) fn has_key(query: &str, keys: &[&str]) -> bool {
    keys.iter().any(|key| values(query, key).next().is_some())
}
