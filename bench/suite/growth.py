# SPDX-License-Identifier: Apache-2.0
"""How cost grows: with the rate, the number of watches and of keys, the size of values, and the
history of each key."""

import time

import sections
import servers

BOTH = sections.BOTH
MIB = 1 << 20


def large_quota(kind):
    return ["--quota-backend-bytes", str(8 << 30), *sections.AS_KUBEADM[kind]]


def growth(run):
    """Latency over throughput, CPU over watches, memory and start over keys."""
    result = {"latency": {k: [] for k in BOTH}, "keys": {k: [] for k in BOTH},
              "watches": {k: [] for k in BOTH}}
    for kind in BOTH:
        with servers.Server(run.tools, kind) as server:
            server.start_and_await()
            server.load(["create,ops=5000,clients=64"])
            for rate in (500, 1000, 2000, 4000, 6000, 8000, 12000, 16000, 20000):
                row = server.load([f"update,rate={rate},seconds={run.seconds}"])[0]
                result["latency"][kind].append(row)
                if row["ops_per_second"] < 0.9 * rate:
                    break
            for watchers in (1, 10, 100, 1000) + (() if run.quick else (10_000,)):
                rate = max(2, min(1000, 100_000 // watchers))
                spec = f"watch,watchers={watchers},rate={rate},seconds={run.seconds}"
                result["watches"][kind].append(dict(server.load([spec])[0], watchers=watchers))
        run.say(f"growth: {kind}, rates and watches done")
        for keys in (1000, 10_000, 100_000) + (() if run.quick else (1_000_000,)):
            result["keys"][kind].append(with_keys(run, kind, keys))
            run.say(f"growth: {kind}, {keys:,} keys done")
    return result


def with_keys(run, kind, keys):
    with servers.Server(run.tools, kind, flags=large_quota(kind)) as server:
        server.start_and_await()
        row = server.load([f"create,clients=64,ops={keys}"])[0]
        one = {"keys": keys, "cpu_us": row["server_cpu_us_per_unit"],
               "after_load": server.memory()}
        server.stop()
        one["checkpoint_start_ms"] = server.start_and_await(keys)
        return {**one, **restart(server, keys)}


def restart(server, keys):
    """The start from the stream to the first complete answer, what nats-server took of it, and
    memory then."""
    server.stop()
    server.forget_checkpoint()
    start_ms = server.start_and_await(keys)
    time.sleep(2)
    return {"start_ms": start_ms, "nats_ms": sections.nats_recovery_ms(server),
            "after_restart": server.memory()}


def value_plan(size, quick):
    """How many keys of so large a value, and how many operations on them: bounded in bytes, so that
    no size takes longer than the others."""
    keys = max(16, min(2000, 32 * MIB // size))
    ops = max(64, min(20_000, 256 * MIB // size))
    return (keys, max(64, ops // 8)) if quick else (keys, ops)


def values(run):
    """CPU of an update, a get and a listed key over the size of values."""
    result = {k: [] for k in BOTH}
    for size in (100, 1024, 10 * 1024, 100 * 1024, MIB):
        keys, ops = value_plan(size, run.quick)
        for kind in BOTH:
            with servers.Server(run.tools, kind, flags=large_quota(kind)) as server:
                server.start_and_await()
                rows = server.load([
                    f"create,clients=16,value={size},ops={keys}",
                    f"update,clients=16,value={size},ops={ops}",
                    f"get,clients=16,ops={ops}",
                    f"list,clients=1,limit=500,ops={max(4, ops // 500)}"])
                result[kind].append(
                    {"value_bytes": size, "keys": keys, "update": rows[1], "get": rows[2],
                     "list": rows[3], "memory": server.memory()})
        run.say(f"values of {size:,} bytes done")
    return result


def history(run):
    """The same keys with more and more old versions: memory, start, CPU of updates and gets."""
    keys = 500
    result = {"keys": keys, **{k: [] for k in BOTH}}
    for kind in BOTH:
        with servers.Server(run.tools, kind, flags=large_quota(kind)) as server:
            server.start_and_await()
            server.load([f"create,clients=64,ops={keys}"])
            have = 1
            for depth in (1, 10, 100) + (() if run.quick else (1000,)):
                if depth > have:
                    server.load([f"update,clients=64,ops={keys * (depth - have)}"])
                    have = depth
                one = {"depth": depth, "after_load": server.memory(),
                       "disk_bytes": server.disk_bytes(), **restart(server, keys)}
                one["update"], one["get"] = server.load(["update,clients=16,ops=2000",
                                                         "get,clients=16,ops=20000"])
                have += 2000 // keys
                result[kind].append(one)
                run.say(f"history: {kind}, {depth:,} versions of each key done")
    return result
