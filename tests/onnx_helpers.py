"""What the tests of `softsign.onnx` share: models from text, nets run."""

from collections.abc import Mapping

import pytest
from onnx import ModelProto, parser

from softsign.onnx.check import bodies
from softsign.onnx.dialect import add_functions
from softsign.onnx.functions import DOMAIN, is_function_name
from softsign.operator import Net, Workspace
from tests.helpers import Array
from tests.operator_helpers import workspace_of

by_engine = pytest.mark.parametrize("engine", ["onnxruntime", "softsign"])

#: The domains of a model with functions of its own.
MINE = '"" : 18, "mine" : 1'
IF = """y = If (c) <
    then_branch = t () => (float[n] a) { a = Neg (x) }, else_branch = e () => (float[n] b) { b = Abs (x) }>"""


def model_of(
    body: str,
    inputs: str = "float[n] x",
    outputs: str = "float[n] y",
    *,
    opset: int | str = 18,
    initializers: str = "",
    more: str = "",
    ir: int = 8,
) -> ModelProto:
    """Return a model from ONNX's text form, right or wrong, with softsign's functions that it calls."""
    imports = f'"" : {opset}' if isinstance(opset, int) else opset
    model = parser.parse_model(
        f"<ir_version: {ir}, opset_import: [{imports}]> "
        f"test ({inputs}) => ({outputs}) <{initializers}> {{ {body} }} {more}"
    )
    nodes = [node for part in bodies(model.graph, *model.functions) for node in part.node]
    own = [node for node in nodes if node.domain == DOMAIN and is_function_name(node.op_type)]
    if own:
        add_functions(model, own)
    return model


def ran(net: Net, feeds: Mapping[str, Array]) -> Workspace:
    """Return a workspace in which a net has run."""
    workspace = workspace_of(**feeds)
    workspace.run(net)
    return workspace
