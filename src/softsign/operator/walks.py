"""Walks over a list of operators: forwards for the types of all values, backwards for gradients."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from softsign.operator.definitions import Names, OperatorDef, SchemaError, TensorType, is_discrete
from softsign.operator.gradient import GradientError, GradientMaker, Refusal
from softsign.operator.registry import registered_maker, schema

__all__ = ["Gradients", "gradient_operators", "infer_types", "version_types"]

#: A blob, and how often it had been written to: what one operator hands to another.
Version: TypeAlias = tuple[str, int]


def infer_types(ops: Sequence[OperatorDef], known: Mapping[str, TensorType]) -> dict[str, TensorType]:
    """Return the types of the blobs after the last operator, as far as the schemas tell them.

    Parameters
    ----------
    ops : sequence of OperatorDef
        In order of execution.
    known : mapping of str to TensorType
        Types of the blobs before the first operator.

    Returns
    -------
    dict of str to TensorType
        The type of each blob that is known.

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
    """Return the types of all values of the blobs, as far as the schemas tell them.

    Parameters
    ----------
    ops : sequence of OperatorDef
        In order of execution.
    known : mapping of str to TensorType
        Types of the blobs before the first operator.

    Returns
    -------
    dict of (str, int) to TensorType
        Types of the blobs before the first, second, ... operator that writes them (0, 1, ...).

    Raises
    ------
    SchemaError
        When the inputs of an operator do not fit it or each other.
    """
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
    maker_of: Callable[[OperatorDef], type[GradientMaker] | None] = registered_maker,
) -> tuple[list[OperatorDef], "Gradients", dict[str, TensorType]]:
    """Return the operators that compute the gradients of blobs.

    Parameters
    ----------
    ops : sequence of OperatorDef
        In order of execution.
    seeds : mapping of str to (str or None)
        Blobs to differentiate, and the blobs with their gradients; None: ones.
    taken : iterable of str
        Names that new blobs must not have; `Names` are kept up to date.
    wanted : iterable of str, optional
        Blobs to differentiate with respect to. Default: all.
    types : mapping of (str, int) to TensorType, optional
        What `version_types` returns, for gradient makers to look up.
    maker_of : callable, optional
        Returns the gradient maker of an operator, None without one. Default: what is registered.

    Returns
    -------
    list of OperatorDef
        To append to `ops`.
    Gradients
        The gradient of each blob that has one, with respect to its first value.
    dict of str to TensorType
        What is known of the gradients: their types are those of what they are gradients of.

    Raises
    ------
    GradientError
        When an operator on the way has no gradient maker, or one that cannot give a gradient that is wanted.
    """
    makers = [maker_of(op) for op in ops]
    names = taken if isinstance(taken, Names) else Names(taken)
    for seed in filter(None, seeds.values()):
        names.take(seed)
    graph = _Graph(ops, makers, names, wanted, types or {})
    for y, dy in seeds.items():
        if dy is None:
            dy = graph.fresh(f"{y}_grad")
            graph.made.append(OperatorDef("OnesLike", [y], [dy]))
        graph.parts.setdefault((y, graph.latest.get(y, 0)), []).append(dy)
    for index in reversed(range(len(ops))):
        graph.differentiate(index)
    if graph.refusals:
        raise GradientError(graph.refusals)
    for version in list(graph.parts):
        graph.gradient(version)
    return graph.made, graph.first_values(), graph.gradient_types


class Gradients(dict[str, str]):
    """The blob with the gradient of each blob; asking for one that cannot be had says why.

    Parameters
    ----------
    found : mapping of str to str
        The gradients.
    refused : mapping of str to Refusal
        Why there is none, of blobs that have none.
    """

    def __init__(self, found: Mapping[str, str], refused: Mapping[str, Refusal]) -> None:
        super().__init__(found)
        self.refused = dict(refused)

    def __missing__(self, name: str) -> str:
        if name in self.refused:
            raise GradientError([self.refused[name]])
        raise KeyError(name)


