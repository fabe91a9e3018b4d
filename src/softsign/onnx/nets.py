"""Nets of `softsign.operator` made ONNX models, and models made nets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper

from softsign.onnx.check import ModelError, check_model, describe, inner_graphs
from softsign.onnx.dialect import (
    IR_VERSION,
    OPSET,
    add_functions,
    lowered,
    node_def,
    normalize_model,
    tensor_types,
    type_of,
    value_info,
)
from softsign.onnx.inlining import inline_functions
from softsign.operator import Net, OperatorDef, SchemaError, TensorType
from softsign.operator.definitions import Names
from softsign.operator.walks import infer_types

__all__ = ["from_model", "to_model"]


def to_model(
    net: Net,
    types: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    inline: bool = False,
) -> ModelProto:
    """Make an ONNX model of a net.

    Blobs, operators and the net keep their names. ONNX has no blobs that are overwritten: where a net works
    in place, the first value of an input and the last value of any other blob keep the name, and the other
    values get a number behind it.

    Parameters
    ----------
    net : Net
        The net; its constants become initializers.
    types : mapping of str to array_like, TensorType or (dtype, shape), optional
        Dtypes and shapes of the net's inputs; a string in a shape is the name of a size that varies. Those
        that ``net.types`` has may be left out.
    outputs : sequence of str, optional
        Blobs to return, which may be inputs or constants. Default: ``net.outputs``.
    inline : bool, optional
        Whether ONNX's own operators alone shall be used, as by `inline_functions`, for engines that take no
        functions.

    Returns
    -------
    onnx.ModelProto
        A checked model of opset 18. Operators that ONNX does not have are model-local functions of standard
        operators, or with `inline` these.

    Raises
    ------
    ModelError
        When an operator has no counterpart in ONNX, an input has no type, a blob in `types` is not an input
        of the net, one in `outputs` is not of the net, or nothing is to be returned.
    SchemaError
        When the inputs do not fit an operator.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.onnx import to_model
    >>> from softsign.operator import Net
    >>> net = Net("layer", constants={"W": np.ones((3, 2), np.float32)})
    >>> _ = net.add("MatMul", ["X", "W"], "Z")
    >>> _ = net.add("Softsign", "Z", "Z")
    >>> model = to_model(net, {"X": ("float32", ("batch", 3))})
    >>> [(node.op_type, list(node.output)) for node in model.graph.node]
    [('MatMul', ['Z_1']), ('Softsign', ['Z'])]
    """
    ops, names = _single_assignment(net)
    inputs = _input_types(net, types or {})
    constants = {name: TensorType(a.dtype, a.shape) for name, a in net.constants.items()}
    names = {name: name for name in (*inputs, *constants)} | names
    inferred = infer_types(ops, constants | inputs)
    nodes = lowered(ops, inferred, {*names, *net.constants, *inputs})
    wanted = list(net.outputs if outputs is None else outputs)
    if not wanted:
        raise ModelError(f"the net {net.name!r} has no output")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ModelError(f"outputs: the net {net.name!r} does not write a blob {missing[0]!r}")
    kept = {name for node in nodes for name in node.input}.union(wanted, inputs)
    graph = helper.make_graph(
        nodes,
        net.name,
        [value_info(name, known) for name, known in inputs.items()],
        [_output(names[name], constants | inputs) for name in wanted],
        [numpy_helper.from_array(a, name) for name, a in net.constants.items() if name in kept],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="softsign"
    )
    add_functions(model, nodes)
    found = tensor_types(model)
    for value in model.graph.output:
        known = found.get(value.name)
        if known is None or known.shape is None:
            known = net.returned.get(value.name, known)
        if known is None:
            raise ModelError(f"the dtype of the output {value.name!r} cannot be inferred")
        value.CopyFrom(value_info(value.name, known))
    check_model(model, f"the model of net {net.name!r}")
    return inline_functions(model) if inline else model


def _output(name: str, given: Mapping[str, TensorType]) -> onnx.ValueInfoProto:
    """Return the declaration of an output; only of inputs and constants is the type known yet."""
    return value_info(name, given[name]) if name in given else onnx.ValueInfoProto(name=name)


def _input_types(net: Net, types: Mapping[str, Any]) -> dict[str, TensorType]:
    """Return the dtype and shape of each input of a net, given here or by the net."""
    known = net.declared | net.types | {name: _as_type(value) for name, value in types.items()}
    inputs = list(dict.fromkeys([*net.declared, *net.inputs]))
    for name in known:
        if name not in inputs and name not in net.types:
            raise ModelError(f"types: the net {net.name!r} has no input {name!r}; it has {', '.join(inputs)}")
    for name in inputs:
        shape = known[name].shape if name in known else None
        if shape is None or any(isinstance(size, int) and size < 0 for size in shape):
            raise ModelError(
                f"types: the input {name!r} of net {net.name!r} needs a dtype and a shape of known rank"
            )
    return {name: known[name] for name in inputs}


def _as_type(value: Any) -> TensorType:
    if isinstance(value, TensorType):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        return TensorType(np.dtype(value[0]), value[1])
    array = np.asarray(value)
    return TensorType(array.dtype, array.shape)


def _single_assignment(net: Net) -> tuple[list[OperatorDef], dict[str, str]]:
    """Return the operators with a name for each value, and the name of each written blob's last value."""
    writes = [name for op in net.operators for name in op.outputs if name]
    left = {name: writes.count(name) for name in writes}
    given = {*net.inputs, *net.constants, *net.declared}
    taken = Names(net.blobs)
    names: dict[str, str] = {}
    ops = []
    for op in net.operators:
        read = [names.get(name, name) for name in op.inputs]
        for name in filter(None, op.outputs):
            left[name] -= 1
            names[name] = name if name not in given and not left[name] else taken.fresh(f"{name}_1")
        ops.append(
            OperatorDef(op.type, read, [names.get(name, "") for name in op.outputs], op.name, op.attributes)
        )
    return ops, names


