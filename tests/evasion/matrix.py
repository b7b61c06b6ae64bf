"""Encodes, sends through `portcullis replay`, and writes the matrix."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import codecs_
import containers
import formats

import hiding
import positions
import secrets_

# A query, a path or a header that is longer is no request that anybody's server takes.
LONGEST = {"query": 6000, "path": 6000, "header": 6000, "cookie": 6000}


def cases(secrets, only):
    groups = {}
    missing = []
    for group, module in (("Text encodings", codecs_), ("Hidden and cut text", hiding), ("Compression and archives", formats),
                          ("Documents, media, packages and git", containers)):
        made, absent = module.encodings()
        missing += absent
        groups[group] = {name: make for name, make in made.items() if not only or only in name}
    return groups, missing


def requests(groups, secrets):
    for group, encodings in groups.items():
        for encoding, make in encodings.items():
            for secret, content in secrets.items():
                try:
                    encoded = make(content)
                except Exception as why:  # noqa: BLE001 - an encoder's own limit is no result of ours
                    print(f"{encoding} cannot encode {secret}: {why}", file=sys.stderr)
                    continue
                if encoded is None:
                    continue
                for place, put in positions.POSITIONS.items():
                    made = put(encoded)
                    if len(made["url"]) + len(json.dumps(made["headers"])) > LONGEST.get(place, 10**9):
                        continue
                    made["id"] = json.dumps([encoding, secret, place])
                    yield made


def replay(made):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for one in made:
            file.write(json.dumps(one) + "\n")
        file.flush()
        done = subprocess.run([os.environ["PORTCULLIS"], "replay", file.name], capture_output=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr.decode())
    results = {}
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        found = any(f["confidence"] != "low" for f in answer["findings"])
        unread = answer["coverage"] == "partial" or answer["reason"] == "ambiguous_request"
        result = "found" if found else "gap" if answer["verdict"] != "allow" and unread else "miss"
        results[tuple(json.loads(answer["id"]))] = result
    return results


def cell(results):
    """All found; some; none but refused because it could not be looked into or read in one way; none."""
    results = [r for r in results if r]
    if not results:
        return " "
    found, gap = results.count("found"), results.count("gap")
    if found == len(results):
        return "●"
    if found + gap == len(results):
        return "⊘" if not found else "●⊘"
    return f"{found + gap}/{len(results)}" if found + gap else "–"


def tables(groups, secrets, results):
    places = list(positions.POSITIONS)
    for group, encodings in groups.items():
        if not encodings:
            continue
        for title, columns, key in (
            ("kinds of secrets, over all positions", list(secrets), 1),
            ("positions, over all kinds of secrets", places, 2),
        ):
            yield f"\n### {group}: {title}\n"
            yield "| encoding | " + " | ".join(columns) + " |"
            yield "|---|" + "---|" * len(columns)
            for encoding in encodings:
                mine = {k: v for k, v in results.items() if k[0] == encoding}
                row = [cell([v for k, v in mine.items() if k[key] == column]) for column in columns]
                yield f"| {encoding} | " + " | ".join(row) + " |"


def summary(results):
    counts = {kind: sum(1 for v in results.values() if v == kind) for kind in ("found", "gap", "miss")}
    total = len(results) or 1
    parts = f"found {counts['found']} ({counts['found'] * 100 / total:.1f} %)"
    return f"{len({k[0] for k in results})} encodings, {total} requests: {parts}, refused without a finding {counts['gap']}, missed {counts['miss']}."


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--only", default="")
    args.add_argument("--show", action="store_true")
    args.add_argument("--write", action="store_true")
    args.add_argument("--seed", type=int, default=None)
    args = args.parse_args()
    secrets = secrets_.all_secrets(args.seed)
    groups, missing = cases(secrets, args.only)
    results = replay(requests(groups, secrets))
    lines = [summary(results), *tables(groups, secrets, results)]
    if missing:
        lines += ["", "Left out, as this machine has no encoder: " + ", ".join(sorted(missing)) + "."]
    if args.show:
        for key, result in results.items():
            if result == "miss":
                print("miss:", *key, file=sys.stderr)
    here = pathlib.Path(__file__).parent
    if args.write:
        head = (here / "limits.head.md").read_text()
        (here / "../../docs/limits.md").write_text(head + "\n".join(lines) + "\n")
    else:
        print("\n".join(lines))


main()
