# SPDX-License-Identifier: Apache-2.0
"""table.md and goals.md from results.json."""

import cold
import goals
import growth_tables
import stats
from cells import MIB, columns, number, spread

def cpu_of(rows, name):
    """Median CPU per unit of one process of a server."""
    return stats.Estimate([sum(s["cpu_us"] for s in r["servers"] if s["name"] == name)
                           / max(1, r["units"]) for r in rows]).median


def load_table(rows):
    lines = [columns("phase", "etcd: units/s", "CPU µs", "p50 ms", "p99 ms",
                     "jetd: units/s", "CPU µs (jetd + nats-server)", "p50 ms", "p99 ms",
                     "CPU ratio", "throughput ratio", "p50 ratio", "p99 ratio", "generator cores"),
             columns(*["---"] * 14)]
    for phase, sides in rows.items():
        cells = [phase]
        for kind in ("etcd", "jetd"):
            side = sides[kind]
            if not side:
                cells += ["–"] * 4
                continue
            value = {m: stats.Estimate([goals.metric(r, m) for r in side]).median
                     for m in (goals.RATE, goals.CPU, goals.P50, goals.P99)}
            cpu = f"{value[goals.CPU]:.2f}"
            if kind == "jetd":
                cpu += f" ({cpu_of(side, 'jetd'):.2f} + {cpu_of(side, 'nats-server'):.2f})"
            rate = stats.Estimate([r["ops_per_second"] / r["rate"] for r in side
                                   if r.get("rate")] or [1]).median
            cells += [number(value[goals.RATE]) + (" (not reached)" if rate < 0.9 else ""), cpu,
                      f"{value[goals.P50] / 1e3:.2f}",
                      f"{value[goals.P99] / 1e3:.2f}"]
        if sides["etcd"] and sides["jetd"]:
            for m in (goals.CPU, goals.RATE, goals.P50, goals.P99):
                cells.append(spread(stats.ratios([goals.metric(r, m) for r in sides["jetd"]],
                                                 [goals.metric(r, m) for r in sides["etcd"]])))
        else:
            cells += ["–"] * 4
        both = sides["etcd"] + sides["jetd"]
        cells.append(f"{max(r['generator_cores'] for r in both):.2f}")
        lines.append(columns(*cells))
    return lines


def bare(results):
    """One writer's median beside the floor of a durable write, measured in the same minutes."""
    sides = results["load"].get("update 1")
    if "bare_sync_beside_load_us" not in results or not sides:
        return []
    floor = results["bare_sync_beside_load_us"]
    times = {kind: stats.Estimate([goals.metric(row, goals.P50) for row in sides[kind]]).median
             for kind in ("etcd", "jetd")}
    return [f"A bare append of 1 KiB with fdatasync takes {floor:.0f} µs at the median; an update "
            f"by one client etcd {times['etcd'] / floor:.1f} times that, jetd "
            f"{times['jetd'] / floor:.1f}.", ""]


def memory_table(memory):
    lines = [columns("", "etcd", "jetd", "nats-server", "ratio"), columns(*["---"] * 5)]
    later = f"{memory['later_seconds']} s later"
    rows = (("after the load, PSS MiB", "after_load", "pss"), (later, "later", "pss"),
            ("after a restart", "after_restart", "pss"),
            (f"anonymous alone, {later}", "later", "anonymous"),
            ("anonymous alone, after a restart", "after_restart", "anonymous"))
    for what, key, kind_of in rows:
        def process(kind, name):
            return stats.Estimate([one[key]["processes"][name][kind_of] / MIB
                                   for one in memory[kind]]).median
        ratio = stats.ratios([o[key][kind_of] for o in memory["jetd"]],
                             [o[key][kind_of] for o in memory["etcd"]])
        lines.append(columns(what, f"{process('etcd', 'etcd'):.0f}",
                             f"{process('jetd', 'jetd'):.0f}",
                             f"{process('jetd', 'nats-server'):.0f}", spread(ratio)))
    for what, key, unit in (("peak, RSS MiB", "peak_rss", MIB), ("disk, MiB", "disk_bytes", MIB),
                            ("start after a clean stop, ms", "checkpoint_start_ms", 1),
                            ("start from the stream to a complete answer, ms", "start_ms", 1)):
        if key not in memory["jetd"][0]:  # an older run
            continue
        sides = {k: stats.Estimate([o[key] / unit for o in memory[k]]) for k in ("etcd", "jetd")}
        ratio = stats.ratios([o[key] for o in memory["jetd"]], [o[key] for o in memory["etcd"]])
        lines.append(columns(what, f"{sides['etcd'].median:.0f}", f"{sides['jetd'].median:.0f}",
                             "(in it)", spread(ratio)))
    recovery = [o["nats_ms"] for o in memory["jetd"] if o["nats_ms"] is not None]
    if recovery:
        lines.append(columns("of that until nats-server took connections, ms", "–", "–",
                             f"{stats.Estimate(recovery).median:.0f}", "–"))
    return lines


