"""Softsign for PyTorch: exact at every argument and in every dtype, in place, differentiable to any order. Needs PyTorch.

`softsign` and `nn.Softsign` take the place of PyTorch's, and `swap` puts them into a model. `inverse`, `antiderivative`,
`log_jacobian` and `nth_derivative` are differentiable functions, `SoftsignTransform` a bijector for
`torch.distributions`, `nn.ParametricSoftsign` has slope and range to learn. `onnx_translation_table` has `torch.onnx.export`
write one Softsign node.

Examples
--------
>>> import torch
>>> from softsign.torch import init, nn
>>> nn.Softsign()(torch.tensor([3.0, float("-inf")], dtype=torch.bfloat16))
tensor([ 0.7500, -1.0000], dtype=torch.bfloat16)
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "softsign.torch needs PyTorch: pip install 'softsign[torch]'", name="torch"
    ) from error

from softsign.torch import init, nn
from softsign.torch.distributions import SoftsignTransform
from softsign.torch.functional import antiderivative, inverse, log_jacobian, nth_derivative, softsign
from softsign.torch.nn import swap
from softsign.torch.onnx import onnx_translation_table

__all__ = [
    "SoftsignTransform",
    "antiderivative",
    "init",
    "inverse",
    "log_jacobian",
    "nn",
    "nth_derivative",
    "onnx_translation_table",
    "softsign",
    "swap",
]
