"""The dialect of gradient makers, opset 18 or newer, and its nodes as operators of `softsign.operator`."""

from collections.abc import Container, Iterable, Mapping, MutableSequence, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from softsign.onnx.check import ONNX_DOMAINS, ModelError, bodies, check_model, describe, is_large, one_line
from softsign.onnx.functions import (
    DOMAIN,
    VERSION,
    function_name,
    is_function,
    make_functions,
    operator_of,
)
from softsign.onnx.inlining import inlined
from softsign.onnx.raising import raised
from softsign.operator import OperatorDef, TensorType, schema
from softsign.operator.definitions import Names

__all__ = [
    "IR_VERSION",
    "OPSET",
    "add_functions",
    "given_names",
    "infer_shapes",
    "lowered",
    "node_def",
    "normalize_model",
    "opset_of",
    "remove",
    "tensor_names",
    "tensor_types",
    "type_of",
    "value_info",
]

#: The opset of models made here, and the least that graphs are differentiated in: since 18 the axes of every
#: reduction are an input, so that gradient makers meet one form of each operator.
OPSET = 18
#: The IR version of opset 18, and the first that has model-local functions.
IR_VERSION = 8


def normalize_model(model: ModelProto) -> ModelProto:
    """Return a model in the dialect of gradient makers: opset 18 or newer, no functions but softsign's.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; not changed.

    Returns
    -------
    onnx.ModelProto
        A model of the same inputs, outputs and values.

    Raises
    ------
    ModelError
        When it cannot be raised to opset 18 without changing its values: those of Scan of opset 8, of PRelu
        before 7 and of Resize of opset 10 that makes images smaller, and what onnx cannot convert, as any
        model of more than 2 GiB.
    """
    if is_large(model):
        raise ModelError("the model takes more than 2 GiB, which onnx cannot convert")
    made = inlined(model)
    opset = opset_of(made.opset_import)
    if not opset:  # it has none of ONNX's own operators
        made.opset_import.append(helper.make_opsetid("", OPSET))
    elif opset < OPSET:
        made = raised(made, opset, OPSET)
    # Before IR version 4 initializers had to be inputs too; since then that lets the caller replace them.
    if made.ir_version < 4:
        remove(made.graph.input, {tensor.name for tensor in made.graph.initializer})
    made.ir_version = max(made.ir_version, IR_VERSION)
    if opset < OPSET:
        check_model(made, f"the model, converted to opset {OPSET},", foreign=True)
    return made


def opset_of(imports: Iterable[onnx.OperatorSetIdProto]) -> int:
    """Return the version of ONNX's own operators that a model or a function is written in.

    Parameters
    ----------
    imports : iterable of onnx.OperatorSetIdProto
        Its ``opset_import``.

    Returns
    -------
    int
        The version; 0 without one.
    """
    return next((int(imported.version) for imported in imports if imported.domain in ONNX_DOMAINS), 0)


def remove(entries: MutableSequence[Any], names: Container[str]) -> None:
    """Remove from a field of a graph the entries of some names.

    Parameters
    ----------
    entries : mutable sequence
        Inputs, outputs, initializers or declarations, all of which have a ``name``.
    names : container of str
        The names.
    """
    for i in reversed(range(len(entries))):
        if entries[i].name in names:
            del entries[i]


def given_names(graph: GraphProto) -> list[str]:
    """Return the names of the tensors that a graph begins with.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph.

    Returns
    -------
    list of str
        Its inputs, and those of its initializers that are no inputs.
    """
    return list(dict.fromkeys(value.name for value in (*graph.input, *graph.initializer)))


def tensor_names(model: ModelProto) -> set[str]:
    """Return the names of all tensors in a model.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Returns
    -------
    set of str
        Those of its graph, its functions and their control flow.
    """
    names = set(given_names(model.graph))
    for body in bodies(model.graph, *model.functions):
        names.update(name for node in body.node for name in (*node.input, *node.output))
    return names


