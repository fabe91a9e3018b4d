"""Functions of tensors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from softsign.torch import ops

# A call through the dispatcher to a kernel in Python takes 10 us and more. Most calls are for an ordinary tensor, with no
# transformation at work; these go to the kernel directly.

_ORDINARY_TYPES = (Tensor, torch.nn.Parameter)
_dispatch_keys = torch._C._dispatch_keys


def _keys_of_ordinary_tensors() -> Iterator[int]:
    key, keys = torch._C.DispatchKey, torch._C.DispatchKeySet
    for device in ("CPU", "CUDA"):
        inference = keys(getattr(key, device)) | keys(getattr(key, f"Autocast{device}"))
        yield inference.raw_repr()
        yield (inference | keys(key.ADInplaceOrView) | keys(getattr(key, f"Autograd{device}"))).raw_repr()


#: Of strided tensors in memory: not of fake, sparse, quantized, nested or lazily negated ones, nor of those of torch.func.
_ORDINARY_KEYS = frozenset(_keys_of_ordinary_tensors())


def _is_ordinary(x: Any) -> bool:
    return (
        type(x) in _ORDINARY_TYPES
        and _dispatch_keys(x).raw_repr() in _ORDINARY_KEYS
        and not torch._C._len_torch_dispatch_stack()
        and not torch._C._len_torch_function_stack()
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
        and torch._C._get_tracing_state() is None
    )


class _Eager(torch.autograd.Function):
    """Softsign of an ordinary tensor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return ops.direct_softsign(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled() or not (_is_ordinary(x) and _is_ordinary(dy)):
            return ops.softsign_slope(x, dy)
        return ops.direct_gradient(x, dy)


class _EagerInPlace(torch.autograd.Function):
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
        if torch.is_grad_enabled() or not (_is_ordinary(y) and _is_ordinary(dy)):
            return ops.gradient_from_output(y, dy)
        return ops.direct_gradient_from_output(y, dy)


# What Function.apply does, less its search for transformations, of which there are none: 2 us.
_eager = super(torch.autograd.Function, _Eager).apply
_eager_in_place = super(torch.autograd.Function, _EagerInPlace).apply


def softsign(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x / (1 + abs(x)) of each element x.

    Parameters
    ----------
    input
        Tensor of any shape and memory layout. float16, bfloat16, float32, float64, complex64 and complex128 keep their dtype;
        integers and bool are converted to the default dtype first.
    inplace
        Write the result over `input`. For the gradient the result y is kept then, which makes it dy (1 - abs(y))**2: its
        relative error grows with abs(x), to all of it where y rounds to ±1.

    Returns
    -------
    Tensor
        Of the shape and device of `input`; `input` itself if `inplace`. In (-1, 1) before rounding, ±1 at ±inf, nan at nan.

    Raises
    ------
    TypeError
        If `input` is not a tensor.
    NotImplementedError
        If `input` is sparse, quantized or of another dtype.
    RuntimeError
        If `inplace` is asked for where PyTorch forbids it: of a leaf that requires a gradient, of an integer tensor.

    Notes
    -----
    On a CPU the value is correctly rounded and the gradient, dy / (1 + abs(x))**2, within 1 ulp, as in `softsign.softsign`
    and `softsign.gradient`. Backward keeps `input` and nothing else. The second derivative is 0 at 0, where it jumps.

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
    if torch.compiler.is_compiling() or not _is_ordinary(input) or not input.is_floating_point():
        return _softsign(input, inplace)
    tracked = input.requires_grad and torch.is_grad_enabled()
    if inplace:
        return _softsign_in_place(input, tracked)
    return _eager(input) if tracked else ops.direct_softsign(input)


def _softsign_in_place(x: Tensor, tracked: bool) -> Tensor:
    if (
        (tracked and (x.is_leaf or x._is_view()))
        or (x._is_view() and x._base.requires_grad)
        or (x.is_inference() and not torch.is_inference_mode_enabled())
    ):
        return _softsign(x, inplace=True)  # which leaves it to PyTorch whether this is allowed
    if tracked:
        return _eager_in_place(x)
    torch.autograd.graph.increment_version(x)
    ops.overwrite_with_softsign(x)
    return x


def _softsign(x: Tensor, inplace: bool) -> Tensor:
    """Compute it of any tensor under any transformation, through the dispatcher."""
    if isinstance(x, Tensor) and torch.overrides.has_torch_function_unary(x):
        return torch.overrides.handle_torch_function(softsign, (x,), x, inplace=inplace)
    if not inplace:
        return _apply("softsign", ops.softsign, x)
    _check(x, "softsign")
    if x.is_nested and x.layout is torch.strided:
        raise NotImplementedError("softsign: in place, input must not be a nested tensor of strided layout")
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(
            f"softsign: in place, the result in {torch.get_default_dtype()} can't be cast to input of {x.dtype}"
        )
    return x.copy_(ops.softsign(x.clone()) if x.is_complex() else ops.softsign_saving_output(x))


def inverse(y: Tensor) -> Tensor:
    """Return y / (1 - abs(y)), the x whose softsign is y.

    Parameters
    ----------
    y
        Real tensor of any shape; integers and bool are converted to the default dtype.

    Returns
    -------
    Tensor
        Of the shape of `y`: ±inf at ±1, nan beyond. Differentiable to any order.

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
    return _apply("inverse", ops.inverse, y)


def antiderivative(x: Tensor) -> Tensor:
    """Return abs(x) - log(1 + abs(x)), whose derivative is softsign: Fair's loss.

    Parameters
    ----------
    x
        Real tensor of any shape; integers and bool are converted to the default dtype.

    Returns
    -------
    Tensor
        Of the shape of `x`. Differentiable to any order.

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
    return _apply("antiderivative", ops.antiderivative, x)


def log_jacobian(x: Tensor) -> Tensor:
    """Return -2 log(1 + abs(x)), the logarithm of softsign's derivative.

    Parameters
    ----------
    x
        Real tensor of any shape; integers and bool are converted to the default dtype.

    Returns
    -------
    Tensor
        Of the shape of `x`. Differentiable to any order.

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
    return _apply("log_jacobian", ops.log_jacobian, x)


def nth_derivative(n: int, x: Tensor) -> Tensor:
    """Return the derivative of order n: (-sgn(x))**(n + 1) n! / (1 + abs(x))**(n + 1).

    Parameters
    ----------
    n
        Order, from 0 to 170.
    x
        Real tensor of any shape; integers and bool are converted to the default dtype.

    Returns
    -------
    Tensor
        Of the shape of `x`. At 0, where the derivatives of even order jump, those are 0. Differentiable to any order.

    Raises
    ------
    TypeError
        If `x` is not a tensor.
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
    return _apply("nth_derivative", ops.nth_derivative, x, n)


def _check(x: Any, name: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: the argument must be a Tensor, got {type(x).__name__}")
    if x.layout not in (torch.strided, torch.jagged) or x.is_quantized:
        kind = "a quantized tensor" if x.is_quantized else f"one of layout {x.layout}"
        raise NotImplementedError(f"{name}: the argument must be a dense tensor, got {kind}")


def _apply(name: str, op: Any, x: Tensor, *n: int) -> Tensor:
    _check(x, name)
    if not torch.compiler.is_compiling() and "torch.distributed.tensor" in sys.modules:
        ops.offer_sharding()
    if x.is_nested and x.layout is torch.strided:
        return torch.nested.as_nested_tensor([_apply(name, op, part, *n) for part in x.unbind()])
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(torch.get_default_dtype())
    return op(x, *n)
