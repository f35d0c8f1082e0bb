# SPDX-License-Identifier: Apache-2.0
"""Reads the file `exclusions`: tests that are not run, each with its reason."""

import fnmatch
from dataclasses import dataclass


@dataclass
class Exclusion:
    suite: str
    pattern: str
    server: str  # "any", or the kind of server it is for
    reason: str
    line: int


class Exclusions:
    def __init__(self, path):
        self._path = path
        self._list = []
        server = reason = ""
        with open(path, encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                text = text.split("#", 1)[0].strip()
                if not text:
                    continue
                if text.startswith("["):
                    server, _, reason = text[1:].partition("]")
                    reason = reason.strip()
                    if server not in ("any", "etcd", "jetd") or not reason:
                        raise ValueError(f"{path}:{number}: wants [any], [etcd] or [jetd], and a "
                                         "reason")
                    continue
                suite, *patterns = text.split()
                if not reason or not patterns:
                    raise ValueError(f"{path}:{number}: wants a reason above, SUITE and tests")
                self._list += [Exclusion(suite, pattern, server, reason, number)
                               for pattern in patterns]

    def reasons(self, suite, tests, kind):
        """{test: reason} of those tests that are not run on a server of that kind.

        `tests` are all tests of the suite: a name that fits none of them is an error, so that the
        file cannot outlive what it names.
        """
        found = {}
        for exclusion in self._list:
            if exclusion.suite != suite:
                continue
            names = [test for test in tests if fnmatch.fnmatchcase(test, exclusion.pattern)]
            if not names:
                raise ValueError(f"{self._path}:{exclusion.line}: {suite} has no test "
                                 f"{exclusion.pattern}")
            if exclusion.server in ("any", kind):
                for name in names:
                    found.setdefault(name, exclusion.reason)
        return found
