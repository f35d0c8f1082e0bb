# SPDX-License-Identifier: Apache-2.0
"""What makes several jetd members of one cluster: a nats-server and a bucket that they share.

    shared_nats.py TEST FLAG...

TEST is the process of the test, which starts a cluster as etcd's members find each other: each gets
the same --initial-cluster. Prints what a member's flags need beside those that it has. The
nats-server starts with a test's first member of several and ends with the test.
"""

import fcntl
import glob
import json
import os
import select
import subprocess
import sys
import time

PATIENCE_S = 30  # until a nats-server serves


def value_of(flags, name):
    """Of `--name VALUE` or `--name=VALUE`; "" where it is not given."""
    for flag, following in zip(flags, [*flags[1:], ""]):
        if flag == name:
            return following
        if flag.startswith(f"{name}="):
            return flag.partition("=")[2]
    return ""


def bucket_of(clusters, initial, name, folder):
    """The bucket of a member, which the list of clusters then has, if it is not there yet.

    A member that comes again on its data is in the cluster that it was in. Any other is in the
    newest with that --initial-cluster, unless a member of its name is: then that one was of an
    earlier cluster, and this is the first of the next.
    """
    alike = [cluster for cluster in clusters if cluster["initial"] == initial]
    for cluster in alike:
        if cluster["members"].get(name) == folder:
            return cluster["bucket"]
    if not alike or name in alike[-1]["members"]:
        alike.append({"initial": initial, "bucket": f"cluster-{len(clusters) + 1}", "members": {}})
        clusters.append(alike[-1])
    alike[-1]["members"][name] = folder
    return alike[-1]["bucket"]


def write(path, text):
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def url_in(folder):
    """What the nats-server has written of its address; None until that is whole."""
    try:
        with open(glob.glob(f"{folder}/*.ports")[0], encoding="utf-8") as file:
            return json.load(file)["nats"][0]
    except (IndexError, ValueError):
        return None


def serve(folder, test):
    """Runs a nats-server until the process `test` ends; its address is then in folder/url."""
    watched = os.pidfd_open(test)
    # It takes a free port itself: one that is chosen here may be a member's that starts later.
    server = subprocess.Popen(
        [os.environ["JETD_NATS_SERVER"], "-js", "-a", "127.0.0.1", "-p", "-1",
         "-sd", os.path.join(os.environ["TMPDIR"], "shared-nats"), "-l", f"{folder}/server.log",
         "--ports_file_dir", folder],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while (url := url_in(folder)) is None and server.poll() is None:
            if select.select([watched], [], [], 0.01)[0]:
                return
        write(f"{folder}/url", url)
        select.select([watched], [], [])
    finally:
        server.kill()
        server.wait()


def url_of(folder, test):
    """The address of the test's nats-server, started if it is not there. Under the lock."""
    if not os.path.exists(f"{folder}/url"):
        with open(f"{folder}/keeper.log", "ab") as log:
            subprocess.Popen(
                [sys.executable, "-B", __file__, "--serve", folder, str(test)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + PATIENCE_S
    while not os.path.exists(f"{folder}/url"):
        if time.monotonic() > until:
            raise TimeoutError(f"no nats-server after {PATIENCE_S} s; see {folder}")
        time.sleep(0.01)
    with open(f"{folder}/url", encoding="utf-8") as file:
        return file.read()


def flags_for(test, flags):
    folder = os.path.join(os.environ["CONFORMANCE_LOGS"], "shared-nats")
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        url = url_of(folder, test)
        clusters = []
        if os.path.exists(f"{folder}/clusters"):
            with open(f"{folder}/clusters", encoding="utf-8") as file:
                clusters = json.load(file)
        bucket = bucket_of(clusters, value_of(flags, "--initial-cluster"),
                           value_of(flags, "--name"), value_of(flags, "--data-dir"))
        write(f"{folder}/clusters", json.dumps(clusters, indent=1))
    return f"--nats-url={url} --bucket={bucket}"


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        print(flags_for(int(sys.argv[1]), sys.argv[2:]))
