"""The layer weight * softsign(alpha * x) + bias, in one pass forwards and one backwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from softsign import _core
from softsign.torch import ops
from softsign.torch._calls import check, generally
from softsign.torch._private import apply_untransformed, is_ordinary
from softsign.torch.functional import softsign

__all__ = ["dynamic_softsign"]

Kernel = Callable[..., None]

_TYPES = {
    getattr(torch, name): _core._types.index(name) for name in ("float16", "bfloat16", "float32", "float64")
}


def dynamic_softsign(x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return weight * softsign(alpha * x) + bias, with weight and bias along the last axis of x.

    Parameters
    ----------
    x : torch.Tensor
        Any shape; float16, bfloat16, float32, float64, and integers and bool, which are converted to the
        default dtype.
    alpha : torch.Tensor
        One number.
    weight : torch.Tensor
        As many numbers as the last axis of `x` has.
    bias : torch.Tensor
        The same.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`; computed in float32, of float64 in float64.

    Raises
    ------
    ValueError
        If the other tensors have other sizes.
    """
    check(x, "dynamic_softsign")
    if x.dim() < 1 or not weight.shape == bias.shape == x.shape[-1:] or alpha.numel() != 1:
        shapes = ", ".join(str(list(t.shape)) for t in (x, alpha, weight, bias))
        raise ValueError(
            "dynamic_softsign: alpha must have one number, weight and bias as many as the last axis of x; "
            f"the shapes of x, alpha, weight and bias are {shapes}"
        )
    if not x.is_floating_point():
        x = x.to(torch.get_default_dtype())
    inputs = (x, alpha, weight, bias)
    if torch.compiler.is_dynamo_compiling() or not (all(map(is_ordinary, inputs)) and _have_kernels(*inputs)):
        wide = torch.promote_types(x.dtype, torch.float32)
        a, w, b = (t.to(wide) for t in inputs[1:])
        return (w * softsign(a * x.to(wide)) + b).to(x.dtype)
    if torch.is_grad_enabled() and any(t.requires_grad for t in inputs):
        return _apply(*inputs)
    return _forward(*inputs)


def _have_kernels(x: Tensor, *parameters: Tensor) -> bool:
    """Whether all are on the CPU, or on one GPU in types that its kernels take."""
    if x.is_cpu:
        return all(t.is_cpu for t in parameters)
    return (
        x.is_cuda
        and all(t.device == x.device and t.dtype in _TYPES for t in parameters)
        and ops._triton_kernels(x) is not None
    )


def _kernels(x: Tensor) -> tuple[Kernel, Kernel]:
    """Return what writes the values, and what writes the gradients."""
    if x.is_cpu:
        return _run, _run
    from softsign.torch import cuda_layer

    return cuda_layer.values, cuda_layer.gradients


def _run(x: Tensor, alpha: Tensor, *tensors: Tensor) -> None:
    """Call the kernels for the CPU; weight and bias are in the type that is computed in."""
    columns = x.shape[-1]
    threads = min(torch.get_num_threads(), 1024) if x.numel() >= 8192 else 1
    addresses = (t.data_ptr() for t in (x, *tensors))
    _core._layer(_TYPES[x.dtype], x.numel() // max(columns, 1), columns, threads, alpha.item(), *addresses)


def _forward(x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    x = x.contiguous()
    wide = torch.promote_types(x.dtype, torch.float32)
    y = ops.new_like(x)
    _kernels(x)[0](x, alpha, weight.to(wide).contiguous(), bias.to(wide).contiguous(), y)
    return y


def _gradients(x: Tensor, alpha: Tensor, weight: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    """Return dx, dalpha, dweight and dbias by the kernels."""
    x, dy = x.contiguous(), dy.contiguous()
    dx, columns = ops.new_like(x), x.shape[-1]
    sums = torch.empty(2 * columns + 1, dtype=torch.float64, device=x.device)
    wide = torch.promote_types(x.dtype, torch.float32)
    _kernels(x)[1](x, alpha, dy, weight.to(wide).contiguous(), dx, sums)
    return dx, sums[2 * columns], sums[:columns], sums[columns:-1]


def _general_gradients(x: Tensor, alpha: Tensor, weight: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    """Return the same in operations that can be differentiated."""
    wide = torch.promote_types(x.dtype, torch.float32)
    rows = tuple(range(x.dim() - 1))
    x, alpha, weight, dy = (t.to(wide) for t in (x, alpha, weight, dy))
    u = alpha * x
    slope = ops.gradient(u, dy * weight)
    return alpha * slope, (slope * x).sum(), (dy * ops.softsign(u)).sum(rows), dy.sum(rows)


class DynamicSoftsign(torch.autograd.Function):
    """The layer on ordinary tensors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha, weight, bias)
        return _forward(x, alpha, weight, bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        inputs = ctx.saved_tensors
        given = (*inputs[:3], dy)
        directly = not generally() and all(map(is_ordinary, given))
        gradients = (_gradients if directly else _general_gradients)(*given)
        return tuple(g.to(t.dtype).view_as(t) for g, t in zip(gradients, inputs, strict=True))


_apply = apply_untransformed(DynamicSoftsign)
