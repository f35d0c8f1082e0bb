# SPDX-License-Identifier: Apache-2.0
"""The parts of a run. Each takes the Run (main.py) and returns what goes into results.json."""

import os
import re
import shutil
import statistics
import time

import plan
import servers

BOTH = ("etcd", "jetd")


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
    how long that start takes."""
    keys, updates, later = run.sized(100_000), run.sized(90_000), 10 if run.quick else 60
    result = {"keys": keys, "updates": updates, "later_seconds": later,
              **{kind: [] for kind in BOTH}}
    for number in range(run.few_rounds):
        for kind in BOTH if number % 2 == 0 else reversed(BOTH):
            with servers.Server(run.tools, kind) as server:
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
                one["start_ms"] = server.start_and_await(keys)
                one["nats_ms"] = nats_recovery_ms(server)
                time.sleep(2)
                one["after_restart"] = server.memory()
                server.load(["list,clients=1,limit=0,ops=1"])  # every value is checked
                result[kind].append(one)
        run.say(f"memory, round {number + 1} of {run.few_rounds}")
    return result


def nats_recovery_ms(server):
    """jetd's log: from its first line, which says that nats-server is starting, to its being
    connected. None for etcd."""
    if server.kind != "jetd":
        return None
    log = server.log_tail()
    times = re.findall(r"^\S+T(\d+):(\d+):([\d.]+)Z \w+ (.*)$", log, re.M)
    begin = end = None
    for hours, minutes, seconds, text in times:
        at = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        if "nats-server is starting" in text and (begin is None or end is not None):
            begin, end = at, None
        if text.startswith("connected to nats-server"):
            end = at
    return None if begin is None or end is None else (end - begin) * 1000


def empty(run):
    """A server that nobody uses: starts, memory, context switches."""
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
    return result


def idle(run):
    """An idle control plane, replayed."""
    seconds = 20 if run.quick else 1800
    result = {"seconds": seconds}
    for kind in BOTH:
        with servers.Server(run.tools, kind) as server:
            server.start_and_await()
            server.load(["create,ops=660"])
            result[kind] = server.load([f"idle,seconds={seconds},warmup=2"])[0]
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


def growth(run):
    """How cost grows: latency over throughput, memory and start over keys, CPU over watches."""
    result = {"latency": {k: [] for k in BOTH}, "keys": {k: [] for k in BOTH},
              "watches": {k: [] for k in BOTH}}
    seconds = run.seconds
    for kind in BOTH:
        with servers.Server(run.tools, kind) as server:
            server.start_and_await()
            server.load(["create,ops=5000,clients=64"])
            for rate in (500, 1000, 2000, 4000, 6000, 8000, 12000, 16000, 20000):
                row = server.load([f"update,rate={rate},seconds={seconds}"])[0]
                result["latency"][kind].append(row)
                if row["ops_per_second"] < 0.9 * rate:
                    break
            for watchers in (1, 10, 100, 1000, 10_000):
                rate = max(2, min(1000, 100_000 // watchers))
                spec = f"watch,watchers={watchers},rate={rate},seconds={seconds}"
                result["watches"][kind].append(dict(server.load([spec])[0], watchers=watchers))
        run.say(f"growth: {kind}, rates and watches done")
        for keys in (1000, 10_000, 100_000) + (() if run.quick else (1_000_000,)):
            with servers.Server(run.tools, kind, flags=large_quota(kind)) as server:
                server.start_and_await()
                row = server.load([f"create,clients=64,ops={keys}"])[0]
                after = server.memory()
                server.stop()
                start_ms = server.start_and_await(keys)
                time.sleep(2)
                result["keys"][kind].append(
                    {"keys": keys, "after_load": after, "start_ms": start_ms,
                     "nats_ms": nats_recovery_ms(server), "after_restart": server.memory(),
                     "cpu_us": row["server_cpu_us_per_unit"]})
        run.say(f"growth: {kind} done")
    return result


def large_quota(kind):
    return ["--quota-backend-bytes", str(8 << 30)] if kind == "etcd" else []
