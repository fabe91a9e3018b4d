"""The reverse pass of a graph's nodes, and of the branches of If among them."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from onnx import GraphProto, NodeProto, helper

from softsign.onnx.check import inner_graphs
from softsign.onnx.dialect import lowered, node_def, type_of, value_info
from softsign.operator import GradientMaker, OperatorDef, SchemaError, TensorType
from softsign.operator.definitions import Names
from softsign.operator.gradient import GradientError
from softsign.operator.registry import registered_maker
from softsign.operator.walks import gradient_operators, infer_types

__all__ = ["every_node", "graph_types", "maker_of", "node_operators", "renamed", "reverse_nodes"]


def every_node(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield nodes, and those of the control flow inside them.

    Parameters
    ----------
    nodes : iterable of onnx.NodeProto
        The nodes.

    Yields
    ------
    onnx.NodeProto
        Each of them.
    """
    for node in nodes:
        yield node
        for graph in inner_graphs(node):
            yield from every_node(graph.node)


def renamed(nodes: Sequence[NodeProto], names: Mapping[str, str]) -> Sequence[NodeProto]:
    """Give tensors other names, in control flow too.

    Parameters
    ----------
    nodes : sequence of onnx.NodeProto
        The nodes, which change.
    names : mapping of str to str
        New names by old.

    Returns
    -------
    sequence of onnx.NodeProto
        The nodes.
    """
    for node in every_node(nodes):
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return nodes


def _captured(graph: GraphProto) -> list[str]:
    """Return the tensors around a graph that its nodes, or its outputs, read."""
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    found: dict[str, None] = {}
    for node in graph.node:
        read = [*node.input, *(name for inner in inner_graphs(node) for name in _captured(inner))]
        found.update(dict.fromkeys(name for name in read if name and name not in known))
        known.update(node.output)
    found.update(dict.fromkeys(value.name for value in graph.output if value.name not in known))
    return list(found)


def node_operators(graph: GraphProto) -> list[OperatorDef]:
    """Return the nodes of a graph as operators, of which control flow reads what its bodies read.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph.

    Returns
    -------
    list of OperatorDef
        One for each node.
    """
    return [_operator(node) for node in graph.node]


def _operator(node: NodeProto) -> OperatorDef:
    op = node_def(node)
    read = dict.fromkeys(name for graph in inner_graphs(node) for name in _captured(graph))
    return OperatorDef(op.type, [*op.inputs, *read], op.outputs, op.name, op.attributes) if read else op


def maker_of(
    types: Mapping[str, TensorType], taken: Names
) -> Callable[[OperatorDef], type[GradientMaker] | None]:
    """Return what finds the gradient maker of a node's operator.

    Parameters
    ----------
    types : mapping of str to TensorType
        Types of the tensors around it.
    taken : Names
        Names in use, to which new ones are added.

    Returns
    -------
    callable
        It returns a subclass of `GradientMaker`, or None.
    """

    class GetIfGradient(_GetIfGradient):
        around, names = types, taken

    def find(op: OperatorDef) -> type[GradientMaker] | None:
        if not any(isinstance(value, GraphProto) for value in op.attributes.values()):
            return registered_maker(op)
        return GetIfGradient if op.type == "If" else _GetNoGradient

    return find


class _GetNoGradient(GradientMaker):
    """Refuses operators with bodies, but If."""

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        raise SchemaError(f"no gradient is known for {self.op}; of operators with bodies If alone has one")


