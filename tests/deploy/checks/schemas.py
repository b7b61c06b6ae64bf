"""Every object is one that Kubernetes takes, strictly: an unknown field is an error."""

import kubernetes_validate

# The oldest that all components work with (sidecar containers), and the newest that the schemas know.
VERSIONS = ["1.29", "1.37"]
# Kinds that others define. Their schemas are not here: what is checked of them is said in docs/deploy.md.
FOREIGN = {
    "monitoring.coreos.com/v1",
    "cert-manager.io/v1",
    "trust.cert-manager.io/v1alpha1",
    "extensions.agents.x-k8s.io/v1beta1",
    "policy.networking.k8s.io/v1alpha2",
}


def problems(item, version):
    try:
        kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{item['kind']} {item['metadata']['name']}: {'.'.join(map(str, error.path))}: {error.message}"
    except Exception as error:
        yield f"{item['kind']} {item['metadata']['name']}: {error!r}"


def checks(world):
    for version in VERSIONS:
        for render in world.renders.values():
            own = [o for o in render.objects if o["apiVersion"] not in FOREIGN]
            yield f"{render.name} is valid for Kubernetes {version}", [p for o in own for p in problems(o, version)]
    typo = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}, "automountServiceAccountTokn": False}
    yield "an unknown field is an error", [] if list(problems(typo, VERSIONS[-1])) else ["a misspelt field was taken"]
