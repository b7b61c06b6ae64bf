"""What kustomize makes of each overlay, example and combination of components."""

import concurrent.futures
import subprocess

import yaml

# Renders whose golden copy is kept whole; of the others, what differs from the one named.
WHOLE = {
    "base": "deploy/base",
    "dev": "deploy/overlays/dev",
    "production": "deploy/overlays/production",
    "branch": "deploy/examples/branch",
}
OVER = {
    "strict": ("production", "deploy/overlays/strict"),
    "deployment": ("dev", "deploy/examples/deployment"),
    "agent-sandbox": ("dev", "deploy/examples/agent-sandbox"),
    "fail-open": ("base", "tests/deploy/renders/fail-open"),
    "high-availability": ("base", "tests/deploy/renders/high-availability"),
    "monitoring": ("base", "tests/deploy/renders/monitoring"),
    "sandbox": ("base", "tests/deploy/renders/sandbox"),
    "scan-api": ("base", "tests/deploy/renders/scan-api"),
    "cluster-network-policy": ("base", "tests/deploy/renders/cluster-network-policy"),
    "node-local-dns": ("base", "tests/deploy/renders/node-local-dns"),
    "cert-manager": ("production", "tests/deploy/renders/cert-manager"),
    "sidecar": ("production", "tests/deploy/renders/sidecar"),
    "openshift": ("production", "tests/deploy/renders/openshift"),
    "namespaces": ("production", "tests/deploy/renders/namespaces"),
    "mirror": ("production", "tests/deploy/renders/mirror"),
    "gvisor": ("deployment", "tests/deploy/renders/gvisor"),
    "kata": ("deployment", "tests/deploy/renders/kata"),
    "java": ("deployment", "tests/deploy/renders/java"),
}
# Where a pod's template stands in each kind that has one.
TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
    "SandboxTemplate": ("spec", "podTemplate"),
}


class Pod:
    """A pod template, and the object it is in."""

    def __init__(self, owner, template):
        self.owner = owner
        self.kind = owner["kind"]
        self.name = owner["metadata"]["name"]
        self.namespace = owner["metadata"].get("namespace")
        self.labels = template["metadata"].get("labels", {})
        self.spec = template["spec"]

    def __str__(self):
        return f"{self.kind} {self.name}"

    def containers(self):
        return self.spec.get("initContainers", []) + self.spec["containers"]

    def ports(self):
        """Numbers by name, those of all containers."""
        return {p.get("name"): p["containerPort"] for c in self.containers() for p in c.get("ports", [])}


class Render:
    """One render."""

    def __init__(self, name, path, text):
        self.name = name
        self.path = path
        self.text = text
        self.objects = [o for o in yaml.safe_load_all(text) if o]

    def of(self, kind, name=None):
        return [o for o in self.objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]

    def pods(self):
        found = []
        for owner in self.objects:
            at = owner if owner["kind"] in TEMPLATES else None
            for key in TEMPLATES.get(owner["kind"], ()):
                at = at[key]
            if at:
                found.append(Pod(owner, at))
        return found

    def envoy(self):
        """The text of envoy.yaml in it; `None` where there is none."""
        maps = [o for o in self.of("ConfigMap") if o["metadata"]["name"].startswith("portcullis-envoy-")]
        return maps[0]["data"]["envoy.yaml"] if maps else None


def kustomize(path):
    done = subprocess.run(["kubectl", "kustomize", str(path)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{path} does not render: {done.stderr.strip()}\n0 passed, 1 failed")
    return done.stdout


class World:
    """All renders, the tree they come from, and the binary they are for."""

    def __init__(self, root, binary):
        self.root = root
        self.binary = binary
        paths = WHOLE | {name: path for name, (_, path) in OVER.items()}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            texts = pool.map(lambda path: kustomize(root / path), paths.values())
            self.renders = {n: Render(n, p, t) for (n, p), t in zip(paths.items(), texts, strict=True)}

    def read(self, path):
        return (self.root / path).read_text()
