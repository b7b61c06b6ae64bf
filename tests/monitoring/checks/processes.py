"""Processes and ports of the test."""

import socket
import subprocess
import time


def end(process):
    """Ends a process of ours, if need be the hard way."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    """A port of loopback that nobody has now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(what, holds, within=30):
    """Waits for something that must come."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > within:
            raise SystemExit(f"waited {within} s for {what}")
        time.sleep(0.1)
