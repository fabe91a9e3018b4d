"""The names of PyTorch that it does not document: all that this package uses, with what each is for.

A new PyTorch may lack one. Those of `FAST` save the way through the dispatcher; without one of them every
call takes it, with the same results some 10 us later. Without one of `NEEDED` the import fails and names it.
What Inductor has is looked up when something is compiled; without it, compiled code calls the operators
instead of fusing their formulas.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.forward_ad import _set_fwd_grad_enabled

#: What tells an ordinary tensor with no transformation at work, and what may be overwritten.
FAST = (
    "torch._C._dispatch_keys",
    "torch._C.DispatchKey",
    "torch._C.DispatchKeySet",
    "torch._C._len_torch_dispatch_stack",
    "torch._C._len_torch_function_stack",
    "torch._C._get_tracing_state",
    "torch.autograd.forward_ad._current_level",
    "torch.Tensor._is_view",
    "torch.Tensor._base",
)
#: What the rules of differentiation take to work at one level of torch.func.
NEEDED = (
    "torch._C._AutoDispatchBelowAutograd",
    "torch._C._FunctionBase.apply",
    "torch._C._are_functorch_transforms_active",
    "torch._functorch.utils.enable_single_level_autograd_function",
    "torch.autograd.forward_ad._set_fwd_grad_enabled",
)


def missing(names: Iterable[str]) -> list[str]:
    """Return those of the names that this PyTorch does not have."""
    return [name for name in names if not _found(name)]


def _found(name: str) -> bool:
    value: Any = torch
    for part in name.split(".")[1:]:
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


if _gone := missing(NEEDED):
    raise ImportError(
        f"softsign.torch does not know PyTorch {torch.__version__}: it lacks {', '.join(_gone)}"
    )

transformed = torch._C._are_functorch_transforms_active


# A call through the dispatcher to a kernel in Python takes 10 us and more. Most calls are for an ordinary
# tensor, with no transformation at work; these go to the kernel directly.

if missing(FAST):

    def is_ordinary(x: Any, other: Any = None) -> bool:
        """Leave every tensor to the dispatcher."""
        return False

else:
    _ORDINARY_TYPES = (Tensor, torch.nn.Parameter)
    _dispatch_keys = torch._C._dispatch_keys
    _dispatch_modes = torch._C._len_torch_dispatch_stack
    _function_modes = torch._C._len_torch_function_stack
    _tracing = torch._C._get_tracing_state

    def _keys_of_ordinary_tensors() -> Iterator[int]:
        key, keys = torch._C.DispatchKey, torch._C.DispatchKeySet
        for device in ("CPU", "CUDA"):
            inference = keys(getattr(key, device)) | keys(getattr(key, f"Autocast{device}"))
            yield inference.raw_repr()
            tracked = keys(key.ADInplaceOrView) | keys(getattr(key, f"Autograd{device}"))
            yield (inference | tracked).raw_repr()

    #: Of strided tensors in memory: not of fake, sparse, quantized, nested or lazily negated ones, nor of
    #: those of torch.func.
    _ORDINARY_KEYS = frozenset(_keys_of_ordinary_tensors())

    def is_ordinary(x: Any, other: Any = None) -> bool:
        """Whether x is a tensor whose memory holds its elements, and no transformation is at work.

        So of another tensor, too, if there is one.
        """
        return (
            type(x) in _ORDINARY_TYPES
            and _dispatch_keys(x).raw_repr() in _ORDINARY_KEYS
            and (
                other is None
                or (type(other) in _ORDINARY_TYPES and _dispatch_keys(other).raw_repr() in _ORDINARY_KEYS)
            )
            and not _dispatch_modes()
            and not _function_modes()
            and not transformed()
            and forward_ad._current_level < 0
            and _tracing() is None
        )


def may_be_overwritten(x: Tensor, tracked: bool) -> bool:
    """Whether an ordinary tensor may be overwritten; where not, PyTorch itself is to refuse or permit it."""
    return not (
        (tracked and (x.is_leaf or x._is_view()))
        or (x._is_view() and x._base.requires_grad)
        or (x.is_inference() and not torch.is_inference_mode_enabled())
    )


def apply_untransformed(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """Return what Function.apply does, less its search for transformations: 2 us."""
    apply: Callable[..., Any] = super(torch.autograd.Function, function).apply
    return apply


@contextlib.contextmanager
def below_autograd() -> Iterator[None]:
    """Dispatch below this level of autograd; the levels of torch.func below it still take part."""
    with torch._C._AutoDispatchBelowAutograd(), torch.enable_grad(), _set_fwd_grad_enabled(True):
        yield


def at_one_level(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """Return a kernel that applies a function at one level of torch.func; the dispatcher sees to others."""
    apply = apply_untransformed(function)

    def kernel(*args: Any) -> Any:
        with enable_single_level_autograd_function():
            return apply(*args)

    return kernel


def offer_decompositions(formulas: dict[Any, Callable[..., Tensor]]) -> None:
    """Tell Inductor and the exporter to ONNX, if they are at work, the formulas of operators.

    Importing Inductor's table takes 2 s, so this waits until it is used: fake tensors come before code is
    generated. The exporter has one of its own for those that a translation table does not have.
    """
    if "torch.onnx._internal.exporter" in sys.modules:
        with contextlib.suppress(AttributeError):
            torch._decomp.decomposition_table.update(formulas)
    if "torch._inductor" not in sys.modules:
        return
    with contextlib.suppress(ImportError, AttributeError):
        from torch._inductor import decomposition

        if formulas.keys() - decomposition.decompositions.keys():
            for operator, formula in formulas.items():
                decomposition.register_decomposition([operator])(formula)
            decomposition.fast_random_decomps.cache_clear()  # a copy of the table, if one was compiled from


def offer_masking(operators: Iterable[Any]) -> None:
    """Tell MaskedTensor, whose table is not documented, that operators work on each element by itself."""
    with contextlib.suppress(ImportError, AttributeError):
        from torch.masked import MaskedTensor
        from torch.masked.maskedtensor._ops_refs import register_dispatch_func

        def on_data(operator: Any, *args: Any) -> Any:
            masked = [t for t in torch.utils._pytree.tree_leaves(args) if isinstance(t, MaskedTensor)]
            mask = masked[0].get_mask()
            if not all(torch.equal(t.get_mask(), mask) for t in masked):
                raise ValueError(f"{operator}: masked tensors must have the same mask")
            data = torch.utils._pytree.tree_map_only(MaskedTensor, lambda t: t.get_data(), args)
            return MaskedTensor(operator(*data), mask)

        register_dispatch_func([operator.overloadpacket for operator in operators])(on_data)
