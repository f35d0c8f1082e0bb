# SPDX-License-Identifier: Apache-2.0
"""Tests of what the sections of growth compute and show: python3 growth_test.py"""

import pathlib
import tempfile
import unittest
import xml.etree.ElementTree

import growth
import growth_plots
import growth_tables
import main
import tables
import tenants

MIB = 1 << 20


def memory(mib):
    processes = {"jetd": {"pss": mib * MIB}, "nats-server": {"pss": 2 * mib * MIB}}
    return {"pss": 3 * mib * MIB, "processes": processes}


def row(kind, cpu, p99=1000, **more):
    shares = {"etcd": {"etcd": 1}, "jetd": {"jetd": 0.75, "nats-server": 0.25}}[kind]
    times = {"p50": p99 / 2, "p90": p99 / 1.5, "p99": p99, "p99.9": 2 * p99, "max": 3 * p99}
    return {"server_cpu_us_per_unit": cpu, "latency_us": times, "lag_us": times,
            "servers": [{"name": name, "cpu_us_per_unit": cpu * share}
                        for name, share in shares.items()], **more}


def start(kind, mib, ms):
    return {"after_load": memory(mib), "after_restart": memory(2 * mib), "start_ms": ms,
            "nats_ms": ms / 10 if kind == "jetd" else None}


def example():
    """Results of every section of growth, round numbers."""
    both = ("etcd", "jetd")
    return {
        "growth": {
            "latency": {k: [row(k, 50, rate=500, ops_per_second=500),
                            row(k, 40, rate=1000, ops_per_second=800)] for k in both},
            "watches": {k: [row(k, 4, watchers=n) for n in (1, 10_000)] for k in both},
            "keys": {"etcd": [dict(start("etcd", 10, 1000), keys=1_000_000,
                                   checkpoint_start_ms=1000)],
                     "jetd": [dict(start("jetd", 5, 400), keys=1_000_000,
                                   checkpoint_start_ms=150)]}},
        "values": {k: [{"value_bytes": size, "update": row(k, 50), "get": row(k, 20),
                        "list": row(k, 1), "memory": memory(7)} for size in (100, MIB)]
                   for k in both},
        "history": {"keys": 500, **{k: [dict(start(k, 9, 300), depth=depth, disk_bytes=8 * MIB,
                                             update=row(k, 50), get=row(k, 20))
                                        for depth in (1, 1000)] for k in both}},
        "tenants": {"seconds": 60, "keys": 600, "counts": [tenants_at(1), tenants_at(11)]},
        "compaction": {"rate": 1000, "seconds": 5, "cold": 1000, "hot": 10, "updates": 6000,
                       "pairs": 7,
                       **{k: [{"without": row(k, 50, 1000), "with": row(k, 80, 1500 + i),
                               "removal_seconds": 2.0, "removal_cpu_us": 130_000}
                              for i in range(7)] for k in both}}}


def tenants_at(count):
    """20 MiB and 5 more for each tenant of nats-server, 12 of each jetd."""
    processes = {"jetd": {"pss": 12 * count * MIB}, "nats-server": {"pss": (20 + 5 * count) * MIB}}
    return {"tenants": count,
            "memory": {"pss": sum(p["pss"] for p in processes.values()), "processes": processes},
            "idle": {"jetd": {"cpu_percent": 0.03 * count, "switches_per_second": 3 * count},
                     "nats-server": {"cpu_percent": 0.5 + 0.01 * count,
                                     "switches_per_second": 40 + 2 * count}}}


class TenantsTest(unittest.TestCase):
    def test_every_tenant_has_an_account_and_a_user_of_its_own(self):
        text = tenants.config(4222, "/data", 3)
        self.assertIn('listen: "127.0.0.1:4222"', text)
        self.assertIn('store_dir: "/data"', text)
        for number in (1, 2, 3):
            self.assertIn(f"tenant-{number} {{ jetstream: enabled, users: [ {{ user: "
                          f'"user-{number}", password: "password-{number}" }} ] }}', text)
        self.assertNotIn("tenant-4", text)
        self.assertEqual(text.count("{"), text.count("}"))

    def test_what_a_tenant_adds_leaves_out_what_is_there_without_any(self):
        more = tenants.per_tenant([tenants_at(1), tenants_at(4), tenants_at(11)])
        self.assertAlmostEqual(more["jetd"]["pss"] / MIB, 12)
        self.assertAlmostEqual(more["nats-server"]["pss"] / MIB, 5)
        self.assertAlmostEqual(more["nats-server"]["cpu_percent"], 0.01)
        self.assertAlmostEqual(more["jetd"]["switches_per_second"], 3)

    def test_one_number_of_tenants_has_no_slope(self):
        self.assertIsNone(tenants.per_tenant([tenants_at(1)]))


class ValuesTest(unittest.TestCase):
    def test_work_is_bounded_in_bytes_and_never_too_little_to_measure(self):
        for quick in (False, True):
            for size in (100, 1024, 102_400, MIB):
                keys, ops = growth.value_plan(size, quick)
                self.assertGreaterEqual(keys, 16)
                self.assertGreaterEqual(ops, 64)
                self.assertLessEqual(keys * size, 32 * MIB)
                self.assertLessEqual(ops * size, 256 * MIB)


