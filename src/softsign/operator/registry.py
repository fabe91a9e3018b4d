"""The registry: which operators exist, what their schemas allow, their kernels and gradient makers."""

import difflib
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from softsign.operator.definitions import (
    Kernel,
    Names,
    OperatorDef,
    OperatorSchema,
    SchemaError,
    TensorType,
)

__all__ = [
    "GradientMaker",
    "NoGradient",
    "create_operator",
    "gradient_maker",
    "operators",
    "register_cpu_gradient_operator",
    "register_cpu_operator",
    "register_gradient",
    "schema",
    "unregister_operator",
]


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
        self.names = Names({*op.inputs, *op.outputs, *filter(None, output_gradients)})

    def fresh(self, name: str) -> str:
        return self.names.fresh(name)

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
    softsign.operator.definitions.SchemaError: SoftsignGradient(X, dY) -> (X): output 0 may not overwrite input 0, blob 'X'; \
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
