"""The registry: which operators exist, what their schemas allow, their kernels and gradient makers."""

import difflib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

__all__ = [
    "GradientMaker",
    "NoGradient",
    "OperatorDef",
    "OperatorSchema",
    "SchemaError",
    "TensorType",
    "create_operator",
    "gradient_maker",
    "operators",
    "register_cpu_gradient_operator",
    "register_cpu_operator",
    "register_gradient",
    "schema",
    "unregister_operator",
]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Kernel: TypeAlias = Callable[..., Array | Sequence[Array]]
Counts: TypeAlias = int | tuple[int, int | None]


class SchemaError(ValueError):
    """An operator, or the way it is used, breaks a rule of its schema. Raised before anything has run."""


class TensorType(NamedTuple):
    """What is known of a tensor before it exists.

    Attributes
    ----------
    dtype : numpy.dtype
    shape : tuple of (int or str), or None
        A string is a size that has a name but no value yet, such as ``"batch"``; None: not even the rank is known.
    """

    dtype: np.dtype[Any]
    shape: tuple[int | str, ...] | None


Infer: TypeAlias = Callable[..., Sequence[TensorType]]


@dataclass(frozen=True)
class OperatorDef:
    """One use of an operator: its type and the blobs that it reads and writes.

    Making one checks nothing; `create_operator` and `softsign.operator.Net.add` hold it against the schema.

    Parameters
    ----------
    type : str
        Name under which the operator is registered.
    inputs, outputs : str or sequence of str
        Names of blobs. An empty name stands for an optional one that is left out.
    name : str
        What messages call this use; may be empty.
    attributes : mapping
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
            names = (
                (given,)
                if isinstance(given, str)
                else tuple(given)
                if isinstance(given, Iterable)
                else (given,)
            )
            if not all(isinstance(name, str) for name in names):
                raise TypeError(
                    f"{side} of {self.type!r} must be a string or a sequence of strings, not {given!r}"
                )
            object.__setattr__(self, side, names)

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"{self.type}{name}({', '.join(self.inputs)}) -> ({', '.join(self.outputs)})"


@dataclass(frozen=True, kw_only=True)
class OperatorSchema:
    """What an operator promises and demands.

    Parameters
    ----------
    num_inputs, num_outputs : int or (int, int or None)
        The number, or the least and the largest one (None: any).
    allow_inplace : collection of (int, int)
        Pairs of an input and an output that may be the same blob. No others may.
    identical_type_and_shape : bool
        Whether all inputs and outputs have one dtype and one shape.
    inherit_onnx_schema : str, optional
        The ONNX operator (domain ``ai.onnx``) that this one is; see `softsign.onnx`.
    inputs, outputs : sequence of (str, str)
        Name and description of each.
    attributes : sequence of str, optional
        Attributes that every use sets. None: the kernel decides.
    dtypes : sequence of str, optional
        Names of the dtypes that the inputs may have. None: the kernel decides.
    infer : callable, optional
        ``infer(*types, **attributes)`` returns the `TensorType` of each output from those of the inputs, and raises
        ValueError for inputs that do not fit. Not needed where `identical_type_and_shape` holds.
    doc : str

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

        Raises
        ------
        SchemaError
        """
        if op.checked_by is not self:  # an operator that runs again has passed
            self._check(op)
            object.__setattr__(op, "checked_by", self)

    def _check(self, op: OperatorDef) -> None:
        for side, names, allowed in (
            ("input", op.inputs, self.num_inputs),
            ("output", op.outputs, self.num_outputs),
        ):
            least, most = allowed if isinstance(allowed, tuple) else (allowed, allowed)
            if len(names) < least or (most is not None and len(names) > most):
                raise SchemaError(f"{op} has {_number(len(names), side)}; {_allowed(op, least, most)}")
            if any(not name for name in names[:least]):
                raise SchemaError(f"{op}: {side} {list(names).index('')} needs a name")
        for i, source in enumerate(op.inputs):
            for j, target in enumerate(op.outputs):
                if source and source == target and (i, j) not in self.allow_inplace:
                    raise SchemaError(
                        f"{op}: output {j} may not overwrite input {i}, blob {source!r}; {_inplace(op, self)}"
                    )
        for name in filter(None, op.outputs):
            if op.outputs.count(name) > 1:
                raise SchemaError(f"{op} writes blob {name!r} twice")
        if self.attributes is not None and set(op.attributes) != set(self.attributes):
            wanted = ", ".join(self.attributes) or "none"
            raise SchemaError(
                f"{op} has attributes {', '.join(op.attributes) or 'none'}; its schema asks for {wanted}"
            )

    def arguments(
        self, inputs: Sequence[Array | None], targets: Sequence[Array | None]
    ) -> list[Array | None]:
        """Return the arguments of the kernel: None for each optional input or output that is left out."""
        if (len(inputs), len(targets)) == self.most:
            return [*inputs, *targets]
        absent: list[None] = [None]
        before, after = (most - len(given) for most, given in zip(self.most, (inputs, targets), strict=True))
        return [*inputs, *absent * before, *targets, *absent * after]

    def uniform(self, inputs: Sequence[Array | None]) -> Array | None:
        """Return the first input if all certainly fit a schema of one dtype and shape, told sooner than by `infer_types`."""
        first = inputs[0] if self.identical_type_and_shape else None
        if first is None or first.dtype not in self._passed:
            return None
        for other in inputs[1:]:
            if other is None or other.dtype != first.dtype or other.shape != first.shape:
                return None
        return first

    def infer_types(self, op: OperatorDef, types: Sequence[TensorType | None]) -> Sequence[TensorType | None]:
        """Return the types of the outputs from those of the inputs, as far as they are known.

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
        if self.infer is None or any(known is None for known in types):
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


