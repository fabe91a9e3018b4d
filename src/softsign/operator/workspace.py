"""A workspace: blobs by name, and operators that run on them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from softsign.operator.definitions import Array, OperatorDef, SchemaError, TensorType
from softsign.operator.net import Net
from softsign.operator.registry import find

__all__ = ["Workspace"]


class Workspace:
    """Named arrays ("blobs") and the means to run operators on them.

    What is fed and fetched is copied, so an operator in place never writes to memory of the caller. Outputs
    reuse the memory of the blob that they replace where dtype and shape allow it: a net that runs again
    allocates nothing for operators of one dtype and shape, and Softsign in place never does.

    A workspace serves one thread at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.operator import Workspace, create_operator
    >>> workspace = Workspace()
    >>> workspace.feed("X", np.array([-3.0, 0.0, 1.0], np.float32))
    >>> workspace.run(create_operator("Softsign", "X", "X"))
    >>> workspace.fetch("X")
    array([-0.75,  0.  ,  0.5 ], dtype=float32)
    """

    def __init__(self) -> None:
        self._blobs: dict[str, Array] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._blobs

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._blobs))

    def feed(self, name: str, value: Any) -> None:
        """Copy an array into a blob.

        Parameters
        ----------
        name : str
            Name of the blob, new or not.
        value : array_like
            Array of any shape, and of any dtype but Python objects.

        Raises
        ------
        TypeError
            When `name` is not a string or `value` is no array of numbers, booleans or strings.
        ValueError
            When `name` is empty, or `value` is ragged.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, not {name!r}")
        if not name:
            raise ValueError("name must not be empty")
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"value of blob {name!r} must be an array, not {type(value).__name__}")
        native = array.dtype.newbyteorder("=") if array.dtype.isbuiltin != 2 else array.dtype  # 2: bfloat16
        held = self._blobs.get(name)
        if held is not None and held.dtype == native and held.shape == array.shape:
            np.copyto(held, array)
        else:
            self._blobs[name] = np.array(array, native, order="C")

    def fetch(self, name: str) -> Array:
        """Return a copy of a blob.

        Parameters
        ----------
        name : str
            Name of the blob.

        Returns
        -------
        ndarray
            Array of the dtype and shape of the blob.

        Raises
        ------
        KeyError
            When there is no such blob.
        """
        if name not in self._blobs:
            raise KeyError(f"the workspace has no blob {name!r}")
        return self._blobs[name].copy()

    def reset(self) -> None:
        """Forget all blobs."""
        self._blobs.clear()

    def run(self, what: OperatorDef | Net) -> None:
        """Run an operator, or all operators of a net in order.

        Parameters
        ----------
        what : OperatorDef or Net
            One use of an operator, or a net.

        Raises
        ------
        SchemaError
            When an operator is unknown, misused, reads a blob that does not exist, or the dtypes or shapes of
            the blobs do not fit. Before the first operator of a net runs, all that can be told in advance is
            checked.
        TypeError
            When `what` is neither, or a kernel does not take what it is given.
        """
        if isinstance(what, OperatorDef):
            find(what.type).schema.check(what)
            self._run(what)
        elif isinstance(what, Net):
            self._run_net(what)
        else:
            raise TypeError(f"a workspace runs an OperatorDef or a Net, not {type(what).__name__}")

    def _run_net(self, net: Net) -> None:
        held = ((name, self._blobs.get(name, net.constants.get(name))) for name in net.needed())
        net.check({name: TensorType(a.dtype, a.shape) for name, a in held if a is not None})
        for name, value in net.constants.items():
            if name not in self._blobs:
                self.feed(name, value)
        for op in net.operators:
            self._run(op)

    def _run(self, op: OperatorDef) -> None:
        """Run an operator that `OperatorSchema.check` has passed."""
        found = find(op.type)
        blobs = self._blobs
        try:
            inputs = [blobs[name] if name else None for name in op.inputs]
        except KeyError as error:
            raise SchemaError(
                f"{op} reads blob {error.args[0]!r}, which the workspace does not have"
            ) from None
        like = found.schema.uniform(inputs)
        if like is not None:
            targets = [self._memory(name, like.dtype, like.shape) for name in op.outputs]
        else:
            types = [None if a is None else TensorType(a.dtype, a.shape) for a in inputs]
            inferred = found.schema.infer_types(op, types)
            targets = [
                blobs[name] if name and name in op.inputs else known and self._memory(name, *known)
                for name, known in zip(op.outputs, inferred, strict=False)
            ]
        try:
            results: Any = found.kernel(*found.schema.arguments(inputs, targets), **op.attributes)
        except Exception as error:
            error.add_note(f"in {op}")
            raise
        if len(targets) != 1 or results is None or results is not targets[0]:
            self._store(op, targets, results if isinstance(results, (tuple, list)) else (results,))

    def _memory(self, name: str, dtype: np.dtype[Any], shape: tuple[int | str, ...] | None) -> Array | None:
        """Return the blob that an output of this type may be written to: the input itself in place."""
        held = self._blobs.get(name)
        return held if held is not None and held.shape == shape and held.dtype == dtype else None

    def _store(self, op: OperatorDef, targets: Sequence[Array | None], results: Sequence[Array]) -> None:
        wanted = results[: len(op.outputs)]
        whole = len(results) in (len(op.outputs), find(op.type).schema.most[1])
        if not whole or len(wanted) < len(op.outputs) or any(result is None for result in wanted):
            found = sum(result is not None for result in results)
            plural = "" if found == 1 else "s"
            raise SchemaError(
                f"{op}: its kernel returned {found} array{plural} for {len(op.outputs)} outputs"
            )
        for name, target, result in zip(op.outputs, targets, wanted, strict=True):
            if result is target or not name:
                continue
            made = np.asarray(result)
            # A view could share memory with an input, which an operator in place would then change too.
            shared = made.base is not None or any(made is held for held in self._blobs.values())
            self._blobs[name] = made.copy() if shared else made
