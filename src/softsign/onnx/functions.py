"""Softsign's family as ONNX functions: bodies of standard operators, which any ONNX engine runs.

Each is named after its operator in `softsign.operator`, with the attribute n behind it where there is one
(``SoftsignNthDerivative_3``). The bodies suit float32 and float64. Those with ``_half`` behind the name, for float16 and
bfloat16, compute in float32 and round once at the end.

They give what the ufuncs give at infinity, at the largest finite number, at nan and outside the domain. Their errors are those
of a few rounded operations; `bound` tells them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from onnx import FunctionProto, parser

__all__ = ["DOMAIN", "VERSION", "bound", "function_name", "is_function", "make_functions", "operator_of"]

DOMAIN = "softsign"
VERSION = 1

# t = 1 + |x|, rounded
_T = "number = Constant <value_float = 1.0> () one = CastLike (number, x) a = Abs (x) t = Add (one, a)"
# What rounding added to t: t - e is 1 + |x| exactly (Knuth's TwoSum).
_E = "t1 = Sub (t, one) t2 = Sub (t, t1) e1 = Sub (t2, one) e2 = Sub (t1, a) e = Add (e1, e2)"
# u = 1 - |y|, exact where it is small
_U = "number = Constant <value_float = 1.0> () one = CastLike (number, y) a = Abs (y) u = Sub (one, a)"


def _series(coefficients: Iterable[float]) -> str:
    """Return Horner's scheme in z for the sum of c z^k, as `sum`."""
    *rest, last = coefficients
    lines = [
        f"c{len(rest)} = Constant <value = double {{{last!r}}}> () s{len(rest)} = CastLike (c{len(rest)}, x)"
    ]
    for k in reversed(range(len(rest))):
        lines.append(
            f"c{k} = Constant <value = double {{{rest[k]!r}}}> () d{k} = CastLike (c{k}, x) "
            f"p{k} = Mul (s{k + 1}, z) s{k} = Add (p{k}, d{k})"
        )
    return "\n".join([*lines, "sum = Identity (s0)"])


def _logarithm(least: float) -> str:
    """Return log(1 + b) as `l`, with b = max(|x|, least): log(v) b / (v - 1) makes up for the rounding of v = 1 + b."""
    return f"""
        low = Constant <value_float = {least}> () least = CastLike (low, x) b = Max (a, least)
        v = Add (one, b) logv = Log (v) v1 = Sub (v, one) ratio = Div (b, v1) l = Mul (logv, ratio)"""


# |x| - log(1 + |x|) = r (|x| - 2 S), S the sum of z^k / (2 k + 1) from k = 1, with r = |x| / (2 + |x|), z = r^2: without
# cancellation. Up to |x| = 1 (z <= 1/9), 17 terms leave less than 2^-58.
_SERIES_1 = _series([0.0, *(1 / (2 * k + 1) for k in range(1, 18))])
# The second antiderivative is sgn(x) r |x|^2 times the sum of z^k / ((2 k + 1) (2 k + 3)), all terms positive. Up to
# |x| = 2 (z <= 1/4), 25 terms leave less than 2^-60.
_SERIES_2 = _series(1 / ((2 * k + 1) * (2 * k + 3)) for k in range(25))
_R = "two = Add (one, one) a2 = Add (two, a) r = Div (a, a2) z = Mul (r, r)"

