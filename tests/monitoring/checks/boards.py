"""The dashboards: their form, and the queries behind their panels."""

import json
import pathlib
import re

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "components" / "monitoring" / "dashboards"
NAMES = ["overview", "security", "capacity"]
COLUMNS = 24


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board):
    """Every query: its panel, the query as it is, and whether it is asked for a moment only."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel, target


def substituted(expr, interval, span):
    """A query as Grafana would ask it with everything chosen."""
    values = {"$__rate_interval": interval, "$__range": span, "$namespace": ".*", "$pod": ".*"}
    for variable, value in values.items():
        expr = expr.replace(variable, value)
    return expr


def check(report):
    uids = set()
    for name in NAMES:
        board = load(name)
        uids.add(board["uid"])
        read = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
        report.hold(f"dashboard {name} is of Grafana's schema, as its SDK reads it", *differences("", board, read))
        wanted = {"datasource", "namespace", "pod"}
        report.hold(f"dashboard {name} has its variables", *(wanted - {v["name"] for v in board["templating"]["list"]}))
        report.hold(f"panels of {name} are complete", *[m for panel in panels(board) for m in incomplete(panel)])
        report.hold(f"panels of {name} lie beside each other", *overlaps(board["panels"]))
        report.hold(f"queries of {name} use no variable that is not there", *[u for _, t in queries(board) for u in unknown(t["expr"])])
    report.hold("each dashboard has a uid of its own", *([] if len(uids) == len(NAMES) else ["a uid is used twice"]))


def differences(path, a, b):
    """What the SDK's types do not keep of a dashboard is nothing that they know."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from differences(f"{path}/{key}", a.get(key), b.get(key))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b)):
            yield from differences(f"{path}/{index}", x, y)
    elif a != b:
        yield f"{path}: {a!r} is read as {b!r}"


def incomplete(panel):
    title = panel.get("title") or f"panel {panel.get('id')}"
    if not panel.get("title"):
        yield f"{title} has no title"
    if not panel.get("description", "").endswith("."):
        yield f"{title}: its description is no sentence"
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield f"{title} has no unit"
    if panel.get("datasource", {}).get("uid") != "$datasource":
        yield f"{title} does not use the chosen data source"
    letters = [target["refId"] for target in panel["targets"]]
    if not letters or len(letters) != len(set(letters)):
        yield f"{title}: no query, or two of one name"


def overlaps(all_panels):
    taken = {}
    for panel in all_panels:
        pos = panel["gridPos"]
        if pos["x"] + pos["w"] > COLUMNS:
            yield f"{panel['title']} is too wide"
        for cell in ((x, y) for x in range(pos["x"], pos["x"] + pos["w"]) for y in range(pos["y"], pos["y"] + pos["h"])):
            if cell in taken:
                yield f"{panel['title']} lies over {taken[cell]}"
                break
            taken[cell] = panel["title"]


def unknown(expr):
    known = {"namespace", "pod", "__rate_interval", "__range"}
    return [f"${name} in {expr}" for name in re.findall(r"\$(\w+)", expr) if name not in known]
