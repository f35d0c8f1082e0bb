# SPDX-License-Identifier: Apache-2.0
"""What a real control plane does with its store, step by step; see README.md for the list."""

import re
import signal
import threading
import time

import agreement
import objects
from api import ApiError
from cluster import EVENT_TTL_S
from plane import wait_for
from steps import Skip, expect, expect_none
from watching import (Counter, KubectlWatcher, Sampler, Watcher, changes, config_map, judge,
                      version_of)

GROUP = "jetd.example"
WIDGETS = f"/apis/{GROUP}/v1"
PODS = 50
EVENTS = 30
LONG_LIVED = ["shop", "pages", "watched", "counted", "custom", "events"]
TEAMS = [f"team-{number}" for number in range(5)]


def maps(space):
    return f"/api/v1/namespaces/{space}/configmaps"


class Scenario:
    def __init__(self, cluster):
        self.cluster = cluster
        self.api = cluster.api
        self.ledger = cluster.ledger
        self._old_page = None  # a continue token that compaction overtakes
        self._events = None

    def run(self, steps):
        cluster = self.cluster
        steps.run("the server under test starts", cluster.start_server, needed=True)
        steps.run("kube-apiserver starts", cluster.start_apiserver, needed=True)
        steps.run("controllers, scheduler and nodes start", cluster.start_controllers, needed=True)
        for name, action in (
                ("namespaces", self.namespaces),
                ("objects, small and up to 900 KiB", self.plain_objects),
                (f"a Deployment of {PODS}", self.deployment),
                ("watches see each change once, in order", self.watches),
                ("list pages", self.list_pages),
                ("a CRD and its objects", self.custom_resources),
                ("store and API agree at past revisions, while busy", self.agree_while_busy),
                ("kill -9 while scaling up", self.kill_while_scaling),
                ("events are stored", self.make_events),
                ("garbage collection, kill -9 within", self.garbage_collection),
                ("cascades: owners, foreground, orphans", self.cascades),
                ("namespace deletion, kill -9 within", self.delete_namespaces),
                ("removal of a CRD", self.remove_definition),
                ("events expire", self.events_expire),
                ("a page of a compacted list is refused", self.expired_page),
                ("requests of kube-apiserver", self.request_times),
                ("kube-apiserver restarts", self.restart_apiserver),
                ("store, API, watch cache and ledger agree", self.agree_at_rest),
                ("a clean stop keeps everything", self.clean_stop)):
            steps.run(name, action)

    def _post(self, path, thing, listed_at=None):
        made = self.api.write("POST", path, thing)
        if listed_at:
            self.ledger.wrote(listed_at, made)
        return made

    def _count(self, path):
        return len(self.api.get(path)["items"])

    # Steps, in the order in which they run. Each returns what to say about it.

    def namespaces(self):
        spaces = LONG_LIVED + TEAMS
        self.cluster.kubectl("create", "-f", "-", stdin=objects.items(
            [objects.namespace(space) for space in spaces]))
        for space in spaces:
            wait_for(f"the default account of {space}", lambda: self.api.exists(
                f"/api/v1/namespaces/{space}/serviceaccounts/default"))
            wait_for(f"the root certificate of {space}", lambda: self.api.exists(
                f"{maps(space)}/kube-root-ca.crt"))
        return f"{len(spaces)} made"

    def plain_objects(self):
        for number in range(300):
            self._post(maps("pages"), objects.config_map(f"cm-{number:03}", {
                "number": str(number)}), "/api/v1/configmaps")
        for number in range(20):
            self._post("/api/v1/namespaces/pages/secrets", objects.secret(
                f"secret.{number}", f"text {number}"), "/api/v1/secrets")
        for number, size_kib in enumerate((64, 512, 900)):
            text = f"{number}" * (size_kib * 1024)
            self._post(maps("pages"), objects.config_map(f"large-{size_kib}", {"text": text}),
                       "/api/v1/configmaps")
            read = self.api.get(f"{maps('pages')}/large-{size_kib}")
            expect(read["data"]["text"] == text, f"large-{size_kib} came back changed")
        return "323 made"

    def deployment(self):
        self.cluster.kubectl("apply", "-n", "shop", "-f", "-", stdin=objects.items(
            [objects.deployment("web", PODS), objects.service("web")]))
        self.cluster.kubectl("rollout", "status", "-n", "shop", "deployment/web",
                             "--timeout=300s")
        self._expect_pods(PODS)
        self.cluster.kubectl("scale", "-n", "shop", "deployment/web", "--replicas=5")
        self._expect_pods(5)
        return f"{PODS} pods running, then 5"

    def _expect_pods(self, count):
        def settled():
            self.cluster.check()
            pods = self.api.get("/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb")["items"]
            running = [pod for pod in pods if pod["status"].get("phase") == "Running"
                       and not pod["metadata"].get("deletionTimestamp")]
            return len(pods) == len(running) == count

        def addresses():
            subsets = self.api.get("/api/v1/namespaces/shop/endpoints/web").get("subsets") or []
            return sum(len(subset.get("addresses") or []) for subset in subsets) == count
        wait_for(f"{count} pods run", settled)
        wait_for(f"the Service has {count} addresses", addresses)
        stored = self.cluster.keys("/registry/pods/shop/web-")
        expect(len(stored) == count, f"the store holds {len(stored)} pods, not {count}")

    def watches(self):
        path = maps("watched")
        start = version_of(self._post(path, config_map("start", 0), "/api/v1/configmaps"))
        kubectl = KubectlWatcher(
            self.cluster.kubectl_argv("get", "configmaps", "-n", "watched", "--watch",
                                      "--output-watch-events", "-o", "json"),
            self.cluster.environment, f"{self.cluster.logs}/kubectl-watch.json")
        wait_for("kubectl watches", lambda: any(
            event[1] == "start" for event in kubectl.events), 60)
        watchers = [Watcher(self.api, path, start) for _ in range(8)]
        for watcher in watchers:
            watcher.start()
        expected = changes(self.api, path, 400)
        last = version_of(self._post(path, config_map("w-end", 0), "/api/v1/configmaps"))
        expected.append(("ADDED", "w-end", last, "0"))
        for name in {event[1] for event in expected} - {
                event[1] for event in expected if event[0] == "DELETED"}:
            self.ledger.wrote("/api/v1/configmaps", self.api.get(f"{path}/{name}"))
        # One that starts late, from the past.
        late = Watcher(self.api, path, start)
        late.start()
        for number, watcher in enumerate([*watchers, late, kubectl]):
            watcher.finish(last)
            expect(not watcher.error, f"watcher {number}: {watcher.error}")
            seen = [event for event in watcher.events if event[1].startswith("w-")]
            expect_none(judge(expected, seen), f"watcher {number} of {len(watchers) + 2}")
        return f"{len(expected)} changes, {len(watchers) + 2} watchers (one of them kubectl)"

    def list_pages(self):
        path = maps("pages")
        whole = agreement.listed(self.api, path)
        names, versions = [], set()
        for number, page in enumerate(self.api.pages(path, 37)):
            if number == 0:
                rest = page["metadata"].get("remainingItemCount")
                expect(rest == len(whole) - 37, f"remainingItemCount {rest} of {len(whole)}")
                self._old_page = page["metadata"]["continue"]
                self._change_between_pages(path)
            names += [item["metadata"]["name"] for item in page["items"]]
            versions.add(page["metadata"]["resourceVersion"])
        expect(names == sorted(name for _, name in whole), "the pages are not the first list")
        expect(len(versions) == 1, f"pages of several revisions: {versions}")
        after = agreement.listed(self.api, path)
        for what, name in (("new", "aaa-new"), ("old", "cm-250")):
            expect((("pages", name) in after) == (what == "new"), f"{name} after the pages")
        chunks = self.cluster.kubectl("get", "configmaps", "-n", "pages", "--chunk-size=41",
                                      "-o", "name").split()
        expect(chunks == [f"configmap/{name}" for _, name in sorted(after)],
               "kubectl's chunks are not the list")
        return f"{len(names)} objects in pages of 37"

    def _change_between_pages(self, path):
        self._post(path, objects.config_map("aaa-new", {}), "/api/v1/configmaps")
        self.api.write("DELETE", f"{path}/cm-250")
        self.ledger.deleted("/api/v1/configmaps", "pages", "cm-250")
        self.ledger.wrote("/api/v1/configmaps", self.api.write(
            "PUT", f"{path}/cm-299", objects.config_map("cm-299", {"number": "changed"})))

    def custom_resources(self):
        for plural, kind in (("widgets", "Widget"), ("gadgets", "Gadget")):
            self.cluster.kubectl("create", "-f", "-",
                                 stdin=objects.definition(GROUP, plural, kind))
            self.cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s",
                                 f"crd/{plural}.{GROUP}")
            things = [objects.custom(GROUP, kind, f"{kind.lower()}-{number}", number)
                      for number in range(100)]
            self.cluster.kubectl("apply", "-n", "custom", "-f", "-", stdin=objects.items(things))
        path = f"{WIDGETS}/namespaces/custom/widgets"
        for number in range(0, 100, 2):
            self.api.write("PATCH", f"{path}/widget-{number}/status",
                           {"status": {"phase": "Done"}}, "application/merge-patch+json")
        stale = self.api.get(f"{path}/widget-1")
        self.api.write("PUT", f"{path}/widget-1", {**stale, "spec": {"size": 1000}})
        try:
            self.api.write("PUT", f"{path}/widget-1", {**stale, "spec": {"size": 2000}})
            expect(False, "a write on an old resourceVersion went through")
        except ApiError as error:
            expect(error.code == 409, f"a write on an old resourceVersion: {error}")
        for item in self.api.get(path)["items"]:
            self.ledger.wrote(f"{WIDGETS}/widgets", {"metadata": item["metadata"]})
            done = int(item["metadata"]["name"].split("-")[1]) % 2 == 0
            expect((item.get("status") == {"phase": "Done"}) == done, f"status of {item}")
        odd = self.cluster.kubectl("get", "widgets", "-n", "custom", "-l", "odd=1", "-o", "name")
        expect(len(odd.split()) == 50, f"{len(odd.split())} widgets are odd, not 50")
        stored = self.cluster.keys(f"/registry/{GROUP}/widgets/custom/")
        expect(len(stored) == 100, f"the store holds {len(stored)} widgets, not 100")
        return "200 objects of two kinds"

    def agree_while_busy(self):
        """Lists of the past at one revision, while pods come and go."""
        stop = threading.Event()

        def churn():
            replicas = 5
            while not stop.is_set():
                replicas = 35 - replicas
                self.cluster.kubectl("scale", "-n", "shop", "deployment/web",
                                     f"--replicas={replicas}")
                stop.wait(0.5)

        def newest():
            return self.cluster.server.keys("none")[0]

        busy = threading.Thread(target=churn, daemon=True)
        busy.start()
        try:
            counts = []
            for _ in range(5):
                revision = newest()
                wait_for("the store moves on", lambda: newest() > revision + 50, 60)
                count, lines = agreement.compare_at(self.api, self.cluster.server, revision)
                expect_none(lines, f"at revision {revision}")
                counts.append(count)
        finally:
            stop.set()
            busy.join()
        return f"{', '.join(map(str, counts))} objects at five revisions"

    def kill_while_scaling(self):
        path = maps("counted")
        counters = [Counter(self.api, path, f"counter-{number}") for number in range(4)]
        first = min(counter.first for counter in counters)
        watchers = [Watcher(self.api, path, max(c.first for c in counters)) for _ in range(4)]
        for thread in counters + watchers:
            thread.start()
        for away_s, replicas in ((0.0, PODS), (0.5, 5), (2.0, PODS)):
            self.cluster.kubectl("scale", "-n", "shop", "deployment/web",
                                 f"--replicas={replicas}")
            time.sleep(0.3)
            self.cluster.kill_server(away_s)
            time.sleep(1)
        # jetd's own child; another server has none.
        child = ", its nats-server once" if self.cluster.kill_child("nats-server") else ""
        self._expect_pods(PODS)
        self.cluster.check()
        for counter in counters:
            counter.finish()
            self.ledger.wrote("/api/v1/configmaps", self.api.get(counter.path))
        expected = sorted((event for counter in counters for event in counter.events),
                          key=lambda event: event[2])
        for number, watcher in enumerate(watchers):
            watcher.finish(expected[-1][2])
            expect(not watcher.error, f"watcher {number}: {watcher.error}")
            expect_none(judge(expected, watcher.events), f"watcher {number}")
        unsure = sum(counter.unsure for counter in counters)
        expect(first < expected[0][2], "the counters did not count")
        away = ", ".join(f"{away_s:.1f}" for away_s in self.cluster.away_s)
        return (f"{len(expected)} counted writes, {unsure} without an answer, each once and in "
                f"order at 4 watchers; {PODS} pods; killed {self.cluster.kills} times, away "
                f"{away} s{child}")

    def make_events(self):
        path = "/api/v1/namespaces/events/events"
        self._events = Sampler(self.api, path, EVENTS)
        for number in range(EVENTS):
            self._post(path, objects.event(f"event-{number}", "events"))
        self._events.start()
        stored = self.cluster.keys("/registry/events/events/")
        expect(len(stored) == EVENTS, f"the store holds {len(stored)} events, not {EVENTS}")
        leases = self.cluster.server.etcdctl("lease", "list").decode().split()
        expect(len(leases) > 1, "the store has no lease")
        return f"{EVENTS}, to live {EVENT_TTL_S} s"

    def garbage_collection(self):
        self.api.write("DELETE", "/apis/apps/v1/namespaces/shop/deployments/web",
                       {"propagationPolicy": "Background"})
        self.cluster.kill_server()
        left = len(self.cluster.keys("/registry/pods/shop/"))
        for kind in ("replicasets", "pods"):
            wait_for(f"no {kind} in the store", lambda: not self.cluster.keys(
                f"/registry/{kind}/shop/"))
        expect(self._count("/api/v1/namespaces/shop/pods") == 0, "the API still shows pods")
        expect(self._count("/apis/apps/v1/namespaces/shop/replicasets") == 0,
               "the API still shows ReplicaSets")
        return f"{PODS} pods gone, {left} of them after the kill"

    def cascades(self):
        path = maps("shop")
        parent = self._post(path, objects.config_map("parent", {}))
        other = self._post(path, objects.config_map("other", {}), "/api/v1/configmaps")
        child = self._post(path, objects.config_map("child", {}, [parent]))
        self._post(path, objects.config_map("grandchild", {}, [child]))
        self._post(path, objects.config_map("shared", {}, [parent, other]))
        self.cluster.kubectl("create", "-n", "shop", "-f", "-", stdin=objects.items(
            [objects.deployment("front", 5), objects.deployment("stay", 10)]))
        for name in ("front", "stay"):
            self.cluster.kubectl("rollout", "status", "-n", "shop", f"deployment/{name}",
                                 "--timeout=300s")
        self.api.write("DELETE", f"{path}/parent")
        self.cluster.kubectl("delete", "deployment", "front", "-n", "shop",
                             "--cascade=foreground", "--timeout=300s")
        self.cluster.kubectl("delete", "deployment", "stay", "-n", "shop", "--cascade=orphan")
        for name in ("child", "grandchild"):
            wait_for(f"{name} is gone", lambda: not self.api.exists(f"{path}/{name}"))
        wait_for("one owner of two is left", lambda: len(
            self.api.get(f"{path}/shared")["metadata"].get("ownerReferences", [])) == 1)
        self.ledger.wrote("/api/v1/configmaps", self.api.get(f"{path}/shared"))
        expect(not self.cluster.keys("/registry/pods/shop/front-"), "pods of front are left")
        expect(len(self.cluster.keys("/registry/pods/shop/stay-")) == 10, "orphans are gone")
        return "10 orphans stay"

    def delete_namespaces(self):
        for team in TEAMS:
            things = [objects.config_map(f"cm-{number}", {}) for number in range(20)]
            things += [objects.secret(f"secret-{number}", "text") for number in range(10)]
            things += [objects.custom(GROUP, "Widget", f"widget-{n}", n) for n in range(10)]
            things += [objects.deployment("web", 4)]
            self.cluster.kubectl("create", "-n", team, "-f", "-", stdin=objects.items(things))
        for team in TEAMS:
            self.cluster.kubectl("rollout", "status", "-n", team, "deployment/web",
                                 "--timeout=300s")
        before = sum(f"/{team}/" in key for team in TEAMS for key in self.cluster.keys(""))
        self.cluster.kubectl("delete", "namespace", *TEAMS, "--wait=false")
        time.sleep(0.2)
        self.cluster.kill_server()
        for team in TEAMS:
            wait_for(f"{team} is gone",
                     lambda: not self.api.exists(f"/api/v1/namespaces/{team}"))

        def left():
            # Events about the last pods go by their TTL.
            return [key for key in self.cluster.keys("") if key.split("/")[2:3] != ["events"]
                    and any(team in key.split("/") for team in TEAMS)]
        expect_none([f"key {key}" for key in left()], "left in the store")
        return f"{len(TEAMS)} gone, with {before} keys"

    def remove_definition(self):
        before = len(self.cluster.keys(f"/registry/{GROUP}/gadgets/"))
        expect(before == 100, f"the store holds {before} gadgets, not 100")
        self.cluster.kubectl("delete", f"crd/gadgets.{GROUP}", "--timeout=300s")
        left = self.cluster.keys(f"/registry/{GROUP}/gadgets/")
        expect_none([f"key {key}" for key in left], "left in the store")
        return "100 objects gone with it"

    def events_expire(self):
        if self._events is None:
            raise Skip("no events were made")
        wait_for("the API shows none of the events", lambda: self._events.empty_s, 120)
        left = self.cluster.keys("/registry/events/events/")
        expect_none([f"key {key}" for key in left], "left in the store")
        # A restart of the store may give a lease its whole time again, never less.
        shrank_s, empty_s = self._events.shrank_s, self._events.empty_s
        expect(shrank_s > EVENT_TTL_S - 0.5, f"the first was gone after {shrank_s:.1f} s")
        return f"the first gone after {shrank_s:.1f} s, the last after {empty_s:.1f} s"

    def expired_page(self):
        if self._old_page is None:
            raise Skip("no page was kept")
        page = f"{maps('pages')}?limit=37&continue={self._old_page}"

        def refusal():
            try:
                self.api.get(page)
                return None
            except ApiError as error:
                return error
        error = wait_for("a compaction", refusal, 120, 2)
        expect(error.code == 410 and error.reason == "Expired", f"answered {error}")
        return "410 Expired"

    def request_times(self):
        """From kube-apiserver's own metrics: how long the store took to answer."""
        text = self.api.call("GET", "/metrics")
        found = {}
        for kind, operation, value in re.findall(
                r'^etcd_request_duration_seconds_(sum|count)\{operation="(\w+)".*\} (\S+)$', text,
                re.MULTILINE):
            found.setdefault(operation, {"sum": 0.0, "count": 0.0})[kind] += float(value)
        expect(found, "kube-apiserver counts no request")
        return ", ".join(f"{operation} {one['count']:.0f} of {1000 * one['sum'] / one['count']:.1f}"
                         " ms" for operation, one in sorted(found.items()) if one["count"])

    def restart_apiserver(self):
        before = self._count(maps("pages"))
        self.cluster.restart_apiserver()
        after = self._count(maps("pages"))
        expect(before == after, f"{before} objects before, {after} after")
        self.cluster.kubectl("create", "-n", "shop", "-f", "-", stdin=objects.deployment("new", 5))
        self.cluster.kubectl("rollout", "status", "-n", "shop", "deployment/new",
                             "--timeout=300s")
        self.cluster.check()
        return "the controllers go on"

    def agree_at_rest(self):
        self.cluster.stop_controllers()
        counts, lines = agreement.compare_now(self.api, self.cluster.server, self.ledger)
        expect_none(lines, "differences")
        known = sum(len(names) for names in self.ledger.objects.values())
        return (f"{sum(counts.values())} objects of {sum(map(bool, counts.values()))} kinds, "
                f"{known} of them in the ledger")

    def clean_stop(self):
        """SIGTERM and a restart under kube-apiserver; what does not move by itself is the same."""
        def still():
            moving = agreement.OWN + ("/registry/events/", "/registry/leases/")
            return {key: revision for key, revision in self.cluster.keys("").items()
                    if not key.startswith(moving)}
        before = still()
        self._stop_server()
        self.cluster.start_server()
        expect(still() == before, "the store has changed")
        self.api.get("/api/v1/namespaces")
        self.cluster.apiserver.end(signal.SIGTERM, 90)
        self._stop_server()
        return f"{len(before)} keys"

    def _stop_server(self):
        left = self.cluster.server.end(signal.SIGTERM)
        expect(not left, f"children {left} of the server still run after SIGTERM")
        code = self.cluster.server.code
        expect(code in (0, -signal.SIGTERM), f"the server ended with code {code} after SIGTERM")
