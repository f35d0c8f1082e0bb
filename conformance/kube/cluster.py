# SPDX-License-Identifier: Apache-2.0
"""One cluster of a run: the server under test, the control plane on it, kubectl, the nodes."""

import json
import os
import signal
import subprocess
import time

import plane
from agreement import Ledger
from api import Api, ApiError
from kubelet import NODES, Kubelet
from plane import wait_for
from steps import Failed, expect

EVENT_TTL_S = 20
COMPACTION_S = 20


class Cluster:
    def __init__(self, program, etcdctl, binaries, folder, tls, server_class=plane.Server):
        self.folder = folder
        self.logs = f"{folder}/logs"
        os.makedirs(self.logs)
        os.makedirs(f"{folder}/home")
        plane.certificates(f"{folder}/certificates")
        port = plane.free_port()
        self.server = server_class(program, etcdctl, folder, self.logs, tls)
        self.control = plane.control_plane(
            binaries, folder, self.logs, self.server.url, port,
            [f"--event-ttl={EVENT_TTL_S}s", f"--etcd-compaction-interval={COMPACTION_S}s"])
        self.apiserver, *self.controllers = self.control
        self.below = []  # what the server under test needs
        self.api = Api(port, f"{folder}/certificates", "admin")
        self.ledger = Ledger()
        self.kubelet = Kubelet(self.api)
        self._kubectl = [f"{binaries}/kubectl", "--kubeconfig", plane.kubeconfig(
            f"{folder}/admin.kubeconfig", port, f"{folder}/certificates", "admin")]
        self.environment = {**os.environ, "HOME": f"{folder}/home"}
        self.kills = 0
        self.away_s = []  # from each kill to the first answer after it

    def start_server(self):
        self.server.start()
        self.server.wait_ready()

    def start_apiserver(self):
        self.apiserver.start()

        def ready():
            self.apiserver.check()
            self.server.check()
            try:
                return self.api.call("GET", "/readyz") == "ok"
            except (OSError, ApiError):
                return False
        wait_for("kube-apiserver is ready", ready, 180)

    def start_controllers(self):
        for process in self.controllers:
            process.start()
        self.kubelet.start()

        def nodes_ready():
            self.check()
            nodes = self.api.get("/api/v1/nodes")["items"]
            return len(nodes) == len(NODES) and not any(
                node["spec"].get("taints") for node in nodes)
        wait_for("the nodes are ready", nodes_ready)

    def stop_controllers(self):
        self.kubelet.stop()
        for process in self.controllers:
            process.end(signal.SIGTERM)

    def restart_apiserver(self):
        # Asked to end, it would wait 60 s for the watches of the controllers, and they would go.
        self.apiserver.end(signal.SIGKILL)
        self.start_apiserver()

    def kill_server(self, away_s=0.5):
        """kill -9, a pause, the same data-dir again."""
        self.server.check()
        before = time.monotonic()
        left = self.server.end(signal.SIGKILL)
        expect(not left, f"2 s after kill -9 of the server its children {left} still run")
        self.kills += 1
        time.sleep(away_s)
        self.start_server()
        self.away_s.append(time.monotonic() - before)

    def kill_child(self, name):
        """kill -9 of a child that the server has to start again; whether there is such a child."""
        found = [pid for pid in plane.children_of(self.server.pid) if plane.name_of(pid) == name]
        if not found:
            return False
        os.kill(found[0], signal.SIGKILL)
        wait_for(f"{name} is gone", lambda: not plane.alive(found[0]), 20)
        self.server.wait_ready()
        return True

    def check(self):
        for process in [self.server, *self.control]:
            process.check()

    def sweep(self):
        for process in [*reversed(self.control), self.server, *self.below]:
            process.sweep()

    def kubectl_argv(self, *arguments):
        return self._kubectl + list(arguments)

    def kubectl(self, *arguments, stdin=None, patience_s=300):
        """Runs kubectl; its stdout. For input that is an object: JSON."""
        text = json.dumps(stdin).encode() if stdin is not None else None
        done = subprocess.run(self.kubectl_argv(*arguments), input=text, capture_output=True,
                              check=False, env=self.environment, timeout=patience_s)
        if done.returncode != 0:
            raise Failed(f"kubectl {' '.join(arguments)}: {done.stderr.decode().strip()[:300]}")
        return done.stdout.decode()

    def keys(self, prefix):
        return self.server.keys(prefix)[1]

    def usage(self):
        """Lines about time and memory of each process."""
        lines = []
        for process in [*self.below, self.server, *self.control]:
            peak_mb, cpu_s = process.measure()
            if not cpu_s:
                continue  # not part of this run
            lines.append(f"{process.name}: peak {peak_mb:.0f} MB, {cpu_s:.1f} s of CPU")
        return lines
