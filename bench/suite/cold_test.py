# SPDX-License-Identifier: Apache-2.0
"""Tests of cold.py: python3 cold_test.py"""

import unittest

import cold

MIB = 1 << 20


def one(mib, p50, rate):
    read = {"latency_us": {"p50": p50}, "units_per_second": rate}
    return {"memory": {"processes": {"jetd": {"pss": mib * MIB}}},
            **{name: read for name in cold.READS}}


RESULTS = {"keys": 100_000, "updates": 90_000, "cache_mib": 16,
           "all": [one(250, 100, 3000), one(260, 200, 3000), one(270, 100, 6000)],
           "few": [one(70, 150, 1500), one(75, 300, 1000), one(90, 300, 1500)]}


class ColdTest(unittest.TestCase):
    def test_reads_are_compared_within_a_round(self):
        p50, rate = cold.slower(RESULTS, "unlimited list")
        self.assertEqual((p50.low, p50.median, p50.high), (1.5, 1.5, 3))
        self.assertEqual((rate.low, rate.median, rate.high), (2, 3, 4))

    def test_the_goals_are_judged(self):
        judged = cold.judged(RESULTS)
        self.assertEqual([goal["verdict"] for goal in judged], ["met"] * 4)
        slow = dict(RESULTS, few=[one(85, 150, 1500), one(85, 500, 1000), one(90, 300, 1500)])
        self.assertEqual([goal["verdict"] for goal in cold.judged(slow)], ["not met"] * 4)

    def test_the_table_has_memory_and_every_read(self):
        rows = cold.table(RESULTS)
        self.assertEqual(rows[2], "| jetd alone, PSS MiB | 260 | 75 | – |")
        self.assertEqual(len(rows), 3 + 2 * len(cold.READS))
        self.assertIn("| 0.1 | 0.3 | 1.50 (1.50 to 3.00) |", rows[3])


if __name__ == "__main__":
    unittest.main()
