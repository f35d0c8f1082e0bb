# SPDX-License-Identifier: Apache-2.0
"""Runs variants of jetd against jetd as shipped. Started by bench/sweep."""

import argparse
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import describe
import servers
import stats
from cells import MIB, columns, head, spread

SHIPPED = "as shipped"


class Variant:
    """`cmake`: options of a build of its own; `environment`: of jetd and with it nats-server;
    `go`: of nats-server alone, where jetd sets its own; `folder`: a build that is there."""

    def __init__(self, name, cmake=(), environment=None, go=None, folder=None):
        self.name = name
        self.cmake = list(cmake)
        self.environment = environment or {}
        self.go = go or {}
        self.folder = folder


VARIANTS = [
    Variant(SHIPPED),
    # A second one of the same: what the intervals of the others are to be compared with.
    Variant("as shipped, again"),
    Variant("allocator: the system's", ["-DJETD_ALLOCATOR=system"]),
    Variant("link-time optimisation", ["-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"]),
    Variant("nats-server: GOMAXPROCS=2", environment={"GOMAXPROCS": "2"}),
    Variant("nats-server: GOMEMLIMIT=32MiB", go={"GOMEMLIMIT": "32MiB"}),
    Variant("nats-server: GOMEMLIMIT=128MiB", go={"GOMEMLIMIT": "128MiB"}),
    Variant("nats-server: GOGC=50", environment={"GOGC": "50"}),
    Variant("nats-server: GOGC=200", environment={"GOGC": "200"}),
    Variant("nats-server: GOGC=off, GOMEMLIMIT=64MiB", environment={"GOGC": "off"},
            go={"GOMEMLIMIT": "64MiB"}),
]

# Fixed work, so that all hold the same when their memory is taken.
WORK = {"create": "create,clients=64,ops=10000", "update 16": "update,clients=16,ops=10000",
        "update 64": "update,clients=64,ops=12000", "get 16": "get,clients=16,ops=20000",
        "list": "list,clients=1,ops=200"}
KEYS = 10_000
CPU_OF = ("update 16", "update 64", "get 16", "list")


def chosen(variants, words):
    """Those whose name holds one of the words, and always what the others are compared with."""
    return [v for v in variants
            if v.name == SHIPPED or not words or any(word in v.name for word in words)]


def given(text):
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return Variant(name, folder=folder)


def build(variant, options):
    """The folder of the variant's build."""
    if variant.folder or not variant.cmake:
        return variant.folder or options.build
    folder = pathlib.Path(options.builds, re.sub(r"\W+", "-", variant.name))
    folder.mkdir(parents=True, exist_ok=True)
    for command in (["cmake", "-S", options.root, "--preset", "release", "-B", str(folder),
                     *variant.cmake],
                    ["cmake", "--build", str(folder), "--target", "jetd", "--parallel",
                     str(os.cpu_count())]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)}:\n{done.stdout[-3000:]}\n{done.stderr}")
    return folder


