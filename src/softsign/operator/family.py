"""Softsign and its relatives as operators: functors, schemas, gradient makers, and their registration.

Names and schemas of Softsign and SoftsignGradient are Caffe2's (caffe2/operators/softsign_op.cc) and those of its Rust
port, the crate caffe2op-softsign. Three things are different. Caffe2 refuses the gradient of Softsign in place; here it
is computed from the output. There, SoftsignGradient has no gradient; here every operator has one. And the documentation
there gives the derivative as sgn(x) / (1 + |x|)^2, where there is no sign.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import softsign
from softsign.operator.registry import (
    Array,
    GradientMaker,
    Kernel,
    OperatorDef,
    OperatorSchema,
    register_cpu_gradient_operator,
    register_cpu_operator,
    register_gradient,
)

__all__ = ["GetSoftsignGradient", "SoftsignFunctor", "SoftsignGradientFunctor"]

DTYPES = ("float16", "bfloat16", "float32", "float64")


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
        """Compute y = x / (1 + |x|), correctly rounded.

        Parameters
        ----------
        x : ndarray of float16, bfloat16, float32 or float64
        y : ndarray, optional
            Where to write the result; may be `x`. Default: a new array.

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
        """Compute dx = dy / (1 + |x|)^2, to 1 ulp.

        Parameters
        ----------
        x : ndarray of float16, bfloat16, float32 or float64
            The input of Softsign.
        dy : ndarray
            Gradient with respect to its output, of the dtype and shape of `x`.
        dx : ndarray, optional
            Where to write the result; may be `dy`. Default: a new array.

        Returns
        -------
        ndarray
            `dx`, or a new array of the dtype and shape of `x`.
        """
        result: Array = softsign.gradient(x, dy, dx)
        return result


class GetSoftsignGradient(GradientMaker):
    """Gradient maker of Softsign.

    It asks for SoftsignGradient, which needs the input; where that has been overwritten, by Softsign in place or by an
    operator after it, for SoftsignGradientFromOutput.

    Examples
    --------
    >>> from softsign.operator import GetSoftsignGradient, OperatorDef
    >>> print(*GetSoftsignGradient(OperatorDef("Softsign", "X", "Y"), ["dY"]).get_gradient_defs())
    SoftsignGradient(X, dY) -> (X_grad)
    """

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        """Return the one operator that computes the gradient of the input."""
        dy, dx = self.output_gradient(0), self.input_gradient(0)
        if self.input_is_lost(0):
            return [OperatorDef("SoftsignGradientFromOutput", [self.output(0), dy], [dx])]
        return [OperatorDef("SoftsignGradient", [self.input(0), dy], [dx])]


class _GetProductGradient(GradientMaker):
    """Base for dx = dy f'(x), which is linear in dy: for dy the operator itself, for x the product dy f''(x)."""

    def curvature(self) -> str:
        """Emit what computes f''(x) and return its blob."""
        raise NotImplementedError

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        ddx = self.output_gradient(0)
        if self.wants(0):
            product = self.emit("Mul", ddx, self.input(1))
            self.emit("Mul", product, self.curvature(), output=self.input_gradient(0))
        if self.wants(1):
            self.emit(self.op.type, self.input(0), ddx, output=self.input_gradient(1))
        return self.defs


class _GetSoftsignGradientGradient(_GetProductGradient):
    def curvature(self) -> str:
        return self.emit("SoftsignSecondDerivative", self.input(0))


class _GetSoftsignGradientFromOutputGradient(_GetProductGradient):
    def curvature(self) -> str:
        return self.emit("SoftsignDerivativeFromOutput", self.input(0), n=1)


class _GetLogJacobianGradientGradient(_GetProductGradient):
    def curvature(self) -> str:  # -2 log(1 + |x|) has the second derivative 2 / (1 + |x|)^2
        half = self.emit("SoftsignDerivative", self.input(0))
        return self.emit("Sum", half, half)


class _GetLogJacobianGradient(GradientMaker):
    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        dy, dx = self.output_gradient(0), self.input_gradient(0)
        self.emit("SoftsignLogJacobianGradient", self.input(0), dy, output=dx)
        return self.defs


class _GetInverseGradient(GradientMaker):
    """The slope of the inverse at y is 1 / f'(x), and f'(x) is (1 - |y|)^2."""

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        if self.input_is_lost(0):
            slope = self.emit("SoftsignDerivative", self.output(0))
        else:
            slope = self.emit("SoftsignDerivativeFromOutput", self.input(0), n=0)
        self.emit("Div", self.output_gradient(0), slope, output=self.input_gradient(0))
        return self.defs


