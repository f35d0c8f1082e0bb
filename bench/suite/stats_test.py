# SPDX-License-Identifier: Apache-2.0
"""Tests of stats.py and goals.py: python3 stats_test.py"""

import random
import unittest

import goals
import stats


class IntervalTest(unittest.TestCase):
    def test_ranks_are_those_of_the_tables(self):
        # Binomial tables: n=6 and 7 need both ends, n=9 leaves out one on each side, n=20 five.
        self.assertEqual(stats.interval_ranks(6), (0, 5))
        self.assertEqual(stats.interval_ranks(7), (0, 6))
        self.assertEqual(stats.interval_ranks(9), (1, 7))
        self.assertEqual(stats.interval_ranks(20), (5, 14))

    def test_few_values_give_their_ends(self):
        for count in range(1, 6):
            self.assertEqual(stats.interval_ranks(count), (0, count - 1))

    def test_it_holds_the_true_median_as_often_as_it_says(self):
        dice = random.Random(3)
        held = 0
        for _ in range(2000):
            estimate = stats.Estimate([dice.lognormvariate(0, 1) for _ in range(9)])
            held += estimate.low <= 1 <= estimate.high
        self.assertGreaterEqual(held / 2000, 0.94)

    def test_nothing_measured_is_an_error(self):
        with self.assertRaises(ValueError):
            stats.Estimate([])


class RatioTest(unittest.TestCase):
    def test_pairs_by_round(self):
        # The second round was disturbed, on both sides alike.
        ratio = stats.ratios([50, 150, 55], [100, 300, 110])
        self.assertEqual((ratio.low, ratio.median, ratio.high), (0.5, 0.5, 0.5))


class VerdictTest(unittest.TestCase):
    def test_at_most(self):
        self.assertEqual(goals.verdict("<=", 0.5, stats.Estimate([0.4, 0.5])), "met")
        self.assertEqual(goals.verdict("<=", 0.5, stats.Estimate([0.5, 0.6])), "not met")

    def test_at_least(self):
        self.assertEqual(goals.verdict(">=", 1.5, stats.Estimate([1.5])), "met")
        self.assertEqual(goals.verdict(">=", 1.5, stats.Estimate([1.4])), "not met")

    def test_a_tail_is_worse_only_if_its_whole_interval_is(self):
        above = [2.0, 3.0, 3.0, 3.0, 4.0]
        self.assertEqual(goals.verdict("tail", 1.1, stats.Estimate([1.0, *above])), "met")
        self.assertEqual(goals.verdict("tail", 1.1, stats.Estimate([1.2, *above])), "not met")

    def test_a_tail_of_few_rounds_is_open(self):
        for values in ([0.06, 2.29], [0.5] * 5, [2.0] * 5):
            self.assertEqual(goals.verdict("tail", 1.1, stats.Estimate(values)), "open")

    def test_too_few_for_an_interval_are_those_whose_ends_do_not_hold_95_percent(self):
        few = stats.FEWEST_FOR_INTERVAL
        self.assertLessEqual(2 / 2**few, 0.05)
        self.assertGreater(2 / 2**(few - 1), 0.05)


if __name__ == "__main__":
    unittest.main()
