"""Kill commands at random moments and look at what is left; `python -m tests.kills` is the long form.

Under a final name there is a whole file or none, a study that goes on gets the numbers of one that was left
alone, and no process outlives the command for more than a moment.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from softsign.onnx import to_model
from softsign.operator import Net
from tests.helpers import in_session, started, wait_until
from tests.test_cli import COMMAND, ENVIRONMENT

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LINES = {
    signal.SIGKILL: (-9, ""),
    signal.SIGTERM: (143, "softsign: terminated\n"),
    signal.SIGINT: (130, "softsign: interrupted\n"),
}
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "apply": ("apply", "x.npy", "-o", "y.npy"),
    "gradients": ("onnx", "gradients", "net.onnx", "--loss", "loss", "--wrt", "parameters", "-o", "g.onnx"),
    "demo": ("demo",),
    "study": (
        *("study", "--data", "digits", "--depths", "2", "--width", "20", "--learning-rates", "0.1"),
        *("--seeds", "0", "--updates", "400", "--activations", "softsign", "--workers", "1"),
        *("--initializations", "standard", "-o", "study"),
    ),
}


class Found(NamedTuple):
    """What came of a command that was killed."""

    moment: float
    code: int
    faults: list[str]
    left: list[str]


def prepare(folder: Path) -> None:
    """Write what the commands read."""
    np.save(folder / "x.npy", np.arange(10_000_000, dtype=np.float32) - 5e6)
    net = Net("net", constants={f"w{i}": np.ones((64, 64), np.float32) for i in range(8)})
    for i in range(8):
        net.add("MatMul", [f"x{i}", f"w{i}"], f"z{i}")
        net.add("Softsign", f"z{i}", f"x{i + 1}")
    net.add("ReduceSum", "x8", "loss", keepdims=0)
    onnx.save(to_model(net, {"x0": ("float32", ("n", 64))}), folder / "net.onnx")


def contents(folder: Path) -> dict[str, bytes]:
    """Return what the files of a folder hold, a study's without what differs from run to run."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith(".softsign-"):
            name = str(file.relative_to(folder))
            found[name] = file.read_bytes()
            if file.name == "study.json":
                study = json.loads(found[name])  # raises if it is not whole
                for result in study["results"].values():
                    del result["seconds"]
                found[name] = json.dumps([study["trials"], study["results"]], sort_keys=True).encode()
    return found


def kill(folder: Path, command: str, number: signal.Signals, moment: float) -> Found:
    """Start a command, kill it after some seconds, and return what is wrong then."""
    faults = []
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with started(COMMAND, *COMMANDS[command], cwd=folder, env=ENVIRONMENT, **pipes) as process:
        time.sleep(moment)
        if number == signal.SIGINT:  # Ctrl-C reaches all processes of a terminal
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        try:
            wait_until(lambda: not in_session(process.pid), seconds=60)
        except AssertionError:
            faults.append(f"processes left: {in_session(process.pid)}")
    code, line = LINES[number]
    # Before the first line of the command runs, Python answers, with a traceback to Ctrl-C.
    early = process.returncode == -number or (process.returncode == 1 and "KeyboardInterrupt" in errors)
    if process.returncode not in (0, code) and not early:
        faults.append(f"exit code {process.returncode}: {errors[-500:]}")
    if process.returncode == code and number != signal.SIGKILL:
        said = [text for text in errors.splitlines(keepends=True) if "% test error" not in text]
        if said != [line]:
            faults.append(f"standard error: {errors[-500:]}")
    left = [str(file) for file in folder.rglob(".softsign-*")]
    if left and number != signal.SIGKILL:
        faults.append(f"left: {left}")
    for part in left:
        Path(part).unlink()
    return Found(moment, process.returncode, faults, left)


def uninterrupted(folder: Path, command: str) -> dict[str, bytes]:
    """Return what a command leaves if nobody kills it."""
    arguments = [COMMAND, *COMMANDS[command]]
    subprocess.run(arguments, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, timeout=600)
    return contents(folder)


def kills(place: Path, command: str, moments: int, seed: int = 0) -> Iterator[tuple[signal.Signals, Found]]:
    """Kill a command at random moments; a study goes on where it was killed, the others begin anew."""
    draw = random.Random(f"{seed} {command}")
    folder = place / command
    folder.mkdir()
    prepare(folder)
    inputs = contents(folder)
    start = time.monotonic()
    whole = uninterrupted(folder, command)
    seconds = time.monotonic() - start
    _clear(folder, inputs)
    for number in SIGNALS:
        left = moments
        while left:
            found = kill(folder, command, number, draw.uniform(0, 1.1 * seconds))
            left -= found.code != 0  # the command may have been faster
            going_on = command == "study" and found.code != 0
            now = contents(folder)
            if not going_on:
                found.faults.extend(_differences({**whole, **now}, whole))
                _clear(folder, inputs)
            yield number, found
        if command == "study":
            found = Found(0, 0, _differences(uninterrupted(folder, command), whole), [])
            _clear(folder, inputs)
            yield number, found
    shutil.rmtree(folder)


def _clear(folder: Path, inputs: Mapping[str, bytes]) -> None:
    for file in folder.iterdir():
        if file.is_dir():
            shutil.rmtree(file)
        elif file.name not in inputs:
            file.unlink()


def _differences(now: Mapping[str, bytes], whole: Mapping[str, bytes]) -> list[str]:
    names = sorted(now.keys() | whole.keys())
    return [f"{name} differs" for name in names if not _same(name, now.get(name), whole.get(name))]


def _same(name: str, one: bytes | None, other: bytes | None) -> bool:
    if one is None or other is None:
        return False
    # Plotly names its figures at random; that the page is whole its end shows.
    return one.endswith(other[-20:]) if name.endswith(".html") else one == other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50, help="kills of each command by each signal")
    parser.add_argument("--commands", default=",".join(COMMANDS), help="names with commas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        for command in options.commands.split(","):
            done: Counter[str] = Counter()
            for number, found in kills(Path(place), command, options.moments, options.seed):
                done[f"{number.name}: " + ("too late" if found.code == 0 else "killed")] += 1
                done["hidden parts left"] += len(found.left)
                for fault in found.faults:
                    wrong += 1
                    print(f"{command}, {number.name} after {found.moment:.3f} s: {fault}", flush=True)
            print(f"{command}: {', '.join(f'{what} {count}' for what, count in done.items())}", flush=True)
    print(f"{wrong} faults")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
