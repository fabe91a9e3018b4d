"""ONNX models computed: by onnx's reference implementation with softsign's kernels, or by ONNX Runtime."""

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnx.backend.base
from onnx import ModelProto, NodeProto, helper, numpy_helper

from softsign.onnx.check import ModelError, is_large, one_line
from softsign.onnx.dialect import normalize_model, tensor_names, type_of
from softsign.onnx.reference import ReferenceSoftsign, evaluator
from softsign.operator.definitions import Array, Names

__all__ = ["ENGINES", "Backend", "ReferenceSoftsign", "run"]


class _Prepared(onnx.backend.base.BackendRep):  # type: ignore[misc]
    """A model or a node, ready to run."""

    def __init__(self, proto: ModelProto | NodeProto) -> None:
        # The evaluator takes old operators for new ones, and does not hand its operators on to functions.
        made = normalize_model(proto) if isinstance(proto, ModelProto) else proto
        with _refusals():
            self.evaluator = evaluator(made)

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        if isinstance(inputs, np.ndarray):
            inputs = [inputs]
        named = isinstance(inputs, Mapping)
        feeds = inputs if named else dict(zip(self.evaluator.input_names, inputs, strict=False))
        with _refusals(), np.errstate(all="ignore"):  # infinity and nan are values to ONNX
            return tuple(self.evaluator.run(None, feeds))


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Make one sentence of what the evaluator raises, which may be anything."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        reason = error if error.__cause__ is None else f"{error} ({error.__cause__})"
        raise ModelError(f"the engine softsign cannot run the model: {one_line(str(reason))}") from error


