"""Planted mistakes, each of which the tests must catch: ``make mutants``.

A copy of the sources in build/mutants gets one mistake at a time, and the tests of its room run there until
one fails. Before, they run without a mistake, so that what they catch is the mistake.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import softsign
from tests.mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "mutants"
LEAST = 0.95  # part that must be caught
OPTIONS = ["-q", "-x", "-n", "2", "-p", "no:cacheprovider"]
TIMEOUT = 900  # seconds: a mistake may let a test hang


@dataclass
class Copy:
    """A copy of the sources, and the interpreter for which it is installed."""

    source: Path
    tree: Path
    python: Path
    native: bool = True  # whether its core is compiled, and not this process's own

    def restore(self, name: str) -> None:
        """Copy a file that differs: what is newer than its binary would be compiled again."""
        source, target = self.source / name, self.tree / name
        if not source.exists():
            target.unlink(missing_ok=True)
        elif not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def build(self) -> bool:
        """Compile and install; return whether that went well."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        options = ["--no-deps", "--no-build-isolation"]
        options += ["-Cwheel.platlib=true", f"-Cwheel.cmake={str(self.native).lower()}"]
        core = self.tree / "src" / "softsign" / Path(softsign._core.__file__).name
        if self.native:
            core.unlink(missing_ok=True)
        else:
            shutil.copyfile(softsign._core.__file__, core)
        done = subprocess.run(
            [*pip, *options, "--editable", "."],
            cwd=self.tree,
            capture_output=True,
            check=False,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        )
        return done.returncode == 0

    def failed(self, tests: str, tell: bool = False) -> bool:
        """Run tests; return whether one failed, or none came to an end, and `tell` which."""
        command = [str(self.python), "-m", "pytest", *OPTIONS, *tests.split()]
        with subprocess.Popen(
            command,
            cwd=self.tree,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Bytecode would be taken for current where a change within a second keeps the length.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        ) as process:
            try:
                output = process.communicate(timeout=TIMEOUT)[0]
            except subprocess.TimeoutExpired:
                return True
            finally:
                with contextlib.suppress(ProcessLookupError):  # what hangs is often a worker of pytest's
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode > 2:  # 2 is what -x gives on several cores; beyond, nothing was tested
            print(output[-3000:], file=sys.stderr)
            raise SystemExit(f"{tests}: pytest ended with exit code {process.returncode}")
        if tell and process.returncode:
            print(output[-3000:], file=sys.stderr)
        return process.returncode > 0

    def catches(self, mutant: Mutant) -> bool:
        """Plant a mistake, run its tests, and take it out again, of the sources if not of the binary."""
        path = self.tree / mutant.file
        path.write_text(mutant.applied(path.read_text()))
        try:
            if mutant.native and not self.build():
                raise SystemExit(f"{mutant.file}: {mutant.new!r} does not compile")
            return self.failed(mutant.tests)
        finally:
            self.restore(mutant.file)


def installed_copy(place: Path, native: bool) -> Copy:
    """Bring the copy in a folder up to date, or make it, with an environment of its own."""
    copy = Copy(ROOT, place / "tree", place / "environment" / "bin" / "python", native)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        copy.restore(name)
    if not copy.python.exists():
        venv.create(place / "environment", symlinks=True)
        packages = next((place / "environment" / "lib").glob("python*/site-packages"))
        (packages / "base.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if not copy.build():
        raise SystemExit(f"{copy.tree} cannot be installed")
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, metavar="N", help="N of them, drawn at random")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the drawing (default 0)")
    parser.add_argument("--files", default="", metavar="TEXT", help="those in files whose name contains it")
    given = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if given.files in mutant.file]
    if given.sample is not None:
        chosen = random.Random(given.seed).sample(chosen, min(given.sample, len(chosen)))
    if not chosen:
        parser.error(f"--files: no mistake is in a file whose name contains {given.files!r}")
    copy, survivors = installed_copy(PLACE, any(mutant.native for mutant in chosen)), list[Mutant]()
    for tests in dict.fromkeys(mutant.tests for mutant in chosen):
        if copy.failed(tests, tell=True):
            raise SystemExit(f"{tests} fail without a mistake")
    # Those that are compiled in come last: the next build takes them out.
    for mutant in sorted(chosen, key=lambda mutant: mutant.native):
        began = time.monotonic()
        caught = copy.catches(mutant)
        if not caught:
            survivors.append(mutant)
        verdict, took = "caught" if caught else "SURVIVED", time.monotonic() - began
        print(f"{verdict}: {mutant.file}: {mutant.old!r} -> {mutant.new!r}, {took:.0f} s", flush=True)
    part = 1 - len(survivors) / len(chosen)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught, {part:.0%}; {LEAST:.0%} are asked for")
    sys.exit(part < LEAST)


if __name__ == "__main__":
    main()
