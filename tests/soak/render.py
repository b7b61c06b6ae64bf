"""The page docs/soak.md, from what tests/e2e/tests/soak.rs recorded (JSON)."""

import datetime
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from measured import machine, revision  # noqa: E402

# Below this slopes are not asserted (tests/e2e/tests/soak/plan.rs).
BOUNDED = 30


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def number(count):
    return f"{count:,}"


def summary(run):
    total = run["total"]
    rate = total["requests"] / (60 * run["minutes"])
    faults = sum(one["times"] for one in run["faults"])
    yield (
        f"{run['minutes']:.1f} minutes, {number(total['requests'])} requests ({rate:.0f} a second), {run['bytes'] / 2**20:,.0f} MiB at the origin, "
        f"{faults} faults, {number(run['secrets'])} secrets sent. Wrong: {total['wrong']}."
    )


def balance(total):
    rows = [
        ("requests that passed, as the scanners count", total["passed_counted"], "their counters; of killed ones their files"),
        ("the same on record", total["passed_records"], "audit records `allow` and `redact`"),
        ("whole requests, as the origin counts", total["arrived"], ""),
        ("answers with 2xx, as clients count", total["passed_clients"], ""),
        ("passed the scanner, refused by Envoy for the address behind their name", total["inside"], ""),
        ("passed a scanner and did not arrive as a whole", total["passed_and_lost"], "a scanner was killed"),
        ("arrived as a whole, record gone with its scanner", total["arrived_unrecorded"], "a scanner was killed"),
        ("on record once more", total["recorded_twice"], "its first scanner was killed before its answer was read"),
    ]
    yield from table(["what", "how many", "why"], [(what, number(count), why) for what, count, why in rows])
    left = total["passed_counted"] + total["arrived_unrecorded"]
    right = total["arrived"] + total["inside"] + total["passed_and_lost"] + total["recorded_twice"]
    assert left == right, (left, right)
    yield ""
    yield (
        f"To the request: {number(total['passed_counted'])} + {number(total['arrived_unrecorded'])} = {number(total['arrived'])} + {number(total['inside'])} + "
        f"{number(total['passed_and_lost'])} + {number(total['recorded_twice'])}."
    )


def outcomes(total):
    rows = [
        ("as expected of their kind", total["as_expected"]),
        ("refused for want of time (`overloaded`), on record as such", total["overloaded"]),
        ("failed, because a scanner was killed with them under way", total["failed"]),
        ("refusals of the scanner's, with the id of their record", total["refused_clients"]),
        ("beginnings of uploads that were given up, at the origin", total["arrived_in_part"]),
        ("audit records", total["records"]),
        ("audit records counted as lost", total["lost"]),
    ]
    yield from table(["requests", "how many"], [(what, number(count)) for what, count in rows])


def memory(run):
    for one in run["series"]:
        long = one["warm_minutes"] >= 5 * run["window"]
        slope, floor = (f"{one[key]:+.2f}" if long and one[key] is not None else "–" for key in ("slope", "floor"))
        yield (
            one["part"],
            f"{one['from']:.1f} – {one['to']:.1f}",
            f"{one['first']:.0f}",
            f"{one['last']:.0f}",
            f"{one['peak']:.0f}",
            f"{one['warm_minutes']:.1f}",
            slope,
            floor,
        )


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        run = json.load(file)
    profile = {"dev": "development build"}.get(sys.argv[2], f"profile `{sys.argv[2]}`")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    print(HERE.joinpath("soak.head.md").read_text().rstrip())
    print()
    print("## The run")
    print()
    print(f"On {today} at revision `{revision()}`, {machine()}, Envoy 1.40.0, {profile}.")
    print()
    print("\n".join(summary(run)))
    print()
    print("\n".join(outcomes(run["total"])))
    print()
    print("\n".join(balance(run["total"])))
    print()
    print("\n".join(table(["fault", "times"], [(one["fault"], str(one["times"])) for one in run["faults"]])))
    print()
    print("\n".join(table(["requests", "how many"], [(one["kind"], number(one["requests"])) for one in run["kinds"]])))
    print()
    print("### Memory")
    print()
    bounded = "No floor that spans a third of the run after that rises by more than 0.5 MiB a minute: asserted."
    shown = "Slopes are shown and not asserted: this run is too short for them to mean anything."
    windows = f"The floor is made of the least of each {run['window']:.1f} minutes."
    print(f"Resident, in MiB; slopes (least squares, MiB a minute) are of what follows minute {run['warm']:.1f}. {windows} {bounded if run['minutes'] >= BOUNDED else shown}")
    print()
    head = ["process", "minutes", "first", "last", "most", "of these warm", "slope", "slope of the floor"]
    print("\n".join(table(head, memory(run))))
    print()
    print("### By chapter")
    print()
    columns = ["requests", "arrived", "records", "failed", "wrong"]
    rows = [[f"{one['minute']:.1f}", *(number(one["sums"][column]) for column in columns)] for one in run["chapters"]]
    print("\n".join(table(["until minute", *columns], rows)))


main()
