"""Softsign and its relatives as operators: functors, schemas, gradient makers, and their registration.

Names and schemas of Softsign and SoftsignGradient are those of Caffe2 (caffe2/operators/softsign_op.cc) and
of its Rust port, the crate caffe2op-softsign. Three things differ. Caffe2 refuses the gradient of Softsign in
place; here it is computed from the output. There, SoftsignGradient has no gradient; here every operator has
one. And the documentation there gives the derivative as sgn(x) / (1 + |x|)^2, where there is no sign.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import softsign
from softsign.functions import DTYPES, MAX_ORDER
from softsign.operator.definitions import Array, Kernel, OperatorDef, OperatorSchema
from softsign.operator.gradient import GradientMaker
from softsign.operator.registry import (
    gradient_of,
    register_cpu_gradient_operator,
    register_cpu_operator,
    register_gradient,
)

__all__ = ["GetSoftsignGradient", "SoftsignFunctor", "SoftsignGradientFunctor"]


class SoftsignFunctor:
    """The kernel of the operator Softsign on the CPU.

    Attributes
    ----------
    context : str
        Where it computes: ``"CPU"``.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator import SoftsignFunctor
    >>> SoftsignFunctor().invoke(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """

    context = "CPU"

    def invoke(self, x: Array, y: Array | None = None) -> Array:
        """Compute ``y = x / (1 + |x|)``, correctly rounded.

        Parameters
        ----------
        x : ndarray
            Array of any shape, of float16, bfloat16, float32 or float64.
        y : ndarray, optional
            Where to write the result, of the dtype and shape of `x`; may be `x`. Default: a new array.

        Returns
        -------
        ndarray
            `y`, or a new array of the dtype and shape of `x`.
        """
        result: Array = softsign.softsign(x, y)
        return result


class SoftsignGradientFunctor:
    """The kernel of the operator SoftsignGradient on the CPU.

    Attributes
    ----------
    context : str
        Where it computes: ``"CPU"``.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator import SoftsignGradientFunctor
    >>> SoftsignGradientFunctor().forward(np.array([-1.0, 3.0]), np.array([1.0, 2.0]))
    array([0.25 , 0.125])
    """

    context = "CPU"

    def forward(self, x: Array, dy: Array, dx: Array | None = None) -> Array:
        """Compute ``dx = dy / (1 + |x|)^2``, to 1 ulp.

        Parameters
        ----------
        x : ndarray
            Input of Softsign, of any shape, of float16, bfloat16, float32 or float64.
        dy : ndarray
            Gradient with respect to its output, of the dtype and shape of `x`.
        dx : ndarray, optional
            Where to write the result, of the dtype and shape of `x`; may be `dy`. Default: a new array.

        Returns
        -------
        ndarray
            `dx`, or a new array of the dtype and shape of `x`.
        """
        result: Array = softsign.gradient(x, dy, dx)
        return result


class GetSoftsignGradient(GradientMaker):  # numpydoc ignore=PR02
    """Gradient maker of Softsign.

    It asks for SoftsignGradient, which needs the input; where that has been overwritten, by Softsign in place
    or by an operator after it, for SoftsignGradientFromOutput.

    Parameters
    ----------
    op : OperatorDef
        The operator to differentiate.
    output_gradients : sequence of (str or None), optional
        Blobs with the gradients of its outputs, as for `GradientMaker`.
    scope : Scope, optional
        The graph around it.

    Examples
    --------
    >>> from softsign.operator import GetSoftsignGradient, OperatorDef
    >>> print(*GetSoftsignGradient(OperatorDef("Softsign", "X", "Y"), ["dY"]).get_gradient_defs())
    SoftsignGradient(X, dY) -> (X_grad)
    """

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        """Return the one operator that computes the gradient of the input.

        Returns
        -------
        sequence of OperatorDef
            SoftsignGradient or SoftsignGradientFromOutput.
        """
        dy, dx = self.output_gradient(0), self.input_gradient(0)
        if self.input_is_lost(0):
            return [OperatorDef("SoftsignGradientFromOutput", [self.output(0), dy], [dx])]
        return [OperatorDef("SoftsignGradient", [self.input(0), dy], [dx])]


def _nth_derivative(x: Array, y: Array | None = None, *, n: int) -> Array:
    result: Array = softsign.nth_derivative(n, x, y)
    return result


def _derivative_from_output(y: Array, out: Array | None = None, *, n: int) -> Array:
    """Differentiate (1 - |y|)^2 n times."""
    if not hasattr(n, "__index__") or n < 0:
        raise ValueError(f"n must be an integer, 0 or more, not {n!r}")
    if n == 0:
        result: Array = softsign.gradient_from_output(y, y.dtype.type(1), out)
        return result
    if n == 1:  # 1 - |y| is exact where it is small; NumPy 2.0 makes float32 of bfloat16 and Python numbers
        number = y.dtype.type
        return np.asarray(np.multiply(np.sign(y), number(2) * (np.abs(y) - number(1)), out))
    constant = np.where(np.isfinite(y), y.dtype.type(2 if n == 2 else 0), y.dtype.type(np.nan))
    return _into(out, constant)


def _log_jacobian_gradient(x: Array, dy: Array, dx: Array | None = None) -> Array:
    """Return -2 dy sign(x) / (1 + |x|); the 16-bit types are rounded once, at the end."""
    wide = x.astype(np.result_type(x.dtype, np.float32), copy=False)
    half = 0.5 + 0.5 * np.abs(wide)  # of the denominator: 2 dy could overflow
    return _into(dx, np.asarray(-np.sign(wide) * (dy / half), x.dtype))


def _into(out: Array | None, result: Array) -> Array:
    if out is None:
        return result
    np.copyto(out, result)
    return out


_X = ("X", "input of Softsign")
_Y = ("Y", "output of Softsign")
_DX = ("dX", "gradient with respect to X")


def _schema(
    doc: str, inputs: Sequence[tuple[str, str]], output: tuple[str, str], **more: Any
) -> OperatorSchema:
    """Return a schema of the family: one dtype, one shape, and the output may overwrite the last input."""
    return OperatorSchema(
        num_inputs=len(inputs),
        allow_inplace={(len(inputs) - 1, 0)},
        identical_type_and_shape=True,
        inputs=inputs,
        outputs=[output],
        dtypes=DTYPES,
        doc=doc,
        **more,
    )


def _unary(doc: str, source: tuple[str, str] = _X, **more: Any) -> OperatorSchema:
    return _schema(doc, [source], ("output", doc), **more)


_FORWARD = {
    "Softsign": _schema(
        "Computes softsign, Y = X / (1 + |X|), of each element, correctly rounded. Y may be X: the operator "
        "then works in place.",
        [("input", "tensor of any shape")],
        ("output", "X / (1 + |X|), of the dtype and shape of the input"),
        inherit_onnx_schema="Softsign",
    ),
    "SoftsignInverse": _unary("The inverse, X = Y / (1 - |Y|).", _Y),
    "SoftsignDerivative": _unary("The derivative, 1 / (1 + |X|)^2."),
    "SoftsignSecondDerivative": _unary("The second derivative, -2 sgn(X) / (1 + |X|)^3, and 0 at 0."),
    "SoftsignNthDerivative": _unary(
        f"The derivative of order n, an attribute from 0 to {MAX_ORDER}.", attributes=["n"]
    ),
    "SoftsignDerivativeFromOutput": _unary(
        "The derivative of order n, an attribute, of (1 - |Y|)^2 with respect to Y.", _Y, attributes=["n"]
    ),
    "SoftsignAntiderivative": _unary("The antiderivative, |X| - log(1 + |X|)."),
    "SoftsignSecondAntiderivative": _unary("The antiderivative of SoftsignAntiderivative."),
    "SoftsignLogJacobian": _unary("The logarithm of the derivative, -2 log(1 + |X|)."),
}
_BACKWARD = {
    "SoftsignGradient": _schema(
        "Computes the gradient of Softsign, dX = dY / (1 + |X|)^2, of each element, to 1 ulp. dX may be dY.",
        [_X, ("dY", "gradient with respect to the output of Softsign")],
        _DX,
    ),
    "SoftsignGradientFromOutput": _schema(
        "Computes the gradient of Softsign from its output, dX = dY (1 - |Y|)^2, where the input has been "
        "overwritten. What rounding took from Y is lost: the relative error grows as |X|. dX may be dY.",
        [_Y, ("dY", "gradient with respect to Y")],
        _DX,
    ),
    "SoftsignLogJacobianGradient": _schema(
        "Computes the gradient of SoftsignLogJacobian, dX = -2 dY sgn(X) / (1 + |X|), of each element. "
        "dX may be dY.",
        [_X, ("dY", "gradient with respect to the output of SoftsignLogJacobian")],
        _DX,
    ),
}
_KERNELS: dict[str, Kernel] = {
    "Softsign": SoftsignFunctor().invoke,
    "SoftsignNthDerivative": _nth_derivative,
    "SoftsignDerivativeFromOutput": _derivative_from_output,
    "SoftsignGradient": SoftsignGradientFunctor().forward,
    "SoftsignLogJacobianGradient": _log_jacobian_gradient,
}


def ufunc_name(operator: str) -> str:
    """Return the name of the ufunc that an operator of the family computes.

    Parameters
    ----------
    operator : str
        Name of the operator, such as ``SoftsignGradientFromOutput``.

    Returns
    -------
    str
        Name of the ufunc, such as ``gradient_from_output``.

    Examples
    --------
    >>> from softsign.operator.family import ufunc_name
    >>> ufunc_name("Softsign"), ufunc_name("SoftsignGradientFromOutput")
    ('softsign', 'gradient_from_output')
    """
    words = re.findall("[A-Z][a-z]+", operator.removeprefix("Softsign") or operator)
    return "_".join(words).lower()


def _kernel(operator: str) -> Kernel:
    """Return the kernel of an operator, by default the ufunc of its name: inverse for SoftsignInverse."""
    kernel: Kernel = _KERNELS.get(operator) or getattr(softsign, ufunc_name(operator))
    return kernel


for _name, _found in _FORWARD.items():
    register_cpu_operator(_name, _kernel(_name), _found)
for _name, _found in _BACKWARD.items():
    register_cpu_gradient_operator(_name, _kernel(_name), _found)


register_gradient("Softsign", GetSoftsignGradient)


def _chain_rule(maker: GradientMaker, slope: str, **attributes: Any) -> None:
    """Emit dx = dy f'(x), where f' is an operator of x too."""
    dy, factor = maker.output_gradient(0), maker.emit(slope, maker.input(0), **attributes)
    maker.emit("Mul", dy, factor, output=maker.input_gradient(0))


_SLOPES: dict[str, tuple[str, dict[str, Any]]] = {
    "SoftsignDerivative": ("SoftsignSecondDerivative", {}),
    "SoftsignSecondDerivative": ("SoftsignNthDerivative", {"n": 3}),
    "SoftsignAntiderivative": ("Softsign", {}),
    "SoftsignSecondAntiderivative": ("SoftsignAntiderivative", {}),
}


@gradient_of(*_SLOPES)
def _slope(maker: GradientMaker) -> None:
    slope, attributes = _SLOPES[maker.op.type]
    _chain_rule(maker, slope, **attributes)


@gradient_of("SoftsignNthDerivative", "SoftsignDerivativeFromOutput")
def _next_order(maker: GradientMaker) -> None:
    _chain_rule(maker, maker.op.type, n=maker.op.attributes["n"] + 1)


@gradient_of("SoftsignInverse")
def _inverse(maker: GradientMaker) -> None:
    """Emit dy / f'(x): the slope of the inverse at y is 1 / f'(x), and f'(x) is (1 - |y|)^2."""
    if maker.input_is_lost(0):
        slope = maker.emit("SoftsignDerivative", maker.output(0))
    else:
        slope = maker.emit("SoftsignDerivativeFromOutput", maker.input(0), n=0)
    maker.emit("Div", maker.output_gradient(0), slope, output=maker.input_gradient(0))


@gradient_of("SoftsignLogJacobian")
def _log_jacobian(maker: GradientMaker) -> None:
    x, dy = maker.input(0), maker.output_gradient(0)
    maker.emit("SoftsignLogJacobianGradient", x, dy, output=maker.input_gradient(0))


def _log_jacobian_second_slope(maker: GradientMaker) -> str:
    half = maker.emit("SoftsignDerivative", maker.input(0))
    return maker.emit("Sum", half, half)


#: What emits f'' for an operator of x and dy that computes dy f'(x).
_SECOND_SLOPES: dict[str, Callable[[GradientMaker], str]] = {
    "SoftsignGradient": lambda maker: maker.emit("SoftsignSecondDerivative", maker.input(0)),
    "SoftsignGradientFromOutput": lambda maker: maker.emit(
        "SoftsignDerivativeFromOutput", maker.input(0), n=1
    ),
    "SoftsignLogJacobianGradient": _log_jacobian_second_slope,  # 2 / (1 + |x|)^2
}


@gradient_of(*_SECOND_SLOPES)
def _gradient(maker: GradientMaker) -> None:
    """Emit dy f''(x) for x, and for dy the operator itself, which is linear in it."""
    ddx = maker.output_gradient(0)
    if maker.wants(0):
        product = maker.emit("Mul", ddx, maker.input(1))
        second_slope = _SECOND_SLOPES[maker.op.type](maker)
        maker.emit("Mul", product, second_slope, output=maker.input_gradient(0))
    if maker.wants(1):
        maker.emit(maker.op.type, maker.input(0), ddx, output=maker.input_gradient(1))
