# SPDX-License-Identifier: Apache-2.0
"""A check that cannot fail shows nothing: here each of them meets the damage it is there for."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time

import agreement
from api import Api
from plane import Dead, Process, alive, children_of, wait_for
from steps import expect
from watching import Counter, config_map, judge

PATH = "/api/v1/namespaces/default/configmaps"
KEYS = "/registry/configmaps/default/"


class SelfTest:
    def __init__(self, cluster):
        self.cluster = cluster
        self.api: Api = cluster.api

    def run(self, steps):
        steps.run("the server under test starts", self.cluster.start_server, needed=True)
        steps.run("kube-apiserver starts", self.cluster.start_apiserver, needed=True)
        steps.run("an undamaged store agrees", self.undamaged, needed=True)
        for name, action in (
                ("a deleted key is seen", self.deleted_key),
                ("a key written behind the API's back is seen", self.rewritten_key),
                ("a key that no list shows is seen", self.ghost_key),
                ("a key of no resource is seen", self.stray_key),
                ("a watch cache that lacks something is seen", self.lacking_cache),
                ("every difference of two lists is seen", self.lists_differ),
                ("a lost, doubled, swapped or changed event is seen", self.events_differ),
                ("a write that is undone is seen", self.undone_write),
                ("a store that comes back older is seen", self.older_store),
                ("a child left behind is seen", self.child_left),
                ("a server that ends is seen", self.dead_server)):
            steps.run(name, action)

    def _differences(self):
        return agreement.compare_now(self.api, self.cluster.server, self.cluster.ledger)[1]

    def _seen(self, text):
        lines = self._differences()
        expect(any(text in line for line in lines), f"no word of {text!r} in {lines}")
        return next(line for line in lines if text in line)

    def _value(self, name):
        answer = json.loads(self.cluster.server.etcdctl("get", KEYS + name, "-w", "json"))
        return base64.b64decode(answer["kvs"][0]["value"])

    def _put(self, key, value):
        """etcdctl put with the value from stdin, which may hold any byte."""
        subprocess.run([*self.cluster.server.client, "put", key], input=value, check=True,
                       capture_output=True)

    def undamaged(self):
        # kube-apiserver makes it some time after it says that it is ready.
        wait_for("the default namespace", lambda: self.api.exists("/api/v1/namespaces/default"))
        for number in range(50):
            made = self.api.write("POST", PATH, config_map(f"cm-{number}", number))
            self.cluster.ledger.wrote("/api/v1/configmaps", made)
        lines = self._differences()
        expect(not lines, f"{lines}")

    def deleted_key(self):
        self.cluster.server.etcdctl("del", KEYS + "cm-7")
        line = self._seen("default/cm-7: ledger has it")
        self.cluster.ledger.deleted("/api/v1/configmaps", "default", "cm-7")
        return line

    def rewritten_key(self):
        self._put(KEYS + "cm-8", self._value("cm-8"))
        line = self._seen("default/cm-8: ledger")
        self.cluster.ledger.deleted("/api/v1/configmaps", "default", "cm-8")
        return line

    def ghost_key(self):
        self._put(KEYS + "ghost", self._value("cm-9"))
        line = self._seen("default/ghost: store has it")
        self.cluster.server.etcdctl("del", KEYS + "ghost")
        # The API server's cache took the ghost for cm-9 and its end for the end of cm-9.
        self.cluster.ledger.wrote("/api/v1/configmaps", self.api.write(
            "PUT", f"{PATH}/cm-9", config_map("cm-9", 10)))
        return line

    def stray_key(self):
        self._put("/registry/nonsense/thing", b"x")
        line = self._seen("/registry/nonsense/thing")
        self.cluster.server.etcdctl("del", "/registry/nonsense/thing")
        expect(not self._differences(), "the store does not agree after the repair")
        return line

    def lacking_cache(self):
        path = "/api/v1/configmaps"
        whole = agreement.listed(self.api, path)
        expect(not agreement.compare_cache(self.api, {path: whole}), "the cache disagrees")
        for damaged in ({**whole, ("default", "cm-x"): 5}, {**whole, ("default", "cm-1"): 10**12}):
            lines = agreement.compare_cache(self.api, {path: damaged}, 1)
            expect(len(lines) == 1, f"{lines}")

    def lists_differ(self):
        whole = {("a", "x"): 5, ("a", "y"): 6}
        for other, text in (({("a", "x"): 5}, "not at all"),
                            ({**whole, ("b", "x"): 7}, "not at all"),
                            ({**whole, ("a", "y"): 7}, "left 6, right 7")):
            lines = agreement.differences("left", whole, "right", other, "list")
            expect(len(lines) == 1 and text in lines[0], f"{lines}")
        expect(not agreement.differences("left", whole, "right", dict(whole), "list"), "equal")

    def events_differ(self):
        expected = [("ADDED", "a", 5, "0"), ("ADDED", "b", 6, "1"), ("MODIFIED", "a", 7, "2"),
                    ("DELETED", "b", None, "1")]
        good = expected[:3] + [("DELETED", "b", 9, "1")]
        expect(not judge(expected, good), f"{judge(expected, good)}")
        for damage in (good[1:], good[:3], good + good[3:], good[:1] + good, good[::-1],
                       [good[1], good[0], *good[2:]], [*good[:2], ("MODIFIED", "a", 7, "3"),
                                                       good[3]],
                       [*good[:2], good[3], ("MODIFIED", "a", 10, "2")],
                       [*good, ("ADDED", "c", 10, "0")]):
            expect(judge(expected, damage), f"nothing is said of {damage}")

    def undone_write(self):
        counter = Counter(self.api, PATH, "counter")
        old = self._value("counter")
        counter.start()
        while len(counter.events) < 20 and counter.error is None:
            time.sleep(0.05)
        self._put(KEYS + "counter", old)
        counter.join(30)
        expect(counter.error is not None, "the counter did not notice")
        return str(counter.error)

    def older_store(self):
        """The server is killed, and comes back with a copy of its data from some time ago."""
        server = self.cluster.server
        old = f"{server.data}.old"
        server.end(signal.SIGKILL)
        shutil.copytree(server.data, old)
        self.cluster.start_server()
        counter = Counter(self.api, PATH, "late-counter")
        counter.start()
        while len(counter.events) < 20 and counter.error is None:
            time.sleep(0.05)
        server.end(signal.SIGKILL)
        shutil.rmtree(server.data)
        os.rename(old, server.data)
        self.cluster.start_server()
        counter.join(60)
        expect(counter.error is not None, "the counter did not notice")
        return str(counter.error)

    def child_left(self):
        family = Process("family", ["sh", "-c", "sleep 600 & exec sleep 600"], self.cluster.logs)
        family.start()
        wait_for("a child", lambda: children_of(family.pid), 20, 0.05)
        left = family.end(signal.SIGKILL)
        family.sweep()
        expect(len(left) == 1, f"left behind: {left}")
        expect(not alive(left[0]), "the sweep left it alive")

    def dead_server(self):
        self.cluster.server.end(signal.SIGKILL)
        try:
            self.cluster.check()
        except Dead as error:
            return str(error)
        raise AssertionError("nobody noticed")
