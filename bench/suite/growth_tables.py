# SPDX-License-Identifier: Apache-2.0
"""The parts of table.md that say how cost grows."""

import compaction as removal
import stats
import tenants
from cells import MIB, columns, head, number, spread

BOTH = ("etcd", "jetd")


def parts(results):
    """All that these results hold, with a blank line after each."""
    lines = []
    for section, text in (("growth", growth), ("values", values), ("history", history),
                          ("tenants", of_tenants), ("compaction", compaction)):
        if section in results:
            lines += [*text(results[section]), ""]
    return lines


def pss(memory):
    return f"{memory['pss'] / MIB:.0f}"


def split(row):
    """CPU per unit, and of it jetd and nats-server."""
    by_name = {s["name"]: s["cpu_us_per_unit"] for s in row["servers"]}
    text = f"{row['server_cpu_us_per_unit']:.2f}"
    if "nats-server" in by_name:
        text += f" ({by_name['jetd']:.2f} + {by_name['nats-server']:.2f})"
    return text


def growth(result):
    lines = ["Updates at a rate, up to the first that a server does not keep up with:", "",
             *head("updates/s", *[f"{k}: {what}" for k in BOTH
                                  for what in ("CPU µs", "p50 ms", "p99 ms")])]
    rates = sorted({row["rate"] for k in BOTH for row in result["latency"][k]})
    for rate in rates:
        cells = [number(rate)]
        for kind in BOTH:
            row = next((r for r in result["latency"][kind] if r["rate"] == rate), None)
            if row is None:
                cells += ["–"] * 3
                continue
            late = "" if row["ops_per_second"] >= 0.9 * rate else " (not reached)"
            cells += [split(row) + late, f"{row['latency_us']['p50'] / 1e3:.2f}",
                      f"{row['latency_us']['p99'] / 1e3:.2f}"]
        lines.append(columns(*cells))
    lines += ["", *head("watches", *[f"{k}: {what}" for k in BOTH
                                     for what in ("CPU µs an event", "p50 ms", "p99 ms")])]
    for rows in zip(*[result["watches"][k] for k in BOTH]):
        cells = [number(rows[0]["watchers"])]
        for row in rows:
            cells += [split(row), f"{row['lag_us']['p50'] / 1e3:.2f}",
                      f"{row['lag_us']['p99'] / 1e3:.2f}"]
        lines.append(columns(*cells))
    lines += ["", *head("keys of 1 KiB", "etcd: PSS MiB", "restarted", "start ms",
                        "jetd: PSS MiB", "restarted", "start from the stream, ms",
                        "of it until nats-server took connections", "ratio",
                        "after a clean stop, ms", "ratio")]
    for etcd, jetd in zip(*[result["keys"][k] for k in BOTH]):
        cells = [number(etcd["keys"])]
        for one in (etcd, jetd):
            cells += [pss(one["after_load"]), pss(one["after_restart"]), number(one["start_ms"])]
        cells.append(recovery(jetd))
        for key in ("start_ms", "checkpoint_start_ms"):
            if key == "checkpoint_start_ms":
                cells.append(number(jetd[key]))
            cells.append(f"{jetd[key] / etcd[key]:.2f}")
        lines.append(columns(*cells))
    return lines


def recovery(one):
    return "–" if one["nats_ms"] is None else number(one["nats_ms"])


def values(result):
    lines = head("value", *[f"{k}: CPU µs {what}" for what in ("update", "get", "listed key")
                            for k in BOTH], "etcd: PSS MiB", "jetd: PSS MiB")
    for etcd, jetd in zip(*[result[k] for k in BOTH]):
        cells = [f"{etcd['value_bytes']:,} B"]
        for what in ("update", "get", "list"):
            cells += [f"{etcd[what]['server_cpu_us_per_unit']:.2f}", split(jetd[what])]
        lines.append(columns(*cells, pss(etcd["memory"]), pss(jetd["memory"])))
    return lines


