"""A network namespace with no way out but the gateway, and the escape probe in it."""

import os
import subprocess

from processes import end, free_port, start


class Cage:
    """The namespace and its link to ours. Needs root, as the cluster's tests do."""

    def __init__(self):
        number = os.getpid()
        self.name = f"monitoring-{number}"
        # /30 networks of 10.231.0.0/16, one for each process that may run this at a time.
        third, fourth = divmod((number % 16384) * 4, 256)
        self.here, self.there = f"10.231.{third}.{fourth + 1}", f"10.231.{third}.{fourth + 2}"
        link = f"mon{number % 10**9}"
        ip("netns", "add", self.name)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("addr", "add", f"{self.here}/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", "eth0")
        ip("-n", self.name, "link", "set", "lo", "up")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def stop(self):
        # The link goes with it.
        ip("netns", "del", self.name)


class Probe:
    def __init__(self, binary, cage, gateway):
        self.address = (cage.there, free_port())
        environment = {"PATH": os.environ["PATH"], "HTTPS_PROXY": "http://%s:%d" % gateway.proxy, "SSL_CERT_FILE": str(gateway.bundle)}
        command = ["ip", "netns", "exec", cage.name, binary, "probe", "--every", "5s", "--metrics-listen", "%s:%d" % self.address]
        self.process = start(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        end(self.process)


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ip {' '.join(words)}: {done.stderr.strip()} (this test makes a network namespace: it needs root and iproute2)")
