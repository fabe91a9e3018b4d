"""Softsign put back where exporters split it into Abs, Add and Div and, on request, made accurate."""

import math
from collections import ChainMap, Counter
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple, TypeAlias

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

from softsign.onnx.check import ONNX_DOMAINS, ModelError, bodies, check_model, inner_graphs, is_large
from softsign.onnx.dialect import (
    OPSET,
    add_functions,
    infer_shapes,
    normalize_model,
    opset_of,
    remove,
)
from softsign.onnx.functions import DOMAIN, function_name
from softsign.onnx.inlining import inline_functions

__all__ = ["count_softsign", "fix_softsign"]

_Graph: TypeAlias = GraphProto | FunctionProto

#: What holds every value of a dtype, so that a Cast to it loses nothing: torch computes |x| of float16 in
#: float32.
_HOLDERS: dict[int, tuple[int, ...]] = {
    TensorProto.FLOAT16: (TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE),
    TensorProto.BFLOAT16: (TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE),
    TensorProto.FLOAT: (TensorProto.FLOAT, TensorProto.DOUBLE),
    TensorProto.DOUBLE: (TensorProto.DOUBLE,),
}
_CONSTANTS: dict[str, int] = {
    "value_float": TensorProto.FLOAT,
    "value_floats": TensorProto.FLOAT,
    "value_int": TensorProto.INT64,
    "value_ints": TensorProto.INT64,
}
_FUNCTIONS = ("Softsign", "Softsign_half")


class _Value(NamedTuple):
    """What is known of a value: dtype (0: unknown), shape (sizes may be unknown), whether it is always 1."""

    dtype: int = TensorProto.UNDEFINED
    shape: tuple[int | None, ...] | None = None
    one: bool = False


def fix_softsign(model: ModelProto, *, accurate: bool = False, inline: bool = False) -> ModelProto:
    """Put Softsign back where an exporter has split it up.

    ``x / (1 + abs(x))`` and ``x * Reciprocal(1 + abs(x))``, with operands in either order, become one
    Softsign node, which takes the name of the last node and writes its output. Between the nodes there may be
    Identity, and Cast to a wider dtype and back. What only they have used is removed. Left alone are
    expressions whose result has another shape than x, that divide integers, or whose dtype is unknown or one
    that the Softsign of the model's opset does not take (bfloat16 before 22).

    Parameters
    ----------
    model : onnx.ModelProto
        The model; not changed.
    accurate : bool, optional
        Whether every Softsign whose dtype can be inferred, new or old, shall call the model-local function of
        that name, which is right everywhere and takes every floating dtype. ONNX Runtime 1.32 gives nan at
        ±inf, and runs float64 Softsign in models of opset 18 alone. The model is raised to opset 18, and
        other functions are inlined, since their bodies do not tell dtypes.
    inline : bool, optional
        Whether ONNX's own operators alone shall be used, as by `inline_functions`, for engines that take no
        functions.

    Returns
    -------
    onnx.ModelProto
        A model of the same inputs, outputs and values.

    Raises
    ------
    ModelError
        When the model breaks ONNX's rules, cannot be raised to opset 18, or takes more than 2 GiB.

    Examples
    --------
    >>> from onnx import parser
    >>> from softsign.onnx import fix_softsign
    >>> model = parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["": 18]>
    ...     main (float[n] x) => (float[n] y) <float one = {1.0}> {
    ...         a = Abs(x)
    ...         b = Add(one, a)
    ...         y = Div(x, b)
    ...     }''')
    >>> fixed = fix_softsign(model)
    >>> [node.op_type for node in fixed.graph.node], len(fixed.graph.initializer)
    (['Softsign'], 0)
    >>> fix_softsign(model, accurate=True).graph.node[0].domain
    'softsign'
    """
    check_model(model, foreign=True)
    if is_large(model):
        raise ModelError("the model takes more than 2 GiB, which onnx cannot convert")
    if accurate:
        made = normalize_model(model)
    else:
        made = ModelProto()
        made.CopyFrom(model)
    typed = infer_shapes(made)
    # Before IR version 4 every initializer is an input too, and constant for all that.
    initializers_are_inputs = model.ir_version < 4
    scope = _Scope(made.graph, typed.graph, ChainMap(), made.opset_import, accurate, initializers_are_inputs)
    rewritten = scope.fix()
    for function, typed_function in zip(made.functions, typed.functions, strict=True):
        if function.domain != DOMAIN:
            _Scope(function, typed_function, ChainMap(), function.opset_import, accurate).fix()
    if accurate:
        add_functions(made, rewritten)
    return inline_functions(made) if inline else made


