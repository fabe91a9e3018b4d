"""Count the cycles that the functions take, beside what the machine cannot do faster, and judge them.

Cycles are those that the core takes for 64 bytes of x, a line of the cache: 16 elements of float32, 8 of
float64. The yardsticks run in the same rounds: memcpy, called from C, moves the bytes and computes nothing;
np.divide(x, z, out=y) does nothing but the division that every function here needs. What a call costs
before it computes, measured on one element, is taken off the cycles, but not off the ratios.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ports
from conditions import buffer, clock, describe_memory, memcpy, place
from harness import (
    KI,
    MI,
    Sampler,
    Table,
    Target,
    conclude,
    limit_threads,
    machine,
    make_parser,
    section_to_write,
    size_label,
    take_turns,
    timed,
)

import softsign
from softsign.functions import FUNCTIONS

Array = npt.NDArray[Any]

# What stands for the arguments of a function: x and dy are normal, u is softsign(x), a segment is (x, dy).
ARGUMENTS = {"x": "x", "y": "u", "dy": "dy", "n": "3", "c": "c", "a": "x", "b": "dy"}
DIVISIONS = (
    "softsign",
    "inverse",
    "derivative",
    "gradient",
    "gradient_from_output",
    "second_derivative",
)
LOGARITHMS = ("log_jacobian", "antiderivative", "second_antiderivative")
CACHED, LARGE, LARGEST = (16 * KI, 64 * KI, 256 * KI), 8 * MI, 64 * MI
# The table: where arrays are in the second cache, in the last one, and in memory; and what is timed there.
TABLE_SIZES: dict[int, tuple[str, ...]] = {
    16 * KI: DIVISIONS + LOGARITHMS,
    MI: DIVISIONS + LOGARITHMS,
    LARGEST: DIVISIONS,
}
TABLE_DTYPES = {"float32": TABLE_SIZES} | {
    dtype: dict.fromkeys(TABLE_SIZES, ("softsign", "derivative"))
    for dtype in ("float64", "float16", "bfloat16")
}


@dataclass(frozen=True)
class Aim:
    """A speed aimed at: the largest ratio of a function to a yardstick, by instruction set."""

    function: str
    dtype: str
    sizes: tuple[int, ...]
    yardstick: str
    avx512: float | None
    avx2: float | None


# The AVX2 ratios to np.divide are 13.3 and 13 cycles, where np.divide takes 6.
AIMS = (
    Aim("softsign", "float32", CACHED, "np.divide", 1.35, None),
    Aim("inverse", "float32", CACHED, "np.divide", 1.35, None),
    Aim("derivative", "float32", CACHED, "np.divide", 1.55, 2.22),
    Aim("gradient", "float32", CACHED, "np.divide", 1.80, 2.17),
    Aim("gradient_from_output", "float32", CACHED, "np.divide", 1.60, 2.17),
    Aim("softsign", "float32", (MI,), "memcpy", 1.95, None),
    Aim("derivative", "float32", (MI,), "memcpy", 2.20, None),
    Aim("gradient", "float32", (MI,), "memcpy", 2.20, None),
    Aim("softsign", "float32", (LARGE,), "memcpy", 0.80, 0.85),
    Aim("softsign", "float32", (LARGEST,), "memcpy", 0.65, 0.75),
    Aim("softsign in place", "float32", (LARGEST,), "memcpy", 0.85, 0.85),
    Aim("derivative", "float32", (LARGEST,), "memcpy", 0.72, 0.80),
    Aim("gradient", "float32", (LARGEST,), "memcpy", 1.12, 1.20),
    Aim("softsign", "float64", (64 * KI,), "memcpy", 2.20, None),
    Aim("softsign", "float64", (16 * MI,), "memcpy", 0.90, 0.90),
    Aim("softsign", "bfloat16", (64 * KI,), "memcpy", 3.20, None),
    Aim("derivative", "bfloat16", (64 * KI,), "memcpy", 3.20, None),
    Aim("softsign", "float16", (64 * KI,), "memcpy", 3.20, None),
    Aim("softsign", "bfloat16", (LARGEST,), "memcpy", 1.30, 1.30),
    Aim("softsign", "float16", (LARGEST,), "memcpy", 1.30, 1.30),
)
AVX2_AIM = 1.2  # the AVX2 kernels on the largest arrays, to the AVX-512 ones
REAL_LIFE_AIM = 1.5  # awkward values, to ordinary ones
# The passes over preallocated arrays that a function with one scale replaces.
PASSES = {
    "scaled": "divide(x, c, out=z); softsign(z, out=z); multiply(z, c, out=y)",
    "scaled_gradient": "divide(x, c, out=z); gradient(z, dy, out=y)",
}
PASSES_AIM = 0.9  # the function, to its passes

Samples = dict[str, npt.NDArray[np.float64]]  # by contestant: seconds per call, one for each round
Place = tuple[str, str, int]  # kernels, dtype, size


@contextlib.contextmanager
def kernels_in_use(kernels: str) -> Iterator[None]:
    """Compute with other kernels for a while."""
    best = softsign.cpu_features()["kernels"]
    softsign._core._use_kernels(kernels)
    try:
        yield
    finally:
        softsign._core._use_kernels(best)


def dtype_named(name: str) -> np.dtype[Any]:
    """Return a dtype by its name."""
    if name == "bfloat16":
        import ml_dtypes

        name = ml_dtypes.bfloat16
    return np.dtype(name)


def call(function: str, arguments: Mapping[str, str], out: str) -> str:
    """Return the statement that calls a function as f."""
    given = ", ".join(arguments[name] for name in FUNCTIONS[function].arguments)
    return f"f({given}, out={out if FUNCTIONS[function].outputs == 1 else f'({out}, second, third)'})"


def make_arrays(dtype: np.dtype[Any], size: int, names: set[str]) -> dict[str, Array]:
    """Return those arrays of a place that are needed."""
    rng = np.random.default_rng(2010)
    x, dy = ((3 * rng.standard_normal(size, dtype=np.float32)).astype(dtype) for _ in range(2))
    makers: dict[str, Callable[[], Array]] = {
        "x": lambda: x,
        "dy": lambda: dy,
        "u": lambda: softsign.softsign(x),
        "z": lambda: (1 + abs(x)).astype(dtype),
        "w": lambda: x,
    }
    return {name: place(makers[name]()) for name in sorted(names)} | {"y": buffer(size, dtype)}


def contestant(function: str, arrays: Mapping[str, Array]) -> Sampler:
    """Return the sampler of a function or a yardstick."""
    if function == "memcpy":
        return memcpy(arrays["y"], arrays["x"])
    if function == "np.divide":
        return timed("f(x, z, out=y)", {"f": np.divide, **arrays})
    name = function.removesuffix(" in place")
    statement = call(name, ARGUMENTS, "y") if name == function else call(name, {"x": "w"}, "w")
    return timed(statement, {"f": getattr(softsign, name), **arrays})


def arrays_of(function: str) -> set[str]:
    """Return the names of the arrays that a contestant reads."""
    if function == "memcpy":
        return {"x"}
    if function == "np.divide":
        return {"x", "z"}
    name = function.removesuffix(" in place")
    return {"w"} if function != name else {ARGUMENTS[a] for a in FUNCTIONS[name].arguments}


def measure(where: Place, functions: Sequence[str], rounds: int) -> Samples:
    """Measure functions and yardsticks at one place, and the time of a cycle ("cycle")."""
    kernels, dtype, size = where
    print(f"measuring {kernels} {dtype} {size_label(size)}", file=sys.stderr)
    divide = ["np.divide"] if dtype in ("float32", "float64") else []  # NumPy converts the 16-bit types
    field = ["memcpy", *divide, *functions]
    arrays = make_arrays(dtype_named(dtype), size, set().union(*map(arrays_of, field)))
    with kernels_in_use(kernels):
        samplers = {name: contestant(name, arrays) for name in field} | {"cycle": clock()}
        samples = take_turns(list(samplers.values()), rounds)
    return dict(zip(samplers, samples.T, strict=True))


def aimed() -> dict[Place, tuple[str, ...]]:
    """Return what has to be measured to judge the aims, as far as this machine can."""
    wanted: dict[Place, dict[str, None]] = {}
    for kernels in set(softsign.cpu_features()["available"]) & {"avx512", "avx2"}:
        for aim in AIMS:
            for size in aim.sizes if getattr(aim, kernels) else ():
                wanted.setdefault((kernels, aim.dtype, size), {})[aim.function] = None
    return {where: tuple(names) for where, names in wanted.items()}


def aim_targets(measured: Mapping[Place, Samples]) -> Iterator[Target]:
    """Compare the measurements with the aims: of several sizes the slowest counts."""

    def ratio(kernels: str, dtype: str, size: int, function: str, yardstick: str) -> float:
        samples = measured.get((kernels, dtype, size))
        return float(np.median(samples[function] / samples[yardstick])) if samples else math.nan

    for kernels in ("avx512", "avx2"):
        for aim in AIMS:
            largest = getattr(aim, kernels)
            if largest is None:
                continue
            sizes = "–".join(map(size_label, dict.fromkeys((aim.sizes[0], aim.sizes[-1]))))
            name = f"{kernels}: {aim.function} {aim.dtype} {sizes} / {aim.yardstick}"
            worst = max(ratio(kernels, aim.dtype, size, aim.function, aim.yardstick) for size in aim.sizes)
            yield Target(name, worst, largest)
    avx2, avx512 = (
        ratio(kernels, "float32", LARGEST, "softsign", "memcpy") for kernels in ("avx2", "avx512")
    )
    yield Target(f"softsign float32 {size_label(LARGEST)}, avx2 / avx512", avx2 / avx512, AVX2_AIM)


def real_life(dtype: str, size: int) -> dict[str, dict[str, Array]]:
    """Return awkward arguments by their names, and for each function ordinary ones ("")."""
    rng = np.random.default_rng(2010)
    normal = rng.standard_normal(size).astype(dtype)
    clipped = {f"clipped at {bound:g}": np.clip(normal, -bound, bound) for bound in (0.9, 1.0)}
    infinite = np.where(rng.random(size) < 0.01, np.copysign(np.inf, normal), normal)
    x = {
        "": normal,
        **clipped,
        "with infinities": infinite.astype(dtype),
        "of size 1e8": normal * normal.dtype.type(1e8),
    }
    u = {"": softsign.softsign(normal), **clipped}
    return {"softsign": x, "derivative": x, "gradient": x, "inverse": u}


def real_life_targets(rounds: int, size: int = 64 * KI) -> Iterator[Target]:
    """Compare the times on awkward values with those on ordinary ones: the slowest function counts."""
    for kernels in ("avx512", "avx2"):
        worst: dict[str, float] = {}
        for dtype in ("float32", "float64"):
            for function, arguments in real_life(dtype, size).items():
                if kernels in softsign.cpu_features()["available"]:
                    print(f"measuring {kernels} {dtype} {function} of awkward values", file=sys.stderr)
                    ratios = beside_ordinary(kernels, function, arguments, rounds)
                else:
                    ratios = dict.fromkeys(list(arguments)[1:], math.nan)
                for name, ratio in ratios.items():
                    worst[name] = max(worst.get(name, ratio), ratio)
        for name, ratio in worst.items():
            yield Target(f"{kernels}: values {name} / ordinary ones, slowest function", ratio, REAL_LIFE_AIM)


def beside_ordinary(
    kernels: str, function: str, arguments: Mapping[str, Array], rounds: int
) -> dict[str, float]:
    """Return the ratio of the time that each awkward argument takes to that of the ordinary one."""
    f, y = getattr(softsign, function), buffer(arguments[""].size, arguments[""].dtype)
    statement = "f(x, dy, out=y)" if function == "gradient" else "f(x, out=y)"
    names = {"f": f, "y": y, "dy": place(arguments[""])}
    with np.errstate(all="ignore"), kernels_in_use(kernels):
        field = [timed(statement, {**names, "x": place(x)}) for x in arguments.values()]
        ordinary, *awkward = take_turns(field, rounds).T
    medians = [float(np.median(seconds / ordinary)) for seconds in awkward]
    return dict(zip(list(arguments)[1:], medians, strict=True))


def passes_targets(rounds: int, sizes: Sequence[int] = (64 * KI, MI, 16 * MI)) -> Iterator[Target]:
    """Compare the functions with a scale with the passes that they replace, on float32."""
    names = {"divide": np.divide, "multiply": np.multiply}
    names |= {name: getattr(softsign, name) for name in ("softsign", "gradient", *PASSES)}
    for size in sizes:
        print(f"measuring passes of {size_label(size)}", file=sys.stderr)
        arrays = make_arrays(np.dtype(np.float32), size, {"x", "dy", "z"})
        for function, passes in PASSES.items():
            one = call(function, ARGUMENTS, "y").replace("f(", f"{function}(", 1)
            field = [timed(each, names | arrays | {"c": np.float32(30)}) for each in (one, passes)]
            fused, apart = take_turns(field, rounds).T
            ratio = float(np.median(fused / apart))
            yield Target(f"{function} float32 {size_label(size)} / its passes", ratio, PASSES_AIM)


def tabled(dtypes: Sequence[str]) -> dict[Place, tuple[str, ...]]:
    """Return what has to be measured for the table: single elements tell what a call costs."""
    kernels = softsign.cpu_features()["kernels"]
    return {
        (kernels, dtype, size): functions
        for dtype in dtypes
        for size, functions in ({1: TABLE_DTYPES[dtype][min(TABLE_SIZES)]} | TABLE_DTYPES[dtype]).items()
    }


def cycles(measured: Mapping[Place, Samples], where: Place, function: str) -> float:
    """Return the cycles of a function for 64 bytes of x; nan where it is not measured."""
    kernels, dtype, size = where
    samples, single = measured[where], measured[kernels, dtype, 1]
    if function not in samples:
        return math.nan
    seconds = samples[function] - np.median(single[function])
    return float(np.median(seconds / samples["cycle"])) / (size * dtype_named(dtype).itemsize / 64)


def cell(value: float) -> str:
    """Write a number of cycles, or nothing."""
    return "" if math.isnan(value) else f"{value:.1f}"


def tables(
    measured: Mapping[Place, Samples], dtypes: Sequence[str], ports: Mapping[tuple[str, str], float]
) -> Iterator[Table]:
    """Make a table for each dtype: cycles at each size, and the limits.

    `ports` are the limits of the core, by dtype and function. That of memory is what memcpy takes on the
    largest arrays, for as many bytes as the function reads and writes.
    """
    kernels = softsign.cpu_features()["kernels"]
    for dtype in dtypes:
        lines = []
        samples = measured[kernels, dtype, min(TABLE_SIZES)]
        for function in (name for name in samples if name != "cycle"):
            taken = [cycles(measured, (kernels, dtype, size), function) for size in TABLE_SIZES]
            moved = len(arrays_of(function)) + 1
            memory = cycles(measured, (kernels, dtype, LARGEST), "memcpy") * moved / 2
            limits = ports.get((dtype, function), math.nan), memory
            lines.append([function, *map(cell, taken), *map(cell, limits)])
        yield Table(
            f"Cycles for 64 bytes of x, {dtype}, {kernels}",
            ("elements", *map(size_label, TABLE_SIZES), "limit of the core", "limit of memory"),
            lines,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = make_parser("Count cycles beside the limits of the machine.", rounds=9)
    parser.add_argument(
        "--dtypes", nargs="+", choices=TABLE_DTYPES, default=tuple(TABLE_DTYPES), metavar="NAME"
    )
    arguments = parser.parse_args(argv)
    section = section_to_write(arguments, "cycles")
    limit_threads(1)
    measured = {
        where: measure(where, names, arguments.rounds) for where, names in tabled(arguments.dtypes).items()
    }
    print(describe_memory(place(np.zeros(64 * KI))))
    kernels = softsign.cpu_features()["kernels"]
    reason = ports.missing(kernels)
    if reason:
        print(f"missing: limit of the core ({reason})")
    wanted = [(dtype, name) for _, dtype, size in measured for name in TABLE_DTYPES[dtype].get(size, ())]
    core = {} if reason else ports.limits(kernels, dict.fromkeys(wanted))
    return conclude(list(tables(measured, arguments.dtypes, core)), [], section, machine(1))


if __name__ == "__main__":
    sys.exit(main())
