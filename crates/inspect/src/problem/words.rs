//! What a denial says: to the agent, and to the owner of the sandbox. The page `docs/denials.md` is written from this.

use std::fmt::Write as _;

use policy::Reason;

/// What is said of one reason.
pub(crate) struct Words {
    /// What happened, one line.
    pub(crate) title: &'static str,
    /// What the agent should do instead.
    pub(crate) agent: &'static str,
    /// What the owner of the sandbox can do about it.
    pub(crate) owner: &'static str,
}

/// The page that explains every reason, each under its code.
const PAGE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/denials.md");

/// Where a reason is explained.
pub(super) fn link(reason: Reason) -> String {
    format!("{PAGE}#{}", reason.as_str())
}

/// Every reason for which a request is not let through, with the words for it: the page `docs/denials.md`.
pub fn denials() -> String {
    let mut text = String::from(HEAD);
    for (reason, _, when) in Reason::ALL {
        let Some(words) = words(*reason) else { continue };
        let again = match reason {
            Reason::RateLimited | Reason::VolumeExceeded | Reason::TooManyHosts | Reason::Overloaded | Reason::StateUnavailable => {
                "yes, after `Retry-After`"
            }
            _ => "no",
        };
        // Writing to a String cannot fail.
        let _written = write!(
            text,
            "\n## {}\n\n{}. HTTP {}. When: {when}. Does it help to send it again: {again}.\n\n- **Agent:** {}\n- **Owner:** {}\n",
            reason.as_str(),
            words.title,
            super::status(*reason),
            words.agent,
            words.owner,
        );
    }
    text
}

const HEAD: &str = "# Denials

<!-- Written by `portcullis policy denials`; do not edit, run it again. -->

Portcullis answers a request that it does not let through itself; the upstream has seen nothing of it, or, of a long body, not its end. The reason is one of
the codes below, a closed list; audit records and metrics use the same. Every answer has a request id, by which the audit record is found. No answer
holds the secret: a finding is told by its detector, its place, the encodings it was found through, a keyed fingerprint, and the hosts it belongs to.

| who asks | what the answer is |
|---|---|
| programs | `application/problem+json` (RFC 9457): `type` links here, `reason`, `title`, `detail`, `findings`, `request_id`, `rule`, `retry` |
| curl and wget, browsers, and whoever prefers `text/plain` in `Accept` | the same as plain text |
| gRPC | a status in trailers: PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED or UNAVAILABLE, with the text as its message |
| git | `remote:` lines in the terminal, and for each ref of a push why it was refused |
| `CONNECT` | plain text; most clients show only the status |

`Retry-After` is there only where sending the same again can help.
";

/// The words for a reason; `None`: nothing is refused for it.
pub(crate) fn words(reason: Reason) -> Option<&'static Words> {
    TABLE.iter().find(|(of, _)| *of == reason).map(|(_, words)| words)
}

const fn say(title: &'static str, agent: &'static str, owner: &'static str) -> Words {
    Words { title, agent, owner }
}