def count_softsign(model: ModelProto) -> int:
    """Count the nodes that compute Softsign: ONNX's own, and calls of the accurate function.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Returns
    -------
    int
        The number in the graph, the bodies of its control flow, and the functions; a node in a function
        counts once, however often the function is called.

    Examples
    --------
    >>> from onnx import parser
    >>> from softsign.onnx import count_softsign
    >>> count_softsign(
    ...     parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["": 18]>
    ...     main (float[n] x) => (float[n] z) {
    ...         y = Softsign(x)
    ...         z = Softsign(y)
    ...     }''')
    ... )
    2
    """
    functions = [function for function in model.functions if function.domain != DOMAIN]
    nodes = [node for body in bodies(model.graph, *functions) for node in body.node]
    return sum(_is(n, "Softsign") or (n.domain == DOMAIN and n.op_type in _FUNCTIONS) for n in nodes)


class _Scope:
    """A graph or a function's body, with what is known of each name that it sees."""

    def __init__(
        self,
        graph: _Graph,
        typed: _Graph,
        outer: ChainMap[str, _Value],
        imports: Iterable[onnx.OperatorSetIdProto],
        accurate: bool,
        initializers_are_inputs: bool = False,
    ) -> None:
        self.graph, self.typed, self.imports, self.accurate = graph, typed, imports, accurate
        self.initializers_are_inputs = initializers_are_inputs
        self.writers = {name: node for node in graph.node for name in node.output}
        self.known = outer.new_child(_declared(typed))
        if isinstance(graph, GraphProto):
            given = set() if initializers_are_inputs else {value.name for value in graph.input}
            self.known.update((t.name, _of_tensor(t)) for t in graph.initializer if t.name not in given)
        self.dtypes = set(_HOLDERS)
        # ONNX Runtime has Softsign of float64 in models of opset 18 alone, and Abs, Add and Div in all.
        if not accurate and opset_of(imports) != OPSET:
            self.dtypes.remove(TensorProto.DOUBLE)
        if not accurate and opset_of(imports) < 22:
            self.dtypes.remove(TensorProto.BFLOAT16)

    def fix(self) -> list[NodeProto]:
        """Rewrite this graph and those inside it, and return the nodes that became Softsign."""
        before = _reads(self.graph)
        rewritten = []
        for node, typed in zip(self.graph.node, self.typed.node, strict=True):
            for body, typed_body in zip(inner_graphs(node), inner_graphs(typed), strict=True):
                rewritten += _Scope(body, typed_body, self.known, self.imports, self.accurate).fix()
            self._note_one(node)
            x, dtype = self._softsign_of(node)
            if dtype in self.dtypes:
                self._rewrite(node, x, dtype)
                rewritten.append(node)
        if rewritten:
            _sweep(self.graph, before, self.initializers_are_inputs)
        return rewritten

    def _rewrite(self, node: NodeProto, x: str, dtype: int) -> None:
        """Make a node Softsign; name, output and metadata stay."""
        node.op_type = "Softsign"
        if self.accurate:
            node.op_type = function_name("Softsign", {}, helper.tensor_dtype_to_np_dtype(dtype))
            node.domain = DOMAIN
        del node.attribute[:]  # before opset 7 Div has some
        node.input[:] = [x]

    def _note_one(self, node: NodeProto) -> None:
        """Note that a node's output is the constant 1, if it is."""
        value = _Value()
        if _is(node, "Constant"):
            value = _of_constant(node.attribute[0])
        elif _is(node, "Identity", "Cast", "CastLike"):
            value = self._value(node.input[0])
            if node.op_type == "Cast":
                value = value._replace(dtype=_to(node))
            elif node.op_type == "CastLike":
                value = value._replace(dtype=self._value(node.input[1]).dtype)
        if value.one:
            self.known[node.output[0]] = value

    def _softsign_of(self, node: NodeProto) -> tuple[str, int]:
        """Return of what a node is Softsign and in which dtype, which is 0 if it is none."""
        if self.accurate and _is(node, "Softsign"):
            return node.input[0], self._value(node.input[0]).dtype
        for numerator, denominator in self._quotients(node):
            x = self._origin(numerator)
            known = self._value(x)
            holders = _HOLDERS.get(known.dtype, ())
            for absolute, one in _either_way(self._writer(denominator, "Add", holders)):
                added = self._value(one)
                if not added.one or not _fits(added.shape or (), known.shape or ()):
                    continue
                source = self._writer(absolute, "Abs", holders)
                if source is not None and self._origin(source.input[0], holders, x) == x:
                    return x, known.dtype or added.dtype
        return "", TensorProto.UNDEFINED

    def _quotients(self, node: NodeProto) -> Iterator[tuple[str, str]]:
        """Yield the numerators and denominators that a node's output is the quotient of."""
        if _is(node, "Div"):
            yield node.input[0], node.input[1]
        elif _is(node, "Mul"):
            for numerator, factor in _either_way(node):
                reciprocal = self._writer(factor, "Reciprocal")
                if reciprocal is not None:
                    yield numerator, reciprocal.input[0]

    def _writer(self, name: str, op_type: str, holders: Container[int] = ()) -> NodeProto | None:
        """Return the node that computes a value, if it is of that type."""
        node = self.writers.get(self._origin(name, holders))
        return node if node is not None and _is(node, op_type) else None

    def _origin(self, name: str, holders: Container[int] = (), end: str = "") -> str:
        """Follow a value back through Identity, and Cast to one of some dtypes, not beyond `end`."""
        while name != end and (node := self.writers.get(name)) is not None:
            if not _is(node, "Identity") and not (_is(node, "Cast") and _to(node) in holders):
                break
            name = node.input[0]
        return name

    def _value(self, name: str) -> _Value:
        return self.known.get(name, _Value())


