"""Functions of tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import profiler

from softsign.functions import MAX_ORDER
from softsign.torch import ops, rules
from softsign.torch._calls import check, dispatch, generally, offer_sharding
from softsign.torch._private import apply_untransformed, is_ordinary, may_be_overwritten

__all__ = [
    "antiderivative",
    "derivative",
    "gradient",
    "inverse",
    "log_jacobian",
    "nth_derivative",
    "second_antiderivative",
    "softsign",
]


# Profilers, `grad_fn` and error messages show the names of the next two, with Backward after them.


class Softsign(torch.autograd.Function):
    """Softsign of an ordinary tensor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return ops.direct_softsign(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        if generally() or not is_ordinary(x, dy):
            return rules.softsign_slope(x, dy)
        return ops.direct_gradient(x, dy)


class SoftsignInPlace(torch.autograd.Function):
    """The same over x itself, which is gone then: the gradient comes from the output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ops.overwrite_with_softsign(x)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        if generally() or not is_ordinary(y, dy):
            return ops.gradient_from_output(y, dy)
        return ops.direct_gradient_from_output(y, dy)


_apply_softsign = apply_untransformed(Softsign)
_apply_softsign_in_place = apply_untransformed(SoftsignInPlace)


def softsign(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x / (1 + abs(x)) of each element x.

    Parameters
    ----------
    input : torch.Tensor
        Any shape and memory layout. float16, bfloat16, float32, float64, complex64 and complex128 keep their
        dtype; integers and bool are converted to the default dtype first.
    inplace : bool
        Write the result over `input`. For the gradient the result y is kept then, which makes it
        dy (1 - abs(y))**2: its relative error grows with abs(x), to all of it where y rounds to ±1.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `input`; `input` itself if `inplace`. In (-1, 1) before rounding, ±1 at
        ±inf, nan at nan.

    Raises
    ------
    TypeError
        If `input` is not a tensor.
    NotImplementedError
        If `input` is sparse, quantized or of another dtype.
    RuntimeError
        If `inplace` is asked for where PyTorch forbids it: of a leaf that requires a gradient, of an integer
        tensor.

    Notes
    -----
    On a CPU the value is correctly rounded and the gradient, dy / (1 + abs(x))**2, within 1 ulp, as in
    `softsign.softsign` and `softsign.gradient`. Backward keeps `input` and nothing else. The second
    derivative is 0 at 0, where it jumps.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import softsign
    >>> x = torch.tensor([-3.0, 0.0, 1.0, float("inf")], requires_grad=True)
    >>> y = softsign(x)
    >>> y.detach()
    tensor([-0.7500,  0.0000,  0.5000,  1.0000])
    >>> y.sum().backward()
    >>> x.grad
    tensor([0.0625, 1.0000, 0.2500, 0.0000])
    """
    if not torch.jit.is_scripting():
        if torch.compiler.is_dynamo_compiling() or not is_ordinary(input) or not input.is_floating_point():
            return _softsign(input, inplace)
        if profiler._is_profiler_enabled:
            with profiler.record_function("softsign"):
                return _ordinary(input, inplace)
        return _ordinary(input, inplace)
    return _scripted(input, inplace)


def _ordinary(x: Tensor, inplace: bool) -> Tensor:
    """Compute it of an ordinary tensor, by the kernel itself."""
    tracked = x.requires_grad and torch.is_grad_enabled()
    if not inplace:
        return _apply_softsign(x) if tracked else ops.direct_softsign(x)
    if not may_be_overwritten(x, tracked):
        return _softsign(x, inplace=True)  # which leaves it to PyTorch whether this is allowed
    if tracked:
        return _apply_softsign_in_place(x)
    torch.autograd.graph.increment_version(x)
    ops.overwrite_with_softsign(x)
    return x


def _scripted(x: Tensor, inplace: bool) -> Tensor:
    """Compute it in TorchScript."""
    if inplace:
        if x.is_complex():
            return x.copy_(torch.ops.softsign.softsign(x.clone()))
        return x.copy_(torch.ops.softsign.softsign_saving_output(x))
    if not (x.is_floating_point() or x.is_complex()):
        x = x * 1.0  # converts to the default dtype, which TorchScript cannot ask for
    return torch.ops.softsign.softsign(x)


def _softsign(x: Tensor, inplace: bool) -> Tensor:
    """Compute it of any tensor under any transformation, through the dispatcher."""
    if torch.overrides.has_torch_function_unary(x):
        return torch.overrides.handle_torch_function(softsign, (x,), x, inplace=inplace)
    if not inplace:
        return _apply(softsign, x)
    check(x, "softsign")
    offer_sharding()
    if x.is_nested and x.layout is torch.strided:
        raise NotImplementedError("softsign: in place, input must not be a nested tensor of strided layout")
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(
            f"softsign: in place, the result in {torch.get_default_dtype()} can't be cast to input of "
            f"{x.dtype}"
        )
    return x.copy_(ops.softsign(x.clone()) if x.is_complex() else ops.softsign_saving_output(x))


def derivative(x: Tensor) -> Tensor:
    """Return 1 / (1 + abs(x))**2, softsign's derivative.

    Parameters
    ----------
    x : torch.Tensor
        Any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to the
        default dtype.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `x`; 0 at ±inf. Differentiable to any order.

    Raises
    ------
    TypeError
        If `x` is not a tensor.
    NotImplementedError
        If `x` is sparse, quantized or of another dtype.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import derivative
    >>> derivative(torch.tensor([-3.0, 0.0, 1.0]))
    tensor([0.0625, 1.0000, 0.2500])
    """
    return _apply(derivative, x)


def gradient(x: Tensor, dy: Tensor) -> Tensor:
    """Return dy / (1 + abs(x))**2, the gradient of softsign at x for the gradient dy of its result.

    Parameters
    ----------
    x : torch.Tensor
        Where; any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to
        the default dtype.
    dy : torch.Tensor
        Gradient with respect to softsign(x), of the same dtypes; broadcast with `x`.

    Returns
    -------
    torch.Tensor
        Shape of `x` and `dy` broadcast, dtype promoted from theirs. Differentiable to any order in both.

    Raises
    ------
    TypeError
        If `x` or `dy` is not a tensor.
    NotImplementedError
        If `x` or `dy` is sparse, quantized, nested or of another dtype.
    RuntimeError
        If the shapes do not broadcast, or the devices differ.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import gradient
    >>> gradient(torch.tensor([-3.0, 0.0, 1.0]), torch.tensor(8.0))
    tensor([0.5000, 8.0000, 2.0000])
    """
    if torch.overrides.has_torch_function((x, dy)):
        return torch.overrides.handle_torch_function(gradient, (x, dy), x, dy)
    for given in (x, dy):
        check(given, "gradient")
        if given.is_nested:
            raise NotImplementedError("gradient: the arguments must be dense tensors, got a nested tensor")
    offer_sharding()
    dtype = torch.promote_types(x.dtype, dy.dtype)
    if not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    return ops.gradient(*torch.broadcast_tensors(x.to(dtype), dy.to(dtype)))


def nth_derivative(n: int, x: Tensor) -> Tensor:
    """Return the derivative of order n: (-sgn(x))**(n + 1) n! / (1 + abs(x))**(n + 1).

    Parameters
    ----------
    n : int
        Order, from 0 to 170.
    x : torch.Tensor
        Any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to the
        default dtype.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `x`. At 0, where the derivatives of even order jump, those are 0.
        Differentiable to any order.

    Raises
    ------
    TypeError
        If `x` is not a tensor or `n` not an integer.
    ValueError
        If `n` is out of its range.
    NotImplementedError
        If `x` is sparse, quantized or of another dtype.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import nth_derivative
    >>> nth_derivative(2, torch.tensor([-1.0, 0.0, 1.0]))
    tensor([ 0.2500,  0.0000, -0.2500])
    """
    return _apply(nth_derivative, n, x)


def inverse(y: Tensor) -> Tensor:
    """Return y / (1 - abs(y)), the x whose softsign is y.

    Parameters
    ----------
    y : torch.Tensor
        Any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to the
        default dtype.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `y`: ±inf at ±1, nan beyond. Differentiable to any order.

    Raises
    ------
    TypeError
        If `y` is not a tensor.
    NotImplementedError
        If `y` is sparse, quantized or of another dtype.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import inverse
    >>> inverse(torch.tensor([-0.75, 0.5, 1.0]))
    tensor([-3.,  1., inf])
    """
    return _apply(inverse, y)


def antiderivative(x: Tensor) -> Tensor:
    """Return abs(x) - log(1 + abs(x)), whose derivative is softsign: Fair's loss.

    Parameters
    ----------
    x : torch.Tensor
        Any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to the
        default dtype.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `x`. Differentiable to any order.

    Raises
    ------
    TypeError
        If `x` is not a tensor.
    NotImplementedError
        If `x` is sparse, quantized or of another dtype.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import antiderivative
    >>> antiderivative(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([0.3069, 0.0000, 1.6137])
    """
    return _apply(antiderivative, x)


def second_antiderivative(x: Tensor) -> Tensor:
    """Return the antiderivative of `antiderivative` that is 0 at 0.

    It is sgn(x) (x**2 / 2 + abs(x) - (1 + abs(x)) log(1 + abs(x))).

    Parameters
    ----------
    x : torch.Tensor
        Any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to the
        default dtype.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `x`. Differentiable to any order.

    Raises
    ------
    TypeError
        If `x` is not a tensor.
    NotImplementedError
        If `x` is sparse, quantized or of another dtype.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import second_antiderivative
    >>> second_antiderivative(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.1137,  0.0000,  1.9548])
    """
    return _apply(second_antiderivative, x)


def log_jacobian(x: Tensor) -> Tensor:
    """Return -2 log(1 + abs(x)), the logarithm of softsign's derivative.

    Parameters
    ----------
    x : torch.Tensor
        Any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to the
        default dtype.

    Returns
    -------
    torch.Tensor
        Shape, dtype and device of `x`. Differentiable to any order.

    Raises
    ------
    TypeError
        If `x` is not a tensor.
    NotImplementedError
        If `x` is sparse, quantized or of another dtype.

    Examples
    --------
    >>> import torch
    >>> from softsign.torch import log_jacobian
    >>> log_jacobian(torch.tensor([0.0, 1.0]))
    tensor([-0.0000, -1.3863])
    """
    return _apply(log_jacobian, x)


def _apply(function: Callable[..., Tensor], *args: Any) -> Tensor:
    """Compute a function of x, which comes last, through the dispatcher."""
    *n, x = args
    if torch.overrides.has_torch_function_unary(x):
        return torch.overrides.handle_torch_function(function, (x,), *args)
    check(x, function.__name__)
    return dispatch(function.__name__, *map(_order, n), x)


def _order(n: Any) -> int:
    try:
        order = operator.index(n)
    except TypeError:
        raise TypeError(f"nth_derivative: n must be an integer from 0 to {MAX_ORDER}, got {n!r}") from None
    ops.check_order(order)
    return order
