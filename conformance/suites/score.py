# SPDX-License-Identifier: Apache-2.0
"""Writes conformance/SCORE.md from the results of whole suites: jetd beside a stock etcd."""

import json
import os
import re
from dataclasses import dataclass

from catalog import OURS, SUITES
from exclusions import Exclusions

HERE = os.path.dirname(os.path.abspath(__file__))

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
    """passed, failed, skipped and excluded of one suite."""
    return [*(count(result, state) for state in STATES), len(result["suite"]["excluded"])]


@dataclass
class EtcdSide:
    """What a score says of the stock etcd: measured beside jetd, or kept from the score before."""

    version: str
    date: str
    rows: dict  # suite: passed, failed, skipped, excluded
    excluded: dict  # suite: {test: reason}
    own: dict  # test of this tree: how it ended
    others: dict  # title: lines
    times: list


def measured(results):
    etcd = load(results, "etcd")
    first = etcd[SUITES[0].name]
    chosen = {
        "Failed on etcd": lambda t: t["status"] == "failed",
        "Passed on etcd at the second try": lambda t: t["status"] == "passed" and t["retried"],
    }
    return EtcdSide(
        version=first["server"]["version"], date=first["time"][:10],
        rows={name: numbers(result) for name, result in etcd.items()},
        excluded={name: result["suite"]["excluded"] for name, result in etcd.items()},
        own={test["name"]: outcome(test) for suite in SUITES if suite.package.startswith(OURS)
             for test in etcd[suite.name]["suite"]["tests"]},
        others={title: named(etcd, lambda result, choose=choose: [
            told(test) for test in result["suite"]["tests"] if choose(test)])
                for title, choose in chosen.items()},
        times=times(results, "etcd"))


def kept(text, jetd, exclusions_path):
    """From the text of a score. ValueError if packages or tests have changed since."""
    if versions_line(jetd) not in text:
        raise ValueError("the score that is there is of other packages: run it on etcd again")
    list_of_excluded = Exclusions(exclusions_path)
    rows = {name: [int(number) for number in row.split("|")] for name, row in
            re.findall(r"^\| (\S+) \|((?: \d+ \|){3} \d+) \|(?: \d+ \|){4}$", text,
                       re.MULTILINE)}
    excluded = {}
    for suite in SUITES:
        result = jetd[suite.name]["suite"]
        tests = sorted([test["name"] for test in result["tests"]] + list(result["excluded"]))
        excluded[suite.name] = list_of_excluded.reasons(suite.name, tests, "etcd")
        if suite.name not in rows or sum(rows[suite.name]) != len(tests) \
                or rows[suite.name][3] != len(excluded[suite.name]):
            raise ValueError(f"{suite.name} has changed since the score that is there: run it on "
                             "etcd again")
    sections = dict(re.findall(r"^## (.*)\n\n((?:[-|].*\n)+)", text, re.MULTILINE))
    return EtcdSide(
        version=re.search(r"stock etcd (\S+)", text)[1],
        date=re.search(r"etcd: (\d{4}-\d\d-\d\d)|\. (\d{4}-\d\d-\d\d)\.$", text,
                       re.MULTILINE).expand(r"\1\2"),
        rows=rows, excluded=excluded,
        own=dict(re.findall(r"^\| (Test\w+) \|[ \d]*\| ([^|]*) \|", text, re.MULTILINE)),
        others={title: ["  " + line for line in sections.get(title, "").splitlines()]
                for title in ("Failed on etcd", "Passed on etcd at the second try")},
        times=re.findall(r"^- `\w+` on etcd: .*$", text, re.MULTILINE))


def table(etcd, jetd):
    lines = ["| suite | etcd: passed | failed | skipped | excluded "
             "| jetd: passed | failed | skipped | excluded |",
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    totals = [0] * 8
    for suite in SUITES:
        row = etcd.rows[suite.name] + numbers(jetd[suite.name])
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
        on_etcd = etcd.excluded[suite.name]
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
    chosen = {
        "Failed on jetd": lambda t: t["status"] == "failed",
        "Passed on jetd at the second try": lambda t: t["status"] == "passed" and t["retried"],
        "Passed without ever starting a server":
            lambda t: t["status"] == "passed" and not t["served"],
    }
    found = {title: named(jetd, lambda result, choose=choose: [
        told(test) for test in result["suite"]["tests"] if choose(test)])
             for title, choose in chosen.items()}
    lines = []
    for title, some in {**found, **etcd.others}.items():
        if some:
            lines += ["", f"## {title}", ""] + [line[2:] for line in some]
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
        for test in jetd[suite.name]["suite"]["tests"]:
            lines.append(f"| {test['name']} | {test['subtests'] or ''} "
                         f"| {etcd.own.get(test['name'], 'not run')} | {outcome(test)} |")
    return lines


def outcome(test):
    return f"{test['status']}, {test['seconds']:.0f} s"


def minutes(seconds):
    return f"{seconds / 60:.1f} min"


def times(results, kind):
    """How long the runs of quick and full took, where their times are known."""
    lines = []
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


def versions_line(jetd):
    versions = jetd[SUITES[0].name]["versions"]
    shown = [f"{title} {versions[name]}" for name, title in SHOWN_PACKAGES.items()]
    return f"From Debian: {', '.join(shown)}."


def write(results, path, keep_etcd=False):
    """With keep_etcd the side of etcd stays as it is in the score that is there."""
    jetd = load(results, "jetd")
    if keep_etcd:
        with open(path, encoding="utf-8") as file:
            etcd = kept(file.read(), jetd, f"{HERE}/exclusions")
    else:
        etcd = measured(results)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(score(etcd, jetd, times(results, "jetd"))) + "\n")


def dates(results):
    """Of the newest suite, and of those that were run on another day."""
    days = {name: result["time"][:10] for name, result in results.items()}
    newest = max(days.values())
    older = [f"{name}: {day}" for name, day in days.items() if day != newest]
    return f"{newest} ({', '.join(older)})" if older else newest


def score(etcd, jetd, jetd_times):
    """The lines of it."""
    first = jetd[SUITES[0].name]
    times_lines = etcd.times + jetd_times
    subtests = sum(test["subtests"] for result in jetd.values()
                   for test in result["suite"]["tests"] if test["status"] == "passed")
    return [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "<!-- Written by conformance/run full --score. -->",
        "# Score",
        "",
        "etcd's and Kubernetes' own tests ([suites/README.md](suites/README.md)), and a modern API "
        "server",
        f"([apiextensions/README.md](apiextensions/README.md)), on a stock etcd "
        f"{etcd.version} and on jetd {first['server']['version']}.",
        f"A test is a top-level test; those that passed on jetd hold {subtests} subtests.",
        versions_line(jetd),
        f"Run on etcd: {etcd.date}, on jetd: {dates(jetd)}.",
        "",
        *table(etcd, jetd),
        *(["", "Times:", ""] + times_lines if times_lines else []),
        *our_own(etcd, jetd),
        *exclusions(etcd, jetd),
        *others(etcd, jetd),
    ]
