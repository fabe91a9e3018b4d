"""The softsign family as functions of an ONNX model: bodies of standard operators that any engine runs unchanged.

Each operator of `softsign.operator` that ONNX lacks, and Softsign itself, is a model-local function in the domain `DOMAIN`.

What they promise, in an engine that rounds each + − * / and square root correctly:

* One body serves float32 and float64: constants take the type of the input. float16 and bfloat16 have functions of their
  own, whose names end in ``_half``; they compute in float32 and round once, so an engine needs no kernels of these types but
  Cast.
* Errors within `bound`. Nothing overflows or underflows before the result does.
* The special values of the ufuncs, as `softsign.operator` has them: ±inf, the largest numbers, subnormal numbers, nan, and the
  signs of zeros.
* Softsign is monotone and odd, and ±1 at ±inf; ONNX's own formula is nan there in many engines.

The bodies use operators alone that ONNX Runtime has kernels for on the CPU in both types. Two habits come from engines: where
the choice between two values may be −0, Where has it as its third operand, as ONNX Runtime turns the −0 of the second into 0;
and nothing tells −0 from 0 by a sign bit, which ONNX cannot read.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx.parser
from onnx import FunctionProto

__all__ = ["DOMAIN", "VERSION", "bound", "function_name", "is_function", "make_functions", "operator_of"]

DOMAIN = "softsign"
VERSION = 1

OLDEST_OPSET = 18
MAX_ORDER = 170  # of SoftsignNthDerivative: 171! is beyond float64


class _Source(NamedTuple):
    """A function in ONNX's text syntax, where operands that are numbers stand for constants of the first input's type."""

    inputs: str
    output: str
    body: str


# 1 + |x| is t, rounded. A quotient by t twice, rather than one by t^2, which overflows: dy / t / t.
_DENOMINATOR = """
    a = Abs (x)
    t = Add (1, a)
"""

# For functions that are odd: ±0 at ±0, and elsewhere of the sign, or the opposite sign, of x.
_SIGN = """
    nonzero = Cast <to = 9> (x)
    sign = Sign (x)
    minus_sign = Neg (sign)
"""

# 1 + |x| = t (1 - c): what t has rounded away, exact by Fast2Sum for the larger and the smaller of 1 and |x|. At infinity it
# would be nan; from 2^60 on nobody needs it.
_CORRECTION = """
    larger = Max (1, a)
    smaller = Min (1, a)
    kept = Sub (t, larger)
    excess = Sub (kept, smaller)
    near = Less (a, 1152921504606846976)
    finite_excess = Where (near, excess, 0)
    c = Div (finite_excess, t)
"""

# The quotient x / (1 + |x|) loses up to 1.5 ulp and is not monotone. Below 16 it is corrected by its residual: with
# 1 + |x| = head + tail and the leading half of the quotient, both of at most half the digits (12 in float32, 26 in float64),
# head * leading and its difference to x are exact. What is left of the error before the last rounding, 2^-7 ulp, is less than
# half of what the function climbs from one number to the next. From 16 on 1 - 1/t is monotone because each of its operations is.
#
# wide is 1 in float64 and 0 in float32, where 2^27 + 1 rounds to 2^27; splitter is Veltkamp's 2^27 + 1 or 2^12 + 1. Adding and
# subtracting grid, 24 splitters, rounds to a multiple of 2^-21 or 2^-7.
_SOFTSIGN = (
    _DENOMINATOR
    + """
    wide = Sub (134217729, 134217728)
    more = Mul (wide, 134213632)
    splitter = Add (4097, more)
    grid = Mul (24, splitter)
    shifted = Add (a, grid)
    a_head = Sub (shifted, grid)
    tail = Sub (a, a_head)
    head = Add (1, a_head)
    quotient = Div (x, t)
    spread = Mul (splitter, quotient)
    low = Sub (spread, quotient)
    leading = Sub (spread, low)
    product = Mul (leading, head)
    difference = Sub (product, x)
    rest = Mul (leading, tail)
    residual = Add (difference, rest)
    correction = Div (residual, t)
    small = Sub (leading, correction)
    sign = Sign (x)
    gap = Div (sign, t)
    large = Sub (sign, gap)
    is_large = Less (16, a)
    y = Where (is_large, large, small)
