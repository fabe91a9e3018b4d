"""The operators' rules under transformations: derivatives, vmap, sharding.

Every transformation of PyTorch (autograd, forward mode, vmap, fake tensors, tracing, compilation, sharding)
is a key of the dispatcher, and finds its rule there. Each derivative is an operator with derivatives of its
own, so that there are all orders.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from softsign.torch import _private, formulas, onnx, ops

# Derivatives. These functions of one number have the same rule forwards and backwards: slope(saved, v), for
# nth_derivative slope(n, saved, v), is v times the derivative. So it is for complex softsign, whose df/dz is
# real. Where a derivative and more than one factor come together it is always `derivative_times` that
# multiplies, as the product of the factors alone may overflow, and the derivative alone be 0.


def softsign_slope(x: Tensor, v: Tensor) -> Tensor:
    """Return v times softsign's derivative at x.

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and floating-point or complex dtype.
    v : torch.Tensor
        Gradient or tangent, with the shape and dtype of `x`.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    return formulas.gradient(x, v) if x.is_complex() else ops.gradient(x, v)


def _slope(function: str, n: int) -> Callable[..., Tensor]:
    return lambda x, v: ops.derivative_times(function, n, x, [v])


def _nth_derivative_slope(n: int, x: Tensor, v: Tensor) -> Tensor:
    return ops.gradient(x, v) if n == 0 else ops.derivative_times("softsign", n + 1, x, [v])


