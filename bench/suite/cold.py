# SPDX-License-Identifier: Apache-2.0
"""What a small --value-cache-bytes saves and costs: jetd against jetd."""

import goals
import servers
import stats
from cells import MIB, columns, head, spread

CACHE_MIB = 16
READS = {"get by 16 clients": "get,clients=16", "list in pages of 500": "list,clients=1",
         "unlimited list": "list,clients=1,limit=0"}


def cold(run):
    """100,000 keys of 1 KiB and 90,000 updates: jetd's memory, and reads of keys of any age, which
    the generator checks to the last byte; with all values in memory, and in turn with few."""
    keys, updates = run.sized(100_000), run.sized(90_000)
    flags = {"all": "all", "few": str(CACHE_MIB * MIB)}
    result = {"keys": keys, "updates": updates, "cache_mib": CACHE_MIB,
              **{kind: [] for kind in flags}}
    for number in range(run.cold_rounds):
        for kind in flags if number % 2 == 0 else reversed(flags):
            with servers.Server(run.tools, "jetd",
                                flags=[f"--value-cache-bytes={flags[kind]}"]) as server:
                server.start_and_await()
                server.load([f"create,clients=64,ops={keys}", f"update,clients=64,ops={updates}"])
                one = {"memory": server.memory()}
                for name, spec in READS.items():
                    one[name] = server.load([f"{spec},seconds={run.seconds},warmup=1"])[0]
                result[kind].append(one)
        run.say(f"cold, round {number + 1} of {run.cold_rounds}")
    return result


def jetds_mib(rows):
    return stats.Estimate([one["memory"]["processes"]["jetd"]["pss"] / MIB for one in rows])


def p50_of(row):
    return row["latency_us"]["p50"]


def rate_of(row):
    return row["units_per_second"]


def median_of(rounds, name, pick):
    return stats.Estimate([pick(one[name]) for one in rounds]).median


def slower(results, name):
    """How many times as long a read takes, at the median and in throughput."""
    few, everything = results["few"], results["all"]
    return (stats.ratios([p50_of(o[name]) for o in few], [p50_of(o[name]) for o in everything]),
            stats.ratios([rate_of(o[name]) for o in everything], [rate_of(o[name]) for o in few]))


def table(results):
    cache = results["cache_mib"]
    lines = head("", "all values in memory", f"{cache} MiB of them", "times as long")
    lines.append(columns("jetd alone, PSS MiB", *[f"{jetds_mib(results[kind]).median:.0f}"
                                                  for kind in ("all", "few")], "–"))
    for name in READS:
        p50, rate = slower(results, name)
        lines.append(columns(f"{name}: p50 ms", *[
            f"{median_of(results[kind], name, p50_of) / 1e3:.3g}"
            for kind in ("all", "few")], spread(p50)))
        lines.append(columns(f"{name}: a second", *[
            f"{median_of(results[kind], name, rate_of):,.0f}"
            for kind in ("all", "few")], spread(rate)))
    return lines


def part(results):
    return [f"{results['keys']:,} keys of 1 KiB, {results['updates']:,} updates, jetd with "
            f"--value-cache-bytes of {results['cache_mib']} MiB beside jetd with all, medians of "
            f"{len(results['few'])} rounds:", "", *table(results), ""]


def judged(results):
    found = [goals.judge(f"jetd alone, --value-cache-bytes of {results['cache_mib']} MiB, PSS MiB",
                         "<=", 80, jetds_mib(results["few"]))]
    return found + [goals.judge(f"{name} with it: p50", "<=", 2, slower(results, name)[0])
                    for name in READS]
