"""Every render is what it was when somebody last looked at it."""

import difflib
import pathlib
import re

from renders import OVER, WHOLE

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden"


def short(text):
    """A render without what has tests of its own: of envoy.yaml only what stands between markers, of rules and dashboards that they are there."""
    text = re.sub(r"(kind: PrometheusRule\n(?:(?!---).*\n)*?spec:\n)(?: .*\n|\n)*", r"\1", text)
    out, inside, marker = [], False, None
    for line in text.splitlines():
        starts = line == "  envoy.yaml: |" or re.fullmatch(r"  [\w.-]+\.json: \|-?", line) is not None
        if starts:
            inside = True
        elif inside and line and not line.startswith("    "):
            inside = False
        if not inside or starts:
            out.append(line)
        elif line.strip().startswith("#@"):
            marker = None if marker else line.strip()
            out.append(line)
        elif marker:
            out.append(line)
    return re.sub(r"(portcullis-envoy)-[0-9a-z]{10}\b", r"\1-HASH", "\n".join(out) + "\n")


def wanted(world):
    """The golden files as they should be, by name."""
    texts = {name: short(render.text) for name, render in world.renders.items()}
    files = {f"{name}.yaml": texts[name] for name in WHOLE}
    for name, (over, _) in OVER.items():
        lines = difflib.unified_diff(texts[over].splitlines(True), texts[name].splitlines(True), over, name, n=8)
        # Where in the file it stands changes with everything before it.
        files[f"{name}.diff"] = "".join("@@\n" if line.startswith("@@") else line for line in lines)
    return files


def write(world):
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, text in wanted(world).items():
        (FOLDER / name).write_text(text)


def checks(world):
    kept = {path.name: path.read_text() for path in FOLDER.iterdir()} if FOLDER.is_dir() else {}
    files = wanted(world)
    for name, text in files.items():
        difference = difflib.unified_diff(kept.get(name, "").splitlines(), text.splitlines(), "kept", "rendered", lineterm="", n=2)
        lines = list(difference)
        yield f"golden {name}", ["\n".join(lines[:60])] if lines else []
    yield "golden files are all of a render", sorted(kept.keys() - files.keys())
