# SPDX-License-Identifier: Apache-2.0
"""Runs tests, each in a process of its own, several at once, and says how each ended."""

import glob
import os
import queue
import re
import shutil
import threading
import time
from dataclasses import dataclass, field

from process import Marked

KILL_AFTER_S = 20  # a test program ends itself at its limit; one that does not is killed so late
SAID = re.compile(r"^\s*(?!logger\.go)\w+\.go:\d+: (.*)$")  # not what servers and clients log
TEST_LINE = re.compile(r"^\s+(\w+_test|testutil)\.go:\d+: ")
TELLING = re.compile(r"(?i)fail|error|expect|want|timed? ?out|took")
FIGURE = re.compile(r"^\s+\w+\.go:\d+: figure: (.*)$", re.MULTILINE)
SUBTEST = re.compile(r"^\s+--- (PASS|FAIL|SKIP): ", re.MULTILINE)


@dataclass
class Test:
    suite: object  # catalog.Suite
    name: str
    program: str  # the test binary
    root: str  # the folder whose files it uses; the package's own is at or below it
    arguments: list = field(default_factory=list)


@dataclass
class Result:
    test: Test
    status: str  # passed, failed or skipped
    seconds: float  # of all attempts
    subtests: int
    reason: str = ""  # why it failed or was skipped
    served: bool = False  # whether the program under test was started at all
    retried: bool = False
    figures: list = field(default_factory=list)  # what it has measured, in its words
    log: str = ""  # of the last attempt
    first_log: str = ""  # of the failed attempt, if it was retried


def judge(name, code, text, left):
    """(status, reason) of one attempt, from its exit code and its output."""
    if code is None:
        return "failed", "took too long and was killed"
    if code != 0:
        return "failed", failure_line(text) or f"exit code {code}"
    if left:
        return "failed", f"left {', '.join(left)} behind"
    if f"--- SKIP: {name} (" in text:
        before = text.split(f"--- SKIP: {name} (")[0].splitlines()
        said = [match.group(1) for line in before if (match := SAID.match(line))]
        return "skipped", (said[-1] if said else "") or "without a word"
    if f"--- PASS: {name} (" in text:
        return "passed", ""
    return "failed", "the test did not run"


def failure_line(text):
    """The line of the output that says most about a failure."""
    lines = text.splitlines()
    for mark in ("panic: ", "fatal error: ", "WARNING: DATA RACE"):
        for line in lines:
            if line.startswith(mark):
                return line
    said = [line.strip() for line in lines if TEST_LINE.match(line)]
    telling = [line for line in said if TELLING.search(line)]
    return (telling or said or [""])[-1]


def mirror(root, inner, copy):
    """A folder that looks like `root`, where the folder root/inner can be written to: its path.

    Everything on the way there is a link; tests that put files and sockets into their folder leave
    the original alone, and each other.
    """
    os.makedirs(copy)
    first, _, rest = ("" if inner == "." else inner).partition("/")
    for entry in os.listdir(root):
        if entry != first:
            os.symlink(f"{root}/{entry}", f"{copy}/{entry}")
    return mirror(f"{root}/{first}", rest or ".", f"{copy}/{first}") if first else copy


class Runner:
    """`environment` is what every test gets; `on_result` hears of each result, on one thread at
    a time."""

    def __init__(self, environment, results, scratch, loopback, on_start, on_result):
        self._environment = environment
        self._results = results
        self._scratch = scratch
        self._loopback = loopback
        self._on_start = on_start
        self._on_result = on_result
        self._lock = threading.Lock()
        self._running = set()
        self._stopped = False
        self._next_scratch = 0
        self._broken = None  # what a worker could not go on from

    def run(self, tests, jobs):
        """Returns when all tests have ended. Call from the main thread: signals end up there."""
        todo = queue.SimpleQueue()
        for test in tests:
            todo.put(test)
        threads = [threading.Thread(target=self._work, args=(todo,), daemon=True)
                   for _ in range(min(jobs, len(tests)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # not for ever: a signal has to get through
        if self._broken:
            raise self._broken

    def stop(self):
        """Ends what runs; nothing else starts. For the way out after a signal."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for marked in running:
            marked.end()

    def _work(self, todo):
        try:
            self._run_all(todo)
        except Exception as error:
            self._broken = error
            self._stopped = True

    def _run_all(self, todo):
        while not self._stopped:
            try:
                test = todo.get_nowait()
            except queue.Empty:
                return
            with self._lock:
                self._on_start(test)
            result = self._attempt(test, "")
            if result.status == "failed" and not self._stopped:
                again = self._attempt(test, ".retry")
                again.retried = True
                again.seconds += result.seconds
                again.first_log = result.log
                again.reason = again.reason or result.reason
                result = again
            with self._lock:
                if not self._stopped:
                    self._on_result(result)

    def _attempt(self, test, suffix):
        logs = f"{self._results}/{test.suite.name}/{test.name}{suffix}"
        os.makedirs(logs)
        log_path = f"{logs}/test.log"
        scratch = self._make_scratch()
        cwd = mirror(test.root, os.path.relpath(test.suite.package, test.suite.root),
                     f"{scratch}/tree")
        environment = {**self._environment, "TMPDIR": scratch, "HOME": scratch,
                       "CONFORMANCE_LOGS": logs}
        argv = [test.program, f"-test.run=^{test.name}$", "-test.v", "-test.count=1",
                f"-test.timeout={test.suite.test_s}s", *test.arguments]
        start = time.monotonic()
        with open(log_path, "wb") as log, self._lock:
            if self._stopped:
                return Result(test, "failed", 0, 0, "was not started")
            marked = Marked(argv, log, cwd, environment, self._loopback)
            self._running.add(marked)
        code = marked.wait(test.suite.test_s + KILL_AFTER_S)
        left = marked.sweep()
        seconds = time.monotonic() - start
        with self._lock:
            self._running.discard(marked)
        shutil.rmtree(scratch, ignore_errors=True)
        with open(log_path, encoding="utf-8", errors="replace") as log:
            text = log.read()
        status, reason = judge(test.name, code, text, left)
        reason = reason.replace(self._scratch, "")
        return Result(test, status, seconds, len(SUBTEST.findall(text)), reason,
                      served=bool(glob.glob(f"{logs}/server-*")), figures=FIGURE.findall(text),
                      log=log_path)

    def _make_scratch(self):
        with self._lock:
            self._next_scratch += 1
            path = f"{self._scratch}/{self._next_scratch}"
        os.makedirs(path)
        return path
