"""The facts of each function, once: arguments, value, symmetry, bounds. Imports nothing of the package.

`softsign.accuracy`, the benchmarks, the pictures, the tests and the tables of the documentation read them
here. The compiled half of the list is ``csrc/functions.h``; a test holds the two against each other.
"""

from typing import Literal, NamedTuple

__all__ = ["BACKENDS", "DTYPES", "FUNCTIONS", "MAX_ORDER", "ORDERS", "Backend", "Function", "bound"]

Backend = Literal["numpy", "onnx", "torch_compile", "jax"]

#: What computes a function: the ufuncs (softsign.torch calls the same kernels), the model-local functions of
#: `softsign.onnx`, what Inductor makes of `softsign.torch`, and `softsign.jax`.
BACKENDS: tuple[Backend, ...] = ("numpy", "onnx", "torch_compile", "jax")

#: The dtypes that have a bound, in the order of the bounds.
DTYPES = ("float16", "bfloat16", "float32", "float64")

MAX_ORDER = 170  # of nth_derivative: 171! exceeds float64
ORDERS = range(17)  # those of nth_derivative that its bound is stated for


class Function(NamedTuple):  # numpydoc ignore=PR02
    """The facts of one function.

    Parameters
    ----------
    arguments : tuple of str
        Names: x, or y = softsign(x); dy, the gradient with respect to the result; n, the order; c, the scale,
        0 or more; a and b, the ends of a segment.
    formula : str
        Value of the function, as plain text.
    latex : tuple of str
        Symbol and formula for pictures.
    symmetry : {"odd", "even", None}
        Symmetry in x (or y) while the other arguments are held, or in both ends of a segment; None if it
        depends on them.
    monotone : {"rising", "falling", None}
        Direction from x = 0 on; None if there is no single one, or the function takes more than x.
    kind : {"algebraic", "logarithmic", "segment"}
        Algebraic values are fractions, which integer arithmetic decides exactly. Those of a segment are means
        over it, near zero where f changes sign.
    bounds : dict of str to tuple of float
        For each backend that has the function, the largest error in ulp for each of `DTYPES`; 0.5 stands for
        correctly rounded. It is in ulp of the value, for a segment in ulp of the mean of abs(f) over it.
    integrand : str, optional
        Name of the function that this one is the integral of, from 0.
    outputs : int, optional
        Number of results.
    """

    arguments: tuple[str, ...]
    formula: str
    latex: tuple[str, str]
    symmetry: Literal["odd", "even"] | None
    monotone: Literal["rising", "falling"] | None
    kind: Literal["algebraic", "logarithmic", "segment"]
    bounds: dict[Backend, tuple[float, float, float, float]]
    integrand: str | None = None
    outputs: int = 1


