//! Answers that a git client shows: `remote:` lines, and for each ref why it was not taken (gitprotocol-pack, "Report Status").

use crate::commands::Capabilities;
use crate::service::Service;

/// A ref that was refused.
#[derive(Clone, PartialEq, Eq)]
pub struct RefusedRef {
    /// Its full name.
    pub name: String,
    /// Why, in a word or a line.
    pub reason: String,
}

impl std::fmt::Debug for RefusedRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefusedRef").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// The answer to a request: always with status 200, or the client does not read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The type of the body.
    pub content_type: &'static str,
    /// The body: text, but for the bytes 1 to 3 that name bands.
    pub body: String,
}

/// A packet carries at most this much text of ours.
const MOST_TEXT: usize = 900;

/// Refuses a request to `service`. `lines` is what the person reads; `refs` what becomes of each ref, as far as `capabilities` are known (the
/// request of a push was read).
pub fn refusal(service: Service, capabilities: Option<&Capabilities>, lines: &[String], unpack: &str, refs: &[RefusedRef]) -> Refusal {
    let one = clean(&lines.join(" "));
    let error = packet(&format!("ERR {}", cut(&one, MOST_TEXT)));
    match service {
        Service::FetchRefs => Refusal {
            content_type: "application/x-git-upload-pack-advertisement",
            body: format!("{}0000{error}0000", packet("# service=git-upload-pack\n")),
        },
        Service::PushRefs => Refusal {
            content_type: "application/x-git-receive-pack-advertisement",
            body: format!("{}0000{error}0000", packet("# service=git-receive-pack\n")),
        },
        Service::Fetch => Refusal { content_type: "application/x-git-upload-pack-result", body: format!("{error}0000") },
        Service::Push => {
            let body = match capabilities {
                Some(known) => report(*known, lines, unpack, refs).unwrap_or(error),
                // What the client reads is not known: a fatal message is an error on the side band and nonsense elsewhere, hence an error too.
                None => format!("{}0000", packet(&format!("\u{3}Portcullis: {}\n", cut(&one, MOST_TEXT)))),
            };
            Refusal { content_type: "application/x-git-receive-pack-result", body }
        }
    }
}

/// The report, in the form that these capabilities name; `None` when the client reads no report.
fn report(known: Capabilities, lines: &[String], unpack: &str, refs: &[RefusedRef]) -> Option<String> {
    if !known.report_status {
        // On the side band there is still the band of fatal errors.
        let fatal = format!("\u{3}{}\n", cut(&clean(&lines.join(" ")), MOST_TEXT));
        return known.side_band.map(|_| format!("{}0000", packet(&fatal)));
    }
    let mut status = packet(&format!("unpack {}\n", clean(unpack)));
    for RefusedRef { name, reason } in refs {
        status.push_str(&packet(&format!("ng {name} {}\n", cut(&clean(reason), MOST_TEXT))));
    }
    status.push_str("0000");
    let Some(room) = known.side_band else { return Some(status) };
    let mut out = String::new();
    for line in lines {
        out.push_str(&packet(&format!("\u{2}{}\n", cut(&clean(line), MOST_TEXT))));
    }
    let mut rest = status.as_str();
    while !rest.is_empty() {
        let part = cut(rest, room);
        out.push_str(&packet(&format!("\u{1}{part}")));
        rest = rest.get(part.len()..).unwrap_or_default();
    }
    out.push_str("0000");
    Some(out)
}

/// A packet: its length in four hexadecimal digits, then its text (gitprotocol-common). Longer texts than fit were cut before.
fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// At most so many bytes, and no character cut.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Without what could move a cursor or end a line.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        vec!["Portcullis: no.".into(), "Do this\ninstead.".into()]
    }

    #[test]
    fn a_push_is_answered_as_the_client_reads_it() {
        let push = Service::Push;
        let refs = [RefusedRef { name: "refs/heads/x".into(), reason: "git_force_push".into() }];
        let known = Capabilities { report_status: true, side_band: Some(65_515), ..Capabilities::default() };
        let answer = refusal(push, Some(&known), &lines(), "ok", &refs);
        assert_eq!(
            answer.body,
            "0015\u{2}Portcullis: no.\n0016\u{2}Do this instead.\n003a\u{1}000eunpack ok\n0023ng refs/heads/x git_force_push\n00000000"
        );
        let plain = refusal(push, Some(&Capabilities { side_band: None, ..known }), &lines(), "ok", &refs);
        assert_eq!(plain.body, "000eunpack ok\n0023ng refs/heads/x git_force_push\n0000");
        let silent = refusal(push, Some(&Capabilities { report_status: false, ..known }), &lines(), "ok", &refs);
        assert!(silent.body.contains("\u{3}Portcullis: no. Do this instead."));
        assert!(refusal(push, None, &lines(), "ok", &[]).body.contains('\u{3}'));
    }

    #[test]
    fn a_long_report_is_cut_into_packets_that_fit() {
        let refs: Vec<RefusedRef> =
            (0..9000).map(|n| RefusedRef { name: format!("refs/heads/branch-{n}"), reason: "git_ref_not_allowed".into() }).collect();
        for room in [995, 65_515] {
            let known = Capabilities { report_status: true, side_band: Some(room), ..Capabilities::default() };
            let body = refusal(Service::Push, Some(&known), &lines(), "ok", &refs).body;
            let (mut rest, mut status) = (body.as_str(), String::new());
            while !rest.starts_with("0000") {
                let len = usize::from_str_radix(&rest[..4], 16).expect("a length");
                assert!(len <= room + 5);
                status.push_str(rest[4..len].strip_prefix('\u{1}').unwrap_or_default());
                rest = &rest[len..];
            }
            assert!(status.ends_with("ng refs/heads/branch-8999 git_ref_not_allowed\n0000"));
        }
    }

    #[test]
    fn refs_are_refused_with_an_error_packet() {
        let answer = refusal(Service::PushRefs, None, &lines(), "", &[]);
        assert_eq!(answer.content_type, "application/x-git-receive-pack-advertisement");
        assert_eq!(answer.body, "001f# service=git-receive-pack\n00000028ERR Portcullis: no. Do this instead.0000");
    }
}
