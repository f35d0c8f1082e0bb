# SPDX-License-Identifier: Apache-2.0
"""Watchers that keep what they saw, a writer that keeps what it did, and the judge of both."""

import json
import subprocess
import threading
import time

from api import ApiError, Unsure
from plane import wait_for


class Watcher(threading.Thread):
    """Watches path from version on; goes on from the last event if its stream ends."""

    def __init__(self, api, path, version):
        super().__init__(daemon=True)
        self._api = api
        self._path = path
        self._version = version
        self._end = threading.Event()
        self._stream = None
        self.events = []  # (type, name, resourceVersion, data)
        self.streams = 0
        self.error = None

    def run(self):
        while not self._end.is_set():
            self.streams += 1
            try:
                self._stream = self._api.watch(self._path, self._version)
                for event in self._stream:
                    if event["type"] == "ERROR":
                        raise ValueError(f"watch ended: {event['object'].get('message')}")
                    self._version = event["object"]["metadata"]["resourceVersion"]
                    self.events.append(seen(event))
            except OSError:
                self._end.wait(0.2)
            except (ApiError, ValueError) as error:
                passing = isinstance(error, ApiError) and error.code >= 500
                if not passing:
                    self.error = error
                    return
                self._end.wait(0.2)

    def finish(self, last_version, patience_s=60):
        """Waits for the event with the last version, and a moment for events too many."""
        try:
            wait_for("the last event", lambda: self.error or any(
                event[2] >= last_version for event in list(self.events)), patience_s)
        except TimeoutError:
            pass  # the judge says which events are missing
        self._end.wait(0.5)
        self._end.set()
        if self._stream:
            self._stream.close()
        self.join(10)


class KubectlWatcher:
    """The same through `kubectl get --watch`: a process of its own."""

    def __init__(self, argv, environment, log):
        self._out = log
        with open(log, "wb") as out:
            self._child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + argv, stdout=out,
                                           stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                           env=environment)
        self.error = None

    @property
    def events(self):
        decoder = json.JSONDecoder()
        with open(self._out, encoding="utf-8") as file:
            text = file.read().lstrip()
        events = []
        while text:
            try:
                event, end = decoder.raw_decode(text)
            except ValueError:
                if text[0] != "{":
                    self.error = text[:200]
                break
            events.append(seen(event))
            text = text[end:].lstrip()
        return events

    def finish(self, last_version, patience_s=60):
        try:
            wait_for("the last event of kubectl", lambda: self._child.poll() is not None or any(
                event[2] >= last_version for event in self.events), patience_s)
        except TimeoutError:
            pass
        self._child.terminate()
        self._child.wait()


def seen(event):
    thing = event["object"]
    return (event["type"], thing["metadata"]["name"], int(thing["metadata"]["resourceVersion"]),
            (thing.get("data") or {}).get("count"))


def judge(expected, events):
    """What is wrong with events, one line each: every one of expected once and in order."""
    # The answer of a delete does not name its revision; the order of the others frames it.
    plain = [(kind, name, None if kind == "DELETED" else version, data)
             for kind, name, version, data in events]
    lines = []
    versions = [event[2] for event in events]
    if any(after <= before for before, after in zip(versions, versions[1:])):
        lines.append("resourceVersions do not rise strictly")
    for event in expected:
        times = plain.count(event)
        if times != 1:
            lines.append(f"{event} came {times} times")
    known = set(expected)
    lines += [f"{event} never happened" for event in plain if event not in known]
    if not lines and plain != expected:
        lines.append("the events are out of order")
    return lines[:10]


def changes(api, path, count):
    """Creates, changes and deletes ConfigMaps in turn; the events that must follow."""
    events = []
    live = []
    for number in range(count):
        kind = number % 4
        if kind in (0, 1) or not live:
            name = f"w-{number}"
            made = api.write("POST", path, config_map(name, number))
            live.append(name)
            events.append(("ADDED", name, version_of(made), str(number)))
        elif kind == 2:
            name = live[number % len(live)]
            made = api.write("PUT", f"{path}/{name}", config_map(name, number))
            events.append(("MODIFIED", name, version_of(made), str(number)))
        else:
            name = live.pop(number % len(live))
            last = [event for event in events if event[1] == name][-1]
            api.write("DELETE", f"{path}/{name}")
            events.append(("DELETED", name, None, last[3]))
    return events


def config_map(name, count, version=None):
    meta = {"name": name}
    if version is not None:
        meta["resourceVersion"] = str(version)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta,
            "data": {"count": str(count)}}


def version_of(thing):
    return int(thing["metadata"]["resourceVersion"])


class Counter(threading.Thread):
    """Counts one object up under optimistic locking, through whatever happens to the store.

    Each write carries the version it replaces, so the counts are consecutive if and only if no
    write was lost after its answer, and none happened twice. A write without an answer is looked
    up before the next one.
    """

    def __init__(self, api, path, name):
        super().__init__(daemon=True)
        self._api = api
        self._object = name
        self.path = f"{path}/{name}"
        self._end = threading.Event()
        made = api.write("POST", path, config_map(name, 0))
        self.first = version_of(made)
        self.events = []  # what a watcher must see, in order
        self.unsure = 0
        self.error = None

    def run(self):
        try:
            version, count = self.first, 0
            while not self._end.is_set():
                version, count = self._step(version, count)
                self._end.wait(0.005)
        except (ApiError, OSError, ValueError) as error:
            self.error = error

    def _step(self, version, count):
        wanted = config_map(self._object, count + 1, version)
        try:
            made = self._api.write("PUT", self.path, wanted)
        except Unsure:
            self.unsure += 1
            self._end.wait(0.2)
            made = self._api.get(self.path)
            if made["data"]["count"] == str(count):
                return version_of(made), count
        except ApiError as error:
            # A write that was looked up too early may land after all: then this one conflicts.
            made = self._api.get(self.path)
            if error.code != 409 or not self.unsure or made["data"]["count"] == str(count):
                raise
        if made["data"]["count"] != str(count + 1):
            raise ValueError(f"the count is {made['data']['count']} after {count}")
        self.events.append(("MODIFIED", self._object, version_of(made), str(count + 1)))
        return version_of(made), count + 1

    def finish(self):
        self._end.set()
        self.join()
        if self.error:
            raise AssertionError(f"{self.path}: {self.error}")


class Sampler(threading.Thread):
    """Lists path twice a second until it is empty: when it first shrank, and when it was empty."""

    def __init__(self, api, path, count):
        super().__init__(daemon=True)
        self._api = api
        self._path = path
        self._count = count
        self._start = time.monotonic()
        self.shrank_s = None
        self.empty_s = None

    def run(self):
        while self.empty_s is None:
            try:
                count = len(self._api.call("GET", self._path)["items"])
            except (ApiError, OSError):
                count = None  # the store is away
            if count is not None and count < self._count and self.shrank_s is None:
                self.shrank_s = time.monotonic() - self._start
            if count == 0:
                self.empty_s = time.monotonic() - self._start
            time.sleep(0.5)
