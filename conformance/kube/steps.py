# SPDX-License-Identifier: Apache-2.0
"""Runs named steps, times them, and counts: passed, failed, skipped."""

import time
import traceback


class Failed(Exception):
    """A check of the scenario does not hold; its text is what a reader sees."""


class Skip(Exception):
    """There is nothing to check here."""


def expect(holds, text):
    if not holds:
        raise Failed(text)


def expect_none(lines, what):
    if lines:
        raise Failed(f"{what}:\n        " + "\n        ".join(lines))


class Steps:
    def __init__(self, log):
        self._log = log
        self._broken = False
        self.counts = {"ok": 0, "FAIL": 0, "skip": 0}

    def run(self, name, action, needed=False):
        """One step: action() returns what to say. A needed one that fails skips the rest."""
        start = time.monotonic()
        text = ""
        try:
            if self._broken:
                raise Skip("the start did not succeed")
            result = "ok"
            text = action() or ""
        except Skip as reason:
            result, text = "skip", str(reason)
        except KeyboardInterrupt:
            raise
        except Exception as error:  # whatever it is, the other steps still have something to say
            result = "FAIL"
            self._broken |= needed
            text = str(error) or type(error).__name__
            with open(self._log, "a", encoding="utf-8") as log:
                log.write(f"== {name}\n{traceback.format_exc()}\n")
        self.counts[result] += 1
        took = time.monotonic() - start
        print(f"{result:4} {took:7.1f} s  {name}{': ' if text else ''}{text}", flush=True)

    def summary(self):
        counts = self.counts
        return f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped"