def unused(name: str, taken: Container[str | None]) -> str:
    """Return `name`, or `name` with the first number behind it that makes it one that is not taken."""
    made, number = name, 0
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    return made


class Scope(Protocol):
    """What a gradient maker may ask about the graph around its operator."""

    def fresh(self, name: str) -> str:
        """Return `name`, or `name` with a number behind it if there is such a blob."""

    def wants(self, i: int) -> bool:
        """Whether the gradient of input `i` is of use to anybody."""

    def lost_input(self, i: int) -> str | None:
        """Return what has overwritten input `i` since the operator read it, or None."""

    def lost_output(self, i: int) -> str | None:
        """Return what has overwritten output `i` since the operator wrote it, or None."""

    def type_of(self, name: str) -> TensorType | None:
        """Return what is known of a blob."""


class _Alone:
    """The scope of an operator that stands by itself: `GetSoftsignGradient(op)`."""

    def __init__(self, op: OperatorDef, output_gradients: Sequence[str | None]) -> None:
        self.op = op
        self.taken = {*op.inputs, *op.outputs, *output_gradients}

    def fresh(self, name: str) -> str:
        made = unused(name, self.taken)
        self.taken.add(made)
        return made

    def wants(self, i: int) -> bool:
        return True

    def lost_input(self, i: int) -> str | None:
        return str(self.op) if self.op.inputs[i] in self.op.outputs else None

    def lost_output(self, i: int) -> str | None:
        return None

    def type_of(self, name: str) -> TensorType | None:
        return None


