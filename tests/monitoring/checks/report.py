"""What holds and what does not."""

import sys


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = []

    def hold(self, claim, *mistakes):
        """A claim holds when there is no mistake."""
        mistakes = [mistake for mistake in mistakes if mistake]
        if not mistakes:
            self.passed += 1
            return
        self.failed.append(claim)
        print(f"FAIL {claim}", *[f"  {mistake}" for mistake in mistakes], sep="\n", file=sys.stderr)

    def close(self):
        print(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0
