"""For who pays: what a request costs, how much room is left, what grows."""

from panels import bars, build, distribution, lines, number, quantiles

# process_* is told by half of the world; these are the pods that are ours.
OURS_CPU = "rate(process_cpu_seconds_total{POD}[I]) and on (namespace, pod) portcullis_process_cpus"
SCANNER_CPU = "rate(process_cpu_seconds_total{POD}[I]) and on (namespace, pod) portcullis_streams_limit"
HITS = "sum(rate(portcullis_cache_hits_total{POD}[I]))"
MISSES = "sum(rate(portcullis_cache_misses_total{POD}[I]))"
FULL = [(0.8, "orange"), (0.9, "red")]

NOW = [
    number("CPUs in use", "Of scanners, certificates services and probes together.", "short", f"sum({OURS_CPU})", decimals=2),
    number(
        "CPU for a request",
        "Of the scanners, everything included.",
        "s",
        f"sum({SCANNER_CPU}) / sum(rate(portcullis_requests_total{{POD}}[I]))",
    ),
    number("Body bytes", "Body bytes judged a second.", "Bps", "sum(rate(portcullis_request_body_bytes_sum{POD}[I]))"),
    number(
        "Known already",
        "Of the reports that were asked for, the share that the cache had.",
        "percentunit",
        f"{HITS} / ({HITS} + {MISSES})",
        decimals=1,
    ),
    number(
        "Hosts with a certificate",
        "Names that gateways hold a certificate for.",
        "locale",
        "sum(portcullis_certificates_active{POD})",
        decimals=0,
    ),
    number(
        "Fullest bound",
        "Of all pods and of CPU, memory, held bytes and requests under way, how much is in use of the one that is fullest.",
        "percentunit",
        'max({__name__=~"namespace_pod:portcullis_(cpu:ratio_rate5m|memory:ratio|held:ratio|streams:ratio)", '
        'namespace=~"$namespace", pod=~"$pod"})',
        limits=FULL,
        decimals=1,
    ),
]

COST = [
    lines("CPU by pod", "CPUs in use.", "short", ("{{pod}}", f"sum by (pod) ({OURS_CPU})"), stacked=True, width=6),
    lines(
        "CPU for a request",
        "The scanners' CPU time over the requests judged.",
        "s",
        ("a request", f"sum({SCANNER_CPU}) / sum(rate(portcullis_requests_total{{POD}}[I]))"),
        width=6,
    ),
    lines(
        "CPU for a megabyte",
        "The scanners' CPU time over the megabytes of bodies: what requests without body cost is in it too.",
        "s",
        ("a megabyte", f"sum({SCANNER_CPU}) / (sum(rate(portcullis_request_body_bytes_sum{{POD}}[I])) / 1e6)"),
        width=6,
    ),
    lines(
        "Memory by pod",
        "Resident memory; of gateways what Envoy says itself.",
        "bytes",
        ("{{pod}}", "max by (pod) (process_resident_memory_bytes{POD} and on (namespace, pod) portcullis_process_cpus)"),
        ("{{pod}}", "max by (pod) (envoy_server_memory_physical_size{POD})"),
        stacked=True,
        width=6,
    ),
]

LOAD = [
    lines(
        "Requests by pod",
        "How evenly gateways spread requests over the scanners.",
        "reqps",
        ("{{pod}}", "sum by (pod) (rate(portcullis_requests_total{POD}[I]))"),
        stacked=True,
    ),
    lines(
        "Bytes through the gateway",
        "From sandboxes and to them, as they are in the tunnels.",
        "Bps",
        ("from sandboxes", 'sum(rate(envoy_http_downstream_cx_rx_bytes_total{POD, envoy_http_conn_manager_prefix=~"proxy|tunnel_.*"}[I]))'),
        ("to sandboxes", 'sum(rate(envoy_http_downstream_cx_tx_bytes_total{POD, envoy_http_conn_manager_prefix=~"proxy|tunnel_.*"}[I]))'),
    ),
    distribution(
        "Sizes of bodies",
        "How many requests have a body of about this size.",
        "bytes",
        "sum by (le) (increase(portcullis_request_body_bytes_bucket{POD}[I]))",
    ),
    lines(
        "Cache",
        "Reports that were known already, those that had to be made, and those that had to leave to make room.",
        "cps",
        ("known", HITS),
        ("made", MISSES),
        ("evicted", "sum(rate(portcullis_cache_evictions_total{POD}[I]))"),
    ),
    lines(
        "Under way",
        "Requests at the scanners, and at the gateways: tunnels last as long as their connections.",
        "short",
        ("scanners", "sum(portcullis_streams{POD})"),
        ("gateways", 'sum(envoy_http_downstream_rq_active{POD, envoy_http_conn_manager_prefix=~"tunnel_.*"})'),
        ("tunnels", 'sum(envoy_http_downstream_rq_active{POD, envoy_http_conn_manager_prefix="proxy"})'),
    ),
    lines(
        "Sizes of bodies, quantiles",
        "Of all requests, those without body included.",
        "bytes",
        *quantiles("portcullis_request_body_bytes", "{POD}"),
    ),
]