# 0 - x is 0 where -x would be -0. ONNX Runtime's Where returns a -0 of its third input, but makes 0 of one of its second.
_BODIES = {
    # Where t is infinite, and there alone, t = 2 t. Elsewhere x / (t - e) is x / t and its e / t-th part.
    "Softsign": f"""(x) => (y) {{ {_T} {_E}
        q = Div (x, t) part = Div (e, t) more = Mul (q, part) finite = Add (q, more)
        twice = Add (t, t) infinite = Equal (t, twice) limit = Sign (x) y = Where (infinite, limit, finite) }}""",
    # Two divisions: t^2 would overflow, in float32 from |x| = 1.8e19.
    "SoftsignGradient": f"(x, dy) => (dx) {{ {_T} q = Div (dy, t) dx = Div (q, t) }}",
    "SoftsignGradientFromOutput": f"(y, dy) => (dx) {{ {_U} p = Mul (dy, u) dx = Mul (p, u) }}",
    "SoftsignInverse": f"""(y) => (x) {{ {_U} q = Div (y, u)
        none = Constant <value_float = nan> () undefined = CastLike (none, y)
        zero = Sub (one, one) outside = Less (u, zero) x = Where (outside, undefined, q) }}""",
    "SoftsignDerivative": f"(x) => (y) {{ {_T} q = Div (one, t) y = Div (q, t) }}",
    "SoftsignSecondDerivative": f"""(x) => (y) {{ {_T} sign = Sign (x) twice = Add (sign, sign)
        zero = Sub (one, one) c = Sub (zero, twice) q1 = Div (c, t) q2 = Div (q1, t) y = Div (q2, t) }}""",
    "SoftsignAntiderivative": f"""(x) => (y) {{ {_T} {_R} {_SERIES_1} {_logarithm(1.0)}
        double = Add (sum, sum) rest = Sub (a, double) small = Mul (r, rest) large = Sub (b, l)
        near = LessOrEqual (a, one) finite = Where (near, small, large)
        twice = Add (a, a) itself = Equal (a, twice) y = Where (itself, a, finite) }}""",
    "SoftsignSecondAntiderivative": f"""(x) => (y) {{ {_T} {_R} {_SERIES_2} {_logarithm(2.0)}
        ra = Mul (r, a) raa = Mul (ra, a) small = Mul (raa, sum)
        half = Div (b, two) part = Sub (half, l) factor = Add (part, one) product = Mul (b, factor)
        large = Sub (product, l)
        near = LessOrEqual (a, two) even = Where (near, small, large) sign = Sign (x) finite = Mul (sign, even)
        twice = Add (a, a) itself = Equal (a, twice) other = Not (itself) y = Where (other, finite, x) }}""",
    "SoftsignLogJacobian": f"""(x) => (y) {{ {_T}
        d = Sub (t, one) zero = Sub (one, one) tiny = Equal (d, zero) safe = Where (tiny, one, d)
        logt = Log (t) ratio = Div (a, safe) product = Mul (logt, ratio)
        twice = Add (t, t) infinite = Equal (t, twice) limit = Or (tiny, infinite)
        l = Where (limit, a, product) double = Add (l, l) y = Neg (double) }}""",
    "SoftsignLogJacobianGradient": f"""(x, dy) => (dx) {{ {_T} sign = Sign (x) twice = Add (sign, sign) c = Neg (twice)
        q = Div (dy, t) dx = Mul (c, q) }}""",
    "OnesLike": """(x) => (y) { number = Constant <value_float = 1.0> () one = CastLike (number, x)
        shape = Shape (x) y = Expand (one, shape) }""",
    "ExpandTo": "(x, like) => (y) { shape = Shape (like) y = Expand (x, shape) }",
    # The axes to sum over are those where the shape of `like`, with ones before it, is not that of x.
    "SumTo": """(x, like) => (y) {
        from = Shape (x) to = Shape (like) rank = Size (from) kept = Size (to) missing = Sub (rank, kept)
        flat = Constant <value_ints = [-1]> () count = Reshape (missing, flat)
        unit = Constant <value_ints = [1]> () ones = Expand (unit, count) aligned = Concat <axis = 0> (ones, to)
        same = Equal (aligned, from) differs = Not (same) where = NonZero (differs) axes = Reshape (where, flat)
        reduced = ReduceSum <keepdims = 1, noop_with_empty_axes = 1> (x, axes)
        y = Reshape <allowzero = 1> (reduced, to) }""",
}
_NUMBERED = ("SoftsignNthDerivative", "SoftsignDerivativeFromOutput")
_HALF = "_half"


def is_function(type: str) -> bool:
    """Whether an operator of `softsign.operator` is a function here."""
    return type in _BODIES or type in _NUMBERED