def empty_table(empty):
    lines = [columns("empty", "etcd", "jetd", "nats-server"), columns(*["---"] * 4)]
    etcd, jetd = empty["etcd"], empty["jetd"]
    for what, key in (("PSS MiB", "pss"), ("anonymous MiB", "anonymous")):
        lines.append(columns(
            what, f"{etcd['memory']['processes']['etcd'][key] / MIB:.1f}",
            *[f"{jetd['memory']['processes'][name][key] / MIB:.1f}"
              for name in ("jetd", "nats-server")]))
    for what, key, digits in (("context switches a second", "switches_per_second", 1),
                              ("CPU, % of a core", "cpu_percent", 3)):
        lines.append(columns(what, f"{etcd['idle']['etcd'][key]:.{digits}f}",
                             *[f"{jetd['idle'][name][key]:.{digits}f}"
                               for name in ("jetd", "nats-server")]))
    if "nothing due" in jetd:
        def switches(kind, name):
            row = empty[kind]["nothing due"]
            return sum(s["context_switches"] for s in row["servers"]
                       if s["name"] == name) / row["seconds"]
        lines.append(columns("context switches a second with 100 watches, 100 leases and 0.1 "
                             "writes a second", f"{switches('etcd', 'etcd'):.1f}",
                             *[f"{switches('jetd', name):.1f}"
                               for name in ("jetd", "nats-server")]))
    lines.append(columns("exec to first get, ms, p50 of "
                         f"{len(jetd['start_ms'])}",
                         spread(stats.Estimate(etcd["start_ms"]), 0),
                         spread(stats.Estimate(jetd["start_ms"]), 0), "(in it)"))
    return lines


def idle_table(idle):
    lines = [columns("idle control plane", "% of a core", "context switches a second"),
             columns(*["---"] * 3)]
    for kind in ("etcd", "jetd"):
        row = idle[kind]
        for server in row["servers"]:
            lines.append(columns(server["name"], f"{server['cpu_us'] / row['seconds'] / 1e4:.2f}",
                                 f"{server['context_switches'] / row['seconds']:.0f}"))
    return lines


def with_removal(results):
    """An update and, as after every compaction, the removal of the revision that it replaces: what
    both cost. Of two sections, so one number each."""
    removal = {kind: stats.Estimate(growth_tables.removal_costs(results["compaction"], kind)).median
               for kind in ("etcd", "jetd")}
    found = []
    for clients in (16, 64):
        sides = results.get("load", {}).get(f"update {clients}", {})
        if not sides.get("etcd") or not sides.get("jetd"):
            continue
        cpu = {kind: removal[kind] + stats.Estimate(
            [goals.metric(row, goals.CPU) for row in sides[kind]]).median
            for kind in ("etcd", "jetd")}
        found.append(goals.judge(f"update {clients} clients and the removal of what it replaces: "
                                 "CPU", "<=", 0.5, stats.Estimate([cpu["jetd"] / cpu["etcd"]])))
    return found


