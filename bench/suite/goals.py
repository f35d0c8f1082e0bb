# SPDX-License-Identifier: Apache-2.0
"""What jetd, with its nats-server, is to reach in relation to etcd in the same run."""

import stats

CPU, RATE, P50, P99 = "cpu", "rate", "p50", "p99"

# (what, phases, metric, relation, limit). A tail is worse only if its whole interval lies above,
# and an interval needs rounds: see verdict. A median is no tail.
LOAD_GOALS = [
    *[(f"{kind} {n} clients: CPU per operation", [f"{kind} {n}"], CPU, "<=", 0.5)
      for kind in ("create", "update", "delete") for n in (16, 64)],
    *[(f"{kind} {n} clients: throughput", [f"{kind} {n}"], RATE, ">=", 1.5)
      for kind in ("create", "update", "delete") for n in (16, 64)],
    *[(f"{kind} {n} clients: p99", [f"{kind} {n}"], P99, "tail", 1.1)
      for kind in ("create", "update", "delete") for n in (16, 64)],
    *[(f"half of etcd's {kind}: {name} at the same rate", [f"half of {kind}"], of, relation, limit)
      for kind in ("create 64", "update 16", "update 64", "delete 16")
      for name, of, relation, limit in (("CPU per operation", CPU, "<=", 0.5),
                                        ("p50", P50, "median", 1.1), ("p99", P99, "tail", 1.1))],
    ("update 1 client: CPU per operation", ["update 1"], CPU, "<=", 0.5),
    ("update 1 client: p50", ["update 1"], P50, "median", 1.1),
    ("get 16 clients: CPU per operation", ["get 16"], CPU, "<=", 0.5),
    ("get 16 clients: throughput", ["get 16"], RATE, ">=", 1.3),
    *[(f"{kind}: CPU per key", [kind], CPU, "<=", 0.3)
      for kind in ("list paged 1", "list paged 4", "list unlimited 1")],
    *[(f"{kind}: throughput", [kind], RATE, ">=", 2)
      for kind in ("list paged 1", "list paged 4", "list unlimited 1")],
    ("watch, 100 watchers: CPU per event", ["watch 100"], CPU, "<=", 0.35),
    ("watch, 100 watchers: p99 lag", ["watch 100"], P99, "tail", 1.1),
    ("watch, 100 watchers: p99 lag at the same rate", ["half of watch 100"], P99, "tail", 1.1),
]


def metric(row, name):
    if name == CPU:
        return row["server_cpu_us_per_unit"]
    if name == RATE:
        return row["units_per_second"]
    times = row.get("lag_us") or row["latency_us"]
    return times[name]


def verdict(relation, limit, estimate):
    if relation in ("<=", "median"):
        met = estimate.median <= limit
    elif relation == ">=":
        met = estimate.median >= limit
    elif estimate.count < stats.FEWEST_FOR_INTERVAL:
        return "open"
    else:
        met = estimate.low <= limit
    return "met" if met else "not met"


def judge(what, relation, limit, estimate):
    shown = {"<=": "at most", ">=": "at least", "tail": "no worse:",
             "median": "no worse:"}[relation]
    return {"what": what, "goal": f"{shown} {limit:g}", "estimate": estimate.as_json(),
            "verdict": verdict(relation, limit, estimate)}


def judge_load(rows):
    """`rows[phase][server]` is the list of that phase's rows, round by round."""
    judged = []
    for what, phases, name, relation, limit in LOAD_GOALS:
        for phase in phases:
            sides = rows.get(phase, {})
            if not sides.get("jetd") or not sides.get("etcd"):
                continue
            estimate = stats.ratios([metric(r, name) for r in sides["jetd"]],
                                    [metric(r, name) for r in sides["etcd"]])
            judged.append(judge(what, relation, limit, estimate))
    return judged
