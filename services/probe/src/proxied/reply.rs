//! Who answered: the gateway's scanner, the gateway's Envoy, or somebody beyond.

use super::gateway::Heard;
use super::wire::Response;
use crate::check::Verdict;

/// An answer by who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The gateway's verdict, in the shape of docs/denials.md.
    Denied { status: u16, reason: String },
    /// Envoy's own refusal.
    Refused(String),
    /// The connection ended without an answer.
    Closed(&'static str),
    /// The gateway looked the name up, and found no address that it may reach.
    Unresolved,
    /// The gateway let it pass and then could not reach anybody, or not with TLS that it trusts.
    Unanswered(&'static str),
    /// The gateway could not do its work, or nothing can be said of it.
    Broken(String),
    /// Somebody beyond the gateway.
    Beyond(String),
}

impl Reply {
    pub(crate) fn of(heard: Heard) -> Self {
        match heard {
            Heard::Unreachable(why) => Self::Broken(why),
            Heard::NoTunnel(response) => Self::of_connect(&response),
            Heard::NoTls => Self::Closed("no TLS in the tunnel"),
            Heard::Untrusted => Self::Broken("a certificate that is not trusted: SSL_CERT_FILE must hold the gateway's CA".into()),
            Heard::Answer(response) => Self::of_response(&response),
            Heard::Bytes => Self::Beyond("answered, and not in HTTP".into()),
            Heard::Closed => Self::Closed("closed without an answer"),
            Heard::Silence => Self::Broken("no answer in time".into()),
        }
    }

    /// Only the proxy answers CONNECT with anything but success.
    fn of_connect(response: &Response) -> Self {
        match (reason(response), response.status) {
            (Some(reason), status) => Self::Denied { status, reason },
            (None, 407) => Self::Broken("the proxy wants credentials".into()),
            (None, status @ 500..) => Self::Broken(format!("no tunnel, the gateway answered {status}")),
            (None, status) => Self::Refused(format!("no tunnel, the gateway answered {status}")),
        }
    }

    fn of_response(response: &Response) -> Self {
        if let Some(reason) = reason(response) {
            return Self::Denied { status: response.status, reason };
        }
        let body = String::from_utf8_lossy(&response.body);
        // What Envoy answers itself is bare: its type is this, or there is neither type nor body, and no server is named.
        let plain = response.header("content-type") == Some("text/plain");
        let empty = response.header("content-type").is_none() && body.is_empty();
        let bare = (plain || empty) && response.header("server").is_none();
        match (response.status, body.as_ref()) {
            (403, "RBAC: access denied") if bare => Self::Refused("the gateway's Envoy denied it".into()),
            (503, "DNS resolution failure") if bare => Self::Unresolved,
            (404, text) if bare && text.starts_with("The path is incorrect for CONNECT-UDP") => Self::Refused("no such upgrade".into()),
            (400, "Bad Request") if bare => Self::Refused("malformed for the gateway".into()),
            (500..=504, text) if bare && text.starts_with("upstream connect error") => {
                Self::Unanswered("the gateway let it pass, and nobody was there")
            }
            (504, "upstream request timeout" | "stream timeout") if bare => {
                Self::Unanswered("the gateway let it pass, and nobody answered")
            }
            (500..=504, "" | "no healthy upstream") if bare => {
                Self::Broken(format!("the gateway answered {} without a verdict", response.status))
            }
            (status @ (400 | 403 | 404 | 426 | 431 | 501), "") if bare => Self::Refused(format!("the gateway's Envoy answered {status}")),
            (status, _) if response.header("x-portcullis-failed-open") == Some("1") => {
                Self::Beyond(format!("answered {status}, unscanned: the gateway is fail-open"))
            }
            (status, _) => Self::Beyond(format!("answered {status}")),
        }
    }

    /// Whether a harmless request passed.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn passed(&self) -> Result<(), String> {
        match self {
            // A server in trouble says as little as none.
            Self::Beyond(what) if !what.starts_with("answered 5") => Ok(()),
            Self::Beyond(what) => Err(format!("the sink {what}")),
            Self::Denied { status, reason } => Err(format!("the gateway denied it: {status} {reason}")),
            Self::Refused(what) | Self::Broken(what) => Err(what.clone()),
            Self::Closed(what) | Self::Unanswered(what) => Err((*what).to_owned()),
            Self::Unresolved => Err(UNRESOLVED.to_owned()),
        }
    }

    /// The verdict on what must not lead anywhere.
    pub(crate) fn wall(self) -> Verdict {
        match self {
            Self::Denied { status: 403, reason } => Verdict::blocked(format!("403 {reason}")),
            // Over a budget, or the scanner in trouble: it did not pass this time, and that is all.
            Self::Denied { status, reason } => Verdict::failed(format!("{status} {reason}")),
            Self::Refused(what) => Verdict::blocked(what),
            Self::Closed(what) => Verdict::blocked(what),
            Self::Unresolved => Verdict::blocked(UNRESOLVED),
            Self::Unanswered(what) => Verdict::failed(what),
            Self::Broken(what) => Verdict::failed(what),
            Self::Beyond(what) => Verdict::escaped(what),
        }
    }

    /// The verdict on a secret: only the scanner's own no is one.
    pub(crate) fn secret(self) -> Verdict {
        match self {
            Self::Denied { status: 403, reason } => Verdict::blocked(format!("403 {reason}")),
            Self::Denied { status, reason } => Verdict::failed(format!("{status} {reason}")),
            Self::Refused(what) | Self::Broken(what) => Verdict::failed(what),
            Self::Closed(what) => Verdict::failed(what),
            // The scanner comes before both.
            Self::Unresolved => Verdict::escaped("the gateway let it pass, and looked the name up"),
            Self::Unanswered(what) => Verdict::escaped(what),
            Self::Beyond(what) => Verdict::escaped(what),
        }
    }
}