def wrapper(nats_server, go):
    """A program that is nats-server with variables that jetd would set itself."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in go.items())
    return f'#!/bin/sh\nexec env {settings} {shlex.quote(nats_server)} "$@"\n'


def tools_of(variant, options):
    tools = servers.Tools(build(variant, options), options.etcd, options.nats_server, options.data)
    tools.load = pathlib.Path(options.build) / "bench" / "load"
    if variant.go:
        # Under its name jetd looks for the file that nats-server writes its port to.
        file = tools.data / re.sub(r"\W+", "-", variant.name) / "nats-server"
        file.parent.mkdir(exist_ok=True)
        file.write_text(wrapper(options.nats_server, variant.go))
        file.chmod(0o755)
        tools.nats_server = str(file)
    return tools


def measure(tools, variant):
    with servers.Server(tools, "jetd", environment=variant.environment) as server:
        server.start_and_await()
        rows = dict(zip(WORK, server.load(WORK.values())))
        after = server.memory()
        server.stop()
        start_ms = server.start_and_await(KEYS)
        time.sleep(1)
        restarted = server.memory()
    one = {"cpu": {name: rows[name]["server_cpu_us_per_unit"] for name in CPU_OF},
           "nats_cpu": {name: sum(s["cpu_us_per_unit"] for s in rows[name]["servers"]
                                  if s["name"] == "nats-server") for name in CPU_OF},
           "p50_us": rows["update 16"]["latency_us"]["p50"], "start_ms": start_ms}
    for key, memory in (("after_load", after), ("restarted", restarted)):
        one[key] = {name: memory["processes"][name]["pss"] for name in ("jetd", "nats-server")}
    return one


def table(rounds):
    """`rounds[variant]`: its measurements, round by round. First the least CPU of any round, which
    is what the work costs when nothing disturbs it; then ratios to jetd as shipped."""
    base = rounds[SHIPPED]

    def median(values):
        return stats.Estimate(values).median

    def least(ones, name):
        best = min(ones, key=lambda o: o["cpu"][name])
        return f"{best['cpu'][name]:.2f} ({best['nats_cpu'][name]:.2f})"

    lines = head("least CPU µs, jetd with nats-server (nats-server alone)", *CPU_OF)
    lines += [columns(name, *[least(ones, kind) for kind in CPU_OF])
              for name, ones in rounds.items()]
    lines += ["", *head("ratio to as shipped", *[f"CPU {name}" for name in CPU_OF],
                        "p50 of update 16", "start")]
    for name, ones in rounds.items():
        if name == SHIPPED:
            continue

        def ratio(pick):
            return spread(stats.ratios([pick(o) for o in ones], [pick(o) for o in base]))

        lines.append(columns(name, *[ratio(lambda o, k=kind: o["cpu"][k]) for kind in CPU_OF],
                             ratio(lambda o: o["p50_us"]), ratio(lambda o: o["start_ms"])))
    lines += ["", *head("PSS MiB", "jetd after the load", "nats-server", "jetd restarted",
                        "nats-server")]
    for name, ones in rounds.items():
        lines.append(columns(name, *[
            f"{median([o[key][process] / MIB for o in ones]):.1f}"
            for key in ("after_load", "restarted") for process in ("jetd", "nats-server")]))
    return lines


def text(machine, rounds):
    return "\n".join([
        "<!-- SPDX-License-Identifier: Apache-2.0 -->", "# Sweep", "", machine, "",
        f"Rounds: {len(rounds[SHIPPED])}, in each every variant once; ratios pair those of one "
        "round. A variant makes a difference where its interval leaves that of the second run of "
        "the same.", "", *table(rounds), ""])


def main():
    parser = describe.Parser(prog="bench/sweep")
    describe.add_common(parser)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--rounds", type=describe.above_zero(int), default=7)
    parser.add_argument("--variants", nargs="*", default=[])
    parser.add_argument("--with", dest="more", nargs="*", type=given, default=[])
    parser.add_argument("--builds")
    options = parser.parse_args()
    if options.list:
        print("\n".join(v.name for v in VARIANTS))
        return 0
    if options.check_options:
        return 0
    options.data = options.data or f"{options.root}/build/bench"
    options.builds = options.builds or f"{options.root}/build/sweep"
    out = pathlib.Path(options.out or f"{options.root}/bench/results")
    out.mkdir(parents=True, exist_ok=True)
    variants = chosen(VARIANTS, options.variants) + options.more
    tools = {}
    for variant in variants:
        describe.say(f"building: {variant.name}")
        tools[variant.name] = tools_of(variant, options)
    machine = describe.machine(options)
    rounds = {variant.name: [] for variant in variants}
    loads = [os.getloadavg()[0]]
    for number in range(options.rounds):
        for variant in variants if number % 2 == 0 else reversed(variants):
            rounds[variant.name].append(measure(tools[variant.name], variant))
            loads.append(os.getloadavg()[0])
        describe.say(f"round {number + 1} of {options.rounds}")
        shown = text(f"{machine} Load average {min(loads):.1f} to {max(loads):.1f}, the run "
                     "itself included.", rounds)
        (out / "sweep_table.md").write_text(shown)
        (out / "sweep.json").write_text(json.dumps(rounds, indent=1) + "\n")
    print(shown)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
