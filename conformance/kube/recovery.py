# SPDX-License-Identifier: Apache-2.0
"""What is lost and comes back under a control plane: a namespace from a mirror's past, and a
primary whose disk is gone."""

import hashlib
import json
import signal
import threading
import time

import agreement
import objects
from api import ApiError, Unsure
from domains import BUCKET
from plane import wait_for
from steps import expect, expect_none

PODS = 20
MAPS = 450
SECRETS = 50
LOST = "lost"  # the namespace
HELD = "held"  # another one, whose deletion waits
HELD_MAPS = 50
HELD_PODS = 5
WRITTEN = "written"
STAYS_S = 45


class Journal(threading.Thread):
    """Makes one ConfigMap after the other, and notes when each was answered."""

    def __init__(self, api, space, title):
        super().__init__(daemon=True)
        self._api = api
        self._title = title
        self._path = f"/api/v1/namespaces/{space}/configmaps"
        self._end = threading.Event()
        self.answered = []  # (name, when by the monotonic clock)
        self.unsure = 0

    def run(self):
        number = 0
        while not self._end.is_set():
            number += 1
            name = f"{self._title}-{number:06}"
            try:
                self._api.write("POST", self._path, objects.config_map(name, {"n": str(number)}))
                self.answered.append((name, time.monotonic()))
            except (Unsure, ApiError):
                self.unsure += 1
                self._end.wait(0.05)

    def count(self):
        return len(self.answered)

    def finish(self):
        self._end.set()
        self.join(60)


def without_addresses(things):
    """These name the versions of the pods, and are written anew once the pods are."""
    return {name: what for name, what in things.items()
            if not name[0].endswith(("/endpoints", "/endpointslices"))}


