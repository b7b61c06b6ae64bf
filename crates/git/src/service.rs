//! Which git service a request asks for, from method, path and query.

/// A service of smart HTTP (gitprotocol-http).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `GET …/info/refs?service=git-upload-pack`: what may be fetched.
    FetchRefs,
    /// `GET …/info/refs?service=git-receive-pack`: where may be pushed.
    PushRefs,
    /// `POST …/git-upload-pack`: clone and fetch.
    Fetch,
    /// `POST …/git-receive-pack`: push.
    Push,
}

/// A service, and the repository that it is asked of.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    /// The service.
    pub service: Service,
    /// The path before the service, unescaped, without slashes at its ends and without `.git`.
    pub repository: String,
}

/// A request that one server would take for git and another would not, or for another repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclear;

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Service {
    /// The service that a request asks for; `None` for a request that is not git's. `target` is path and query as sent, `content_type` the body's.
    ///
    /// # Errors
    /// [`Unclear`] where only some servers would see a push in it: an escaped or doubled part of the path, a service named twice, a body of a push
    /// under another path.
    pub fn of(method: &str, target: &str, content_type: Option<&str>) -> Result<Option<Asked>, Unclear> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // Most requests are not git's, and this is asked of each.
        if content_type.is_none_or(|text| text.len() < "application/x-git-".len() || !contains(text.as_bytes(), b"x-git-"))
            && plainly_other(path)
        {
            return Ok(None);
        }
        let claims_push = content_type
            .is_some_and(|t| t.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-git-receive-pack-request"));
        let found = if matches!(method, "GET" | "HEAD") { advertised(path, query)? } else { called(path)? };
        match found {
            None if claims_push => Err(Unclear),
            found => Ok(found),
        }
    }

    /// Whether it leads to changes in the repository.
    pub fn pushes(self) -> bool {
        matches!(self, Service::PushRefs | Service::Push)
    }
}

/// Whether a path ends in another word than git's for any reader.
fn plainly_other(path: &str) -> bool {
    let words = ["refs", "git-receive-pack", "git-upload-pack"];
    let last = path.rsplit('/').find(|part| !part.is_empty() && *part != ".");
    let clear = !path.bytes().any(|b| matches!(b, b'%' | b';' | b'\\' | b' ') || b.is_ascii_control());
    clear && last.is_none_or(|last| !words.iter().any(|word| last.eq_ignore_ascii_case(word)))
}

fn advertised(path: &str, query: &str) -> Result<Option<Asked>, Unclear> {
    if !ends_like(path, &["info", "refs"]) {
        return Ok(None);
    }
    let mut services = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        unescape(key).eq_ignore_ascii_case(b"service").then(|| unescape(value))
    });
    let Some(first) = services.next() else { return Ok(None) };
    if services.any(|other| other != first) {
        return Err(Unclear);
    }
    let service = match first.as_slice() {
        b"git-upload-pack" => Service::FetchRefs,
        b"git-receive-pack" => Service::PushRefs,
        // Said in another spelling it is nothing to git's own server, but it may be to another.
        other if contains(other, b"receive-pack") => return Err(Unclear),
        _ => return Ok(None),
    };
    repository(path, "/info/refs", service)
}

fn called(path: &str) -> Result<Option<Asked>, Unclear> {
    if ends_like(path, &["git-receive-pack"]) {
        repository(path, "/git-receive-pack", Service::Push)
    } else if ends_like(path, &["git-upload-pack"]) {
        repository(path, "/git-upload-pack", Service::Fetch)
    } else {
        Ok(None)
    }
}

/// Whether a path ends with these segments for any server: unescaped, in any case, with parameters, and with empty or dot segments between.
fn ends_like(path: &str, segments: &[&str]) -> bool {
    let path = unescape(path);
    let parts = path.split(|b| matches!(b, b'/' | b'\\')).map(|part| part.split(|b| matches!(b, b';' | 0)).next().unwrap_or_default());
    let mut parts = parts.filter(|part| !part.is_empty() && *part != b".").rev();
    segments.iter().rev().all(|wanted| parts.next().is_some_and(|part| part.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())))
}

