# SPDX-License-Identifier: Apache-2.0
"""The processes of a run: the server under test and a control plane on it, all on loopback.

Every process dies with this one, however it ends (setpriv --pdeathsig, which holds for the thread
that starts it: call start() from the main thread only).
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import free_port  # noqa: E402
from processes import alive, name_of  # noqa: E402,F401


class Dead(Exception):
    """A process ended that should not have."""


def wait_for(what, condition, patience_s=300, pause_s=0.25):
    """Polls condition until it is true; its last value is returned."""
    until = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not so after {patience_s} s")
        time.sleep(pause_s)


def children_of(pid):
    """The processes below pid, at any depth."""
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                direct = [int(word) for word in file.read().split()]
        except OSError:
            continue
        for child in direct:
            found += [child] + children_of(child)
    return found


def session_members(sessions):
    """All processes of the sessions that this run has opened."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.getsid(int(entry)) in sessions:
                found.append(int(entry))
        except OSError:
            pass
    return found


def usage(pid):
    """Peak memory in MB and CPU seconds of one process so far."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            peak = [line.split()[1] for line in file if line.startswith("VmHWM:")]
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0, 0.0
    ticks = int(fields[11]) + int(fields[12])
    return int(peak[0]) / 1024 if peak else 0.0, ticks / os.sysconf("SC_CLK_TCK")


class Process:
    def __init__(self, name, argv, logs, environment=None):
        self.name = name
        self.argv = ["setpriv", "--pdeathsig", "KILL"] + argv
        self.log = f"{logs}/{name}.log"
        self.environment = {**os.environ, **(environment or {})}
        self.peak_mb = 0.0
        self.cpu_s = 0.0  # of the incarnations that have ended
        self._child = None
        self._sessions = set()  # one an incarnation: finds what it left behind

    @property
    def pid(self):
        return self._child.pid

    def start(self):
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, env=self.environment,
                                           start_new_session=True)
        self._sessions.add(self._child.pid)

    @property
    def code(self):
        """How it ended: an exit code, or minus a signal."""
        return self._child.returncode

    def running(self):
        return self._child is not None and self._child.poll() is None

    def check(self):
        if not self.running():
            code = self._child.returncode if self._child else None
            raise Dead(f"{self.name} ended by itself (code {code}), see {self.log}")

    def measure(self):
        """Peak memory in MB, children included, and CPU seconds over all incarnations."""
        peak, cpu = 0.0, self.cpu_s
        if self.running():
            for pid in [self.pid] + children_of(self.pid):
                pid_peak, pid_cpu = usage(pid)
                peak += pid_peak
                cpu += pid_cpu
        self.peak_mb = max(self.peak_mb, peak)
        return self.peak_mb, cpu

    def end(self, how, patience_s=20):
        """Sends a signal and waits for the end; the children that were left behind."""
        _, self.cpu_s = self.measure()
        below = children_of(self.pid)
        self._child.send_signal(how)
        try:
            self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise Dead(f"{self.name} did not end {patience_s} s after signal {how}") from None
        until = time.monotonic() + 2
        while time.monotonic() < until and any(alive(pid) for pid in below):
            time.sleep(0.05)
        return [pid for pid in below if alive(pid)]

    def sweep(self):
        """The end of the run: nothing of this process stays, whatever state it is in."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            left = [pid for pid in session_members(self._sessions) if alive(pid)]
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        if self._child is not None:
            self._child.wait()


class Server(Process):
    """The server under test: any program that takes etcd's flags."""

    def __init__(self, program, etcdctl, folder, logs, tls):
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{free_port()}"
        self.data = f"{folder}/data"
        certs = f"{folder}/certificates"
        self.client = [etcdctl, "--endpoints", self.url]
        server_tls = []
        if tls:
            self.client += ["--cacert", f"{certs}/ca.crt", "--cert", f"{certs}/admin.crt",
                            "--key", f"{certs}/admin.key"]
            server_tls = ["--trusted-ca-file", f"{certs}/ca.crt", "--client-cert-auth",
                          "--cert-file", f"{certs}/apiserver.crt",
                          "--key-file", f"{certs}/apiserver.key"]
        # etcd wants a peer port, which must not be the default one of somebody else; jetd has
        # none, so this does not go through flags.
        peer = f"http://127.0.0.1:{free_port()}"
        super().__init__("server", [
            program, "--data-dir", self.data, "--listen-client-urls", self.url,
            "--advertise-client-urls", self.url, *server_tls
        ], logs, {
            "ETCD_LISTEN_PEER_URLS": peer,
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer,
            "ETCD_INITIAL_CLUSTER": f"default={peer}"
        })

    def etcdctl(self, *arguments, patience_s=60, check=True):
        done = subprocess.run(
            [*self.client, f"--command-timeout={patience_s}s", *arguments], capture_output=True,
            check=False)
        if check and done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"etcdctl {' '.join(arguments)}: {''.join(last)[:300]}")
        return done.stdout if done.returncode == 0 else b""

    def wait_ready(self, patience_s=60):
        def ready():
            self.check()
            return self.etcdctl("get", "ready", "-w", "json", patience_s=2, check=False)
        wait_for("the server under test answers", ready, patience_s, 0.1)

    def keys(self, prefix="", revision=0):
        """The store's revision and {key: mod revision}; at a past revision if one is given."""
        past = [f"--rev={revision}"] if revision else []
        answer = json.loads(
            self.etcdctl("get", prefix, "--prefix", "--keys-only", "-w", "json", *past))
        keys = {base64.b64decode(kv["key"]).decode(errors="replace"): kv["mod_revision"]
                for kv in answer.get("kvs", [])}
        return answer["header"]["revision"], keys


