# SPDX-License-Identifier: Apache-2.0
"""Behind conformance/kube/run: arguments, the folder of the run, and what stays of it."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time

from cluster import Cluster
from domains import MirroredCluster
from recovery import Recovery
from scenario import Scenario
from self_test import SelfTest
from steps import Steps


def arguments():
    parser = argparse.ArgumentParser(description="Started by conformance/kube/run.")
    parser.add_argument("--server", required=True)
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--etcdctl", required=True)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--recovery", action="store_true")
    parser.add_argument("--jetctl")
    return parser.parse_args()


def interrupted(number, _frame):
    sys.exit(128 + number)


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
    folder = tempfile.mkdtemp(prefix="jetd-kube-")
    start = time.monotonic()
    server = os.path.abspath(options.server)
    if options.recovery:
        cluster = MirroredCluster(server, options.jetctl, options.etcdctl, options.binaries, folder)
    else:
        cluster = Cluster(server, options.etcdctl, options.binaries, folder, options.tls)
    steps = Steps(f"{cluster.logs}/steps.log")
    keep = True
    try:
        kind = Recovery if options.recovery else SelfTest if options.self_test else Scenario
        kind(cluster).run(steps)
        for line in cluster.usage():
            print(f"     {line}")
        keep = options.keep
    finally:
        cluster.sweep()
        failed = steps.counts["FAIL"]
        if keep or failed:
            print(f"     logs: {cluster.logs}")
        else:
            shutil.rmtree(folder)
    print(f"     {time.monotonic() - start:.0f} s in all")
    print(steps.summary())
    return 1 if failed or not steps.counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
