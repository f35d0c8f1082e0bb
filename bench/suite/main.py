# SPDX-License-Identifier: Apache-2.0
"""Runs the sections and writes the results. Started by bench/run, which builds first."""

import json
import os
import pathlib
import signal
import sys

import cold
import compaction
import describe
import growth
import plan
import plots
import sections
import servers
import tables
import tenants

ALL = {"load": sections.load, "memory": sections.memory, "empty": sections.empty,
       "idle": sections.idle, "fsyncs": sections.fsyncs, "growth": growth.growth,
       "values": growth.values, "history": growth.history, "tenants": tenants.tenants,
       "compaction": compaction.compaction, "cold": cold.cold}
QUICK = ("load", "memory", "empty", "idle", "fsyncs")


class Run:
    """What was asked for, as the sections need it."""

    def __init__(self, options):
        self.quick = options.quick
        self.rounds = options.rounds or (2 if options.quick else 7)
        self.few_rounds = 1 if options.quick else 3
        self.cold_rounds = 1 if options.quick else 5
        self.seconds = options.seconds or (1.5 if options.quick else 5)
        self.warmup = 0.5 if options.quick else 1
        self.scale = 0.25 if options.quick else 1
        self.words = options.phases
        self.tools = servers.Tools(options.build, options.etcd, options.nats_server, options.data)

    def sized(self, count):
        return count // 5 if self.quick else count

    say = staticmethod(describe.say)


def earlier(file):
    """What a run of some sections leaves as it is: the others, as they were measured before."""
    if not file.exists():
        return {"runs": {}}
    results = json.loads(file.read_text())
    machine = results.pop("machine", None)
    if machine:  # of one run, before there was a line for every section
        results["runs"] = {name: {"text": machine["text"]} for name in ALL if name in results}
    return results


def main():
    parser = describe.Parser(prog="bench/run")
    describe.add_common(parser)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=describe.above_zero(int))
    parser.add_argument("--seconds", type=describe.above_zero(float))
    parser.add_argument("--phases", nargs="*", default=[])
    parser.add_argument("--sections", nargs="*", choices=ALL)
    options = parser.parse_args()
    names = [phase.name for phase in plan.load_phases(1, 1, 1)]
    for word in options.phases:
        if not any(word in name for name in names):
            parser.error(f"no phase's name holds {word!r}; there are {', '.join(names)}")
    if options.check_options:
        return 0
    options.data = options.data or f"{options.root}/build/bench"
    # What is in the tree is of a whole run.
    out = pathlib.Path(options.out or f"{options.root}/" +
                       ("build/bench-quick" if options.quick else "bench/results"))
    out.mkdir(parents=True, exist_ok=True)
    run = Run(options)
    wanted = options.sections or (QUICK if options.quick else ALL)
    machine = describe.machine(options, "Quick. " if run.quick else "")
    results = earlier(out / "results.json") if options.sections else {"runs": {}}
    failed = []
    for name, section in ALL.items():
        if name not in wanted:
            continue
        run.say(f"section {name}")
        before = os.getloadavg()[0]
        try:
            results[name] = section(run)
        except RuntimeError as error:
            run.say(f"section {name} failed: {error}")
            failed.append(name)
            continue
        if name == "load":
            results["bare_sync_beside_load_us"] = sections.bare_sync(run)
        if name == "fsyncs":
            results["bare_sync_us"] = sections.bare_sync(run)
        # The machine's own load, with what this section adds to it.
        results["runs"][name] = {"text": machine, "load": [before, os.getloadavg()[0]]}
        # After every section, so that a run that is cut short has shown something.
        (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (out / "table.md").write_text(tables.table_text(results))
        (out / "goals.md").write_text(tables.goals_text(results))
        plots.write_all(results, out)
    print(tables.goals_text(results))
    if failed:
        run.say(f"failed: {', '.join(failed)}; --sections {' '.join(failed)} repeats them")
    return 1 if failed else 0


def end(*_):
    sys.exit(143)


if __name__ == "__main__":
    # Ended by whomever, the servers that were started are stopped on the way out.
    signal.signal(signal.SIGTERM, end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
