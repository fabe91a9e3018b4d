"""ONNX models: read and checked, raised to one dialect, made from nets and turned into them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnx.version_converter
from google.protobuf.message import DecodeError
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from softsign.onnx.functions import DOMAIN, VERSION, function_name, is_function, make_functions, operator_of
from softsign.operator import Net, OperatorDef, SchemaError, TensorType, schema
from softsign.operator.registry import unused
from softsign.operator.walks import infer_types

__all__ = [
    "OPSET",
    "ModelError",
    "check_model",
    "from_model",
    "load_model",
    "normalized",
    "to_model",
]

#: The opset of models made here, and the least that graphs are differentiated in: since 18 the axes of every reduction
#: are an input, so that gradient makers meet one form of each operator.
OPSET = 18
#: The IR version of opset 18, and the first that has model-local functions.
IR_VERSION = 8


class ModelError(ValueError):
    """An ONNX model, or what is asked of it, is wrong; the message names the node."""


def load_model(path: str | os.PathLike[str], *, foreign: bool = False) -> ModelProto:
    """Read a model from a file, with its external data, and check it.

    Parameters
    ----------
    path : path-like
    foreign : bool
        Whether nodes may be of operators that neither ONNX nor the model defines, as ONNX Runtime has its own.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ModelError
        When it is not an ONNX model, is damaged, needs a newer opset than the installed onnx knows, breaks ONNX's rules, or its
        external data are missing or outside its folder.
    OSError
        When it cannot be read.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError(f"{path} is not an ONNX model, or is truncated") from error
    if not model.HasField("graph") or not model.ir_version:
        raise ModelError(f"{path} is not an ONNX model: it holds no graph")
    try:
        for imported in model.opset_import:
            imported.domain = _domain(imported.domain)
        for tensor in _external(model):
            _check_external(tensor, path)
        onnx.load_external_data_for_model(model, str(path.parent))
        check_model(model, str(path), foreign=foreign)
    except (onnx.checker.ValidationError, UnicodeDecodeError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} is damaged: {' '.join(str(error).split())}") from error
    return model


def _external(model: ModelProto) -> Iterator[TensorProto]:
    """Yield the tensors whose data are in files of their own."""
    for body in bodies(model):
        tensors: list[TensorProto] = []
        if isinstance(body, onnx.GraphProto):
            sparse = [part for s in body.sparse_initializer for part in (s.values, s.indices)]
            tensors += [*body.initializer, *sparse]
        for attribute in (a for node in body.node for a in node.attribute):
            tensors += [attribute.t, attribute.sparse_tensor.values, attribute.sparse_tensor.indices]
            tensors += [*attribute.tensors, *(s.values for s in attribute.sparse_tensors)]
        yield from (tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL)


def _check_external(tensor: TensorProto, path: Path) -> None:
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location = facts.get("location", "")
    folder = path.parent.resolve()
    what = f"{path}: the data of tensor {tensor.name!r} are in {location!r}"
    if "\0" in location:
        raise ModelError(f"{what}, which cannot be the name of a file")
    file = (folder / location).resolve()  # follows links: one may not lead out of the folder either
    if not location or Path(location).is_absolute() or not file.is_relative_to(folder):
        raise ModelError(f"{what}, which is not in the model's folder")
    if not file.is_file():
        raise ModelError(f"{what}, which does not exist")
    try:
        numbers = [int(facts.get(key, 0)) for key in ("offset", "length")]
    except ValueError:
        raise ModelError(f"{what} at an offset that is not a number") from None
    if min(numbers) < 0:
        raise ModelError(f"{what} at an offset or of a length that is negative")
    end = sum(numbers)
    if end > file.stat().st_size:
        raise ModelError(
            f"{what}, which is truncated: {end:,} bytes are needed and it holds {file.stat().st_size:,}"
        )