def history(result):
    lines = [f"{result['keys']} keys of 1 KiB with old versions:", "",
             *head("versions of each", *[f"{k}: {what}" for k in BOTH for what in (
                 "PSS MiB", "restarted", "disk MiB", "start ms", "CPU µs update", "get")])]
    for pair in zip(*[result[k] for k in BOTH]):
        cells = [number(pair[0]["depth"])]
        for one in pair:
            cells += [pss(one["after_load"]), pss(one["after_restart"]),
                      f"{one['disk_bytes'] / MIB:.0f}", number(one["start_ms"]),
                      split(one["update"]), split(one["get"])]
        lines.append(columns(*cells))
    return lines


def of_tenants(result):
    lines = [f"Tenants without clients, {result['keys']} keys each, a jetd each, on one "
             f"nats-server with an account each, over {result['seconds']} s:", "",
             *head("tenants", "jetds: PSS MiB", "nats-server: PSS MiB", "together, a tenant",
                   "jetd: % of a core, a tenant", "nats-server: % of a core",
                   "jetd: context switches/s, a tenant", "nats-server: context switches/s")]
    for one in result["counts"]:
        count, processes, idle = one["tenants"], one["memory"]["processes"], one["idle"]
        lines.append(columns(
            number(count), f"{processes['jetd']['pss'] / MIB:.1f}",
            f"{processes['nats-server']['pss'] / MIB:.1f}",
            f"{one['memory']['pss'] / MIB / count:.1f}",
            f"{idle['jetd']['cpu_percent'] / count:.3f}",
            f"{idle['nats-server']['cpu_percent']:.3f}",
            f"{idle['jetd']['switches_per_second'] / count:.1f}",
            f"{idle['nats-server']['switches_per_second']:.1f}"))
    more = tenants.per_tenant(result["counts"])
    if more:
        cpu = sum(one["cpu_percent"] for one in more.values())
        switches = sum(one["switches_per_second"] for one in more.values())
        lines += ["", f"Each tenant more: {more['jetd']['pss'] / MIB:.1f} MiB of jetd and "
                  f"{more['nats-server']['pss'] / MIB:.2f} MiB of nats-server, {cpu:.3f} % of a "
                  f"core, {switches:.1f} context switches a second."]
    return lines


def removal_costs(result, kind):
    """CPU in µs of a revision removed, of each pair. The updates beside a removal are in the same
    counters, for as long as both run: what they cost without it is taken off."""
    removed = (result["cold"] + result["updates"]) / result["pairs"]
    costs = []
    for pair in result[kind]:
        together = min(pair["removal_seconds"], result["seconds"] + removal.WARM_UP)
        beside = pair["without"]["server_cpu_us_per_unit"] * result["rate"] * together
        costs.append(max(0, pair["removal_cpu_us"] - beside) / removed)
    return costs


def compaction(result):
    revisions = result["cold"] + result["updates"]
    lines = [f"{result['rate']:,} updates a second, without and beside the removal of "
             f"{revisions // result['pairs']:,} revisions out of {revisions:,} (1 KiB, "
             f"{result['hot']:,} hot keys), {result['pairs']} times:", "",
             *head("", "p50 ms without", "with", "p50 ratio", "p99 ms without", "with",
                   "p99 ratio", "p99.9 ratio", "longest ms without", "with", "removal s",
                   "CPU µs a revision removed")]
    for kind in BOTH:
        pairs = result[kind]

        def of(which, what):
            return [p[which]["latency_us"][what] / 1e3 for p in pairs]

        def shown(which, what):
            return f"{stats.Estimate(of(which, what)).median:.2f}"

        def ratio(what):
            return spread(stats.ratios(of("with", what), of("without", what)))

        costs = removal_costs(result, kind)
        lines.append(columns(
            kind, shown("without", "p50"), shown("with", "p50"), ratio("p50"),
            shown("without", "p99"), shown("with", "p99"), ratio("p99"), ratio("p99.9"),
            f"{max(of('without', 'max')):.1f}", f"{max(of('with', 'max')):.1f}",
            f"{stats.Estimate([p['removal_seconds'] for p in pairs]).median:.1f}",
            f"{stats.Estimate(costs).median:.1f}"))
    return lines
