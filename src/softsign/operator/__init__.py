"""Softsign as an operator in the manner of Caffe2: schema, registry, gradient makers, workspace and nets.

An operator has a schema (`schema`), a kernel (`register_cpu_operator`) and a gradient maker (`gradient_of`),
which says which operators compute its gradient. A `Net` is a list of operators; `Net.add_gradients`
differentiates it, as often as one likes. A `Workspace` holds arrays by name and runs operators and nets.
NumPy is all that is needed; `softsign.onnx` carries nets to ONNX and back.

Examples
--------
>>> import numpy as np
>>> from softsign.operator import Net, Workspace
>>> net = Net("forward")
>>> _ = net.add("Softsign", "X", "Y")
>>> gradients = net.add_gradients(["Y"])
>>> workspace = Workspace()
>>> workspace.feed("X", np.array([-3.0, 0.0, 1.0]))
>>> workspace.run(net)
>>> print(workspace.fetch("Y"), workspace.fetch(gradients["X"]))
[-0.75  0.    0.5 ] [0.0625 1.     0.25  ]
"""

from softsign.operator import arithmetic  # noqa: F401  (registers its operators)
from softsign.operator.definitions import OperatorDef, OperatorSchema, SchemaError, TensorType
from softsign.operator.family import GetSoftsignGradient, SoftsignFunctor, SoftsignGradientFunctor
from softsign.operator.gradient import GradientError, GradientMaker, NoGradient
from softsign.operator.net import Net
from softsign.operator.registry import (
    create_operator,
    gradient_of,
    operators,
    register_cpu_gradient_operator,
    register_cpu_operator,
    register_gradient,
    schema,
    unregister_operator,
)
from softsign.operator.workspace import Workspace

__all__ = [
    "GetSoftsignGradient",
    "GradientError",
    "GradientMaker",
    "Net",
    "NoGradient",
    "OperatorDef",
    "OperatorSchema",
    "SchemaError",
    "SoftsignFunctor",
    "SoftsignGradientFunctor",
    "TensorType",
    "Workspace",
    "create_operator",
    "gradient_of",
    "operators",
    "register_cpu_gradient_operator",
    "register_cpu_operator",
    "register_gradient",
    "schema",
    "unregister_operator",
]