class _GetIfGradient(GradientMaker):
    """Asks for an If whose branches compute the gradients of what the branches read."""

    around: Mapping[str, TensorType]
    names: Names

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        wanted = [i for i in range(1, len(self.op.inputs)) if self.wants(i)]
        branches, refusals = {}, []
        for key in ("then_branch", "else_branch"):
            try:
                branches[key] = self._branch(self.op.attributes[key], [self.op.inputs[i] for i in wanted])
            except GradientError as error:
                refusals += error.refusals
        if refusals:
            raise GradientError(refusals)
        outputs = [self.input_gradient(i) for i in wanted]
        dys = [dy for dy in self.output_gradients if dy]  # the branches read them
        return [OperatorDef("If", [self.input(0), *dys], outputs, attributes=branches)]

    def _branch(self, graph: GraphProto, wanted: Sequence[str]) -> GraphProto:
        """Return a branch that computes, after what it computed, the gradients of tensors around it."""
        written = [value.name for value in graph.output]
        if len(set(written)) < len(written):
            raise SchemaError(f"a branch of {self.op} has an output twice")
        seeds = {name: dy for name, dy in zip(written, self.output_gradients, strict=True) if dy}
        types = dict(self.around) | graph_types(graph)
        nodes, blobs = reverse_nodes(graph, seeds, wanted, types, self.names)
        outputs = []
        for name in wanted:
            if name not in types:
                raise SchemaError(f"the gradient of {self.op} needs the dtype of {name!r}")
            outputs.append(value_info(self.names.fresh(f"{name}_grad"), types[name]))
            if name in blobs:
                nodes.append(helper.make_node("Identity", [blobs[name]], [outputs[-1].name]))
            else:
                nodes += _lowered(self._zeros(name, outputs[-1].name), types, self.names)
        return helper.make_graph(
            [*graph.node, *nodes],
            graph.name,
            [],
            outputs,
            graph.initializer,
            sparse_initializer=graph.sparse_initializer,
        )

    def _zeros(self, like: str, output: str) -> list[OperatorDef]:
        """Return operators for the gradient of what a branch does not depend on."""
        wide, zero = (self.names.fresh(f"{output}_{part}") for part in ("wide", "zero"))
        return [
            OperatorDef("Constant", [], wide, attributes={"value": np.zeros(())}),
            OperatorDef("CastLike", [wide, like], zero),
            OperatorDef("ExpandTo", [zero, like], output),
        ]


def graph_types(graph: GraphProto) -> dict[str, TensorType]:
    """Return the types that a graph declares of its tensors.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph.

    Returns
    -------
    dict of str to TensorType
        The type of each tensor of which at least the dtype is known.
    """
    declared = {value.name: type_of(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    constants = {
        tensor.name: TensorType(helper.tensor_dtype_to_np_dtype(tensor.data_type), tuple(tensor.dims))
        for tensor in graph.initializer
    }
    return constants | {name: known for name, known in declared.items() if known is not None}


def reverse_nodes(
    graph: GraphProto,
    seeds: Mapping[str, str | None],
    wanted: Sequence[str],
    types: Mapping[str, TensorType],
    taken: Names,
) -> tuple[list[NodeProto], dict[str, str]]:
    """Return the nodes that compute gradients of a graph's tensors.

    Parameters
    ----------
    graph : onnx.GraphProto
        The graph, in the dialect of gradient makers; the types in its control flow are declared.
    seeds : mapping of str to (str or None)
        Tensors to differentiate, and those with their gradients; None: ones.
    wanted : sequence of str
        Tensors that the graph begins with, to differentiate with respect to.
    types : mapping of str to TensorType
        Types of the graph's tensors, as far as known.
    taken : Names
        Names in use, to which new ones are added.

    Returns
    -------
    list of onnx.NodeProto
        The nodes.
    dict of str to str
        The gradient of each tensor that has one.

    Raises
    ------
    SchemaError
        When a gradient cannot be had.
    """
    ops = node_operators(graph)
    written = {name for op in ops for name in op.outputs}
    versions = {(name, int(name in written)): known for name, known in types.items()}
    appended, blobs, known = gradient_operators(
        ops, seeds, taken, wanted=wanted, types=versions, maker_of=maker_of(types, taken)
    )
    return _lowered(appended, dict(types) | known, taken), blobs


def _lowered(ops: Sequence[OperatorDef], types: Mapping[str, TensorType], taken: Names) -> list[NodeProto]:
    """Return operators as nodes; the registry does not know If."""
    known = infer_types([op for op in ops if op.type != "If"], types) | dict(types)
    nodes: list[NodeProto] = []
    for is_if, group in itertools.groupby(ops, lambda op: op.type == "If"):
        if is_if:
            nodes += [helper.make_node("If", op.inputs[:1], op.outputs, **op.attributes) for op in group]
        else:
            nodes += lowered(list(group), known, taken)
    for node in nodes:
        for name in node.output:
            taken.take(name)
    return nodes
