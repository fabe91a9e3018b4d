"""The softsign family as functions of an ONNX model, bodies of standard operators that any engine runs.

Each operator of `softsign.operator` that ONNX lacks, and Softsign itself, is a model-local function in the
domain `DOMAIN`; `softsign.onnx.formulas` has the bodies.

What they promise, in an engine that rounds each + − * / and square root correctly:

* One body serves float32 and float64: constants take the type of the input. float16 and bfloat16 have
  functions of their own, whose names end in ``_half``; they compute in float32 and round once, so an engine
  needs no kernels of these types but Cast.
* Errors within `bound`. Nothing overflows or underflows before the result does.
* The special values of the ufuncs, as `softsign.operator` has them: ±inf, the largest numbers, subnormal
  numbers, nan, and the signs of zeros.
* Softsign is monotone and odd, and ±1 at ±inf; ONNX's own formula is nan there in many engines.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx.parser
from onnx import FunctionProto

from softsign import functions
from softsign.onnx.formulas import (
    DOMAIN,
    FORMULAS,
    FORMULAS_WITH_ORDER,
    HALF,
    Formula,
    formula,
    in_float32,
)
from softsign.operator.family import ufunc_name

__all__ = [
    "DOMAIN",
    "VERSION",
    "bound",
    "function_name",
    "is_function",
    "is_function_name",
    "make_functions",
    "operator_of",
]

VERSION = 1
OLDEST_OPSET = 18

_NAME = re.compile(rf"([A-Za-z]+)(?:_(0|[1-9][0-9]*))?(?:{HALF})?")


def is_function(type: str) -> bool:
    """Tell whether an operator of `softsign.operator` is a function here.

    Parameters
    ----------
    type : str
        Type of the operator.

    Returns
    -------
    bool
        True for those that ONNX lacks, and for Softsign.

    Examples
    --------
    >>> from softsign.onnx.functions import is_function
    >>> is_function("SoftsignGradient"), is_function("Add")
    (True, False)
    """
    return type in FORMULAS or type in FORMULAS_WITH_ORDER


def function_name(type: str, attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> str:
    """Return the name that an operator's function has in the domain `DOMAIN`.

    Parameters
    ----------
    type : str
        An operator of `softsign.operator`.
    attributes : mapping of str to int
        Its attributes: n, or none.
    dtype : numpy.dtype
        Dtype of its first input.

    Returns
    -------
    str
        Type and order, and ``_half`` for dtypes of 16 bits.

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
    return name + HALF if dtype.name in ("float16", "bfloat16") else name


def is_function_name(name: str) -> bool:
    """Tell whether a name in the domain `DOMAIN` is that of one of these functions, and not somebody else's.

    Parameters
    ----------
    name : str
        Name of a function.

    Returns
    -------
    bool
        True for what `function_name` returns.

    Examples
    --------
    >>> from softsign.onnx.functions import is_function_name
    >>> is_function_name("SoftsignNthDerivative_3_half"), is_function_name("Mine")
    (True, False)
    """
    return _parts(name) is not None


def operator_of(name: str) -> tuple[str, dict[str, Any]]:
    """Return the type and the attributes of the operator that a function computes.

    Parameters
    ----------
    name : str
        A name that `function_name` returns.

    Returns
    -------
    type : str
        Type of the operator.
    attributes : dict of str to int
        Its attributes: n, or none.

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
    parts = _parts(name)
    if parts is None:
        raise ValueError(f"{DOMAIN} has no function {name!r}")
    return parts


def _parts(name: str) -> tuple[str, dict[str, Any]] | None:
    """Return type and attributes of a function's operator; None without such a function."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    type, order = found.groups()
    if order is None:
        return (type, {}) if type in FORMULAS else None
    n = int(order)
    known = type in FORMULAS_WITH_ORDER and (n <= functions.MAX_ORDER or type != "SoftsignNthDerivative")
    return (type, {"n": n}) if known else None


# The bounds of `softsign.functions` were measured in ONNX Runtime 1.32 and rounded up: Softsign in float32 on
# all inputs, functions of one number in float32 on all inputs of the binades where they bend, the others and
# float64 on samples; onnx.reference is within them too. The log-Jacobian of float32 owes 3 ulp to ONNX
# Runtime's Log; in float64, where that has 1.4 ulp, it is off by 1.6.
#
# The table lacks these, which are no ufuncs of the package.
_BOUNDS = {"SoftsignLogJacobianGradient": 1.5, "OnesLike": 0.0, "ExpandTo": 0.0}
# One rounding of what float32 gives, whose ulp is 2^-13 of one of float16.
_HALF_BOUND = functions.bound("softsign", "float16", "onnx")


def bound(name: str) -> float:
    """Return the largest error of a function, in ulp.

    SumTo has no bound here: it is the engine's sum.

    Parameters
    ----------
    name : str
        A name that `function_name` returns.

    Returns
    -------
    float
        The bound in float32 and float64; for a name that ends in ``_half``, in float16 and bfloat16.

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
    if name.endswith(HALF):
        return _HALF_BOUND
    if type == "SoftsignNthDerivative":  # the table has the largest of its orders
        return 5 + 0.5 * int(attributes["n"])
    if type == "SoftsignDerivativeFromOutput":
        return {0: 2.5, 1: 0.5}.get(attributes["n"], 0.0)
    return _BOUNDS[type] if type in _BOUNDS else functions.bound(ufunc_name(type), "float32", "onnx")


def make_functions(names: Iterable[str], opset: int) -> list[FunctionProto]:
    """Return functions and all that they call.

    Parameters
    ----------
    names : iterable of str
        Names that `function_name` returns.
    opset : int
        Version of ONNX's operators that the bodies are written in: the model's own, 18 or newer.

    Returns
    -------
    list of onnx.FunctionProto
        Each function once, and after those that it calls.

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
    type, attributes = operator_of(name)
    whole = formula(type, **attributes)
    if name.endswith(HALF):
        whole = in_float32(name.removesuffix(HALF), whole)
    function = _parsed(name, whole, opset)
    called = [node.op_type for node in function.node if node.domain == DOMAIN]
    for callee in called:
        _add(callee, opset, made)
    if called:
        function.opset_import.add(domain=DOMAIN, version=VERSION)
    made[name] = function


_OPERANDS = re.compile(r"\(([^()]+)\)")
_NUMBER = re.compile(r"-?[0-9][0-9.e+-]*|nan")


def _parsed(name: str, formula: Formula, opset: int) -> FunctionProto:
    """Return the function of a formula, in a version of ONNX's operators."""
    return onnx.parser.parse_function(
        f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]>\n'
        f"{name} ({formula.inputs}) => ({formula.output}) {{\n{_with_constants(formula)}\n}}"
    )


def _with_constants(formula: Formula) -> str:
    """Return the body with its numbers replaced by names, after the nodes that make these."""
    names: dict[str, str] = {}

    def operands(call: re.Match[str]) -> str:
        words = call[1].split(", ")
        named = (
            names.setdefault(word, f"constant_{len(names)}") if _NUMBER.fullmatch(word) else word
            for word in words
        )
        return f"({', '.join(named)})"

    body = _OPERANDS.sub(operands, formula.body)
    like = formula.inputs.split(", ")[0]
    constants = [
        f"{name}_wide = Constant <value = double {{{number}}}> ()\n{name} = CastLike ({name}_wide, {like})"
        for number, name in names.items()
    ]
    return "\n".join([*constants, body])