class GradientMaker:
    """Base of gradient makers: says which operators compute the gradients of an operator's inputs.

    A subclass implements `get_gradient_defs`, which may collect what it returns in `defs` by `emit`. Gradients of gradients come by themselves where the operators that it
    names have gradient makers too.

    Parameters
    ----------
    op : OperatorDef
        The operator to differentiate.
    output_gradients : sequence of (str or None), optional
        Blobs with the gradients of its outputs; None where the result does not depend on one. Default: the outputs'
        names followed by ``_grad``.
    scope : Scope, optional
        The graph around it, which `Net.add_gradient_operators` hands over.

    Examples
    --------
    >>> from softsign.operator import GetSoftsignGradient, OperatorDef
    >>> for op in (OperatorDef("Softsign", "X", "Y"), OperatorDef("Softsign", "X", "X")):
    ...     print(*GetSoftsignGradient(op).get_gradient_defs())
    SoftsignGradient(X, Y_grad) -> (X_grad)
    SoftsignGradientFromOutput(X, X_grad) -> (X_grad_1)
    """

    def __init__(
        self,
        op: OperatorDef,
        output_gradients: Sequence[str | None] | None = None,
        scope: Scope | None = None,
    ) -> None:
        self.op = op
        self.output_gradients = (
            [f"{name}_grad" for name in op.outputs] if output_gradients is None else output_gradients
        )
        self.scope: Scope = _Alone(op, self.output_gradients) if scope is None else scope
        self.input_gradients: dict[int, str] = {}
        self.defs: list[OperatorDef] = []

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        """Return the operators that compute the gradients asked for by `input_gradient`, in order of execution."""
        raise NotImplementedError(f"{type(self).__name__} must implement get_gradient_defs")

    def input(self, i: int) -> str:
        """Return the blob of input `i`.

        Raises
        ------
        SchemaError
            When it has been overwritten since the operator read it, so that its value is gone.
        """
        return self._kept("input", self.op.inputs[i], self.scope.lost_input(i))

    def output(self, i: int) -> str:
        """Return the blob of output `i`; raises as `input` does."""
        return self._kept("output", self.op.outputs[i], self.scope.lost_output(i))

    def _kept(self, side: str, name: str, lost: str | None) -> str:
        if lost is not None:
            raise SchemaError(
                f"the gradient of {self.op} needs its {side}, blob {name!r}, which {lost} has overwritten"
            )
        return name

    def input_is_lost(self, i: int) -> bool:
        """Whether input `i` has been overwritten since the operator read it, by itself in place or by a later one."""
        return self.scope.lost_input(i) is not None

    def output_gradient(self, i: int) -> str:
        """Return the blob with the gradient of output `i`.

        Raises
        ------
        SchemaError
            When there is none. `output_gradients` tells; operators with one output always have it.
        """
        name = self.output_gradients[i] if i < len(self.output_gradients) else None
        if name is None:
            raise SchemaError(f"the gradient of {self.op} needs that of its output {i}, which has none")
        return name

    def wants(self, i: int) -> bool:
        """Whether the gradient of input `i` is of use; a maker may leave out what computes the others."""
        return i < len(self.op.inputs) and bool(self.op.inputs[i]) and self.scope.wants(i)

    def input_gradient(self, i: int) -> str:
        """Return the blob to write the gradient of input `i` to. An input never asked for has no gradient."""
        if i not in self.input_gradients:
            self.input_gradients[i] = self.temporary(f"{self.op.inputs[i]}_grad")
        return self.input_gradients[i]

    def set_input_gradient(self, i: int, name: str) -> None:
        """Say that the gradient of input `i` is in a blob that exists already, such as the output's gradient."""
        self.input_gradients[i] = name

    def temporary(self, name: str) -> str:
        """Return a blob that nothing else uses, named `name` or alike."""
        return self.scope.fresh(name)

    def emit(self, type: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append an operator with one output to `defs`.

        Parameters
        ----------
        type : str
        *inputs : str
            Blobs that it reads.
        output : str, optional
            Blob that it writes: what `input_gradient` returns. Default: a temporary one.
        **attributes
            Of the operator.

        Returns
        -------
        str
            The blob that it writes.
        """
        made = self.temporary(f"{self.op.outputs[0]}_{type}") if output is None else output
        self.defs.append(OperatorDef(type, inputs, made, attributes=attributes))
        return made

    def type_of(self, name: str) -> TensorType | None:
        """Return what is known of the dtype and shape of a blob, which may be nothing."""
        return self.scope.type_of(name)


class NoGradient(GradientMaker):
    """Gradient maker of operators that are constant almost everywhere: no gradient passes."""

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        """Return no operators."""
        return []


@dataclass
class _Operator:
    schema: OperatorSchema
    kernel: Kernel
    is_gradient: bool
    maker: type[GradientMaker] | None = None


_OPERATORS: dict[str, _Operator] = {}
_removed = 0


def revision() -> int:
    """Return a number that changes when what has been registered may no longer be."""
    return _removed


def register_cpu_operator(name: str, kernel: Kernel, schema: OperatorSchema) -> None:
    """Add an operator to the registry.

    Parameters
    ----------
    name : str
    kernel : callable
        Called as ``kernel(*inputs, *outputs, **attributes)`` with arrays, as many as the schema allows at most; an
        optional one that is left out is None. Each of `outputs` is an array of the right dtype and shape to write to, in place the input itself, or None:
        then the kernel makes one. It may always return an array of its own. Returns the output, or a tuple
        of them, in which those of optional outputs that are left out may be.
    schema : OperatorSchema

    Raises
    ------
    ValueError
        When the name is taken.
    TypeError
        When `kernel` is not callable, or `schema` not an OperatorSchema.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator import OperatorSchema, Workspace, create_operator
    >>> from softsign.operator import register_cpu_operator, unregister_operator
    >>> register_cpu_operator("Halve", lambda x, y=None: np.multiply(x, 0.5, out=y), OperatorSchema(num_inputs=1))
    >>> workspace = Workspace()
    >>> workspace.feed("X", np.array([1.0, 3.0]))
    >>> workspace.run(create_operator("Halve", "X", "Y"))
    >>> workspace.fetch("Y")
    array([0.5, 1.5])
    >>> unregister_operator("Halve")
    """
    _register(name, kernel, schema, is_gradient=False)


def register_cpu_gradient_operator(name: str, kernel: Kernel, schema: OperatorSchema) -> None:
    """Add an operator that gradient makers use and people rarely name; the same as `register_cpu_operator` otherwise.

    ``operators(gradients=False)`` leaves it out.
    """
    _register(name, kernel, schema, is_gradient=True)


def _register(name: str, kernel: Kernel, schema: OperatorSchema, *, is_gradient: bool) -> None:
    if not callable(kernel):
        raise TypeError(f"kernel of {name!r} must be callable, not {type(kernel).__name__}")
    if not isinstance(schema, OperatorSchema):
        raise TypeError(f"schema of {name!r} must be an OperatorSchema, not {type(schema).__name__}")
    if name in _OPERATORS:
        raise ValueError(f"operator {name!r} is registered already; unregister_operator({name!r}) removes it")
    _OPERATORS[name] = _Operator(schema, kernel, is_gradient)


def register_gradient(name: str, maker: type[GradientMaker]) -> None:
    """Tell how to differentiate an operator.

    Parameters
    ----------
    name : str
        A registered operator.
    maker : subclass of GradientMaker

    Raises
    ------
    ValueError
        When the operator is unknown, or has a gradient maker.
    TypeError
        When `maker` is not a subclass of GradientMaker.

    Examples
    --------
    >>> from softsign.operator import GradientMaker, OperatorDef
    >>> class GetNegativeGradient(GradientMaker):
    ...     def get_gradient_defs(self):
    ...         return [OperatorDef("Neg", [self.output_gradient(0)], [self.input_gradient(0)])]
    """
    if GradientMaker not in getattr(maker, "__mro__", ()):
        raise TypeError(f"gradient maker of {name!r} must be a subclass of GradientMaker, not {maker!r}")
    found = find(name)
    if found.maker is not None:
        raise ValueError(f"operator {name!r} has a gradient maker already, {found.maker.__name__}")
    found.maker = maker


def unregister_operator(name: str) -> None:
    """Remove an operator with its schema, kernel and gradient maker.

    Raises
    ------
    SchemaError
        When there is none of that name.
    """
    global _removed
    find(name)
    del _OPERATORS[name]
    _removed += 1


def operators(*, gradients: bool = True) -> list[str]:
    """Return the names of the registered operators, with or without those that serve gradients alone.

    Examples
    --------
    >>> from softsign.operator import operators
    >>> "Softsign" in operators(gradients=False), "SoftsignGradient" in operators(gradients=False)
    (True, False)
    """
    return sorted(name for name, found in _OPERATORS.items() if gradients or not found.is_gradient)


def schema(name: str) -> OperatorSchema:
    """Return the schema of an operator.

    Raises
    ------
    SchemaError
        When there is none of that name.

    Examples
    --------
    >>> from softsign.operator import schema
    >>> schema("SoftsignGradient").allow_inplace
    frozenset({(1, 0)})
    """
    return find(name).schema


def gradient_maker(op: OperatorDef) -> type[GradientMaker]:
    """Return the gradient maker of an operator.

    Raises
    ------
    SchemaError
        When it has none, naming the operator and how to register one.
    """
    found = _OPERATORS.get(op.type)
    if found is None or found.maker is None:
        raise SchemaError(
            f"no gradient is registered for {op}; "
            f"softsign.operator.register_gradient({op.type!r}, maker) registers one"
        )
    return found.maker


def create_operator(
    type: str, inputs: str | Sequence[str], outputs: str | Sequence[str], name: str = "", **attributes: Any
) -> OperatorDef:
    """Return a use of an operator, held against its schema.

    Parameters
    ----------
    type : str
        A registered operator.
    inputs, outputs : str or sequence of str
        Names of blobs.
    name : str
        What messages call it.
    **attributes
        Keyword arguments of its kernel.

    Returns
    -------
    OperatorDef

    Raises
    ------
    SchemaError
        When there is no such operator, or the schema does not allow what is given.

    Examples
    --------
    >>> from softsign.operator import create_operator
    >>> print(create_operator("SoftsignNthDerivative", "X", "Y", n=3))
    SoftsignNthDerivative(X) -> (Y)
    >>> create_operator("SoftsignGradient", ["X", "dY"], ["X"])
    Traceback (most recent call last):
        ...
    softsign.operator.registry.SchemaError: SoftsignGradient(X, dY) -> (X): output 0 may not overwrite input 0, blob 'X'; \
SoftsignGradient allows output 0 over input 1
    """
    op = OperatorDef(type, inputs, outputs, name, attributes)
    schema(type).check(op)
    return op


def find(name: str) -> _Operator:
    try:
        return _OPERATORS[name]
    except KeyError:
        close = difflib.get_close_matches(name, _OPERATORS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise SchemaError(f"operator {name!r} is not registered{hint}") from None
