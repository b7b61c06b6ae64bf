"""For who looks at findings: what was found, where it would have gone, what could not be seen, and whether there is a way around."""

from panels import bars, build, lines, number, rows

REASONS = 'sum by (reason) (rate(portcullis_requests_total{POD, reason=~"%s"}[I])) > 0'

NOW = [
    number(
        "Secrets stopped",
        "Findings that were denied or redacted in the time shown.",
        "locale",
        'sum(increase(portcullis_findings_total{POD, action=~"deny|redact"}[$__range]))',
        decimals=0,
    ),
    number(
        "Credentials at home",
        "Findings that were let through, nearly all because they travel to the host that they are for.",
        "locale",
        'sum(increase(portcullis_findings_total{POD, action="allow"}[$__range]))',
        decimals=0,
    ),
    number(
        "On the wrong way",
        "Requests denied because a credential travelled elsewhere than home, or was not one of ours.",
        "locale",
        'sum(increase(portcullis_requests_total{POD, reason=~"credential_misdirected|credential_foreign|tenant_foreign"}[$__range]))',
        limits=[(1, "orange")],
        decimals=0,
    ),
    number(
        "Partly unseen",
        "Of the requests judged, the share that could not be looked into as a whole.",
        "percentunit",
        "sum(rate(portcullis_partial_coverage_total{POD}[I])) / sum(rate(portcullis_requests_total{POD}[I]))",
        limits=[(0.02, "orange")],
        decimals=1,
    ),
    number(
        "Left unscanned",
        "Requests that passed unscanned in the time shown, because the scanner did not answer and the gateway is fail-open.",
        "locale",
        'sum(increase(envoy_http_rbac_shadow_denied{NS, envoy_rbac_http_prefix="verdict_"}[$__range]))',
        limits=[(1, "red")],
        decimals=0,
    ),
    number(
        "Ways around",
        "Ways out that the escape probe found open in its last run.",
        "locale",
        "max(portcullis_probe_escapes{NS})",
        limits=[(1, "red")],
        decimals=0,
    ),
]

FINDINGS = [
    lines(
        "Findings by detector",
        "The ten detectors that found most.",
        "cps",
        ("{{detector}}", "topk(10, sum by (detector) (rate(portcullis_findings_total{POD}[I])) > 0)"),
        stacked=True,
        width=12,
    ),
    lines(
        "Findings by what was done",
        "allow: it was at home, or policy lets it pass. redact: replaced by a placeholder. deny: the request was stopped.",
        "cps",
        ("{{action}}", "sum by (action) (rate(portcullis_findings_total{POD}[I]))"),
        stacked=True,
        width=6,
    ),
    bars(
        "Most found in the time shown",
        "By detector and what was done.",
        "short",
        ("{{detector}} {{action}}", "topk(10, sum by (detector, action) (increase(portcullis_findings_total{POD}[$__range])) > 0)"),
        width=6,
    ),
]

REFUSALS = [
    lines(
        "Secrets and credentials",
        "Denials because of what was found: a secret, or a credential on the wrong way.",
        "reqps",
        ("{{reason}}", REASONS % "secret_found|redaction_impossible|credential_(misdirected|foreign)|tenant_foreign"),
        stacked=True,
    ),
    lines(
        "Destinations",
        "Denials because of where it would have gone.",
        "reqps",
        ("{{reason}}", REASONS % "host_.*|ip_literal|private_address|port_not_allowed|method_not_allowed|upgrade_not_allowed"),
        stacked=True,
    ),
    lines(
        "What providers were told to fetch",
        "Requests to language models whose provider would have gone where the sandbox may not.",
        "reqps",
        ("{{reason}}", REASONS % "provider_fetch_denied"),
        stacked=True,
    ),
    lines(
        "Rules and budgets",
        "Denials by a rule of the policy, or because a budget is used up.",
        "reqps",
        ("{{reason}}", REASONS % "rule_.*|rate_limited|volume_exceeded|too_many_hosts|body_too_large|ambiguous_request|git_.*"),
        stacked=True,
    ),
    lines(
        "Who is not known",
        "Requests without credentials where they are needed, and with credentials that are nobody's.",
        "reqps",
        ("{{reason}}", REASONS % "identity_.*"),
        stacked=True,
    ),
    lines(
        "Refused by the gateway itself",
        "Tunnels that carry another host than they were opened for, and names that resolve to addresses inside.",
        "cps",
        ("fronting", 'sum(rate(envoy_http_rbac_denied{NS, envoy_rbac_http_prefix="fronting_"}[I]))'),
        ("address inside", "sum(rate(envoy_dns_cache_egress_dns_address_filter_out{NS}[I]))"),
        stacked=True,
    ),
]

SIGHT = [
    lines(
        "Could not be looked into",
        "Requests with partial coverage, by what was in the way.",
        "reqps",
        ("{{gap}}", "sum by (gap) (rate(portcullis_partial_coverage_total{POD}[I]))"),
        stacked=True,
    ),
    lines(
        "What watching rules would have done",
        "Rules in monitor mode decide nothing: this is what they would stop once they are enforced.",
        "reqps",
        ("{{verdict}} {{reason}}", "sum by (verdict, reason) (rate(portcullis_monitored_total{POD}[I]))"),
        stacked=True,
    ),
    lines(
        "Groups",
        "Denied and redacted requests by group of the policy; a sandbox in several groups counts in each.",
        "reqps",
        ("{{group}} {{verdict}}", 'sum by (group, verdict) (rate(portcullis_group_requests_total{POD, verdict!="allow"}[I]))'),
        stacked=True,
    ),
]

STRANGERS = [
    lines(
        "TLS at our own services",
        "Handshakes at scanners and certificates services that were refused: whoever is no peer, or a peer whose certificate has ended.",
        "cps",
        ("{{pod}} {{result}}", 'sum by (pod, result) (rate(portcullis_tls_handshakes_total{POD, result!="ok"}[I]))'),
        stacked=True,
    ),
    lines(
        "Server names refused",
        "Names that sandboxes asked a certificate for and did not get: none, an address, or what is no host name.",
        "cps",
        ("{{reason}}", "sum by (reason) (rate(portcullis_certificates_refused_total{POD}[I]))"),
        stacked=True,
    ),
    lines(
        "Tunnels that are neither TLS nor HTTP",
        "Closed by the gateway: SSH, databases, anything else.",
        "cps",
        ("closed", 'sum(rate(envoy_listener_no_filter_chain_match{NS, envoy_listener_address="envoy_internal_inner"}[I]))'),
    ),
]

PROBE = [
    lines(
        "Checks of the escape probe",
        "By result of the last run. blocked is what should be.",
        "short",
        ("{{result}}", "sum by (result) (portcullis_probe_checks{NS})"),
        stacked=True,
    ),
    rows(
        "Checks that were not blocked",
        "escaped: a sandbox can do this. failed: it could not be tried.",
        "short",
        ("", 'max by (pod, check, result) (portcullis_probe_check{NS, result!="blocked"} > 0)'),
        width=10,
    ),
    number(
        "Since the last run",
        "How long ago the probe ran last.",
        "s",
        "time() - max(portcullis_probe_last_run_timestamp_seconds{NS})",
        limits=[(3600, "orange")],
        width=6,
        height=8,
    ),
]

DASHBOARD = build(
    "portcullis-security",
    "Portcullis / Security",
    "What was found, where it would have gone, what could not be seen, and whether there is a way around.",
    [("Now", NOW), ("Findings", FINDINGS), ("Refused", REFUSALS), ("Sight", SIGHT), ("Strangers", STRANGERS), ("Ways around", PROBE)],
)