def scaled_slope(
    name: str, number: float, x: Tensor, v: Tensor, gradient: Callable[..., Tensor] = ops.gradient
) -> Tensor:
    """Return v times the derivative of one of `ops.VARIANTS`: softsign's at x / c, or slope * x.

    Parameters
    ----------
    name : str
        Name of the operator.
    number : float
        The cap or the slope.
    x : torch.Tensor
        Arguments, of any shape and floating-point dtype.
    v : torch.Tensor
        Gradient or tangent, with the shape and dtype of `x`.
    gradient : callable
        Computes v times softsign's derivative.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    wide = torch.promote_types(x.dtype, torch.float32)  # float16 has no room for the multiple
    scaled = x.to(wide) / number if name == "soft_cap" else x.to(wide) * number
    return gradient(scaled, v.to(wide)).to(x.dtype)


_SLOPES: dict[str, Callable[..., Tensor]] = {
    "softsign": softsign_slope,
    "softsign_saving_output": ops.gradient_from_output,
    "derivative": _slope("softsign", 2),
    "nth_derivative": _nth_derivative_slope,
    "inverse": _slope("inverse", 1),
    "log_jacobian": _slope("log_jacobian", 1),
    "antiderivative": _slope("softsign", 0),
    "second_antiderivative": _slope("softsign", -1),
    **{name: functools.partial(scaled_slope, name) for name in ops.VARIANTS},
}
#: Of these two operators on (x, dy): the function and its order in the derivative with respect to x.
_BINARY_SLOPES = {"gradient": ("softsign", 2), "gradient_from_output": ("gradient_from_output", 1)}


def _in_jvp() -> contextlib.AbstractContextManager[None]:
    """Compute a tangent under this: a level of torch.func else hides those below it from forward mode."""
    return _private.below_autograd() if _private.transformed() else contextlib.nullcontext()


def _unary(name: str) -> type[torch.autograd.Function]:
    op, slope = ops.OPERATORS[name], _SLOPES[name]
    from_output = name == "softsign_saving_output"

    class Unary(torch.autograd.Function):
        @staticmethod
        def forward(*args: Any) -> Any:
            with _private.below_autograd():
                return op(*args)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            *ctx.n, x = inputs
            saved = output if from_output else x
            ctx.save_for_backward(saved)
            ctx.save_for_forward(saved)

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
            return (*(None for _ in ctx.n), slope(*ctx.n, *ctx.saved_tensors, dy))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Tensor:
            t = tangents[-1]
            with _in_jvp():
                if from_output:
                    t = t.clone()  # for it is overwritten with x, when the result is copied there
                return slope(*ctx.n, *ctx.saved_tensors, t)

    return _named(name, Unary)


def _named(name: str, function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """Give a function the name by which profilers, `grad_fn` and error messages speak of it."""
    shown = "".join(part.title() for part in ("softsign_" + name.removeprefix("softsign")).split("_"))
    named: type[torch.autograd.Function] = types.new_class(shown, (function,))
    return named


def _binary(name: str) -> type[torch.autograd.Function]:
    op, (function, n) = ops.OPERATORS[name], _BINARY_SLOPES[name]

    def slope(x: Tensor, dy: Tensor, v: Tensor) -> Tensor:
        return ops.derivative_times(function, n, x, [dy, v])

    class Binary(torch.autograd.Function):
        @staticmethod
        def forward(x: Tensor, dy: Tensor) -> Any:
            with _private.below_autograd():
                return op(x, dy)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, Tensor | None]:
            x, dy = ctx.saved_tensors
            of_x, of_dy = ctx.needs_input_grad
            return slope(x, dy, v) if of_x else None, op(x, v) if of_dy else None

        @staticmethod
        def jvp(ctx: Any, tx: Tensor | None, tdy: Tensor | None) -> Tensor:
            x, dy = ctx.saved_tensors
            with _in_jvp():
                parts = [slope(x, dy, tx)] if tx is not None else []
                parts += [op(x, tdy)] if tdy is not None else []
                return sum(parts[1:], parts[0])

    return _named(name, Binary)


def _derivative_times() -> type[torch.autograd.Function]:
    class Times(torch.autograd.Function):
        @staticmethod
        def forward(function: str, n: int, x: Tensor, *factors: Tensor) -> Any:
            with _private.below_autograd():
                return ops.derivative_times(function, n, x, factors)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            ctx.function, ctx.n, *tensors = inputs
            ctx.save_for_backward(*tensors)
            ctx.save_for_forward(*tensors)

        @staticmethod
        def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
            wanted = enumerate(ctx.needs_input_grad[2:])
            return (None, None, *(slope(ctx, i, v) if want else None for i, want in wanted))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Tensor:
            with _in_jvp():
                parts = [slope(ctx, i, t) for i, t in enumerate(tangents[2:]) if t is not None]
                return sum(parts[1:], parts[0])

    def slope(ctx: Any, i: int, v: Tensor) -> Tensor:
        """Return v times the derivative with respect to tensor number i, of which x is the first."""
        x, *factors = ctx.saved_tensors
        if i == 0:
            return ops.derivative_times(ctx.function, ctx.n + 1, x, [*factors, v])
        return ops.derivative_times(ctx.function, ctx.n, x, [*factors[: i - 1], v, *factors[i:]])

    return _named("derivative_times", Times)


def _rule(name: str) -> Callable[..., Tensor]:
    """Return the kernel for autograd, which every call passes first."""
    if name == "derivative_times":
        function = _derivative_times()
    else:
        function = (_binary if name in ops.BINARY else _unary)(name)
    apply = _private.at_one_level(function)

    def kernel(*args: Any) -> Tensor:
        if "torch.distributed.tensor" in sys.modules:
            offer_sharding()
        onnx.offer_symbolics()
        *first, last = args
        return apply(*first, *(last if isinstance(last, (list, tuple)) else [last]))

    return kernel


# vmap: one call for the whole batch.


def _vmap(name: str) -> Callable[..., tuple[Tensor, int]]:
    op = ops.OPERATORS[name]

    def rule(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
        def batch(arg: Any, dim: Any) -> Any:
            if isinstance(arg, (int, float, str)):
                return arg
            if isinstance(arg, (list, tuple)):
                return [*map(batch, arg, dim or [None] * len(arg))]
            return arg.expand(info.batch_size, *arg.shape) if dim is None else arg.movedim(dim, 0)

        return op(*map(batch, args, in_dims)), 0

    return rule


# The vmap of torch.autograd (`is_grads_batched`, `vectorize`) is another one, which splits the batch of any
# operator by itself, but not of one that takes a list. So the list becomes a tensor there.


def _derivative_times_stacked(function: str, n: int, x: Tensor, factors: Tensor) -> Tensor:
    return ops.derivative_times(function, n, x, factors.unbind(-1))


def _derivative_times_batched(function: str, n: int, x: Tensor, factors: list[Tensor]) -> Tensor:
    stacked: Tensor = torch.ops.softsign.derivative_times_stacked(function, n, x, torch.stack(factors, -1))
    return stacked


if ops.library:
    for _name in ops.OPERATORS:
        ops.library.impl(_name, _rule(_name), "Autograd")
        torch.library.register_vmap(f"softsign::{_name}", _vmap(_name), lib=ops.library)
    ops.library.define(
        "derivative_times_stacked(str function, int n, Tensor x, Tensor factors) -> Tensor",
        tags=(torch.Tag.pt2_compliant_tag,),
    )
    for _key in ("CompositeExplicitAutograd", "Autograd"):
        ops.library.impl("derivative_times_stacked", _derivative_times_stacked, _key)
    ops.library.impl("derivative_times", _derivative_times_batched, "Batched")


# Sharded tensors: any axis may be split among the devices, as the functions take each element by itself.


@functools.cache
def offer_sharding() -> None:
    """Tell DTensor, once it is imported, how the operators are sharded."""
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    def placements(*args: Any) -> list[Any]:
        *others, last = args
        flat = [*others, *(last if isinstance(last, tuple) else [last])]
        axes = [Replicate(), *(Shard(axis) for axis in range(flat[-1].ndim))]
        return [
            ([axis], [None if isinstance(arg, (int, float, str)) else axis for arg in flat]) for axis in axes
        ]

    for operator in ops.OPERATORS.values():
        register_sharding(operator)(placements)


_private.offer_masking(ops.OPERATORS.values())