"""
)

# With z = sqrt(1 + a) and b = z - 1, so a = b (2 + b), both antiderivatives F1, F2 at a follow from those at b in sums of
# positive terms, so nothing cancels as it does in a - log(1 + a):
#     F1(a) = b^2 + 2 F1(b)                F2(a) = b^3 (1 + b/2) + 2 z F2(b)
# and those at b from the series of log(1 + b) = 2 artanh(r), r = b / (2 + b):
#     F2(b) = r b^2 S                      F1(b) = (b^2/2 + F2(b)) / z
#     S = sum of r^2k / ((2k + 1) (2k + 3))
# Up to a = 8, where r = 1/2, 24 terms leave less than 2^-53. half_a (1 - r) is b again, with a third of the error of a / (1 + z),
# which r can bear.
_TERMS = 24


def _series() -> str:
    """Return the text that computes S from the square of r by Horner's rule."""
    coefficients = [1 / ((2 * k + 1) * (2 * k + 3)) for k in range(_TERMS)]
    lines = [f"sum_{_TERMS - 1} = Identity ({coefficients[-1]})"]
    for k in range(_TERMS - 2, -1, -1):
        lines += [f"term_{k} = Mul (sum_{k + 1}, square)", f"sum_{k} = Add (term_{k}, {coefficients[k]})"]
    return "\n".join(lines)


_ROOT = (
    _DENOMINATOR
    + """
    z = Sqrt (t)
    one_z = Add (1, z)
    rough_b = Div (a, one_z)
    two_b = Add (2, rough_b)
    r = Div (rough_b, two_b)
    square = Mul (r, r)
"""
    + _series()
    + """
    rs = Mul (r, sum_0)
    two_rs = Add (rs, rs)
    half_a = Mul (0.5, a)
    off = Mul (half_a, r)
    b = Sub (half_a, off)
    log = Log (t)
    finite_log = Min (log, 1000)
    is_large = Less (8, a)
"""
)


def _filled(like: str, output: str, value: int) -> _Source:
    """Return a function whose value is one number everywhere."""
    return _Source(
        like,
        output,
        f"""
        shape = Shape ({like})
        filled = ConstantOfShape <value = float[1] {{{value}}}> (shape)
        {output} = CastLike (filled, {like})
        """,
    )


