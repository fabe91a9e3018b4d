"""Softsign and its relatives as operators, and the arithmetic of their gradients: kernels and schemas."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import softsign
from softsign.operator import SoftsignFunctor, SoftsignGradientFunctor, Workspace, create_operator, schema
from tests.helpers import Array, assert_same_bits, random_values, ulps
from tests.operator_helpers import CASES, A, by_dtype, run

EXAMPLE = Path(__file__).parents[1] / "examples" / "softsign_functor_example.py"


# Caffe2's example


def test_softsign_gives_the_output_published_by_caffe2() -> None:
    published = runpy.run_path(str(EXAMPLE), run_name="example")
    x, y = published["DOCUMENTED_X"], published["DOCUMENTED_Y"]
    assert (x.dtype, x.shape) == (np.float32, (3, 3))
    # Published is float32's x * (1 / (1 + |x|)), never seen more than 2 ulp from the correctly rounded value.
    np.testing.assert_array_max_ulp(run(create_operator("Softsign", ["X"], ["Y"]), "Y", X=x), y, 2)


def run_example(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", file], capture_output=True, text=True, timeout=60, check=False
    )


def test_example_runs() -> None:
    done = run_example(EXAMPLE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nas documented\n" in done.stdout
    for line in ("SoftsignGradient(X, Y_grad)", "SoftsignGradientFromOutput(X, X_grad)"):
        assert line in done.stdout


def test_example_fails_where_the_output_is_another(tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(EXAMPLE.read_text().replace("0.420046,", "0.420047,"))
    done = run_example(other)
    assert done.returncode == 1
    assert done.stderr.startswith("Y is not as documented by Caffe2")


# Schemas


def test_schema_of_softsign() -> None:
    softsign_schema = schema("Softsign")
    assert (softsign_schema.num_inputs, softsign_schema.num_outputs) == (1, 1)
    assert softsign_schema.allow_inplace == {(0, 0)}
    assert softsign_schema.identical_type_and_shape
    assert softsign_schema.inherit_onnx_schema == "Softsign"
    assert [name for name, _ in softsign_schema.inputs] == ["input"]
    assert [name for name, _ in softsign_schema.outputs] == ["output"]


def test_schema_of_softsign_gradient() -> None:
    gradient_schema = schema("SoftsignGradient")
    assert (gradient_schema.num_inputs, gradient_schema.num_outputs) == (2, 1)
    assert gradient_schema.allow_inplace == {(1, 0)}
    assert gradient_schema.identical_type_and_shape
    assert gradient_schema.inherit_onnx_schema is None
    assert "1 / (1 + |X|)^2" in gradient_schema.doc.replace("dY / ", "1 / ")


# Kernels


@by_dtype
def test_functors_are_the_ufuncs(dtype: np.dtype[Any]) -> None:
    x, dy = random_values(dtype, 1000), random_values(dtype, 1000, seed=1)
    forward, backward = SoftsignFunctor(), SoftsignGradientFunctor()
    assert (forward.context, backward.context) == ("CPU", "CPU")
    with np.errstate(all="ignore"):  # any bit pattern, signaling nans among them
        y, dx = softsign.softsign(x), softsign.gradient(x, dy)
        assert_same_bits(forward.invoke(x), y)
        assert_same_bits(backward.forward(x, dy), dx)
        into = np.empty_like(x)
        assert forward.invoke(x, into) is into
        assert_same_bits(into, y)
        assert backward.forward(x, dy, into) is into
        assert_same_bits(into, dx)
        assert backward.forward(x, dy, dy) is dy
        assert_same_bits(dy, dx)
        assert forward.invoke(x, x) is x
        assert_same_bits(x, y)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "Softsign": softsign.softsign,
    "SoftsignInverse": softsign.inverse,
    "SoftsignDerivative": softsign.derivative,
    "SoftsignSecondDerivative": softsign.second_derivative,
    "SoftsignAntiderivative": softsign.antiderivative,
    "SoftsignSecondAntiderivative": softsign.second_antiderivative,
    "SoftsignLogJacobian": softsign.log_jacobian,
    "SoftsignGradient": softsign.gradient,
    "SoftsignGradientFromOutput": softsign.gradient_from_output,
    "SoftsignNthDerivative": lambda x: softsign.nth_derivative(3, x),
}


@by_dtype
@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators_are_the_ufuncs(name: str, dtype: np.dtype[Any]) -> None:
    attributes: dict[str, Any] = {"n": 3} if name == "SoftsignNthDerivative" else {}
    inputs = ["X", "dY"][: len(CASES[name].domains)]
    blobs = {blob: random_values(dtype, 1000, seed) for seed, blob in enumerate(inputs)}
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name](*blobs.values())
        for output in ("out", inputs[-1]):  # in place the second time
            operator = create_operator(name, inputs, output, **attributes)
            assert_same_bits(run(operator, output, **blobs), expected)


def exact_log_jacobian_gradient(x: Fraction, dy: Fraction) -> Fraction:
    return -2 * dy * ((x > 0) - (x < 0)) / (1 + abs(x))


@by_dtype
def test_log_jacobian_gradient_is_accurate(dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(0)
    largest = float(ml_dtypes.finfo(dtype).max)
    x = np.concatenate([rng.normal(size=300), rng.uniform(1, 100, 100)]).astype(dtype)
    dy = np.concatenate([rng.normal(size=300), rng.uniform(0.5, 1, 100) * largest]).astype(dtype)
    dx = run(create_operator("SoftsignLogJacobianGradient", ["X", "dY"], "dX"), "dX", X=x, dY=dy)
    truth = map(exact_log_jacobian_gradient, map(Fraction, map(float, x)), map(Fraction, map(float, dy)))
    assert (
        max(map(ulps, dx, truth)) <= 2
    )  # three operations, the doubling of which is exact, or one in a wider format


@pytest.mark.parametrize("n", range(4))
@by_dtype
def test_derivative_from_output(dtype: np.dtype[Any], n: int) -> None:
    y = np.array([-1, -0.75, -0.125, 0, 0.125, 0.75, 1, np.nan], dtype)
    a = np.abs(y.astype(float))
    expected = [(1 - a) ** 2, 2 * np.sign(y.astype(float)) * (a - 1), 2 + 0 * a, 0 * a][n].astype(dtype)
    d = run(create_operator("SoftsignDerivativeFromOutput", "Y", "D", n=n), "D", Y=y)
    np.testing.assert_array_equal(d.astype(float), expected.astype(float))
    assert d.dtype == dtype


@pytest.mark.parametrize("n", [-1, 1.5, "1", None])
@pytest.mark.parametrize("name", ["SoftsignNthDerivative", "SoftsignDerivativeFromOutput"])
def test_derivatives_refuse_orders_that_there_are_not(name: str, n: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"n must be an integer|an integer order"):
        run(create_operator(name, "X", "Y", n=n), "Y", X=A)


@by_dtype
@pytest.mark.parametrize("shape", [(3,), ()], ids=str)
def test_sum_to_keeps_the_terms_of_long_sums(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Added up one after the other in float16, ones stop to count at 2048; in bfloat16 at 256."""
    x = np.ones((4096, 3), dtype)
    total = run(create_operator("SumTo", ["X", "like"], "Y"), "Y", X=x, like=np.ones(shape, dtype))
    assert total.dtype == dtype
    np.testing.assert_array_equal(total.astype(float), np.full(shape, 4096 if shape else 12288))


def test_div_of_integers_truncates_towards_zero() -> None:
    workspace = Workspace()
    workspace.feed("A", np.array([7, -7, 7, -7, 6]))
    workspace.feed("B", np.array([2, 2, -2, -2, 3]))
    workspace.run(create_operator("Div", ["A", "B"], "C"))
    assert workspace.fetch("C").tolist() == [3, -3, -3, 3, 2]
    large = np.array([2**62 + 1, -(2**62) - 1, 2**63 - 1])  # float64 has no such odd numbers
    assert run(create_operator("Div", ["A", "B"], "C"), "C", A=large, B=np.array([1, 1, 3])).tolist() == [
        2**62 + 1,
        -(2**62) - 1,
        (2**63 - 1) // 3,
    ]
