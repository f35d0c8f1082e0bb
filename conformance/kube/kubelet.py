# SPDX-License-Identifier: Apache-2.0
"""Nodes without machines: reports pods as running, and confirms their deletion.

What a kubelet writes to the API server, and nothing else: the Node and its Ready condition, a
Lease renewed every 10 s, the status of each pod bound to a node, and the final delete of a pod
whose deletion was asked for.
"""

import datetime
import queue
import threading
import time

from api import ApiError, Unsure

NODES = [f"node-{number}" for number in range(3)]
WRITERS = 3
MERGE = "application/strategic-merge-patch+json"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Kubelet:
    """Start() once the API server answers; stop() before it goes away. Own threads."""

    def __init__(self, api):
        self._api = api
        self._stop = threading.Event()
        self._stream = None
        self._work = queue.Queue()
        self._addresses = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._heartbeat, daemon=True),
                         threading.Thread(target=self._follow, daemon=True)]
        self._threads += [threading.Thread(target=self._write, daemon=True)
                          for _ in range(WRITERS)]
        self.running = 0  # pods reported as running so far
        self.deleted = 0  # deletions confirmed so far

    def start(self):
        for name in NODES:
            self._register(name)
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        if self._stream:
            self._stream.close()
        for _ in range(WRITERS):
            self._work.put(None)
        for thread in self._threads:
            thread.join(10)

    def _register(self, name):
        self._api.write("POST", "/api/v1/nodes", {
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}})
        room = {"cpu": "64", "memory": "256Gi", "pods": "200"}
        conditions = [{"type": kind, "status": status, "reason": "Conformance", "message": "",
                       "lastHeartbeatTime": seconds(), "lastTransitionTime": seconds()}
                      for kind, status in (("Ready", "True"), ("MemoryPressure", "False"),
                                           ("DiskPressure", "False"), ("PIDPressure", "False"))]
        self._api.write("PATCH", f"/api/v1/nodes/{name}/status", {"status": {
            "capacity": room, "allocatable": room, "conditions": conditions}}, MERGE)

    def _heartbeat(self):
        base = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        while not self._stop.is_set():
            for name in NODES:
                spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now()}
                try:
                    self._api.write("PATCH", f"{base}/{name}", {"spec": spec}, MERGE)
                except ApiError as error:
                    if error.code == 404:
                        self._try(lambda: self._api.write("POST", base, {
                            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                            "metadata": {"name": name}, "spec": spec}))
                except Unsure:
                    pass
            self._stop.wait(10)

    @staticmethod
    def _try(action):
        try:
            action()
        except (ApiError, Unsure):
            pass  # the next round does it

    def _follow(self):
        """Lists the pods, then watches them; from the list again when the watch is too old."""
        while not self._stop.is_set():
            try:
                pods = self._api.get("/api/v1/pods")
                for pod in pods["items"]:
                    self._work.put(pod)
                version = pods["metadata"]["resourceVersion"]
                while not self._stop.is_set():
                    version = self._follow_from(version)
            except (ApiError, OSError, ValueError, _Expired):
                self._stop.wait(0.5)

    def _follow_from(self, version):
        self._stream = self._api.watch("/api/v1/pods", version)
        for event in self._stream:
            if event["type"] == "ERROR":
                raise _Expired()
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] in ("ADDED", "MODIFIED"):
                self._work.put(event["object"])
        return version

    def _write(self):
        while True:
            pod = self._work.get()
            if pod is None or self._stop.is_set():
                return
            try:
                self._settle(pod)
            except Unsure:
                # The pod as it is now decides, so a write that did happen is not done twice.
                time.sleep(0.3)
                self._again(pod)
            except ApiError as error:
                if error.code == 409:
                    self._again(pod)

    def _again(self, pod):
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        try:
            newest = self._api.find(path)
        except (ApiError, OSError):
            newest = pod
        if newest is not None:
            self._work.put(newest)

    def _settle(self, pod):
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if not pod["spec"].get("nodeName"):
            return
        if meta.get("deletionTimestamp"):
            try:
                self._api.write("DELETE", path, {
                    "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                    "preconditions": {"uid": meta["uid"]}})
                self.deleted += 1
            except ApiError as error:
                if error.code not in (404, 409):
                    raise
        elif pod["status"].get("phase") == "Pending":
            try:
                self._api.write("PATCH", f"{path}/status", {
                    "metadata": {"uid": meta["uid"]}, "status": self._running(pod)}, MERGE)
                self.running += 1
            except ApiError as error:
                if error.code != 404:
                    raise

    def _running(self, pod):
        with self._lock:
            self._addresses += 1
            address = f"10.88.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"
        containers = [{"name": container["name"], "image": container["image"], "imageID": "none",
                       "containerID": f"none://{pod['metadata']['uid']}", "ready": True,
                       "started": True, "restartCount": 0,
                       "state": {"running": {"startedAt": seconds()}}}
                      for container in pod["spec"]["containers"]]
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": seconds()}
                      for kind in ("Initialized", "Ready", "ContainersReady")]
        return {"phase": "Running", "hostIP": "192.0.2.10", "podIP": address,
                "podIPs": [{"ip": address}], "startTime": seconds(), "conditions": conditions,
                "containerStatuses": containers}


class _Expired(Exception):
    """The watch has to start from a new list."""
