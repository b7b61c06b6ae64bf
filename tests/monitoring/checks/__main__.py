"""Runs every check and says what is wrong: `checks BINARY [--static | --pictures]`."""

import signal
import sys
import time

import static
from report import Report


def main(binary, option):
    report = Report()
    # Days pass in these tests, which takes a while: the rest goes on meanwhile.
    alerts = static.begun("promtool", "test", "rules", *static.TESTS)
    static.check(report)
    if option != "--static":
        # What needs a gateway needs more of the machine: sockets, a built binary, Prometheus.
        import live

        live.check(report, binary, pictures=option == "--pictures")
    report.hold("promtool test rules", static.outcome(alerts))
    return report.close()


if __name__ == "__main__":
    # So that what was started is ended, and the network namespace taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    code = main(*sys.argv[1:3])
    print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(code)
