"""Runs every check over every render and counts: see ../run."""

import pathlib
import sys

import commands
import golden
import house
import names
import network
import restricted
import schemas
from renders import World

import docs
import envoy

ROOT = pathlib.Path(__file__).resolve().parents[3]


def main(arguments):
    write = "--write" in arguments
    binaries = [a for a in arguments if not a.startswith("-")]
    binary = pathlib.Path(binaries[0]).resolve() if binaries else None
    world = World(ROOT, binary)
    if write:
        golden.write(world)
    passed = failed = 0
    for module in (golden, schemas, restricted, network, names, house, envoy, docs, commands):
        for name, problems in module.checks(world):
            problems = list(problems)
            passed, failed = (passed, failed + 1) if problems else (passed + 1, failed)
            for problem in problems:
                print(f"FAILED {name}: {problem}")
    if not binary:
        print("no binary was given: flags and policies were not held to one")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
