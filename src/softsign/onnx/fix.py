"""Softsign found again in models whose exporter split it into Abs, Add and Div."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)

from softsign.onnx.functions import DOMAIN, function_name
from softsign.onnx.model import (
    ModelError,
    add_functions,
    constant_value,
    node_def,
    normalised,
    opset_of,
    type_of,
)
from softsign.operator import TensorType

__all__ = ["count_softsign", "fix_softsign"]

Body: TypeAlias = GraphProto | FunctionProto


def fix_softsign(model: ModelProto, *, accurate: bool = False) -> ModelProto:
    """Turn what exporters make of softsign, x / (1 + |x|), into Softsign nodes.

    Found are Div (x, t) and Mul (x, Reciprocal (t)) with t the sum of Abs (x) and a constant one, in graphs, in bodies of
    control flow and in model-local functions. Values that something else uses stay; what nothing uses any more goes.

    Parameters
    ----------
    model : onnx.ModelProto
        Not changed.
    accurate : bool
        Let a function compute every Softsign of the model that is right at ±inf, in float64 and in bfloat16 too, where engines'
        own kernels are not, or do not exist. The model is raised to opset 18, and its functions are inlined.

    Returns
    -------
    onnx.ModelProto
        With the names of inputs and outputs as they were.

    Raises
    ------
    ModelError
        When types cannot be inferred, or onnx cannot raise the model to opset 18.

    Examples
    --------
    >>> from onnx import parser
    >>> from softsign.onnx import fix_softsign
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["" : 18]>
    ...     exported (float[n] x) => (float[n] y) <float one = {1}> { a = Abs (x) t = Add (a, one) y = Div (x, t) }''')
    >>> [node.op_type for node in fix_softsign(model).graph.node]
    ['Softsign']
    """
    if accurate:
        made = normalised(model)
    else:
        made = ModelProto()
        made.CopyFrom(model)
    inferred = _inferred(made)
    _Fixer(made.graph, inferred.graph, opset_of(made), overridable=made.ir_version >= 4).fix()
    for function, known in zip(made.functions, inferred.functions, strict=True):
        versions = {imported.domain: imported.version for imported in function.opset_import}
        if function.domain != DOMAIN:
            _Fixer(function, known, versions.get("", 0), overridable=True).fix()
    if accurate:
        _use_function(made)
    return made


def count_softsign(model: ModelProto) -> int:
    """Return the number of Softsign nodes in a model, its control flow and its functions.

    Parameters
    ----------
    model : onnx.ModelProto

    Returns
    -------
    int
        ONNX's own ones and calls of softsign's function.
    """
    bodies: list[Body] = [model.graph, *(f for f in model.functions if f.domain != DOMAIN)]
    return sum(_is_softsign(node) for body in bodies for node in _nodes(body))


def _is_softsign(node: NodeProto) -> bool:
    if node.domain == DOMAIN:
        return node.op_type in ("Softsign", "Softsign_half")
    return node.op_type == "Softsign" and node.domain in ("", "ai.onnx")


def _nodes(body: Body) -> Iterator[NodeProto]:
    for node in body.node:
        yield node
        for inner in _bodies(node):
            yield from _nodes(inner)


def _bodies(node: NodeProto) -> list[GraphProto]:
    """Return the graphs of control flow."""
    found: list[GraphProto] = []
    for attribute in node.attribute:
        found += [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs
    return found


def _inferred(model: ModelProto) -> ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model)
    except onnx.shape_inference.InferenceError as error:
        raise ModelError(f"ONNX's shape inference fails: {' '.join(str(error).split())}") from error


def _use_function(model: ModelProto) -> None:
    """Let the function of the domain softsign compute every Softsign."""
    _call(model.graph, _inferred(model).graph, {})
    add_functions(model, _nodes(model.graph))


def _call(graph: GraphProto, inferred: GraphProto, outer: Mapping[str, TensorType]) -> None:
    types = {**outer, **_types(inferred)}
    for node, known in zip(graph.node, inferred.node, strict=True):
        for inner, inner_known in zip(_bodies(node), _bodies(known), strict=True):
            _call(inner, inner_known, types)
        if _is_softsign(node) and node.domain != DOMAIN:
            found = types.get(node.input[0])
            dtype = np.dtype(np.float32) if found is None else found.dtype
            node.op_type, node.domain = function_name("Softsign", {}, dtype), DOMAIN


def _types(body: Body) -> dict[str, TensorType]:
    values = list(body.value_info)
    found = {}
    if isinstance(body, GraphProto):
        values += [*body.input, *body.output]
        for tensor in body.initializer:
            dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            found[tensor.name] = TensorType(dtype, tuple(int(size) for size in tensor.dims))
    found |= {value.name: known for value in values if (known := type_of(value)) is not None}
    return found


@dataclass
class _Scope:
    """What names mean in a body: constants and types, those of the bodies around it included."""

    constants: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    types: dict[str, TensorType] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)  # names of the bodies around that fewer nodes read now


class _Fixer:
    """One body, while its patterns are replaced."""

    def __init__(
        self, body: Body, inferred: Body, opset: int, *, overridable: bool, outer: _Scope | None = None
    ) -> None:
        self.body = body
        self.inferred = inferred
        self.opset = opset
        self.overridable = overridable
        outer = outer or _Scope()
        self.producer = {name: node for node in body.node for name in node.output if name}
        own = set(self.producer)
        if isinstance(body, GraphProto):
            own |= {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
        else:
            own |= set(body.input)
        self.scope = _Scope(
            {name: value for name, value in outer.constants.items() if name not in own} | self._constants(),
            {name: known for name, known in outer.types.items() if name not in own} | _types(inferred),
            outer.freed,
        )
        self.freed: set[str] = set()

    def _constants(self) -> dict[str, np.ndarray[Any, Any]]:
        found = {}
        if isinstance(self.body, GraphProto):
            fed = {value.name for value in self.body.input} if self.overridable else set()
            for tensor in self.body.initializer:
                # Large ones are weights; those in other files may not have been read.
                small = (
                    tensor.data_location != TensorProto.EXTERNAL
                    and np.prod(tensor.dims, dtype=int) <= 1 << 16
                )
                if tensor.name not in fed and small:
                    found[tensor.name] = numpy_helper.to_array(tensor)
        for node in self.body.node:
            if node.op_type == "Constant" and not node.domain and not _refers(node):
                value = constant_value(node_def(node))
                if value.dtype.kind != "O":
                    found[node.output[0]] = value
        return found

    def fix(self) -> None:
        """Replace every pattern, in the bodies of control flow too, and remove what nothing uses any more."""
        for index, (node, known) in enumerate(zip(list(self.body.node), self.inferred.node, strict=True)):
            for inner, inner_known in zip(_bodies(node), _bodies(known), strict=True):
                fixer = _Fixer(inner, inner_known, self.opset, overridable=self.overridable, outer=self.scope)
                fixer.scope.freed = self.freed
                fixer.fix()
            found = self.match(node)
            if found is not None:
                made = helper.make_node("Softsign", [found], list(node.output), node.name, node.doc_string)
                self.freed.update(node.input)
                self.body.node[index].CopyFrom(made)
        self.remove_unused()

    def match(self, node: NodeProto) -> str | None:
        """Return x if the node computes x / (1 + |x|)."""
        if node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type == "Div" and self.is_sum(node.input[1], node.input[0]):
            return str(node.input[0])
        if node.op_type == "Mul":
            for x, factor in (tuple(node.input), tuple(node.input)[::-1]):
                reciprocal = self.made_by("Reciprocal", factor)
                if reciprocal is not None and self.is_sum(reciprocal.input[0], x):
                    return str(x)
        return None

    def is_sum(self, name: str, x: str) -> bool:
        """Whether a tensor is 1 + |x|, of x's own shape, and x of a type that Softsign takes."""
        add = self.made_by("Add", name)
        if add is None:
            return False
        for one, absolute in (tuple(add.input), tuple(add.input)[::-1]):
            if self.absolute_of(absolute, x) == self.source(x) and self.is_one(one, x):
                return True
        return False

    def absolute_of(self, name: str, x: str) -> str | None:
        """Return the tensor of which another is the absolute value, to and from a wider type perhaps."""
        made = self.made_by("Abs", name)
        if made is not None:
            return self.source(made.input[0])
        narrow = self.made_by("Cast", name)  # PyTorch writes Abs of float16 in this way
        made = None if narrow is None else self.made_by("Abs", narrow.input[0])
        wide = None if made is None else self.made_by("Cast", made.input[0])
        known = self.scope.types.get(x)
        if narrow is None or wide is None or known is None:
            return None
        between, back = (
            helper.tensor_dtype_to_np_dtype(node_def(node).attributes["to"]) for node in (wide, narrow)
        )
        exact = between.name in ("float32", "float64") and between.itemsize > known.dtype.itemsize
        return self.source(wide.input[0]) if exact and back == known.dtype else None

    def is_one(self, name: str, x: str) -> bool:
        """Whether a tensor is a constant 1 that leaves the shape of x alone, both of a type that Softsign takes."""
        dtype: np.dtype[Any] | None = None  # of the constant, where nothing casts it to an unknown one
        source, cast = self.source(name), False
        while (node := self.producer.get(source)) is not None and node.op_type in ("Cast", "CastLike"):
            if node.op_type == "Cast" and not cast:
                dtype = helper.tensor_dtype_to_np_dtype(node_def(node).attributes["to"])
            source, cast = self.source(node.input[0]), True
        value = self.scope.constants.get(source)
        if value is None or not (value == 1).all() or not value.size:
            return False
        known = self.scope.types.get(x) or self.scope.types.get(self.source(x))
        if not cast:
            dtype = value.dtype
        found = dtype if known is None else known.dtype
        allowed = ("float16", "float32", "float64", "bfloat16" if self.opset >= 22 else "")
        if found is None or found.name not in allowed:
            return False
        return _fits(value.shape, None if known is None else known.shape)

    def source(self, name: str) -> str:
        """Return the tensor that Identity nodes have copied to `name`."""
        while (
            (node := self.producer.get(name)) is not None and node.op_type == "Identity" and not node.domain
        ):
            name = node.input[0]
        return name

    def made_by(self, op_type: str, name: str) -> NodeProto | None:
        """Return the node that made a tensor if it is of that type."""
        node = self.producer.get(self.source(name))
        return node if node is not None and node.op_type == op_type and not node.domain else None

    def remove_unused(self) -> None:
        """Remove nodes and initialisers that the replacements have left without a reader, last ones first."""
        uses = Counter(name for node in _nodes(self.body) for name in node.input)
        uses.update(name if isinstance(name, str) else name.name for name in self.body.output)
        uses.update(
            v.name for node in self.body.node for b in _bodies(node) for g in _inside(b) for v in g.output
        )
        kept = []
        for node in reversed(self.body.node):
            if self.freed.intersection(node.output) and not any(uses[name] for name in node.output):
                self.freed.update(node.input)
                uses.subtract(node.input)
            else:
                kept.append(node)
        if len(kept) < len(self.body.node):
            _refill(self.body.node, kept[::-1])
        gone = {name for name in self.freed if not uses[name]}
        if isinstance(self.body, GraphProto):
            inputs = {value.name for value in self.body.input}
            _refill(self.body.initializer, [t for t in self.body.initializer if t.name not in gone - inputs])
            _refill(self.body.value_info, [v for v in self.body.value_info if v.name not in gone])
        self.scope.freed.update(self.freed - set(self.producer))


def _inside(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for inner in _bodies(node):
            yield from _inside(inner)


def _refill(field: Any, values: Sequence[Any]) -> None:
    """Replace the items of a repeated field; protobuf's own slices cannot hold messages."""
    if len(values) != len(field):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        del field[:]
        field.extend(copies)


def _refers(node: NodeProto) -> bool:
    """Whether an attribute is a function's parameter."""
    return any(attribute.ref_attr_name for attribute in node.attribute)


def _fits(one: tuple[int, ...], x: tuple[int | str, ...] | None) -> bool:
    """Whether x keeps its shape when a constant of shape `one` is added."""
    if x is None:
        return one == ()
    if len(one) > len(x):
        return False
    return all(a in (1, b) for a, b in zip(reversed(one), reversed(x), strict=False))
