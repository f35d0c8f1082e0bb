# SPDX-License-Identifier: Apache-2.0
"""Mutants: builds of this tree with one place of its source replaced, to see whether a suite finds
them. A script beside the suite has the table, says what to build and how to try one, and calls
`main`. All work is done on a copy of the tree below build/, or in `src` and `build` of the folder
that JETD_MUTANTS_FOLDER names; this tree is left alone. CMAKE_BUILD_PARALLEL_LEVEL says how many
compilers may run at a time.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import typing

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Mutant(typing.NamedTuple):
    name: str
    what: str
    file: str
    before: str | tuple[str, ...]  # a bug that one place alone does not make: each is replaced
    after: str | tuple[str, ...]

    def pairs(self):
        if isinstance(self.before, str):
            return [(self.before, self.after)]
        return list(zip(self.before, self.after, strict=True))


class Found(typing.NamedTuple):
    by: str    # a seed, a number of requests
    said: str  # the suite of it


def fail(text):
    print(f"mutants: {text}", file=sys.stderr)
    sys.exit(2)


def run(what, command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        print("\n".join(done.stdout.splitlines()[-30:]), file=sys.stderr)
        fail(f"{what} failed")
    return done.stdout


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _check(mutants):
    """Every text that is to be replaced is there exactly once."""
    wrong = 0
    for mutant in mutants:
        for before, _ in mutant.pairs():
            found = _read(os.path.join(ROOT, mutant.file)).count(before)
            if found != 1:
                print(f"mutants: {mutant.name}: its text is {found} times in {mutant.file}: "
                      f"{before!r}", file=sys.stderr)
                wrong += 1
    if len({mutant.name for mutant in mutants}) != len(mutants):
        fail("two mutants have the same name")
    if wrong:
        fail(f"{wrong} of {len(mutants)} replacements do not apply: adapt the table")


class Tree:
    """A copy of the tree, and its build."""

    def __init__(self, name):
        elsewhere = os.environ.get("JETD_MUTANTS_FOLDER")
        if elsewhere:
            self.folder = os.path.join(elsewhere, "src")
            self.binary = os.path.join(elsewhere, "build")
        else:
            self.folder = os.path.join(ROOT, "build", name)
            self.binary = os.path.join(self.folder, "build", "dev")

    def make(self):
        os.makedirs(self.folder, exist_ok=True)
        self._copy()
        run("configuring", ["cmake", "--preset", "dev", "-B", self.binary], cwd=self.folder)

    def _copy(self):
        """As the tree is now; files that did not change keep their time, so that what was built of
        them stays."""
        listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT,
                                stdout=subprocess.PIPE, text=True, check=True).stdout
        wanted = {name for name in listed.split("\0") if name and os.path.isfile(f"{ROOT}/{name}")}
        for folder, folders, files in os.walk(self.folder):
            if folder == self.folder and "build" in folders:
                folders.remove("build")  # CMake's
            for name in files:
                path = os.path.join(folder, name)
                if os.path.relpath(path, self.folder) not in wanted:
                    os.remove(path)
        for name in wanted:
            source, copy = os.path.join(ROOT, name), os.path.join(self.folder, name)
            if os.path.exists(copy):
                with open(source, "rb") as one, open(copy, "rb") as other:
                    if one.read() == other.read():
                        continue
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copyfile(source, copy)
            shutil.copymode(source, copy)

    def build(self, target):
        command = ["cmake", "--build", self.binary, "--target", target]
        if "CMAKE_BUILD_PARALLEL_LEVEL" not in os.environ:
            command += ["--parallel", str(os.cpu_count())]
        run(f"building {target}", command, cwd=self.folder)

    def built(self, path):
        return os.path.join(self.binary, path)

    @contextlib.contextmanager
    def changed(self, mutant):
        path = os.path.join(self.folder, mutant.file)
        original = _read(path)
        text = original
        for before, after in mutant.pairs():
            text = text.replace(before, after)
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            yield
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(original)


def _print_table(results):
    width = max(len(mutant.name) for mutant, _ in results)
    print(f"\n{'mutant':{width}}  {'found by':20}  what was said")
    for mutant, found in results:
        by, said = found or ("NOT FOUND", mutant.what)
        print(f"{mutant.name:{width}}  {by:20}  {said}")


def main(usage, mutants, prepare, try_one):
    """`prepare()` builds what all need; `try_one(mutant)` answers Found, or None if it was not. One
    that cannot be built or run does not keep the others from being tried."""
    arguments = sys.argv[1:]
    if "-h" in arguments or "--help" in arguments:
        print(usage.strip())
        return 0
    if arguments == ["--list"]:
        for mutant in mutants:
            print(f"{mutant.name}: {mutant.what}")
        return 0
    _check(mutants)
    if arguments == ["--check"]:
        print(f"{len(mutants)} replacements apply")
        return 0
    unknown = set(arguments) - {mutant.name for mutant in mutants}
    if unknown:
        fail(f"there is no mutant {', '.join(sorted(unknown))}; --list names them")
    # So that files are put back, and servers end, when somebody ends this.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    prepare()
    wanted = [mutant for mutant in mutants if not arguments or mutant.name in arguments]
    results, broken = [], 0
    for mutant in wanted:
        try:
            found = try_one(mutant)
        except SystemExit as end:
            if end.code != 2:
                raise
            found = Found("NOT TRIED", "it could not be built or run; see above")
            broken += 1
        results.append((mutant, found))
        by, said = found or ("NOT FOUND", "")
        print(f"{mutant.name} ({mutant.what}): {by} {said}", flush=True)
    _print_table(results)
    missed = sum(found is None for _, found in results)
    print(f"{len(wanted)} mutants, {missed} not found, {broken} not tried")
    return 2 if broken else 1 if missed else 0
