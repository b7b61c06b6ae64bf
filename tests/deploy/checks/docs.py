"""What docs/deploy.md tells people to write into an overlay renders."""

import os
import pathlib
import re
import subprocess
import tempfile

import yaml

REMOTE = re.compile(r"https://github\.com/portcullis-gateway/portcullis//(deploy/[\w/-]+)\?ref=v[\d.]+")
HEAD = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"


def refused(world, snippet):
    """What kustomize says of a snippet, laid over `production` where it names no resources of its own."""
    target = world.root / "target"
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as folder:
        folder = pathlib.Path(folder)
        text = REMOTE.sub(lambda m: os.path.relpath(world.root / m[1], folder), snippet).replace("…", "0" * 64)
        if "resources:\n" not in text:
            text = f"{HEAD}resources: [{os.path.relpath(world.root / 'deploy/overlays/production', folder)}]\n{text}"
        (folder / "kustomization.yaml").write_text(text)
        (folder / "policy.yaml").write_text("version: 1\n")
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
        return [done.stderr] if done.returncode else []


def checks(world):
    snippets = re.findall(r"^```yaml\n(.*?)^```$", world.read("docs/deploy.md"), re.M | re.S)
    overlays = [s for s in snippets if {"patches", "configMapGenerator", "components", "resources"} & yaml.safe_load(s).keys()]
    yield "docs/deploy.md shows overlays", [] if len(overlays) >= 4 else [f"{len(overlays)} were found"]
    for snippet in overlays:
        yield f"docs/deploy.md: {' '.join(snippet.split())[:60]}… renders", refused(world, snippet)
    paths = set(re.findall(r"(?<!tests/)\bdeploy/[\w/-]+", world.read("docs/deploy.md"))) - {"deploy/portcullis-probe", "deploy/agent"}
    yield "docs/deploy.md names folders that there are", sorted(p for p in paths if not (world.root / p).exists())
    components = {p.name for p in (world.root / "deploy/components").iterdir()}
    yield "docs/deploy.md names every component", sorted(c for c in components if f"`{c}`" not in world.read("docs/deploy.md"))
