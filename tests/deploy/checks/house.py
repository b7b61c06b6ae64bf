"""What this project holds its manifests to beyond Kubernetes' own rules."""

import re
import subprocess

from network import matches

OURS = re.compile(r"^(ghcr\.io/portcullis-gateway|registry\.example/mirror)/portcullis[:@]")


def pinned(image):
    return "@sha256:" in image or (":" in image.rsplit("/", 1)[-1] and not image.endswith(":latest"))


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def argument(container, name):
    found = [a.split("=", 1)[1] for a in container.get("args", []) if a.startswith(f"--{name}=")]
    return int(found[0]) if found else 0


def pod_problems(pod):
    pki = pod.name == "portcullis-pki"
    if pod.spec.get("automountServiceAccountToken") is not pki:
        yield "token"
    if pod.spec.get("enableServiceLinks") is not False:
        yield "service links"
    for container in pod.containers():
        if not pinned(container["image"]):
            yield f"image {container['image']} is not pinned"
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']}: the root can be written"
        if "memory" not in container.get("resources", {}).get("limits", {}) or not container["resources"].get("requests"):
            yield f"{container['name']}: resources"
        if OURS.match(container["image"]) and container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            yield f"{container['name']}: says nothing when it ends"


def is_caged(pod):
    return pod.owner["metadata"].get("labels", {}).get("portcullis.dev/sandbox") == "caged" or (
        pod.kind in ("PodTemplate", "SandboxTemplate") or (pod.kind, pod.name) == ("CronJob", "portcullis-probe")
    )


def cage_problems(pod, address):
    spec = pod.spec
    if spec.get("dnsPolicy") != "None" or spec["dnsConfig"]["nameservers"] != ["127.0.0.1"]:
        yield "has DNS"
    if [a["ip"] for a in spec["hostAliases"] if "portcullis-gateway" in a["hostnames"]] != [address]:
        yield f"hostAliases {spec['hostAliases']}, the gateway is at {address}"
    if spec["serviceAccountName"] != "portcullis-sandbox":
        yield "account"
    agent = next(c for c in spec["containers"] if c["name"] in ("agent", "probe"))
    if {"configMapRef": {"name": "portcullis-sandbox-environment"}} not in agent["envFrom"]:
        yield "variables"
    if {"/etc/portcullis/ca", "/tmp"} - {m["mountPath"] for m in agent["volumeMounts"]}:
        yield "mounts"


def timing(world, name):
    """A pod may take as long to end as what it is in the middle of."""
    hold = max(seconds(t) for t in re.findall(r"stream_timeout: (\d+[smh])", world.read("crates/policy/presets/default.yaml")))
    for pod in world.renders[name].pods():
        if pod.kind != "Deployment" or pod.name not in ("portcullis-gateway", "portcullis-scanner"):
            continue
        container = pod.spec["containers"][0]
        drain, lame = argument(container, "drain"), argument(container, "lame-duck")
        if not drain > hold:
            yield f"{pod}: drain {drain} s is not longer than the longest hold, {hold} s"
        if not pod.spec["terminationGracePeriodSeconds"] > drain + lame:
            yield f"{pod}: kubelet kills it before {lame} + {drain} s"
        # Twice: once for the Service, once for whoever saw it late.
        if lame < 2 * container["readinessProbe"]["periodSeconds"] * container["readinessProbe"]["failureThreshold"]:
            yield f"{pod}: nobody has noticed yet when it stops serving"


def monitors(render):
    for monitor in render.of("PodMonitor"):
        pods = [
            p
            for p in render.pods()
            if p.namespace == monitor["metadata"]["namespace"] and p.kind == "Deployment" and matches(monitor["spec"]["selector"], p.labels)
        ]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            yield from (
                f"{monitor['metadata']['name']}: {p} has no port {endpoint['port']}" for p in pods if endpoint["port"] not in p.ports()
            )


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def environment_problems(world):
    """A sandbox has the variables that `portcullis up` prints, and git's count is right."""
    here = variables(world.read("deploy/components/sandbox/environment.env"))
    source = world.read("services/portcullis/src/up/environment.rs")
    known = set(re.findall(r'"([A-Za-z]+_[A-Z_a-z]+|[A-Z_]+)"', source.split("#[cfg(test)]")[0]))
    yield from (f"`up` prints {name}" for name in sorted(known - here.keys()))
    keys = [k for k in here if k.startswith("GIT_CONFIG_KEY_")]
    if sorted(keys) != sorted(f"GIT_CONFIG_KEY_{n}" for n in range(int(here["GIT_CONFIG_COUNT"]))):
        yield "GIT_CONFIG_COUNT"
    yield from (f"{k} has no value" for k in keys if k.replace("KEY", "VALUE") not in here)
    yield from (f"{k}={v}" for k, v in here.items() if "pem" in v and v != "/etc/portcullis/ca/bundle.pem")


