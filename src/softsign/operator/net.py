"""Nets of operators, and their differentiation backwards through the gradient makers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any, TypeAlias

import numpy as np

from softsign.operator.definitions import Names, OperatorDef, SchemaError, TensorType
from softsign.operator.gradient import GradientMaker
from softsign.operator.registry import create_operator, gradient_maker, revision, schema

__all__ = ["Net", "gradient_operators", "infer_types"]

#: A blob, and how often it had been written to: what one operator hands to another.
Version: TypeAlias = tuple[str, int]


class Net:
    """A list of operators, executed in order.

    Parameters
    ----------
    name : str
    constants : mapping of str to array_like, optional
        Blobs that come with the net, such as trained weights: `Workspace.run` feeds those it does not have.

    Attributes
    ----------
    name : str
    operators : list of OperatorDef
    constants : dict of str to ndarray
    types : dict of str to TensorType
        What is known of the net's inputs; `softsign.onnx.from_model` fills it and `softsign.onnx.to_model` uses it.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator import Net, Workspace
    >>> net = Net("square")
    >>> _ = net.add("Softsign", "X", "Y")
    >>> _ = net.add("Mul", ["Y", "Y"], "Z")
    >>> gradients = net.add_gradients(["Z"])
    >>> workspace = Workspace()
    >>> workspace.feed("X", np.array([-1.0, 3.0]))
    >>> workspace.run(net)
    >>> workspace.fetch(gradients["X"])
    array([-0.25   ,  0.09375])
    """

    def __init__(self, name: str, constants: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.operators: list[OperatorDef] = []
        self.constants = {blob: np.array(value) for blob, value in (constants or {}).items()}
        self.types: dict[str, TensorType] = {}
        self._outputs: list[str] | None = None
        self._revision = -1  # of the registry that the net has passed
        self._passed: tuple[list[OperatorDef], list[str], dict[str, TensorType] | None] | None = None

    def __repr__(self) -> str:
        return "\n".join([f"Net({self.name!r})", *(f"  {op}" for op in self.operators)])

    @property
    def inputs(self) -> list[str]:
        """Blobs that must be fed: read before anything writes them, and not constants."""
        written = set(self.constants)
        names: dict[str, None] = {}
        for op in self.operators:
            names.update(dict.fromkeys(name for name in op.inputs if name and name not in written))
            written.update(op.outputs)
        return list(names)

    @property
    def outputs(self) -> list[str]:
        """Blobs that the net is for; unless set, those whose last value no operator reads."""
        if self._outputs is not None:
            return list(self._outputs)
        unread: dict[str, None] = {}
        for op in self.operators:
            for name in op.inputs:
                unread.pop(name, None)
            unread.update(dict.fromkeys(filter(None, op.outputs)))
        return list(unread)

    @outputs.setter
    def outputs(self, names: Sequence[str]) -> None:
        self._outputs = list(names)

    @property
    def blobs(self) -> set[str]:
        """Names of all blobs."""
        names = {name for op in self.operators for name in (*op.inputs, *op.outputs)}
        return (names | set(self.constants)) - {""}

    def add(
        self,
        op: OperatorDef | str,
        inputs: str | Sequence[str] = (),
        outputs: str | Sequence[str] = (),
        name: str = "",
        **attributes: Any,
    ) -> OperatorDef:
        """Append an operator, given as an `OperatorDef` or as the arguments of `create_operator`.

        Returns
        -------
        OperatorDef

        Raises
        ------
        SchemaError
            When there is no such operator, or its schema does not allow what is given.
        """
        if isinstance(op, OperatorDef):
            schema(op.type).check(op)
        else:
            op = create_operator(op, inputs, outputs, name, **attributes)
        self.operators.append(op)
        return op

    def add_gradients(self, ys: str | Sequence[str] | Mapping[str, str]) -> dict[str, str]:
        """Append the operators that compute the gradients of `ys` with respect to every blob before them.

        The net is walked backwards; each operator's gradient maker says what to append. The gradients of a blob that is
        read more than once are summed. Gradient operators are operators: calling this again on their outputs gives
        derivatives of the second order, and so on.

        Parameters
        ----------
        ys : str, sequence of str, or mapping of str to str
            Blobs to differentiate. Their own gradients are ones, or the blobs that the mapping names, which are then
            inputs of the net.

        Returns
        -------
        dict of str to str
            The blob that holds the gradient of each blob. Of a blob that is overwritten in place it is the gradient with
            respect to its first value.

        Raises
        ------
        SchemaError
            When the net does not compute one of `ys`, an operator has no gradient maker, or a value that a gradient needs
            has been overwritten. The net is then as it was.
        """
        if isinstance(ys, str):
            ys = [ys]
        missing = [y for y in ys if y not in self.blobs]
        if missing:
            raise SchemaError(f"net {self.name!r} has no blob {missing[0]!r} to differentiate")
        seeds: dict[str, str | None] = dict(ys) if isinstance(ys, Mapping) else dict.fromkeys(ys)
        # Of the constants the ranks alone: whoever feeds other ones may feed other sizes.
        constants = {
            name: TensorType(a.dtype, tuple(f"?{name}:{i}" for i in range(a.ndim)))
            for name, a in self.constants.items()
        }
        types = version_types(self.operators, constants | self.types)
        appended, gradients, _ = gradient_operators(self.operators, seeds, self.blobs, types=types)
        for op in appended:
            schema(op.type).check(op)
        self.operators += appended
        return gradients

    def needed(self) -> list[str]:
        """Return the blobs whose types decide whether the net can run: its inputs and constants."""
        if (
            self._passed is None or self._passed[0] != self.operators
        ):  # a list of the same objects is equal at once
            self._passed = list(self.operators), [*self.inputs, *self.constants], None
        return self._passed[1]

    def check(self, known: Mapping[str, TensorType]) -> None:
        """Refuse a net that cannot run, as `infer_types` does; operators and types that passed last time pass at once.

        Parameters
        ----------
        known : mapping of str to TensorType
            Types of the blobs that `needed` names.
        """
        self.needed()
        assert self._passed is not None
        operators, names, passed = self._passed
        if known != passed or self._revision != revision():
            for op in operators:
                schema(op.type).check(op)
            self.infer_types(known)
            self._passed, self._revision = (operators, names, dict(known)), revision()

    def infer_types(self, known: Mapping[str, TensorType]) -> dict[str, TensorType]:
        """Return what can be told of every blob from `known`, and refuse a net that cannot run with those.

        Parameters
        ----------
        known : mapping of str to TensorType
            Types of the blobs that exist before the net runs.

        Returns
        -------
        dict of str to TensorType

        Raises
        ------
        SchemaError
            When an operator reads a blob that does not exist by then, or inputs that do not fit.
        """
        existing = {*known, *self.constants}
        for op in self.operators:
            for name in op.inputs:
                if name and name not in existing:
                    raise SchemaError(f"{op} reads blob {name!r}, which was neither fed nor written before")
            existing.update(op.outputs)
        constants = {name: TensorType(a.dtype, a.shape) for name, a in self.constants.items()}
        return infer_types(self.operators, constants | dict(known))


def _same(one: Sequence[OperatorDef], other: Sequence[OperatorDef]) -> bool:
    """Whether two lists hold the same objects."""
    return len(one) == len(other) and all(map(is_, one, other))


def infer_types(ops: Sequence[OperatorDef], known: Mapping[str, TensorType]) -> dict[str, TensorType]:
    """Return what the schemas tell of the last values of the blobs, beside what is known of the first ones.

    Raises
    ------
    SchemaError
        When the inputs of an operator do not fit it or each other.
    """
    found = version_types(ops, known)
    last = _versions(ops)[2]
    names = {*known, *last}
    return {name: found[name, last.get(name, 0)] for name in names if (name, last.get(name, 0)) in found}


def version_types(ops: Sequence[OperatorDef], known: Mapping[str, TensorType]) -> dict[Version, TensorType]:
    """Return what the schemas tell of every value of the blobs; raises as `infer_types` does."""
    types: dict[Version, TensorType] = {(name, 0): found for name, found in known.items()}
    reads, writes, _ = _versions(ops)
    for op, read, written in zip(ops, reads, writes, strict=True):
        inferred = schema(op.type).infer_types(op, [types.get(version) for version in read])
        types.update(
            (version, found) for version, found in zip(written, inferred, strict=False) if found is not None
        )
    return types


def _versions(ops: Sequence[OperatorDef]) -> tuple[list[list[Version]], list[list[Version]], dict[str, int]]:
    """Return the values that each operator reads and writes, and the number of the last one of each blob."""
    latest: dict[str, int] = {}
    reads, writes = [], []
    for op in ops:
        reads.append([(name, latest.get(name, 0)) for name in op.inputs])
        writes.append([(name, latest.get(name, 0) + 1) for name in op.outputs])
        latest.update(version for version in writes[-1] if version[0])
    return reads, writes, latest


def gradient_operators(
    ops: Sequence[OperatorDef],
    seeds: Mapping[str, str | None],
    taken: Iterable[str],
    *,
    wanted: Iterable[str] | None = None,
    types: Mapping[Version, TensorType] | None = None,
) -> tuple[list[OperatorDef], dict[str, str], dict[str, TensorType]]:
    """Differentiate a list of operators backwards.

    Parameters
    ----------
    ops : sequence of OperatorDef
        In order of execution.
    seeds : mapping of str to (str or None)
        Blobs to differentiate, and the blobs with their gradients; None: ones.
    taken : iterable of str
        Names that new blobs must not have.
    wanted : iterable of str, optional
        Differentiate with respect to these blobs alone. Default: all.
    types : mapping of (str, int) to TensorType, optional
        What is known of the blobs before the first, second, ... operator that writes them (0, 1, ...), for gradient
        makers to look up.

    Returns
    -------
    list of OperatorDef
        To append to `ops`.
    dict of str to str
        The gradient of each blob that has one, with respect to its first value.
    dict of str to TensorType
        What is known of the gradients: their types are those of what they are gradients of.
    """
    graph = _Graph(ops, {*taken, *filter(None, seeds.values())}, wanted, types or {})
    for y, dy in seeds.items():
        if dy is None:
            dy = graph.fresh(f"{y}_grad")
            graph.made.append(OperatorDef("OnesLike", [y], [dy]))
        graph.parts.setdefault((y, graph.latest.get(y, 0)), []).append(dy)
    for index in reversed(range(len(ops))):
        graph.differentiate(index)
    for version in list(graph.parts):
        graph.gradient(version)
    return graph.made, graph.first_values(), graph.gradient_types


@dataclass
class _OpScope:
    """What the gradient maker of one operator may know; see `registry.Scope`."""

    graph: "_Graph"
    index: int

    def fresh(self, name: str) -> str:
        return self.graph.fresh(name)

    def wants(self, i: int) -> bool:
        return self.graph.reads[self.index][i] in self.graph.relevant

    def lost_input(self, i: int) -> str | None:
        return self.graph.overwriter(self.graph.reads[self.index][i])

    def lost_output(self, i: int) -> str | None:
        return self.graph.overwriter(self.graph.writes[self.index][i])

    def type_of(self, name: str) -> TensorType | None:
        for version in (*self.graph.writes[self.index], *self.graph.reads[self.index]):
            if version[0] == name:
                return self.graph.types.get(version)
        return None


class _Graph:
    """The state of one walk backwards."""

    def __init__(
        self,
        ops: Sequence[OperatorDef],
        taken: Iterable[str],
        wanted: Iterable[str] | None,
        types: Mapping[Version, TensorType],
    ) -> None:
        self.ops = ops
        self.names = Names(taken)
        self.types = types
        self.reads, self.writes, self.latest = _versions(ops)
        self.writer = {
            version: op for op, written in zip(ops, self.writes, strict=True) for version in written
        }
        self.relevant: set[Version] = {(name, 0) for name in wanted or ()}
        for read, written in zip(self.reads, self.writes, strict=True):
            if wanted is None:
                self.relevant.update(read)
            if wanted is None or self.relevant.intersection(read):
                self.relevant.update(written)
        self.made: list[OperatorDef] = []
        self.parts: dict[Version, list[str]] = {}  # gradients that add up to that of a version
        self.gradient_types: dict[str, TensorType] = {}
        self.granted: set[str] = set()  # blobs that the gradient maker at work may write

    def fresh(self, name: str) -> str:
        made = self.names.fresh(name)
        self.granted.add(made)
        return made

    def overwriter(self, version: Version) -> str | None:
        """Return the operator that ended a version, or None if it is still there after the last one."""
        name, count = version
        writer = self.writer.get((name, count + 1))
        return None if writer is None else str(writer)

    def gradient(self, version: Version) -> str | None:
        """Return the blob with the gradient of a version, having added up its parts."""
        parts = self.parts.get(version, [])
        if len(parts) > 1:
            total = self.fresh(f"{version[0]}_grad")
            self.made.append(OperatorDef("Sum", parts, [total]))
            self.parts[version] = [total]
        return self.parts[version][0] if parts else None

    def differentiate(self, index: int) -> None:
        op = self.ops[index]
        dys = [self.gradient(version) if version[0] else None for version in self.writes[index]]
        if not any(dys) or not self.relevant.intersection(self.reads[index]):
            return
        self.granted.clear()
        maker: GradientMaker = gradient_maker(op)(op, dys, _OpScope(self, index))
        defs = list(maker.get_gradient_defs())
        foreign = {name for made in defs for name in made.outputs if name} - self.granted
        if foreign:
            raise SchemaError(
                f"the gradient maker of {op} writes blob {min(foreign)!r}; "
                f"it may write what input_gradient and temporary return, and nothing else"
            )
        written = {name for made in defs for name in made.outputs} | set(dys)
        for i, dx in maker.input_gradients.items():
            if dx not in written:
                raise SchemaError(
                    f"the gradient maker of {op} does not write {dx!r}, the gradient of input {i}"
                )
        self.made += defs
        for i, dx in maker.input_gradients.items():
            self.parts.setdefault(self.reads[index][i], []).append(dx)
            if self.reads[index][i] in self.types:
                self.gradient_types[dx] = self.types[self.reads[index][i]]

    def first_values(self) -> dict[str, str]:
        """Return the gradient of each blob with respect to the first value that it has."""
        read_before_written = {name for reads in self.reads for name, count in reads if count == 0}
        written = {name for writes in self.writes for name, _ in writes}
        return {
            name: parts[0]
            for (name, count), parts in self.parts.items()
            if count == (0 if name in read_before_written or name not in written else 1)
        }
