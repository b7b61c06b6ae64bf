"""The dashboards and rules against a real Prometheus that watches the real gateway under real traffic."""

import contextlib
import math
import tempfile
import time

import boards
import names
from gateway import Gateway, Replica
from outside import Outside
from processes import until
from prometheus import Prometheus
from sandbox import Cage, Probe
from static import RULES, rules
from traffic import Traffic

# Queries that are well when they say nothing but zero, by panel and legend.
CALM = {
    ("What went wrong between gateway and scanner", "no verdict"),
    ("What went wrong between gateway and scanner", "no answer in time"),
    ("How fast the budgets of errors burn", "latency"),
    ("Refused for lack of room", "at scanners"),
    ("Refused for lack of room", "at gateways"),
    ("Refused for lack of room", "names"),
    ("Cache", "evicted"),
    ("Certificates", "renewed"),
    ("Certificates", "taken back"),
    ("Ways around", ""),
    ("Sizes of bodies, quantiles", "p50"),
    ("How full the gateways are", "{{pod}} heap"),
    ("How full the gateways are", "{{pod}} connections"),
}
# How long traffic flows, and when in it the scanner stands still.
BEFORE, STILL, AFTER = 14, 7, 14
# A picture of more than that is nicer to look at.
FOR_PICTURES = 4
# One run of the probe takes some time; its figures must be there when the queries are asked.
PROBED_WITHIN = 45


def check(report, binary, pictures):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="portcullis-monitoring-"))

        def started(part):
            stack.callback(part.stop)
            return part

        outside, cage = Outside(folder), started(Cage())
        gateway = started(Gateway(binary, folder, outside, cage.here))
        replica = started(Replica(binary, folder, gateway))
        probe = started(Probe(binary, cage, gateway))
        # Labels as the PodMonitors of deploy/components/monitoring give them.
        ours, theirs = ("portcullis", "portcullis/portcullis"), ("portcullis-sandboxes", "portcullis-sandboxes/portcullis-probe")
        targets = [
            (gateway.scanner, "/metrics", *ours, "portcullis-scanner-0"),
            (replica.metrics, "/metrics", *ours, "portcullis-scanner-1"),
            (gateway.certificates, "/metrics", *ours, "portcullis-certificates-0"),
            (gateway.bridge.server_address, "/stats/prometheus", "portcullis", "portcullis/portcullis-gateway", "portcullis-gateway-0"),
            (probe.address, "/metrics", *theirs, "portcullis-probe-0"),
        ]
        prometheus = started(Prometheus(folder, targets, RULES))
        until("all targets", lambda: prometheus.value("count(up == 1)") == len(targets))
        begin, end = busy(gateway, replica, prometheus, FOR_PICTURES if pictures else 1)
        walk(report, prometheus, begin, end)
        names.check(report, targets)
        if pictures:
            import draw

            draw.all_boards(prometheus, begin, end)


def busy(gateway, replica, prometheus, longer):
    """Traffic, with a scanner that stands still in the middle of it: from when to when."""
    begin = time.time()
    traffic = Traffic(gateway)
    try:
        time.sleep(BEFORE * longer)
        with gateway.frozen("scanner"):
            time.sleep(STILL)
        replica.knock()
        time.sleep(AFTER * longer)
        until("a run of the probe", lambda: prometheus.value("max(portcullis_probe_last_run_timestamp_seconds)"), PROBED_WITHIN)
        return begin, time.time()
    finally:
        traffic.stop()


def walk(report, prometheus, begin, end):
    """Every recording rule and every query of every panel has data behind it."""
    for rule in rules():
        if "record" in rule:
            report.hold(f"{rule['record']} has data", no_data(prometheus, rule["record"], begin, end))
    there = set()
    for name in boards.NAMES:
        for panel, target in boards.queries(boards.load(name)):
            query = boards.substituted(target["expr"], "10s", f"{round(end - begin)}s")
            legend = target.get("legendFormat", "")
            there.add((panel["title"], legend))
            calm = (panel["title"], legend) in CALM
            what = f"{name}: {panel['title']}: {legend or target['refId']}"
            report.hold(f"{what} has data", no_data(prometheus, query, begin, end, calm))
    report.hold("what may be zero is there", *[f"no panel has {query}" for query in sorted(CALM - there)])


def no_data(prometheus, query, begin, end, calm=True):
    """What is wrong with what a query gave in that time; nothing, if there was a value, and unless `calm` one that is not zero."""
    try:
        found = prometheus.over(query, begin, end)
    except ValueError as error:
        return f"{query}: {error}"
    values = [float(value) for _, points in found for _, value in points]
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return f"{query}: nothing"
    return "" if calm or any(values) else f"{query}: only zeros"