def _is(node: NodeProto, *op_types: str) -> bool:
    """Whether a node is of one of ONNX's own types."""
    return node.domain in ONNX_DOMAINS and node.op_type in op_types


def _either_way(node: NodeProto | None) -> Iterator[tuple[str, str]]:
    """Yield the two inputs of a node in both orders, and nothing without a node."""
    if node is not None:
        a, b = node.input
        yield a, b
        yield b, a


def _to(node: NodeProto) -> int:
    """Return the dtype that a Cast names, 0 if a function's attribute gives it."""
    return next((int(a.i) for a in node.attribute if a.name == "to"), 0)


def _own_names(graph: _Graph) -> set[str]:
    """Return the names that a graph gives; they hide outer ones."""
    names = {name for node in graph.node for name in node.output}
    if isinstance(graph, FunctionProto):
        return names.union(graph.input)
    return names.union(value.name for value in (*graph.input, *graph.initializer))


def _declared(graph: _Graph) -> dict[str, _Value]:
    """Return what a graph says of its values; some are entered with nothing, to hide outer ones."""
    known = dict.fromkeys(_own_names(graph), _Value())
    values = list(graph.value_info)
    if isinstance(graph, GraphProto):
        values += [*graph.input, *graph.output]
    for value in values:
        tensor = value.type.tensor_type
        sizes = (int(dim.dim_value) if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
        known[value.name] = _Value(tensor.elem_type, tuple(sizes) if tensor.HasField("shape") else None)
    return known


def _fits(one: tuple[int | None, ...], x: tuple[int | None, ...]) -> bool:
    """Tell whether x (a scalar if unknown) keeps its shape if a constant of shape `one` is added."""
    return len(one) <= len(x) and all(a in (1, b) for a, b in zip(reversed(one), reversed(x), strict=False))


def _of_tensor(tensor: TensorProto) -> _Value:
    small = math.prod(tensor.dims) <= 1 << 16  # larger ones are weights
    one = small and bool(np.all(numpy_helper.to_array(tensor) == 1))
    return _Value(tensor.data_type, tuple(tensor.dims), one)


def _of_constant(attribute: AttributeProto) -> _Value:
    """Return what is known of a Constant node's output by its attribute, which may be a function's."""
    if attribute.name == "value" and not attribute.ref_attr_name:
        return _of_tensor(attribute.t)
    if attribute.name in _CONSTANTS and not attribute.ref_attr_name:
        array = np.asarray(helper.get_attribute_value(attribute))
        return _Value(_CONSTANTS[attribute.name], array.shape, array.size > 0 and bool((array == 1).all()))
    return _Value()


def _reads(graph: _Graph) -> Counter[str]:
    """Count how often a graph reads or returns each value."""
    reads = Counter(
        graph.output if isinstance(graph, FunctionProto) else (value.name for value in graph.output)
    )
    for node in graph.node:
        reads.update(_node_reads(node))
    return reads


def _node_reads(node: NodeProto) -> Counter[str]:
    """Count how often a node, or a graph inside it, reads each value of the graph that the node is in."""
    reads = Counter(node.input)
    for body in inner_graphs(node):
        hidden = _own_names(body)
        reads.update({name: count for name, count in _reads(body).items() if name not in hidden})
    return reads


def _sweep(graph: _Graph, before: Container[str], initializers_are_inputs: bool) -> None:
    """Remove what nothing reads any more but something did before."""
    reads = _reads(graph)
    gone = set()
    for i, node in reversed(list(enumerate(graph.node))):
        if not any(reads[name] for name in node.output) and any(name in before for name in node.output):
            reads.subtract(_node_reads(node))
            gone.update(node.output)
            del graph.node[i]
    if isinstance(graph, GraphProto):
        inputs = set() if initializers_are_inputs else {value.name for value in graph.input}
        unread = {t.name for t in graph.initializer if t.name in before and not reads[t.name]} - inputs
        gone |= unread
        remove(graph.initializer, unread)
        remove(graph.input, unread)
    remove(graph.value_info, gone)
