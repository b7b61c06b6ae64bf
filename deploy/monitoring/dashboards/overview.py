"""For the one on call: does traffic pass, is it looked at, is there room."""

from panels import bars, build, lines, number, quantiles, rows

DAY = 86400
UNJUDGED = """
(sum(rate(envoy_http_ext_proc_streams_failed{NS}[I])) + sum(rate(envoy_http_ext_proc_message_timeouts{NS}[I]))
+ sum(rate(envoy_http_rbac_denied{NS, envoy_rbac_http_prefix="verdict_"}[I])))
/ sum(rate(envoy_http_downstream_rq_total{NS, envoy_http_conn_manager_prefix=~"proxy|tunnel_.*"}[I]))"""

NOW = [
    number("Requests", "Requests judged a second.", "reqps", "sum(rate(portcullis_requests_total{POD}[I]))"),
    number(
        "Denied",
        "Of the requests judged, the share that was denied.",
        "percentunit",
        'sum(rate(portcullis_requests_total{POD, verdict="deny"}[I])) / sum(rate(portcullis_requests_total{POD}[I]))',
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
        "Without a verdict",
        "Of the requests that reached the gateway, the share that the scanner did not judge. The objective is 0.1 %.",
        "percentunit",
        UNJUDGED,
        limits=[(0.001, "orange"), (0.01, "red")],
        decimals=2,
    ),
    number(
        "Healthy scanners",
        "Scanners that the gateway with the fewest sees healthy.",
        "locale",
        'min(envoy_cluster_membership_healthy{NS, envoy_cluster_name="scanner"})',
        decimals=0,
    ),
    number(
        "Slowest percent",
        "Requests without body: 99 % take the scanner less than this. The objective is 10 ms.",
        "s",
        'histogram_quantile(0.99, sum by (le) (rate(portcullis_scan_duration_seconds_bucket{POD, body="no"}[I])))',
        limits=[(0.01, "orange"), (0.1, "red")],
    ),
]

TRAFFIC = [
    lines(
        "Requests by verdict",
        "What the scanners decided.",
        "reqps",
        ("{{verdict}}", "sum by (verdict) (rate(portcullis_requests_total{POD}[I]))"),
        stacked=True,
    ),
    lines(
        "Denied by reason",
        "Why requests were denied; docs/denials.md explains each word.",
        "reqps",
        ("{{reason}}", 'topk(10, sum by (reason) (rate(portcullis_requests_total{POD, verdict="deny"}[I])) > 0)'),
        stacked=True,
    ),
    lines(
        "Answers of the gateway",
        "By class of status, as sandboxes see them: those of upstreams, denials (4xx) and failures (5xx).",
        "reqps",
        (
            "{{envoy_response_code_class}}xx",
            """sum by (envoy_response_code_class) (
            rate(envoy_http_downstream_rq_xx{NS, envoy_http_conn_manager_prefix=~"proxy|tunnel_.*"}[I]))""",
        ),
        stacked=True,
    ),
]

LATENCY = [
    lines(
        "Scanning, without body",
        "Time the scanner is busy with a request. The objective is 10 ms for 99 %.",
        "s",
        *quantiles("portcullis_scan_duration_seconds", '{POD, body="no"}'),
        limits=[(0.01, "red")],
    ),
    lines(
        "Scanning, with body",
        "Time the scanner is busy with a request; waiting for its bytes is not counted.",
        "s",
        *quantiles("portcullis_scan_duration_seconds", '{POD, body="yes"}'),
    ),
    lines(
        "Whole requests",
        "From the first byte of a request to the last of its answer, upstream included; not CONNECT.",
        "ms",
        *quantiles("envoy_http_downstream_rq_time", '{NS, envoy_http_conn_manager_prefix=~"tunnel_.*"}'),
    ),
]

