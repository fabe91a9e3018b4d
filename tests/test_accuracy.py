"""The ufuncs against exact arithmetic, and the harness that compares them against deliberate mistakes."""

import importlib.util
import math
import secrets
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

import softsign
from softsign import accuracy, reference
from softsign.accuracy import CONTRACTS, correctly_rounded, exact, measure, sample, ulp_error

COMMAND = Path(__file__).parents[1] / "benchmarks" / "accuracy.py"
LOGARITHMIC = ("antiderivative", "second_antiderivative", "log_jacobian")
LARGE = 1 << 22
TINY = 2.0**-1074


def load_command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy_command", COMMAND)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


command = load_command()


def size(function: str) -> int:
    if function in LOGARITHMIC:
        return 1 << 14
    if function in ("softsign", "derivative", "inverse", "gradient"):
        return LARGE
    return LARGE // 64 if function == "nth_derivative" else LARGE // 8


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("function", CONTRACTS)
def test_every_number_of_16_bits(function: str, dtype: str) -> None:
    finding = command.Task(function, dtype, 0, 1 << 15).run()
    assert finding.wrong == 0, finding
    assert finding.measurement.tried >= 1 << 16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", CONTRACTS)
def test_fresh_sample(function: str, dtype: str) -> None:
    seed = secrets.randbits(64)
    finding = command.Task(function, dtype, 0, size(function) // 2, (seed,)).run()  # with either sign
    assert finding.wrong == 0, f"seed {seed}: {finding}"
    assert finding.measurement.tried >= size(function)


HARD = {  # where float64 arithmetic rounded to float32 is wrong
    "softsign": (0x1.17022CP-7,),
    "derivative": (0x1.6325C6P-15, 0x1.2D5DC4P-9),
    "inverse": (0x1.F1724CP-11, 0x1.320134P-9),
}