_SOURCES: dict[str, _Source] = {
    "Softsign": _Source("x", "y", _SOFTSIGN),
    "SoftsignGradient": _Source(
        "x, dy",
        "dx",
        _DENOMINATOR
        + """
        once = Div (dy, t)
        dx = Div (once, t)
        """,
    ),
    "SoftsignGradientFromOutput": _Source(
        "y, dy",
        "dx",
        """
        a = Abs (y)
        d = Sub (1, a)
        once = Mul (dy, d)
        dx = Mul (once, d)
        """,
    ),
    "SoftsignInverse": _Source(
        "y",
        "x",
        """
        a = Abs (y)
        d = Sub (1, a)
        outside = Less (d, 0)
        d_or_nan = Where (outside, nan, d)
        x = Div (y, d_or_nan)
        """,
    ),
    "SoftsignDerivative": _Source(
        "x",
        "y",
        _DENOMINATOR
        + """
        once = Div (1, t)
        y = Div (once, t)
        """,
    ),
    "SoftsignSecondDerivative": _Source(
        "x",
        "y",
        _DENOMINATOR
        + _SIGN
        + """
        odd = Where (nonzero, minus_sign, x)
        numerator = Mul (2, odd)
        once = Div (numerator, t)
        twice = Div (once, t)
        y = Div (twice, t)
        """,
    ),
    "SoftsignAntiderivative": _Source(
        "x",
        "y",
        _ROOT
        + """
        gap = Sub (b, two_rs)
        relative_gap = Div (gap, z)
        factor = Sub (2, relative_gap)
        b_factor = Mul (b, factor)
        small = Mul (b, b_factor)
        large = Sub (a, finite_log)
        y = Where (is_large, large, small)
        """,
    ),
    "SoftsignSecondAntiderivative": _Source(
        "x",
        "y",
        _ROOT
        + _SIGN
        + """
        z_two_rs = Mul (z, two_rs)
        factor = Add (half_a, z_two_rs)
        b_factor = Mul (b, factor)
        small = Mul (b, b_factor)
        one_half_a = Add (1, half_a)
        bracket = Sub (one_half_a, finite_log)
        a_bracket = Mul (a, bracket)
        large = Sub (a_bracket, finite_log)
        magnitude = Where (is_large, large, small)
        odd = Where (nonzero, sign, x)
        y = Mul (odd, magnitude)
        """,
    ),
    "SoftsignLogJacobian": _Source(
        "x",
        "y",
        _DENOMINATOR
        + _CORRECTION
        + """
        rough_log = Log (t)
        log = Sub (rough_log, c)
        y = Mul (-2, log)
        """,
    ),
    "SoftsignLogJacobianGradient": _Source(
        "x, dy",
        "dx",
        """
        a = Abs (x)
        half_a = Mul (0.5, a)
        half_t = Add (0.5, half_a)
        sign = Sign (x)
        minus_sign = Neg (sign)
        signed_dy = Mul (dy, minus_sign)
        dx = Div (signed_dy, half_t)
        """,
    ),
    "OnesLike": _filled("like", "y", 1),
    # Axes of size 0 need allowzero; a difference in rank is bridged by ones in front of the smaller shape.
    "SumTo": _Source(
        "x, like",
        "y",
        """
        shape = Shape (x)
        wanted = Shape (like)
        rank = Shape (shape)
        wanted_rank = Shape (wanted)
        missing = Sub (rank, wanted_rank)
        ones = ConstantOfShape <value = int64[1] {1}> (missing)
        padded = Concat <axis = 0> (ones, wanted)
        same = Equal (shape, padded)
        broadcast = Not (same)
        index = NonZero (broadcast)
        row = Constant <value = int64[1] {0}> ()
        axes = Squeeze (index, row)
        total = ReduceSum <noop_with_empty_axes = 1> (x, axes)
        y = Reshape <allowzero = 1> (total, wanted)
        """,
    ),
    # ONNX Runtime 1.32 drops an Expand between other nodes from size 1 to size 0 where it knows both.
    "ExpandTo": _Source(
        "x, like",
        "y",
        """
        wanted = Shape (like)
        y = Expand (x, wanted)
        """,
    ),
}


