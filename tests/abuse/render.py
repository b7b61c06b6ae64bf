"""The page docs/abuse.md, from what tests/e2e/tests/abuse.rs recorded (JSON lines)."""

import datetime
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from measured import machine, revision  # noqa: E402


def table(attacks):
    yield "| attack | how many | neighbour alone, p50 / p99, ms | meanwhile | p50, times | Envoy MiB | scanner MiB | certificates MiB |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in sorted(attacks, key=lambda one: one["what"]):
        alone, meanwhile = one["alone"], one["meanwhile"]
        yield (
            f"| {one['what']} | {one['count']:,} | {alone[0]:.1f} / {alone[1]:.1f} | {meanwhile[0]:.1f} / {meanwhile[1]:.1f} | {meanwhile[0] / alone[0]:.2f} "
            f"| {one['envoy']} | {one['scanner']} | {one['certificates']} |"
        )


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        attacks = [json.loads(line) for line in lines]
    over = sorted(one["what"] for one in attacks if one["meanwhile"][0] > 2 * one["alone"][0])
    today = datetime.datetime.now(datetime.timezone.utc).date()
    print(HERE.joinpath("abuse.head.md").read_text().rstrip())
    print()
    print(f"Run on {today} at revision `{revision()}`, {machine()}, profile `{sys.argv[2]}`, Envoy 1.40.0; attacker, neighbour and origin on the same processors.")
    print()
    print("\n".join(table(attacks)))
    print()
    said = "; ".join(over) if over else "none"
    print(f"More than twice as slow at the median: {said}.")


main()
