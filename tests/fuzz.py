"""Random cases, until the time is up, each answered right or refused as documented.

``make fuzz ARGS="--minutes 10"``. A case that is answered wrongly, takes more than ten seconds or a gigabyte,
or ends the process is a find: it is written into tests/corpus, which tests/test_fuzz.py replays.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import multiprocessing
import resource
import signal
import sys
import time
import traceback
from collections.abc import Generator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tests.fuzz_kinds import KINDS, Case, Kind

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 10
BYTES = 1 << 30  # beside what imports have taken
SUBJECTS = ("function", "method", "reader")  # of finds that fail in the same place one is kept for each


def judge(check: Any, case: Case, seconds: int = SECONDS) -> None:
    """Check a case, in bounded time and memory."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it takes more than {seconds} seconds")

    before, limits = signal.signal(signal.SIGALRM, give_up), resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, limits[1]))
    signal.alarm(seconds)
    try:
        check(case)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def work(kind: Kind, seed: int, duration: float, seconds: int, pipe: Any) -> None:
    """Try cases until the time is up; tell each before it is tried, and what came of it."""
    rng = np.random.default_rng(seed)
    with contextlib.suppress(Exception):
        kind.check(kind.draw(rng))  # imports what it needs, which may take long
    end = time.time() + duration
    while time.time() < end:
        case = kind.draw(rng)
        pipe.send(case)
        try:
            judge(kind.check, case, seconds)
        except BaseException as error:  # noqa: BLE001  (whatever a case can raise)
            place = traceback.extract_tb(error.__traceback__)[-1]
            message = str(error).strip().replace("\n", " ")[:300]
            pipe.send(
                f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {message}"
            )
        else:
            pipe.send("")


def search(
    kinds: Mapping[str, Kind], seconds: float, seed: int, corpus: Path
) -> tuple[collections.Counter[str], list[str]]:
    """Return how many cases of each kind were tried, and a line on each find, with the file that holds it."""
    tried: collections.Counter[str] = collections.Counter()
    finds: dict[str, str] = {}
    for i, (name, kind) in enumerate(kinds.items()):
        end = time.time() + seconds / len(kinds)
        while time.time() < end:
            for case, error in outcomes(kind, seed + i + 1000 * tried[name], end - time.time()):
                tried[name] += 1
                alike = f"{error.partition(':')[0]} {[case.get(what) for what in SUBJECTS]}"
                if error and alike not in finds:
                    finds[alike] = f"{keep(corpus, name, case)}: {error}"
    return tried, list(finds.values())


def outcomes(kind: Kind, seed: int, duration: float, seconds: int = SECONDS) -> Generator[tuple[Case, str]]:
    """Try cases in a process until the time is up or one ends the process; give each with its error."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(kind, seed, duration, seconds, theirs), daemon=True)
    process.start()
    theirs.close()
    case: Case | None = None
    try:
        while True:
            if not ours.poll(seconds + 60):  # the first case waits for imports
                process.kill()
            try:
                message = ours.recv()
            except EOFError:
                process.join()
                if case is not None:
                    yield case, f"the process ended or hung, with exit code {process.exitcode}"
                elif process.exitcode:
                    raise RuntimeError("no case could be made") from None
                return
            if case is None:
                case = message
            else:
                yield case, message
                case = None
    finally:
        process.kill()
        process.join()


def keep(corpus: Path, kind: str, case: Case) -> Path:
    text = json.dumps({"kind": kind, "case": case})
    path = corpus / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.json"
    corpus.mkdir(exist_ok=True)
    path.write_text(text + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, metavar="N", help="time in all (default 5)")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"some of {', '.join(KINDS)} (default all)")
    parser.add_argument("--seed", type=int, metavar="N", help="repeats a search (default: another each time)")
    given = parser.parse_args()
    unknown = set(given.kinds.split(",")) - set(KINDS)
    if unknown:
        parser.error(f"--kinds: {', '.join(sorted(unknown))} is none of {', '.join(KINDS)}")
    seed = time.time_ns() // 1000 % 2**32 if given.seed is None else given.seed
    kinds = {name: KINDS[name] for name in given.kinds.split(",")}
    print(f"{given.minutes:g} minutes of {', '.join(kinds)}, seed {seed}", flush=True)
    tried, finds = search(kinds, 60 * given.minutes, seed, CORPUS)
    for name in kinds:
        print(f"{name}: {tried[name]:,} cases")
    print("\n".join(finds) or "no finds")
    sys.exit(bool(finds))


if __name__ == "__main__":
    main()
