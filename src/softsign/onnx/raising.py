"""Old models raised to a newer opset by onnx's version converter, with what that forgets; or refused."""

from collections.abc import Iterator

import numpy as np
import onnx
import onnx.version_converter
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from softsign.onnx.check import ONNX_DOMAINS, ModelError, bodies, describe, one_line
from softsign.operator.definitions import Names

__all__ = ["raised"]

#: The defaults of Selu before opset 6, which the converter drops.
_OLD_SELU = {"alpha": 1.6732, "gamma": 1.0507}


def raised(model: ModelProto, old: int, opset: int) -> ModelProto:
    """Return a model of an old opset in a newer one, with the same inputs, outputs and values.

    onnx's version converter does most of it. It leaves alone what it has no rule for, though, and so changes
    the values of Hardmax before opset 13, of Selu before 6 and of linear Resize before 11, makes Clip of
    another dtype than float32 wrong, and loses metadata. That is mended here, and what cannot be is refused.

    Parameters
    ----------
    model : onnx.ModelProto
        The model, without functions of its own; changed.
    old : int
        Its opset.
    opset : int
        The newer one.

    Returns
    -------
    onnx.ModelProto
        The converted model.

    Raises
    ------
    ModelError
        When a node, or the model, cannot be converted without changing what it computes.
    """
    if model.training_info:
        raise ModelError(f"the model has training_info, which onnx cannot convert to opset {opset}")
    for graph in _graphs(model):
        _prepare(graph, old)
    made = model
    if old < 13 and any(_of(graph, "Hardmax") for graph in _graphs(model)):
        made = _converted(made, max(old, 12))  # has Reshape and Flatten, and still the old Hardmax
        written = (name for graph in _graphs(made) for node in graph.node for name in node.output)
        names = Names(
            (*written, *(value.name for g in _graphs(made) for value in (*g.input, *g.initializer)))
        )
        for graph in _graphs(made):
            _flatten_hardmax(graph, names)
    made = _converted(made, opset)
    if old < 11:
        _repair_resize(made)
        _repair_clip(made)
    _restore(made, model)
    return made


def _converted(model: ModelProto, opset: int) -> ModelProto:
    """Return what onnx's version converter makes of a model."""
    try:
        return onnx.version_converter.convert_version(model, opset)
    except RuntimeError as error:
        raise ModelError(f"onnx cannot convert the model to opset {opset}: {one_line(error)}") from error


def _graphs(model: ModelProto) -> Iterator[GraphProto]:
    for body in bodies(model.graph):
        assert isinstance(body, GraphProto)
        yield body


def _of(graph: GraphProto, *op_types: str) -> list[NodeProto]:
    """Return the nodes of some of ONNX's own types."""
    return [node for node in graph.node if node.domain in ONNX_DOMAINS and node.op_type in op_types]


def _prepare(graph: GraphProto, old: int) -> None:
    """Rewrite, in the old opset, the nodes that the converter would leave alone; refuse where none can."""
    for node in _of(graph, "Scan", "PRelu", "Dropout", "Resize", "Selu"):
        kind = node.op_type
        mask = kind == "Dropout" and old < 10 and len(node.output) > 1 and node.output[1]
        if (kind == "Scan" and old < 9) or (kind == "PRelu" and old < 7) or mask:
            raise ModelError(f"{describe(node)} of opset {old} has no counterpart in newer opsets")
        if kind == "Resize" and old == 10 and _mode(node) == "nearest" and not _enlarges(graph, node):
            raise ModelError(
                f"{describe(node)} of opset 10 has no counterpart in newer opsets unless its scales are "
                "constant and at least 1"
            )
        if kind == "Selu" and old < 6:
            given = {attribute.name for attribute in node.attribute}
            node.attribute.extend(helper.make_attribute(k, v) for k, v in _OLD_SELU.items() if k not in given)


def _flatten_hardmax(graph: GraphProto, names: Names) -> None:
    """Let Hardmax see its input as a matrix split at the axis, as it did by itself before opset 13."""
    nodes = []
    for node in graph.node:
        if node.domain not in ONNX_DOMAINS or node.op_type != "Hardmax":
            nodes.append(node)
            continue
        axis = next((int(a.i) for a in node.attribute if a.name == "axis"), 1)
        (x,), (y,) = node.input, node.output
        shape, matrix, result = (names.fresh(f"{y}_{part}") for part in ("shape", "matrix", "hardmax"))
        nodes += [
            helper.make_node("Shape", [x], [shape]),
            helper.make_node("Flatten", [x], [matrix], axis=axis),
            helper.make_node("Hardmax", [matrix], [result], node.name, axis=1),
            helper.make_node("Reshape", [result, shape], [y]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _mode(node: NodeProto) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == "mode"), "nearest")


def _enlarges(graph: GraphProto, node: NodeProto) -> bool:
    """Tell whether the scales of a Resize of opset 10 are known to be at least 1."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {n.output[0]: n.attribute[0].t for n in _of(graph, "Constant")}
    scales = tensors.get(node.input[1])
    return scales is not None and bool(np.all(numpy_helper.to_array(scales) >= 1))


def _repair_resize(model: ModelProto) -> None:
    """Say how Upsample, and Resize of opset 10, took coordinates: without the half pixels of later ones."""
    for graph in _graphs(model):
        for node in _of(graph, "Resize"):
            node.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
            if _mode(node) == "nearest":
                node.attribute.append(helper.make_attribute("nearest_mode", "floor"))


def _repair_clip(model: ModelProto) -> None:
    """Give the bounds of Clip, attributes of float32 before opset 11, the dtype of its input."""
    typed = onnx.shape_inference.infer_shapes(model)
    for graph, known in zip(_graphs(model), _graphs(typed), strict=True):
        values = (*known.value_info, *known.input, *known.output)
        dtypes = {value.name: value.type.tensor_type.elem_type for value in values}
        constants = {node.output[0]: node for node in _of(graph, "Constant")}
        for node in _of(graph, "Clip"):
            dtype = dtypes.get(node.input[0], 0)
            if dtype in (TensorProto.UNDEFINED, TensorProto.FLOAT):
                continue
            for name in filter(None, node.input[1:]):
                tensor = constants[name].attribute[0].t
                with np.errstate(over="ignore"):  # the least float32 is −inf in float16
                    bound = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(dtype))
                tensor.CopyFrom(numpy_helper.from_array(bound, tensor.name))


def _restore(made: ModelProto, model: ModelProto) -> None:
    """Put back the metadata that the converter drops."""
    made.graph.metadata_props.extend(model.graph.metadata_props)
    made.graph.quantization_annotation.extend(model.graph.quantization_annotation)
    described = {tensor.name: tensor.doc_string for tensor in model.graph.initializer}
    for tensor in made.graph.initializer:
        tensor.doc_string = described.get(tensor.name, "")
    before = {tuple(node.output): node for graph in _graphs(model) for node in graph.node}
    for node in (node for graph in _graphs(made) for node in graph.node):
        if tuple(node.output) in before:
            node.metadata_props.extend(before[tuple(node.output)].metadata_props)
