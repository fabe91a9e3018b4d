"""Walks over a list of operators: forwards for the types of all values, backwards for gradients."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from softsign.operator.definitions import Names, OperatorDef, SchemaError, TensorType
from softsign.operator.gradient import GradientMaker
from softsign.operator.registry import gradient_maker, schema

__all__ = ["gradient_operators", "infer_types", "version_types"]

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
) -> tuple[list[OperatorDef], dict[str, str], dict[str, TensorType]]:
    """Return the operators that compute the gradients of blobs.

    Parameters
    ----------
    ops : sequence of OperatorDef
        In order of execution.
    seeds : mapping of str to (str or None)
        Blobs to differentiate, and the blobs with their gradients; None: ones.
    taken : iterable of str
        Names that new blobs must not have.
    wanted : iterable of str, optional
        Blobs to differentiate with respect to. Default: all.
    types : mapping of (str, int) to TensorType, optional
        What `version_types` returns, for gradient makers to look up.

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
    """What the gradient maker of one operator may know; see `gradient.Scope`."""

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
        """Append what computes the gradients of the inputs of an operator, if they are of use."""
        op = self.ops[index]
        dys = [self.gradient(version) if version[0] else None for version in self.writes[index]]
        if not any(dys) or not self.relevant.intersection(self.reads[index]):
            return
        self.granted.clear()
        maker: GradientMaker = gradient_maker(op)(op, dys, _OpScope(self, index))
        defs = list(maker.get_gradient_defs())
        self._check(maker, defs)
        self.made += defs
        for i, dx in maker.input_gradients.items():
            self.parts.setdefault(self.reads[index][i], []).append(dx)
            if self.reads[index][i] in self.types:
                self.gradient_types[dx] = self.types[self.reads[index][i]]

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

    def first_values(self) -> dict[str, str]:
        """Return the gradient of each blob with respect to the first value that it has."""
        read_before_written = {name for reads in self.reads for name, count in reads if count == 0}
        written = {name for writes in self.writes for name, _ in writes}
        return {
            name: parts[0]
            for (name, count), parts in self.parts.items()
            if count == (0 if name in read_before_written or name not in written else 1)
        }
