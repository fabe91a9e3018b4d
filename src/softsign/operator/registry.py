"""The registry: which operators exist, with their schemas, kernels and gradient makers."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from softsign.operator.definitions import Kernel, OperatorDef, OperatorSchema, SchemaError
from softsign.operator.gradient import GradientError, GradientMaker, Refusal

__all__ = [
    "create_operator",
    "gradient_maker",
    "gradient_of",
    "operators",
    "register_cpu_gradient_operator",
    "register_cpu_operator",
    "register_gradient",
    "schema",
    "unregister_operator",
]

GradientRule: TypeAlias = Callable[[GradientMaker], None]


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
        Name of the operator, its type in `OperatorDef`.
    kernel : callable
        Called as ``kernel(*inputs, *outputs, **attributes)`` with arrays, as many as the schema allows at
        most; an optional one that is left out is None. Each of `outputs` is an array of the right dtype and
        shape to write to, in place the input itself, or None: then the kernel makes one. It may always return
        an array of its own. Returns the output, or a tuple of them, which may hold optional outputs that are
        left out.
    schema : OperatorSchema
        What the operator promises and demands.

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
    >>> one = OperatorSchema(num_inputs=1)
    >>> register_cpu_operator("Halve", lambda x, y=None: np.multiply(x, 0.5, out=y), one)
    >>> workspace = Workspace()
    >>> workspace.feed("X", np.array([1.0, 3.0]))
    >>> workspace.run(create_operator("Halve", "X", "Y"))
    >>> workspace.fetch("Y")
    array([0.5, 1.5])
    >>> unregister_operator("Halve")
    """
    _register(name, kernel, schema, is_gradient=False)


def register_cpu_gradient_operator(name: str, kernel: Kernel, schema: OperatorSchema) -> None:
    """Add an operator that serves gradient makers, and which ``operators(gradients=False)`` leaves out.

    Parameters
    ----------
    name : str
        Name of the operator.
    kernel : callable
        As for `register_cpu_operator`.
    schema : OperatorSchema
        What the operator promises and demands.

    Raises
    ------
    ValueError
        When the name is taken.
    TypeError
        When `kernel` is not callable, or `schema` not an OperatorSchema.
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
    """Add the gradient maker of an operator, given as a class; `gradient_of` takes a function.

    Parameters
    ----------
    name : str
        A registered operator.
    maker : type
        A subclass of `GradientMaker`.

    Raises
    ------
    SchemaError
        When the operator is unknown.
    ValueError
        When it has a gradient maker.
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


def gradient_of(*names: str, constant: Iterable[int] = ()) -> Callable[[GradientRule], GradientRule]:
    """Register the function below it as the gradient maker of operators.

    Parameters
    ----------
    *names : str
        Registered operators.
    constant : iterable of int, optional
        Inputs that have no gradient by mathematics, such as integers and shapes: see
        `GradientMaker.is_constant`.

    Returns
    -------
    callable
        A decorator for a function ``rule(maker)``, which emits the operators that compute the gradients to
        the `GradientMaker` that it gets. It returns the function.

    Raises
    ------
    SchemaError
        When an operator is unknown.
    ValueError
        When one has a gradient maker.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator import Net, OperatorSchema, gradient_of
    >>> from softsign.operator import register_cpu_operator, unregister_operator
    >>> one = OperatorSchema(num_inputs=1)
    >>> register_cpu_operator("Square", lambda x, y=None: np.multiply(x, x, out=y), one)
    >>> @gradient_of("Square")
    ... def square(maker):
    ...     half = maker.emit("Mul", maker.output_gradient(0), maker.input(0))
    ...     maker.emit("Sum", half, half, output=maker.input_gradient(0))
    >>> net = Net("square")
    >>> _ = net.add("Square", "X", "Y")
    >>> gradients = net.add_gradients(["Y"])
    >>> print(net)
    Net('square')
      Square(X) -> (Y)
      OnesLike(Y) -> (Y_grad)
      Mul(Y_grad, X) -> (Y_Mul)
      Sum(Y_Mul, Y_Mul) -> (X_grad)
    >>> unregister_operator("Square")
    """
    constants = frozenset(constant)

    def register(rule: GradientRule) -> GradientRule:
        class Maker(GradientMaker):
            @classmethod
            def is_constant(cls, op: OperatorDef, i: int) -> bool:
                return i in constants

            def get_gradient_defs(self) -> Sequence[OperatorDef]:
                rule(self)
                return self.defs

        Maker.__name__ = rule.__name__
        for name in names:
            register_gradient(name, Maker)
        return rule

    return register


def unregister_operator(name: str) -> None:
    """Remove an operator with its schema, kernel and gradient maker.

    Parameters
    ----------
    name : str
        A registered operator.

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
    """Return the names of the registered operators.

    Parameters
    ----------
    gradients : bool, optional
        Whether to list those that serve gradients alone too.

    Returns
    -------
    list of str
        In alphabetical order.

    Examples
    --------
    >>> from softsign.operator import operators
    >>> "Softsign" in operators(gradients=False), "SoftsignGradient" in operators(gradients=False)
    (True, False)
    """
    return sorted(name for name, found in _OPERATORS.items() if gradients or not found.is_gradient)


def schema(name: str) -> OperatorSchema:
    """Return the schema of an operator.

    Parameters
    ----------
    name : str
        A registered operator.

    Returns
    -------
    OperatorSchema
        The one that it was registered with.

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

    Parameters
    ----------
    op : OperatorDef
        A use of the operator, which messages name.

    Returns
    -------
    type
        A subclass of `GradientMaker`.

    Raises
    ------
    GradientError
        When it has none; the message names the operator and how to register one.
    """
    maker = registered_maker(op)
    if maker is None:
        raise GradientError([Refusal(op)])
    return maker


def registered_maker(op: OperatorDef) -> type[GradientMaker] | None:
    """Return the gradient maker of an operator, which need not be registered.

    Parameters
    ----------
    op : OperatorDef
        A use of the operator.

    Returns
    -------
    type or None
        A subclass of `GradientMaker`; None without one.
    """
    found = _OPERATORS.get(op.type)
    return None if found is None else found.maker


def create_operator(
    type: str, inputs: str | Sequence[str], outputs: str | Sequence[str], name: str = "", **attributes: Any
) -> OperatorDef:
    """Return a use of an operator, checked against its schema.

    Parameters
    ----------
    type : str
        A registered operator.
    inputs, outputs : str or sequence of str
        Names of blobs.
    name : str, optional
        Name used in error messages.
    **attributes : object
        Keyword arguments of its kernel.

    Returns
    -------
    OperatorDef
        The use, which `Net.add` and `Workspace.run` take.

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
    softsign.operator.definitions.SchemaError: SoftsignGradient(X, dY) -> (X): output 0 may not overwrite \
input 0, blob 'X'; SoftsignGradient allows output 0 over input 1
    """
    op = OperatorDef(type, inputs, outputs, name, attributes)
    schema(type).check(op)
    return op


def find(name: str) -> _Operator:
    """Return what is registered under a name.

    Parameters
    ----------
    name : str
        A registered operator.

    Returns
    -------
    _Operator
        Its schema, kernel and gradient maker.

    Raises
    ------
    SchemaError
        When there is none of that name; the message names a similar one.
    """
    try:
        return _OPERATORS[name]
    except KeyError:
        close = difflib.get_close_matches(name, _OPERATORS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise SchemaError(f"operator {name!r} is not registered{hint}") from None
