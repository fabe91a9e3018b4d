"""The formulas of the softsign family, in ONNX's text syntax.

Each body uses operators alone that ONNX Runtime has kernels for on the CPU in float32 and float64. Two habits
come from engines: where the choice between two values may be −0, Where has it as its third operand, as ONNX
Runtime turns the −0 of the second into 0; and nothing tells −0 from 0 by a sign bit, which ONNX cannot read.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = [
    "DOMAIN",
    "FORMULAS",
    "FORMULAS_WITH_ORDER",
    "HALF",
    "Formula",
    "formula",
    "in_float32",
]

DOMAIN = "softsign"
#: What the names of the functions of float16 and bfloat16 end in.
HALF = "_half"


class Formula(NamedTuple):  # numpydoc ignore=PR02
    """A function in ONNX's text syntax; numbers as operands are constants of the type of the first input.

    Parameters
    ----------
    inputs : str
        Names of the inputs, a comma and a blank between them.
    output : str
        Name of the output.
    body : str
        The nodes, a line each.
    """

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

# 1 + |x| = t (1 - c): what t has rounded away, exact by Fast2Sum for the larger and the smaller of 1 and |x|.
# At infinity it would be nan; from 2^60 on nobody needs it.
_CORRECTION = """
    larger = Max (1, a)
    smaller = Min (1, a)
    kept = Sub (t, larger)
    excess = Sub (kept, smaller)
    near = Less (a, 1152921504606846976)
    finite_excess = Where (near, excess, 0)
    c = Div (finite_excess, t)
"""

# The quotient x / (1 + |x|) loses up to 1.5 ulp and is not monotone. Below 16 it is corrected by its
# residual: with 1 + |x| = head + tail and the leading half of the quotient, both of at most half the digits
# (12 in float32, 26 in float64), head * leading and its difference to x are exact. What is left of the error
# before the last rounding, 2^-7 ulp, is less than half of what the function climbs from one number to the
# next. From 16 on 1 - 1/t is monotone because each of its operations is.
#
# wide is 1 in float64 and 0 in float32, where 2^27 + 1 rounds to 2^27; splitter is Veltkamp's 2^27 + 1 or
# 2^12 + 1, and a_head a multiple of 2^-21 or 2^-7. (OpenVINO would simplify a + grid - grid.) The residual
# also corrects the quotients of engines whose division is a product with the reciprocal.
_SOFTSIGN = (
    _DENOMINATOR
    + """
    wide = Sub (134217729, 134217728)
    more = Mul (wide, 134213632)
    splitter = Add (4097, more)
    more_scale = Mul (wide, 2097024)
    scale = Add (128, more_scale)
    scaled = Mul (a, scale)
    rounded = Round (scaled)
    a_head = Div (rounded, scale)
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

# With z = sqrt(1 + a) and b = z - 1, so a = b (2 + b), both antiderivatives F1, F2 at a follow from those at
# b in sums of positive terms, so nothing cancels as it does in a - log(1 + a): F1(a) = b^2 + 2 F1(b)
# F2(a) = b^3 (1 + b/2) + 2 z F2(b) and those at b from the series of log(1 + b) = 2 artanh(r), r = b / (2 +
# b): F2(b) = r b^2 S                      F1(b) = (b^2/2 + F2(b)) / z S = sum of r^2k / ((2k + 1) (2k + 3))
# Up to a = 8, where r = 1/2, 24 terms leave less than 2^-53. half_a (1 - r) is b again, with a third of the
# error of a / (1 + z), which r can bear.
_TERMS = 24

# Up to a = 1, log(1 + a) is 2 artanh(r) with r = a / (2 + a), whose series this many terms leave less than
# 2^-53 of. Log (t) less c would be as good, but tinygrad, which sums in an order of its own, loses c.
_LOG_TERMS = 16


def _series(coefficients: Sequence[float]) -> str:
    """Return the text that computes a series in ``square``, as ``sum_0``, by Horner's rule."""
    last = len(coefficients) - 1
    lines = [f"sum_{last} = Identity ({coefficients[last]})"]
    for k in range(last - 1, -1, -1):
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
    + _series([1 / ((2 * k + 1) * (2 * k + 3)) for k in range(_TERMS)])
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


def _filled(like: str, output: str, value: int) -> Formula:
    """Return a function whose value is one number everywhere."""
    return Formula(
        like,
        output,
        f"""
        shape = Shape ({like})
        filled = ConstantOfShape <value = float[1] {{{value}}}> (shape)
        {output} = CastLike (filled, {like})
        """,
    )


