# SPDX-License-Identifier: Apache-2.0
"""The plots that say how cost grows."""

import stats
from cells import MIB
from drawing import draw

BOTH = ("etcd", "jetd")


def write_all(results, out):
    for section, plots in (("growth", of_growth), ("values", of_values), ("history", of_history),
                           ("tenants", of_tenants), ("compaction", of_compaction)):
        if section in results:
            for name, text in plots(results[section]).items():
                (out / f"{name}.svg").write_text(text)


def lines(rows, x, y):
    """One line for each server, from its list of rows."""
    return {kind: [(x(row), y(row)) for row in rows[kind]] for kind in BOTH}


def of_growth(growth):
    keys = growth["keys"]
    return {
        "latency_over_throughput": draw(
            "Updates at a rate: latency over throughput", "updates a second", "ms",
            {f"{kind} {p}": [(r["ops_per_second"], r["latency_us"][p] / 1e3)
                             for r in growth["latency"][kind]]
             for kind in BOTH for p in ("p50", "p99")}, log_y=True),
        "memory_over_keys": draw(
            "Memory over keys of 1 KiB", "keys", "PSS, MiB",
            {f"{kind}, {what}": [(k["keys"], k[key]["pss"] / MIB) for k in keys[kind]]
             for kind in BOTH
             for what, key in (("after the load", "after_load"), ("restarted", "after_restart"))},
            log_x=True, log_y=True),
        "start_over_records": draw(
            "Start to a complete answer over records", "keys", "ms",
            {**lines(keys, lambda k: k["keys"], lambda k: k["start_ms"]),
             "jetd after a clean stop": [(k["keys"], k["checkpoint_start_ms"])
                                         for k in keys["jetd"]],
             "of jetd's, nats-server": [(k["keys"], k["nats_ms"]) for k in keys["jetd"]
                                        if k["nats_ms"]]}, log_x=True, log_y=True),
        "cpu_over_watches": draw(
            "CPU per event over the number of watches", "watches", "µs per event",
            lines(growth["watches"], lambda w: w["watchers"],
                  lambda w: w["server_cpu_us_per_unit"]), log_x=True, log_y=True)}


def of_values(values):
    return {"cpu_over_value_size": draw(
        "CPU over the size of a value", "bytes", "µs per operation, listed key",
        {f"{kind} {what}": [(row["value_bytes"], row[what]["server_cpu_us_per_unit"])
                            for row in values[kind]]
         for what in ("update", "get", "list") for kind in BOTH}, log_x=True, log_y=True)}


def of_history(history):
    title = f"{history['keys']} keys of 1 KiB with a history"
    return {
        "memory_over_history": draw(
            title, "versions of each key", "PSS, MiB",
            {f"{kind}, {what}": [(row["depth"], row[key]["pss"] / MIB) for row in history[kind]]
             for kind in BOTH
             for what, key in (("after the load", "after_load"), ("restarted", "after_restart"))},
            log_x=True, log_y=True),
        "start_over_history": draw(
            title, "versions of each key", "start to a complete answer, ms",
            lines(history, lambda row: row["depth"], lambda row: row["start_ms"]),
            log_x=True, log_y=True)}


def of_tenants(tenants):
    counts = tenants["counts"]

    def line(pick):
        return [(one["tenants"], pick(one)) for one in counts]

    return {
        "memory_over_tenants": draw(
            "One nats-server, an account and a jetd for each tenant", "tenants", "PSS, MiB",
            {name: line(lambda one, n=name: one["memory"]["processes"][n]["pss"] / MIB)
             for name in ("jetd", "nats-server")}, log_x=True, log_y=True),
        "cpu_over_tenants": draw(
            "Idle CPU of one nats-server and a jetd for each tenant", "tenants", "% of a core",
            {name: line(lambda one, n=name: one["idle"][n]["cpu_percent"])
             for name in ("jetd", "nats-server")}, log_x=True, log_y=True)}


def of_compaction(compaction):
    """Medians of the pairs, over one in how many writes takes longer."""
    points = {"p50": 2, "p90": 10, "p99": 100, "p99.9": 1000}
    return {"latency_beside_removal": draw(
        f"{compaction['rate']:,} updates a second beside a removal",
        "one in so many takes longer", "ms",
        {f"{kind}, {which}": [
            (at, stats.Estimate([p[which]["latency_us"][name] / 1e3
                                 for p in compaction[kind]]).median)
            for name, at in points.items()]
         for kind in BOTH for which in ("without", "with")}, log_x=True, log_y=True)}