class TableTest(unittest.TestCase):
    def test_every_row_has_as_many_cells_as_its_head(self):
        lines = growth_tables.parts(example())
        widths = set()
        for before, line in zip([""] + lines, lines):
            if not line.startswith("|"):
                continue
            if not before.startswith("|"):
                width = line.count("|")
                widths.add(width)
            self.assertEqual(line.count("|"), width, line)
        self.assertGreaterEqual(len(widths), 4)

    def test_a_rate_that_was_not_reached_says_so(self):
        text = "\n".join(growth_tables.growth(example()["growth"]))
        self.assertIn("| 1,000 | 40.00 (not reached) |", text)
        self.assertIn("| 500 | 50.00 | 0.50 | 1.00 | 50.00 (37.50 + 12.50) |", text)

    def test_a_start_shows_nats_servers_part(self):
        text = "\n".join(growth_tables.growth(example()["growth"]))
        self.assertIn("| 1,000,000 | 30 | 60 | 1,000 | 15 | 30 | 400 | 40 | 0.40 | 150 | 0.15 |",
                      text)

    def test_tenants_are_shown_with_what_each_adds(self):
        text = "\n".join(growth_tables.of_tenants(example()["tenants"]))
        self.assertIn("| 11 | 132.0 | 75.0 | 18.8 | 0.030 | 0.610 | 3.0 | 62.0 |", text)
        self.assertIn("12.0 MiB of jetd and 5.00 MiB of nats-server, 0.040 % of a core, "
                      "5.0 context switches", text)

    def test_a_removal_costs_what_the_updates_beside_it_do_not(self):
        # 130 ms of CPU, of which 2 s of 1,000 updates at 50 µs are 100; 1,000 revisions.
        line = growth_tables.compaction(example()["compaction"])[-1]
        self.assertTrue(line.endswith("| 2.0 | 30.0 |"), line)
        self.assertIn("| 1.00 | 1.50 | 1.50 (1.50 to 1.51) |", line)

    def test_updates_are_taken_off_while_they_run_and_no_longer(self):
        result = example()["compaction"]
        for pair in result["jetd"]:
            pair.update(removal_seconds=60, removal_cpu_us=300_000)
        # 5.5 s of 1,000 updates at 50 µs, the warm-up included.
        for cost in growth_tables.removal_costs(result, "jetd"):
            self.assertAlmostEqual(cost, 25)

    def test_an_update_is_judged_with_the_removal_that_it_brings(self):
        results = {"compaction": example()["compaction"],
                   "load": {"update 16": {"etcd": [row("etcd", 70)], "jetd": [row("jetd", 25)]}}}
        judged = {g["what"]: g for g in tables.with_removal(results)}
        (goal,) = judged.values()
        self.assertAlmostEqual(goal["estimate"]["median"], (25 + 30) / (70 + 30))
        self.assertEqual(goal["verdict"], "not met")

    def test_a_removal_that_makes_writes_wait_does_not_meet_its_goal(self):
        judged = tables.judged({"compaction": example()["compaction"]})
        self.assertEqual([goal["verdict"] for goal in judged], ["not met"] * 2)


class PlotTest(unittest.TestCase):
    def test_every_section_draws_what_can_be_read_as_xml(self):
        with tempfile.TemporaryDirectory() as folder:
            growth_plots.write_all(example(), pathlib.Path(folder))
            files = sorted(pathlib.Path(folder).iterdir())
            self.assertEqual(len(files), 10)
            for file in files:
                root = xml.etree.ElementTree.fromstring(file.read_text())
                self.assertGreaterEqual(
                    len(root.findall("{http://www.w3.org/2000/svg}circle")), 2, file)

    def test_nothing_is_drawn_of_what_was_not_run(self):
        with tempfile.TemporaryDirectory() as folder:
            growth_plots.write_all({}, pathlib.Path(folder))
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


class EarlierTest(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "results.json")
            if text is not None:
                file.write_text(text)
            return main.earlier(file)

    def test_sections_that_are_not_run_again_stay_with_their_run(self):
        kept = self.read('{"runs": {"idle": {"text": "monday"}}, "idle": {"etcd": 1}}')
        self.assertEqual(kept["idle"], {"etcd": 1})
        self.assertEqual(kept["runs"]["idle"]["text"], "monday")

    def test_results_of_one_run_are_all_of_it(self):
        kept = self.read('{"machine": {"text": "monday"}, "idle": 1, "load": 2, "bare_sync_us": 3}')
        self.assertEqual(kept["runs"], {"idle": {"text": "monday"}, "load": {"text": "monday"}})

    def test_without_earlier_results_there_are_none(self):
        self.assertEqual(self.read(None), {"runs": {}})

    def test_sections_of_different_runs_are_told_apart(self):
        runs = {"idle": {"text": "monday."}, "load": {"text": "monday."},
                "tenants": {"text": "tuesday.", "load": [1.0, 2.5]}}
        self.assertEqual(tables.provenance({"runs": runs}), [
            "- idle, load: monday.",
            "- tenants: tuesday. Load average 1.0 to 2.5, the run itself included."])
        del runs["tenants"]
        self.assertEqual(tables.provenance({"runs": runs}), ["monday."])


if __name__ == "__main__":
    unittest.main()
