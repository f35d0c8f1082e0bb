# SPDX-License-Identifier: Apache-2.0
"""One test's processes: started in a session of their own, and all gone in the end."""

import os
import signal
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from processes import alive, name_of  # noqa: E402

MARK = "CONFORMANCE_TEST"
GRACE_S = 3  # until what a test left behind has to be gone by itself


def argv_of(loopback, argv):
    return [sys.executable, "-B", f"{HERE}/launch.py", loopback, *argv]


def can_have_own_loopback():
    done = subprocess.run(argv_of("own", ["/bin/true"]), capture_output=True, check=False)
    return done.returncode == 0


_bare = set()  # processes that have no environment at all


def _has_program(pid):
    try:
        return bool(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False  # one of the kernel's, or dead


def environment_of(pid):
    """As it was at its start. In the middle of an exec a process has none for a moment."""
    for _ in range(100):
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
        if environment or pid in _bare or not _has_program(pid):
            return environment
        time.sleep(0.01)
    _bare.add(pid)
    return environment


class Marked:
    """A program and all that it starts, at any depth and in any session: found by a variable."""

    def __init__(self, argv, log, cwd, environment, loopback):
        mark = uuid.uuid4().hex
        self._entry = f"{MARK}={mark}".encode()
        self._child = subprocess.Popen(
            argv_of(loopback, argv), cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**environment, MARK: mark}, start_new_session=True)

    def wait(self, patience_s):
        """The exit code; None if the program had to be killed."""
        try:
            return self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            return None

    def members(self):
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                marked = self._entry in environment_of(entry).split(b"\0")
            except OSError:
                continue
            if marked and alive(entry):
                found.append(int(entry))
        return found

    def sweep(self):
        """Waits for the end of what is left, then kills it; the names of what had to be killed."""
        until = time.monotonic() + GRACE_S
        while (left := self.members()) and time.monotonic() < until:
            time.sleep(0.02)
        names = sorted(f"{name_of(pid) or '?'} ({pid})" for pid in left)
        while left:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
            left = self.members()
        return names

    def end(self):
        """At once, whatever state it is in."""
        while left := self.members():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        self._child.wait()
