# SPDX-License-Identifier: Apache-2.0
"""The parts of a run. Each takes the Run (main.py) and returns what goes into results.json."""

import contextlib
import datetime
import os
import re
import shutil
import statistics
import time

import plan
import servers

BOTH = ("etcd", "jetd")

# Where memory and starts are compared etcd keeps as much of its log as kubeadm lets it, a tenth of
# what it keeps by default: the more it keeps, the more memory it takes and the longer it starts.
AS_KUBEADM = {"etcd": ["--snapshot-count", "10000"], "jetd": []}


def load(run):
    """Rounds over all phases; who is first takes turns, beginning with etcd, whose first round
    sets the rates."""
    phases = plan.needed(plan.load_phases(run.seconds, run.warmup, run.scale), run.words)
    rows = {p.name: {kind: [] for kind in BOTH} for p in phases}
    rates = {}
    for number in range(run.rounds):
        for kind in BOTH if number % 2 == 0 else reversed(BOTH):
            with servers.Server(run.tools, kind) as server:
                server.start_and_await()
                for phase in phases:
                    if kind not in phase.servers:
                        continue
                    spec = phase.spec
                    if phase.rate_of:
                        spec += f",rate={rates[phase.rate_of]:.1f}"
                    row = server.load([spec])[0]
                    rows[phase.name][kind].append(row)
                    if kind == "etcd" and phase.name not in rates:
                        rates[phase.name] = phase.half * row["ops_per_second"]
            run.say(f"round {number + 1} of {run.rounds}: {kind} done")
    del rows["warm-up"]
    return rows


def memory(run):
    """100,000 keys of 1 KiB and 90,000 updates: memory after the load, later, after a restart, and
    how long a start takes, from a checkpoint and from the stream alone."""
    keys, updates, later = run.sized(100_000), run.sized(90_000), 10 if run.quick else 60
    result = {"keys": keys, "updates": updates, "later_seconds": later,
              **{kind: [] for kind in BOTH}}
    for number in range(run.few_rounds):
        for kind in BOTH if number % 2 == 0 else reversed(BOTH):
            with servers.Server(run.tools, kind, flags=AS_KUBEADM[kind]) as server:
                server.start_and_await()
                rows = server.load([f"create,clients=64,ops={keys}",
                                    f"update,clients=64,ops={updates}"])
                one = {"after_load": server.memory(),
                       "peak_rss": sum(max(r["servers"][i]["peak_rss_bytes"] for r in rows)
                                       for i in range(len(rows[0]["servers"]))),
                       "disk_bytes": server.disk_bytes()}
                time.sleep(later)
                one["later"] = server.memory()
                server.stop()
                one["checkpoint_start_ms"] = server.start_and_await(keys)
                server.stop()
                server.forget_checkpoint()
                one["start_ms"] = server.start_and_await(keys)
                one["nats_ms"] = nats_recovery_ms(server)
                time.sleep(2)
                one["after_restart"] = server.memory()
                server.load(["list,clients=1,limit=0,ops=1"])  # every value is checked
                result[kind].append(one)
        run.say(f"memory, round {number + 1} of {run.few_rounds}")
    return result


def nats_recovery_ms(server):
    """From exec to jetd's being connected to its nats-server. None for etcd."""
    if server.kind != "jetd":
        return None
    found = re.findall(r"^(\S+)Z \w+ connected to nats-server", server.log_tail(), re.M)
    if not found:
        return None
    connected = datetime.datetime.fromisoformat(found[-1] + "+00:00")
    return (connected.timestamp() - server.started_at) * 1000


def empty(run):
    """A server that nobody uses: starts, memory, context switches; and these again with 100 watches
    and 100 leases, while a write comes every ten seconds."""
    starts, seconds = (5, 5) if run.quick else (20, 60)
    result = {"seconds": seconds, **{kind: {"start_ms": []} for kind in BOTH}}
    for number in range(starts):
        for kind in BOTH:
            with servers.Server(run.tools, kind) as server:
                result[kind]["start_ms"].append(server.start_and_await(0))
                if number == 0:
                    time.sleep(2)
                    result[kind]["memory"] = server.memory()
                    before = server.usage()
                    time.sleep(seconds)
                    result[kind]["idle"] = servers.usage_between(before, server.usage(), seconds)
                    server.load(["create,ops=100", "lease-grant,ops=100"])
                    result[kind]["nothing due"] = server.load(
                        [f"watch,clients=1,watchers=100,rate=0.1,seconds={seconds}"])[0]
    return result


def idle(run):
    """An idle control plane, replayed on both at a time: together they need a few hundredths of a
    core, and whatever else the machine does meanwhile falls on both."""
    seconds = 20 if run.quick else 1800
    result = {"seconds": seconds}
    with contextlib.ExitStack() as stack:
        both = {kind: stack.enter_context(servers.Server(run.tools, kind)) for kind in BOTH}
        for server in both.values():
            server.start_and_await()
            server.load(["create,ops=660"])
        loads = {kind: server.begin_load([f"idle,seconds={seconds},warmup=2"])
                 for kind, server in both.items()}
        for kind, one in loads.items():
            result[kind] = one.rows()[0]
    return result


def fsyncs(run):
    """Syncs of files per operation, counted by strace, whose filter in the kernel lets all other
    calls pass; a short run of its own, for it slows the syncs down."""
    if shutil.which("strace") is None:
        return {"skipped": "strace is not installed"}
    result = {}
    for kind in BOTH:
        trace = run.tools.data / f"{kind}.trace"
        wrap = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync,msync",
                "-o", str(trace)]
        result[kind] = {}
        with servers.Server(run.tools, kind, wrap) as server:
            server.start_and_await()
            server.load(["create,ops=500"])
            for clients in (1, 16, 64):
                count = 200 * clients if clients > 1 else 500
                before = count_syncs(trace)
                server.load([f"update,clients={clients},ops={count}"])
                result[kind][f"update {clients}"] = (count_syncs(trace) - before) / count
        trace.unlink(missing_ok=True)
    return result


def count_syncs(trace):
    with open(trace, errors="replace") as lines:
        return sum(1 for line in lines if re.search(r"\b(fsync|fdatasync|msync)\(", line))


def bare_sync(run):
    """The floor of one durable write: append 1 KiB, fdatasync, p50 in microseconds."""
    path = run.tools.data / "bare"
    block = os.urandom(1024)
    times = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(500 if run.quick else 3000):
        before = time.perf_counter_ns()
        os.write(handle, block)
        os.fdatasync(handle)
        times.append((time.perf_counter_ns() - before) / 1e3)
    os.close(handle)
    path.unlink()
    return statistics.median(times)
