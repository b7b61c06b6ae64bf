"""Asks detect-secrets about URL, headers and body of every request, and refuses what it finds something in.

The detectors of detect-secrets are its defaults without the two for high entropy: those take numbers and identifiers of clean requests for
secrets, and a gateway that refuses clean requests would be switched off.
"""

import asyncio

from detect_secrets.core import scan
from detect_secrets.settings import default_settings, get_settings
from mitmproxy import ctx, http


class Addon:
    def load(self, loader):
        loader.add_option("origin", str, "", "Where every name leads to.")
        # Kept: the settings end with what holds them.
        self.settings = default_settings()
        self.settings.__enter__()
        get_settings().disable_plugins("Base64HighEntropyString", "HexHighEntropyString")

    def done(self):
        self.settings.__exit__(None, None, None)

    def running(self):
        asyncio.get_running_loop().create_task(self.say_where())

    async def say_where(self):
        while not (addresses := ctx.master.addons.get("proxyserver").listen_addrs()):
            await asyncio.sleep(0.05)
        host, port = addresses[0][:2]
        print(f"listening {host}:{port}", flush=True)

    def server_connect(self, data):
        data.server.address = (ctx.options.origin, 443)

    def request(self, flow):
        lines = [flow.request.url, *(f"{name}: {value}" for name, value in flow.request.headers.items())]
        lines += (flow.request.content or b"").decode("utf-8", "replace").splitlines()
        for line in lines:
            for found in scan.scan_line(line):
                flow.response = http.Response.make(403, f"detect-secrets: {found.type}\n")
                return


addons = [Addon()]