def bodies(model: ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """Yield the graph of a model, its functions, and the graphs of their control flow."""
    pending: list[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    while pending:
        body = pending.pop()
        yield body
        for node in body.node:
            for attribute in node.attribute:
                pending += [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs


def describe(node: NodeProto) -> str:
    """Return what messages call a node: its name, or what it writes, and its type."""
    domain = f"{node.domain}::" if node.domain else ""
    return f"node {node.name or ', '.join(node.output)!r} ({domain}{node.op_type})"


def opset_of(model: ModelProto) -> int:
    """Return the version of ONNX's own operators that a model is written in."""
    versions = {imported.domain: imported.version for imported in model.opset_import}
    return int(versions.get("", versions.get("ai.onnx", 0)))


def check_model(model: ModelProto, source: str = "the model", *, foreign: bool = False) -> None:
    """Refuse a model that breaks ONNX's rules, in one sentence that names the node.

    Parameters
    ----------
    model : onnx.ModelProto
    source : str
        What messages call it.
    foreign : bool
        Whether nodes may be of operators that neither ONNX nor the model defines.

    Raises
    ------
    ModelError
    """
    known = onnx.defs.onnx_opset_version()
    opset = opset_of(model)
    if opset > known:
        raise ModelError(
            f"{source} needs opset {opset}; the installed onnx {onnx.__version__} knows 1 to {known}"
        )
    for value in (*model.graph.input, *model.graph.output):
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            raise ModelError(
                f"{source}: {value.name!r} is an input or output without a shape; ONNX wants its rank"
            )
    _check_order(model.graph, source)
    _check_operators(model, source, foreign)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        message = " ".join(str(error).replace("==> Context:", "").split())
        raise ModelError(f"{source} breaks ONNX's rules: {message}") from error


def _check_order(graph: onnx.GraphProto, source: str) -> None:
    """Tell dangling names, cycles and wrong order apart, which onnx.checker does not."""
    writer: dict[str, NodeProto] = {}
    given = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    given |= {tensor.values.name for tensor in graph.sparse_initializer}
    for node in graph.node:
        for name in filter(None, node.output):
            if name in writer or name in given:
                raise ModelError(f"{source}: {describe(node)} writes {name!r}, which is there already")
            writer[name] = node
    for node in graph.node:
        for name in node.input:
            if name not in writer and name not in given:
                raise ModelError(f"{source}: {describe(node)} reads {name!r}, which nothing writes")
    order = {
        id(node): [id(writer[name]) for name in node.input if name in writer and name not in given]
        for node in graph.node
    }
    nodes = {id(node): node for node in graph.node}
    try:
        TopologicalSorter(order).prepare()
    except CycleError as error:
        circle = ", ".join(describe(nodes[key]) for key in error.args[1][:-1])
        raise ModelError(f"{source} has a cycle: {circle}") from error
    written = [value.name for value in graph.output if value.name not in writer and value.name not in given]
    if written:
        raise ModelError(f"{source}: nothing writes the output {written[0]!r}")


def _check_operators(model: ModelProto, source: str, foreign: bool) -> None:
    local = {(function.domain, function.name) for function in model.functions}
    for body in [model.graph, *model.functions]:
        imports = model.opset_import if isinstance(body, onnx.GraphProto) else body.opset_import
        versions = {_domain(imported.domain): imported.version for imported in imports}
        for node in _all_nodes(body):
            domain = _domain(node.domain)
            if (node.domain, node.op_type) in local or (foreign and domain not in ("", DOMAIN)):
                continue
            if not versions.get(domain):
                raise ModelError(f"{source}: {describe(node)} is of a domain that the model does not import")
            if not onnx.defs.has(node.op_type, versions[domain], domain):
                raise ModelError(
                    f"{source}: {describe(node)} is of an operator that neither ONNX nor the model defines "
                    f"at version {versions[domain]} of the domain"
                )


def _domain(name: str) -> str:
    """Return the name of a domain, of which ONNX's own has two."""
    return "" if name == "ai.onnx" else name


def _all_nodes(body: onnx.GraphProto | onnx.FunctionProto) -> Iterator[NodeProto]:
    """Yield the nodes of a body and of its control flow."""
    for node in body.node:
        yield node
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs:
                yield from _all_nodes(inner)


def normalized(model: ModelProto) -> ModelProto:
    """Return a model in the dialect that gradient makers know: opset 18 or newer, no functions but softsign's.

    Parameters
    ----------
    model : onnx.ModelProto
        Not changed.

    Returns
    -------
    onnx.ModelProto
        Of the same inputs, outputs and values.

    Raises
    ------
    ModelError
        When onnx cannot convert it.
    """
    made = inlined(model)
    try:
        if opset_of(made) < OPSET:
            made = onnx.version_converter.convert_version(made, OPSET)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"onnx cannot convert the model to opset {OPSET}: {reason}") from error
    if (
        made.ir_version < 4
    ):  # where initializers had to be inputs too; from 4 on that lets the caller replace them
        constant = {tensor.name for tensor in made.graph.initializer}
        kept = [value for value in made.graph.input if value.name not in constant]
        del made.graph.input[:]
        made.graph.input.extend(kept)
    made.ir_version = max(made.ir_version, IR_VERSION)
    return made


def inlined(model: ModelProto) -> ModelProto:
    """Return a copy of a model with the bodies of its functions, softsign's excepted, in place of their calls."""
    made = ModelProto()
    made.CopyFrom(model)
    foreign = [(f.domain, f.name) for f in model.functions if f.domain != DOMAIN or not _is_own(f.name)]
    if not foreign:
        return made
    try:
        return onnx.inliner.inline_selected_functions(made, foreign)
    except (RuntimeError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"onnx cannot inline the model's functions: {' '.join(str(error).split())}"
        ) from error


def _is_own(name: str) -> bool:
    """Whether a function of the domain softsign is one that this package makes."""
    try:
        operator_of(name)
    except ValueError:
        return False
    return True


def add_functions(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Add the functions that nodes call, each once, and import their domain."""
    present = {f.name for f in model.functions if f.domain == DOMAIN}
    called = dict.fromkeys(node.op_type for node in nodes if node.domain == DOMAIN)
    needed = make_functions(called, opset_of(model))
    model.functions.extend(function for function in needed if function.name not in present)
    if called and DOMAIN not in {imported.domain for imported in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))


def type_of(value: onnx.ValueInfoProto) -> TensorType | None:
    """Return what a model says of a tensor; None if it is not a tensor or has no dtype."""
    tensor = value.type.tensor_type
    if not tensor.elem_type:
        return None
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
    """Return the declaration of a tensor."""
    shape = None if known.shape is None else [None if str(size)[:1] == "?" else size for size in known.shape]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(known.dtype), shape)


def tensor_types(model: ModelProto) -> dict[str, TensorType]:
    """Return what shape inference tells of the tensors of a model's graph."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(f"ONNX's shape inference fails: {' '.join(str(error).split())}") from error
    found = {value.name: type_of(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    for tensor in graph.initializer:
        found[tensor.name] = TensorType(
            helper.tensor_dtype_to_np_dtype(tensor.data_type), tuple(int(size) for size in tensor.dims)
        )
    return {name: known for name, known in found.items() if known is not None}


def node_def(node: NodeProto) -> OperatorDef:
    """Return a node as an operator. Its type is that of the registry: ``domain::type`` for foreign domains."""
    attributes = {a.name: _attribute(a) for a in node.attribute}
    if node.domain == DOMAIN:
        try:
            op_type, fixed = operator_of(node.op_type)
        except ValueError as error:
            raise ModelError(f"{describe(node)}: {error}") from error
        attributes |= fixed
    else:
        op_type = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
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
    types : mapping of str to TensorType
        Of what they read and write, as far as known.
    taken : iterable of str
        Names of tensors that are not to be used for others.

    Returns
    -------
    list of onnx.NodeProto

    Raises
    ------
    ModelError
        When an operator has no counterpart in ONNX.
    """
    names = {*taken, *(name for op in ops for name in (*op.inputs, *op.outputs))}
    return [node for op in ops for node in _nodes(op, types, names)]


def _nodes(op: OperatorDef, types: Mapping[str, TensorType], taken: set[str]) -> list[NodeProto]:
    known = types.get(op.inputs[0]) if op.inputs else None
    dtype = np.dtype(np.float32) if known is None else known.dtype
    inherited = schema(op.type).inherit_onnx_schema
    # ONNX Runtime has no Softsign of float64 but at opset 18, and none of bfloat16: the function serves everywhere.
    if op.type == "Softsign" and dtype.name not in ("float16", "float32"):
        inherited = None
    if inherited is None and not is_function(op.type):
        raise ModelError(f"{op} has no counterpart in ONNX: its schema names none in inherit_onnx_schema")
    static = _static(op, known, types, taken)
    if static is not None:
        return static
    if inherited is None:
        called = function_name(op.type, op.attributes, dtype)
        return [helper.make_node(called, op.inputs, op.outputs, op.name, domain=DOMAIN)]
    attributes = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in op.attributes.items()
    }
    return [helper.make_node(inherited, op.inputs, op.outputs, op.name, **attributes)]


def _static(
    op: OperatorDef, x: TensorType | None, types: Mapping[str, TensorType], taken: set[str]
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
    name = unused(f"{op.outputs[0]}_axes", taken)
    taken.add(name)
    return [
        helper.make_node("Constant", [], [name], value_ints=axes or list(range(extra))),
        helper.make_node("ReduceSum", [op.inputs[0], name], op.outputs, op.name, keepdims=int(not extra)),
    ]


def to_model(
    net: Net, types: Mapping[str, Any] | None = None, *, outputs: Sequence[str] | None = None
) -> ModelProto:
    """Make an ONNX model of a net.

    Blobs, operators and the net keep their names. ONNX has no blobs that are overwritten: where a net works in place,
    the first value of an input and the last value of any other blob keep the name, and the other values get a number
    behind it.

    Parameters
    ----------
    net : Net
        Its constants become initializers.
    types : mapping of str to array_like, TensorType or (dtype, shape), optional
        Dtypes and shapes of the net's inputs; a string in a shape is the name of a size that varies. Those that
        ``net.types`` has may be left out.
    outputs : sequence of str, optional
        Blobs to return. Default: ``net.outputs``.

    Returns
    -------
    onnx.ModelProto
        Of opset 18, checked. Operators that ONNX does not have are model-local functions of standard operators.

    Raises
    ------
    ModelError
        When an operator has no counterpart in ONNX, an input has no type, a blob in `types` is not an input of the net, one in
        `outputs` is not of the net, or nothing is to be returned.
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
    known = dict(net.types) | {name: _as_type(value) for name, value in (types or {}).items()}
    for name in known:
        if name not in net.inputs and name not in net.types:
            raise ModelError(
                f"types: the net {net.name!r} has no input {name!r}; it has {', '.join(net.inputs)}"
            )
    for name in net.inputs:
        shape = known[name].shape if name in known else None
        if shape is None or any(isinstance(size, int) and size < 0 for size in shape):
            raise ModelError(
                f"types: the input {name!r} of net {net.name!r} needs a dtype and a shape of known rank"
            )
    inputs = {name: known[name] for name in net.inputs}
    constants = {name: TensorType(a.dtype, a.shape) for name, a in net.constants.items()}
    inferred = infer_types(ops, constants | inputs)
    nodes = lowered(ops, inferred, {*names, *net.constants, *inputs})
    wanted = list(net.outputs if outputs is None else outputs)
    if not wanted:
        raise ModelError(f"the net {net.name!r} has no output")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ModelError(f"outputs: the net {net.name!r} does not write a blob {missing[0]!r}")
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        net.name,
        [value_info(name, known) for name, known in inputs.items()],
        [onnx.ValueInfoProto(name=names[name]) for name in wanted],
        [numpy_helper.from_array(a, name) for name, a in net.constants.items() if name in read],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="softsign"
    )
    add_functions(model, nodes)
    found = tensor_types(model)
    for value in model.graph.output:
        if value.name not in found:
            raise ModelError(f"the dtype of the output {value.name!r} cannot be inferred")
        value.CopyFrom(value_info(value.name, found[value.name]))
    check_model(model, f"the model of net {net.name!r}")
    return model


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
    given = {*net.inputs, *net.constants}
    taken = net.blobs
    names: dict[str, str] = {}
    ops = []
    for op in net.operators:
        read = [names.get(name, name) for name in op.inputs]
        for name in filter(None, op.outputs):
            left[name] -= 1
            names[name] = name if name not in given and not left[name] else unused(f"{name}_1", taken)
            taken.add(names[name])
        ops.append(
            OperatorDef(op.type, read, [names.get(name, "") for name in op.outputs], op.name, op.attributes)
        )
    return ops, names


def from_model(model: ModelProto) -> Net:
    """Make a net of an ONNX model.

    Parameters
    ----------
    model : onnx.ModelProto
        Of operators that are registered: importing `softsign.onnx` registers those of feed-forward networks. Older
        opsets are raised to 18, and functions that are not softsign's inlined.

    Returns
    -------
    Net
        With the names of the model. Initializers and Constant nodes are its constants.

    Raises
    ------
    ModelError
        When the model is wrong, or has an operator that is not registered, control flow or sparse initializers.

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
    graph = normalized(model).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    net = Net(graph.name)
    for node in graph.node:
        if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in node.attribute):
            raise ModelError(f"{describe(node)} is control flow, which a net does not have")
        op = node_def(node)
        if op.type == "Constant":
            constants[op.outputs[0]] = constant_value(op)
            continue
        try:
            net.add(op)
        except SchemaError as error:
            raise ModelError(f"{describe(node)}: {error}") from error
    net.constants = constants
    net.types = {
        value.name: known
        for value in graph.input
        if value.name not in constants and (known := type_of(value)) is not None
    }
    net.outputs = [value.name for value in graph.output]
    return net


def constant_value(op: OperatorDef) -> np.ndarray[Any, Any]:
    """Return the tensor of a Constant operator, which may be given in one of several attributes."""
    ((name, value),) = op.attributes.items()
    dtypes = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    return np.asarray(value, dtypes.get(name))
