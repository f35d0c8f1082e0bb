# SPDX-License-Identifier: Apache-2.0
"""Tests of servers.py with programs that stand for servers: python3 servers_test.py"""

import os
import pathlib
import tempfile
import time
import unittest

import servers
from ports import PORTS  # of a folder that servers adds


class PortTest(unittest.TestCase):
    def test_no_port_is_given_twice(self):
        ports = [servers.free_port() for _ in range(500)]
        self.assertEqual(len(set(ports)), len(ports))
        self.assertTrue(all(port in PORTS for port in ports))


class UsageTest(unittest.TestCase):
    def test_between_two_looks_is_what_was_used(self):
        before = {"jetd": {"cpu_ns": 1_000_000_000, "switches": 100}}
        after = {"jetd": {"cpu_ns": 1_500_000_000, "switches": 130},
                 "started meanwhile": {"cpu_ns": 1, "switches": 1}}
        between = servers.usage_between(before, after, 10)
        self.assertEqual(list(between), ["jetd"])
        self.assertAlmostEqual(between["jetd"]["cpu_percent"], 5)
        self.assertAlmostEqual(between["jetd"]["switches_per_second"], 3)

    def test_processes_of_one_name_are_added(self):
        one, two = (servers.memory_of([os.getpid()] * n) for n in (1, 2))
        self.assertGreater(one["rss"], 1 << 20)
        self.assertAlmostEqual(two["rss"] / one["rss"], 2, delta=0.2)
        self.assertEqual(len(two["processes"]), 1)
        once, twice = (servers.usage_of([os.getpid()] * n) for n in (1, 2))
        (name,) = once
        self.assertGreater(once[name]["cpu_ns"], 0)
        self.assertGreater(twice[name]["cpu_ns"], 1.5 * once[name]["cpu_ns"])


class DeadServerTest(unittest.TestCase):
    """A server that has ended is no reason to wait for its answer."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name, script in (("etcdapi/jetd", "echo no such flag; exit 2"),
                             ("bench/load", "exec sleep 600")):
            file = self.folder / name
            file.parent.mkdir()
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)
        self.tools = servers.Tools(self.folder, "", "", self.folder / "data")

    def test_its_start_fails_with_what_it_said(self):
        begin = time.monotonic()
        with servers.Server(self.tools, "jetd") as server:
            with self.assertRaisesRegex(RuntimeError, "no such flag"):
                server.start_and_await()
        self.assertLess(time.monotonic() - begin, 300)
        self.assertEqual(list(self.tools.data.iterdir()), [])

    def test_its_load_ends(self):
        with servers.Server(self.tools, "jetd") as server:
            server.start()
            with self.assertRaisesRegex(RuntimeError, "no such flag"):
                server.load(["get"])
            self.assertEqual(server.running_loads, [])


if __name__ == "__main__":
    unittest.main()
