"""ONNX models read from files and held against ONNX's rules; what is wrong is told in one sentence."""

import os
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TypeAlias

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from softsign.onnx.functions import DOMAIN

__all__ = [
    "ONNX_DOMAINS",
    "ModelError",
    "bodies",
    "check_expansion",
    "check_model",
    "describe",
    "inner_graphs",
    "load_model",
    "one_line",
]

#: The two names of the domain of ONNX's own operators.
ONNX_DOMAINS = ("", "ai.onnx")

#: How many nodes a model may have once its functions are inlined; shape inference of so many takes seconds.
MOST_NODES = 50_000

#: What has nodes.
Body: TypeAlias = GraphProto | FunctionProto


class ModelError(ValueError):
    """An ONNX model, or what is asked of it, is wrong; the message names the node."""


def load_model(path: str | os.PathLike[str], *, foreign: bool = False) -> ModelProto:
    """Read a model from a file, with its external data, and check it.

    Parameters
    ----------
    path : path-like
        The file.
    foreign : bool, optional
        Whether nodes may be of operators that neither ONNX nor the model defines, as ONNX Runtime has its
        own.

    Returns
    -------
    onnx.ModelProto
        The model, its external data in it.

    Raises
    ------
    ModelError
        When it is not an ONNX model, is damaged, needs a newer opset than the installed onnx knows, breaks
        ONNX's rules, or its external data are missing or outside its folder.
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
        raise ModelError(f"{path} is damaged: {one_line(error)}") from error
    return model


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
    _check_order(model.graph, source)
    _check_operators(model, source, foreign)
    check_expansion(model, source)
    try:
        onnx.checker.check_model(model, full_check=True)
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
        (function.domain, function.name): [_called(node) for body in bodies(function) for node in body.node]
        for function in model.functions
    }
    outer = [_called(node) for body in bodies(model.graph) for node in body.node]
    try:
        order = list(TopologicalSorter({f: held.keys() & calls for f, calls in held.items()}).static_order())
    except CycleError as error:
        raise ModelError(f"{source}: the function {'::'.join(error.args[1][0])!r} calls itself") from error
    sizes: dict[tuple[str, str], int] = {}
    for function in order:
        sizes[function] = sum(sizes.get(called, 1) for called in held[function])
    size = sum(sizes.get(called, 1) for called in outer)
    most = max(MOST_NODES, 2 * (len(outer) + sum(map(len, held.values()))))
    if size > most:
        raise ModelError(
            f"{source} has {size:,} nodes once its functions are inlined; at most {most:,} are allowed"
        )


def _called(node: NodeProto) -> tuple[str, str]:
    return node.domain, node.op_type


def _external(model: ModelProto) -> Iterator[TensorProto]:
    """Yield the tensors whose data are in files of their own."""
    for body in bodies(model.graph, *model.functions):
        tensors: list[TensorProto] = []
        if isinstance(body, GraphProto):
            sparse = [part for s in body.sparse_initializer for part in (s.values, s.indices)]
            tensors += [*body.initializer, *sparse]
        for attribute in (a for node in body.node for a in node.attribute):
            tensors += [attribute.t, attribute.sparse_tensor.values, attribute.sparse_tensor.indices]
            tensors += [*attribute.tensors, *(s.values for s in attribute.sparse_tensors)]
        yield from (tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL)


def _check_external(tensor: TensorProto, path: Path) -> None:
    """Refuse a tensor whose data are not, in full, in the folder of the model's file."""
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
    end, held = sum(numbers), file.stat().st_size
    if end > held:
        raise ModelError(f"{what}, which is truncated: {end:,} bytes are needed and it holds {held:,}")


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
    return {_domain(imported.domain): int(imported.version) for imported in imports}


def _domain(name: str) -> str:
    """Return the name of a domain, of which ONNX's own has two."""
    return "" if name in ONNX_DOMAINS else name
