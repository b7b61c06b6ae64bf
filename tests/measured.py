"""Where and on what a generated page was measured: for the pages of tests/*/render.py."""

import os
import pathlib
import platform
import subprocess

HERE = pathlib.Path(__file__).parent


def revision():
    def git(*args):
        return subprocess.run(["git", *args], capture_output=True, text=True, cwd=HERE, check=True).stdout.strip()

    return git("rev-parse", "--short=10", "HEAD") + (" with changes" if git("status", "--porcelain", "--untracked-files=no") else "")


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} processors ({names[0] if names else platform.machine()}), Linux {platform.release()}"
