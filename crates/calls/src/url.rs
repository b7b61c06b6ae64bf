//! URLs as servers that fetch them read them (WHATWG URL Standard, section 4.4), as far as it matters where they lead.

use crate::Wanted;

/// What a string under a key of URLs asks for; `None`: nothing that is fetched (data, a file's id).
pub(crate) fn wanted(text: &str) -> Option<Wanted> {
    // Blanks and controls around are dropped, tabs and line ends within.
    let text: String = text.trim_matches(|c: char| c <= ' ').chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        _ => return bare(&text),
    };
    match scheme.as_str() {
        "data" => None,
        "http" | "https" => {
            // As many slashes, of either kind, as anybody likes.
            let rest = rest.trim_start_matches(['/', '\\']);
            Some(at(rest, scheme == "https"))
        }
        // Buckets, and whatever else the provider reaches: where that is it does not say. A host with a port is no scheme.
        _ if rest.starts_with("//") || scheme == "file" => Some(Wanted::Anywhere),
        _ => bare(&text),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Where a URL without a scheme leads, if a host stands at its beginning: what takes it will take HTTPS.
fn bare(text: &str) -> Option<Wanted> {
    let slashes = text.starts_with("//") || text.starts_with("\\\\");
    let rest = text.trim_start_matches(['/', '\\']);
    let host = rest.split(['/', '\\', '?', '#', ':']).next().unwrap_or_default();
    let like = host.contains('.') && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) && rest.len() > host.len();
    (slashes || like).then(|| at(rest, true))
}

fn at(rest: &str, tls: bool) -> Wanted {
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { "/".to_owned() };
    Wanted::Url { tls, authority: authority.to_owned(), path }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(tls: bool, authority: &str, path: &str) -> Option<Wanted> {
        Some(Wanted::Url { tls, authority: authority.into(), path: path.into() })
    }

    #[test]
    fn every_spelling_leads_where_servers_go() {
        for (text, leads) in [
            ("https://a.example/b?c#d", url(true, "a.example", "/b")),
            (" HTTPS:\\\\a.example\\b", url(true, "a.example", "/")),
            ("https:a.example", url(true, "a.example", "/")),
            ("http:///a.example:8080/", url(false, "a.example:8080", "/")),
            ("ht\ntps://a.ex\tample/", url(true, "a.example", "/")),
            ("https://good.example@evil.example/", url(true, "good.example@evil.example", "/")),
            ("https://evil.example\\@good.example/", url(true, "evil.example", "/")),
            ("https://evil.example?@good.example/", url(true, "evil.example", "/")),
            ("//a.example/b", url(true, "a.example", "/b")),
            ("a.example/b", url(true, "a.example", "/b")),
            ("a.example:443/b", url(true, "a.example:443", "/b")),
            ("gs://bucket/o", Some(Wanted::Anywhere)),
            ("file:///etc/passwd", Some(Wanted::Anywhere)),
            ("data:image/png;base64,AAAA", None),
            ("file-AbC123", None),
            ("auto", None),
            ("picture.png", None),
            ("", None),
        ] {
            assert_eq!(wanted(text), leads, "{text:?}");
        }
    }
}