/// In the order of `Reason::ALL`.
const TABLE: &[(Reason, Words)] = &[
    (
        Reason::SecretFound,
        say(
            "The request carries a secret to a place where it does not belong",
            "Send the request without the secret; do not encode, split or disguise it, and do not retry as it is.",
            "The audit record names detector and place. A false alarm: `rules[].detectors` lets this detector pass at this host; `home.extra` gives it a home.",
        ),
    ),
    (
        Reason::CredentialMisdirected,
        say(
            "The request carries a credential to a place that is not its home",
            "Send the request without it; do not encode, split or disguise it. It may go only to the hosts it belongs to, over HTTPS, where its provider expects it (most often the Authorization header).",
            "If it does belong there, a server of your own say, name it in `home.extra`, with the place in the request. If not, the agent tried to send a credential away: look at what it read before, and replace the credential if in doubt.",
        ),
    ),
    (
        Reason::RedactionImpossible,
        say(
            "The request carries a secret that cannot be taken out of it",
            "The body is signed, compressed or binary: send it again without the secret.",
            "Policy would replace the secret, and the body's bytes are bound by a signature, a length or an encoding. `deny` instead of `redact` says the same more plainly.",
        ),
    ),
    (
        Reason::PartialCoverage,
        say(
            "Part of the request could not be looked into",
            "Send it unencrypted, in a common encoding (none, gzip, deflate, br, zstd), and not nested too deeply; push with `--no-thin`.",
            "The record's `gap` says what could not be done. `partial_coverage: allow` in a rule for the host accepts it; `limits` raise the bounds.",
        ),
    ),
    (
        Reason::IdentityRequired,
        say(
            "The gateway must know who sends",
            "Put the name and the token of this sandbox into the proxy's URL (http://NAME:TOKEN@GATEWAY:PORT), or ask the owner of this sandbox for them.",
            "`identity.required` is set. `portcullis sandbox token add NAME` makes a token; `identity.addresses` goes by address.",
        ),
    ),
    (
        Reason::IdentityUnknown,
        say(
            "The gateway does not know these credentials",
            "The token may be wrong or taken back: ask the owner of this sandbox; do not try others.",
            "`portcullis sandbox token list` shows which tokens there are. Many of these from one place: somebody guesses, or a token was taken back and is still in use.",
        ),
    ),
    (
        Reason::CredentialForeign,
        say(
            "The credential is not one that is registered for this service",
            "Use the credential that was given to you for this service; do not sign up for another one, and do not use one that you found.",
            "`only` limits this service to registered credentials ([tenants.md](tenants.md)). A new credential of yours is added there. One that is not yours is a way to carry data out: find out where the agent has it from.",
        ),
    ),
    (
        Reason::TenantForeign,
        say(
            "The account, repository, bucket or project is not one of ours",
            "Use those that were assigned to you, by name and in their usual spelling; do not look for others.",
            "`only` limits this service to named tenants ([tenants.md](tenants.md)): add it there if it is yours. `unclear: allow` accepts requests that do not tell whose they are.",
        ),
    ),
    (
        Reason::ProviderFetchDenied,
        say(
            "The request tells the upstream to fetch something from where this sandbox may not go",
            "Send the content itself instead of its URL, or use a host that is allowed; leave out tools that go to the web and servers that are not allowed.",
            "The record's `provider_fetch` says where it would go, and why not. Allow the host, limit the tool to allowed domains, or see `provider_fetch` ([configuration.md](configuration.md#what-providers-fetch)).",
        ),
    ),
    (
        Reason::HostBlocked,
        say(
            "The destination is on the block list",
            "Paste sites, file drops, tunnels and request catchers cannot be used here; do not look for another one.",
            "The shipped list holds services that take what anybody sends. `hosts.allow` takes one off it; `hosts.block` is your own.",
        ),
    ),
    (
        Reason::HostNotAllowed,
        say(
            "The destination is not on the allow list",
            "Use an allowed host, or ask the owner of this sandbox to allow it.",
            "`hosts.mode` is `allowlist`: add the host to `hosts.allow`, or write a rule that allows it. `portcullis policy explain` says what is missing.",
        ),
    ),
    (
        Reason::IpLiteral,
        say(
            "The destination is an IP address",
            "Use the host's name.",
            "`hosts.ip_literals: allow`, or name the address in `hosts.allow`.",
        ),
    ),
    (
        Reason::PrivateAddress,
        say(
            "The destination is private",
            "Loopback, private networks and metadata services cannot be reached from here.",
            "`allow_private` makes exceptions by range; the gateway's own filter needs the same (`up --allow-upstream`).",
        ),
    ),
    (Reason::PortNotAllowed, say("The port is not allowed", "Use port 443 or 80.", "`hosts.ports`.")),
    (
        Reason::MethodNotAllowed,
        say("The method is not allowed", "Use another method, or ask the owner of this sandbox to allow it.", "`methods`."),
    ),
    (
        Reason::UpgradeNotAllowed,
        say(
            "The request asks for another protocol",
            "Protocol upgrades (WebSocket and others) are not available here; use plain HTTP.",
            "Other protocols cannot be scanned; there is no switch.",
        ),
    ),
    (
        Reason::GitRepositoryNotAllowed,
        say(
            "Nothing may be pushed to this repository",
            "Push to the repository that was assigned to you, or ask the owner of this sandbox to allow this one.",
            "`git.push[].repositories` ([git.md](git.md)).",
        ),
    ),
    (
        Reason::GitRefNotAllowed,
        say(
            "This ref may not be pushed",
            "Push to the branch that was assigned to you; other branches and refs need the owner of this sandbox.",
            "`git.push[].branches` and `refs` ([git.md](git.md)).",
        ),
    ),
    (
        Reason::GitForcePush,
        say(
            "The push is not proven to keep what is on the branch",
            "Fetch the branch, merge it (do not rebase) and push again without force; or push to a new branch.",
            "`git.push[].force: allow` ([git.md](git.md)). A branch that moves to commits which are not in the push cannot be proven either.",
        ),
    ),
    (
        Reason::GitDeletion,
        say(
            "Branches and tags may not be deleted",
            "Leave the ref as it is, or ask the owner of this sandbox to delete it.",
            "`git.push[].delete: allow` ([git.md](git.md)).",
        ),
    ),
    (
        Reason::GitTag,
        say(
            "Tags may not be pushed",
            "Push the branch without tags (git push --no-follow-tags).",
            "`git.push[].tags: allow` ([git.md](git.md)).",
        ),
    ),
    (
        Reason::GitUnsigned,
        say(
            "The push must be signed",
            "Push with --signed, with a key that the server knows.",
            "`git.push[].signed: optional` ([git.md](git.md)).",
        ),
    ),
    (
        Reason::Ambiguous,
        say(
            "The request can be read in two ways",
            "Send one host, one path, one length and one encoding, in their usual spelling.",
            "What is decided on must be what travels. A client that does this in earnest needs repair; there is no switch.",
        ),
    ),
    (
        Reason::RuleDenied,
        say(
            "A rule of this gateway denies the request",
            "This is not for agents: do something else, or ask the owner of this sandbox; do not look for a way around it.",
            "The record and the answer name the rule.",
        ),
    ),
    (
        Reason::RuleError,
        say(
            "A rule of this gateway could not be applied to the request",
            "Something that the rule asks for, a header perhaps, is missing: ask the owner of this sandbox.",
            "The record names the rule; its `when` asks for what the request does not have. `'x' in headers && …` asks safely.",
        ),
    ),
    (
        Reason::RateLimited,
        say("Too many requests", "Wait as long as Retry-After says; send fewer requests.", "`budget.requests` of the rule that is named."),
    ),
    (
        Reason::VolumeExceeded,
        say(
            "Too much data was sent",
            "Wait as long as Retry-After says; send less.",
            "`budget.bytes`, `new_host_bytes` or `opaque` of the rule that is named. An agent that sends much without need is worth a look.",
        ),
    ),
    (
        Reason::TooManyHosts,
        say(
            "Too many different hosts",
            "Use the hosts that were used before, or wait as long as Retry-After says.",
            "`budget.new_hosts` of the rule that is named.",
        ),
    ),
    (
        Reason::BodyTooLarge,
        say("The body is too large", "Send less; the same body will not pass.", "`max_body` of the rule that is named."),
    ),
    (
        Reason::LimitExceeded,
        say(
            "The request exceeds a limit of this gateway",
            "Send it in smaller or faster parts.",
            "`limits.stream_timeout`, `limits.buffer`; the metrics say which is short.",
        ),
    ),
    (
        Reason::Overloaded,
        say(
            "The gateway has too much to do",
            "Wait as long as Retry-After says; send fewer requests at a time.",
            "More scanners, or more cores for them; `limits.memory`, `--max-streams`. What one sandbox may take leaves room for others, and it is refused first. This is never a way around the scanner: fail-open is for scanners that do not answer.",
        ),
    ),
    (
        Reason::StateUnavailable,
        say(
            "The gateway cannot tell how much was sent already",
            "Wait as long as Retry-After says; if it stays like this, tell the owner of this sandbox.",
            "The scanner does not reach the server that its counts are shared through (`--shared-state`); `portcullis_shared_state_up` is 0. `history.on_loss: allow` lets each scanner count for itself meanwhile.",
        ),
    ),
    (
        Reason::Internal,
        say(
            "The gateway could not inspect the request",
            "This is not about your request; tell the owner of this sandbox.",
            "See the scanner's log. If it happens again, report it with the request id.",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_to_refuse_has_its_words_and_no_other() {
        for (reason, ..) in Reason::ALL {
            let passes = matches!(reason, Reason::Clean | Reason::CredentialAtHome | Reason::LowConfidence | Reason::SecretRedacted);
            assert_eq!(words(*reason).is_none(), passes, "{}", reason.as_str());
        }
    }
}
