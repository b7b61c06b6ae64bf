"""The page docs/failure-modes.md, from what tests/e2e/tests/matrix.rs observed (JSON lines)."""

import datetime
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from measured import machine, revision  # noqa: E402

BODIES = ["none", "small", "large", "streaming"]
MODES = ["fail-closed", "fail-open"]


def size(count):
    return f"{count:,} B"


def client(cell):
    """What the client saw, and after how long."""
    seconds = cell["milliseconds"] / 1000
    told = "cut" if cell["status"] is None else str(cell["status"])
    if cell["marked"]:
        told += " marked"
    return f"{told} in {seconds:.2f} s" if seconds < 1 else f"{told} in {seconds:.1f} s"


def origin(cell):
    """What arrived, and how much of it nobody had let pass."""
    if cell["origin_requests"] == 0:
        return "origin 0 B"
    arrived = size(cell["origin_bytes"])
    if cell["unscanned_requests"] or cell["unscanned_bytes"]:
        if cell["unscanned_bytes"] == cell["origin_bytes"]:
            return f"{arrived} unscanned"
        return f"{arrived}, of these {size(cell['unscanned_bytes'])} unscanned"
    return f"{arrived} scanned"


def counted(cell):
    names = [
        ("failed_open", "failed open"),
        ("without_verdict", "no verdict"),
        ("streams_failed", "stream failed"),
        ("message_timeouts", "timeout"),
        ("audited", "audited"),
        ("audit_lost", "audit lost"),
    ]
    said = [name if cell[key] == 1 else f"{cell[key]} {name}" for key, name in names if cell[key]]
    return ", ".join(said)


def table(cells):
    at, faults = {}, []
    for cell in sorted(cells, key=lambda cell: cell["place"]):
        at[cell["fault"], cell["mode"], cell["body"]] = cell
        if cell["fault"] not in faults:
            faults.append(cell["fault"])
    yield "| fault | mode | " + " | ".join(BODIES) + " |"
    yield "|---" * (2 + len(BODIES)) + "|"
    for fault in faults:
        for mode in MODES:
            row = [fault, mode]
            for body in BODIES:
                cell = at.get((fault, mode, body))
                parts = [client(cell), origin(cell), counted(cell)] if cell else ["–"]
                row.append(" · ".join(part for part in parts if part))
            yield "| " + " | ".join(row) + " |"


def summary(cells):
    word = "scanner ends the stream cleanly after a release"
    closed = [cell for cell in cells if cell["mode"] == "fail-closed"]
    held = [cell for cell in closed if cell["fault"] != word]
    unscanned = sum(cell["unscanned_bytes"] for cell in held)
    passed = [cell for cell in cells if cell["mode"] == "fail-open" and cell["unscanned_requests"]]
    answered = [cell for cell in passed if cell["status"] == 200]
    marked = [cell for cell in answered if cell["marked"]]
    requests = sum(cell["unscanned_requests"] for cell in passed)
    counted = sum(cell["without_verdict"] for cell in passed)
    slowest = max(cell["milliseconds"] for cell in cells) / 1000
    yield (
        f"{len(cells)} cells. Fail-closed: {len(closed)}; unscanned bytes at the origin, but for the row \"{word}\": {unscanned}. "
        f"Fail-open: {requests} requests passed unscanned, {counted} counted; of the {len(answered)} of them that the origin answered, {len(marked)} marked. "
        f"The longest wait of a client: {slowest:.1f} s."
    )


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        cells = [json.loads(line) for line in lines]
    today = datetime.datetime.now(datetime.timezone.utc).date()
    print(HERE.joinpath("failure-modes.head.md").read_text().rstrip())
    print()
    print(f"Run on {today} at revision `{revision()}`, {machine()}, Envoy 1.40.0.")
    print()
    print("\n".join(summary(cells)))
    print()
    print("\n".join(table(cells)))


main()