def judged(results):
    """All goals that this run can judge."""
    found = []
    if "load" in results:
        found += goals.judge_load(results["load"])
    if "memory" in results:
        m = results["memory"]

        def add(what, key, limit):
            pick = (lambda o: o[key]) if key.endswith("_ms") else (lambda o: o[key]["pss"])
            found.append(goals.judge(what, "<=", limit, stats.ratios(
                [pick(o) for o in m["jetd"]], [pick(o) for o in m["etcd"]])))
        add(f"memory a while after {m['keys']:,} keys", "later", 0.6)
        add("memory after a restart", "after_restart", 0.45)
        add("start to a complete answer, from the stream", "start_ms", 0.8)
        if "checkpoint_start_ms" in m["jetd"][0]:
            add("start to a complete answer, after a clean stop", "checkpoint_start_ms", 0.25)
    if "empty" in results:
        jetd = results["empty"]["jetd"]
        processes = jetd["memory"]["processes"]
        one = lambda value: stats.Estimate([value])
        found += [
            goals.judge("empty jetd, PSS MiB", "<=", 18, one(processes["jetd"]["pss"] / MIB)),
            goals.judge("empty jetd, anonymous MiB", "<=", 6,
                        one(processes["jetd"]["anonymous"] / MIB)),
            goals.judge("empty with nats-server, PSS MiB", "<=", 40,
                        one(jetd["memory"]["pss"] / MIB)),
            goals.judge("exec to first get, ms", "<=", 150, stats.Estimate(jetd["start_ms"])),
            goals.judge("jetd without clients, context switches a second", "<=", 3,
                        one(jetd["idle"]["jetd"]["switches_per_second"])),
        ]
    if "compaction" in results:
        pairs = results["compaction"]["jetd"]
        found += [goals.judge(
            f"updates beside a removal to those without: {name}", relation, 1.1,
            stats.ratios([p["with"]["latency_us"][name] for p in pairs],
                         [p["without"]["latency_us"][name] for p in pairs]))
            for name, relation in (("p50", "median"), ("p99", "tail"))]
        found += with_removal(results)
    if "cold" in results:
        found += cold.judged(results["cold"])
    if "idle" in results:
        cpu = {k: sum(s["cpu_us"] for s in results["idle"][k]["servers"]) for k in ("etcd", "jetd")}
        found.append(goals.judge("idle control plane: CPU", "<=", 0.5,
                                 stats.Estimate([cpu["jetd"] / cpu["etcd"]])))
    return found


def provenance(results):
    """A line for each run that these results are of, with its sections."""
    runs = {}
    for section, run in results["runs"].items():
        runs.setdefault(run["text"], []).append((section, run.get("load")))
    lines = []
    for text, named in runs.items():
        loads = [value for _, load in named if load for value in load]
        if loads:
            text += f" Load average {min(loads):.1f} to {max(loads):.1f}, the run itself included."
        sections = ", ".join(section for section, _ in named)
        lines.append(text if len(runs) == 1 else f"- {sections}: {text}")
    return lines


def goals_text(results):
    lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", "# Goals", "",
             "jetd and its nats-server together, as a ratio to etcd in the same run unless a unit "
             "stands there. A tail of fewer than "
             f"{stats.FEWEST_FOR_INTERVAL} rounds is open.", "",
             *provenance(results), "",
             columns("what", "goal", "median (interval)", ""), columns(*["---"] * 4)]
    for goal in judged(results):
        e = goal["estimate"]
        shown = (f"{e['median']:.2f}" if e["count"] == 1 else
                 f"{e['median']:.2f} ({e['low']:.2f} to {e['high']:.2f})")
        lines.append(columns(goal["what"], goal["goal"], shown, goal["verdict"]))
    return "\n".join(lines) + "\n"


def table_text(results):
    lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", "# jetd against etcd", "",
             *provenance(results), ""]
    if "load" in results:
        rounds = max(len(rows) for sides in results["load"].values() for rows in sides.values())
        lines += [f"Medians of {rounds} rounds. A unit is an operation, in lists a key, in watches "
                  "an event; the p50 and p99 of watches are from when a write was due to its "
                  "event. Ratios are jetd's, with its nats-server, to etcd's.", "",
                  *load_table(results["load"]), "", *bare(results)]
    if "memory" in results:
        m = results["memory"]
        lines += [f"{m['keys']:,} keys of 1 KiB, {m['updates']:,} updates, medians of "
                  f"{len(m['jetd'])} rounds; etcd with kubeadm's --snapshot-count of 10,000. Of "
                  "PSS, etcd's holds the pages of the database that it maps; what jetd and "
                  "nats-server read from files is the kernel's cache alone.", "",
                  *memory_table(m), ""]
    if "empty" in results:
        lines += [*empty_table(results["empty"]), ""]
    if "idle" in results:
        lines += [*idle_table(results["idle"]), ""]
    if "fsyncs" in results and "etcd" in results["fsyncs"]:
        lines += [columns("syncs per operation", "etcd", "jetd with nats-server"),
                  columns(*["---"] * 3)]
        for phase, value in results["fsyncs"]["etcd"].items():
            lines.append(columns(phase, f"{value:.3f}", f"{results['fsyncs']['jetd'][phase]:.3f}"))
        lines += ["", f"A bare append of 1 KiB with fdatasync: p50 {results['bare_sync_us']:.0f} "
                  "µs.", ""]
    if "cold" in results:
        lines += cold.part(results["cold"])
    lines += growth_tables.parts(results)
    return "\n".join(lines)
