# SPDX-License-Identifier: Apache-2.0
"""Ports of the loopback for servers that are started a little later."""

import random
import socket

# Below those that the kernel gives to clients, of which a server that starts may find one taken.
PORTS = range(20_000, 32_000)
reservations = []


def reserve(port):
    """As base/testing/free_port.cc does it: by a socket's name, until this process ends."""
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0jetd-test-port-{port}")
    except OSError:
        holder.close()
        return False
    reservations.append(holder)
    return True


def free_port():
    """Nobody has it now, and no other test is given it while this process lives."""
    while True:
        port = random.choice(PORTS)
        if not reserve(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
