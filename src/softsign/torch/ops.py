"""The operators of PyTorch's dispatcher, ``torch.ops.softsign.softsign`` and others, and their kernels."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from softsign import _core
from softsign.functions import FUNCTIONS, MAX_ORDER, Function
from softsign.torch import _private, formulas

Kernel = Callable[..., Tensor]

# What torch.compile has a bound for, softsign again, which saving the output may overwrite x, and what the
# derivatives of all of them are made of.
NAMES = (
    *(name for name, facts in FUNCTIONS.items() if "torch_compile" in facts.bounds),
    "softsign_saving_output",
    "derivative_times",
)
BINARY = ("gradient", "gradient_from_output")
#: Of a positive number and x; softsign's derivative is theirs, too.
VARIANTS = ("soft_cap", "spike")


def _facts(name: str) -> Function:
    return FUNCTIONS[name.removesuffix("_saving_output")]


def _signature(name: str) -> str:
    if name in VARIANTS:
        return "float number, Tensor x"
    if name == "derivative_times":
        return "str function, int n, Tensor x, Tensor[] factors"
    return ", ".join("int n" if arg == "n" else f"Tensor {arg}" for arg in _facts(name).arguments)


#: None where the package is imported again into a process: the dispatcher keeps the first's operators.
library = None if hasattr(torch.ops.softsign, "softsign") else torch.library.Library("softsign", "DEF")
if library:
    for _name in (*NAMES, *VARIANTS):
        library.define(
            f"{_name}({_signature(_name)}) -> Tensor",
            tags=(torch.Tag.pointwise, torch.Tag.pt2_compliant_tag),
        )

#: The operators by name.
OPERATORS = {name: getattr(torch.ops.softsign, name).default for name in (*NAMES, *VARIANTS)}
softsign = OPERATORS["softsign"]
softsign_saving_output = OPERATORS["softsign_saving_output"]
gradient = OPERATORS["gradient"]
gradient_from_output = OPERATORS["gradient_from_output"]
nth_derivative = OPERATORS["nth_derivative"]
derivative_times = OPERATORS["derivative_times"]


def _formula(name: str) -> Kernel:
    """Return the formula of an operator; that of an integral is called after what it is the integral of."""
    if name == "derivative_times":
        return formulas.derivative_times
    if name in VARIANTS:
        return getattr(formulas, name)  # type: ignore[no-any-return]
    integrand = _facts(name).integrand
    formula: Kernel = getattr(
        formulas, f"integral_of_{integrand}" if integrand else name.removesuffix("_saving_output")
    )
    return formula


# On the CPU: the core's kernels on the tensors' memory.

_TYPES = {getattr(torch, name): index for index, name in enumerate(_core._types) if name != "longdouble"}
_TAKEN = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)
_ORDERS = array.array("q", range(MAX_ORDER + 1))
_SCALED = _core._functions.index("scaled")
#: Below it more threads would bring little; asking PyTorch how many it may use takes 0.1 us.
_THREADED = 8192
#: Bytes. From here on new memory is to lie in huge pages, as in NumPy.
_HUGE = 4 << 20


def new_like(x: Tensor) -> Tensor:
    """Return a tensor that nothing has been written to yet; a large one in huge pages.

    Parameters
    ----------
    x : torch.Tensor
        Tensor of any kind; of a dense one the result keeps the order of the axes.

    Returns
    -------
    torch.Tensor
        As from `torch.empty_like`, which asks for no huge pages: faults for small ones take twice as long as
        softsign.
    """
    y = torch.empty_like(x)
    if y.nbytes >= _HUGE and y.is_cpu:
        _core._advise_huge_pages(y.data_ptr(), y.nbytes)
    return y


def _threads(n: int) -> int:
    return min(torch.get_num_threads(), 1024) if n >= _THREADED else 1


def _run(function: int, name: str, n: int, x: Tensor, *addresses: int) -> None:
    try:
        _core._compute(function, _TYPES[x.dtype], n, _threads(n), *addresses)
    except (KeyError, ValueError):
        check_dtype(name, x)
        raise


def check_dtype(name: str, x: Tensor) -> None:
    """Refuse a tensor that an operator does not take.

    Parameters
    ----------
    name : str
        Name of the operator.
    x : torch.Tensor
        Its argument.

    Raises
    ------
    NotImplementedError
        If the dtype is none that the operator takes.
    """
    taken = _TAKEN if name in ("softsign", "softsign_saving_output") else _TAKEN[:4]
    if x.dtype not in taken:
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in taken)
        raise NotImplementedError(f"softsign::{name}: {x.dtype} is not among the dtypes it takes, {names}")


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
        n = x.numel()
        y = torch.empty_like(x) if n < _THREADED else new_like(x)  # of a small x directly: 0.3 us
        if not (x.is_contiguous() or is_dense(x)):
            x = y.copy_(x)
        if n < _THREADED and x.dtype in _TYPES:  # `_run` with its list of addresses takes 0.7 us more
            _core._compute(function, _TYPES[x.dtype], n, 1, x.data_ptr(), y.data_ptr())
        else:
            _run(function, name, n, x, x.data_ptr(), y.data_ptr())
        return y

    return kernel


def _binary_on_cpu(name: str) -> Kernel:
    function = _core._functions.index(name)

    def kernel(x: Tensor, dy: Tensor) -> Tensor:
        x, dy, dx = same_layout(name, x, dy)
        _run(function, name, x.numel(), x, x.data_ptr(), dy.data_ptr(), dx.data_ptr())
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
    dx = new_like(x)
    if not is_dense(x):
        x = new_like(dx).copy_(x)
    if dy.stride() != dx.stride():
        dy = dx.copy_(dy)  # where dy is one number expanded, as after sum(), this takes no memory of its own
    return x, dy, dx


def _check_alike(name: str, x: Tensor, dy: Tensor) -> None:
    if x.shape == dy.shape and x.dtype == dy.dtype and x.device == dy.device:
        return
    for what in ("shape", "dtype", "device"):
        one, other = getattr(x, what), getattr(dy, what)
        if one != other:
            raise RuntimeError(
                f"softsign::{name}: both tensors must have the same {what}, got {one} and {other}"
            )


def soft_cap_on_cpu(c: float, x: Tensor) -> Tensor:
    """Compute `soft_cap` by the core's kernel, in float32 at least.

    Parameters
    ----------
    c : float
        The cap.
    x : torch.Tensor
        Arguments, of any shape and layout, on the CPU.

    Returns
    -------
    torch.Tensor
        Shape and dtype of `x`.
    """
    check("soft_cap", c, x)
    if x.dtype.itemsize == 2:
        return soft_cap_on_cpu(c, x.float()).to(x.dtype)
    y = new_like(x)
    if not is_dense(x):
        x = y.copy_(x)
    number = array.array("f" if x.dtype == torch.float32 else "d", [c])
    _run(_SCALED, "soft_cap", x.numel(), x, x.data_ptr(), number.buffer_info()[0], y.data_ptr())
    return y


def _nth_derivative_on_cpu(n: int, x: Tensor) -> Tensor:
    check_order(n)
    y = new_like(x)
    if not is_dense(x):
        x = y.copy_(x)
    order = _ORDERS.buffer_info()[0] + n * _ORDERS.itemsize
    function = _core._functions.index("nth_derivative")
    _run(function, "nth_derivative", x.numel(), x, order, x.data_ptr(), y.data_ptr())
    return y


def check_order(n: int) -> None:
    """Refuse what is no order of `nth_derivative`.

    Parameters
    ----------
    n : int
        Order.

    Raises
    ------
    ValueError
        If it is out of range.
    """
    if not 0 <= n <= MAX_ORDER:
        raise ValueError(f"softsign::nth_derivative: n must be an integer from 0 to {MAX_ORDER}, got {n}")


def check_number(name: str, number: float) -> None:
    """Refuse what is no number for one of `VARIANTS`.

    Parameters
    ----------
    name : str
        Name of the operator.
    number : float
        The cap or the slope.

    Raises
    ------
    ValueError
        If it is not from 1e-15 to 1e15, a range in which float32 computes both safely.
    """
    if not 1e-15 <= number <= 1e15:
        parameter = "c" if name == "soft_cap" else "slope"
        raise ValueError(f"{name}: {parameter} must be a number from 1e-15 to 1e15, got {number}")


#: The orders of `derivative_times`: least and, of what the CPU computes in float64, largest.
_LEAST_ORDERS = {"softsign": -1, "inverse": 1, "log_jacobian": 1, "gradient_from_output": 1}
_LARGEST_WIDE = 3


def _derivative_times_on_cpu(function: str, n: int, x: Tensor, factors: list[Tensor]) -> Tensor:
    check("derivative_times", function, n, x, factors)
    wide = x.dtype != torch.float64 and max(n, len(factors)) <= _LARGEST_WIDE  # then float64 has the range
    if not (wide and function == "softsign"):
        return formulas.derivative_times(function, n, x, factors)
    y = _antiderivative_on_cpu(x.double()) if n < 0 else _nth_derivative_on_cpu(n, x.double())
    for factor in factors:
        y.mul_(factor)
    return y.to(x.dtype)


_antiderivative_on_cpu = _unary_on_cpu("antiderivative")


def check(name: str, *args: Any) -> None:
    """Refuse arguments that an operator does not take.

    Parameters
    ----------
    name : str
        Name of the operator.
    *args : torch.Tensor, list of torch.Tensor, int or str
        Its arguments.

    Raises
    ------
    NotImplementedError
        If the dtype is none that the operator takes.
    ValueError
        If the order is out of its range.
    RuntimeError
        If tensors differ in shape, dtype or device.
    """
    x, *others = (
        tensor
        for arg in args
        for tensor in (arg if isinstance(arg, (list, tuple)) else [arg])
        if isinstance(tensor, Tensor)
    )
    check_dtype(name, x)
    for other in others:
        _check_alike(name, x, other)
    if name == "nth_derivative":
        check_order(args[0])
    if name in VARIANTS:
        check_number(name, args[0])
    if name == "derivative_times":
        function, n, *_ = args
        if function not in _LEAST_ORDERS or n < _LEAST_ORDERS[function] or not others:
            least = ", ".join(f"{least} for {known!r}" for known, least in _LEAST_ORDERS.items())
            raise ValueError(
                f"softsign::derivative_times: takes orders from {least}, and factors, got order {n} for "
                f"{function!r} and {len(others)} factors"
            )


def _on_cpu(name: str) -> Kernel:
    if name == "nth_derivative":
        return _nth_derivative_on_cpu
    if name == "derivative_times":
        return _derivative_times_on_cpu
    if name == "soft_cap":
        return soft_cap_on_cpu
    if name in VARIANTS:
        return in_operations(name)
    return _binary_on_cpu(name) if name in BINARY else _unary_on_cpu(name)


# On CUDA: Triton kernels for what training needs, PyTorch's operations for the rest.


def in_operations(name: str) -> Kernel:
    """Return the kernel of an operator in PyTorch's own operations.

    Parameters
    ----------
    name : str
        Name of the operator.

    Returns
    -------
    callable
        The formula, which refuses what the kernels for the CPU refuse.
    """
    formula = _formula(name)

    def kernel(*args: Any) -> Tensor:
        check(name, *args)
        return formula(*args)

    return kernel


def _on_cuda(name: str) -> Kernel:
    formula = in_operations(name)

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

    if name in BINARY:
        return binary
    return unary if name.startswith("softsign") else formula


def _triton_kernels(x: Tensor) -> Any:
    """Return softsign.torch.cuda, or None where there is no Triton or it has no kernel for the dtype."""
    if x.is_complex() or x.dtype not in _TYPES:
        return None
    try:
        from softsign.torch import cuda
    except ImportError:
        return None
    return cuda


# Without the dispatcher, for ordinary tensors on the CPU or CUDA.


def _direct(name: str) -> Kernel:
    on_cpu, on_cuda = _on_cpu(name), _on_cuda(name)
    if name in BINARY:
        return lambda x, dy: on_cpu(x, dy) if x.is_cpu else on_cuda(x, dy)
    return lambda x: on_cpu(x) if x.is_cpu else on_cuda(x)


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
        _run(_SOFTSIGN, "softsign", x.numel(), x, x.data_ptr(), x.data_ptr())
    elif kernels := _triton_kernels(x):
        kernels.softsign(x, x)
    else:
        x.copy_(formulas.softsign(x))


# Without memory: meta and fake tensors.


def _on_meta(name: str) -> Kernel:
    def kernel(*args: Any) -> Tensor:
        _private.offer_decompositions(_FORMULAS)
        check(name, *args)
        return torch.empty_like(next(arg for arg in args if isinstance(arg, Tensor)))

    return kernel


_FORMULAS = {operator: _formula(name) for name, operator in OPERATORS.items()}

if library:
    for _name in OPERATORS:
        library.impl(_name, _on_cpu(_name), "CPU")
        library.impl(_name, _on_cuda(_name), "CUDA")
        for _key in ("MPS", "XPU", "HPU", "PrivateUse1"):
            library.impl(_name, in_operations(_name), _key)
        library.impl(_name, _on_meta(_name), "Meta")
