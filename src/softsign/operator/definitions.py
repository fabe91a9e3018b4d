"""What an operator is: its schema, one use of it, the types of its tensors and the names of its blobs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

__all__ = ["Names", "OperatorDef", "OperatorSchema", "SchemaError", "TensorType", "is_discrete"]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Kernel: TypeAlias = Callable[..., Array | Sequence[Array]]
Counts: TypeAlias = int | tuple[int, int | None]


class SchemaError(ValueError):
    """An operator, or the way it is used, breaks a rule of its schema. Raised before anything has run."""


class TensorType(NamedTuple):  # numpydoc ignore=PR02
    """What is known of a tensor before it exists.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of the elements.
    shape : tuple of (int or str), or None
        Sizes. A string is a size that has a name but no value yet, such as ``"batch"``; None: not even the
        rank is known.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator import TensorType
    >>> TensorType(np.dtype("float32"), ("batch", 10))
    TensorType(dtype=dtype('float32'), shape=('batch', 10))
    """

    dtype: np.dtype[Any]
    shape: tuple[int | str, ...] | None


Infer: TypeAlias = Callable[..., Sequence[TensorType]]


def is_discrete(dtype: np.dtype[Any]) -> bool:
    """Tell whether a dtype is of integers, truth values or strings, which have no gradients.

    Parameters
    ----------
    dtype : numpy.dtype
        Any dtype, those of ml_dtypes such as int4 too.

    Returns
    -------
    bool
        False for real and complex numbers of any format.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator.definitions import is_discrete
    >>> is_discrete(np.dtype("int64")), is_discrete(np.dtype("float16"))
    (True, False)
    """
    return dtype.kind not in "fcV" or dtype.name.startswith(("int", "uint"))


@dataclass(frozen=True)
class OperatorDef:  # numpydoc ignore=PR02
    """One use of an operator: its type and the blobs that it reads and writes.

    Making one checks nothing; `create_operator` and `softsign.operator.Net.add` check it against the schema.

    Parameters
    ----------
    type : str
        Name under which the operator is registered.
    inputs, outputs : str or sequence of str
        Names of blobs. An empty name stands for an optional one that is left out.
    name : str, optional
        Name used in error messages.
    attributes : mapping of str to object, optional
        Keyword arguments of the kernel.

    Examples
    --------
    >>> from softsign.operator import OperatorDef
    >>> print(OperatorDef("Softsign", "X", "Y"))
    Softsign(X) -> (Y)
    """

    type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    checked_by: "OperatorSchema | None" = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for side in ("inputs", "outputs"):
            given = getattr(self, side)
            several = isinstance(given, Iterable) and not isinstance(given, str)
            names = tuple(given) if several else (given,)
            if not all(isinstance(name, str) for name in names):
                raise TypeError(
                    f"{side} of {self.type!r} must be a string or a sequence of strings, not {given!r}"
                )
            object.__setattr__(self, side, names)

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"{self.type}{name}({', '.join(self.inputs)}) -> ({', '.join(self.outputs)})"


@dataclass(frozen=True, kw_only=True)
class OperatorSchema:  # numpydoc ignore=PR02
    """What an operator promises and demands.

    Parameters
    ----------
    num_inputs, num_outputs : int or (int, int or None)
        Number of inputs and outputs, or the least and the largest one (None: any).
    allow_inplace : iterable of (int, int), optional
        Pairs of an input and an output that may be the same blob. No others may.
    identical_type_and_shape : bool, optional
        Whether all inputs and outputs have one dtype and one shape.
    inherit_onnx_schema : str, optional
        Name of the ONNX operator (domain ``ai.onnx``) that this one is; see `softsign.onnx`.
    inputs, outputs : sequence of (str, str), optional
        Name and description of each.
    attributes : sequence of str, optional
        Attributes that every use sets. None: the kernel decides.
    dtypes : sequence of str, optional
        Names of the dtypes that the inputs may have. None: the kernel decides.
    infer : callable, optional
        ``infer(*types, **attributes)`` returns the `TensorType` of each output from those of the inputs, and
        raises ValueError for inputs that do not fit. It gets None for an optional input that is left out,
        and is not called where the type of another is not known. Not needed where `identical_type_and_shape`
        holds.
    doc : str, optional
        What the operator computes.

    Examples
    --------
    >>> from softsign.operator import schema
    >>> schema("Softsign").num_inputs, schema("Softsign").allow_inplace
    (1, frozenset({(0, 0)}))
    """

    num_inputs: Counts
    num_outputs: Counts = 1
    allow_inplace: Iterable[tuple[int, int]] = frozenset()
    identical_type_and_shape: bool = False
    inherit_onnx_schema: str | None = None
    inputs: Sequence[tuple[str, str]] = ()
    outputs: Sequence[tuple[str, str]] = ()
    attributes: Sequence[str] | None = ()
    dtypes: Sequence[str] | None = None
    infer: Infer | None = None
    doc: str = ""

    most: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)
    _passed: set[np.dtype[Any]] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow_inplace", frozenset(self.allow_inplace))
        object.__setattr__(self, "most", (_most(self.num_inputs), _most(self.num_outputs)))

    def check(self, op: OperatorDef) -> None:
        """Refuse an operator whose numbers of blobs, attributes or in-place use break the schema.

        Parameters
        ----------
        op : OperatorDef
            A use of the operator.

        Raises
        ------
        SchemaError
            When a rule is broken; the message names the use and the rule.
        """
        if op.checked_by is not self:  # an operator that runs again has passed
            self._check_counts(op)
            self._check_outputs(op)
            self._check_attributes(op)
            object.__setattr__(op, "checked_by", self)

    def _check_counts(self, op: OperatorDef) -> None:
        for side, names, allowed in (
            ("input", op.inputs, self.num_inputs),
            ("output", op.outputs, self.num_outputs),
        ):
            least, most = allowed if isinstance(allowed, tuple) else (allowed, allowed)
            if len(names) < least or (most is not None and len(names) > most):
                raise SchemaError(f"{op} has {_number(len(names), side)}; {_allowed(op, least, most)}")
            if any(not name for name in names[:least]):
                raise SchemaError(f"{op}: {side} {list(names).index('')} needs a name")

    def _check_outputs(self, op: OperatorDef) -> None:
        for i, source in enumerate(op.inputs):
            for j, target in enumerate(op.outputs):
                if source and source == target and (i, j) not in self.allow_inplace:
                    raise SchemaError(
                        f"{op}: output {j} may not overwrite input {i}, blob {source!r}; {_inplace(op, self)}"
                    )
        for name in filter(None, op.outputs):
            if op.outputs.count(name) > 1:
                raise SchemaError(f"{op} writes blob {name!r} twice")

    def _check_attributes(self, op: OperatorDef) -> None:
        if self.attributes is not None and set(op.attributes) != set(self.attributes):
            wanted = ", ".join(self.attributes) or "none"
            raise SchemaError(
                f"{op} has attributes {', '.join(op.attributes) or 'none'}; its schema asks for {wanted}"
            )

    def arguments(
        self, inputs: Sequence[Array | None], targets: Sequence[Array | None]
    ) -> list[Array | None]:
        """Return the arguments of the kernel.

        Parameters
        ----------
        inputs : sequence of (ndarray or None)
            Array of each input.
        targets : sequence of (ndarray or None)
            Memory for each output; None: the kernel makes an array.

        Returns
        -------
        list of (ndarray or None)
            The inputs, then the targets, each followed by a None for every optional one that is left out.
        """
        if (len(inputs), len(targets)) == self.most:
            return [*inputs, *targets]
        absent: list[None] = [None]
        before, after = (most - len(given) for most, given in zip(self.most, (inputs, targets), strict=True))
        return [*inputs, *absent * before, *targets, *absent * after]

    def uniform(self, inputs: Sequence[Array | None]) -> Array | None:
        """Return the first input if all have the one dtype and shape, sooner than `infer_types` tells.

        Parameters
        ----------
        inputs : sequence of (ndarray or None)
            Array of each input.

        Returns
        -------
        ndarray or None
            None if only `infer_types` can tell.
        """
        first = inputs[0] if self.identical_type_and_shape else None
        if first is None or first.dtype not in self._passed:
            return None
        for other in inputs[1:]:
            if other is None or other.dtype != first.dtype or other.shape != first.shape:
                return None
        return first

    def infer_types(self, op: OperatorDef, types: Sequence[TensorType | None]) -> Sequence[TensorType | None]:
        """Return the types of the outputs from those of the inputs, as far as they are known.

        Parameters
        ----------
        op : OperatorDef
            A use of the operator.
        types : sequence of (TensorType or None)
            Type of each input; None: not known.

        Returns
        -------
        sequence of (TensorType or None)
            Type of each output; None: not known.

        Raises
        ------
        SchemaError
            When the inputs do not fit the operator or each other.
        """
        for name, known in zip(op.inputs, types, strict=True):
            if known is not None and self.dtypes is not None and known.dtype.name not in self.dtypes:
                allowed = ", ".join(self.dtypes)
                raise SchemaError(
                    f"{op}: blob {name!r} holds {known.dtype}; {op.type} takes one of {allowed}"
                )
        self._passed.update(known.dtype for known in types if known is not None)
        if self.identical_type_and_shape:
            return [self._identical(op, types)] * len(op.outputs)
        unknown = None in types and any(t is None and n for n, t in zip(op.inputs, types, strict=True))
        if self.infer is None or unknown:
            return [None] * len(op.outputs)
        try:
            return self.infer(*types, **op.attributes)
        except ValueError as error:
            raise SchemaError(f"{op}: {error}") from error

    @staticmethod
    def _identical(op: OperatorDef, types: Sequence[TensorType | None]) -> TensorType | None:
        first: tuple[str, TensorType] | None = None
        for name, known in zip(op.inputs, types, strict=True):
            if known is None:
                continue
            if first is None:
                first = name, known
            elif known.dtype != first[1].dtype or not _compatible(known.shape, first[1].shape):
                one, other = (f"{n!r} ({t.dtype}, shape {t.shape})" for n, t in (first, (name, known)))
                raise SchemaError(f"{op}: blobs {one} and {other} must have the same dtype and shape")
            elif first[1].shape is None:
                first = name, known
        return None if first is None else first[1]


def _compatible(one: tuple[int | str, ...] | None, other: tuple[int | str, ...] | None) -> bool:
    """Whether two shapes can turn out to be the same."""
    if one is None or other is None or one == other:
        return True
    known = [(a, b) for a, b in zip(one, other, strict=False) if isinstance(a, int) and isinstance(b, int)]
    return len(one) == len(other) and all(a == b for a, b in known)


def _most(counts: Counts) -> int:
    """Return the largest number allowed, or 0 if there is none."""
    return counts if isinstance(counts, int) else counts[1] or 0


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _allowed(op: OperatorDef, least: int, most: int | None) -> str:
    if least == most:
        return f"{op.type} takes {least}"
    return f"{op.type} takes {f'{least} or more' if most is None else f'{least} to {most}'}"


def _inplace(op: OperatorDef, schema: OperatorSchema) -> str:
    pairs = sorted(schema.allow_inplace)
    if not pairs:
        return f"{op.type} never works in place"
    return f"{op.type} allows " + ", ".join(f"output {j} over input {i}" for i, j in pairs)


class Names:
    """Names that are in use, and new ones beside them.

    Parameters
    ----------
    taken : iterable of str
        The names in use.

    Examples
    --------
    >>> from softsign.operator.definitions import Names
    >>> names = Names(["X", "X_grad"])
    >>> names.fresh("Y"), names.fresh("X_grad"), names.fresh("X_grad")
    ('Y', 'X_grad_1', 'X_grad_2')
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def __iter__(self) -> Iterator[str]:
        return iter(self._taken)

    def take(self, name: str) -> None:
        """Add a name to those in use.

        Parameters
        ----------
        name : str
            A name, in use or not.
        """
        self._taken.add(name)

    def fresh(self, name: str) -> str:
        """Return a name that was not in use, and take it.

        Parameters
        ----------
        name : str
            The name wished for.

        Returns
        -------
        str
            `name`, or `name` with the first number behind it that makes it a new one: ``X_1``, ``X_2``.
        """
        made, number = name, 0
        while made in self._taken:
            number += 1
            made = f"{name}_{number}"
        self._taken.add(made)
        return made
