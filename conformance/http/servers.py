# SPDX-License-Identifier: Apache-2.0
"""Programs for these scripts, and the servers that they start: all end with who started them."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from ports import free_port  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
PATIENCE_S = 60


def program(variable, name, fallback=""):
    path = os.environ.get(variable, "")
    if not path:
        found = subprocess.run([f"{ROOT}/tools/prefix", name], capture_output=True, text=True,
                               check=False)
        path = found.stdout.strip() if found.returncode == 0 else fallback
    if not os.access(path, os.X_OK):
        print(f"{name} is not there: set {variable} or run tools/setup", file=sys.stderr)
        sys.exit(77)
    return path


def jetd_program(given):
    """jetd, and in the environment the nats-server that it starts."""
    if "JETD_NATS_SERVER" not in os.environ:
        os.environ["JETD_NATS_SERVER"] = program("JETD_NATS_SERVER", "nats-server")
    return given or program("JETD_BIN", "jetd", f"{ROOT}/build/dev/etcdapi/jetd")


def prometheus_programs():
    if "JETD_PROMETHEUS" in os.environ:
        return os.environ["JETD_PROMETHEUS"], os.environ["JETD_PROMTOOL"]
    subprocess.run([f"{ROOT}/tools/debian-prefix", "bookworm", "prometheus", "prometheus>=2.42"],
                   check=True)
    cache = subprocess.run([f"{ROOT}/tools/prefix", "--cache"], capture_output=True, text=True,
                           check=True).stdout.strip()
    folder = f"{cache}/prefix/prometheus/root/usr/bin"
    return f"{folder}/prometheus", f"{folder}/promtool"


class Process:
    """A server with its log in `folder`, ready when `path` of `url` answers 200."""

    def __init__(self, argv, folder, url, path):
        self.url = url
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers(path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                with open(f"{folder}/log", encoding="utf-8") as log:
                    raise RuntimeError(f"{argv[0]} does not serve: {log.read()[-2000:]}")
            time.sleep(0.05)

    def _answers(self, path):
        try:
            return self.ask(path)[0] == 200
        except OSError:
            return False

    def ask(self, path, method="GET", url=None):
        """Status, content type and body."""
        request = urllib.request.Request((url or self.url) + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Store(Process):
    """etcd or jetd, with client and metrics URLs on free ports."""

    def __init__(self, argv, folder, flags=()):
        self.client = f"http://127.0.0.1:{free_port()}"
        metrics = f"http://127.0.0.1:{free_port()}"
        super().__init__(
            [*argv, "--data-dir", f"{folder}/data", "--listen-client-urls", self.client,
             "--advertise-client-urls", self.client, "--listen-metrics-urls", metrics,
             "--metrics", "extensive", *flags], folder, metrics, "/health")


def ctl(etcdctl, store, *argv, ok=True, stdin=None):
    done = subprocess.run([etcdctl, "--endpoints", store.client, f"--command-timeout={PATIENCE_S}s",
                           *argv], input=stdin, capture_output=True, text=True, check=False,
                          timeout=2 * PATIENCE_S)
    if ok and done.returncode != 0:
        raise RuntimeError(f"etcdctl {argv}: {done.stderr}")
    return done.stdout


def load(etcdctl, store):
    """Something of everything that is counted."""
    def run(*argv, **more):
        return ctl(etcdctl, store, *argv, **more)

    for number in range(10):
        run("put", f"k{number}", "v" * 100)
    with subprocess.Popen([etcdctl, "--endpoints", store.client, "watch", "--prefix", "k",
                           "--rev", "2"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as watch:
        for _ in range(3 * 10):  # a line each for kind, key and value
            watch.stdout.readline()
        watch.kill()
    run("get", "--prefix", "k")
    run("get", "k1", "--consistency=s")
    run("del", "k1")
    run("txn", stdin='mod("k2") > "0"\n\nput k2 new\nget k2\n\n\n')
    lease = run("lease", "grant", "60").split()[1]
    run("put", "leased", "v", "--lease", lease)
    run("lease", "keep-alive", "--once", lease)
    run("lease", "timetolive", lease)
    run("lease", "revoke", lease)
    run("compaction", "5", ok=False)
    run("compaction", "1000000", ok=False)
    run("endpoint", "status")
    run("endpoint", "hashkv")
    run("member", "list")
    run("alarm", "list")


class Comparison:
    """Counts what was looked at, and says what is wrong."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, what, problems):
        problems = [problem for problem in problems if problem]
        self.passed += not problems
        self.failed += bool(problems)
        print("FAILED" if problems else "passed", what)
        for problem in problems:
            print(f"    {problem}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, 0 skipped")
        return 1 if self.failed else 0
