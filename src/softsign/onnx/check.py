"""ONNX models held against ONNX's rules; what is wrong is told in one sentence."""

import math
import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

import onnx
from google.protobuf.message import EncodeError
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from softsign.onnx.functions import DOMAIN

__all__ = [
    "ONNX_DOMAINS",
    "ModelError",
    "bodies",
    "check_expansion",
    "check_model",
    "describe",
    "domain_of",
    "for_checker",
    "inner_graphs",
    "is_large",
    "one_line",
    "tensors_of",
]

#: The two names of the domain of ONNX's own operators.
ONNX_DOMAINS = ("", "ai.onnx")

#: How many nodes a model may have once its functions are inlined; shape inference of so many takes seconds.
MOST_NODES = 50_000

#: What has nodes.
Body: TypeAlias = GraphProto | FunctionProto


class ModelError(ValueError):
    """An ONNX model, or what is asked of it, is wrong; the message names the node."""


def check_model(model: ModelProto, source: str = "the model", *, foreign: bool = False) -> None:
    """Refuse a model that breaks ONNX's rules, in one sentence that names the node.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.
    source : str, optional
        Name used in error messages.
    foreign : bool, optional
        Whether nodes may be of operators that neither ONNX nor the model defines.

    Raises
    ------
    ModelError
        When the model breaks a rule, or needs a newer opset than the installed onnx knows.
    """
    known = onnx.defs.onnx_opset_version()
    opset = _versions(model.opset_import).get("", 0)
    if opset > known:
        raise ModelError(
            f"{source} needs opset {opset}; the installed onnx {onnx.__version__} knows 1 to {known}"
        )
    for value in (*model.graph.input, *model.graph.output):
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            raise ModelError(
                f"{source}: {value.name!r} is an input or output without a shape; ONNX wants its rank"
            )
    for tensor in tensors_of(model):
        _check_tensor(tensor, source)
    _check_order(model.graph, source)
    _check_operators(model, source, foreign)
    check_expansion(model, source)
    try:
        onnx.checker.check_model(for_checker(model), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        message = one_line(str(error).replace("==> Context:", ""))
        raise ModelError(f"{source} breaks ONNX's rules: {message}") from error


def _check_order(graph: GraphProto, source: str) -> None:
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
    unwritten = [value.name for value in graph.output if value.name not in writer and value.name not in given]
    if unwritten:
        raise ModelError(f"{source}: nothing writes the output {unwritten[0]!r}")


def _check_operators(model: ModelProto, source: str, foreign: bool) -> None:
    """Refuse nodes of operators that nobody defines."""
    local = {(function.domain, function.name) for function in model.functions}
    for holder, outer in ((model, model.graph), *((function, function) for function in model.functions)):
        versions = _versions(holder.opset_import)
        for node in (node for body in bodies(outer) for node in body.node):
            domain = domain_of(node.domain)
            if (node.domain, node.op_type) in local or (foreign and domain not in ("", DOMAIN)):
                continue
            if not versions.get(domain):
                raise ModelError(f"{source}: {describe(node)} is of a domain that the model does not import")
            if domain == "" and node.op_type == "Einsum":
                _check_equation(node, source)
            if not onnx.defs.has(node.op_type, versions[domain], domain):
                raise ModelError(
                    f"{source}: {describe(node)} is of an operator that neither ONNX nor the model defines "
                    f"at version {versions[domain]} of the domain"
                )


def check_expansion(model: ModelProto, source: str = "the model") -> None:
    """Refuse functions that call each other so often that a small file is a huge model.

    Whoever infers shapes through functions, or inlines them, walks all calls; and they double with each level
    where a function calls the next one twice.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.
    source : str, optional
        Name used in error messages.

    Raises
    ------
    ModelError
        When a function calls itself, or the calls would make more than `MOST_NODES` nodes, and more than
        twice as many as the model has.
    """
    held = {
        (function.domain, function.name, function.overload): [
            _called(node) for body in bodies(function) for node in body.node
        ]
        for function in model.functions
    }
    outer = [_called(node) for body in bodies(model.graph) for node in body.node]
    try:
        order = list(TopologicalSorter({f: held.keys() & calls for f, calls in held.items()}).static_order())
    except CycleError as error:
        raise ModelError(
            f"{source}: the function {'::'.join(error.args[1][0][:2])!r} calls itself"
        ) from error
    sizes: dict[tuple[str, str, str], int] = {}
    for function in order:
        sizes[function] = sum(sizes.get(called, 1) for called in held[function])
    size = sum(sizes.get(called, 1) for called in outer)
    most = max(MOST_NODES, 2 * (len(outer) + sum(map(len, held.values()))))
    if size > most:
        raise ModelError(
            f"{source} has {size:,} nodes once its functions are inlined; at most {most:,} are allowed"
        )


def _called(node: NodeProto) -> tuple[str, str, str]:
    return node.domain, node.op_type, node.overload


def _check_equation(node: NodeProto, source: str) -> None:
    """Refuse an Einsum with two ellipses in a term, at which onnx 1.23's shape inference never ends."""
    for attribute in node.attribute:
        terms = re.split(b",|->", attribute.s) if attribute.name == "equation" else []
        if any(b"." in term.replace(b"...", b"", 1) for term in terms):
            equation = attribute.s.decode(errors="replace")
            raise ModelError(f"{source}: {describe(node)} has an equation that is none: {equation!r}")


#: Larger messages than this, in bytes, cannot be written or read by protobuf.
_LARGEST = (1 << 31) - 1
#: Tensors of fewer bytes than this may tell a shape.
_TELLING = 1 << 16


def is_large(model: ModelProto) -> bool:
    """Tell whether a model takes more than 2 GiB, which protobuf can neither write nor read.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Returns
    -------
    bool
        True for more than 2 GiB.
    """
    try:
        return int(model.ByteSize()) > _LARGEST
    except EncodeError:  # it writes the message to measure it
        return True


def for_checker(model: ModelProto) -> ModelProto:
    """Return what stands for a model where onnx checks it: without the data of weights if these are too many.

    onnx 1.23 also cannot infer what MeanVarianceNormalization gives for its default axes.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Returns
    -------
    onnx.ModelProto
        The model itself, or one in which large initializers are inputs.
    """
    bare = [n for n in model.graph.node if n.op_type == "MeanVarianceNormalization" and not n.attribute]
    if not bare and not is_large(model):
        return model
    made = ModelProto()
    for field, value in model.ListFields():
        if field.name == "graph":
            for part, content in value.ListFields():
                if part.name != "initializer":
                    _set(made.graph, part.name, content)
        else:
            _set(made, field.name, value)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) < _TELLING:
            made.graph.initializer.append(tensor)
        elif tensor.name not in {known.name for known in model.graph.input}:
            made.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for node in made.graph.node:
        if node.op_type == "MeanVarianceNormalization" and not node.attribute:
            node.attribute.append(helper.make_attribute("axes", [0, 2, 3]))
    return made


