# SPDX-License-Identifier: Apache-2.0
"""What etcd's e2e tests start, under the names that they know."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Starts the program under test. One that is no etcd makes no certificate of its own and gets one
# (the clients of those tests take any); where a cluster has several members, they get a nats-server
# that they share. etcd's gateway and its gRPC proxy are etcd's, whatever is behind them.
ADAPTER = """#!/bin/sh
: >"$CONFORMANCE_LOGS/server-started"
case $1 in gateway | grpc-proxy) exec {etcd} "$@" ;; esac
several=
for argument; do
  shift
  case $argument in
    --auto-tls*) set -- "$@" {tls} ;;
    *=*://*,*=*://*) several=yes && set -- "$@" "$argument" ;;
    *) set -- "$@" "$argument" ;;
  esac
done
[ -z "$several" ] || set -- "$@" $({several} $PPID "$@")
exec "$CONFORMANCE_SERVER" "$@"
"""


def make_bin_dir(folder, etcdctl, kind, tls):
    """Makes the folder; `tls` are the flags in the place of --auto-tls."""
    os.makedirs(folder)
    several = "true" if kind == "etcd" else f"{sys.executable} -B {HERE}/shared_nats.py"
    with open(f"{folder}/etcd", "w", encoding="ascii") as file:
        file.write(ADAPTER.format(etcd=f"{os.path.dirname(etcdctl)}/etcd", tls=tls,
                                  several=several))
    os.chmod(f"{folder}/etcd", 0o755)
    for name in ("etcdctl", "etcdutl"):
        os.symlink(f"{os.path.dirname(etcdctl)}/{name}", f"{folder}/{name}")
    return folder