def function_name(type: str, attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> str:
    """Return what the function of an operator is called for a dtype.

    Parameters
    ----------
    type : str
        The operator.
    attributes : mapping
        Of its use.
    dtype : numpy.dtype
        Of its first input.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.onnx.functions import function_name
    >>> function_name("SoftsignNthDerivative", {"n": 3}, np.dtype("float16"))
    'SoftsignNthDerivative_3_half'
    """
    number = f"_{attributes['n']}" if type in _NUMBERED else ""
    return f"{type}{number}{_HALF if dtype.name in ('float16', 'bfloat16') else ''}"


def operator_of(name: str) -> tuple[str, dict[str, Any]]:
    """Return the operator and the attributes of a function.

    Parameters
    ----------
    name : str
        What `function_name` returns.

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
    match = re.fullmatch(r"([A-Za-z]+)(?:_(\d+))?(?:_half)?", name)
    if match is not None:
        type, number = match.groups()
        if number is None and type in _BODIES:
            return type, {}
        if number is not None and type in _NUMBERED:
            return type, {"n": int(number)}
    raise ValueError(f"{DOMAIN} has no function {name!r}")


def bound(name: str) -> float:
    """Return the largest error of a function in ulp, as measured on ONNX Runtime and rounded up.

    Parameters
    ----------
    name : str
        What `function_name` returns.

    Returns
    -------
    float

    Examples
    --------
    >>> from softsign.onnx.functions import bound
    >>> bound("Softsign"), bound("Softsign_half")
    (1.01, 0.51)
    """
    type, attributes = operator_of(name)
    if name.endswith(_HALF):
        return 0.51  # of one rounding: float32's error is 2^-13 of that
    if "n" in attributes:
        return 2.0 * (attributes["n"] + 1)  # t, k / t and the product round in each of n + 1 steps
    return _BOUNDS.get(type, 0.0)


_BOUNDS = {
    "Softsign": 1.01,
    "SoftsignInverse": 1.5,
    "SoftsignDerivative": 3.0,
    "SoftsignGradient": 3.0,
    "SoftsignGradientFromOutput": 3.0,
    "SoftsignSecondDerivative": 4.5,
    "SoftsignAntiderivative": 4.5,
    "SoftsignSecondAntiderivative": 8.0,
    "SoftsignLogJacobian": 4.5,  # float32: of ONNX Runtime's logarithm; float64 2.3
    "SoftsignLogJacobianGradient": 2.5,
}


def make_functions(names: Iterable[str], opset: int) -> list[FunctionProto]:
    """Return functions and those that they call.

    Parameters
    ----------
    names : iterable of str
        What `function_name` returns.
    opset : int
        Of the model, 18 or newer: engines refuse a function of another one.

    Returns
    -------
    list of onnx.FunctionProto
        Each once, behind those that it calls.

    Raises
    ------
    ValueError
        When there is no such function.

    Examples
    --------
    >>> from softsign.onnx.functions import make_functions
    >>> [function.name for function in make_functions(["Softsign_half"], 18)]
    ['Softsign', 'Softsign_half']
    """
    wanted: dict[str, None] = {}
    for name in names:
        if name.endswith(_HALF):
            wanted[name.removesuffix(_HALF)] = None
        wanted[name] = None
    return [_function(name, opset) for name in wanted]


def _function(name: str, opset: int) -> FunctionProto:
    type, attributes = operator_of(name)
    body = _body(type, **attributes)
    imports = f'"" : {opset}'
    if name.endswith(_HALF):
        body = _half(name.removesuffix(_HALF), body)
        imports += f', "{DOMAIN}" : {VERSION}'
    return parser.parse_function(f'<domain: "{DOMAIN}", opset_import: [{imports}]> {name} {body}')


def _half(name: str, body: str) -> str:
    """Return the body that calls a function in float32. What `like` is for is its shape alone."""
    head = re.match(r"\(([^)]*)\)", body)
    assert head is not None
    inputs = head[1].split(", ")
    wide = [f"wide_{i}" if i != "like" else i for i in inputs]
    casts = " ".join(f"{w} = Cast <to = 1> ({i})" for w, i in zip(wide, inputs, strict=True) if w != i)
    call = f"result = {DOMAIN}.{name} ({', '.join(wide)}) half = CastLike (result, {inputs[0]})"
    return f"({', '.join(inputs)}) => (half) {{ {casts} {call} }}"


def _body(type: str, n: int = 0) -> str:
    if type == "SoftsignNthDerivative":
        return _BODIES["Softsign"] if n == 0 else _nth_derivative(n)
    if type == "SoftsignDerivativeFromOutput":
        return _derivative_from_output(n)
    return _BODIES[type]


def _nth_derivative(n: int) -> str:
    """Return n! / t^(n + 1) as a product of k / t, which overflows and underflows only where the result does."""
    lines = ["r0 = Div (one, t)"]
    for k in range(1, n + 1):
        lines.append(
            f"c{k} = Constant <value_float = {k}.0> () k{k} = CastLike (c{k}, x) "
            f"f{k} = Div (k{k}, t) r{k} = Mul (r{k - 1}, f{k})"
        )
    sign = (
        f"y = Identity (r{n})"
        if n % 2
        else f"zero = Sub (one, one) sign = Sign (x) c = Sub (zero, sign) y = Mul (c, r{n})"
    )
    return "\n".join([f"(x) => (y) {{ {_T}", *lines, f"{sign} }}"])


def _derivative_from_output(n: int) -> str:
    """Return the derivative of order n of (1 - |y|)^2."""
    if n == 0:
        return f"(y) => (x) {{ {_U} x = Mul (u, u) }}"
    if n == 1:
        return f"(y) => (x) {{ {_U} sign = Sign (y) twice = Add (sign, sign) less = Neg (u) x = Mul (twice, less) }}"
    value = 2.0 if n == 2 else 0.0
    return f"""(y) => (x) {{ number = Constant <value_float = {value}> () value = CastLike (number, y)
        shape = Shape (y) x = Expand (value, shape) }}"""