def git_problems(world):
    """What git makes of the variables."""
    env = variables(world.read("deploy/components/sandbox/environment.env"))
    env = {k: v for k, v in env.items() if k.startswith("GIT_CONFIG")} | {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
    for remote in ("git@github.com:acme/shop.git", "ssh://git@gitlab.com/acme/shop.git", "git://bitbucket.org/acme/shop.git"):
        done = subprocess.run(["git", "ls-remote", "--get-url", remote], env=env, cwd="/", capture_output=True, text=True)
        if not re.fullmatch(r"https://[a-z]+\.(com|org)/acme/shop\.git\n", done.stdout):
            yield f"{remote} becomes {done.stdout}{done.stderr}"


def autoscaler_problems(world):
    for scaler in world.renders["production"].of("HorizontalPodAutoscaler"):
        for metric in scaler["spec"]["metrics"]:
            name = metric.get("pods", {}).get("metric", {}).get("name")
            if name and f'"{name}"' not in world.read("services/scanner/src/metrics.rs"):
                yield f"there is no metric {name}"
        target = scaler["spec"]["scaleTargetRef"]["name"]
        if "replicas" in world.renders["production"].of("Deployment", target)[0]["spec"]:
            yield f"{target} says replicas beside its autoscaler"


def rolling_problems(render):
    for deployment in render.of("Deployment"):
        if deployment["metadata"].get("labels", {}).get("portcullis.dev/sandbox"):
            continue
        name, container = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]["containers"][0]
        if deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
            yield f"{name} takes a pod away before there is another"
        yield from (f"{name}: no {p}" for p in ("startupProbe", "readinessProbe", "livenessProbe") if p not in container)


def wall_problems(render):
    """In the order in which things are applied, the walls of a namespace come before what runs in it."""
    walled = set()
    for item in render.objects:
        namespace = item["metadata"].get("namespace")
        if item["kind"] == "NetworkPolicy" and not item["spec"]["podSelector"]:
            walled.add(namespace)
        elif item["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob") and namespace not in walled:
            yield f"{item['kind']} {item['metadata']['name']}"


def refused(world, folder, why):
    done = subprocess.run(["kubectl", "kustomize", str(world.root / "tests/deploy/refused" / folder)], capture_output=True, text=True)
    if done.returncode == 0 or why not in done.stderr:
        yield f"it renders, or fails for another reason: {done.stderr}"


def checks(world):
    for name, render in world.renders.items():
        yield f"{name}: pods are as the house wants them", [f"{pod}: {p}" for pod in render.pods() for p in pod_problems(pod)]
        yield f"{name}: monitors find what they look for", monitors(render)
        services = render.of("Service", "portcullis-gateway")
        address = (
            services[0]["spec"]["clusterIP"]
            if services
            else world.renders["base"].of("Service", "portcullis-gateway")[0]["spec"]["clusterIP"]
        )
        yield (
            f"{name}: sandboxes are in the cage",
            [f"{pod}: {p}" for pod in render.pods() if is_caged(pod) for p in cage_problems(pod, address)],
        )
        yield f"{name}: updates take nothing away", rolling_problems(render)
    for name in ("dev", "production", "strict", "deployment", "agent-sandbox"):
        yield f"{name}: walls come before what they hold", wall_problems(world.renders[name])
    yield "sandboxes were looked at", [] if any(is_caged(p) for p in world.renders["deployment"].pods()) else ["none"]
    for name in ("base", "production", "sidecar"):
        yield f"{name}: pods have time to end", timing(world, name)
    yield "a sandbox has the variables it needs", environment_problems(world)
    yield "git goes over HTTPS", git_problems(world)
    yield "autoscalers scale by what there is", autoscaler_problems(world)
    yield "a workload's own envFrom is not lost in the cage", refused(world, "own-env-from", "envFrom failed")
    for overlay in ("dev", "production", "strict"):
        lines = [line for line in world.read(f"deploy/overlays/{overlay}/kustomization.yaml").splitlines() if not line.startswith("#")]
        yield f"the overlay {overlay} is a few lines", [f"{len(lines)}"] if len(lines) > 20 else []
