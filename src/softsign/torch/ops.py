"""The operators of PyTorch's dispatcher: ``torch.ops.softsign.softsign`` and what its derivatives need.

Every transformation of PyTorch (autograd, forward mode, vmap, fake tensors, tracing, compilation, sharding)
is a key of the dispatcher, and finds its rule here. Each derivative is an operator with derivatives of its
own, so that there are all orders.
"""

from __future__ import annotations

import array
import contextlib
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from softsign import _core
from softsign.functions import FUNCTIONS, MAX_ORDER, Function
from softsign.torch import _private, formulas

Kernel = Callable[..., Tensor]

# What torch.compile has a bound for, and softsign again: saving the output it may overwrite x.
NAMES = (
    *(name for name, facts in FUNCTIONS.items() if "torch_compile" in facts.bounds),
    "softsign_saving_output",
)
_BINARY = ("gradient", "gradient_from_output")


def _facts(name: str) -> Function:
    return FUNCTIONS[name.removesuffix("_saving_output")]


_library = torch.library.Library("softsign", "DEF")
for _name in NAMES:
    _signature = ", ".join("int n" if name == "n" else f"Tensor {name}" for name in _facts(_name).arguments)
    _library.define(
        f"{_name}({_signature}) -> Tensor", tags=(torch.Tag.pointwise, torch.Tag.pt2_compliant_tag)
    )

#: The operators by name.
OPERATORS = {name: getattr(torch.ops.softsign, name).default for name in NAMES}
softsign = OPERATORS["softsign"]
softsign_saving_output = OPERATORS["softsign_saving_output"]
gradient = OPERATORS["gradient"]
gradient_from_output = OPERATORS["gradient_from_output"]
nth_derivative = OPERATORS["nth_derivative"]


def _formula(name: str) -> Kernel:
    """Return the formula of an operator; that of an integral is called after what it is the integral of."""
    integrand = _facts(name).integrand
    formula: Kernel = getattr(
        formulas, f"integral_of_{integrand}" if integrand else name.removesuffix("_saving_output")
    )
    return formula


# On the CPU: the core's kernels on the tensors' memory.

_TYPES = {getattr(torch, name): index for index, name in enumerate(_core._types) if name != "longdouble"}
_ORDERS = array.array("q", range(MAX_ORDER + 1))
#: Below it the core uses one thread; asking PyTorch how many it may use takes 0.1 us.
_THREADED = 2 * 65536


def _run(function: int, name: str, x: Tensor, *addresses: int) -> None:
    n = x.numel()
    threads = min(torch.get_num_threads(), 1024) if n >= _THREADED else 1
    try:
        _core._compute(function, _TYPES[x.dtype], n, threads, *addresses)
    except (KeyError, ValueError):
        takes = "float16, bfloat16, float32, float64" + ", complex64, complex128" * name.startswith(
            "softsign"
        )
        raise NotImplementedError(
            f"softsign::{name}: {x.dtype} is not among the dtypes it takes, {takes}"
        ) from None


def is_dense(x: Tensor) -> bool:
    """Whether the elements fill a stretch of memory, in whatever order of the axes.

    Parameters
    ----------
    x : torch.Tensor
        Tensor of any shape and dtype.

    Returns
    -------
    bool
        True also where there are no elements.
    """
    return bool(x.is_contiguous() or torch.ops.aten.is_non_overlapping_and_dense(x))


def _unary_on_cpu(name: str) -> Kernel:
    function = _core._functions.index(name.removesuffix("_saving_output"))

    def kernel(x: Tensor) -> Tensor:
        y = torch.empty_like(x)  # of dense tensors it keeps the order of the axes
        if not is_dense(x):
            x = y.copy_(x)
        _run(function, name, x, x.data_ptr(), y.data_ptr())
        return y

    return kernel


def _binary_on_cpu(name: str) -> Kernel:
    function = _core._functions.index(name)

    def kernel(x: Tensor, dy: Tensor) -> Tensor:
        if x.is_complex():
            return _formula(name)(x, dy)
        x, dy, dx = same_layout(name, x, dy)
        _run(function, name, x, x.data_ptr(), dy.data_ptr(), dx.data_ptr())
        return dx

    return kernel


