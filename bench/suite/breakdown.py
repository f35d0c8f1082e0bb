# SPDX-License-Identifier: Apache-2.0
"""Samples jetd and its nats-server under load, and divides their CPU time. Started by
bench/profile."""

import collections
import os
import pathlib
import re
import subprocess
import sys
import time

import describe
import servers
from cells import columns, head

KEYS = 20_000

# What is run while samples are taken, and what one of it is.
SHAPES = {
    "get by 16 clients": ("get,clients=16", "get"),
    "update by 1 client": ("update,clients=1", "update"),
    "update by 16 clients": ("update,clients=16", "update"),
    "update by 64 clients": ("update,clients=64", "update"),
    "list in pages of 500": ("list,clients=1", "key"),
    "unlimited list": ("list,clients=1,limit=0", "key"),
    "watch, 100 watchers, 16 writers": ("watch,clients=16,watchers=100", "event"),
}

# Whose code it is, by the file it was mapped from.
LIBRARIES = (("nghttp2", "nghttp2"), ("libnats", "nats.c"), ("protobuf", "Protobuf"),
             ("mimalloc", "allocator"), ("libc.so", "C library"), ("libc-", "C library"),
             ("libm.so", "C library"), ("libstdc++", "C++ library"), ("absl", "Abseil"),
             ("libcrypto", "OpenSSL"), ("libssl", "OpenSSL"), ("[vdso]", "clock"),
             ("nats-server", "own code"), ("jetd", "own code"))

SYSTEM_CALL = re.compile(r"^_+(?:(?:x64|se|arm64|do)_)?sys_(\w+)")
# An event of `perf script -F comm,pid,tid,ip,sym,dso`: a line, then its frames, innermost first.
EVENT = re.compile(r"^\s*(\S.*?)\s+(\d+)/(\d+)\s*:?\s*$")
FRAME = re.compile(r"^\s+[0-9a-f]+\s+(.*?)\s+\((.*)\)\s*$")


def samples(lines):
    """(process, thread's name, frames as (symbol, file)) of each event."""
    event, frames = None, []
    for line in lines:
        if found := EVENT.match(line):
            if event:
                yield (*event, frames)
            event, frames = (int(found[2]), found[1]), []
        elif found := FRAME.match(line):
            frames.append((found[1], found[2]))
    if event:
        yield (*event, frames)


def place(frames):
    """Whose time the innermost frame is: "system call NAME", "kernel, other", or a library's."""
    if not frames:
        return "unknown"
    _, file = frames[0]
    if file.startswith("[kernel") or file.endswith((".ko", ".ko.xz")):
        for symbol, _ in frames:
            if found := SYSTEM_CALL.match(symbol):
                return "kernel: " + found[1]
        return "kernel: interrupts, faults"
    name = os.path.basename(file)
    return next((whose for part, whose in LIBRARIES if part in name), "other: " + name)


def divided(events, names):
    """Samples by (thread, place); `names` of processes by number. All threads of nats-server are
    one: Go moves its work between them."""
    counts = collections.Counter()
    for pid, thread, frames in events:
        process = names.get(pid, "other")
        counts[process if process != "jetd" else f"jetd, {thread}", place(frames)] += 1
    return counts


def one(unit):
    return f"a{'n' if unit[0] in 'aeiou' else ''} {unit}"


def table(counts, micros, unit):
    """Rows of `micros`, the CPU time of one `unit`, as the samples divide it."""
    total = sum(counts.values())
    threads = collections.Counter()
    for (thread, _), count in counts.items():
        threads[thread] += count
    lines = head("who", f"µs {one(unit)}", "share", "of it, µs")
    for thread, count in threads.most_common():
        if count < total / 200:
            continue
        parts = sorted(((n, where) for (who, where), n in counts.items() if who == thread),
                       reverse=True)
        told = "; ".join(f"{where} {micros * n / total:.2f}" for n, where in parts
                         if n >= total / 200)
        lines.append(columns(thread, f"{micros * count / total:.2f}",
                             f"{100 * count / total:.0f} %", told))
    return lines


def sampled(server, spec, seconds):
    """The load's row, and the samples of the middle of its run."""
    data = server.folder / "perf.data"
    load = server.begin_load([f"{spec},seconds={seconds + 2},warmup=1"])
    time.sleep(2)
    pids = server.pids()
    names = {pid: pathlib.Path("/proc", str(pid), "comm").read_text().strip() for pid in pids}
    names[server.process.pid] = "jetd"
    perf("record", "-e", "cpu-clock", "-F", "3999", "-g", "-o", str(data), "-p",
         ",".join(map(str, pids)), "--", "sleep", str(seconds))
    row = load.rows()[0]
    said = perf("script", "-i", str(data), "-F", "comm,pid,tid,ip,sym,dso")
    data.unlink()
    return row, divided(samples(said.splitlines()), names)


def perf(*command):
    done = subprocess.run(["perf", *command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"perf {command[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def text(machine, parts):
    lines = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", "# Breakdown", "",
             "CPU time of jetd and its nats-server, by thread and by whose code runs; system calls "
             "by name. Written by `bench/profile`; `profile.md` says what it means. Sampling "
             "itself costs some percent, most of it in the kernel's part.", "", machine, ""]
    for name, row, counts, unit in parts:
        micros = row["server_cpu_us_per_unit"]
        lines += [f"## {name}", "",
                  f"{micros:.2f} µs {one(unit)}, "
                  f"{row['ops_per_second']:,.0f} operations a second, "
                  f"{sum(counts.values()):,} samples.", "", *table(counts, micros, unit), ""]
    return "\n".join(lines)


def main():
    parser = describe.Parser(prog="bench/profile")
    describe.add_common(parser)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seconds", type=describe.above_zero(float), default=6)
    parser.add_argument("--shapes", nargs="*", default=[])
    options = parser.parse_args()
    wanted = {name: shape for name, shape in SHAPES.items()
              if not options.shapes or any(word in name for word in options.shapes)}
    if not wanted:
        parser.error("no shape's name holds any of these words; --list names them")
    if options.list:
        print("\n".join(SHAPES))
        return 0
    if options.check_options:
        return 0
    options.data = options.data or f"{options.root}/build/bench"
    out = pathlib.Path(options.out or f"{options.root}/bench/results")
    out.mkdir(parents=True, exist_ok=True)
    tools = servers.Tools(options.build, options.etcd, options.nats_server, options.data)
    parts = []
    with servers.Server(tools, "jetd") as server:
        server.start_and_await()
        server.load([f"create,clients=64,ops={KEYS}"])
        for name, (spec, unit) in wanted.items():
            describe.say(name)
            row, counts = sampled(server, spec, options.seconds)
            parts.append((name, row, counts, unit))
    (out / "breakdown.md").write_text(text(describe.machine(options), parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
