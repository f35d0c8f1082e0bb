# SPDX-License-Identifier: Apache-2.0
"""Servers under test, the generator, and what /proc says of them."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "conformance"))

from ports import free_port  # noqa: E402


class Tools:
    """Where the programs are, and the folder for data."""

    def __init__(self, build, etcd, nats_server, data):
        self.jetd = pathlib.Path(build) / "etcdapi" / "jetd"
        self.load = pathlib.Path(build) / "bench" / "load"
        self.etcd = etcd
        self.nats_server = nats_server
        self.data = pathlib.Path(data)
        self.data.mkdir(parents=True, exist_ok=True)


def descendants(root):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            parent = int(stat[stat.rindex(")") + 2 :].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def memory_of(pids):
    """Bytes by process name, those of one name together, and in all."""
    total = {"pss": 0, "anonymous": 0, "rss": 0}
    by_name = {}
    for pid in pids:
        try:
            rollup = pathlib.Path("/proc", str(pid), "smaps_rollup").read_text()
            name = pathlib.Path("/proc", str(pid), "comm").read_text().strip()
        except OSError:
            continue
        one = by_name.setdefault(name, dict.fromkeys(total, 0))
        for key, field in (("pss", "Pss"), ("anonymous", "Anonymous"), ("rss", "Rss")):
            size = 1024 * int(re.search(rf"^{field}:\s+(\d+)", rollup, re.M).group(1))
            one[key] += size
            total[key] += size
    return dict(total, processes=by_name)


def usage_of(pids):
    """CPU nanoseconds and context switches so far, by process name."""
    result = {}
    for pid in pids:
        cpu = switches = 0
        try:
            name = pathlib.Path("/proc", str(pid), "comm").read_text().strip()
            tasks = list(pathlib.Path("/proc", str(pid), "task").iterdir())
        except OSError:
            continue
        for task in tasks:
            try:
                cpu += int((task / "schedstat").read_text().split()[0])
                switches += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)",
                                                    (task / "status").read_text())))
            except OSError:
                continue
        one = result.setdefault(name, {"cpu_ns": 0, "switches": 0})
        one["cpu_ns"] += cpu
        one["switches"] += switches
    return result


class Server:
    """etcd or jetd with its data in a folder of its own; a context that removes it at the end.

    `wrap` is put before the command (strace); `flags` after it.
    """

    def __init__(self, tools, kind, wrap=(), flags=(), environment=None):
        self.tools = tools
        self.kind = kind
        self.wrap = list(wrap)
        self.flags = list(flags)
        self.environment = dict(os.environ, **(environment or {}))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=kind + "-", dir=tools.data))
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.started_ns = 0
        self.started_at = 0.0  # the same by the wall clock
        self.running_loads = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for load in self.running_loads:
            load.process.kill()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self):
        data = str(self.folder / "data")
        if self.kind == "etcd":
            peer = f"http://127.0.0.1:{free_port()}"
            return [self.tools.etcd, "--data-dir", data, "--listen-client-urls", self.endpoint,
                    "--advertise-client-urls", self.endpoint, "--listen-peer-urls", peer,
                    "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        return [str(self.tools.jetd), "--data-dir", data, "--listen-client-urls", self.endpoint,
                "--nats-server", self.tools.nats_server]

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.started_ns = time.monotonic_ns()
            self.started_at = time.time()
            self.process = subprocess.Popen(
                self.wrap + self.command() + self.flags, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.environment)

    def start_and_await(self, keys=-1):
        """Milliseconds from exec to the first linearizable answer with so many keys. The generator
        runs and waits when the server is started; both read the same clock."""
        out = self.folder / "await.json"
        out.unlink(missing_ok=True)
        waiter = subprocess.Popen(
            [str(self.tools.load), "--endpoint", self.endpoint, "--json", str(out),
             f"await,keys={keys}"], stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        self.start()
        try:
            while waiter.poll() is None and self.process.poll() is None:
                time.sleep(0.02)
        finally:
            waiter.kill()  # no harm if it has ended
        if waiter.wait() != 0:
            raise RuntimeError(f"{self.kind} did not start:\n{self.log_tail()}")
        return (json.loads(out.read_text())["ready_at_ns"] - self.started_ns) / 1e6

    def stop(self):
        if self.process is None:
            return
        family = descendants(self.process.pid)
        # A tracer passes no signal on: what it traces is told.
        target = family[1] if self.wrap and len(family) > 1 else self.process.pid
        try:
            os.kill(target, signal.SIGTERM)
            self.process.wait(timeout=30)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self.process = None

    def forget_checkpoint(self):
        """The next start has the stream alone, as on a new machine. Nothing for etcd."""
        shutil.rmtree(self.folder / "data" / "values", ignore_errors=True)

    def load(self, phases, prefix=None):
        """Runs phases, and returns their rows. Wrong answers end the whole run."""
        return self.begin_load(phases, prefix).rows()

    def begin_load(self, phases, prefix=None):
        """The same in the background: call rows() of what it returns."""
        self.running_loads.append(Load(self, phases, prefix))
        return self.running_loads[-1]

    def log_tail(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def pids(self):
        return descendants(self.process.pid)

    def memory(self):
        """Bytes by process name and in all. Taken while no generator runs, which shares libraries
        with jetd and would take half of their pages on itself."""
        return memory_of(self.pids())

    def usage(self):
        """CPU nanoseconds and context switches so far, by process name."""
        return usage_of(self.pids())

    def disk_bytes(self):
        return sum(f.stat().st_blocks * 512 for f in (self.folder / "data").rglob("*")
                   if f.is_file())


class Load:
    """A generator that runs. Several may at a time, if they keep to different keys."""

    def __init__(self, server, phases, prefix):
        self.server = server
        handle, name = tempfile.mkstemp(prefix="load-", suffix=".json", dir=server.folder)
        os.close(handle)
        self.out = pathlib.Path(name)
        command = [str(server.tools.load), "--endpoint", server.endpoint, "--json", name,
                   "--pid", str(server.process.pid)]
        if prefix:
            command += ["--prefix", prefix]
        self.process = subprocess.Popen(command + list(phases), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def rows(self):
        said = None
        try:
            while said is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    said, _ = self.process.communicate(timeout=1)
                if said is None and self.server.process.poll() is not None:
                    break  # nobody will answer it
        finally:
            self.process.kill()  # no harm if it has ended
            self.process.stdout.close()
            self.process.wait()
            self.server.running_loads.remove(self)
        if said is None or self.process.returncode != 0:
            raise RuntimeError(f"on {self.server.kind}: {said}\n{self.server.log_tail()}")
        rows = [json.loads(line) for line in self.out.read_text().splitlines()]
        self.out.unlink()
        return rows


def usage_between(before, after, seconds):
    return {
        name: {"cpu_percent": (after[name]["cpu_ns"] - before[name]["cpu_ns"]) / seconds / 1e7,
               "switches_per_second":
                   (after[name]["switches"] - before[name]["switches"]) / seconds}
        for name in after if name in before
    }
