# SPDX-License-Identifier: Apache-2.0
"""Ports of the loopback for servers that are started a little later."""

import random
import socket

# Below those that the kernel gives to clients, of which a server that starts may find one taken.
PORTS = range(20_000, 32_000)
ports_given = set()


def free_port():
    """Nobody has it now, and this process is not given it again."""
    while True:
        port = random.choice(PORTS)
        if port in ports_given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports_given.add(port)
        return port
