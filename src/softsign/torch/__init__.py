"""Softsign for PyTorch: exact at every argument and in every dtype, in place, differentiable to any order.

`softsign` and `nn.Softsign` take the place of PyTorch's; `swap` replaces every `torch.nn.Softsign` of a
model. The other functions (derivatives, gradient, inverse, antiderivatives, log-Jacobian) are those of
`softsign`, differentiable. `soft_cap` limits logits, `spike` is the step of spiking neurons.
`nn.ParametricSoftsign` has slope and range to learn, `nn.DynamicSoftsign` is a layer to try in place of
LayerNorm. `SoftsignTransform` is a bijector for
`torch.distributions`, `SquashedNormal` a policy over bounded actions, and with `onnx_translation_table`
`torch.onnx.export` writes one Softsign node. `init` initializes networks. Needs the extra ``torch``.

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

from softsign.torch import functional, init, nn, variants
from softsign.torch.distributions import SoftsignTransform, SquashedNormal
from softsign.torch.functional import *
from softsign.torch.nn import swap
from softsign.torch.onnx import onnx_translation_table
from softsign.torch.variants import *

__all__ = ["SoftsignTransform", "SquashedNormal", "init", "nn", "onnx_translation_table", "swap"]
__all__ += functional.__all__
__all__ += variants.__all__