@dataclass
class _OpScope:
    """What the gradient maker of one operator may know; see `gradient.Scope`."""

    graph: "_Graph"
    index: int

    def fresh(self, name: str) -> str:
        return self.graph.fresh(name)

    def wants(self, i: int) -> bool:
        return i in self.graph.flow[self.index]

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
        makers: Sequence[type[GradientMaker] | None],
        names: Names,
        wanted: Iterable[str] | None,
        types: Mapping[Version, TensorType],
    ) -> None:
        self.ops = ops
        self.names = names
        self.types = types
        self.reads, self.writes, self.latest = _versions(ops)
        self.writer = {
            version: op for op, written in zip(ops, self.writes, strict=True) for version in written
        }
        self.makers = makers
        read_before_written = {name for reads in self.reads for name, count in reads if count == 0}
        unread = {name for writes in self.writes for name, _ in writes} - read_before_written
        self.first = defaultdict(int, dict.fromkeys(unread, 1))  # number of the first value of each blob
        self.all_wanted = wanted is None
        self.flow = self._flow(wanted)
        self.made: list[OperatorDef] = []
        self.parts: dict[Version, list[str]] = {}  # gradients that add up to that of a version
        self.unknown: dict[Version, Refusal] = {}  # versions of which parts are missing, and why
        self.refusals: list[Refusal] = []
        self.gradient_types: dict[str, TensorType] = {}
        self.granted: set[str] = set()  # blobs that the gradient maker at work may write

    def _flow(self, wanted: Iterable[str] | None) -> list[list[int]]:
        """Return, of each operator, the inputs whose gradients are of use, and not 0 by mathematics."""
        flow: list[list[int]] = []
        relevant = {(name, self.first[name]) for name in wanted or ()}
        for op, reads, writes, maker in zip(self.ops, self.reads, self.writes, self.makers, strict=True):
            found = [
                i
                for i, version in enumerate(reads)
                if version[0] and (wanted is None or version in relevant)
                if maker is None or not maker.is_constant(op, i)
                if version not in self.types or not is_discrete(self.types[version].dtype)
            ]
            flow.append(found)
            if found:
                relevant.update(writes)
        return flow

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
        """Return the blob with the gradient of a version, having added up its parts; None: none is known."""
        parts = [] if version in self.unknown else self.parts.get(version, [])
        if len(parts) > 1:
            total = self.fresh(f"{version[0]}_grad")
            self.made.append(OperatorDef("Sum", parts, [total]))
            self.parts[version] = [total]
        return self.parts[version][0] if parts else None

    def differentiate(self, index: int) -> None:
        """Append what computes the gradients of the inputs of an operator, if they are of use."""
        op, maker, flow = self.ops[index], self.makers[index], self.flow[index]
        dys = [self.gradient(version) if version[0] else None for version in self.writes[index]]
        unknown = [self.unknown[version] for version in self.writes[index] if version in self.unknown]
        if not flow or not (any(dys) or unknown):
            return
        if maker is None:
            self._refuse(index, flow, Refusal(op), fatal=True)
        elif unknown:
            self._refuse(index, flow, unknown[0], fatal=False)
        else:
            self._ask(index, maker(op, dys, _OpScope(self, index)))

    def _ask(self, index: int, maker: GradientMaker) -> None:
        """Append what a gradient maker answers, and note what it does not."""
        self.granted.clear()
        try:
            defs = list(maker.get_gradient_defs())
        except SchemaError as error:
            inner = error.refusals if isinstance(error, GradientError) else [Refusal(maker.op, str(error))]
            for refusal in inner:
                self._refuse(index, self.flow[index], refusal, fatal=True)
            return
        self._check(maker, defs)
        self.made += defs
        for i in self.flow[index]:
            version = self.reads[index][i]
            dx = maker.input_gradients.get(i)
            if dx is None:
                reason = f"the gradient maker of {maker.op} has none for its input {i}, {version[0]!r}"
                self._refuse(index, [i], Refusal(maker.op, reason), fatal=not self.all_wanted)
                continue
            self.parts.setdefault(version, []).append(dx)
            if version in self.types:
                self.gradient_types[dx] = self.types[version]

    def _refuse(self, index: int, inputs: Iterable[int], refusal: Refusal, *, fatal: bool) -> None:
        """Note that gradients of inputs of an operator are not known, and so none of what leads there."""
        for i in inputs:
            self.unknown.setdefault(self.reads[index][i], refusal)
        if fatal:
            self.refusals.append(refusal)

    def _check(self, maker: GradientMaker, defs: Sequence[OperatorDef]) -> None:
        """Refuse a gradient maker that writes what it may not, or not what it promises."""
        written = {name for made in defs for name in made.outputs if name}
        foreign = written - self.granted
        if foreign:
            raise SchemaError(
                f"the gradient maker of {maker.op} writes blob {min(foreign)!r}; "
                f"it may write what input_gradient and temporary return, and nothing else"
            )
        for i, dx in maker.input_gradients.items():
            if dx not in written.union(maker.output_gradients):
                raise SchemaError(
                    f"the gradient maker of {maker.op} does not write {dx!r}, the gradient of input {i}"
                )
        read = {*maker.input_gradients.values(), *(name for made in defs for name in made.inputs)}
        for i, (name, dy) in enumerate(zip(maker.op.outputs, maker.output_gradients, strict=True)):
            if dy is not None and dy not in read and i not in maker.seen:
                raise SchemaError(
                    f"the gradient maker of {maker.op} leaves out that of its output {i}, {name!r}"
                )

    def first_values(self) -> Gradients:
        """Return the gradient of each blob with respect to the first value that it has."""
        first = [version for version in self.parts if version[1] == self.first[version[0]]]
        refused = {name: why for (name, n), why in self.unknown.items() if n == self.first[name]}
        return Gradients({v[0]: self.parts[v][0] for v in first if v[0] not in refused}, refused)
