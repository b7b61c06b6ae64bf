"""The outside world: a web server that is every host, the DNS that leads there, and the CA that its certificate is of. All on loopback."""

import http.server
import pathlib
import random
import socket
import socketserver
import ssl
import struct
import subprocess
import threading

NAMES = [
    "api.github.com",
    "api.anthropic.com",
    "pastebin.com",
    "sink.example.net",
    "files.example.net",
    "soon.example.net",
    "few.example.net",
    # Where the escape probe sends what must not arrive.
    "example.com",
    "example.org",
]
# Where it resolves to is a private address: the gateway must not go there.
INSIDE = "inside.example.net"


class Answer(http.server.BaseHTTPRequestHandler):
    """Takes everything and says yes."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        left = int(self.headers.get("content-length") or 0)
        chunked = "chunked" in (self.headers.get("transfer-encoding") or "")
        while chunked:
            size = int(self.rfile.readline().split(b";")[0], 16)
            self.rfile.read(size + 2)
            chunked = size > 0
        while left > 0:
            left -= len(self.rfile.read(min(left, 1 << 16)))
        self.send_response(200)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that go away are part of the test."""


class Outside:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        # An address of loopback that nobody else uses, with the usual ports.
        self.ip = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
        self.ca = self.folder / "outside-ca.pem"
        authority(self.ca, self.folder / "outside-ca.key", "outside")
        issue(self.ca, self.folder / "outside-ca.key", self.folder / "origin.pem", self.folder / "origin.key", NAMES)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "origin.pem", self.folder / "origin.key")
        for port in (80, 443):
            server = Server((self.ip, port), Answer)
            if port == 443:
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.dns.bind(("127.0.0.1", 0))
        threading.Thread(target=self.resolve, daemon=True).start()

    def resolve(self):
        """Answers A queries (RFC 1035); what it does not know does not exist."""
        while True:
            query, peer = self.dns.recvfrom(512)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
                at += 1 + query[at]
            kind = struct.unpack("!H", query[at + 1:at + 3])[0]
            name = ".".join(labels).lower()
            ip = self.ip if name in NAMES else "10.0.0.7" if name == INSIDE else None
            found = ip is not None and kind == 1
            head = query[:2] + struct.pack("!HHHHH", 0x8180 if ip else 0x8183, 1, int(found), 0, 0)
            record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton(ip) if found else b""
            self.dns.sendto(head + query[12:at + 5] + record, peer)


P256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def authority(certificate, key, name):
    """A CA, for two days."""
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    openssl("req", "-x509", *P256, "-keyout", key, "-out", certificate, "-days", 2, "-subj", f"/CN={name}", "-addext", usage)


def issue(ca, ca_key, certificate, key, names):
    """A certificate of that CA for these names."""
    request, extensions = certificate.with_suffix(".csr"), certificate.with_suffix(".ext")
    extensions.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    openssl("req", *P256, "-keyout", key, "-out", request, "-subj", f"/CN={names[0]}")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 2, "-extfile", extensions, "-out",
            certificate)


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