FORMULAS: dict[str, Formula] = {
    "Softsign": Formula("x", "y", _SOFTSIGN),
    "SoftsignGradient": Formula(
        "x, dy",
        "dx",
        _DENOMINATOR
        + """
        once = Div (dy, t)
        dx = Div (once, t)
        """,
    ),
    "SoftsignGradientFromOutput": Formula(
        "y, dy",
        "dx",
        """
        a = Abs (y)
        d = Sub (1, a)
        once = Mul (dy, d)
        dx = Mul (once, d)
        """,
    ),
    "SoftsignInverse": Formula(
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
    "SoftsignDerivative": Formula(
        "x",
        "y",
        _DENOMINATOR
        + """
        once = Div (1, t)
        y = Div (once, t)
        """,
    ),
    "SoftsignSecondDerivative": Formula(
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
    "SoftsignAntiderivative": Formula(
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
    "SoftsignSecondAntiderivative": Formula(
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
    "SoftsignLogJacobian": Formula(
        "x",
        "y",
        _DENOMINATOR
        + _CORRECTION
        + """
        rough_log = Log (t)
        log = Sub (rough_log, c)
        large = Mul (-2, log)
        two_a = Add (2, a)
        r = Div (a, two_a)
        square = Mul (r, r)
        """
        + _series([-4 / (2 * k + 1) for k in range(_LOG_TERMS)])
        + """
        small = Mul (r, sum_0)
        is_large = Less (1, a)
        y = Where (is_large, large, small)
        """,
    ),
    "SoftsignLogJacobianGradient": Formula(
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
    "SumTo": Formula(
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
    "ExpandTo": Formula(
        "x, like",
        "y",
        """
        wanted = Shape (like)
        y = Expand (x, wanted)
        """,
    ),
}


def _nth_derivative(n: int) -> Formula:
    """Return the function of order n, n! (-sign)^(n + 1) / (1 + |x|)^(n + 1), without overflow on the way.

    The factors k (n + 1 - k) / t^2 grow with k, so the product first falls and then rises: it never exceeds
    the first or the last of its values. The n + 1 errors of t are one, which the first factor corrects.
    """
    if n < 3:
        named = ("Softsign", "SoftsignDerivative", "SoftsignSecondDerivative")[n]
        return Formula("x", "y", f"y = {DOMAIN}.{named} (x)")
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
    return Formula("x", "y", _DENOMINATOR + sign + _CORRECTION + "\n".join(lines))


def _derivative_from_output(n: int) -> Formula:
    """Return the function of order n: (1 - |y|)^2, 2 sgn(y) (|y| - 1), 2, and then 0."""
    if n == 0:
        return Formula("y", "z", "a = Abs (y) \n d = Sub (1, a) \n z = Mul (d, d)")
    if n == 1:
        slope = (
            "a = Abs (y) \n d = Sub (a, 1) \n twice = Add (d, d) \n sign = Sign (y) \n z = Mul (sign, twice)"
        )
        return Formula("y", "z", slope)
    return _filled("y", "z", 2 if n == 2 else 0)


FORMULAS_WITH_ORDER: dict[str, Callable[[int], Formula]] = {
    "SoftsignNthDerivative": _nth_derivative,
    "SoftsignDerivativeFromOutput": _derivative_from_output,
}


def formula(type: str, n: int | None = None) -> Formula:
    """Return the formula of an operator in float32 and float64.

    Parameters
    ----------
    type : str
        A key of `FORMULAS`, or of `FORMULAS_WITH_ORDER`.
    n : int, optional
        The order, for a key of the latter.

    Returns
    -------
    Formula
        Inputs, output and body.
    """
    return FORMULAS[type] if n is None else FORMULAS_WITH_ORDER[type](n)


def in_float32(name: str, wide: Formula) -> Formula:
    """Return the formula of a 16-bit type: a call of the function of float32 between casts.

    Parameters
    ----------
    name : str
        Name of the function of float32.
    wide : Formula
        Its formula; an input called ``like`` lends its shape alone and stays as it is.

    Returns
    -------
    Formula
        One of the same inputs and output.
    """
    inputs = wide.inputs.split(", ")
    words = [word if word == "like" else f"wide_{word}" for word in inputs]
    casts = [
        f"{made} = Cast <to = 1> ({word})" for made, word in zip(words, inputs, strict=True) if made != word
    ]
    call = f"wide_{wide.output} = {DOMAIN}.{name} ({', '.join(words)})"
    back = f"{wide.output} = CastLike (wide_{wide.output}, {inputs[0]})"
    return wide._replace(body="\n".join([*casts, call, back]))