class Backend(onnx.backend.base.Backend):  # type: ignore[misc]
    """An ONNX backend on the CPU: onnx's reference implementation with softsign's own kernels.

    The ufuncs compute ONNX's Softsign and the functions of softsign's domain, correctly rounded or within
    their bounds. It is made to check models, not for speed. ONNX's backend tests run on it.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import helper
    >>> from softsign.onnx import Backend
    >>> node = helper.make_node("Softsign", ["x"], ["y"])
    >>> Backend.run_node(node, [np.array([-np.inf, 3], np.float32)])
    (array([-1.  ,  0.75], dtype=float32),)
    """

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> onnx.backend.base.BackendRep:
        """Return a handle that runs a model with ``run(inputs)``: arrays in order, or a mapping by name.

        Parameters
        ----------
        model : onnx.ModelProto
            The model.
        device : str, optional
            ``"CPU"``, with a number behind a colon or without.
        **kwargs : object
            Options of other backends; ignored.

        Returns
        -------
        onnx.backend.base.BackendRep
            The handle. Its ``run`` returns a tuple of arrays, the outputs in order.

        Raises
        ------
        onnx.checker.ValidationError
            When the model breaks ONNX's rules.
        ModelError
            When it has an operator that draws random numbers, or that the reference implementation lacks, or
            is of an old opset and cannot be raised. ``run`` of the handle raises it too.
        ValueError
            When the device is not a CPU.
        """
        cls._check_device(device)
        if is_large(model):
            raise ModelError("the model takes more than 2 GiB, which onnx cannot convert")
        onnx.checker.check_model(model)
        return _Prepared(model)

    @classmethod
    def run_node(
        cls, node: NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[Any, ...]:
        """Run one node and return its outputs.

        Parameters
        ----------
        node : onnx.NodeProto
            The node.
        inputs : ndarray, sequence of ndarray or mapping of str to ndarray
            One array, the arrays in order, or by name.
        device : str, optional
            ``"CPU"``, with a number behind a colon or without.
        outputs_info : sequence of (numpy.dtype, tuple of int), optional
            Dtypes and shapes of the outputs; ignored.
        **kwargs : object
            Options of other backends; ignored.

        Returns
        -------
        tuple of ndarray
            The outputs in order.

        Raises
        ------
        onnx.checker.ValidationError
            When the node breaks ONNX's rules.
        ModelError
            When it draws random numbers, or the reference implementation lacks it or cannot run it.
        ValueError
            When the device is not a CPU.
        """
        cls._check_device(device)
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        return _Prepared(node).run(inputs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Tell whether this backend computes on a device.

        Parameters
        ----------
        device : str
            Name of the device, such as ``"CPU"`` or ``"CUDA:1"``.

        Returns
        -------
        bool
            True for a CPU.
        """
        return device.partition(":")[0] == "CPU"

    @classmethod
    def _check_device(cls, device: str) -> None:
        if not cls.supports_device(device):
            raise ValueError(f"device is {device!r}; this backend computes on the CPU")


def run(model: ModelProto, inputs: Mapping[str, Any], *, engine: str = "onnxruntime") -> dict[str, Array]:
    """Compute the outputs of a model.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.
    inputs : mapping of str to array_like
        One array for each input of the model, of its dtype and shape.
    engine : {"onnxruntime", "softsign"}, optional
        What computes: ONNX Runtime on the CPU, or `Backend`.

    Returns
    -------
    dict of str to ndarray
        The outputs by name, in the model's order.

    Raises
    ------
    ModelError
        When an input is missing, unknown, or of another dtype or shape than the model says, or the engine
        cannot run the model.
    ValueError
        When there is no such engine.

    Examples
    --------
    >>> import numpy as np
    >>> from softsign.onnx import run, to_model
    >>> from softsign.operator import Net
    >>> net = Net("one")
    >>> _ = net.add("Softsign", "X", "Y")
    >>> x = np.array([-1, 3], np.float32)
    >>> run(to_model(net, {"X": x}), {"X": x})
    {'Y': array([-0.5 ,  0.75], dtype=float32)}
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; it must be one of {', '.join(ENGINES)}")
    feeds = {name: np.asarray(value) for name, value in inputs.items()}
    _check_feeds(model, feeds)
    return ENGINES[engine](model, feeds)


def _check_feeds(model: ModelProto, feeds: dict[str, Array]) -> None:
    """Refuse what the model does not take, and let text be the objects that ONNX's strings are in Python."""
    defaults = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            raise ModelError(f"{value.name!r} is an input or output of the model that is not a tensor")
    declared = {value.name: type_of(value) for value in model.graph.input}
    for name in feeds:
        if name not in declared:
            raise ModelError(
                f"the model has no input {name!r}; its inputs are {', '.join(declared) or 'none'}"
            )
    sizes: dict[str, tuple[int, str]] = {}
    for name, known in declared.items():
        if name not in feeds:
            if name not in defaults:
                raise ModelError(f"input {name!r} of the model is missing")
            continue
        if known is None:
            continue
        if known.dtype == object and feeds[name].dtype.kind == "U":
            feeds[name] = feeds[name].astype(object)
        array = feeds[name]
        if known.dtype == object and not all(isinstance(item, str) for item in array.flat):
            raise ModelError(f"input {name!r} is {array.dtype}; the model takes strings")
        if array.dtype != known.dtype:
            raise ModelError(f"input {name!r} is {array.dtype}; the model takes {known.dtype}")
        if known.shape is None:
            continue
        fits = len(known.shape) == array.ndim and all(
            size == sizes.setdefault(str(wanted), (size, name))[0]
            if isinstance(wanted, str)
            else size == wanted
            for wanted, size in zip(known.shape, array.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("?" if str(size)[0] == "?" else str(size) for size in known.shape)
            raise ModelError(f"input {name!r} has the shape {array.shape}; the model takes ({wanted})")


def _run_reference(model: ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    try:
        results = Backend.prepare(model).run(feeds)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the engine softsign cannot run the model: {one_line(error)}") from error
    names = [value.name for value in model.graph.output]
    return {name: np.asarray(result) for name, result in zip(names, results, strict=True)}


def _run_onnxruntime(model: ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        session = _session(_with_own_outputs(model), options)
        if any(array.dtype == object for array in feeds.values()):  # strings, which have no OrtValue
            results = session.run(None, feeds)
        else:
            values = {name: _ort_value(array) for name, array in feeds.items()}
            results = [_array(value) for value in session.run_with_ort_values(None, values)]
    except Exception as error:  # of several classes, which it does not export
        raise ModelError(f"ONNX Runtime cannot run the model: {one_line(error)}") from error
    names = [value.name for value in model.graph.output]
    return dict(zip(names, results, strict=True))


def _session(model: ModelProto, options: Any) -> Any:
    """Return a session of ONNX Runtime, which reads a model that is too large for a message from files."""
    import onnxruntime as ort

    if not is_large(model):
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    made = ModelProto()
    made.CopyFrom(model)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        onnx.save(made, path, save_as_external_data=True, location="data", size_threshold=0)
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


#: Dtypes of which ONNX Runtime keeps several elements in a byte, unlike NumPy.
_PACKED = {
    code
    for name, code in onnx.TensorProto.DataType.items()
    if name in ("INT2", "UINT2", "INT4", "UINT4", "FLOAT4E2M1")
}


def _ort_value(array: Array) -> Any:
    """Return an array as a tensor of ONNX Runtime."""
    import onnxruntime as ort

    dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
    if dtype in _PACKED:
        raise TypeError(f"it takes no {array.dtype} from NumPy")
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.asarray(array, order="C"), dtype)


def _with_own_outputs(model: ModelProto) -> ModelProto:
    """Return a model no input of which is an output: ONNX Runtime would return memory that it has freed."""
    inputs = {value.name for value in model.graph.input}
    if not any(value.name in inputs for value in model.graph.output):
        return model
    made, names = ModelProto(), Names(tensor_names(model))
    made.CopyFrom(model)
    for value in made.graph.output:
        if value.name in inputs:
            name = names.fresh(f"{value.name}_copy")
            made.graph.node.append(helper.make_node("Identity", [value.name], [name]))
            value.name = name
    return made


def _array(value: Any) -> Array:
    """Return a tensor of ONNX Runtime, whose own `numpy` does not know the dtypes of ml_dtypes."""
    if not value.is_tensor():
        raise TypeError(f"an output is {value.data_type()}, and not a tensor")
    code = value.element_type()
    array: Array
    if helper.tensor_dtype_to_np_dtype(code).isbuiltin == 1:
        array = value.numpy()
        return array
    data = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    array = numpy_helper.to_array(onnx.TensorProto(data_type=code, dims=value.shape(), raw_data=data))
    return array.copy()


#: What can compute a model, by name.
ENGINES: Mapping[str, Callable[[ModelProto, Mapping[str, Array]], dict[str, Array]]] = {
    "onnxruntime": _run_onnxruntime,
    "softsign": _run_reference,
}