def from_model(model: ModelProto) -> Net:
    """Make a net of an ONNX model.

    Parameters
    ----------
    model : onnx.ModelProto
        A model of registered operators: importing `softsign.onnx` registers those of feed-forward networks.
        Older opsets are raised to 18, and functions that are not softsign's inlined.

    Returns
    -------
    Net
        The net, with the names of the model. Initializers and Constant nodes are its constants. `to_model`
        makes of it a model of the same inputs, defaults and outputs.

    Raises
    ------
    ModelError
        When the model is wrong, or has an operator that is not registered, control flow, an input that is not
        a tensor or sparse initializers.

    Examples
    --------
    >>> from softsign.onnx import from_model, to_model
    >>> from softsign.operator import Net
    >>> net = Net("one")
    >>> _ = net.add("Softsign", "X", "Y", name="activation")
    >>> from_model(to_model(net, {"X": ("float32", ("n",))}))
    Net('one')
      Softsign 'activation'(X) -> (Y)
    """
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise ModelError(f"initializer {name!r} is sparse; a net takes dense ones")
    check_model(model)
    graph = normalize_model(model).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    net = Net(graph.name)
    for node in graph.node:
        if inner_graphs(node):
            raise ModelError(f"{describe(node)} is control flow, which a net does not have")
        op = node_def(node)
        if op.type == "Constant":
            constants[op.outputs[0]] = _constant(op)
            continue
        try:
            net.add(op)
        except SchemaError as error:
            raise ModelError(f"{describe(node)}: {error}") from error
    net.constants = constants
    net.declared = {value.name: _input_type(value) for value in graph.input}
    net.types = {name: known for name, known in net.declared.items() if name not in constants}
    net.returned = {value.name: known for value in graph.output if (known := type_of(value)) is not None}
    net.outputs = [value.name for value in graph.output]
    return net


def _input_type(value: onnx.ValueInfoProto) -> TensorType:
    known = type_of(value)
    if known is None:
        raise ModelError(f"input {value.name!r} is not a tensor, of which nets consist")
    return known


def _constant(op: OperatorDef) -> np.ndarray[Any, Any]:
    """Return the tensor of a Constant operator, which may be given in one of several attributes."""
    ((name, value),) = op.attributes.items()
    dtypes = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    return np.asarray(value, dtypes.get(name))
