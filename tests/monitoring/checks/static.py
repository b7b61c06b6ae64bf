"""What can be said without a gateway: rules, their unit tests, the runbook, the dashboards."""

import pathlib
import re
import subprocess
import sys
import tempfile

import boards
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yaml"))
TESTS = sorted((MONITORING / "tests").glob("*.yaml"))
RUNBOOK = "https://github.com/portcullis-gateway/portcullis/blob/main/docs/runbook.md#"
SECTION_PARTS = ["What it means", "What users see", "How to look", "What to do", "When to escalate"]


def check(report):
    report.hold("what is generated is what its source makes", tool(sys.executable, "-B", MONITORING / "generate", "--check"))
    report.hold("promtool check rules", tool("promtool", "check", "rules", *RULES))
    alerts = [rule for rule in rules() if "alert" in rule]
    for name in sorted({alert["alert"] for alert in alerts}):
        report.hold(f"alert {name} is complete", *[mistake for a in alerts if a["alert"] == name for mistake in incomplete(a)])
    tested(report, alerts)
    runbook(report, {alert["alert"] for alert in alerts})
    boards.check(report)
    documented(report)


def documented(report):
    """What docs/observability.md tells people to give Prometheus, Prometheus takes."""
    page = ROOT / "docs" / "observability.md"
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        for number, block in enumerate(blocks):
            file = pathlib.Path(folder) / f"{number}.yml"
            # Debian's Prometheus is built without Kubernetes.
            file.write_text(re.sub(r"^ *kubernetes_sd_configs: .*\n", "", block, flags=re.MULTILINE))
            report.hold("the configuration in docs/observability.md is one", tool("promtool", "check", "config", "--syntax-only", file))


def rules():
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def tool(*command):
    """What a command says if it fails."""
    return outcome(begun(*command))


def begun(*command):
    """A command that runs on its own."""
    try:
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as error:
        raise SystemExit(f"{error}; tests/setup installs it") from error


def outcome(process):
    """What it said if it failed."""
    said, _ = process.communicate(timeout=180)
    return said.strip() if process.returncode else ""


def incomplete(alert):
    """An alert says how bad it is, what happens, how much of it, and where to read on."""
    notes = alert.get("annotations", {})
    if alert.get("labels", {}).get("severity") not in ("critical", "warning"):
        yield "severity is neither critical nor warning"
    if not notes.get("summary", "").endswith("."):
        yield "its summary is no sentence"
    if "{{ $value" not in notes.get("description", ""):
        yield "its description does not show {{ $value }}"
    if notes.get("runbook_url") != RUNBOOK + alert["alert"].lower():
        yield "runbook_url is not its section of docs/runbook.md"


def tested(report, alerts):
    """Each alert, in each of its severities, is seen firing; and each is seen silent while there is data."""
    fires, silent = set(), set()
    for path in TESTS:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for one in case.get("alert_rule_test", []):
                expected = one["exp_alerts"]
                fires |= {(one["alertname"], alert["exp_labels"]["severity"]) for alert in expected}
                silent |= set() if expected else {one["alertname"]}
    all_alerts = {(alert["alert"], alert["labels"]["severity"]) for alert in alerts}
    report.hold("each alert is tested to fire", *[f"no test of {name} ({severity})" for name, severity in sorted(all_alerts - fires)])
    report.hold("each alert is tested to be silent", *[f"no test of {name}" for name in sorted({name for name, _ in all_alerts} - silent)])


def runbook(report, names):
    """One section for each alert, and no other; each has all its parts."""
    path = ROOT / "docs" / "runbook.md"
    sections = re.split(r"^## ", path.read_text(), flags=re.MULTILINE)[1:] if path.is_file() else []
    told = {section.split("\n", 1)[0].strip(): section for section in sections}
    about = {name: text for name, text in told.items() if name.startswith("Portcullis")}
    report.hold("each alert has a section in docs/runbook.md", *[f"{name} has none" for name in sorted(names - about.keys())])
    report.hold("each section of docs/runbook.md is about an alert", *[f"there is no {name}" for name in sorted(about.keys() - names)])
    for name, text in sorted(about.items()):
        missing = [part for part in SECTION_PARTS if f"**{part}.**" not in text]
        report.hold(f"section {name} is complete", *[f"it has no part “{part}”" for part in missing])
