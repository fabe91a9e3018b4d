"""The network of `softsign.learn.network` in ONNX: exported, and trained inside ONNX Runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from softsign.learn.network import MOMENTUM, WEIGHT_DECAY, Float32, Labels, Network
from softsign.onnx import gradients, sgd_step, to_model
from softsign.operator import Net

__all__ = ["OnnxLearner", "network_model", "parameters", "session", "training_step"]


def network_model(network: Network, *, loss: bool = False) -> ModelProto:
    """Return a network as an ONNX model.

    Parameters
    ----------
    network : Network
        What to export.
    loss : bool
        Whether to add the input ``label`` (int64, one for each scan) and the output ``loss``, the mean
        cross-entropy.

    Returns
    -------
    onnx.ModelProto
        From ``x``, shape ("scans", pixels), to ``scores``, shape ("scans", 10). Layer i, counted from 1, has
        the initializers ``wi`` and ``bi``.
    """
    net = Net("digits")
    layers = list(zip(network.weights, network.biases, strict=True))
    source = "x"
    for i, (weight, bias) in enumerate(layers, start=1):
        net.constants |= {f"w{i}": weight, f"b{i}": bias}
        target = f"z{i}" if i < len(layers) else "scores"
        net.add("Gemm", [source, f"w{i}", f"b{i}"], target, name=f"layer{i}")
        if i < len(layers):
            source = f"y{i}"
            net.add("Softsign", target, source, name=f"softsign{i}")
    types: dict[str, Any] = {"x": (layers[0][0].dtype, ("scans", len(layers[0][0])))}
    outputs = ["scores"]
    if loss:
        net.add("SoftmaxCrossEntropyLoss", ["scores", "label"], "loss", name="loss")
        types["label"] = (np.int64, ("scans",))
        outputs.append("loss")
    return to_model(net, types, outputs=outputs)


def parameters(network: Network) -> dict[str, Float32]:
    """Return the parameters of a network under their names in `network_model`.

    Parameters
    ----------
    network : Network
        Whose parameters to return, not copies of them.

    Returns
    -------
    dict of str to ndarray of float32
        Weights and biases.
    """
    weights = {f"w{i}": weight for i, weight in enumerate(network.weights, start=1)}
    return weights | {f"b{i}": bias for i, bias in enumerate(network.biases, start=1)}


def training_step(network: Network) -> ModelProto:
    """Return a step of the training, as `softsign.learn.network.NumpyLearner` takes it, as an ONNX model.

    Parameters
    ----------
    network : Network
        What to train; its parameters are inputs.

    Returns
    -------
    onnx.ModelProto
        Its inputs are a batch (``x``, ``label``), ``learning_rate``, the parameters, and their velocities
        ``wi_velocity`` and so on; its outputs ``scores``, ``loss``, and parameters and velocities with
        ``_next`` behind.
    """
    names = list(parameters(network))
    decays = {name: WEIGHT_DECAY for name in names if name[0] == "w"}
    model = gradients(network_model(network, loss=True), "loss", names)
    return sgd_step(model, momentum=MOMENTUM, weight_decay=decays)


def session(model: ModelProto) -> ort.InferenceSession:
    """Return an ONNX Runtime session on one thread: on matrices this small a second one saves nothing.

    Parameters
    ----------
    model : onnx.ModelProto
        What to compute.

    Returns
    -------
    onnxruntime.InferenceSession
        On the CPU.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class OnnxLearner:
    """Stochastic gradient descent inside ONNX Runtime; a `softsign.learn.network.Learner`.

    Parameters
    ----------
    network : Network
        Gets the parameters after each step.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.session = session(training_step(network))
        self.outputs = [value.name for value in self.session.get_outputs()]
        held = parameters(network)
        self.state = held | {f"{name}_velocity": np.zeros_like(value) for name, value in held.items()}

    def step(self, x: Float32, label: Labels, learning_rate: float) -> int:
        """Take a step along the gradient of one batch.

        Parameters
        ----------
        x : ndarray of float32, shape (scans, pixels)
            Scans of the batch.
        label : ndarray of int64, shape (scans,)
            Digits that they show.
        learning_rate : float
            Length of the step over that of the gradient.

        Returns
        -------
        int
            Scans that the network classified correctly before.
        """
        found = self._run(x, label, learning_rate)
        self.state = {name: found[f"{name}_next"] for name in self.state}
        layers = range(1, len(self.network.weights) + 1)
        self.network.weights = [self.state[f"w{i}"] for i in layers]
        self.network.biases = [self.state[f"b{i}"] for i in layers]
        return int(np.count_nonzero(found["scores"].argmax(axis=1) == label))

    def accuracy(self, x: Float32, label: Labels) -> float:
        """Return the share of scans classified correctly.

        Parameters
        ----------
        x : ndarray of float32, shape (scans, pixels)
            Scans.
        label : ndarray of int64, shape (scans,)
            Digits that they show.

        Returns
        -------
        float
            From 0 to 1.
        """
        return float(np.mean(self._run(x, label, 0.0)["scores"].argmax(axis=1) == label))

    def _run(self, x: Float32, label: Labels, learning_rate: float) -> Mapping[str, Float32]:
        feeds = {"x": x, "label": label, "learning_rate": np.array(learning_rate, x.dtype), **self.state}
        return dict(zip(self.outputs, self.session.run(None, feeds), strict=True))
