"""The gateway under test: `portcullis up`, fail-open, with everything in its policy that dashboards show."""

import contextlib
import http.client
import http.server
import os
import pathlib
import re
import secrets
import signal
import socket
import ssl
import subprocess
import threading

from outside import authority, issue
from processes import end, free_port, start

POLICY = """
version: 1
extends: [default, github]
groups: {agents: ["*"]}
rules:
  - {name: read-only, hosts: [files.example.net], methods: [PUT], action: deny}
  - {name: soon, hosts: [soon.example.net], action: deny, mode: monitor}
  - {name: few, hosts: [few.example.net], budget: {window: 1h, requests: 5}}
  - {name: unseen, hosts: [sink.example.net], paths: ["/unseen/**"], partial_coverage: allow}
"""


class Gateway:
    def __init__(self, binary, folder, outside, ip):
        self.state = pathlib.Path(folder) / "state"
        self.policy = pathlib.Path(folder) / "policy.yaml"
        self.policy.write_text(POLICY)
        # A value of somebody's, made for this run.
        self.known = pathlib.Path(folder) / "known.env"
        self.known_value = secrets.token_urlsafe(30)
        self.known.write_text(f"DEPLOY_KEY={self.known_value}\n")
        dns = "{}:{}".format(*outside.dns.getsockname())
        self.allowed = f"{outside.ip}/32"
        command = [
            binary, "up", "--fail-open", "--listen", f"{ip}:0", "--state-dir", self.state, "--policy", self.policy, "--known", self.known,
            "--dns", dns, "--upstream-ca", outside.ca, "--allow-upstream", self.allowed,
        ]
        self.process = start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        printed = ""
        for line in self.process.stdout:
            printed += line
            if line.startswith("# ready"):
                break
        else:
            raise SystemExit(f"`portcullis up` did not start; the logs are in {self.state / 'log'}\n{printed}")
        self.proxy = address(re.search(r"HTTPS_PROXY='?http://([^'\s/]+)", printed).group(1))
        self.scanner, self.certificates = (address(found) for found in re.findall(r"http://([\d.:]+)/metrics", printed))
        self.ca, self.bundle = self.state / "ca" / "ca.pem", self.state / "ca" / "bundle.pem"
        self.bridge = Bridge(self.state / "run" / "status.sock")

    @contextlib.contextmanager
    def frozen(self, role):
        """A part that keeps its connections and answers nothing."""
        pid = int((self.state / "run" / f"{role}.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self):
        self.bridge.shutdown()
        end(self.process)


class Replica:
    """A second scanner as it is in a pod: with mutual TLS, the same policy, and nothing to do."""

    def __init__(self, binary, folder, gateway):
        tls = pathlib.Path(folder) / "tls"
        tls.mkdir()
        authority(tls / "ca.crt", tls / "ca.key", "portcullis")
        issue(tls / "ca.crt", tls / "ca.key", tls / "tls.crt", tls / "tls.key", ["portcullis-scanner"])
        self.metrics, self.listen = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
        command = [
            binary, "scanner", "--listen", "%s:%d" % self.listen, "--metrics-listen", "%s:%d" % self.metrics, "--tls-dir", tls,
            "--policy", gateway.policy, "--known", gateway.known, "--fingerprint-key", gateway.state / "fingerprint.key",
            "--allow-private", gateway.allowed,
        ]
        self.process = start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def knock(self):
        """A handshake without a certificate, which is refused."""
        context = ssl._create_unverified_context()
        with contextlib.suppress(OSError), socket.create_connection(self.listen, timeout=5) as link:
            context.wrap_socket(link).recv(1)

    def stop(self):
        end(self.process)


class Bridge(http.server.ThreadingHTTPServer):
    """Prometheus cannot scrape the Unix socket that Envoy's pages are on here; pods have a port."""

    daemon_threads = True

    def __init__(self, path):
        self.path = path
        super().__init__(("127.0.0.1", 0), Page)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """On a busy machine Prometheus does not wait for a page, or Envoy does not answer: the next scrape has it."""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = Unix(self.server.path)
        page.request("GET", self.path, headers={"host": "status"})
        answer = page.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("content-type", answer.getheader("content-type", "text/plain"))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("status", timeout=5)
        self.unix_path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(self.unix_path)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)