ERRORS = [
    lines(
        "What went wrong between gateway and scanner",
        "Passed unscanned (fail-open); streams that failed; answers that did not come in time; streams that ended without a verdict.",
        "reqps",
        ("passed unscanned", 'sum(rate(envoy_http_rbac_shadow_denied{NS, envoy_rbac_http_prefix="verdict_"}[I]))'),
        ("stream failed", "sum(rate(envoy_http_ext_proc_streams_failed{NS}[I]))"),
        ("no answer in time", "sum(rate(envoy_http_ext_proc_message_timeouts{NS}[I]))"),
        ("no verdict", 'sum(rate(envoy_http_rbac_denied{NS, envoy_rbac_http_prefix="verdict_"}[I]))'),
    ),
    lines(
        "How fast the budgets of errors burn",
        "1: the month's budget lasts exactly a month. 14.4 for an hour wakes somebody up.",
        "none",
        ("availability", "max(namespace:portcullis_unjudged:ratio_rate1h{NS}) / 0.001"),
        ("latency", "max(namespace:portcullis_slow:ratio_rate1h{NS}) / 0.01"),
        limits=[(1, "orange"), (14.4, "red")],
    ),
    rows(
        "Alerts",
        "What fires now, and how many times; docs/runbook.md has a section for each.",
        "short",
        ("", 'count by (alertname, severity) (ALERTS{alertname=~"Portcullis.*", alertstate="firing"})'),
    ),
]

HEALTH = [
    lines(
        "Scanners of each gateway",
        "Those that it knows, and those of them that answer its health checks.",
        "short",
        ("{{pod}} healthy", 'max by (pod) (envoy_cluster_membership_healthy{POD, envoy_cluster_name="scanner"})'),
        ("{{pod}} known", 'max by (pod) (envoy_cluster_membership_total{POD, envoy_cluster_name="scanner"})'),
        width=6,
    ),
    lines(
        "Gateways and the certificates service",
        "1: connected. 0: hosts that the gateway has no certificate for yet cannot be reached.",
        "short",
        ("{{pod}}", "max by (pod) (envoy_control_plane_connected_state{POD})"),
        width=6,
    ),
    lines(
        "How full the scanners are",
        "CPU of what the pod may use, held bytes of the memory budget, requests under way of those taken: the fullest pod of each.",
        "percentunit",
        ("CPU", "max(namespace_pod:portcullis_cpu:ratio_rate5m{POD})"),
        ("held bytes", "max(namespace_pod:portcullis_held:ratio{POD})"),
        ("under way", "max(namespace_pod:portcullis_streams:ratio{POD})"),
        limits=[(0.8, "orange"), (0.9, "red")],
        most=1,
        width=6,
    ),
    lines(
        "Of one mind",
        "Versions that run, and sets of policy and detectors that scanners decide by. One of each is right; more for long is skew.",
        "short",
        ("versions", "count(count by (version) (portcullis_build_info{NS}))"),
        ("policies", "count(count by (policy, engine) (portcullis_policy_info{NS}))"),
        width=6,
    ),
    bars(
        "Files in force",
        "1: what the files say now is in force. 0: they could not be read, and the old ones stay.",
        "short",
        ("{{pod}} {{what}}", "min by (pod, what) (portcullis_last_reload_successful{POD})"),
        limits=[(1, "green")],
        first="red",
        most=1,
    ),
    bars(
        "Certificates end in",
        "The CA that sandboxes trust, and the certificates by which our services know each other.",
        "s",
        ("CA of {{pod}}", "min by (pod) (portcullis_certificates_ca_expiry_timestamp_seconds{POD}) - time()"),
        ("{{pod}}", "min by (pod) (portcullis_tls_certificate_expiry_timestamp_seconds{POD}) - time()"),
        limits=[(DAY, "orange"), (5 * DAY, "green")],
        first="red",
        most=30 * DAY,
    ),
    lines(
        "Policy was loaded",
        "How long ago, by scanner.",
        "s",
        ("{{pod}}", "time() - max by (pod) (portcullis_policy_loaded_timestamp_seconds{POD})"),
    ),
]

DASHBOARD = build(
    "portcullis-overview",
    "Portcullis / Overview",
    "Does traffic pass, is it looked at, is there room. For the one on call.",
    [("Now", NOW), ("Traffic", TRAFFIC), ("Latency", LATENCY), ("Errors", ERRORS), ("Health", HEALTH)],
)
