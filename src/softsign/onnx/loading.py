"""ONNX models read from files, with what exporters get wrong put right."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from softsign.onnx.check import (
    ModelError,
    bodies,
    check_model,
    domain_of,
    inner_graphs,
    one_line,
    tensors_of,
)
from softsign.onnx.functions import DOMAIN

__all__ = ["load_model"]


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

    Warns
    -----
    UserWarning
        When an output has another shape than is declared; it gets its own.

    Notes
    -----
    What exporters often get wrong and does not change what a model computes is put right: nodes in the wrong
    order, sizes of −1 for unknown ones and, with `foreign`, domains that nodes are of and the model does not
    import.
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
            imported.domain = domain_of(imported.domain)
        for tensor in _external(model):
            _load_external(tensor, path)
        _tolerate(model, str(path), foreign)
        _check_declared(model, str(path), foreign)
    except (onnx.checker.ValidationError, UnicodeDecodeError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} is damaged: {one_line(error)}") from error
    return model


def _external(model: ModelProto) -> Iterator[TensorProto]:
    """Yield the tensors whose data are in files of their own."""
    yield from (tensor for tensor in tensors_of(model) if tensor.data_location == TensorProto.EXTERNAL)


def _load_external(tensor: TensorProto, path: Path) -> None:
    """Read the data of a tensor from a file in the model's folder, and refuse one elsewhere.

    The folder is that of the path or, where that is a link, also that of the file itself: caches keep files
    in one folder, and links to them in another.
    """
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location = facts.get("location", "")
    folders = [path.parent.resolve(), path.resolve().parent]
    what = f"{path}: the data of tensor {tensor.name!r} are in {location!r}"
    if "\0" in location:
        raise ModelError(f"{what}, which cannot be the name of a file")
    file = (folders[0] / location).resolve()  # follows links: one may not lead out of the folder either
    if not location or Path(location).is_absolute() or not any(map(file.is_relative_to, folders)):
        raise ModelError(f"{what}, which is not in the model's folder")
    if not file.is_file():
        raise ModelError(f"{what}, which does not exist")
    held = file.stat().st_size
    try:
        offset = int(facts.get("offset", 0))
        length = int(facts.get("length", max(0, held - offset)))
    except ValueError:
        raise ModelError(f"{what} at an offset that is not a number") from None
    if min(offset, length) < 0:
        raise ModelError(f"{what} at an offset or of a length that is negative")
    end = offset + length
    if end > held:
        raise ModelError(f"{what}, which is truncated: {end:,} bytes are needed and it holds {held:,}")
    with file.open("rb") as opened:
        opened.seek(offset)
        tensor.raw_data = opened.read(length)
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _tolerate(model: ModelProto, source: str, foreign: bool) -> None:
    """Put right, in place, what exporters get wrong and engines run."""
    for body in bodies(model.graph):
        assert isinstance(body, GraphProto)
        for value in (*body.input, *body.output, *body.value_info):
            for size in value.type.tensor_type.shape.dim:
                if size.dim_value < 0:
                    size.ClearField("dim_value")
        _sort(body)
    if foreign:
        local = {function.domain for function in model.functions}
        used = {domain_of(node.domain) for body in bodies(model.graph) for node in body.node}
        for domain in sorted(
            used - local - {"", DOMAIN} - {imported.domain for imported in model.opset_import}
        ):
            model.opset_import.add(domain=domain, version=1)


def _sort(graph: GraphProto) -> None:
    """Put nodes behind those that they read from, where possible, and leave their order else."""
    waiting, ready = list(graph.node), []
    unwritten = {name for node in waiting for name in node.output if name}
    while waiting:
        late = []
        for node in waiting:
            if _reads(node) & unwritten:
                late.append(node)
            else:
                ready.append(node)
                unwritten.difference_update(node.output)
        if len(late) == len(waiting):
            return  # a cycle, which is refused later
        waiting = late
    if ready != list(graph.node):
        nodes = [NodeProto.FromString(node.SerializeToString()) for node in ready]
        del graph.node[:]
        graph.node.extend(nodes)


def _reads(node: NodeProto) -> set[str]:
    """Return the names that a node, or a graph inside it, reads."""
    inner = bodies(*inner_graphs(node))
    return set(node.input).union(*(nested.input for body in inner for nested in body.node))


def _check_declared(model: ModelProto, source: str, foreign: bool) -> None:
    """Check a model; where it declares wrong shapes, warn, and declare the right ones."""
    try:
        check_model(model, source, foreign=foreign)
    except ModelError as error:
        if "Inferred shape and existing shape differ" not in str(error):
            raise
        _declare(model, source)
        check_model(model, source, foreign=foreign)


def _declare(model: ModelProto, source: str) -> None:
    """Declare the shapes that outputs have, and no longer those of other values."""
    bare = ModelProto()
    bare.CopyFrom(model)
    for graph in (model.graph, bare.graph):
        del graph.value_info[:]
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = {v.name: v for v in onnx.shape_inference.infer_shapes(bare).graph.output}
    for value in model.graph.output:
        made = inferred[value.name].type
        if made.tensor_type.HasField("shape") and not _agree(made, value.type):
            words = f"{source} declares another shape of the output {value.name!r} than it has"
            warnings.warn(words, stacklevel=4)
            value.type.CopyFrom(made)


def _agree(one: onnx.TypeProto, other: onnx.TypeProto) -> bool:
    """Tell whether two tensor types can be of one tensor."""
    sizes = [[size.dim_value for size in known.tensor_type.shape.dim] for known in (one, other)]
    return len(sizes[0]) == len(sizes[1]) and all(
        a == b or not (a and b) for a, b in zip(*sizes, strict=True)
    )
