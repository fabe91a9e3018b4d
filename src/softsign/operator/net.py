"""Nets: lists of operators with their constants, which differentiate themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from softsign.operator.definitions import OperatorDef, SchemaError, TensorType
from softsign.operator.registry import create_operator, revision, schema
from softsign.operator.walks import gradient_operators, infer_types, version_types

__all__ = ["Net"]


class Net:
    """A list of operators, executed in order.

    Parameters
    ----------
    name : str
        Name used in error messages and in ONNX models.
    constants : mapping of str to array_like, optional
        Blobs that come with the net, such as trained weights, of any dtype and shape: `Workspace.run` feeds
        those it does not have.

    Attributes
    ----------
    name : str
        Name of the net.
    operators : list of OperatorDef
        The operators in order of execution.
    constants : dict of str to ndarray
        Copies of the constants.
    types : dict of str to TensorType
        What is known of the inputs; `softsign.onnx.from_model` fills it and `softsign.onnx.to_model` uses it.
    declared, returned : dict of str to TensorType
        Inputs and outputs, in order, of the ONNX model that the net comes from. `softsign.onnx.to_model`
        declares the inputs again: those that no operator reads, and constants, which the caller of the model
        may replace. It takes the type of an output from here where nothing else tells it.

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
        self.declared: dict[str, TensorType] = {}
        self.returned: dict[str, TensorType] = {}
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

        Parameters
        ----------
        op : OperatorDef or str
            A use of an operator, or the name of one.
        inputs, outputs : str or sequence of str, optional
            Names of blobs.
        name : str, optional
            Name used in error messages.
        **attributes : object
            Keyword arguments of its kernel.

        Returns
        -------
        OperatorDef
            The use that was appended.

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

    def add_gradients(
        self, ys: str | Sequence[str] | Mapping[str, str], wrt: str | Sequence[str] | None = None
    ) -> dict[str, str]:
        """Append the operators that compute gradients with respect to every blob that leads to `ys`.

        Caffe2 calls it AddGradientOperators. The net is walked backwards, and the gradient maker of each
        operator says what to append. Gradients of a blob that is read more than once are summed. Gradient
        operators are operators: calling this again on their outputs gives derivatives of the second order,
        and so on.

        Parameters
        ----------
        ys : str, sequence of str, or mapping of str to str
            Blobs to differentiate. Their own gradients are ones, or the blobs that the mapping names, which
            are then inputs of the net.
        wrt : str or sequence of str, optional
            Blobs to differentiate with respect to; what only other gradients need is left out. Default: every
            blob that leads to `ys`.

        Returns
        -------
        dict of str to str
            The blob that holds the gradient of each blob. If a blob is overwritten in place, it is the
            gradient with respect to its first value. Blobs that `ys` do not depend on, or by steps alone, are
            not in it. Asking for one whose gradient a gradient maker does not know raises GradientError.

        Raises
        ------
        SchemaError
            When the net has no blob of a name in `ys` or `wrt`. The net is then as it was.
        GradientError
            When operators on the way have no gradient maker, or one that does not know a gradient that is
            wanted, or a value that a gradient needs has been overwritten. The net is then as it was.
        """
        if isinstance(ys, str):
            ys = [ys]
        wanted = [wrt] if isinstance(wrt, str) else wrt
        missing = [name for name in (*ys, *(wanted or ())) if name not in self.blobs]
        if missing:
            raise SchemaError(f"net {self.name!r} has no blob {missing[0]!r} to differentiate")
        seeds: dict[str, str | None] = dict(ys) if isinstance(ys, Mapping) else dict.fromkeys(ys)
        # Only the ranks of the constants hold: other ones that are fed may have other sizes.
        constants = {
            name: TensorType(a.dtype, tuple(f"?{name}:{i}" for i in range(a.ndim)))
            for name, a in self.constants.items()
        }
        types = version_types(self.operators, constants | self.types)
        appended, gradients, _ = gradient_operators(
            self.operators, seeds, self.blobs, wanted=wanted, types=types
        )
        for op in appended:
            schema(op.type).check(op)
        self.operators += appended
        return gradients

    def needed(self) -> list[str]:
        """Return the blobs whose types decide whether the net can run.

        Returns
        -------
        list of str
            Its inputs and constants.
        """
        # Lists of the same objects are equal at once.
        if self._passed is None or self._passed[0] != self.operators:
            self._passed = list(self.operators), [*self.inputs, *self.constants], None
        return self._passed[1]

    def check(self, known: Mapping[str, TensorType]) -> None:
        """Refuse a net that cannot run, as `infer_types` does; what passed last time passes at once.

        Parameters
        ----------
        known : mapping of str to TensorType
            Types of the blobs that `needed` names.

        Raises
        ------
        SchemaError
            When an operator is unknown or misused, reads a blob that does not exist by then, or inputs that
            do not fit.
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
        """Return the types of all blobs, and refuse a net that cannot run.

        Parameters
        ----------
        known : mapping of str to TensorType
            Types of the blobs that exist before the net runs.

        Returns
        -------
        dict of str to TensorType
            Types of the last values of all blobs, as far as they can be told.

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
