# SPDX-License-Identifier: Apache-2.0
"""Tests of sweep.py: python3 sweep_test.py"""

import argparse
import pathlib
import subprocess
import tempfile
import unittest

import sweep


def one(cpu, pss=10):
    memory = {"jetd": pss << 20, "nats-server": 2 * pss << 20}
    return {"cpu": dict.fromkeys(sweep.CPU_OF, cpu), "nats_cpu": dict.fromkeys(sweep.CPU_OF, 1.5),
            "p50_us": 10 * cpu, "start_ms": 100, "after_load": memory, "restarted": memory}


class VariantTest(unittest.TestCase):
    def test_names_are_different(self):
        names = [v.name for v in sweep.VARIANTS]
        self.assertEqual(len(names), len(set(names)))

    def test_what_the_others_are_compared_with_is_always_there(self):
        names = [v.name for v in sweep.chosen(sweep.VARIANTS, ["GOGC=50", "allocator"])]
        self.assertEqual(names, [sweep.SHIPPED, "allocator: the system's",
                                 "nats-server: GOGC=50"])
        self.assertEqual(sweep.chosen(sweep.VARIANTS, []), sweep.VARIANTS)

    def test_a_build_is_given_by_name_and_folder(self):
        variant = sweep.given("two queues=/builds/two=2")
        self.assertEqual((variant.name, variant.folder), ("two queues", "/builds/two=2"))
        for wrong in ("two", "two=", "=/builds"):
            with self.assertRaises(argparse.ArgumentTypeError):
                sweep.given(wrong)


class WrapperTest(unittest.TestCase):
    def test_it_sets_what_is_asked_for_and_passes_all_arguments_on(self):
        with tempfile.TemporaryDirectory() as folder:
            inner = pathlib.Path(folder, "nats server")
            inner.write_text('#!/bin/sh\necho "$GOMEMLIMIT $#:$1:$2"\n')
            outer = pathlib.Path(folder, "outer")
            outer.write_text(sweep.wrapper(str(inner), {"GOMEMLIMIT": "32MiB"}))
            for file in (inner, outer):
                file.chmod(0o755)
            said = subprocess.run([str(outer), "-c", "a b"], capture_output=True, text=True,
                                  env={"PATH": "/usr/bin:/bin", "GOMEMLIMIT": "1"}).stdout
            self.assertEqual(said, "32MiB 2:-c:a b\n")


class TableTest(unittest.TestCase):
    def test_ratios_pair_the_variants_of_a_round(self):
        # The second round was disturbed, for both alike.
        lines = sweep.table({sweep.SHIPPED: [one(40), one(80)], "other": [one(30, 7), one(60, 9)]})
        self.assertIn("| as shipped |" + " 40.00 (1.50) |" * 4, lines)
        self.assertIn("| other |" + " 30.00 (1.50) |" * 4, lines)
        self.assertIn("| other |" + " 0.75 (0.75 to 0.75) |" * 5 + " 1.00 (1.00 to 1.00) |", lines)
        self.assertIn("| other | 8.0 | 16.0 | 8.0 | 16.0 |", lines)
        self.assertIn("| as shipped | 10.0 | 20.0 | 10.0 | 20.0 |", lines)


if __name__ == "__main__":
    unittest.main()
