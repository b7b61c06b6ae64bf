"""Holds a bill of materials against CycloneDX's schema and against what cargo says the binary is made of."""

import json
import pathlib
import subprocess
import sys

from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator


def shipped():
    """Name and version of every crate that is linked into the binary, cargo's own word."""
    text = subprocess.run(
        ["cargo", "tree", "--locked", "-p", "portcullis", "-e", "normal", "--target", "x86_64-unknown-linux-gnu", "--prefix", "none",
         "--format", "{p}"],
        check=True, capture_output=True, text=True,
    ).stdout
    lines = (line.split() for line in text.splitlines() if line.strip())
    return {(name, version.removeprefix("v")) for name, version, *_ in lines}


def main(path):
    text = pathlib.Path(path).read_text()
    error = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_5).validate_str(text)
    if error is not None:
        sys.exit(f"{path} does not fit CycloneDX 1.5: {error}")
    bom = json.loads(text)
    listed = {(c["name"], c["version"]) for c in bom["components"]}
    missing = sorted(shipped() - listed - {("portcullis", bom["metadata"]["component"]["version"])})
    if missing:
        sys.exit(f"{path} lacks {missing}")
    unlicensed = sorted(c["name"] for c in bom["components"] if not c.get("licenses"))
    if unlicensed:
        sys.exit(f"{path} has no licence for {unlicensed}")
    print(f"{path}: {len(listed)} components, CycloneDX {bom['specVersion']}")


main(sys.argv[1])
