"""Processes and ports of the test."""

import ctypes
import signal
import socket
import subprocess
import time

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def start(command, **options):
    """Starts a program that ends with this one, however that ends."""
    return subprocess.Popen([str(part) for part in command], preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM), **options)


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