class Recovery:
    def __init__(self, cluster):
        self.cluster = cluster
        self.api = cluster.api
        self.hub = cluster.hub
        self.mirror = cluster.mirror
        self.jetctl = cluster.jetctl
        self._before = {}  # of the namespace that is lost: its keys and objects
        self._revision = 0

    def run(self, steps):
        cluster = self.cluster
        steps.run("two domains, jetd and a mirror start", self.start_store, needed=True)
        steps.run("kube-apiserver starts", cluster.start_apiserver, needed=True)
        steps.run("controllers, scheduler and nodes start", cluster.start_controllers, needed=True)
        for name, action in (
                ("a namespace of 500 objects", self.make_namespace),
                ("the namespace is deleted", self.delete_namespace),
                ("it comes back in place, from the mirror", self.restore_namespace),
                ("its objects stay, its pods run on", self.namespace_stays),
                ("it can be changed and deleted again", self.namespace_works),
                ("a deletion that waited for a finalizer is taken back", self.take_back_deletion),
                ("the primary's disk is lost, the mirror promoted", self.lose_primary),
                ("the control plane goes on", self.goes_on),
                ("store, API and watch cache agree", self.agree),
                ("the way back loses nothing", self.way_back),
                ("store, API and watch cache agree there too", self.agree)):
            steps.run(name, action)

    # Steps, in the order in which they run. Each returns what to say about it.

    def start_store(self):
        for domain in (self.hub, self.mirror):
            domain.start()
        self.cluster.server.serve_from(self.hub)
        self.cluster.start_server()
        self._retry("mirror add", lambda: self.jetctl.run(
            "mirror", "add", *self._at(self.hub), f"--domain={self.mirror.domain}"))

    def make_namespace(self):
        things = [objects.deployment("web", PODS), objects.service("web")]
        things += [objects.config_map(f"cm-{number:03}", {"number": str(number)})
                   for number in range(MAPS)]
        things += [objects.secret(f"secret-{number}", f"text {number}")
                   for number in range(SECRETS)]
        self.cluster.kubectl("create", "-f", "-", stdin=objects.items(
            [objects.namespace(LOST), objects.namespace(WRITTEN)]))
        self.cluster.kubectl("create", "-n", LOST, "-f", "-", stdin=objects.items(things))
        self.cluster.kubectl("rollout", "status", "-n", LOST, "deployment/web", "--timeout=300s")

        def settled():
            subsets = self.api.get(f"/api/v1/namespaces/{LOST}/endpoints/web").get("subsets") or []
            return sum(len(subset.get("addresses") or []) for subset in subsets) == PODS
        wait_for("the Service has its addresses", settled)

        self._before = self._rested(LOST)
        self._revision, _ = self.cluster.server.keys()
        behind_s = self.jetctl.wait_copied(self.hub)
        count = len(self._before)
        expect(count >= 500, f"the namespace has {count} objects only")
        return f"{count} objects, {PODS} of them pods; the mirror had all after {behind_s:.1f} s"

    def delete_namespace(self):
        self.cluster.kubectl("delete", "namespace", LOST, "--timeout=300s")
        left = [key for key in self.cluster.keys("/registry/") if f"/{LOST}/" in key]
        expect(not left, f"{len(left)} keys are left, {left[:3]}")
        return "no key of it is left"

    def restore_namespace(self):
        point = [f"--to-revision={self._revision}", *self._in_place(LOST)]
        source = self._from_mirror()
        self.jetctl.wait_copied(self.hub)
        # One that ran on would take what comes back for left over: docs/OPERATIONS.md.
        self.cluster.manager.end(signal.SIGTERM)
        plan = json.loads(self.jetctl.run("restore", *source, *point, "--dry-run",
                                          "--output=json"))
        expect(plan["add"] >= 500, f"the dry run would add {plan['add']} keys only")
        start = time.monotonic()
        self.jetctl.run("restore", *source, *point, "--yes")
        restored_s = time.monotonic() - start
        now = self._objects(LOST)
        expect_none(agreement.differences("before", self._before, "now", now, "object"),
                    "the namespace is not what it was")
        seen_s = time.monotonic() - start
        self._start_manager()
        return (f"{len(now)} objects as they were, written in {restored_s:.2f} s and listed by "
                f"kube-apiserver after {seen_s:.2f} s")

    def namespace_stays(self):
        """The controllers go over everything and remove or replace nothing."""
        before = without_addresses(self._before)
        deadline = time.monotonic() + STAYS_S
        while time.monotonic() < deadline:
            self.cluster.check()
            now = without_addresses(self._objects(LOST))
            expect_none(agreement.differences("before", before, "now", now, "object"),
                        "the namespace did not stay")
            time.sleep(1)
        pods = self.api.get(f"/api/v1/namespaces/{LOST}/pods")["items"]
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        expect(len(pods) == len(running) == PODS, f"{len(running)} of {len(pods)} pods run")
        return f"for {STAYS_S} s; {PODS} pods, the same as before"

    def namespace_works(self):
        self.cluster.kubectl("scale", "-n", LOST, "deployment/web", f"--replicas={PODS + 5}")
        self.cluster.kubectl("rollout", "status", "-n", LOST, "deployment/web", "--timeout=300s")
        self.cluster.kubectl("delete", "namespace", LOST, "--timeout=300s")
        left = [key for key in self.cluster.keys("/registry/") if f"/{LOST}/" in key]
        expect(not left, f"{len(left)} keys are left, {left[:3]}")
        return f"scaled to {PODS + 5}, deleted"

    def take_back_deletion(self):
        """Kubernetes marks the namespace and removes what is in it, but for one object with a
        finalizer, until that is taken off; --before-deletion is the moment before the mark."""
        guard = f"/api/v1/namespaces/{HELD}/configmaps/guard"
        held = objects.config_map("guard", {})
        held["metadata"]["finalizers"] = ["jetd.test/guard"]
        things = [held, objects.deployment("web", HELD_PODS)]
        things += [objects.config_map(f"cm-{number}", {}) for number in range(HELD_MAPS)]
        self.cluster.kubectl("create", "-f", "-", stdin=objects.items([objects.namespace(HELD)]))
        self.cluster.kubectl("create", "-n", HELD, "-f", "-", stdin=objects.items(things))
        self.cluster.kubectl("rollout", "status", "-n", HELD, "deployment/web", "--timeout=300s")
        before = self._rested(HELD)
        revision, _ = self.cluster.server.keys()
        self.cluster.kubectl("delete", "namespace", HELD, "--wait=false")

        def keys_of_held():
            return [key for key in self.cluster.keys("/registry/") if f"/{HELD}/" in key]
        wait_for("all but the guard is gone", lambda: len(keys_of_held()) == 1, 300)
        while_held = self._plan_before_deletion()
        self._release(guard)
        wait_for("the namespace is gone",
                 lambda: not self.api.exists(f"/api/v1/namespaces/{HELD}"), 120)
        # One that ran on would take what comes back for left over: docs/OPERATIONS.md.
        self.cluster.manager.end(signal.SIGTERM)
        plan = self._plan_before_deletion()
        expect(plan["revision"] == while_held["revision"] >= revision,
               f"before the deletion is {plan['revision']}, was {while_held['revision']} while it "
               f"waited, and the namespace rested at {revision}")
        expect(plan["add"] > HELD_MAPS, f"the dry run would add {plan['add']} keys only")
        self.jetctl.run("restore", *self._from_mirror(), f"--to-revision={plan['revision']}",
                        *self._in_place(HELD), "--yes")
        expect_none(agreement.differences("before", before, "now", self._objects(HELD), "object"),
                    "the namespace is not what it was")
        self._start_manager()
        deadline = time.monotonic() + STAYS_S / 3
        while time.monotonic() < deadline:
            self.cluster.check()
            expect_none(agreement.differences(
                "before", without_addresses(before), "now", without_addresses(self._objects(HELD)),
                "object"), "the namespace did not stay")
            time.sleep(1)
        self._release(guard)
        self.cluster.kubectl("delete", "namespace", HELD, "--timeout=300s")
        return f"{len(before)} objects, to revision {plan['revision']}; none is being deleted"

    def lose_primary(self):
        self.cluster.kubectl("create", "-n", WRITTEN, "-f", "-",
                             stdin=objects.deployment("web", PODS))
        self.cluster.kubectl("rollout", "status", "-n", WRITTEN, "deployment/web",
                             "--timeout=300s")
        journal = Journal(self.api, WRITTEN, "before")
        journal.start()
        wait_for("the journal has 500 entries", lambda: journal.count() >= 500, 300)
        lost_at = time.monotonic()
        self.hub.lose_disk()
        self.cluster.server.end(signal.SIGKILL)
        self.jetctl.run("promote", *self._at(self.mirror), "--yes")
        promoted_s = time.monotonic() - lost_at
        self.cluster.server.serve_from(self.mirror)
        self.cluster.start_server()
        served_s = time.monotonic() - lost_at
        count = journal.count()
        wait_for("the journal goes on", lambda: journal.count() >= count + 100, 300)
        back_s = min(when for _, when in journal.answered if when > lost_at + promoted_s) - lost_at
        journal.finish()
        there = {name for _, name in agreement.listed(
            self.api, f"/api/v1/namespaces/{WRITTEN}/configmaps")}
        before = [(name, when) for name, when in journal.answered if when <= lost_at]
        lost = [(name, when) for name, when in before if name not in there]
        after = [name for name, when in journal.answered if when > lost_at + promoted_s]
        expect_none([name for name in after if name not in there][:10],
                    "written after the promotion and gone")
        # What is lost is the end, and nothing before it.
        expect(lost == before[len(before) - len(lost):], "there is a hole in what is left")
        age = f", the oldest {(lost_at - lost[0][1]) * 1e3:.0f} ms old" if lost else ""
        return (f"{len(lost)} of {len(before)} answered writes lost{age}; promoted after "
                f"{promoted_s:.1f} s, jetd serves after {served_s:.1f} s, the API takes writes "
                f"after {back_s:.1f} s")

    def goes_on(self):
        start = time.monotonic()
        self.cluster.kubectl("scale", "-n", WRITTEN, "deployment/web", f"--replicas={PODS + 10}")
        self.cluster.kubectl("rollout", "status", "-n", WRITTEN, "deployment/web",
                             "--timeout=300s")
        took_s = time.monotonic() - start
        self.cluster.check()
        self.cluster.kubectl("delete", "deployment", "web", "-n", WRITTEN, "--cascade=foreground")
        wait_for("its pods are gone", lambda: not self.api.get(
            f"/api/v1/namespaces/{WRITTEN}/pods")["items"])
        return f"10 more pods ran after {took_s:.1f} s, then all were deleted"

    def agree(self):
        counts, lines = agreement.compare_now(self.api, self.cluster.server, self.cluster.ledger)
        expect_none(lines, "differences")
        return f"{sum(counts.values())} objects of {len(counts)} resources"

    def way_back(self):
        """The old domain comes back with an empty disk, is a mirror, and the primary again."""
        self.hub.start()
        self._retry("mirror add", lambda: self.jetctl.run(
            "mirror", "add", *self._at(self.mirror), f"--domain={self.hub.domain}",
            "--replace-old-primary"))
        copied_s = self.jetctl.wait_copied(self.mirror)
        journal = Journal(self.api, WRITTEN, "back")
        journal.start()
        wait_for("the journal has 100 entries", lambda: journal.count() >= 100, 300)
        start = time.monotonic()
        self.jetctl.run("promote", *self._at(self.hub), "--yes")
        wait_for("the old jetd ends", lambda: not self.cluster.server.running(), 60)
        self.cluster.server.serve_from(self.hub)
        self.cluster.start_server()
        served_s = time.monotonic() - start
        count = journal.count()
        wait_for("the journal goes on", lambda: journal.count() >= count + 100, 300)
        journal.finish()
        there = {name for _, name in agreement.listed(
            self.api, f"/api/v1/namespaces/{WRITTEN}/configmaps")}
        lost = [name for name, _ in journal.answered if name not in there]
        expect_none(lost[:10], "answered and gone")
        return (f"copied in {copied_s:.1f} s; moved in {served_s:.1f} s, none of "
                f"{len(journal.answered)} answered writes lost")

    def _start_manager(self):
        """Until it leads; the one before would keep its leadership for a while."""
        lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
        self.api.write("DELETE", lease)
        self.cluster.manager.start()

        def leads():
            self.cluster.check()
            found = self.api.find(lease)
            return found is not None and found["spec"].get("holderIdentity")
        wait_for("kube-controller-manager leads", leads, 120)

    def _rested(self, space):
        def quiet():
            before = self._objects(space)
            time.sleep(2)
            return before if before == self._objects(space) else None
        return wait_for("the namespace rests", quiet, 120)

    def _release(self, guard):
        self.api.write("PATCH", guard, {"metadata": {"finalizers": None}},
                       content="application/merge-patch+json")

    def _plan_before_deletion(self):
        self.jetctl.wait_copied(self.hub)
        return json.loads(self.jetctl.run(
            "restore", *self._from_mirror(), f"--before-deletion=/registry/namespaces/{HELD}",
            *self._in_place(HELD), "--dry-run", "--output=json"))

    def _from_mirror(self):
        return [f"--nats-url={self.mirror.url}", f"--nats-domain={self.mirror.domain}",
                f"--bucket={BUCKET}"]

    def _in_place(self, space):
        return [f"--namespace={space}", "--in-place", f"--endpoints={self.cluster.server.url}"]

    @staticmethod
    def _at(domain):
        return f"--nats-url={domain.url}", f"--bucket={BUCKET}"

    @staticmethod
    def _retry(what, action):
        """Until it does not fail: the domains need a moment to know of each other."""
        failures = []

        def done():
            try:
                action()
                return True
            except Exception as error:  # said if it does not end
                failures.append(error)
                return False
        try:
            wait_for(what, done, 60, 0.5)
        except TimeoutError:
            raise failures[-1] from None

    def _objects(self, space):
        """{(resource, name): what it is} of a namespace, without what changes by itself."""
        found = {}
        for path in agreement.resources(self.api):
            if path.endswith(("/events", "/leases")):
                continue
            for item in self.api.get(path)["items"] or []:
                meta = item["metadata"]
                if meta.get("namespace", meta["name"]) != space:
                    continue
                if "namespace" not in meta and not path.endswith("/namespaces"):
                    continue
                content = {key: value for key, value in item.items() if key != "metadata"}
                whole = json.dumps([content, meta.get("ownerReferences")], sort_keys=True)
                digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
                state = "being deleted " if meta.get("deletionTimestamp") else ""
                found[(path, meta["name"])] = f"{state}{meta['uid']} {digest}"
        return found