def _nth_derivative(n: int) -> _Source:
    """Return the function of order n, n! (-sign)^(n + 1) / (1 + |x|)^(n + 1), without overflow on the way.

    The factors k (n + 1 - k) / t^2 grow with k, so the product first falls and then rises: it never exceeds the first or the
    last of its values. The n + 1 errors of t are one, which the first factor corrects.
    """
    if n < 3:
        named = ("Softsign", "SoftsignDerivative", "SoftsignSecondDerivative")[n]
        return _Source("x", "y", f"y = {DOMAIN}.{named} (x)")
    lines = [
        "first = Div (1, t)" if n % 2 else "odd = Where (nonzero, minus_sign, x) \n first = Div (odd, t)",
        f"relative = Mul ({n + 1}, c)",
        "absolute = Mul (first, relative)",
        "product_0 = Add (first, absolute)",
    ]
    for k in range(1, n // 2 + 1):
        lines += [
            f"once_{k} = Div ({k * (n + 1 - k)}, t)",
            f"twice_{k} = Div (once_{k}, t)",
            f"product_{k} = Mul (product_{k - 1}, twice_{k})",
        ]
    if n % 2:
        lines += [f"middle = Div ({(n + 1) // 2}, t)", f"y = Mul (product_{n // 2}, middle)"]
    else:
        lines.append(f"y = Identity (product_{n // 2})")
    sign = "" if n % 2 else _SIGN
    return _Source("x", "y", _DENOMINATOR + sign + _CORRECTION + "\n".join(lines))


def _derivative_from_output(n: int) -> _Source:
    """Return the function of order n: (1 - |y|)^2, 2 sgn(y) (|y| - 1), 2, and then 0."""
    if n == 0:
        return _Source("y", "z", "a = Abs (y) \n d = Sub (1, a) \n z = Mul (d, d)")
    if n == 1:
        slope = (
            "a = Abs (y) \n d = Sub (a, 1) \n twice = Add (d, d) \n sign = Sign (y) \n z = Mul (sign, twice)"
        )
        return _Source("y", "z", slope)
    return _filled("y", "z", 2 if n == 2 else 0)


_WITH_ORDER: dict[str, Callable[[int], _Source]] = {
    "SoftsignNthDerivative": _nth_derivative,
    "SoftsignDerivativeFromOutput": _derivative_from_output,
}

_HALF = "_half"
_NAME = re.compile(rf"([A-Za-z]+)(?:_(0|[1-9][0-9]*))?(?:{_HALF})?")
_OPERANDS = re.compile(r"\(([^()]+)\)")
_NUMBER = re.compile(r"-?[0-9][0-9.e+-]*|nan")


def is_function(type: str) -> bool:
    """Whether an operator of `softsign.operator` is a function here.

    Examples
    --------
    >>> from softsign.onnx.functions import is_function
    >>> is_function("SoftsignGradient"), is_function("Add")
    (True, False)
    """
    return type in _SOURCES or type in _WITH_ORDER


def function_name(type: str, attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> str:
    """Return the name that an operator's function has in the domain `DOMAIN`.

    Parameters
    ----------
    type : str
        An operator of `softsign.operator`.
    attributes : mapping
        Its attributes: n, or none.
    dtype : numpy.dtype
        Of its first input.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        When there is no such function.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.onnx.functions import function_name
    >>> function_name("SoftsignNthDerivative", {"n": 3}, np.dtype("float16"))
    'SoftsignNthDerivative_3_half'
    """
    name = "_".join([type, *(str(attributes[key]) for key in attributes)])
    if set(attributes) - {"n"} or operator_of(name)[0] != type:
        raise ValueError(f"{DOMAIN} has no function of {type!r} with the attributes {dict(attributes)}")
    return name + _HALF if dtype.name in ("float16", "bfloat16") else name


def operator_of(name: str) -> tuple[str, dict[str, Any]]:
    """Return the type and the attributes of the operator that a function computes.

    Parameters
    ----------
    name : str
        As `function_name` returns it.

    Returns
    -------
    type : str
    attributes : dict

    Raises
    ------
    ValueError
        When there is no such function.

    Examples
    --------
    >>> from softsign.onnx.functions import operator_of
    >>> operator_of("SoftsignNthDerivative_3_half")
    ('SoftsignNthDerivative', {'n': 3})
    """
    found = _NAME.fullmatch(name)
    if found is not None:
        type, order = found.groups()
        if order is None and type in _SOURCES:
            return type, {}
        if order is not None and type in _WITH_ORDER:
            n = int(order)
            if n <= MAX_ORDER or type != "SoftsignNthDerivative":
                return type, {"n": n}
    raise ValueError(f"{DOMAIN} has no function {name!r}")


# Measured in ONNX Runtime 1.32 and rounded up: Softsign in float32 on all inputs, functions of one number in float32 on all inputs
# of the binades where they bend, the others and float64 on samples; onnx.reference is within them too. The log-Jacobian of float32
# owes 3 ulp to ONNX Runtime's Log; in float64, where that has 1.4 ulp, it is off by 1.6.
_BOUNDS = {
    "Softsign": 0.56,
    "SoftsignGradient": 3.5,
    "SoftsignGradientFromOutput": 3.5,
    "SoftsignInverse": 1.5,
    "SoftsignDerivative": 3.0,
    "SoftsignSecondDerivative": 4.5,
    "SoftsignAntiderivative": 5.5,
    "SoftsignSecondAntiderivative": 6.0,
    "SoftsignLogJacobian": 4.0,
    "SoftsignLogJacobianGradient": 1.5,
    "OnesLike": 0.0,
    "ExpandTo": 0.0,
}


def bound(name: str) -> float:
    """Return the largest error of a function, in ulp.

    SumTo has no bound here: it is the engine's sum.

    Parameters
    ----------
    name : str
        As `function_name` returns it.

    Returns
    -------
    float
        In float32 and float64; of a name that ends in ``_half``, in float16 and bfloat16.

    Raises
    ------
    ValueError
        When there is no such function, or it has no bound.

    Examples
    --------
    >>> from softsign.onnx.functions import bound
    >>> bound("Softsign"), bound("SoftsignNthDerivative_3"), bound("Softsign_half")
    (0.56, 6.5, 0.51)
    """
    type, attributes = operator_of(name)
    if type == "SumTo":
        raise ValueError(f"{name} has no bound of its own: the engine's sum decides")
    if name.endswith(_HALF):
        return 0.51  # one rounding; an ulp of float32 is 2^-13 of one of float16
    if type == "SoftsignNthDerivative":
        return 5 + 0.5 * int(attributes["n"])
    if type == "SoftsignDerivativeFromOutput":
        return {0: 2.5, 1: 0.5}.get(attributes["n"], 0.0)
    return _BOUNDS[type]


def make_functions(names: Iterable[str], opset: int) -> list[FunctionProto]:
    """Return functions and all that they call.

    Parameters
    ----------
    names : iterable of str
        As `function_name` returns them.
    opset : int
        Version of ONNX's operators that the bodies are written in: the model's own, 18 or newer.

    Returns
    -------
    list of onnx.FunctionProto
        Each once, and after those that it calls.

    Raises
    ------
    ValueError
        When there is no function of one of the names, or the opset is too old.

    Examples
    --------
    >>> from softsign.onnx.functions import make_functions
    >>> [function.name for function in make_functions(["SoftsignInverse_half"], 18)]
    ['SoftsignInverse', 'SoftsignInverse_half']
    """
    if opset < OLDEST_OPSET:
        raise ValueError(f"opset is {opset}, but the functions need {OLDEST_OPSET} or newer")
    made: dict[str, FunctionProto] = {}
    for name in names:
        _add(name, opset, made)
    return list(made.values())


def _add(name: str, opset: int, made: dict[str, FunctionProto]) -> None:
    if name in made:
        return
    function = _parsed(name, opset)
    called = [node.op_type for node in function.node if node.domain == DOMAIN]
    for callee in called:
        _add(callee, opset, made)
    if called:
        function.opset_import.add(domain=DOMAIN, version=VERSION)
    made[name] = function


def _parsed(name: str, opset: int) -> FunctionProto:
    source = _source(name)
    return onnx.parser.parse_function(
        f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]>\n'
        f"{name} ({source.inputs}) => ({source.output}) {{\n{_with_constants(source)}\n}}"
    )


def _source(name: str) -> _Source:
    type, attributes = operator_of(name)
    if name.endswith(_HALF):
        return _in_float32(name.removesuffix(_HALF))
    return _WITH_ORDER[type](attributes["n"]) if attributes else _SOURCES[type]


def _in_float32(name: str) -> _Source:
    """Return the function of a 16-bit type: that of float32 between casts. What is called like lends its shape alone."""
    source = _source(name)
    inputs = source.inputs.split(", ")
    wide = [word if word == "like" else f"wide_{word}" for word in inputs]
    casts = [f"{w} = Cast <to = 1> ({word})" for w, word in zip(wide, inputs, strict=True) if w != word]
    call = f"wide_{source.output} = {DOMAIN}.{name} ({', '.join(wide)})"
    back = f"{source.output} = CastLike (wide_{source.output}, {inputs[0]})"
    return source._replace(body="\n".join([*casts, call, back]))


def _with_constants(source: _Source) -> str:
    """Return the body with its numbers replaced by names, after the nodes that make these."""
    names: dict[str, str] = {}

    def operands(call: re.Match[str]) -> str:
        words = call[1].split(", ")
        named = (
            names.setdefault(word, f"constant_{len(names)}") if _NUMBER.fullmatch(word) else word
            for word in words
        )
        return f"({', '.join(named)})"

    body = _OPERANDS.sub(operands, source.body)
    like = source.inputs.split(", ")[0]
    constants = [
        f"{name}_double = Constant <value = double {{{number}}}> ()\n{name} = CastLike ({name}_double, {like})"
        for number, name in names.items()
    ]
    return "\n".join([*constants, body])
