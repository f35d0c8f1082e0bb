# SPDX-License-Identifier: Apache-2.0
"""Shows that the runner sees what it is for, on shell scripts in the place of test programs."""

import os
import select as system
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import process
import runner
import score
import shared_nats
from bin_dir import make_bin_dir
from catalog import SUITES, Suite, select
from exclusions import Exclusions
from process import alive
from report import SuiteRun, as_json
from runner import Runner, Test

SUITE = Suite("a-suite", "example/a", "scripts", test_s=30)


class RunnerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.results = []
        os.makedirs(f"{self.folder}/origin/fixtures")
        process.GRACE_S = 0.2

    def tearDown(self):
        shutil.rmtree(self.folder)

    def run_script(self, body, name="TestA", suite=SUITE):
        """Runs one test whose program is a script; its Result."""
        program = f"{self.folder}/program"
        with open(program, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\n{body}\n")
        os.chmod(program, 0o755)
        self.results.clear()
        shutil.rmtree(f"{self.folder}/results", ignore_errors=True)
        one = Runner({"PATH": os.environ["PATH"], "FOLDER": self.folder}, f"{self.folder}/results",
                     f"{self.folder}/scratch", "shared", lambda test: None, self.results.append)
        one.run([Test(suite, name, program, f"{self.folder}/origin")], 1)
        self.assertEqual(len(self.results), 1)
        return self.results[0]

    def test_a_passed_test(self):
        result = self.run_script('echo "--- PASS: TestA (0.0s)"; echo "    --- PASS: TestA/b (0s)"')
        self.assertEqual((result.status, result.subtests, result.retried), ("passed", 1, False))
        self.assertFalse(result.served)
        self.assertTrue(self.run_script('>$CONFORMANCE_LOGS/server-1.log').served)

    def test_a_failed_test_is_run_twice(self):
        result = self.run_script('echo x >>$FOLDER/count; echo "    a_test.go:7: expected so"\n'
                                 'echo "    a_test.go:8: the end"; exit 1')
        self.assertEqual((result.status, result.retried), ("failed", True))
        self.assertEqual(result.reason, "a_test.go:7: expected so")
        with open(f"{self.folder}/count", encoding="ascii") as file:
            self.assertEqual(len(file.readlines()), 2)
        self.assertTrue(os.path.exists(result.log) and os.path.exists(result.first_log))

    def test_a_retried_test_is_told(self):
        result = self.run_script('echo "--- PASS: TestA (0.0s)"\n'
                                 '[ -e $FOLDER/once ] || { >$FOLDER/once; exit 1; }')
        self.assertEqual((result.status, result.retried), ("passed", True))
        run = SuiteRun(SUITE, 1, {}, [result])
        self.assertEqual(as_json([run], {}, {}, {})["totals"]["retried"], 1)

    def test_a_skipped_test_has_its_reason(self):
        result = self.run_script('echo "    a_test.go:3: no such thing"\n'
                                 'echo "--- SKIP: TestA (0.0s)"')
        self.assertEqual((result.status, result.reason), ("skipped", "no such thing"))

    def test_figures_are_kept(self):
        result = self.run_script('echo "    a_test.go:3: figure: 5 of 6"; echo "figure: no"\n'
                                 'echo "--- PASS: TestA (0.0s)"')
        self.assertEqual(result.figures, ["5 of 6"])

    def test_a_program_without_the_test_fails(self):
        self.assertEqual(self.run_script('echo "--- PASS: TestAB (0.0s)"').status, "failed")
        self.assertEqual(self.run_script("echo PASS", "TestB").status, "failed")

    def test_a_test_that_hangs_is_killed(self):
        runner.KILL_AFTER_S = 0.3
        result = self.run_script("exec sleep 1000", suite=Suite("a", "b", "c", test_s=0))
        self.assertEqual((result.status, result.reason),
                         ("failed", "took too long and was killed"))

    def test_a_process_left_behind_is_a_failure_and_is_killed(self):
        # In a session of its own, as a server under a pseudo terminal is.
        result = self.run_script('setsid sleep 1000 & echo $! >$FOLDER/pid\n'
                                 'echo "--- PASS: TestA (0.0s)"')
        self.assertEqual(result.status, "failed")
        self.assertIn("sleep", result.reason)
        with open(f"{self.folder}/pid", encoding="ascii") as file:
            self.assertFalse(alive(int(file.read())))

    def test_a_process_in_the_middle_of_an_exec_is_seen(self):
        program = f"{self.folder}/again"
        with open(program, "w", encoding="ascii") as file:
            file.write('#!/bin/sh\nexec "$0"\n')
        os.chmod(program, 0o755)
        marked = process.Marked([program], subprocess.DEVNULL, self.folder, dict(os.environ),
                                "shared")
        try:
            for _ in range(300):
                self.assertTrue(marked.members())
        finally:
            marked.end()

    def test_a_test_may_write_into_its_folder(self):
        package = "example/a/in/side"
        os.makedirs(f"{self.folder}/origin/in/side/testdata")
        suite = Suite("a", package, "c", test_s=30)
        with unittest.mock.patch.object(Suite, "root", "example/a"):
            result = self.run_script("[ -d ../../fixtures -a -d testdata ] && >new || exit 1\n"
                                     'echo "--- PASS: TestA (0.0s)"', suite=suite)
        self.assertEqual((result.status, result.retried), ("passed", False))
        self.assertEqual(os.listdir(f"{self.folder}/origin/in/side"), ["testdata"])

    def test_the_temporary_folder_goes(self):
        result = self.run_script('mkdir $TMPDIR/x && echo "--- PASS: TestA (0.0s)"')
        self.assertEqual(result.status, "passed")
        self.assertEqual(os.listdir(f"{self.folder}/scratch"), [])


# Says where it listens, as nats-server does, and stays.
NATS_SERVER = """#!/bin/sh
echo $$ >"$TMPDIR/pid"
while [ "$1" != --ports_file_dir ]; do shift; done
printf '{"nats": [' >"$2/x.ports"
echo '"nats://127.0.0.1:7"]}' >>"$2/x.ports"
exec sleep 1000
"""


class BinDirTest(unittest.TestCase):
    """The program that e2e tests start as etcd; here it prints its flags."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.write("program", '#!/bin/sh\necho "$@"\n')
        self.write("etcd", '#!/bin/sh\necho "etcd $@"\n')
        self.write("nats-server", NATS_SERVER)
        self.environment = {
            "PATH": os.environ["PATH"], "TMPDIR": self.folder, "CONFORMANCE_LOGS": self.folder,
            "CONFORMANCE_SERVER": f"{self.folder}/program",
            "JETD_NATS_SERVER": f"{self.folder}/nats-server"}
        self.test = subprocess.Popen(["sleep", "1000"])

    def tearDown(self):
        self.test.kill()
        self.test.wait()
        shutil.rmtree(self.folder)

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(f"{self.folder}/{name}", 0o755)

    def start(self, kind, *flags):
        """What the program was started with."""
        folder = f"{self.folder}/bin-{kind}"
        if not os.path.exists(folder):
            make_bin_dir(folder, f"{self.folder}/etcdctl", kind, "--cert-file=c")
        script = f'{folder}/etcd "$@"; echo'  # more than one command: the shell is its parent
        done = subprocess.run(
            ["sh", "-c", script, "sh", *flags], capture_output=True, check=True, timeout=60,
            env=self.environment)
        return done.stdout.decode().strip()

    def test_flags(self):
        self.assertEqual(self.start("jetd", "--name", "a b", "--auto-tls"),
                         "--name a b --cert-file=c")
        self.assertEqual(self.start("jetd", "gateway", "--endpoints=a"),
                         "etcd gateway --endpoints=a")
        self.assertEqual(self.start("jetd", "--initial-cluster", "a=http://a:1"),
                         "--initial-cluster a=http://a:1")

    def test_members_share_a_nats_server(self):
        flags = ("--name", "a", "--data-dir=/a", "--initial-cluster", "a=http://a:1,b=http://b:1")
        self.assertEqual(self.start("jetd", *flags), " ".join(flags)
                         + " --nats-url=nats://127.0.0.1:7 --bucket=cluster-1")
        self.assertEqual(self.start("etcd", *flags), " ".join(flags))

    def test_the_nats_server_ends_with_the_test(self):
        subprocess.run([sys.executable, "-B", shared_nats.__file__, str(self.test.pid), "--name=a"],
                       capture_output=True, check=True, timeout=60, env=self.environment)
        with open(f"{self.folder}/pid", encoding="ascii") as file:
            server = os.pidfd_open(int(file.read()))
        self.test.kill()
        self.assertTrue(system.select([server], [], [], 60)[0])
        os.close(server)

    def test_which_cluster_a_member_is_in(self):
        clusters = []
        joined = [shared_nats.bucket_of(clusters, *member) for member in (
            ("x", "a", "/1"), ("x", "b", "/2"), ("y", "a", "/3"),
            ("x", "a", "/1"),  # again, on its data
            ("x", "a", "/4"), ("x", "b", "/5"),  # another cluster, on the same ports
            ("x", "b", "/2"))]
        self.assertEqual(joined, [f"cluster-{number}" for number in (1, 1, 2, 1, 3, 3, 1)])


class ExclusionsTest(unittest.TestCase):
    def read(self, text):
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            return Exclusions(file.name)

    def test_reasons(self):
        found = self.read("[any] no peers # a remark\na TestB* TestD\n[jetd] not yet\na TestC\n")
        tests = ["TestA", "TestB1", "TestB2", "TestC", "TestD"]
        peers = {"TestB1": "no peers", "TestB2": "no peers", "TestD": "no peers"}
        self.assertEqual(found.reasons("a", tests, "etcd"), peers)
        self.assertEqual(found.reasons("a", tests, "jetd"), {**peers, "TestC": "not yet"})
        self.assertEqual(found.reasons("b", tests, "jetd"), {})

    def test_a_name_that_fits_nothing_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "a has no test TestX"):
            self.read("[jetd] why\na TestX\n").reasons("a", ["TestA"], "etcd")

    def test_a_line_without_reason_is_an_error(self):
        for text in ("a TestA\n", "[jetd]\na TestA\n", "[nats] why\na TestA\n", "[any] why\na\n"):
            with self.assertRaises(ValueError):
                self.read(text)


class SelectTest(unittest.TestCase):
    def test_words(self):
        self.assertEqual([s.suite for s in select(["full"])], SUITES)
        quick = [s.suite.name for s in select(["quick"])]
        self.assertIn("k8s-etcd3", quick)
        self.assertNotIn("etcd-e2e", quick)
        self.assertEqual(select(["etcd-lease/^TestLeaseGrant$"])[0].tests, "^TestLeaseGrant$")
        for words in (["nonsense"], ["k8s-etcd3", "k8s-etcd3"]):
            with self.assertRaises(ValueError):
                select(words)


class ScoreTest(unittest.TestCase):
    def test_results_of_several_versions(self):
        def result(server, **versions):
            return {"server": {"version": server}, "versions": versions}
        self.assertTrue(score.same_versions([result("1", a="1"), result("1", a="1", b="2")]))
        self.assertFalse(score.same_versions([result("1", a="1"), result("2", a="1")]))
        self.assertFalse(score.same_versions([result("1", a="1", b="2"),
                                              result("1", a="1", b="3")]))

    def test_dates(self):
        old, new = {"time": "2025-12-31T23:00:00Z"}, {"time": "2026-01-02T03:04:05Z"}
        self.assertEqual(score.dates({"a": new, "b": new}), "2026-01-02")
        self.assertEqual(score.dates({"a": old, "b": new}), "2026-01-02 (a: 2025-12-31)")

    def test_the_side_of_etcd_can_be_kept(self):
        test = {"status": "passed", "seconds": 2, "subtests": 1, "retried": False, "served": True,
                "reason": ""}
        result = {"time": "2026-01-02T03:04:05Z", "server": {"version": "0.1"},
                  "versions": dict.fromkeys(score.SHOWN_PACKAGES, "5"),
                  "suite": {"tests": [{**test, "name": "TestA"},
                                      {**test, "name": "TestB", "status": "skipped"}],
                            "excluded": {"TestC": "why", "TestD": "not yet"}}}
        jetd = {suite.name: result for suite in SUITES}
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
            file.write("[any] why\n" + "".join(f"{name} TestC\n" for name in jetd)
                       + "[jetd] not yet\n" + "".join(f"{name} TestD\n" for name in jetd))
            file.flush()
            etcd = score.EtcdSide(
                version="3.5", date="2025-01-01", rows={name: [1, 1, 1, 1] for name in jetd},
                excluded={name: {"TestC": "why"} for name in jetd},
                own={"TestA": "passed, 3 s", "TestB": "failed, 4 s"},
                others={"Failed on etcd": ["  - etcd-e2e: TestB (why so)"],
                        "Passed on etcd at the second try": []},
                times=["- `full` on etcd: 1.0 min of tests"])
            lines = score.score(etcd, jetd, ["- `full` on jetd: 2.0 min of tests"])
            text = "\n".join(lines) + "\n"
            self.assertEqual(score.kept(text, jetd, file.name), etcd)
            self.assertEqual(score.score(score.kept(text, jetd, file.name), jetd,
                                         ["- `full` on jetd: 2.0 min of tests"]), lines)
            with self.assertRaisesRegex(ValueError, "other packages"):
                score.kept(text.replace("Go 5", "Go 4"), jetd, file.name)
            with self.assertRaisesRegex(ValueError, "k8s-etcd3 has changed"):
                score.kept(text.replace("| k8s-etcd3 | 1 |", "| k8s-etcd3 | 2 |"), jetd, file.name)


if __name__ == "__main__":
    unittest.main()