# Outputs of softsign, which is what gradient_from_output takes, are at most 1 in magnitude; bounds of
# nth_derivative are those of n in ORDERS.
FUNCTIONS: dict[str, Function] = {
    "softsign": Function(
        arguments=("x",),
        formula="x / (1 + |x|)",
        latex=("f(x)", r"x\,/\,(1+|x|)"),
        symmetry="odd",
        monotone="rising",
        kind="algebraic",
        bounds={
            "numpy": (0.5, 0.5, 0.5, 0.5),
            "onnx": (0.51, 0.51, 0.56, 0.56),
            "torch_compile": (0.51, 0.51, 1.5, 1.5),
            "jax": (0.51, 0.51, 1.5, 1.5),
        },
    ),
    "derivative": Function(
        arguments=("x",),
        formula="1 / (1 + |x|)²",
        latex=(r"f\,'(x)", r"1\,/\,(1+|x|)^2"),
        symmetry="even",
        monotone="falling",
        kind="algebraic",
        bounds={
            "numpy": (0.5, 0.5, 0.5, 0.5),
            "onnx": (0.51, 0.51, 3, 3),
            "torch_compile": (0.51, 0.51, 4, 4),
            "jax": (0.51, 0.51, 0.52, 0.52),
        },
    ),
    "inverse": Function(
        arguments=("y",),
        formula="y / (1 − |y|)",
        latex=("f^{-1}(y)", r"y\,/\,(1-|y|)"),
        symmetry="odd",
        monotone="rising",
        kind="algebraic",
        bounds={
            "numpy": (0.5, 0.5, 0.5, 0.5),
            "onnx": (0.51, 0.51, 1.5, 1.5),
            "torch_compile": (0.51, 0.51, 1.5, 1.5),
            "jax": (0.51, 0.51, 1.5, 1.5),
        },
    ),
    "second_derivative": Function(
        arguments=("x",),
        formula="−2 sgn(x) / (1 + |x|)³",
        latex=(r"f\,''(x)", r"-2\,\mathrm{sgn}(x)\,/\,(1+|x|)^3"),
        symmetry="odd",
        monotone=None,
        kind="algebraic",
        bounds={"numpy": (1, 1, 1, 1), "onnx": (0.51, 0.51, 4.5, 4.5)},
    ),
    "antiderivative": Function(
        arguments=("x",),
        formula="|x| − log(1 + |x|)",
        latex=("F(x)", r"|x| - \ln(1+|x|)"),
        symmetry="even",
        monotone="rising",
        kind="logarithmic",
        bounds={
            "numpy": (0.51, 0.51, 0.51, 2),
            "onnx": (0.51, 0.51, 5.5, 5.5),
            "torch_compile": (0.51, 0.51, 3.5, 3.5),
            "jax": (0.51, 0.51, 4, 4),
        },
        integrand="softsign",
    ),
    "second_antiderivative": Function(
        arguments=("x",),
        formula="sgn(x) (x²/2 + |x| − (1 + |x|) log(1 + |x|))",
        latex=(r"\int_0^x F", r"x|x|/2 + x - \mathrm{sgn}(x)(1+|x|)\ln(1+|x|)"),
        symmetry="odd",
        monotone="rising",
        kind="logarithmic",
        bounds={
            "numpy": (0.51, 0.51, 0.51, 4),
            "onnx": (0.51, 0.51, 6, 6),
            "torch_compile": (0.51, 0.51, 6, 6),
            "jax": (0.51, 0.51, 6, 6),
        },
        integrand="antiderivative",
    ),
    "log_jacobian": Function(
        arguments=("x",),
        formula="−2 log(1 + |x|)",
        latex=(r"\ln f\,'(x)", r"-2\,\ln(1+|x|)"),
        symmetry="even",
        monotone="falling",
        kind="logarithmic",
        bounds={
            "numpy": (0.51, 0.51, 0.61, 1),
            "onnx": (0.51, 0.51, 4, 4),
            "torch_compile": (0.51, 0.51, 2, 2),
            "jax": (0.51, 0.51, 3, 3),
        },
    ),
    "gradient": Function(
        arguments=("x", "dy"),
        formula="dy / (1 + |x|)²",
        latex=(r"dy\,f\,'(x)", r"dy\,/\,(1+|x|)^2"),
        symmetry="even",
        monotone=None,
        kind="algebraic",
        bounds={
            "numpy": (1, 1, 1, 1),
            "onnx": (0.51, 0.51, 3.5, 3.5),
            "torch_compile": (0.51, 0.51, 5, 5),
            "jax": (0.51, 0.51, 1.6, 1.6),
        },
    ),
    "gradient_from_output": Function(
        arguments=("y", "dy"),
        formula="dy (1 − |y|)²",
        latex=(r"dy\,f\,'(f^{-1}(y))", r"dy\,(1-|y|)^2"),
        symmetry="even",
        monotone=None,
        kind="algebraic",
        bounds={"numpy": (2, 2, 2, 2), "onnx": (0.51, 0.51, 3.5, 3.5), "torch_compile": (0.51, 0.51, 4, 4)},
    ),
    "nth_derivative": Function(
        arguments=("n", "x"),
        formula="(−1)ⁿ⁺¹ n! sgn(x)ⁿ⁺¹ / (1 + |x|)ⁿ⁺¹",
        latex=(r"f^{(n)}(x)", r"(-1)^{n+1}\,n!\,\mathrm{sgn}(x)^{n+1}\,/\,(1+|x|)^{n+1}"),
        symmetry=None,
        monotone=None,
        kind="algebraic",
        bounds={
            "numpy": (4, 4, 4, 4),
            "onnx": (0.51, 0.51, 13, 13),
            "torch_compile": (0.51, 0.51, 18, 18),
            "jax": (0.51, 0.51, 8, 8),
        },
    ),
    "scaled": Function(
        arguments=("x", "c"),
        formula="x / (1 + |x| / c)",
        latex=(r"c\,f(x/c)", r"x\,/\,(1+|x|/c)"),
        symmetry="odd",
        monotone=None,
        kind="algebraic",
        bounds={"numpy": (0.51, 0.51, 0.5, 0.5)},
    ),
    "scaled_gradient": Function(
        arguments=("x", "c", "dy"),
        formula="dy / (1 + |x| / c)²",
        latex=(r"dy\,f\,'(x/c)", r"dy\,/\,(1+|x|/c)^2"),
        symmetry="even",
        monotone=None,
        kind="algebraic",
        bounds={"numpy": (0.51, 0.51, 0.51, 0.51)},
    ),
    "segment_mean": Function(
        arguments=("a", "b"),
        formula="∫ f(a + t (b − a)) dt, t from 0 to 1",
        latex=(r"\bar f", r"\int_0^1 f(a+t(b-a))\,dt"),
        symmetry="odd",
        monotone=None,
        kind="segment",
        bounds={"numpy": (1, 1, 1, 4)},
    ),
    "segment_ramp": Function(
        arguments=("a", "b"),
        formula="∫ t f(a + t (b − a)) dt, t from 0 to 1",
        latex=(r"\bar f_t", r"\int_0^1 t f(a+t(b-a))\,dt"),
        symmetry="odd",
        monotone=None,
        kind="segment",
        bounds={"numpy": (1, 1, 1, 4)},
    ),
    "segment_moments": Function(
        arguments=("a", "b"),
        formula="∫ Pⱼ(2t − 1) f(a + t (b − a)) dt, t from 0 to 1, j = 0, 1, 2",
        latex=(r"\mu_j", r"\int_0^1 P_j(2t-1) f(a+t(b-a))\,dt"),
        symmetry="odd",
        monotone=None,
        kind="segment",
        bounds={"numpy": (1, 1, 1, 5)},
        outputs=3,
    ),
}


def bound(function: str, dtype: str, backend: Backend = "numpy") -> float:
    """Return the largest error of a function, in ulp; 0.5 stands for correctly rounded.

    Parameters
    ----------
    function : str
        A name of `FUNCTIONS`.
    dtype : str
        One of `DTYPES`.
    backend : {"numpy", "onnx", "torch_compile", "jax"}, optional
        What computes it.

    Returns
    -------
    float
        Bound that the tests, and for the ufuncs ``make accuracy``, hold the backend to.

    Raises
    ------
    KeyError
        If the function is unknown, or the backend does not have it.

    Examples
    --------
    >>> bound("softsign", "float32"), bound("log_jacobian", "float64", "jax")
    (0.5, 3)
    """
    return FUNCTIONS[function].bounds[backend][DTYPES.index(dtype)]
