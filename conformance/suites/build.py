# SPDX-License-Identifier: Apache-2.0
"""Builds the test programs from the unpacked packages: Go in GOPATH mode, with an overlay.

The overlay replaces files of the packages for the compiler's eyes only: what is unpacked stays as
Debian made it. What is built lies in the cache, under a name made of all that went into it.
"""

import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import time

from catalog import OURS

HERE = os.path.dirname(os.path.abspath(__file__))
OVERLAY = f"{HERE}/overlay"
OUR_SUITES = ("apiextensions",)  # folders beside this one that are Go packages
KEEP_S = 7 * 24 * 3600  # what has not been used for so long goes

# Debian switched some of etcd's tests off by a line of its own.
DEBIAN_SKIP = re.compile(r'^\s*t\.Skip\("Debian-.*\n', re.MULTILINE)
SERVE = "go m.grpcServer.Serve(m.grpcListener)"
SERVE_THROUGH = "go m.grpcServer.Serve(throughTo(m))"


class BuildFailed(Exception):
    pass


class Builder:
    def __init__(self, packages, cache):
        """`packages`: the folder that tools/debian-prefix has made."""
        self._cache = cache
        usr = os.path.join(packages, "root", "usr")
        self._goroot = f"{usr}/lib/go-1.26"
        self._gopath = f"{usr}/share/gocode"
        with open(f"{packages}/versions", encoding="utf-8") as file:
            self.versions = dict(line.split() for line in file)

    def root_of(self, suite):
        """The folder below which a test of the suite looks for files."""
        if suite.root.startswith(OURS):
            return f"{os.path.dirname(HERE)}/{suite.root.removeprefix(OURS)}"
        return f"{self._gopath}/src/{suite.root}"

    def certificate_flags(self):
        """etcd's flags for the certificate that its tests come with."""
        fixtures = f"{self._gopath}/src/go.etcd.io/etcd/tests/fixtures"
        return f"--cert-file={fixtures}/server.crt --key-file={fixtures}/server.key.insecure"

    def build(self, suites):
        """{suite name: program}. Nothing is done for what is there already."""
        os.makedirs(self._cache, exist_ok=True)
        with open(f"{self._cache}/lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            replaced = self._changed_files()
            stamp = self._stamp(replaced)
            bin_dir = f"{self._cache}/bin/{stamp}"
            os.makedirs(bin_dir, exist_ok=True)
            os.utime(bin_dir)
            self._prune(stamp)
            missing = [suite for suite in suites if not os.path.exists(f"{bin_dir}/{suite.binary}")]
            if missing:
                self._compile(missing, bin_dir, self._write_overlay(replaced))
        return {suite.name: f"{bin_dir}/{suite.binary}" for suite in suites}

    def _changed_files(self):
        """{path below GOPATH/src: text}: what the compiler sees instead of the package's file."""
        texts = {}
        for path, ours in (
                ("jetd/conformance/server/server.go", "server.go"),
                ("k8s.io/apiserver/pkg/storage/etcd3/testserver/test_server.go", "kubernetes.go"),
                ("go.etcd.io/etcd/tests/integration/through.go", "integration.go")):
            with open(f"{OVERLAY}/{ours}", encoding="utf-8") as file:
                texts[path] = file.read()
        for folder in OUR_SUITES:
            for path in glob.glob(f"{os.path.dirname(HERE)}/{folder}/*.go"):
                with open(path, encoding="utf-8") as file:
                    texts[f"{OURS}{folder}/{os.path.basename(path)}"] = file.read()
        source = f"{self._gopath}/src"
        for path in glob.glob(f"{source}/go.etcd.io/etcd/tests/**/*.go", recursive=True):
            with open(path, encoding="utf-8") as file:
                before = file.read()
            after = DEBIAN_SKIP.sub("", before).replace(SERVE, SERVE_THROUGH)
            if after != before:
                texts[os.path.relpath(path, source)] = after
        if SERVE_THROUGH not in texts.get("go.etcd.io/etcd/tests/integration/cluster.go", ""):
            raise BuildFailed("etcd's integration tests have changed: cluster.go does not serve as "
                              "expected")
        return texts

    def _stamp(self, replaced):
        parts = [sorted(self.versions.items()), sorted(replaced.items())]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _prune(self, stamp):
        for name in os.listdir(f"{self._cache}/bin"):
            path = f"{self._cache}/bin/{name}"
            if name != stamp and os.path.getmtime(path) < time.time() - KEEP_S:
                shutil.rmtree(path, ignore_errors=True)

    def _write_overlay(self, replaced):
        folder = f"{self._cache}/overlay"
        shutil.rmtree(folder, ignore_errors=True)
        places = {}
        for path, text in replaced.items():
            ours = f"{folder}/{path}"
            os.makedirs(os.path.dirname(ours), exist_ok=True)
            with open(ours, "w", encoding="utf-8") as file:
                file.write(text)
            places[f"{self._gopath}/src/{path}"] = ours
        with open(f"{folder}/overlay.json", "w", encoding="utf-8") as file:
            json.dump({"Replace": places}, file)
        return f"{folder}/overlay.json"

    def _compile(self, suites, bin_dir, overlay):
        # Into a folder of its own first: what lies in bin_dir is whole.
        work = f"{bin_dir}/work"
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        environment = {
            "PATH": f"{self._goroot}/bin:{os.environ['PATH']}", "HOME": work,
            "GOROOT": self._goroot, "GOPATH": self._gopath, "GOCACHE": f"{self._cache}/gocache",
            "GO111MODULE": "off", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOENV": "off",
            "GOTELEMETRY": "off", "GOFLAGS": os.environ.get("GOFLAGS", ""),
        }
        done = subprocess.run(
            ["nice", "-n", "5", "go", "test", "-c", "-vet=off", "-trimpath", "-ldflags=-s -w",
             "-overlay", overlay, "-o", f"{work}/", *[suite.package for suite in suites]],
            cwd=self._gopath, env=environment, capture_output=True, check=False)
        output = (done.stdout + done.stderr).decode(errors="replace")
        for suite in suites:
            if done.returncode != 0 or not os.path.exists(f"{work}/{suite.binary}"):
                raise BuildFailed(f"go test -c failed:\n{output}")
            os.rename(f"{work}/{suite.binary}", f"{bin_dir}/{suite.binary}")
        shutil.rmtree(work)
