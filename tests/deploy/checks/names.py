"""What a pod names is there: in the render, made by `portcullis pki`, or by cert-manager."""

from network import matches


def needed(pod):
    """(kind, name) of what the pod cannot start without."""
    spec = pod.spec
    yield "ServiceAccount", spec["serviceAccountName"]
    for volume in spec.get("volumes", []):
        if "configMap" in volume and not volume["configMap"].get("optional"):
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume and not volume["secret"].get("optional"):
            yield "Secret", volume["secret"]["secretName"]
    for container in pod.containers():
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]
        for variable in container.get("env", []):
            for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                if key in variable.get("valueFrom", {}):
                    yield kind, variable["valueFrom"][key]["name"]


def volumes(pod):
    """Names of the pod's volumes, those that a StatefulSet claims included."""
    claimed = [claim["metadata"] for claim in pod.owner.get("spec", {}).get("volumeClaimTemplates", [])]
    return {v["name"] for v in [*pod.spec.get("volumes", []), *claimed]}


def made(render):
    """(kind, namespace, name) of what is made in the cluster."""
    for role in render.of("Role", "portcullis-pki"):
        for rule in role["rules"]:
            kind = {"secrets": "Secret", "configmaps": "ConfigMap"}[rule["resources"][0]]
            yield from ((kind, role["metadata"]["namespace"], name) for name in rule.get("resourceNames", []))
    for certificate in render.of("Certificate"):
        yield "Secret", certificate["metadata"]["namespace"], certificate["spec"]["secretName"]
    for bundle in render.of("Bundle"):
        chosen = bundle["spec"]["target"]["namespaceSelector"]
        for namespace in (n["metadata"] for n in render.of("Namespace")):
            if matches(chosen, namespace.get("labels", {})):
                yield "ConfigMap", namespace["name"], bundle["metadata"]["name"]


# Made by hand, as the file says that needs it.
BY_HAND = {
    "branch": {("Secret", "portcullis-sandboxes", "agent-feature-x")},
    "strict": {("Secret", "portcullis-sandboxes", "portcullis-probe")},
}


def missing(world, name, render):
    there = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in render.objects} | set(made(render))
    there |= BY_HAND.get(name, set())
    if not render.of("Namespace"):
        # Laid beside an installation.
        installed = world.renders["dev"]
        there |= {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in installed.objects} | set(made(installed))
    for pod in render.pods():
        for kind, wanted in needed(pod):
            if (kind, pod.namespace, wanted) not in there:
                yield f"{pod}: {kind} {wanted}"


def checks(world):
    for name, render in world.renders.items():
        yield f"{name}: what pods name is there", missing(world, name, render)
        yield f"{name}: no secret is in git", [f"{o['kind']} {o['metadata']['name']}" for o in render.of("Secret")]
        yield (
            f"{name}: every mount has a volume",
            [
                f"{pod} {c['name']}: {m['name']}"
                for pod in render.pods()
                for c in pod.containers()
                for m in c.get("volumeMounts", [])
                if m["name"] not in volumes(pod)
            ],
        )
        yield (
            f"{name}: nothing that is only for kustomize is left",
            [o["metadata"]["name"] for o in render.objects if "config.kubernetes.io/local-config" in o["metadata"].get("annotations", {})],
        )
    secrets = {name for kind, _, name in made(world.renders["base"]) if kind == "Secret"}
    others = {name for kind, _, name in made(world.renders["cert-manager"]) if kind == "Secret"}
    yield "cert-manager makes what pki makes", sorted(secrets ^ others)