def _set(message: Any, name: str, value: Any) -> None:
    """Set a field of a message, whatever it holds."""
    field = getattr(message, name)
    if hasattr(field, "MergeFrom"):
        field.MergeFrom(value)
    else:
        setattr(message, name, value)


def tensors_of(model: ModelProto) -> Iterator[TensorProto]:
    """Yield the tensors in a model: initializers, and attributes of nodes.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Yields
    ------
    onnx.TensorProto
        Each tensor; of a sparse one, values and indices.
    """
    for body in bodies(model.graph, *model.functions):
        if isinstance(body, GraphProto):
            yield from body.initializer
            yield from (part for s in body.sparse_initializer for part in (s.values, s.indices))
        for attribute in (a for node in body.node for a in node.attribute):
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == AttributeProto.SPARSE_TENSOR:
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
            yield from attribute.tensors
            yield from (part for s in attribute.sparse_tensors for part in (s.values, s.indices))


#: How many elements of a dtype are in a byte of `raw_data`, or in an element of `int32_data`.
_PER_BYTE = {"INT4": 2, "UINT4": 2, "FLOAT4E2M1": 2, "INT2": 4, "UINT2": 4}


def _check_tensor(tensor: TensorProto, source: str) -> None:
    """Refuse a tensor that has more or less data than its dtype and sizes ask for."""
    try:
        itemsize = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError):
        raise ModelError(
            f"{source}: tensor {tensor.name!r} has no dtype that ONNX knows: {tensor.data_type}"
        ) from None
    name = TensorProto.DataType.Name(tensor.data_type)
    count = math.prod(tensor.dims)
    needed = -(-count // _PER_BYTE.get(name, 1))
    if tensor.HasField("raw_data"):
        held, needed, unit = len(tensor.raw_data), needed * itemsize, "bytes"
    elif tensor.data_location == TensorProto.EXTERNAL:
        return
    else:
        held, unit = len(getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type))), "numbers"
        needed *= 2 if name.startswith("COMPLEX") else 1
    if held != needed:
        words = f"{held:,} {unit} instead of {needed:,}"
        raise ModelError(f"{source}: tensor {tensor.name!r} of {count:,} elements has {words}")


def bodies(*outer: Body) -> Iterator[Body]:
    """Yield graphs and functions, and the graphs of the control flow inside them.

    Parameters
    ----------
    *outer : onnx.GraphProto or onnx.FunctionProto
        Where to begin.

    Yields
    ------
    onnx.GraphProto or onnx.FunctionProto
        Each of them, and each graph inside.
    """
    pending = list(outer)
    while pending:
        body = pending.pop()
        yield body
        for node in body.node:
            pending += inner_graphs(node)


def inner_graphs(node: NodeProto) -> list[GraphProto]:
    """Return the graphs in the attributes of a node: branches, and bodies of loops.

    Parameters
    ----------
    node : onnx.NodeProto
        The node.

    Returns
    -------
    list of onnx.GraphProto
        None of them where the node is not control flow.
    """
    graphs: list[GraphProto] = []
    for attribute in node.attribute:
        graphs += [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs
    return graphs


def describe(node: NodeProto) -> str:
    """Return the name of a node in error messages: its own, or what it writes, and its type.

    Parameters
    ----------
    node : onnx.NodeProto
        The node.

    Returns
    -------
    str
        Such as ``node 'act' (Softsign)``.
    """
    domain = f"{node.domain}::" if node.domain else ""
    return f"node {node.name or ', '.join(node.output)!r} ({domain}{node.op_type})"


def one_line(error: Exception | str) -> str:
    """Return the message of an error without line breaks.

    Parameters
    ----------
    error : Exception or str
        The error, or its message.

    Returns
    -------
    str
        The words, one blank between them.
    """
    return " ".join(str(error).split())


def _versions(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Return the version of each domain that a model or a function imports."""
    return {domain_of(imported.domain): int(imported.version) for imported in imports}


def domain_of(name: str) -> str:
    """Return the name of a domain, of which ONNX's own has two.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    str
        The name; "" for ONNX's own domain.
    """
    return "" if name in ONNX_DOMAINS else name