def same_layout(name: str, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, dy and a new tensor for the result, all dense with the same order of the axes.

    Parameters
    ----------
    name : str
        Name of the operator, for the error message.
    x : torch.Tensor
        Arguments, of any shape and layout.
    dy : torch.Tensor
        Gradient of the result, with the shape, dtype and device of `x`.

    Returns
    -------
    tuple of torch.Tensor
        `x`, `dy` and an uninitialized result, each with the shape and dtype of `x`.

    Raises
    ------
    RuntimeError
        If `x` and `dy` differ in shape, dtype or device.
    """
    _check_alike(name, x, dy)
    dx = torch.empty_like(x)
    if not is_dense(x):
        x = torch.empty_like(dx).copy_(x)
    if dy.stride() != dx.stride():
        dy = dx.copy_(dy)  # where dy is one number expanded, as after sum(), this takes no memory of its own
    return x, dy, dx


def _check_alike(name: str, x: Tensor, dy: Tensor) -> None:
    for what in ("shape", "dtype", "device"):
        one, other = getattr(x, what), getattr(dy, what)
        if one != other:
            raise RuntimeError(
                f"softsign::{name}: both tensors must have the same {what}, got {one} and {other}"
            )


def _nth_derivative_on_cpu(n: int, x: Tensor) -> Tensor:
    _check_order(n)
    y = torch.empty_like(x)
    if not is_dense(x):
        x = y.copy_(x)
    order = _ORDERS.buffer_info()[0] + n * _ORDERS.itemsize
    _run(_core._functions.index("nth_derivative"), "nth_derivative", x, order, x.data_ptr(), y.data_ptr())
    return y


def _check_order(n: int) -> None:
    if not 0 <= n <= MAX_ORDER:
        raise ValueError(f"softsign::nth_derivative: n must be an integer from 0 to {MAX_ORDER}, got {n}")


def _on_cpu(name: str) -> Kernel:
    if name == "nth_derivative":
        return _nth_derivative_on_cpu
    return _binary_on_cpu(name) if name in _BINARY else _unary_on_cpu(name)


# On CUDA: Triton kernels for what training needs, PyTorch's operations for the rest.


def _on_cuda(name: str) -> Kernel:
    formula = _formula(name)

    def unary(x: Tensor) -> Tensor:
        kernels = _triton_kernels(x)
        if kernels is None:
            return formula(x)
        y = torch.empty_like(x)
        if not is_dense(x):
            x = y.copy_(x)
        kernels.softsign(x, y)
        return y

    def binary(x: Tensor, dy: Tensor) -> Tensor:
        kernels = _triton_kernels(x)
        if kernels is None:
            return formula(x, dy)
        x, dy, dx = same_layout(name, x, dy)
        getattr(kernels, name)(x, dy, dx)
        return dx

    if name in _BINARY:
        return binary
    return unary if name.startswith("softsign") else formula


def _triton_kernels(x: Tensor) -> Any:
    """Return softsign.torch.cuda, or None where there is no Triton or it has no kernel for the dtype."""
    if x.is_complex():
        return None
    try:
        from softsign.torch import cuda
    except ImportError:
        return None
    return cuda


# Without the dispatcher, for ordinary tensors on the CPU or CUDA.


def _direct(name: str) -> Kernel:
    on_cpu, on_cuda = _on_cpu(name), _on_cuda(name)

    def kernel(*tensors: Tensor) -> Tensor:
        return on_cpu(*tensors) if tensors[0].is_cpu else on_cuda(*tensors)

    return kernel


direct_softsign = _direct("softsign")
direct_gradient = _direct("gradient")
direct_gradient_from_output = _direct("gradient_from_output")
_SOFTSIGN = _core._functions.index("softsign")


def overwrite_with_softsign(x: Tensor) -> None:
    """Compute softsign in place, without a word to autograd.

    Parameters
    ----------
    x : torch.Tensor
        Arguments, of any shape and layout, on the CPU or CUDA; the results take their place.
    """
    if not is_dense(x):
        x.copy_(direct_softsign(x))
    elif x.is_cpu:
        _run(_SOFTSIGN, "softsign", x, x.data_ptr(), x.data_ptr())
    elif kernels := _triton_kernels(x):
        kernels.softsign(x, x)
    else:
        x.copy_(formulas.softsign(x))


# Without memory: meta and fake tensors.


def _on_meta(name: str) -> Kernel:
    def kernel(*args: Tensor | int) -> Tensor:
        _private.offer_decompositions(_FORMULAS)
        tensors = [arg for arg in args if isinstance(arg, Tensor)]
        if len(tensors) == 2:
            _check_alike(name, *tensors)
        return torch.empty_like(tensors[0])

    return kernel


_FORMULAS = {operator: _formula(name) for name, operator in OPERATORS.items()}


# Derivatives. These functions of one number have the same rule forwards and backwards: slope(saved, v), for
# nth_derivative slope(n, saved, v), is v times the derivative. So it is for complex softsign, whose df/dz is
# real.


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
    return formulas.gradient(x, v) if x.is_complex() else gradient(x, v)


def _derivative_slope(x: Tensor, v: Tensor) -> Tensor:
    return v * nth_derivative(2, x)


def _nth_derivative_slope(n: int, x: Tensor, v: Tensor) -> Tensor:
    return v * nth_derivative(n + 1, x)


def _integral_slope(integrand: str) -> Callable[..., Tensor]:
    return lambda x, v: v * OPERATORS[integrand](x)


_SLOPES: dict[str, Callable[..., Tensor]] = {
    "softsign": softsign_slope,
    "softsign_saving_output": gradient_from_output,
    "derivative": _derivative_slope,
    "nth_derivative": _nth_derivative_slope,
    "inverse": formulas.inverse_gradient,
    "log_jacobian": formulas.log_jacobian_gradient,
    **{name: _integral_slope(facts.integrand) for name, facts in FUNCTIONS.items() if facts.integrand},
}


def _gradient_slope(x: Tensor, dy: Tensor, v: Tensor) -> Tensor:
    return v * dy * nth_derivative(2, x)


def _gradient_from_output_slope(y: Tensor, dy: Tensor, v: Tensor) -> Tensor:
    return -2 * v * dy * y.sgn() * (1 - y.abs())


def _in_jvp() -> contextlib.AbstractContextManager[None]:
    """Compute a tangent under this: a level of torch.func else hides those below it from forward mode."""
    return _private.below_autograd() if _private.transformed() else contextlib.nullcontext()


def _unary(name: str) -> type[torch.autograd.Function]:
    op, slope = OPERATORS[name], _SLOPES[name]
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

    return Unary


def _binary(name: str) -> type[torch.autograd.Function]:
    op = OPERATORS[name]
    slope = _gradient_slope if name == "gradient" else _gradient_from_output_slope

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

    return Binary


# vmap: one call for the whole batch.


def _vmap(name: str) -> Callable[..., tuple[Tensor, int]]:
    op = OPERATORS[name]

    def rule(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Tensor, int]:
        def batch(arg: Any, dim: int | None) -> Any:
            if isinstance(arg, int):
                return arg
            return arg.expand(info.batch_size, *arg.shape) if dim is None else arg.movedim(dim, 0)

        return op(*map(batch, args, in_dims)), 0

    return rule


for _name in NAMES:
    _is_binary = _name in _BINARY
    _library.impl(_name, _on_cpu(_name), "CPU")
    _library.impl(_name, _on_cuda(_name), "CUDA")
    for _key in ("MPS", "XPU", "HPU", "PrivateUse1"):
        _library.impl(_name, _formula(_name), _key)
    _library.impl(_name, _on_meta(_name), "Meta")
    _library.impl(_name, _private.at_one_level((_binary if _is_binary else _unary)(_name)), "Autograd")
    torch.library.register_vmap(f"softsign::{_name}", _vmap(_name), lib=_library)


# Sharded tensors: any axis may be split among the devices, as the functions take each element by itself.


@functools.cache
def offer_sharding() -> None:
    """Tell DTensor, once it is imported, how the operators are sharded."""
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    def placements(*args: Any) -> list[Any]:
        axes = [Replicate(), *(Shard(axis) for axis in range(args[-1].ndim))]
        return [([axis], [None if isinstance(arg, int) else axis for arg in args]) for axis in axes]

    for operator in OPERATORS.values():
        register_sharding(operator)(placements)
