# SPDX-License-Identifier: Apache-2.0
"""Tests of breakdown.py on what perf says: python3 breakdown_test.py"""

import unittest

import breakdown

SAID = """\
engine  100/101
\tffffffff81 tcp_sendmsg ([kernel.kallsyms])
\tffffffff82 __x64_sys_sendmsg ([kernel.kallsyms])
\t    7f0001 sendmsg (/usr/lib/x86_64-linux-gnu/libc.so.6)

engine  100/101
\t    7f0002 nghttp2_session_mem_recv (/usr/lib/x86_64-linux-gnu/libnghttp2.so.14.24.1)

read ahead  100/103
\t    550001 jetd::revision::Store::Get(std::basic_string_view<char>) const (/opt/jetd)

nats-server  200/205
\tffffffff83 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
\t    460001 runtime.mallocgc (/opt/nats-server)

nats-server  200/201
\t    460002 server.(*fileStore).storeRawMsg (/opt/nats-server)
"""


class SamplesTest(unittest.TestCase):
    def test_events_are_read_with_their_frames(self):
        events = list(breakdown.samples(SAID.splitlines()))
        self.assertEqual([(pid, thread, len(frames)) for pid, thread, frames in events],
                         [(100, "engine", 3), (100, "engine", 1), (100, "read ahead", 1),
                          (200, "nats-server", 2), (200, "nats-server", 1)])
        self.assertEqual(events[2][2][0],
                         ("jetd::revision::Store::Get(std::basic_string_view<char>) const",
                          "/opt/jetd"))

    def test_time_is_the_innermost_frames(self):
        counts = breakdown.divided(breakdown.samples(SAID.splitlines()),
                                 {100: "jetd", 200: "nats-server"})
        self.assertEqual(counts, {("jetd, engine", "kernel: sendmsg"): 1,
                                  ("jetd, engine", "nghttp2"): 1,
                                  ("jetd, read ahead", "own code"): 1,
                                  ("nats-server", "kernel: interrupts, faults"): 1,
                                  ("nats-server", "own code"): 1})

    def test_parts_add_up_to_the_operation(self):
        counts = breakdown.divided(breakdown.samples(SAID.splitlines()),
                                 {100: "jetd", 200: "nats-server"})
        rows = breakdown.table(counts, 10.0, "get")[2:]
        self.assertEqual(rows[0], "| jetd, engine | 4.00 | 40 % | nghttp2 2.00; "
                                  "kernel: sendmsg 2.00 |")
        self.assertAlmostEqual(sum(float(row.split("|")[2]) for row in rows), 10.0)


if __name__ == "__main__":
    unittest.main()
