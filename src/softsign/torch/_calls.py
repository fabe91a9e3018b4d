"""What comes before an operator: the argument is judged, converted, and taken apart."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor

from softsign.torch import ops, rules


def check(x: Any, name: str) -> None:
    """Refuse what a function does not take.

    Parameters
    ----------
    x : object
        Its argument.
    name : str
        Name of the function.

    Raises
    ------
    TypeError
        If it is no tensor.
    NotImplementedError
        If it is sparse, quantized or of a dtype that the function does not take.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: the argument must be a Tensor, got {type(x).__name__}")
    if x.layout not in (torch.strided, torch.jagged) or x.is_quantized:
        kind = "a quantized tensor" if x.is_quantized else f"one of layout {x.layout}"
        raise NotImplementedError(f"{name}: the argument must be a dense tensor, got {kind}")
    if x.is_floating_point() or x.is_complex():
        ops.check_dtype(name, x)


def dispatch(name: str, *args: Any) -> Tensor:
    """Compute a function through the dispatcher.

    Parameters
    ----------
    name : str
        Name of the operator.
    *args : object
        Its arguments; x, a tensor that `check` let pass, comes last.

    Returns
    -------
    torch.Tensor
        The result.
    """
    *others, x = args
    offer_sharding()
    if x.is_nested and x.layout is torch.strided:
        return torch.nested.as_nested_tensor([dispatch(name, *others, part) for part in x.unbind()])
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(torch.get_default_dtype())
    return ops.OPERATORS[name](*others, x)


def generally() -> bool:
    """Tell how backward is to compute.

    Returns
    -------
    bool
        Whether it is itself differentiated, or compiled.
    """
    return bool(torch.is_grad_enabled() or torch.compiler.is_dynamo_compiling())


def offer_sharding() -> None:
    """Tell DTensor of the operators, once it is imported."""
    if not torch.compiler.is_compiling() and "torch.distributed.tensor" in sys.modules:
        rules.offer_sharding()
