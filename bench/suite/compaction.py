# SPDX-License-Identifier: Apache-2.0
"""Whether writes wait for what a compaction removes."""

import growth
import sections
import servers

# The stream of a gigabyte: keys that are written once, and hot ones written again and again between
# them, so that every block of the stream keeps a little of what it had.
SLICES = 10
COLD_PREFIX = "/cold/"
WARM_UP = 0.5


def plan(quick):
    """Cold keys, hot keys, updates of hot keys, and pairs of windows with and without removal."""
    if quick:
        return {"cold": 4_000, "hot": 500, "updates": 36_000, "pairs": 2}
    return {"cold": 100_000, "hot": 1_000, "updates": 850_000, "pairs": 7}


def compaction(run):
    """Updates at one rate, in turn without and with the removal of a seventh of the history."""
    rate = 1000
    # Shorter than a removal takes jetd at its pace.
    seconds = 2 if run.quick else 5
    sizes = plan(run.quick)
    result = {"rate": rate, "seconds": seconds, **sizes, **{k: [] for k in sections.BOTH}}
    for kind in sections.BOTH:
        with servers.Server(run.tools, kind, flags=growth.large_quota(kind)) as server:
            server.start_and_await()
            server.load([f"create,clients=64,ops={sizes['hot']}"])
            for _ in range(SLICES):
                server.load([f"create,clients=64,ops={sizes['cold'] // SLICES}"], COLD_PREFIX)
                server.load([f"update,clients=64,ops={sizes['updates'] // SLICES}"])
            result[kind + "_disk_bytes"] = server.disk_bytes()
            run.say(f"compaction: {kind} filled")
            update = f"update,rate={rate},seconds={seconds},warmup={WARM_UP}"
            revisions = sizes["cold"] + sizes["updates"]
            for pair in range(sizes["pairs"]):
                without = server.load([update])[0]
                keep = revisions * (sizes["pairs"] - pair - 1) // sizes["pairs"]
                removal = server.begin_load([f"compact,keep={keep}"])
                beside = server.load([update])[0]
                removed = removal.rows()[0]
                result[kind].append({
                    "without": without, "with": beside,
                    "removal_seconds": removed["seconds"],
                    "removal_cpu_us": sum(s["cpu_us"] for s in removed["servers"])})
                run.say(f"compaction: {kind}, {pair + 1} of {sizes['pairs']}")
    return result
