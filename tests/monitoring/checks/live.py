"""The dashboards and rules against a real Prometheus that watches the real gateway under real traffic."""

import math
import tempfile
import time

import boards
from gateway import Gateway, until
from outside import Outside
from prometheus import Prometheus
from static import RULES, rules
from traffic import Traffic

# Queries that are well when they say nothing but zero, by panel and legend.
CALM = {
    ("What went wrong between gateway and scanner", "no verdict"),
    ("Refused for lack of room", "at scanners"),
    ("Refused for lack of room", "at gateways"),
    ("Refused for lack of room", "names"),
    ("Cache", "evicted"),
    ("Certificates", "renewed"),
    ("Certificates", "taken back"),
    ("Ways around", ""),
    ("Held bytes", "{{pod}} held"),
    ("How full the gateways are", "{{pod}} heap"),
    ("How full the gateways are", "{{pod}} connections"),
}
# How long traffic flows, and when in it the scanner stands still.
BEFORE, STILL, AFTER = 14, 6, 14


def check(report, binary, pictures):
    with tempfile.TemporaryDirectory(prefix="portcullis-monitoring-") as folder:
        outside = Outside(folder)
        gateway = Gateway(binary, folder, outside)
        try:
            watch(report, gateway, folder, pictures)
        finally:
            gateway.stop()


def watch(report, gateway, folder, pictures):
    targets = [
        (gateway.scanner, "/metrics", "portcullis/portcullis", "portcullis", "portcullis-scanner-0"),
        (gateway.certificates, "/metrics", "portcullis/portcullis", "portcullis", "portcullis-certificates-0"),
        (gateway.bridge.server_address, "/stats/prometheus", "portcullis/portcullis-gateway", "portcullis", "portcullis-gateway-0"),
    ]
    prometheus = Prometheus(folder, targets, RULES)
    try:
        until("all targets", lambda: [v for _, [v] in prometheus.now("count(up == 1)")][-1:] and int(prometheus.now("count(up == 1)")[0][1][0][1]) == len(targets))
        begin = time.time()
        traffic = Traffic(gateway)
        time.sleep(BEFORE)
        with gateway.frozen("scanner"):
            time.sleep(STILL)
        time.sleep(AFTER)
        end = time.time()
        walk(report, prometheus, begin, end)
        traffic.stop()
        print({deed: seen for deed, seen in sorted(traffic.statuses.items())})
    finally:
        prometheus.stop()


def walk(report, prometheus, begin, end):
    """Every recording rule and every query of every panel has data behind it."""
    for rule in rules():
        if "record" in rule:
            report.hold(f"{rule['record']} has data", no_data(prometheus, rule["record"], False, begin, end))
    for name in boards.NAMES:
        for panel, target in boards.queries(boards.load(name)):
            query = boards.substituted(target["expr"], "10s", f"{round(end - begin)}s")
            what = f"{name}: {panel['title']}: {target.get('legendFormat') or target['refId']}"
            calm = (panel["title"], target.get("legendFormat", "")) in CALM
            report.hold(f"{what} has data", no_data(prometheus, query, target.get("instant"), begin, end, calm))


def no_data(prometheus, query, instant, begin, end, calm=True):
    """What is wrong with what a query gives; nothing, if there is a value, and unless `calm` one that is not zero."""
    try:
        found = prometheus.now(query) if instant else prometheus.over(query, begin, end)
    except ValueError as error:
        return f"{query}: {error}"
    values = [float(value) for _, points in found for _, value in points]
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return f"{query}: nothing"
    return "" if calm or any(values) else f"{query}: only zeros"
