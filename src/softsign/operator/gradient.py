"""Gradient makers: which operators compute the gradients of an operator's inputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from softsign.operator.definitions import Names, OperatorDef, SchemaError, TensorType

__all__ = ["GradientError", "GradientMaker", "NoGradient", "Refusal", "Scope"]


class Refusal(NamedTuple):  # numpydoc ignore=PR02
    """Why a gradient cannot be had.

    Parameters
    ----------
    op : OperatorDef
        The operator that stands in the way.
    reason : str
        The reason, as messages tell it; empty where no gradient maker is registered.
    """

    op: OperatorDef
    reason: str = ""


class GradientError(SchemaError):  # numpydoc ignore=PR02
    """Gradients that cannot be had. The message names every operator without a gradient maker.

    Parameters
    ----------
    refusals : sequence of Refusal
        All that stands in the way, one or more.
    """

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = list(refusals)
        parts = [refusal.reason for refusal in refusals if refusal.reason][:1]
        missing: dict[str, str] = {}  # the first use of each operator
        for op, reason in refusals:
            if not reason:
                missing.setdefault(op.type, str(op))
        if missing:
            first = next(iter(missing))
            parts.insert(
                0,
                f"no gradient is registered for {', '.join(missing.values())}; "
                f"softsign.operator.register_gradient({first!r}, maker) registers one",
            )
        super().__init__("; ".join(parts))


class Scope(Protocol):
    """What a gradient maker may ask about the graph around its operator."""

    def fresh(self, name: str) -> str:
        """Return a blob that nothing else uses.

        Parameters
        ----------
        name : str
            The name wished for.

        Returns
        -------
        str
            `name`, or `name` with a number behind it.
        """

    def wants(self, i: int) -> bool:
        """Tell whether the gradient of an input is of use.

        Parameters
        ----------
        i : int
            Index of the input.

        Returns
        -------
        bool
            Whether anything asks for it.
        """

    def lost_input(self, i: int) -> str | None:
        """Return what has overwritten an input since the operator read it.

        Parameters
        ----------
        i : int
            Index of the input.

        Returns
        -------
        str or None
            The operator, as messages name it; None: the input is still there.
        """

    def lost_output(self, i: int) -> str | None:
        """Return what has overwritten an output since the operator wrote it.

        Parameters
        ----------
        i : int
            Index of the output.

        Returns
        -------
        str or None
            The operator, as messages name it; None: the output is still there.
        """

    def type_of(self, name: str) -> TensorType | None:
        """Return the type of a blob that the operator reads or writes.

        Parameters
        ----------
        name : str
            Name of the blob.

        Returns
        -------
        TensorType or None
            None if nothing is known.
        """


class _Alone:
    """The scope of an operator that stands by itself: `GetSoftsignGradient(op)`."""

    def __init__(self, op: OperatorDef, output_gradients: Sequence[str | None]) -> None:
        self.op = op
        self.names = Names([*op.inputs, *op.outputs, *filter(None, output_gradients)])

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
    """Says which operators compute the gradients of an operator's inputs.

    `gradient_of` makes a maker of a function; a subclass implements `get_gradient_defs`, which may collect in
    `defs` what it returns. Gradients of gradients come by themselves where the operators named have gradient
    makers too.

    Parameters
    ----------
    op : OperatorDef
        The operator to differentiate.
    output_gradients : sequence of (str or None), optional
        Blobs with the gradients of its outputs; None where the result does not depend on one. Default: the
        names of the outputs followed by ``_grad``.
    scope : Scope, optional
        The graph around it, which `Net.add_gradients` hands over. Default: there is no other operator.

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
        self.seen: set[int] = set()  # outputs whose gradients have been asked for

    @classmethod
    def is_constant(cls, op: OperatorDef, i: int) -> bool:
        """Tell whether an input has no gradient by mathematics: integers, shapes, what acts by steps.

        Any other input that the maker gives no gradient is refused by name where that is wanted. A subclass
        overrides this method; `gradient_of` has an argument for it.

        Parameters
        ----------
        op : OperatorDef
            A use of the operator.
        i : int
            Index of the input.

        Returns
        -------
        bool
            True if the outputs depend on it by steps, or not at all. Here: False.
        """
        return False

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        """Return the operators that compute the gradients.

        Returns
        -------
        sequence of OperatorDef
            In order of execution. They write the blobs that `input_gradient` has named.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement get_gradient_defs")

    def input(self, i: int) -> str:
        """Return the blob of an input.

        Parameters
        ----------
        i : int
            Index of the input.

        Returns
        -------
        str
            Name of the blob, which holds what the operator read.

        Raises
        ------
        SchemaError
            When it has been overwritten since the operator read it, so that its value is gone.
        """
        return self._kept("input", self.op.inputs[i], self.scope.lost_input(i))

    def output(self, i: int) -> str:
        """Return the blob of an output.

        Parameters
        ----------
        i : int
            Index of the output.

        Returns
        -------
        str
            Name of the blob, which holds what the operator wrote.

        Raises
        ------
        SchemaError
            When it has been overwritten since the operator wrote it, so that its value is gone.
        """
        return self._kept("output", self.op.outputs[i], self.scope.lost_output(i))

    def _kept(self, side: str, name: str, lost: str | None) -> str:
        if lost is not None:
            raise SchemaError(
                f"the gradient of {self.op} needs its {side}, blob {name!r}, which {lost} has overwritten"
            )
        return name

    def input_is_lost(self, i: int) -> bool:
        """Tell whether an input has been overwritten, by the operator itself in place or by a later one.

        Parameters
        ----------
        i : int
            Index of the input.

        Returns
        -------
        bool
            True if `input` would raise.
        """
        return self.scope.lost_input(i) is not None

    def output_gradient(self, i: int) -> str:
        """Return the blob with the gradient of an output.

        A maker that neither asks for the gradient of an output nor reads it is refused where there is one.

        Parameters
        ----------
        i : int
            Index of the output.

        Returns
        -------
        str
            Name of the blob.

        Raises
        ------
        SchemaError
            When there is none. `output_gradients` tells; operators with one output always have it.
        """
        name = self.output_gradients[i] if i < len(self.output_gradients) else None
        if name is None:
            raise SchemaError(f"the gradient of {self.op} needs that of its output {i}, which has none")
        self.seen.add(i)
        return name

    def wants(self, i: int) -> bool:
        """Tell whether the gradient of an input is of use; a maker may leave out what computes the others.

        Parameters
        ----------
        i : int
            Index of the input, which may be one that is left out.

        Returns
        -------
        bool
            Whether the gradient is wanted.
        """
        return i < len(self.op.inputs) and bool(self.op.inputs[i]) and self.scope.wants(i)

    def input_gradient(self, i: int) -> str:
        """Return the blob to write the gradient of an input to.

        An input never asked for has no gradient: where that is wanted, it is refused by name.

        Parameters
        ----------
        i : int
            Index of the input.

        Returns
        -------
        str
            Name of the blob, the same every time.
        """
        if i not in self.input_gradients:
            self.input_gradients[i] = self.temporary(f"{self.op.inputs[i]}_grad")
        return self.input_gradients[i]

    def set_input_gradient(self, i: int, name: str) -> None:
        """Say that the gradient of an input is in a blob that exists, such as the gradient of the output.

        Parameters
        ----------
        i : int
            Index of the input.
        name : str
            Name of the blob.
        """
        self.input_gradients[i] = name

    def temporary(self, name: str) -> str:
        """Return a blob that nothing else uses.

        Parameters
        ----------
        name : str
            The name wished for.

        Returns
        -------
        str
            `name`, or `name` with a number behind it.
        """
        return self.scope.fresh(name)

    def emit(self, type: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append an operator with one output to `defs`.

        Parameters
        ----------
        type : str
            Name of the operator.
        *inputs : str
            Blobs that it reads.
        output : str, optional
            Blob that it writes: what `input_gradient` returns. Default: a temporary one.
        **attributes : object
            Attributes of the operator.

        Returns
        -------
        str
            The blob that it writes.
        """
        made = self.temporary(f"{self.op.outputs[0]}_{type}") if output is None else output
        self.defs.append(OperatorDef(type, inputs, made, attributes=attributes))
        return made

    def type_of(self, name: str) -> TensorType | None:
        """Return what is known of the dtype and shape of a blob of the operator.

        Parameters
        ----------
        name : str
            Name of the blob.

        Returns
        -------
        TensorType or None
            None if nothing is known.
        """
        return self.scope.type_of(name)


class NoGradient(GradientMaker):  # numpydoc ignore=PR02
    """Gradient maker of operators that are constant almost everywhere: no gradient passes.

    Parameters
    ----------
    op : OperatorDef
        The operator to differentiate.
    output_gradients : sequence of (str or None), optional
        Blobs with the gradients of its outputs, as for `GradientMaker`.
    scope : Scope, optional
        The graph around it.

    Examples
    --------
    >>> from softsign.operator import NoGradient, OperatorDef
    >>> NoGradient(OperatorDef("OnesLike", "X", "Y")).get_gradient_defs()
    []
    """

    @classmethod
    def is_constant(cls, op: OperatorDef, i: int) -> bool:
        """Return True: no input has a gradient.

        Parameters
        ----------
        op : OperatorDef
            A use of the operator.
        i : int
            Index of the input.

        Returns
        -------
        bool
            True.
        """
        return True

    def get_gradient_defs(self) -> Sequence[OperatorDef]:
        """Return no operators.

        Returns
        -------
        sequence of OperatorDef
            An empty one.
        """
        return []
