# SPDX-License-Identifier: Apache-2.0
"""What a run says of itself: progress, and what it ran on."""

import os
import platform
import subprocess
import sys
import time


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def machine(options, details=""):
    """`options`: root, etcd, nats_server, note."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), "unknown CPU")

    def said_by(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    commit = said_by("git", "-C", options.root, "rev-parse", "--short=10", "HEAD")
    etcd = said_by(options.etcd, "--version").split("\n")[0]
    nats = said_by(options.nats_server, "--version")
    # The number alone: what follows it is whose build it is.
    kernel = platform.release().split("-")[0]
    text = (f"{os.cpu_count()} x {cpu}, Linux {kernel}; {etcd}; {nats}; jetd at {commit}. "
            f"{details}Generator on the same cores. "
            f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}.")
    return f"{text} {options.note}" if options.note else text