def infer_shapes(model: ModelProto, *, data_prop: bool = False) -> ModelProto:
    """Return a copy of a model in which ONNX has declared what it can infer.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; not changed.
    data_prop : bool, optional
        Whether the values of small integer tensors are followed too.

    Returns
    -------
    onnx.ModelProto
        The copy.

    Raises
    ------
    ModelError
        When shapes contradict each other.
    """
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=data_prop)
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(f"ONNX's shape inference fails: {one_line(error)}") from error


def tensor_types(model: ModelProto) -> dict[str, TensorType]:
    """Return what shape inference tells of the tensors of a model's graph.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Returns
    -------
    dict of str to TensorType
        The type of each tensor of which at least the dtype is known.

    Raises
    ------
    ModelError
        When shapes contradict each other.
    """
    graph = infer_shapes(model, data_prop=True).graph
    found = {value.name: type_of(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    for tensor in graph.initializer:
        found[tensor.name] = TensorType(
            helper.tensor_dtype_to_np_dtype(tensor.data_type), tuple(int(size) for size in tensor.dims)
        )
    return {name: known for name, known in found.items() if known is not None}


def type_of(value: onnx.ValueInfoProto) -> TensorType | None:
    """Return what a model says of a tensor.

    Parameters
    ----------
    value : onnx.ValueInfoProto
        The declaration.

    Returns
    -------
    TensorType or None
        Dtype and shape; None if it is not a tensor or has no dtype.

    Raises
    ------
    ModelError
        When it has a dtype that ONNX does not know.
    """
    tensor = value.type.tensor_type
    if not tensor.elem_type:
        return None
    if tensor.elem_type not in TensorProto.DataType.values():
        raise ModelError(f"{value.name!r} has a dtype that ONNX does not know: {tensor.elem_type}")
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if not tensor.HasField("shape"):
        return TensorType(dtype, None)
    # A size without value and name is not known to equal any other: it gets a name that no other has.
    sizes = (
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or f"?{value.name}:{i}"
        for i, dim in enumerate(tensor.shape.dim)
    )
    return TensorType(dtype, tuple(sizes))


def value_info(name: str, known: TensorType) -> onnx.ValueInfoProto:
    """Return the declaration of a tensor.

    Parameters
    ----------
    name : str
        Name of the tensor.
    known : TensorType
        Dtype and shape.

    Returns
    -------
    onnx.ValueInfoProto
        The declaration; sizes without value and name stay so.
    """
    shape = None if known.shape is None else [None if str(size)[:1] == "?" else size for size in known.shape]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(known.dtype), shape)


def node_def(node: NodeProto) -> OperatorDef:
    """Return a node as an operator.

    Parameters
    ----------
    node : onnx.NodeProto
        The node.

    Returns
    -------
    OperatorDef
        Of the type that the registry has: ``domain::type`` for foreign domains.

    Raises
    ------
    ModelError
        When the node is of softsign's domain and there is no such function, or an attribute is damaged.
    """
    try:
        attributes = {a.name: _attribute(a) for a in node.attribute}
    except (UnicodeDecodeError, TypeError, ValueError) as error:
        raise ModelError(f"{describe(node)} has a damaged attribute: {one_line(error)}") from error
    if node.domain == DOMAIN:
        try:
            op_type, fixed = operator_of(node.op_type)
        except ValueError as error:
            raise ModelError(f"{describe(node)}: {error}") from error
        attributes |= fixed
    else:
        op_type = node.op_type if node.domain in ONNX_DOMAINS else f"{node.domain}::{node.op_type}"
    return OperatorDef(op_type, node.input, node.output, node.name, attributes)


def _attribute(attribute: AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value


def lowered(
    ops: Sequence[OperatorDef], types: Mapping[str, TensorType], taken: Iterable[str]
) -> list[NodeProto]:
    """Return operators as nodes: ONNX's own where there is one, and else calls of softsign's functions.

    Parameters
    ----------
    ops : sequence of OperatorDef
        The operators.
    types : mapping of str to TensorType
        Dtypes and shapes of what they read and write, as far as known.
    taken : iterable of str
        Names of tensors that are not to be used for others.

    Returns
    -------
    list of onnx.NodeProto
        One node for each operator, or two where an axis has to be named.

    Raises
    ------
    ModelError
        When an operator has no counterpart in ONNX.
    """
    names = Names({*taken, *(name for op in ops for name in (*op.inputs, *op.outputs))})
    return [node for op in ops for node in _nodes(op, types, names)]


def _nodes(op: OperatorDef, types: Mapping[str, TensorType], names: Names) -> list[NodeProto]:
    known = types.get(op.inputs[0]) if op.inputs else None
    dtype = np.dtype(np.float32) if known is None else known.dtype
    inherited = schema(op.type).inherit_onnx_schema
    # ONNX Runtime has no Softsign of float64 but at opset 18, and none of bfloat16: the function serves
    # everywhere.
    if op.type == "Softsign" and dtype.name not in ("float16", "float32"):
        inherited = None
    static = _static(op, known, types, names)
    if static is not None:
        return static
    if inherited is None:
        if not is_function(op.type):
            raise ModelError(f"{op} has no counterpart in ONNX: its schema names none in inherit_onnx_schema")
        called = function_name(op.type, op.attributes, dtype)
        return [helper.make_node(called, op.inputs, op.outputs, op.name, domain=DOMAIN)]
    attributes = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in op.attributes.items()
    }
    return [helper.make_node(inherited, op.inputs, op.outputs, op.name, **attributes)]


def _static(
    op: OperatorDef, x: TensorType | None, types: Mapping[str, TensorType], names: Names
) -> list[NodeProto] | None:
    """Return nodes for shapes that are known in advance, which functions have to find out in each run."""
    if x is None or x.shape is None:
        return None
    sizes = [size for size in x.shape if isinstance(size, int)]
    if op.type == "OnesLike" and len(sizes) == len(x.shape):
        ones = numpy_helper.from_array(np.ones(sizes, x.dtype))
        return [helper.make_node("Constant", [], op.outputs, op.name, value=ones)]
    like = types.get(op.inputs[1]) if op.type in ("SumTo", "ExpandTo") else None
    if like is None or like.shape is None:
        return None
    if like.shape == x.shape:
        return [helper.make_node("Identity", op.inputs[:1], op.outputs, op.name)]
    extra = len(x.shape) - len(like.shape)
    if op.type == "ExpandTo" or extra < 0:
        return None
    if any(a != b and b != 1 for a, b in zip(x.shape[extra:], like.shape, strict=True)):
        return None
    axes = [i for i in range(extra, len(x.shape)) if like.shape[i - extra] == 1 and x.shape[i] != 1]
    if extra and axes:  # would need a Reshape too
        return None
    name = names.fresh(f"{op.outputs[0]}_axes")
    return [
        helper.make_node("Constant", [], [name], value_ints=axes or list(range(extra))),
        helper.make_node("ReduceSum", [op.inputs[0], name], op.outputs, op.name, keepdims=int(not extra)),
    ]


def add_functions(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Add the functions that nodes call to their model, each once, and import their domain.

    Parameters
    ----------
    model : onnx.ModelProto
        The model; functions that it has already stay as they are.
    nodes : iterable of onnx.NodeProto
        The nodes, of any domain.
    """
    present = {f.name for f in model.functions if f.domain == DOMAIN}
    called = dict.fromkeys(node.op_type for node in nodes if node.domain == DOMAIN)
    needed = make_functions(called, opset_of(model.opset_import))
    model.functions.extend(function for function in needed if function.name not in present)
    if called and DOMAIN not in {imported.domain for imported in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))
