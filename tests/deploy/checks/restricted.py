"""The Pod Security Standard `restricted`, written out, as Kubernetes 1.37 has it: baseline and what restricted adds.

Each rule is a function from a pod's spec to what is wrong with it. Each has a mutation below that it must refuse: a rule that cannot fail
is no rule.
"""

import copy

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SECCOMP = {"RuntimeDefault", "Localhost"}


def all_containers(spec):
    return [c for key in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(key, [])]


def contexts(spec):
    """The pod's security context and those of its containers."""
    return [("pod", spec.get("securityContext", {}))] + [(c["name"], c.get("securityContext", {})) for c in all_containers(spec)]


def host_process(spec):
    return [who for who, c in contexts(spec) if c.get("windowsOptions", {}).get("hostProcess")]


def host_namespaces(spec):
    return [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]


def privileged(spec):
    return [who for who, c in contexts(spec) if c.get("privileged")]


def host_path(spec):
    return [v["name"] for v in spec.get("volumes", []) if "hostPath" in v]


def host_ports(spec):
    return [c["name"] for c in all_containers(spec) for p in c.get("ports", []) if p.get("hostPort")]


def hosts_of_probes(spec):
    found = []
    for container in all_containers(spec):
        handlers = [container.get(key, {}) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += container.get("lifecycle", {}).values()
        found += [
            container["name"] for h in handlers if isinstance(h, dict) for way in ("httpGet", "tcpSocket") if h.get(way, {}).get("host")
        ]
    return found


def app_armor(spec):
    return [who for who, c in contexts(spec) if c.get("appArmorProfile", {}).get("type") not in (None, "RuntimeDefault", "Localhost")]


def selinux(spec):
    options = [(who, c.get("seLinuxOptions", {})) for who, c in contexts(spec)]
    return [who for who, o in options if o.get("type") not in SELINUX or o.get("user") or o.get("role")]


def proc_mount(spec):
    return [who for who, c in contexts(spec) if c.get("procMount") not in (None, "Default")]


def sysctls(spec):
    return [s["name"] for s in spec.get("securityContext", {}).get("sysctls", []) if s["name"] not in SYSCTLS]


def volume_types(spec):
    return [v["name"] for v in spec.get("volumes", []) if set(v) - {"name"} and not set(v) - {"name"} <= VOLUMES]


def escalation(spec):
    return [c["name"] for c in all_containers(spec) if c.get("securityContext", {}).get("allowPrivilegeEscalation") is not False]


def non_root(spec):
    pod = spec.get("securityContext", {}).get("runAsNonRoot")
    return [c["name"] for c in all_containers(spec) if c.get("securityContext", {}).get("runAsNonRoot", pod) is not True]


def non_root_user(spec):
    return [who for who, c in contexts(spec) if c.get("runAsUser") == 0]


def seccomp(spec):
    pod = spec.get("securityContext", {}).get("seccompProfile", {}).get("type")
    types = [(c["name"], c.get("securityContext", {}).get("seccompProfile", {}).get("type", pod)) for c in all_containers(spec)]
    return [who for who, kind in types + [("pod", pod or "RuntimeDefault")] if kind not in SECCOMP]


def capabilities(spec):
    found = []
    for container in all_containers(spec):
        caps = container.get("securityContext", {}).get("capabilities", {})
        if "ALL" not in caps.get("drop", []) or set(caps.get("add", [])) - {"NET_BIND_SERVICE"}:
            found.append(container["name"])
    return found


RULES = [
    host_process,
    host_namespaces,
    privileged,
    host_path,
    host_ports,
    hosts_of_probes,
    app_armor,
    selinux,
    proc_mount,
    sysctls,
    volume_types,
    escalation,
    non_root,
    non_root_user,
    seccomp,
    capabilities,
]

# What each rule must refuse: where in a good pod, and what is put there. `None` takes it away.
CONTAINER = ("containers", 0)
MUTATIONS = [
    (host_process, ("securityContext", "windowsOptions"), {"hostProcess": True}),
    (host_process, (*CONTAINER, "securityContext", "windowsOptions"), {"hostProcess": True}),
    (host_namespaces, ("hostNetwork",), True),
    (host_namespaces, ("hostPID",), True),
    (host_namespaces, ("hostIPC",), True),
    (privileged, (*CONTAINER, "securityContext", "privileged"), True),
    (host_path, ("volumes",), [{"name": "x", "hostPath": {"path": "/"}}]),
    (host_ports, (*CONTAINER, "ports"), [{"containerPort": 1, "hostPort": 1}]),
    (hosts_of_probes, (*CONTAINER, "livenessProbe"), {"httpGet": {"port": 1, "host": "169.254.169.254"}}),
    (hosts_of_probes, (*CONTAINER, "lifecycle"), {"preStop": {"tcpSocket": {"port": 1, "host": "10.0.0.1"}}}),
    (app_armor, ("securityContext", "appArmorProfile"), {"type": "Unconfined"}),
    (selinux, ("securityContext", "seLinuxOptions"), {"type": "spc_t"}),
    (selinux, (*CONTAINER, "securityContext", "seLinuxOptions"), {"user": "system_u"}),
    (proc_mount, (*CONTAINER, "securityContext", "procMount"), "Unmasked"),
    (sysctls, ("securityContext", "sysctls"), [{"name": "kernel.msgmax", "value": "1"}]),
    (volume_types, ("volumes",), [{"name": "x", "nfs": {"server": "s", "path": "/"}}]),
    (escalation, (*CONTAINER, "securityContext", "allowPrivilegeEscalation"), None),
    (escalation, (*CONTAINER, "securityContext", "allowPrivilegeEscalation"), True),
    (non_root, ("securityContext", "runAsNonRoot"), None),
    (non_root, (*CONTAINER, "securityContext", "runAsNonRoot"), False),
    (non_root_user, ("securityContext", "runAsUser"), 0),
    (non_root_user, (*CONTAINER, "securityContext", "runAsUser"), 0),
    (seccomp, ("securityContext", "seccompProfile"), None),
    (seccomp, ("securityContext", "seccompProfile"), {"type": "Unconfined"}),
    (seccomp, (*CONTAINER, "securityContext", "seccompProfile"), {"type": "Unconfined"}),
    (capabilities, (*CONTAINER, "securityContext", "capabilities"), None),
    (capabilities, (*CONTAINER, "securityContext", "capabilities"), {"drop": ["ALL"], "add": ["NET_RAW"]}),
]


def broken(spec):
    return {rule.__name__: found for rule in RULES if (found := rule(spec))}


def mutated(spec, path, value):
    spec = copy.deepcopy(spec)
    at = spec
    for key in path[:-1]:
        at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return spec


def checks(world):
    for render in world.renders.values():
        for pod in render.pods():
            yield f"{render.name}: {pod} is restricted", [f"{rule}: {found}" for rule, found in broken(pod.spec).items()]
    for name in ("base", "production"):
        levels = [
            f"{n['metadata']['name']}: {mode}"
            for n in world.renders[name].of("Namespace")
            for mode in ("enforce", "audit", "warn")
            if n["metadata"]["labels"].get(f"pod-security.kubernetes.io/{mode}") != "restricted"
        ]
        yield f"{name}: both namespaces ask for restricted", levels
    good = world.renders["base"].pods()[0].spec
    for rule, path, value in MUTATIONS:
        refused = set(broken(mutated(good, path, value)))
        # A volume that is wrong by its kind breaks two rules.
        wrong = rule.__name__ not in refused or refused - {rule.__name__, "volume_types"}
        yield f"{rule.__name__} refuses {'.'.join(map(str, path))}", [f"it broke {refused or 'nothing'}"] if wrong else []
    yield "every rule has been seen to refuse", [r.__name__ for r in RULES if r not in {rule for rule, *_ in MUTATIONS}]