ROOM = [
    lines(
        "CPU in use",
        "Of what the pod may use.",
        "percentunit",
        ("{{pod}}", "namespace_pod:portcullis_cpu:ratio_rate5m{POD}"),
        limits=FULL,
        width=6,
    ),
    lines(
        "Memory in use",
        "Of what the pod may use.",
        "percentunit",
        ("{{pod}}", "namespace_pod:portcullis_memory:ratio{POD}"),
        limits=FULL,
        width=6,
    ),
    lines(
        "Held bytes",
        "What holds take of the memory budget (limits.memory of the policy), and that budget.",
        "bytes",
        ("{{pod}} held", "max by (pod) (portcullis_held_bytes{POD})"),
        ("{{pod}} budget", "max by (pod) (portcullis_held_bytes_limit{POD})"),
        width=6,
    ),
    bars(
        "Requests under way",
        "Of those that a scanner takes (--max-streams); more are refused.",
        "percentunit",
        ("{{pod}}", "namespace_pod:portcullis_streams:ratio{POD}"),
        limits=FULL,
        most=1,
        width=6,
    ),
    lines(
        "Waiting for a turn",
        "How long scans of 16 KiB and more wait for a core: the next one is the sandbox's that has computed least. Beyond three seconds they are sent away.",
        "s",
        *quantiles("portcullis_turn_wait_seconds", "{POD}"),
        width=6,
    ),
    lines(
        "How full the gateways are",
        "Heap and connections, of the bounds in envoy/envoy.yaml. At 95 % of the heap requests are refused.",
        "percent",
        ("{{pod}} heap", "max by (pod) (envoy_overload_envoy_resource_monitors_fixed_heap_pressure{POD})"),
        ("{{pod}} connections", "max by (pod) (envoy_overload_envoy_resource_monitors_global_downstream_max_connections_pressure{POD})"),
        limits=[(80, "orange"), (95, "red")],
        width=6,
    ),
    lines(
        "Refused for lack of room",
        "Requests that scanners refused, connections that gateways refused, names that had no room in the gateway's DNS cache.",
        "cps",
        (
            "at scanners",
            'sum(rate(portcullis_streams_refused_total{POD}[I])) + sum(rate(portcullis_requests_total{POD, reason="overloaded"}[I]))',
        ),
        ("at gateways", "sum(rate(envoy_listener_downstream_global_cx_overflow{POD}[I]))"),
        ("names", "sum(rate(envoy_dns_cache_egress_host_overflow{POD}[I]))"),
        width=6,
    ),
    lines(
        "Certificates",
        "Signed, pushed anew before they ended, and taken back from gateways to keep their memory bounded.",
        "cps",
        ("signed", "sum(rate(portcullis_certificates_minted_total{POD}[I]))"),
        ("renewed", "sum(rate(portcullis_certificates_renewed_total{POD}[I]))"),
        ("taken back", "sum(rate(portcullis_certificates_evicted_total{POD}[I]))"),
        width=6,
    ),
    lines(
        "Open files",
        "Of those that the process may have open.",
        "percentunit",
        ("{{pod}}", "max by (pod) (process_open_fds{POD} / process_max_fds{POD} and on (namespace, pod) portcullis_process_cpus)"),
        limits=FULL,
        width=6,
    ),
]

DASHBOARD = build(
    "portcullis-capacity",
    "Portcullis / Capacity",
    "What a request costs, how much room is left, what grows.",
    [("Now", NOW), ("Cost", COST), ("Load", LOAD), ("Room", ROOM)],
)
