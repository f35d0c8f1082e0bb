# SPDX-License-Identifier: Apache-2.0
"""Writes conformance/SCORE.md from the results of whole suites: jetd beside a stock etcd."""

import json
import os

from catalog import OURS, SUITES

STATES = ("passed", "failed", "skipped")
SHOWN_PACKAGES = {
    "golang-k8s-apiserver-dev": "Kubernetes' API server",
    "golang-k8s-apiextensions-apiserver-dev": "that for custom resources",
    "golang-etcd-server-dev": "etcd's tests",
    "golang-1.26-go": "Go",
}


def result_path(results, kind, suite):
    return f"{results}/{kind}/{suite}/result.json"


def load(results, kind):
    """{suite: what as_json said of it}; ValueError where a suite has not been run."""
    found, missing = {}, []
    for suite in SUITES:
        path = result_path(results, kind, suite.name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                found[suite.name] = json.load(file)
        else:
            missing.append(suite.name)
    if missing:
        raise ValueError(f"no results of {', '.join(missing)} on {kind} under {results}: run "
                         f"conformance/run {' '.join(missing)} there first")
    if not same_versions(found.values()):
        raise ValueError(f"the results on {kind} under {results} are of several versions: run "
                         "conformance/run full again")
    return found


def same_versions(results):
    """Whether they are of one server, and no package differs; a later run may know of more."""
    seen = {}
    for result in results:
        for name, version in [("", result["server"]["version"]), *result["versions"].items()]:
            if seen.setdefault(name, version) != version:
                return False
    return True


def count(result, state):
    return sum(test["status"] == state for test in result["suite"]["tests"])


def numbers(result):
    """passed, failed, skipped, excluded and minutes of one suite."""
    return [*(count(result, state) for state in STATES), len(result["suite"]["excluded"])]


def table(etcd, jetd):
    lines = ["| suite | etcd: passed | failed | skipped | excluded "
             "| jetd: passed | failed | skipped | excluded |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    totals = [0] * 8
    for suite in SUITES:
        row = numbers(etcd[suite.name]) + numbers(jetd[suite.name])
        totals = [a + b for a, b in zip(totals, row)]
        lines.append(f"| {suite.name} | {' | '.join(map(str, row))} |")
    lines.append(f"| **all** | {' | '.join(f'**{number}**' for number in totals)} |")
    return lines


def named(results, choose):
    """Lines `suite: test test`, of what choose(suite's result) picks."""
    lines = []
    for suite in SUITES:
        names = choose(results[suite.name])
        if names:
            lines.append(f"  - {suite.name}: {', '.join(names)}")
    return lines


def exclusions(etcd, jetd):
    """Sections of reasons, those that hold for jetd alone first."""
    sections = {"Not run on jetd": {}, "Not run on any server": {}, "Not run on etcd": {}}
    for suite in SUITES:
        on_etcd = etcd[suite.name]["suite"]["excluded"]
        on_jetd = jetd[suite.name]["suite"]["excluded"]
        for test in sorted({**on_etcd, **on_jetd}):
            place = "Not run on any server"
            if test not in on_etcd:
                place = "Not run on jetd"
            elif test not in on_jetd:
                place = "Not run on etcd"
            reason = {**on_etcd, **on_jetd}[test]
            sections[place].setdefault(reason, {}).setdefault(suite.name, []).append(test)
    lines = []
    for title, reasons in sections.items():
        total = sum(len(tests) for suites in reasons.values() for tests in suites.values())
        if not total:
            continue
        lines += ["", f"## {title}: {total}", ""]
        for reason, suites in reasons.items():
            lines.append(f"- {reason}: {sum(len(tests) for tests in suites.values())}")
            lines += [f"  - {suite}: {', '.join(tests)}" for suite, tests in suites.items()]
    return lines


def told(test):
    """Its name, and why it failed or failed at first."""
    why = test["reason"] if test["status"] == "failed" or test["retried"] else ""
    return f"{test['name']} ({why})" if why else test["name"]


def others(etcd, jetd):
    lines = []
    for title, results, choose in (
            ("Failed on jetd", jetd, lambda t: t["status"] == "failed"),
            ("Failed on etcd", etcd, lambda t: t["status"] == "failed"),
            ("Passed on jetd at the second try", jetd,
             lambda t: t["status"] == "passed" and t["retried"]),
            ("Passed on etcd at the second try", etcd,
             lambda t: t["status"] == "passed" and t["retried"]),
            ("Passed without ever starting a server", jetd,
             lambda t: t["status"] == "passed" and not t["served"])):
        found = named(results, lambda result, choose=choose: [
            told(test) for test in result["suite"]["tests"] if choose(test)])
        if found:
            lines += ["", f"## {title}", ""] + [line[2:] for line in found]
    skipped = [f"- {suite.name}: {test['name']}: {test['reason']}"
               for suite in SUITES for test in jetd[suite.name]["suite"]["tests"]
               if test["status"] == "skipped"]
    if skipped:
        lines += ["", "## Skipped by the tests themselves, on jetd", ""] + skipped
    return lines


def our_own(etcd, jetd):
    """The suites of this tree, test by test."""
    lines = []
    for suite in SUITES:
        if not suite.package.startswith(OURS):
            continue
        lines += ["", f"## {suite.name}, test by test", "",
                  "| test | parts | on etcd | on jetd |", "|---|--:|--:|--:|"]
        other = {test["name"]: test for test in etcd[suite.name]["suite"]["tests"]}
        for test in jetd[suite.name]["suite"]["tests"]:
            beside = outcome(other[test["name"]]) if test["name"] in other else "not run"
            lines.append(f"| {test['name']} | {test['subtests'] or ''} | {beside} "
                         f"| {outcome(test)} |")
    return lines


def outcome(test):
    return f"{test['status']}, {test['seconds']:.0f} s"


def minutes(seconds):
    return f"{seconds / 60:.1f} min"


def times(results, kinds):
    """How long the runs of quick and full took, where their times are known."""
    lines = []
    for kind in kinds:
        for word in ("quick", "full"):
            path = f"{results}/{kind}/{word}.json"
            if not os.path.exists(path):
                continue
            with open(path, encoding="utf-8") as file:
                run = json.load(file)
            lines.append(f"- `{word}` on {kind}: {minutes(run['seconds']['run'])} of tests, "
                         f"{run['jobs']} at once on {run['processors']} processors, load "
                         f"{run['load']} before it; fetching {minutes(run['seconds']['fetch'])}, "
                         f"building {minutes(run['seconds']['build'])} before it")
    return lines


def write(results, path):
    etcd, jetd = load(results, "etcd"), load(results, "jetd")
    first = jetd[SUITES[0].name]
    other = etcd[SUITES[0].name]
    versions = [f"{title} {first['versions'][name]}" for name, title in SHOWN_PACKAGES.items()]
    times_lines = times(results, ("etcd", "jetd"))
    subtests = sum(test["subtests"] for result in jetd.values()
                   for test in result["suite"]["tests"] if test["status"] == "passed")
    lines = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "<!-- Written by conformance/run full --score. -->",
        "# Score",
        "",
        "etcd's and Kubernetes' own tests ([suites/README.md](suites/README.md)), and a modern API "
        "server",
        f"([apiextensions/README.md](apiextensions/README.md)), on a stock etcd "
        f"{other['server']['version']} and on jetd {first['server']['version']}.",
        f"A test is a top-level test; those that passed on jetd hold {subtests} subtests.",
        f"From Debian: {', '.join(versions)}. {first['time'][:10]}.",
        "",
        *table(etcd, jetd),
        *(["", "Times:", ""] + times_lines if times_lines else []),
        *our_own(etcd, jetd),
        *exclusions(etcd, jetd),
        *others(etcd, jetd),
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