def certificates(folder):
    """A CA, and with it a certificate for each user of the control plane."""
    os.makedirs(folder)
    config = f"{folder}/openssl.cnf"
    with open(config, "w", encoding="ascii") as file:
        file.write("[req]\ndistinguished_name=dn\n[dn]\n"
                   "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
                   "[leaf]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
                   "subjectAltName=IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,"
                   "DNS:kubernetes.default.svc\n")

    def openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode()}")

    def issue(name, subject, kind, *signer):
        openssl("req", "-x509", "-config", config, "-extensions", kind, "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                subject, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt",
                *signer)

    issue("ca", "/CN=conformance", "ca")
    signer = ["-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key"]
    issue("apiserver", "/CN=kube-apiserver", "leaf", *signer)
    issue("admin", "/O=system:masters/CN=admin", "leaf", *signer)
    for user in ("kube-controller-manager", "kube-scheduler"):
        issue(user, f"/CN=system:{user}", "leaf", *signer)
    openssl("genrsa", "-out", f"{folder}/accounts.key", "2048")
    openssl("rsa", "-in", f"{folder}/accounts.key", "-pubout", "-out", f"{folder}/accounts.pub")


def kubeconfig(path, port, certificate_folder, user):
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": f"https://127.0.0.1:{port}",
            "certificate-authority": f"{certificate_folder}/ca.crt"}}],
        "users": [{"name": "u", "user": {
            "client-certificate": f"{certificate_folder}/{user}.crt",
            "client-key": f"{certificate_folder}/{user}.key"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    with open(path, "w", encoding="ascii") as file:
        json.dump(config, file)
    return path


def control_plane(binaries, folder, logs, store_url, port, options):
    """kube-apiserver, kube-controller-manager and kube-scheduler, not started yet."""
    certs = f"{folder}/certificates"
    apiserver = Process("kube-apiserver", [
        f"{binaries}/kube-apiserver", f"--etcd-servers={store_url}",
        f"--etcd-cafile={certs}/ca.crt", f"--etcd-certfile={certs}/admin.crt",
        f"--etcd-keyfile={certs}/admin.key",
        "--bind-address=127.0.0.1", f"--secure-port={port}", "--advertise-address=192.0.2.1",
        f"--cert-dir={folder}", f"--tls-cert-file={certs}/apiserver.crt",
        f"--tls-private-key-file={certs}/apiserver.key", f"--client-ca-file={certs}/ca.crt",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certs}/accounts.pub",
        f"--service-account-signing-key-file={certs}/accounts.key",
        "--service-cluster-ip-range=10.0.0.0/16", "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction", *options
    ], logs)
    # The store is killed and restarted under them: they are to keep their leadership meanwhile.
    common = ["--bind-address=127.0.0.1", "--port=0", "--leader-elect=true",
              "--leader-elect-lease-duration=90s", "--leader-elect-renew-deadline=60s",
              "--kube-api-qps=200", "--kube-api-burst=400"]
    others = []
    for name in ("kube-controller-manager", "kube-scheduler"):
        config = kubeconfig(f"{folder}/{name}.kubeconfig", port, certs, name)
        more = [f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}", f"--secure-port={free_port()}",
                f"--cert-dir={folder}/{name}"]
        if name == "kube-controller-manager":
            more += ["--use-service-account-credentials=true",
                     f"--service-account-private-key-file={certs}/accounts.key",
                     f"--root-ca-file={certs}/ca.crt"]
        others.append(Process(name, [f"{binaries}/{name}", *common, *more], logs))
    return [apiserver, *others]