const UNRESOLVED: &str = "the name has no address that the gateway may reach";

/// The reason of a denial in the gateway's own shape: problem details, or the same as text.
fn reason(response: &Response) -> Option<String> {
    if response.status < 400 {
        return None;
    }
    let content_type = response.header("content-type")?;
    let word = if content_type.starts_with("application/problem+json") {
        let problem: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
        let reason = problem.get("reason")?.as_str()?.to_owned();
        let linked = problem.get("type")?.as_str()?.ends_with(&format!("docs/denials.md#{reason}"));
        (linked && problem.get("request_id")?.is_string()).then_some(reason)?
    } else if content_type.starts_with("text/plain") {
        let text = std::str::from_utf8(&response.body).ok()?;
        let reason = text.lines().find_map(|line| line.strip_prefix('[')?.split_once(", request "))?.0.to_owned();
        (text.starts_with("Portcullis: ") && text.contains(&format!("docs/denials.md#{reason}"))).then_some(reason)?
    } else {
        return None;
    };
    // It goes into logs and tables: a word, or nothing.
    let is_word = !word.is_empty() && word.len() <= 40 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_word.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: body.as_bytes().to_vec() }
    }

    fn problem(status: u16, reason: &str) -> Response {
        let kind = format!("https://example.org/docs/denials.md#{reason}");
        let body = serde_json::json!({"type": kind, "reason": reason, "request_id": "x"}).to_string();
        answer(status, &[("content-type", "application/problem+json")], &body)
    }

    const TEXT: &[(&str, &str)] = &[("content-type", "text/plain")];

    /// The answer, and the verdicts on it as a wall and on a secret.
    #[test]
    fn answers_are_judged_by_who_gave_them() {
        use Outcome::{Blocked, Escaped, Failed};
        let text = "Portcullis: No.\n[secret_found, request 1]\nhttps://x/docs/denials.md#secret_found\n";
        let open = [("x-portcullis-failed-open", "1"), ("content-type", "text/html")];
        for (response, wall, secret) in [
            // The scanner.
            (problem(403, "secret_found"), Blocked, Blocked),
            (problem(403, "ip_literal"), Blocked, Blocked),
            (problem(429, "rate_limited"), Failed, Failed),
            (problem(503, "internal"), Failed, Failed),
            (answer(403, TEXT, text), Blocked, Blocked),
            // Envoy.
            (answer(403, TEXT, "RBAC: access denied"), Blocked, Failed),
            (answer(503, TEXT, "DNS resolution failure"), Blocked, Escaped),
            (answer(400, TEXT, "Bad Request"), Blocked, Failed),
            (answer(403, &[], ""), Blocked, Failed),
            (answer(503, &[], ""), Failed, Failed),
            (answer(504, &[], ""), Failed, Failed),
            (
                answer(503, TEXT, "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"),
                Failed,
                Escaped,
            ),
            // Anybody else.
            (answer(200, TEXT, "ok"), Escaped, Escaped),
            (answer(404, &[("content-type", "text/html")], ""), Escaped, Escaped),
            (answer(403, &[("server", "cloud")], ""), Escaped, Escaped),
            (answer(403, &[("server", "istio-envoy"), ("content-type", "text/plain")], "RBAC: access denied"), Escaped, Escaped),
            (answer(403, &[("content-type", "application/json")], r#"{"reason":"secret_found"}"#), Escaped, Escaped),
            (answer(403, &[("content-type", "application/problem+json")], r#"{"reason":"secret_found"}"#), Escaped, Escaped),
            (problem(200, "secret_found"), Escaped, Escaped),
            (problem(403, "Secret\u{1b}[2J"), Escaped, Escaped),
            (answer(200, &open, ""), Escaped, Escaped),
        ] {
            let reply = Reply::of(Heard::Answer(response.clone()));
            assert_eq!((reply.clone().wall().outcome, reply.secret().outcome), (wall, secret), "{response:?}");
        }
    }

    #[test]
    fn a_refused_tunnel_is_the_proxys_word() {
        for (response, wall, secret) in [
            (answer(403, &[("content-type", "text/html")], "squid says no"), Outcome::Blocked, Outcome::Failed),
            (answer(503, &[], ""), Outcome::Failed, Outcome::Failed),
            (answer(407, &[], ""), Outcome::Failed, Outcome::Failed),
        ] {
            let reply = Reply::of(Heard::NoTunnel(response));
            assert_eq!((reply.clone().wall().outcome, reply.secret().outcome), (wall, secret));
        }
    }

    #[test]
    fn what_is_no_answer_is_never_an_escape() {
        for (heard, wall) in [
            (Heard::Unreachable("x".into()), Outcome::Failed),
            (Heard::NoTls, Outcome::Blocked),
            (Heard::Untrusted, Outcome::Failed),
            (Heard::Closed, Outcome::Blocked),
            (Heard::Silence, Outcome::Failed),
        ] {
            let reply = Reply::of(heard);
            assert_eq!((reply.clone().wall().outcome, reply.clone().secret().outcome), (wall, Outcome::Failed));
            assert!(reply.passed().is_err());
        }
    }

    #[test]
    fn a_control_passes_when_the_sink_answers() {
        let of = |response| Reply::of(Heard::Answer(response)).passed();
        assert_eq!(of(answer(200, TEXT, "ok")), Ok(()));
        assert_eq!(of(answer(405, &[("server", "x")], "")), Ok(()), "a sink that does not like the method was still reached");
        for response in [answer(502, &[("server", "x")], "sorry"), answer(503, &[], ""), problem(403, "host_not_allowed")] {
            assert!(of(response.clone()).is_err(), "{response:?}");
        }
    }
}
