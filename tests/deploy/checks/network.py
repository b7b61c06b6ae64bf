"""Who may speak to whom: the rendered network policies are evaluated as Kubernetes defines them, and held to a table written by hand."""

import ipaddress

import yaml

# The namespace of the gateway, and that of sandboxes, whatever they are called.
SYSTEM, CAGES = object(), object()
# Pods that stand for others: a resolver, Prometheus, a caller of the Scan API, and two that nothing was said about.
OTHERS = {
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "openshift-dns": ("openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"}),
    "prometheus": ("monitoring", {}),
    "api-client": ("ci", {"portcullis.dev/scan-api-client": "true"}),
    "stranger": ("default", {}),
    # Labels of ours in a namespace that is not.
    "impostor": ("default", {"app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "gateway"}),
    "unlabelled, ours": (SYSTEM, {}),
    "unlabelled sandbox": (CAGES, {}),
    # A sandbox that calls itself a client of the Scan API.
    "sandbox as client": (CAGES, {"portcullis.dev/scan-api-client": "true"}),
}
NAMESPACES = {"monitoring": {"portcullis.dev/monitoring": "true"}}
ADDRESSES = {
    "world": "140.82.121.3",
    "world, IPv6": "2606:50c0:8000::153",
    "metadata": "169.254.169.254",
    "metadata, IPv6": "fd00:ec2::254",
    "private": "10.1.2.3",
    "cgnat": "100.100.100.200",
    "loopback": "127.0.0.1",
    "node-local DNS": "169.254.20.10",
    "mapped": "::ffff:10.1.2.3",
    "nat64": "64:ff9b::a01:203",
    "link-local": "fe80::1",
}
PORTS = [22, 53, 80, 443, 853, 3128, 5353, 6443, 8080, 8443, 9001, 9002, 9003, 9090, 9901, 10250]

SANDBOXES = ["unlabelled sandbox", "sandbox as client"]
# From, to, ports. Nothing else may be.
ALWAYS = [
    ("gateway", "scanner", {9001}),
    ("gateway", "certificates", {9002}),
    ("gateway", "dns", {"53/UDP", 53}),
    ("gateway", "world", {80, 443}),
    ("gateway", "world, IPv6", {80, 443}),
    ("prometheus", "gateway", {9901}),
    ("prometheus", "scanner", {9090}),
    ("prometheus", "certificates", {9090}),
    *((s, "gateway", {3128}) for s in SANDBOXES),
]
# The API server may be anywhere; nothing of ours lets its ports in.
PKI = [
    ("pki", other, {443, 6443}) for other in [*ADDRESSES, *(name for name, (where, _) in OTHERS.items() if where not in (SYSTEM, CAGES))]
]
PROBE = [("probe", "gateway", {3128}), ("prometheus", "probe", {9090})]
SANDBOX = [("sandbox", "gateway", {3128})]
EXPECTED = {
    "base": ALWAYS + PKI,
    "dev": ALWAYS + PKI + PROBE + SANDBOX,
    "production": ALWAYS + PKI + PROBE + SANDBOX,
    "strict": ALWAYS + PKI + PROBE + SANDBOX,
    "cert-manager": ALWAYS + PKI + PROBE + SANDBOX,
    "deployment": ALWAYS + PKI + PROBE + SANDBOX + [("agent", "gateway", {3128})],
    "namespaces": ALWAYS + PKI + PROBE + SANDBOX,
    "scan-api": ALWAYS + PKI + [("api-client", "scanner", {9003})],
    "node-local-dns": ALWAYS + PKI + [("gateway", "node-local DNS", {"53/UDP", 53})],
    "openshift": ALWAYS + PKI + PROBE + SANDBOX + [("gateway", "openshift-dns", {"5353/UDP", 5353})],
    "sidecar": [e for e in ALWAYS if "scanner" not in e and e[0] != "prometheus"]
    + PKI
    + PROBE
    + SANDBOX
    + [("prometheus", "gateway", {9901, 9090}), ("prometheus", "certificates", {9090})],
}


def matches(selector, labels):
    """A label selector; an empty one matches everything."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions", []):
        here = labels.get(term["key"])
        holds = {
            "In": here in term.get("values", []),
            "NotIn": here not in term.get("values", []),
            "Exists": here is not None,
            "DoesNotExist": here is None,
        }[term["operator"]]
        if not holds:
            return False
    return True


class Network:
    """The policies of a render, and the pods they are about."""

    def __init__(self, render):
        self.policies = render.of("NetworkPolicy")
        self.namespaces = {n["metadata"]["name"]: n["metadata"].get("labels", {}) for n in render.of("Namespace")} | NAMESPACES
        gateway = next(p for p in render.pods() if p.labels.get("app.kubernetes.io/component") == "gateway")
        cages = next(n for n, labels in self.namespaces.items() if "portcullis.dev/sandboxes" in labels)
        self.ours = {SYSTEM: gateway.namespace, CAGES: cages}
        self.pods = {name: (self.ours.get(namespace, namespace), labels) for name, (namespace, labels) in OTHERS.items()}
        for pod in render.pods():
            name = pod.labels.get("app.kubernetes.io/component") or pod.name
            self.pods[name] = (pod.namespace, pod.labels)

    def labels_of(self, namespace):
        return self.namespaces.get(namespace, {}) | {"kubernetes.io/metadata.name": namespace}

    def is_peer(self, peer, policy_namespace, who):
        """Whether `who`, a pod's name or an address's, is what a peer of a policy says."""
        if "ipBlock" in peer:
            if who in self.pods:
                return False
            address = ipaddress.ip_address(ADDRESSES[who])
            block = peer["ipBlock"]
            return address in ipaddress.ip_network(block["cidr"]) and not any(
                address in ipaddress.ip_network(e) for e in block.get("except", [])
            )
        if who not in self.pods:
            return False
        namespace, labels = self.pods[who]
        if "namespaceSelector" in peer:
            if not matches(peer["namespaceSelector"], self.labels_of(namespace)):
                return False
        elif namespace != policy_namespace:
            return False
        return matches(peer.get("podSelector", {}), labels)

    def lets(self, direction, pod, other, port, protocol):
        """Whether the policies on `pod` let it speak to (`Egress`) or be spoken to by (`Ingress`) `other`."""
        if pod not in self.pods:
            return True
        namespace, labels = self.pods[pod]
        on = [
            p
            for p in self.policies
            if p["metadata"]["namespace"] == namespace
            and direction in p["spec"]["policyTypes"]
            and matches(p["spec"]["podSelector"], labels)
        ]
        if not on:
            return True
        rules, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
        return any(
            (not rule.get("ports") or any(p["port"] == port and p.get("protocol", "TCP") == protocol for p in rule["ports"]))
            and (not rule.get(peers) or any(self.is_peer(peer, namespace, other) for peer in rule[peers]))
            for policy in on
            for rule in policy["spec"].get(rules) or []
        )

    def edges(self, sides=("Egress", "Ingress")):
        """All that may be: (from, to, ports), where either end is ours; by policies on both ends, or on one alone."""
        ours = {name for name, (namespace, _) in self.pods.items() if namespace in self.ours.values()}
        for source in [*self.pods, *ADDRESSES]:
            for target in [*self.pods, *ADDRESSES]:
                if source == target or not {source, target} & ours:
                    continue
                ports = {
                    port if protocol == "TCP" else f"{port}/UDP"
                    for port in PORTS
                    for protocol in ("TCP", "UDP")
                    if ("Egress" not in sides or self.lets("Egress", source, target, port, protocol))
                    and ("Ingress" not in sides or self.lets("Ingress", target, source, port, protocol))
                }
                if ports:
                    yield source, target, ports


def ranges_of_envoy(text):
    """What stands between the markers `#@private-addresses`."""
    between = text.split("#@private-addresses")[1]
    return {f"{r['address_prefix']}/{r['prefix_len']}" for r in yaml.safe_load(between)}


def against(expected, edges):
    """Where a table and what may be differ."""
    table = {(a, b): p for a, b, p in expected}
    may = {(a, b): p for a, b, p in edges}
    for a, b in sorted(may.keys() | table.keys()):
        found, wanted = may.get((a, b), set()), table.get((a, b), set())
        if found != wanted:
            yield f"{a} → {b}: {sorted(found, key=str)}, should be {sorted(wanted, key=str)}"


def checks(world):
    for name, expected in EXPECTED.items():
        network = Network(world.renders[name])
        ours = {pod for pod, (namespace, _) in network.pods.items() if namespace in network.ours.values()}
        yield f"{name}: who may speak to whom", against(expected, network.edges())
        # Each wall holds by itself: what one end lets out is what the other lets in. But pki may go anywhere, to ports that none of ours has.
        leaving, entering = ours - {"pki"}, ours
        yield (
            f"{name}: who may speak to whom, by the speaker's policies",
            against([e for e in expected if e[0] in leaving], (e for e in network.edges(["Egress"]) if e[0] in leaving)),
        )
        yield (
            f"{name}: who may speak to whom, by the listener's policies",
            against([e for e in expected if e[1] in entering], (e for e in network.edges(["Ingress"]) if e[1] in entering)),
        )
    for name, render in world.renders.items():
        if render.of("Namespace"):
            yield (
                f"{name}: each namespace denies both ways by default",
                [
                    n["metadata"]["name"]
                    for n in render.of("Namespace")
                    if not any(
                        p["metadata"]["namespace"] == n["metadata"]["name"]
                        and p["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
                        for p in render.of("NetworkPolicy")
                    )
                ],
            )
        yield f"{name}: policies are about pods that there are, and ports that these have", unmet(render)
    base = world.renders["base"]
    rule = next(r for r in base.of("NetworkPolicy", "portcullis-gateway")[0]["spec"]["egress"] if "ipBlock" in r["to"][0])
    except_ = {e for peer in rule["to"] for e in peer["ipBlock"]["except"]}
    envoy = ranges_of_envoy(base.envoy())
    yield "the ranges of the gateway's policy are those of envoy.yaml", sorted(except_ ^ envoy)
    yield "a hole in a policy is seen", hole(world)
    yield (
        "the cluster's policy passes what the namespace's lets through, and denies the rest",
        cluster_wide(world.renders["cluster-network-policy"]),
    )


def unmet(render):
    pods = [p for p in render.pods() if p.kind not in ("PodTemplate", "SandboxTemplate")]
    for policy in render.of("NetworkPolicy"):
        if not policy["spec"]["podSelector"]:
            continue
        name, namespace = policy["metadata"]["name"], policy["metadata"]["namespace"]
        about = [p for p in pods if p.namespace == namespace and matches(policy["spec"]["podSelector"], p.labels)]
        if not about:
            yield f"{name} is about no pod"
        has = {number for p in about for number in p.ports().values()}
        for rule in policy["spec"].get("ingress") or []:
            yield from (f"{name}: port {p['port']} is none of its pods'" for p in rule["ports"] if p["port"] not in has)
        for rule in policy["spec"].get("egress") or []:
            for peer in rule.get("to", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    there = [p for p in pods if p.namespace == namespace and matches(peer["podSelector"], p.labels)]
                    ports = {n for p in there for n in p.ports().values()}
                    yield from (f"{name}: nothing listens on {p['port']}" for p in rule["ports"] if p["port"] not in ports)


def hole(world):
    """One permissive policy more: the table must notice."""
    network = Network(world.renders["production"])
    network.policies = network.policies + [
        {
            "metadata": {"name": "hole", "namespace": "portcullis-sandboxes"},
            "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]},
        }
    ]
    found = {(a, b) for a, b, p in network.edges() if "53/UDP" in p}
    if ("sandbox", "dns") not in found or ("probe", "world") not in found:
        yield f"only {found} were seen"


def cluster_wide(render):
    gateway, rest = render.of("ClusterNetworkPolicy")[0]["spec"]["egress"]
    rule = render.of("NetworkPolicy", "to-gateway")[0]["spec"]["egress"][0]
    ports = [{"port": p["tcp"]["destinationPort"]["number"]} for p in gateway["protocols"]]
    if gateway["action"] != "Pass" or [peer["pods"] for peer in gateway["to"]] != rule["to"] or ports != rule["ports"]:
        yield "what passes is not the gateway's port"
    if rest != {"name": "nothing-else", "action": "Deny", "to": [{"namespaces": {}}, {"networks": ["0.0.0.0/0", "::/0"]}]}:
        yield "the rest is not denied"