/// The repository before `ending`, if there is one reading of it only.
fn repository(path: &str, ending: &str, service: Service) -> Result<Option<Asked>, Unclear> {
    let before = path.strip_suffix(ending).ok_or(Unclear)?.strip_prefix('/').ok_or(Unclear)?;
    let mut parts = Vec::new();
    for part in before.split('/') {
        let part = String::from_utf8(unescape(part)).map_err(|_| Unclear)?;
        let odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | ';' | '%');
        if part.is_empty() || part == "." || part == ".." || part.chars().any(odd) {
            return Err(Unclear);
        }
        parts.push(part);
    }
    let name = parts.join("/");
    Ok(Some(Asked { service, repository: name.strip_suffix(".git").unwrap_or(&name).to_owned() }))
}

/// Percent escapes undone once (RFC 3986 section 2.1); what is no escape stays.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, target: &str) -> Result<Option<Asked>, Unclear> {
        Service::of(method, target, None)
    }

    #[test]
    fn the_four_services_are_told_with_their_repository() {
        let asked = |service| Ok(Some(Asked { service, repository: "o/r".into() }));
        assert_eq!(of("GET", "/o/r.git/info/refs?service=git-upload-pack"), asked(Service::FetchRefs));
        assert_eq!(of("GET", "/o/r/info/refs?a=b&service=git-receive-pack"), asked(Service::PushRefs));
        assert_eq!(of("POST", "/o/r.git/git-upload-pack"), asked(Service::Fetch));
        assert_eq!(of("POST", "/o/r.git/git-receive-pack"), asked(Service::Push));
        assert_eq!(of("PUT", "/%6f/r.git/git-receive-pack?x"), asked(Service::Push));
    }

    #[test]
    fn what_is_not_gits_is_not() {
        for (method, target) in [
            ("GET", "/o/r.git/info/refs"),
            ("GET", "/o/r.git/info/refs?service=other"),
            ("GET", "/o/r.git/git-receive-pack"),
            ("POST", "/o/r.git/git-receive-packs"),
            ("POST", "/o/r/xgit-receive-pack"),
            ("POST", "/"),
            ("OPTIONS", "*"),
        ] {
            assert_eq!(of(method, target), Ok(None), "{target}");
        }
    }

    #[test]
    fn a_push_in_disguise_is_unclear() {
        for target in [
            "/o/r.git/git-receive-pac%6b",
            "/o/r.git//git-receive-pack",
            "/o/r.git/./git-receive-pack",
            "/o/r.git/git-receive-pack/",
            "/o/r.git/Git-Receive-Pack",
            "/o/r.git/git-receive-pack;a=b",
            "/o/r.git\\git-receive-pack",
            "/o/x/../r.git/git-receive-pack",
            "/o%2fr.git/git-receive-pack",
            "/o/%2e%2e/r.git/git-receive-pack",
            "/o/r%252e.git/git-receive-pack",
            "/o/%ff.git/git-receive-pack",
            "/git-receive-pack",
        ] {
            assert_eq!(of("POST", target), Err(Unclear), "{target}");
        }
        for target in [
            "/o/r.git/info/refs?service=git-upload-pack&service=git-receive-pack",
            "/o/r.git/info/refs?service=Git-Receive-Pack",
            "/o/r.git/info//refs?service=git-receive-pack",
            "/o/r.git/info/refs/?service=git-receive-pack",
        ] {
            assert_eq!(of("GET", target), Err(Unclear), "{target}");
        }
        assert_eq!(Service::of("POST", "/elsewhere", Some("application/x-git-receive-pack-request; a=b")), Err(Unclear));
    }

    #[test]
    fn an_escaped_service_in_the_query_is_the_same_service() {
        assert_eq!(
            of("GET", "/o/r/info/refs?servic%65=git-receive-pac%6B"),
            Ok(Some(Asked { service: Service::PushRefs, repository: "o/r".into() }))
        );
    }
}
