//! The form of a policy file: every key with its type and with what the documentation says of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::Action;
use crate::fetch::Fetching;
use crate::pins::Anonymous;
use crate::reference::Key;
use crate::rules::Redaction;

/// A part of the file, and the rows of the documentation for it: key: type, values, what counts without it, meaning, an example.
macro_rules! part {
    ($(#[$about:meta])* $name:ident ($rows:ident at $path:literal) { $($field:ident: $type:ty, $values:literal, $default:literal, $meaning:literal, $example:literal;)* }) => {
        $(#[$about])*
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
        }

        pub(crate) const $rows: &[Key] = &[
            $(Key { path: concat!($path, stringify!($field)), values: $values, default: $default, meaning: $meaning, example: $example },)*
        ];
    };
}

type Texts = Vec<Spanned<String>>;

part! {
    /// The whole file.
    File (FILE at "") {
        version: Option<Spanned<u32>>, "`1`", "–", "required", "1";
        extends: Option<Spanned<Names>>, "presets", "`default`", "where the rest comes from; of several the later ones count, and the file itself counts most. `default` comes first unless `strict` is named", "[strict, llm-apis]";
        hosts: Hosts, "", "", "which hosts may be reached at all", "{mode: allowlist}";
        methods: Option<Texts>, "methods, upper case", "all", "methods that may be used at all", "[GET, HEAD, POST]";
        private_addresses: Option<Permission>, "`allow`, `deny`", "`deny`", "special-purpose addresses and private names (`localhost`, `.internal`, …) in the URL; what names resolve to is the gateway's filter", "deny";
        allow_private: Texts, "address ranges", "none", "exceptions; `up --allow-upstream` adds to these and to the gateway's filter", "[10.1.0.0/16]";
        findings: Findings, "", "", "a finding that is not at home, by confidence", "{low: deny}";
        home: Homes, "", "", "where credentials belong", "{extra: []}";
        partial_coverage: Option<Permission>, "`allow`, `deny`", "`deny`", "where not all could be looked into", "deny";
        identity: Identity, "", "", "who sends", "{required: true}";
        groups: BTreeMap<String, Texts>, "`NAME: [sandboxes]`", "none", "names for sandboxes; a star stands for any text (`ci-*`)", "{ci: [\"ci-*\", nightly]}";
        rules: Vec<Spanned<Rule>>, "rules", "none", "below", "[{name: no-uploads, methods: [PUT], action: deny}]";
        only: Vec<Spanned<Only>>, "entries", "none", "services limited to our own credentials and [tenants](tenants.md)", "[{service: github, owners: [acme]}]";
        provider_fetch: ProviderFetch, "", "", "what APIs are told to fetch", "{tools: deny}";
        git: Git, "", "", "pushes over HTTPS, in [git.md](git.md)", "{memory: 64MiB}";
        history: History, "", "", "what counts beyond one request", "{pieces: 24h}";
        limits: Limits, "", "", "what a scanner takes on", "{buffer: 1MiB}";
    }
}

part! {
    Identity (IDENTITY at "identity.") {
        required: Option<bool>, "bool", "`false`", "whether who sends must be known, by a [token or an address](identity.md); if not, the request is answered 407 before anything else is done", "true";
        certificates: Vec<Spanned<Certificate>>, "entries", "none", "sandboxes by their [client certificates](identity.md#certificates), for requests without credentials; the first entry that fits counts", "[{uri: \"spiffe://corp.example/sandbox/*\"}]";
        addresses: BTreeMap<String, Texts>, "`NAME: [ranges]`", "none", "sandboxes by the address they connect from, for requests without credentials; of several ranges the narrowest counts", "{ci-runner: [10.1.2.0/24], laptop: [\"fd00::7\"]}";
    }
}

part! {
    Certificate (CERTIFICATE at "identity.certificates[].") {
        uri: Option<Spanned<String>>, "SPIFFE ID", "–", "the URI in the certificate; a star stands for the sandbox's name; required", "\"spiffe://corp.example/sandbox/*\"";
        sandbox: Option<Spanned<String>>, "name", "what the star stands for", "the sandbox", "ci-runner";
    }
}

part! {
    Hosts (HOSTS at "hosts.") {
        mode: Option<Mode>, "`open`, `allowlist`", "`open`", "`allowlist`: only what `hosts.allow` or a rule allows may be reached", "allowlist";
        allow: Texts, "host patterns", "none", "added to the preset's; takes a host off the shipped block list, and exempts an address or private name that is named", "[api.example.com, \"*.example.org\"]";
        block: Texts, "host patterns", "none", "added; wins over `allow` and over rules", "[bad.example]";
        shipped_blocklist: Option<bool>, "bool", "`true`", "paste sites, file drops, tunnels, request catchers (`crates/policy/presets/blocklist.yaml`)", "true";
        ip_literals: Option<Permission>, "`allow`, `deny`", "`deny`", "URLs with an address instead of a name, in any notation", "deny";
        ports: Option<Vec<Spanned<u16>>>, "ports", "`[80, 443]`", "replaces the preset's", "[443]";
    }
}

part! {
    Findings (FINDINGS at "findings.") {
        certain: Option<Action>, "`allow`, `redact`, `deny`", "`deny`", "a checksum holds, or the shape can be nothing else", "deny";
        high: Option<Action>, "`allow`, `redact`, `deny`", "`deny`", "the shape is the provider's own", "deny";
        medium: Option<Action>, "`allow`, `redact`, `deny`", "`deny`", "context or structure speaks for a secret", "redact";
        low: Option<Action>, "`allow`, `redact`, `deny`", "`allow`", "worth counting", "allow";
    }
}

part! {
    Homes (HOMES at "home.") {
        extra: Vec<Spanned<Home>>, "homes", "none", "where credentials belong beyond what their detectors say", "[{detectors: [\"github-*\"], hosts: [ghe.example.com]}]";
    }
}

part! {
    Home (HOME at "home.extra[].") {
        detectors: Texts, "detectors", "–", "an id, `github-*`, or `known-secret:NAME` for a [known secret](known-secrets.md); required", "[\"github-*\"]";
        hosts: Texts, "host patterns", "–", "required", "[ghe.example.com]";
        places: Texts, "places", "`[credential-header]`", "`credential-header`, `header:NAME`, `query:NAME`, `body:NAME`, `path`", "[\"header:x-token\"]";
    }
}

part! {
    Only (ONLY at "only[].") {
        service: Option<Spanned<String>>, "`anthropic`, `openai`, `github`, `gitlab`, `npm`, `pypi`, `aws-s3`, `gcs`, `slack`", "–", "whose hosts, and whose way to say who asks; this or `hosts` is required", "github";
        hosts: Texts, "host patterns", "the service's", "hosts of your own: of that service (GitHub Enterprise, GitLab, S3 with path-style addresses), or of any other, of which credentials can be limited", "[ghe.example.com]";
        groups: Texts, "groups", "all", "sandboxes in one of these groups", "[ci]";
        sandboxes: Texts, "names, `ci-*`", "all", "these sandboxes", "[\"ci-*\"]";
        credentials: Texts, "`known-secret:NAME`, `fp:…`", "any", "registered credentials: the names of [known secrets](known-secrets.md), or what `portcullis policy fingerprint` prints", "[\"known-secret:GITHUB_TOKEN\"]";
        places: Texts, "`header:NAME`, `query:NAME`", "none", "where else credentials stand; headers that exist for them, cookies and the usual keys of the query are always looked at", "[\"header:x-token\"]";
        accounts: Texts, "names", "any", "for `aws-s3` access key ids or numbers of accounts, for `gcs` ids of HMAC keys and service accounts; elsewhere the users of `Basic` credentials", "[alice]";
        anonymous: Option<Anonymous>, "`allow`, `reads`, `deny`", "`deny`", "requests without any credential in the head, where credentials or accounts are limited; `reads`: GET and HEAD only", "reads";
        owners: Texts, "patterns", "any", "organisations, users and groups, with all that is theirs; `id:NUMBER` where paths give a number", "[acme]";
        repositories: Texts, "`OWNER/NAME`, patterns", "any", "repositories beside those of `owners`", "[other/shop]";
        packages: Texts, "patterns", "any", "packages of npm", "[\"@acme/*\"]";
        buckets: Texts, "patterns", "any", "buckets of S3 and Cloud Storage", "[acme-builds]";
        projects: Texts, "patterns", "any", "projects of OpenAI and Google Cloud, where a request names one", "[acme-prod]";
        organizations: Texts, "patterns", "any", "organisations of OpenAI where a request names one; workspaces in the addresses of Slack's webhooks", "[T0ACME00]";
        reads: Option<Permission>, "`allow`, `deny`", "`deny`", "whether reading (GET, HEAD, git fetch) is free of what is limited here; credentials are limited all the same", "allow";
        unclear: Option<Permission>, "`allow`, `deny`", "`deny`", "requests whose head does not tell whose data they are about (GraphQL, numbers, bodies that name it)", "deny";
    }
}

part! {
    ProviderFetch (PROVIDER_FETCH at "provider_fetch.") {
        hosts: Texts, "host patterns", "APIs of language models", "added: [APIs that fetch](#what-providers-fetch) what requests tell them to", "[llm.corp.example]";
        urls: Option<Fetching>, "`hosts`, `allow`, `deny`", "`hosts`", "URLs and MCP servers in such requests; `hosts`: what the sandbox may reach itself", "deny";
        tools: Option<Fetching>, "`hosts`, `allow`, `deny`", "`hosts`", "tools that go to the web on their own, and the domains that they are limited to; `hosts`: unlimited ones only where `hosts.mode` is `open`", "deny";
    }
}

part! {
    History (HISTORY at "history.") {
        pieces: Option<Spanned<String>>, "0s–168h", "`1h`", "[parts of one secret](limits.md) that a sandbox sends within so long count together, whatever requests they are in; `0s`: each request by itself", "24h";
        on_loss: Option<Permission>, "`allow`, `deny`", "`allow`", "requests under a budget while [shared counts](#counting-together) cannot be shared; `allow`: each scanner counts for itself until they can", "deny";
    }
}

part! {
    Limits (LIMITS at "limits.") {
        buffer: Option<Spanned<String>>, "64KiB–16MiB", "`1MiB`", "up to this a body is held until the verdict", "256KiB";
        memory: Option<Spanned<String>>, "16MiB–1TiB", "`512MiB`", "all holds of a scanner together; as it fills, streams hold less, then none is taken any more. What of long bodies waits unread is beside it: 64 KiB of each, at most 64 MiB for each of a gateway's workers", "1GiB";
        decoded: Option<Spanned<String>>, "64KiB–16GiB", "`64MiB`", "bytes that the layers of one location may decode to", "128MiB";
        depth: Option<Spanned<u32>>, "1–16", "`8`", "layers inside layers", "6";
        ratio: Option<Spanned<u64>>, "10–100000", "`200`", "decoded bytes per compressed byte, beyond a grace of 1 MiB", "100";
        stream_timeout: Option<Spanned<String>>, "1s–24h", "`10m`", "a whole request", "5m";
        pause: Option<Spanned<String>>, "1ms–60s", "`50ms`", "a body of unknown length that pauses longer gets its clean part released", "100ms";
        hold_timeout: Option<Spanned<String>>, "10ms–10m", "`10s`", "how long a tail that may still become a secret is held after that", "2s";
    }
}

part! {
    Git (GIT at "git.") {
        push: Option<Vec<Spanned<PushRule>>>, "[rules for pushes](git.md#what-may-be-pushed)", "every branch; no force, deletion or tags", "the first rule for sandbox and repository decides; where there is none, nothing is pushed; replaces the preset's", "[{repositories: [github.com/acme/shop], branches: [\"agent/*\"]}]";
        memory: Option<Spanned<String>>, "1MiB–1GiB", "`64MiB`", "what of one push is kept, since deltas may be against it", "128MiB";
    }
}

part! {
    PushRule (PUSH at "git.push[].") {
        repositories: Texts, "`HOST/PATH`, `**`", "–", "the host as in other host patterns, the path without `.git`; `*` is any text without a slash, `**` any text; required", "[github.com/acme/shop, \"*.example.com/**\"]";
        groups: Texts, "groups", "all", "sandboxes in one of these groups", "[ci]";
        sandboxes: Texts, "names, `ci-*`", "all", "these sandboxes", "[\"ci-*\"]";
        branches: Option<Texts>, "patterns", "`[\"**\"]`", "names below `refs/heads/`", "[main, \"agent/*\"]";
        refs: Texts, "patterns", "none", "full names of refs that are neither branches nor tags", "[\"refs/notes/*\"]";
        force: Option<Permission>, "`allow`, `deny`", "`deny`", "moving a ref to what is not proven to contain what it was", "deny";
        delete: Option<Permission>, "`allow`, `deny`", "`deny`", "deleting a branch; a tag as well, where `tags` allows", "deny";
        tags: Option<Permission>, "`allow`, `deny`", "`deny`", "making a tag; moving one needs `force` too", "allow";
        signed: Option<Signed>, "`required`, `optional`", "`optional`", "`required`: only with a push certificate (`git push --signed`); who signed it the server must check", "optional";
    }
}

part! {
    Rule (RULE at "rules[].") {
        name: Option<Spanned<String>>, "text", "–", "what audit records, answers and `policy explain` call it; required (letters, digits, `-_./`); a rule of a preset that has the same name is replaced", "uploads";
        groups: Texts, "groups", "all", "**who**: sandboxes in one of these groups", "[ci]";
        sandboxes: Texts, "names, `ci-*`", "all", "**who**: these sandboxes", "[\"ci-*\"]";
        hosts: Texts, "host patterns", "all", "**where**", "[\"*.example.com\"]";
        methods: Texts, "methods, upper case", "all", "**what**", "[PUT, POST]";
        paths: Texts, "path patterns", "all", "**what**: `*` is one segment or a part of one, `**` any number of them, once", "[\"/upload/**\"]";
        content_types: Texts, "`type/subtype`, `text/*`", "all", "**what**: without parameters; a request that says none fits none", "[application/zip, \"image/*\"]";
        when: Option<Spanned<String>>, "CEL", "always", "**what**: an expression that must hold", "\"content_length > 1000 && !('x-ticket' in headers)\"";
        graphql: Texts, "`mutation.NAME`, `query.*`", "–", "**what**: GraphQL operations in the body, by kind and first field; needs `paths` and `action`. For each operation the first rule that names it decides; a request that cannot be read is denied where a rule denies anything", "[mutation.mergePullRequest, \"mutation.delete*\"]";
        action: Option<Permission>, "`allow`, `deny`", "says nothing", "whether the request is admitted; `allow` also stands in for `hosts.allow`", "deny";
        findings: Findings, "as `findings`", "says nothing", "a finding that is not at home, by confidence", "{certain: redact, high: redact}";
        detectors: BTreeMap<String, Spanned<Action>>, "`DETECTOR: action`", "says nothing", "the same by detector; counts before `findings` of this rule. Names as in `home.extra[].detectors`", "{\"github-*\": allow, jwt: redact}";
        redaction: Option<Redaction>, "`placeholder`, `fixed-length`", "`placeholder`", "how a secret is replaced; `fixed-length` cuts or fills the placeholder to the length of what it replaces", "fixed-length";
        partial_coverage: Option<Permission>, "`allow`, `deny`", "says nothing", "where not all could be looked into", "allow";
        max_body: Option<Spanned<String>>, "0–1TiB", "no limit", "the most bytes of a body, as sent", "10MiB";
        budget: Option<Spanned<Budget>>, "", "none", "how much each sandbox may send under this rule", "{window: 1h, requests: 100}";
        mode: Option<RuleMode>, "`enforce`, `monitor`", "`enforce`", "`monitor`: the rule decides nothing; what it would have denied or redacted passes, unless something else stops it, is audited under `would` and counted", "monitor";
        monitor_until: Option<Spanned<String>>, "RFC 3339", "–", "`monitor` until then, `enforce` from then on", "2027-01-31T08:00:00Z";
    }
}

part! {
    Budget (BUDGET at "rules[].budget.") {
        window: Option<Spanned<String>>, "1s–168h", "–", "no stretch of time of this length holds more; required", "1h";
        requests: Option<Spanned<u64>>, "0–", "no limit", "requests", "600";
        bytes: Option<Spanned<String>>, "0–1TiB", "no limit", "bytes of paths, headers and bodies that leave", "50MiB";
        new_hosts: Option<Spanned<u64>>, "0–1000", "no limit", "different hosts; a host that was reached within the window is not new", "20";
        new_host_bytes: Option<Spanned<String>>, "0–1TiB", "no limit", "bytes to any one host until it has been in use for as long as the window (without a pause as long)", "1MiB";
        opaque: Option<Spanned<String>>, "0–1TiB", "no limit", "bytes of host labels, path segments and values of the query that look made by chance, 16 characters or longer", "4KiB";
    }
}

/// All rows, part by part.
pub(crate) const PARTS: [&[Key]; 15] =
    [FILE, IDENTITY, CERTIFICATE, HOSTS, FINDINGS, HOMES, HOME, ONLY, PROVIDER_FETCH, GIT, PUSH, HISTORY, LIMITS, RULE, BUDGET];

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Permission {
    Allow,
    Deny,
}

impl From<Permission> for Action {
    fn from(permission: Permission) -> Action {
        if permission == Permission::Allow { Action::Allow } else { Action::Deny }
    }
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Open,
    Allowlist,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum RuleMode {
    Enforce,
    Monitor,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Signed {
    Required,
    Optional,
}

/// One name, or a list of them.
pub(super) struct Names(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Names, E> {
                Ok(Names(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The shipped list of hosts that take what anybody sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocklist {
    pub(super) paste: Vec<String>,
    pub(super) drop: Vec<String>,
    pub(super) tunnel: Vec<String>,
    pub(super) catcher: Vec<String>,
}
