"""docs/observability.md lists what the services tell, and nothing else: name, type and labels."""

import pathlib
import re
import urllib.request

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "observability.md"
ROW = re.compile(r"^\| `((?:portcullis|process)_\w+)` \| (counter|gauge|histogram) \| ([^|]*) \| ([^|]*\S) \|$", re.MULTILINE)
# Only where it is configured: a Redis server, groups of the policy.
OPTIONAL = {"portcullis_shared_state_up", "portcullis_shared_state_errors_total", "portcullis_shared_state_exchanges_total"}
# Of the text format, not of the metric.
OF_HISTOGRAMS = {"le"}


def check(report, targets):
    told = {}
    for (host, port), path, _, _, pod in targets:
        if path == "/metrics":
            read(urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10).read().decode(), told)
    text = PAGE.read_text() if PAGE.is_file() else ""
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in ROW.findall(text)}
    report.hold("every metric is in docs/observability.md", *[f"{name} is not" for name in sorted(told.keys() - listed.keys())])
    missing = listed.keys() - told.keys() - OPTIONAL
    report.hold("docs/observability.md names no metric that is not there", *[f"nobody tells {name}" for name in sorted(missing)])
    for name in sorted(told.keys() & listed.keys()):
        kind, labels = told[name]
        wrong = [] if (kind, labels) == listed[name] else [f"it is a {kind} with {sorted(labels)}, not a {listed[name]}"]
        report.hold(f"{name} is what docs/observability.md says", *wrong)


def read(text, told):
    """Adds the families of a page in the text format: type and names of labels."""
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        labels = told.setdefault(name, (kind, set()))[1]
        for inside in re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*)\}} ", text, re.MULTILINE):
            labels |= set(re.findall(r'(\w+)="', inside)) - OF_HISTOGRAMS
