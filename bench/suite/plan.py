# SPDX-License-Identifier: Apache-2.0
"""What is run: phases by name, as bench/load spells them."""


class Phase:
    """`unit` is what CPU and throughput count; `servers` who can do it at all."""

    def __init__(self, name, spec, unit="op", servers=("etcd", "jetd"), rate_of=None, half=0.5):
        self.name = name
        self.spec = spec
        self.unit = unit
        self.servers = servers
        # At this share of what etcd reached in that phase; None: flat out.
        self.rate_of = rate_of
        self.half = half


def load_phases(seconds, warmup, scale):
    """One visit to a fresh server. Creates and deletes are fixed work, so that all servers hold the
    same number of keys when they are listed."""
    timed = f"seconds={seconds},warmup={warmup}"

    def ops(count):
        return f"ops={max(200, int(count * scale))}"

    saturated = [
        Phase("warm-up", "create,clients=16," + ops(2000)),
        Phase("create 16", "create,clients=16," + ops(18000)),
        Phase("create 64", "create,clients=64," + ops(30000)),
        Phase("update 1", "update,clients=1," + timed),
        Phase("update 16", "update,clients=16," + timed),
        Phase("update 64", "update,clients=64," + timed),
        Phase("get 1", "get,clients=1," + timed),
        Phase("get 16", "get,clients=16," + timed),
        Phase("get 64", "get,clients=64," + timed),
        Phase("list paged 1", "list,clients=1," + timed, "key"),
        Phase("list paged 4", "list,clients=4," + timed, "key"),
        Phase("list unlimited 1", "list,clients=1,limit=0," + timed, "key"),
        Phase("range stream 1", "range-stream,clients=1," + timed, "key", ("jetd",)),
        Phase("mixed 16", "mixed,clients=16," + timed),
        Phase("watch 10", "watch,clients=16,watchers=10," + timed, "event"),
        Phase("watch 100", "watch,clients=16,watchers=100," + timed, "event"),
        Phase("lease grant 16", "lease-grant,clients=16," + timed),
        Phase("lease keepalive 16", "lease-keepalive,clients=16," + timed),
    ]
    at_rate = []
    for base, spec, unit in (
        ("create 64", "create," + ops(20000), "op"),
        ("update 1", "update," + timed, "op"),
        ("update 16", "update," + timed, "op"),
        ("update 64", "update," + timed, "op"),
        ("get 16", "get," + timed, "op"),
        ("list paged 4", "list," + timed, "key"),
        ("mixed 16", "mixed," + timed, "op"),
        ("watch 100", "watch,watchers=100," + timed, "event"),
    ):
        at_rate.append(Phase(f"half of {base}", spec, unit, rate_of=base))
    ending = [
        Phase("delete 16", "delete,clients=16," + ops(15000)),
        Phase("delete 64", "delete,clients=64," + ops(35000)),
        Phase("half of delete 16", "delete," + ops(10000), rate_of="delete 16"),
    ]
    return saturated + at_rate + ending


def needed(phases, words):
    """Those that hold one of the words, with what they need: keys, and the rates of others."""
    if not words:
        return phases
    wanted = [p for p in phases if any(word in p.name for word in words)]
    names = {p.name for p in wanted} | {p.rate_of for p in wanted}
    names |= {"warm-up", "create 16"}
    return [p for p in phases if p.name in names]
