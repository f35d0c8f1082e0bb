# SPDX-License-Identifier: Apache-2.0
"""Two JetStream domains of a run, hub and leaf node, and a jetd that may serve from either."""

import json
import os
import shutil
import signal
import subprocess
import time

from cluster import Cluster
from plane import Process, Server, free_port, wait_for
from steps import Failed

BUCKET = "etcd"


class Domain(Process):
    """A nats-server that is a JetStream domain of its own."""

    def __init__(self, program, name, folder, logs, leafnodes):
        self.domain = name
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.store = f"{folder}/{name}"
        config = f"{folder}/{name}.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(f"server_name: {name}\nlisten: \"127.0.0.1:{self.port}\"\n"
                       "max_payload: 8MB\n"
                       f"jetstream {{ domain: {name}, store_dir: \"{self.store}\" }}\n"
                       "accounts { T { jetstream: enabled, "
                       "users: [ { user: t, password: t } ] } }\n"
                       f"no_auth_user: t\nleafnodes {{ {leafnodes} }}\n")
        super().__init__(f"nats-{name}", [program, "-c", config], logs)

    def lose_disk(self):
        """kill -9, and everything that it has stored is gone."""
        self.end(signal.SIGKILL)
        shutil.rmtree(self.store)


def two_domains(program, folder, logs):
    """The hub, and a leaf node that dials it; not started yet."""
    port = free_port()
    hub = Domain(program, "hub", folder, logs, f"listen: \"127.0.0.1:{port}\"")
    leaf = Domain(program, "dr", folder, logs,
                  f"remotes: [ {{ url: \"nats-leaf://t:t@127.0.0.1:{port}\", account: T }} ]")
    return hub, leaf


class MirroredServer(Server):
    """A jetd on the nats-server of a domain."""

    def serve_from(self, domain):
        """From its next start on; what it keeps locally is of the other one's stream."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.argv = [word for word in self.argv if not word.startswith("--nats-url=")]
        self.argv.append(f"--nats-url={domain.url}")


class MirroredCluster(Cluster):
    """A cluster whose store has a mirror in another domain."""

    def __init__(self, program, jetctl, etcdctl, binaries, folder):
        super().__init__(program, etcdctl, binaries, folder, tls=False,
                         server_class=MirroredServer)
        self.hub, self.mirror = two_domains(os.environ["JETD_NATS_SERVER"], folder, self.logs)
        self.below = [self.hub, self.mirror]
        self.jetctl = Jetctl(jetctl, f"{self.logs}/jetctl.log")
        self.manager = self.controllers[0]


class Jetctl:
    def __init__(self, program, log):
        self._program = program
        self._log = log

    def run(self, *arguments, check=True):
        """Its stdout; with the exit code, unless that must be 0."""
        done = subprocess.run([self._program, *arguments], capture_output=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=600,
                              env={**os.environ, "NO_COLOR": "1"})
        with open(self._log, "ab") as log:
            log.write(f"$ jetctl {' '.join(arguments)}\n".encode() + done.stdout + done.stderr +
                      f"exit code {done.returncode}\n".encode())
        if not check:
            return done.stdout.decode(), done.returncode
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise Failed(f"jetctl {' '.join(arguments[:2])}: {''.join(last)[:300]}")
        return done.stdout.decode()

    def mirror_of(self, origin):
        """What `mirror status` says of its only mirror."""
        text, _ = self.run("mirror", "status", f"--nats-url={origin.url}", f"--bucket={BUCKET}",
                           "--json", check=False)
        try:
            return json.loads(text)[0]
        except (ValueError, IndexError):
            return {}

    def wait_copied(self, origin):
        """Until the mirror has what the origin has now; how long that took."""
        start = time.monotonic()
        wait_for("the mirror has all", lambda: self.mirror_of(origin).get("lag_records") == 0, 180,
                 0.1)
        return time.monotonic() - start
