"""The image's binary takes what the manifests tell it: roles, flags, policies; and makes the Secrets that they name."""

import re
import subprocess
import tempfile
import tomllib

import yaml
from house import OURS
from names import made


def run(world, *arguments):
    return subprocess.run([world.binary, *arguments], capture_output=True, text=True)


def flags(world, role):
    done = run(world, *role, "--help")
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", done.stdout)) if done.returncode == 0 else None


def role_of(container):
    """What stands before the first flag."""
    words = []
    for word in container["args"]:
        if word.startswith("-"):
            break
        words.append(word)
    return tuple(words)


def checks(world):
    dockerfile = world.root / "Dockerfile"
    done = subprocess.run(["hadolint", "--failure-threshold", "style", str(dockerfile)], capture_output=True, text=True)
    yield "hadolint finds nothing in the Dockerfile", [] if done.returncode == 0 else [done.stdout + done.stderr]
    members = tomllib.loads(world.read("Cargo.toml"))["workspace"]["members"]
    let_through = world.read(".dockerignore").splitlines()
    yield ".dockerignore lets every member of the workspace through", [m for m in members if f"!{m.removesuffix('/*')}" not in let_through]
    if not world.binary:
        return
    told = {}
    for render in world.renders.values():
        for pod in render.pods():
            for container in (c for c in pod.containers() if OURS.match(c["image"])):
                given = {a[2:].split("=")[0] for a in container["args"] if a.startswith("--")}
                told.setdefault(role_of(container), set()).update(given)
    for role, given in told.items():
        known = flags(world, role)
        yield f"the binary knows `{' '.join(role)}` and its flags", ["no such role"] if known is None else sorted(given - known)
    yield (
        "a flag that there is not is seen",
        [] if "no-such-flag" not in (flags(world, ("scanner",)) or {"no-such-flag"}) else ["it is not"],
    )
    for name in ("base", "strict"):
        config = world.renders[name].of("ConfigMap", "portcullis-policy")[0]["data"]["policy.yaml"]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(config)
            file.flush()
            done = run(world, "policy", "check", file.name)
        yield f"{name}: the policy is one", [] if done.returncode == 0 else [done.stdout + done.stderr]
    done = run(world, "pki", "manifests")
    objects = [o for o in yaml.safe_load_all(done.stdout) if o] if done.returncode == 0 else []
    makes = {(o["kind"], o["metadata"]["namespace"], o["metadata"]["name"]) for o in objects}
    yield (
        "pki makes what the manifests wait for, and may",
        [
            done.stderr if done.returncode else "",
            *map(str, sorted(makes ^ set(made(world.renders["base"])))),
        ]
        if done.returncode or makes != set(made(world.renders["base"]))
        else [],
    )
