"""The Envoy configuration in a cluster is the one in envoy/, but for what stands between markers; and Envoy takes it."""

import pathlib
import subprocess
import tempfile

import yaml

ENVOY = pathlib.Path.home() / ".cache/portcullis/envoy-1.40.0/envoy"


def markers(text):
    """The text outside of markers, and what is inside each."""
    outside, inside, marker = [], {}, None
    for line in text.splitlines():
        word = line.strip()
        if word.startswith("#@"):
            outside.append(line)
            marker = None if marker == word else word
        elif marker:
            inside.setdefault(marker, []).append(line)
        else:
            outside.append(line)
    return outside, {name: "\n".join(lines) for name, lines in inside.items()}


def differing(old, new, path=""):
    """Paths in two parsed texts at which they differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [p for key in old.keys() | new.keys() for p in differing(old.get(key), new.get(key), f"{path}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [p for n, pair in enumerate(zip(old, new, strict=True)) for p in differing(*pair, f"{path}[{n}]")]
    return [] if old == new else [path]


def refused_by_envoy(text, world):
    """What Envoy says of a configuration, with its files in a folder of ours. It connects to nothing."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        tls = folder / "tls"
        tls.mkdir()
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=test",
                "-keyout",
                tls / "tls.key",
                "-out",
                tls / "tls.crt",
            ],
            check=True,
            capture_output=True,
        )
        (tls / "ca.crt").write_bytes((tls / "tls.crt").read_bytes())

        def moved(content):
            return (
                content.replace("/etc/portcullis/envoy", str(folder))
                .replace("/run/secrets/portcullis/tls", str(tls))
                .replace("/run/portcullis", str(folder))
            )

        (folder / "envoy.yaml").write_text(moved(text))
        for path in (world.root / "envoy").glob("sds-*.yaml"):
            (folder / path.name).write_text(moved(path.read_text()))
        done = subprocess.run(
            [ENVOY, "--mode", "validate", "-c", folder / "envoy.yaml", "--log-level", "error"], capture_output=True, text=True
        )
        return [] if done.returncode == 0 else [done.stderr or done.stdout]


def checks(world):
    own = world.read("envoy/envoy.yaml")
    outside, inside = markers(own)
    base = world.renders["base"]
    config = next(o for o in base.of("ConfigMap") if o["metadata"]["name"].startswith("portcullis-envoy-"))
    files = {path.name: path.read_text() for path in (world.root / "envoy").glob("*.yaml") if path.name != "kustomization.yaml"}
    yield (
        "the base has the files of envoy/ as they are",
        [n for n in files.keys() | config["data"].keys() if files.get(n) != config["data"].get(n)],
    )
    seen = {}
    for name, render in world.renders.items():
        text = render.envoy()
        if text is None:
            continue
        seen.setdefault(text, name)
        yield f"{name}: outside of markers envoy.yaml is as it is", [] if markers(text)[0] == outside else ["it differs"]
    changes = {name: set(differing(yaml.safe_load(own), yaml.safe_load(world.renders[name].envoy()))) for name in ("fail-open", "sidecar")}
    names = {name: {p.split(".")[-1] for p in paths} for name, paths in changes.items()}
    yield (
        "fail-open changes the fail mode and nothing else",
        [] if names["fail-open"] == {"failure_mode_allow", "disabled"} else sorted(changes["fail-open"]),
    )
    beside = {p for p in changes["sidecar"] - changes["fail-open"] if not p.startswith(".static_resources.clusters")}
    cluster = next(c for c in yaml.safe_load(world.renders["sidecar"].envoy())["static_resources"]["clusters"] if c["name"] == "scanner")
    pipe = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"].get("pipe", {}).get("path")
    listen = [
        a for p in world.renders["sidecar"].pods() for c in p.containers() for a in c.get("args", []) if a.startswith("--listen=unix:")
    ]
    yield (
        "sidecar changes where the scanner is, to where it listens",
        [
            *sorted(p for p in beside),
            *([] if listen == [f"--listen=unix:{pipe}"] else [f"Envoy asks at {pipe}, the scanner listens at {listen}"]),
        ],
    )
    if ENVOY.is_file():
        for text, name in seen.items():
            yield f"{name}: Envoy takes it", refused_by_envoy(text, world)
    elif world.binary:
        yield "Envoy takes it", [f"there is no Envoy at {ENVOY}: tests/setup installs it"]
