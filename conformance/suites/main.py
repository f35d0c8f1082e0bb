# SPDX-License-Identifier: Apache-2.0
"""Behind conformance/run: from the arguments to the last line."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import report
import score
from bin_dir import make_bin_dir
from build import Builder, BuildFailed
from catalog import SUITES, select
from exclusions import Exclusions
from process import can_have_own_loopback
from runner import Runner, Test

HERE = os.path.dirname(os.path.abspath(__file__))
MIN_OBJECTS = 200  # below that k8s-apiextensions has no pages to speak of


def arguments():
    parser = argparse.ArgumentParser(description="Started by conformance/run.")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--server")
    parser.add_argument("--packages")
    parser.add_argument("--cache")
    parser.add_argument("--etcdctl")
    parser.add_argument("--results")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--json")
    parser.add_argument("--objects", default="")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--score", help="the file to write")
    parser.add_argument("--keep-etcd", action="store_true")
    parser.add_argument("--fetch-s", type=float, default=0)
    return parser.parse_args()


def say(text):
    print(f"conformance/run: {text}", file=sys.stderr, flush=True)


def describe(server):
    """What kind of server a program is, by what it says of itself."""
    done = subprocess.run([server, "--version"], capture_output=True, check=False, timeout=20)
    lines = done.stdout.decode(errors="replace").splitlines()
    name, _, version = (lines[0] if lines else "").partition(" Version: ")
    if done.returncode != 0 or not version:
        raise ValueError(f"{server} --version does not say `NAME Version: …`")
    return {"path": server, "kind": name, "version": version}


def all_tests(program):
    """The top-level tests and examples of a test program."""
    done = subprocess.run([program, "-test.list=."], capture_output=True, check=True)
    return [line for line in done.stdout.decode().splitlines()
            if re.fullmatch(r"(Test|Example)\w*", line)]


def plan(selections, programs, builder, kind, bin_dir):
    """What is to run: (SuiteRuns, tests)."""
    exclusions = Exclusions(f"{HERE}/exclusions")
    runs, tests = [], []
    for selection in selections:
        suite = selection.suite
        program, root = programs[suite.name], builder.root_of(suite)
        names = all_tests(program)
        excluded = exclusions.reasons(suite.name, names, kind)
        wanted = [name for name in names if re.search(selection.tests, name)]
        if not wanted:
            raise ValueError(f"{suite.name} has no test that fits {selection.tests}")
        options = [f"-bin-dir={bin_dir}"] if suite.etcdctl else []
        chosen = [Test(suite, name, program, root, options) for name in wanted
                  if name not in excluded]
        runs.append(report.SuiteRun(suite, len(chosen), {
            name: excluded[name] for name in wanted if name in excluded}))
        tests += chosen
    return runs, tests


def execute(options, runs, tests, logs, scratch):
    """Runs the tests; every suite is reported once its last test has ended."""
    screen = report.Screen(len(tests))
    by_suite = {run.suite.name: run for run in runs}
    width = max(len(name) for name in by_suite)

    def on_result(result):
        screen.result(result)
        run = by_suite[result.test.suite.name]
        run.results.append(result)
        if len(run.results) == run.wanted:
            screen.suite(run, width)

    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                   "CONFORMANCE_SERVER": options.server, "CONFORMANCE_OBJECTS": options.objects}
    if "JETD_NATS_SERVER" in os.environ:
        environment["JETD_NATS_SERVER"] = os.environ["JETD_NATS_SERVER"]
    own = can_have_own_loopback()
    runner = Runner(environment, logs, scratch, "own" if own else "shared",
                    screen.started, on_result)
    together = [test for test in tests if own or not test.suite.fixed_ports]
    alone = [test for test in tests if not own and test.suite.fixed_ports]
    try:
        for some, jobs in ((together, options.jobs), (alone, 1)):
            if some:
                runner.run(some, jobs)
    finally:
        runner.stop()
        screen.finish()


def show_list():
    for suite in SUITES:
        quick = {"": "", ".": "; all of it in quick"}.get(suite.quick, "; a part of it in quick")
        print(f"{suite.name:18}  {suite.about}{quick}")


def run(options, scratch):
    seconds = {"fetch": options.fetch_s}
    if options.objects and not (options.objects.isdigit() and int(options.objects) >= MIN_OBJECTS):
        raise ValueError(f"--objects wants a number from {MIN_OBJECTS}, not {options.objects!r}")
    if options.objects and options.score:
        raise ValueError("--score counts whole runs only: leave --objects out")
    selections = select(options.words)
    server = describe(options.server)
    builder = Builder(options.packages, options.cache)
    start = time.monotonic()
    say("building the test programs")
    programs = builder.build([selection.suite for selection in selections])
    seconds["build"] = time.monotonic() - start
    tls = "--auto-tls" if server["kind"] == "etcd" else builder.certificate_flags()
    runs, tests = plan(selections, programs, builder, server["kind"],
                       make_bin_dir(f"{scratch}/bin", options.etcdctl, server["kind"], tls))
    logs = os.path.join(options.results, server["kind"])
    for suite_run in runs:
        shutil.rmtree(f"{logs}/{suite_run.suite.name}", ignore_errors=True)
    say(f"{len(tests)} tests on {server['kind']} {server['version']} ({options.server}), "
        f"{options.jobs} at once")
    start = time.monotonic()
    load = round(os.getloadavg()[0], 1)
    execute(options, runs, tests, logs, scratch)
    seconds["run"] = time.monotonic() - start

    report.print_figures(runs)
    report.print_skipped(runs)
    report.print_exclusions(runs)
    result = report.as_json(runs, server, builder.versions, seconds)
    result.update(jobs=options.jobs, processors=os.cpu_count(), load=load)
    keep(result, selections, options)
    totals = result["totals"]
    print(f"{totals['excluded']} excluded, {totals['retried']} retried; "
          + ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
          + f"; logs: {logs}")
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return 1 if totals["failed"] or not totals["passed"] else 0


def keep(result, selections, options):
    """Leaves the results behind: where they were asked for, and per suite that was run whole."""
    if options.json:
        report.write_json(options.json, result)
    if options.objects:
        return  # no score of fewer objects
    common = {name: result[name] for name in ("time", "server", "versions")}
    for selection, suite in zip(selections, result["suites"]):
        if selection.tests == ".":
            report.write_json(score.result_path(options.results, result["server"]["kind"],
                                                suite["name"]), {**common, "suite": suite})
    if len(options.words) == 1 and options.words[0] in ("quick", "full"):
        report.write_json(f"{options.results}/{result['server']['kind']}/{options.words[0]}.json",
                          result)
    if options.score:
        score.write(options.results, options.score, options.keep_etcd)


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    options = arguments()
    if options.list:
        show_list()
        return 0
    options.words = options.words or ["quick"]
    options.jobs = options.jobs or 2 * os.cpu_count()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
    scratch = tempfile.mkdtemp(prefix="jetd-suites-")
    try:
        return run(options, scratch)
    except (ValueError, BuildFailed) as error:
        say(error)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