class _GetChainRuleGradient(GradientMaker):
    """dx = dy f'(x), where f' is an operator too."""

    derivatives: Mapping[str, tuple[str, dict[str, Any]]] = {
        "SoftsignDerivative": ("SoftsignSecondDerivative", {}),
        "SoftsignSecondDerivative": ("SoftsignNthDerivative", {"n": 3}),
        "SoftsignAntiderivative": ("Softsign", {}),
        "SoftsignSecondAntiderivative": ("SoftsignAntiderivative", {}),
    }

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        if "n" in self.op.attributes:
            slope = self.emit(self.op.type, self.input(0), n=self.op.attributes["n"] + 1)
        else:
            derivative, attributes = self.derivatives[self.op.type]
            slope = self.emit(derivative, self.input(0), **attributes)
        self.emit("Mul", self.output_gradient(0), slope, output=self.input_gradient(0))
        return self.defs


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
    doc: str, inputs: Sequence[tuple[str, str]], output: tuple[str, str], **more: object
) -> OperatorSchema:
    """Return a schema of the family: one dtype, one shape, the last input may be overwritten by the output."""
    return OperatorSchema(
        num_inputs=len(inputs),
        allow_inplace={(len(inputs) - 1, 0)},
        identical_type_and_shape=True,
        inputs=inputs,
        outputs=[output],
        dtypes=DTYPES,
        doc=doc,
        **more,  # type: ignore[arg-type]
    )


def _register() -> None:
    register_cpu_operator(
        "Softsign",
        SoftsignFunctor().invoke,
        _schema(
            "Computes softsign, Y = X / (1 + |X|), of each element, correctly rounded. Y may be X: the operator then works "
            "in place.",
            [("input", "tensor of any shape")],
            ("output", "X / (1 + |X|), of the dtype and shape of the input"),
            inherit_onnx_schema="Softsign",
        ),
    )
    register_gradient("Softsign", GetSoftsignGradient)
    register_cpu_gradient_operator(
        "SoftsignGradient",
        SoftsignGradientFunctor().forward,
        _schema(
            "Computes the gradient of Softsign, dX = dY / (1 + |X|)^2, of each element, to 1 ulp. dX may be dY.",
            [_X, ("dY", "gradient with respect to the output of Softsign")],
            _DX,
        ),
    )
    register_gradient("SoftsignGradient", _GetSoftsignGradientGradient)
    register_cpu_gradient_operator(
        "SoftsignGradientFromOutput",
        softsign.gradient_from_output,
        _schema(
            "Computes the gradient of Softsign from its output, dX = dY (1 - |Y|)^2, where the input has been overwritten. "
            "What rounding took from Y is lost: the relative error grows as |X|. dX may be dY.",
            [_Y, ("dY", "gradient with respect to Y")],
            _DX,
        ),
    )
    register_gradient("SoftsignGradientFromOutput", _GetSoftsignGradientFromOutputGradient)
    register_cpu_gradient_operator(
        "SoftsignLogJacobianGradient",
        _log_jacobian_gradient,
        _schema(
            "Computes the gradient of SoftsignLogJacobian, dX = -2 dY sgn(X) / (1 + |X|), of each element. dX may be dY.",
            [_X, ("dY", "gradient with respect to the output of SoftsignLogJacobian")],
            _DX,
        ),
    )
    register_gradient("SoftsignLogJacobianGradient", _GetLogJacobianGradientGradient)
    for name, kernel, maker, doc in _UNARY:
        attributes = ("n",) if kernel in (_nth_derivative, _derivative_from_output) else ()
        source = _Y if name in ("SoftsignInverse", "SoftsignDerivativeFromOutput") else _X
        register_cpu_operator(name, kernel, _schema(doc, [source], ("output", doc), attributes=attributes))
        register_gradient(name, maker)


_UNARY: tuple[tuple[str, Kernel, type[GradientMaker], str], ...] = (
    ("SoftsignInverse", softsign.inverse, _GetInverseGradient, "The inverse, X = Y / (1 - |Y|)."),
    ("SoftsignDerivative", softsign.derivative, _GetChainRuleGradient, "The derivative, 1 / (1 + |X|)^2."),
    (
        "SoftsignSecondDerivative",
        softsign.second_derivative,
        _GetChainRuleGradient,
        "The second derivative, -2 sgn(X) / (1 + |X|)^3, and 0 at 0.",
    ),
    (
        "SoftsignNthDerivative",
        _nth_derivative,
        _GetChainRuleGradient,
        "The derivative of order n, an attribute from 0 to 170.",
    ),
    (
        "SoftsignDerivativeFromOutput",
        _derivative_from_output,
        _GetChainRuleGradient,
        "The derivative of order n, an attribute, of (1 - |Y|)^2 with respect to Y.",
    ),
    (
        "SoftsignAntiderivative",
        softsign.antiderivative,
        _GetChainRuleGradient,
        "The antiderivative, |X| - log(1 + |X|).",
    ),
    (
        "SoftsignSecondAntiderivative",
        softsign.second_antiderivative,
        _GetChainRuleGradient,
        "The antiderivative of SoftsignAntiderivative.",
    ),
    (
        "SoftsignLogJacobian",
        softsign.log_jacobian,
        _GetLogJacobianGradient,
        "The logarithm of the derivative, -2 log(1 + |X|).",
    ),
)
_register()
