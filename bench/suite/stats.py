# SPDX-License-Identifier: Apache-2.0
"""Medians with intervals that suppose nothing about how the values are distributed."""

import math
import statistics


# Below, no interval of a median reaches 95 %.
FEWEST_FOR_INTERVAL = 6


def interval_ranks(count, confidence=0.95):
    """Which of `count` sorted values (from 0) bound the median with this confidence.

    The median lies between the k-th smallest and the k-th largest value unless fewer than k of the
    values fell on one side of it, which is binomial with one half. Below 6 values no interval
    reaches 95 %: then smallest and largest.
    """
    best = 0
    for k in range(1, count // 2 + 1):
        outside = 2 * sum(math.comb(count, i) for i in range(k)) / 2**count
        if outside <= 1 - confidence:
            best = k
    low = max(best - 1, 0)
    return low, count - 1 - low


class Estimate:
    """A median, and the interval that holds the true one with 95 % (from 6 values on)."""

    def __init__(self, values):
        if not values:
            raise ValueError("nothing was measured")
        ordered = sorted(values)
        low, high = interval_ranks(len(ordered))
        self.count = len(ordered)
        self.median = statistics.median(ordered)
        self.low = ordered[low]
        self.high = ordered[high]

    def as_json(self):
        return {"median": self.median, "low": self.low, "high": self.high, "count": self.count}


def ratios(ours, theirs):
    """Pairs of the same round, in order: what disturbs a round disturbs both sides of a pair."""
    return Estimate([a / b for a, b in zip(ours, theirs) if b])
