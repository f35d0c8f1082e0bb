# SPDX-License-Identifier: Apache-2.0
"""All plots of a run."""

import growth_plots
from drawing import bars


def median_cpu(rows):
    ordered = sorted(r["server_cpu_us_per_unit"] for r in rows)
    return ordered[len(ordered) // 2]


def write_all(results, out):
    if "load" in results:
        groups = {phase: {kind: median_cpu(sides[kind]) for kind in ("etcd", "jetd")}
                  for phase, sides in results["load"].items()
                  if sides["etcd"] and sides["jetd"] and sides["etcd"][0]["kind"] not in
                  ("list", "watch") and not phase.startswith("half")}
        if groups:
            (out / "cpu_per_operation.svg").write_text(
                bars("CPU per operation, jetd with nats-server", "µs", groups))
        groups = {phase: {kind: median_cpu(sides[kind]) for kind in ("etcd", "jetd")}
                  for phase, sides in results["load"].items()
                  if sides["etcd"] and sides["jetd"] and sides["etcd"][0]["kind"] in
                  ("list", "watch") and not phase.startswith("half")}
        if groups:
            (out / "cpu_per_key_and_event.svg").write_text(
                bars("CPU per listed key and watch event, jetd with nats-server", "µs", groups))
    growth_plots.write_all(results, out)
