# SPDX-License-Identifier: Apache-2.0
"""What a run says of itself: progress, and what it ran on."""

import argparse
import os
import platform
import subprocess
import sys
import time


class Parser(argparse.ArgumentParser):
    """What is wrong with a command line is one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def add_common(parser):
    """What every program of the suite is told by the script that starts it, and by its user."""
    for name in ("--build", "--root", "--etcd", "--nats-server", "--out", "--data"):
        parser.add_argument(name)
    parser.add_argument("--note", default="")
    parser.add_argument("--check-options", action="store_true")  # and nothing else


def above_zero(kind):
    """For a number of rounds or seconds."""
    def read(text):
        value = kind(text)
        if not 0 < value < 1e6:
            raise argparse.ArgumentTypeError(f"{text} is not above 0, and below a million")
        return value
    read.__name__ = "number"
    return read


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
