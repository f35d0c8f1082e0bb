# SPDX-License-Identifier: Apache-2.0
"""What a run says: progress while it runs, a table at the end, JSON."""

import json
import os
import sys
import time
from dataclasses import dataclass, field


@dataclass
class SuiteRun:
    """One suite of a run."""
    suite: object  # catalog.Suite
    wanted: int  # tests that run
    excluded: dict  # {test: reason}
    results: list = field(default_factory=list)

    def count(self, status):
        return sum(result.status == status for result in self.results)

    @property
    def retried(self):
        return [result for result in self.results if result.retried and result.status == "passed"]

    @property
    def unserved(self):
        """Passed tests that never started the program under test."""
        return [result for result in self.results
                if result.status == "passed" and not result.served]

    @property
    def seconds(self):
        """Of all tests together, as if each had run alone."""
        return sum(result.seconds for result in self.results)


class Screen:
    """Lines on stdout; on a terminal a line of progress below them."""

    def __init__(self, total):
        self._total = total
        self._done = 0
        self._terminal = sys.stdout.isatty()
        self._progress = ""

    def line(self, text):
        self._clear()
        print(text, flush=True)
        self._draw()

    def started(self, test):
        self._progress = f"{test.suite.name} {test.name}"
        self._clear()
        self._draw()

    def result(self, result):
        self._done += 1
        name = f"{result.test.suite.name}/{result.test.name}"
        if result.status == "failed":
            self.line(f"FAILED  {name} ({result.seconds:.1f} s): {result.reason[:200]}\n"
                      f"        {result.log}")
        elif result.retried:
            self.line(f"retried {name} ({result.seconds:.1f} s): {result.reason[:200]}\n"
                      f"        {result.first_log}")

    def suite(self, run, width):
        self.line(f"{run.suite.name:{width}}  {counts(run)}, "
                  f"{len(run.excluded)} excluded, {len(run.retried)} retried, "
                  f"{len(run.unserved)} without a server, "
                  f"{sum(result.subtests for result in run.results)} subtests, "
                  f"{run.seconds:.0f} s of tests")

    def finish(self):
        self._clear()
        self._terminal = False

    def _clear(self):
        if self._terminal:
            sys.stdout.write("\r\x1b[K")

    def _draw(self):
        if self._terminal and self._progress:
            width = os.get_terminal_size().columns
            sys.stdout.write(f"[{self._done}/{self._total}] {self._progress}"[:width - 1])
            sys.stdout.flush()


def counts(run):
    return (f"{run.count('passed')} passed, {run.count('failed')} failed, "
            f"{run.count('skipped')} skipped")


def by_reason(runs):
    """{reason: {suite: [test]}} of what is excluded."""
    found = {}
    for run in runs:
        for test, reason in run.excluded.items():
            found.setdefault(reason, {}).setdefault(run.suite.name, []).append(test)
    return found


def print_skipped(runs):
    for run in runs:
        for result in run.results:
            if result.status == "skipped":
                print(f"skipped {run.suite.name}/{result.test.name}: {result.reason[:200]}")


def print_figures(runs):
    for run in runs:
        for result in run.results:
            for figure in result.figures:
                print(f"measured {run.suite.name}/{result.test.name}: {figure}")


def print_exclusions(runs):
    for reason, suites in by_reason(runs).items():
        print(f"excluded: {reason}")
        for suite, tests in suites.items():
            print(f"    {suite}: {' '.join(tests)}")


def suite_json(run):
    return {
        "name": run.suite.name,
        "package": run.suite.package,
        "about": run.suite.about,
        "seconds": round(run.seconds, 1),
        "excluded": run.excluded,
        "tests": [{
            "name": result.test.name,
            "status": result.status,
            "seconds": round(result.seconds, 2),
            "subtests": result.subtests,
            "served": result.served,
            "retried": result.retried,
            "figures": result.figures,
            "reason": result.reason,
            "log": result.log,
        } for result in sorted(run.results, key=lambda result: result.test.name)],
    }


def as_json(runs, server, versions, seconds):
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "server": server,
        "versions": versions,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "totals": {
            **{status: sum(run.count(status) for run in runs)
               for status in ("passed", "failed", "skipped")},
            "excluded": sum(len(run.excluded) for run in runs),
            "retried": sum(len(run.retried) for run in runs),
            "unserved": sum(len(run.unserved) for run in runs),
        },
        "suites": [suite_json(run) for run in runs],
    }


def write_json(path, value):
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)
