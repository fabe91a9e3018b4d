"""A small softsign network that reads handwritten digits: NumPy, `softsign` forward and `gradient` backward.

Widths, learning rate, weight decay and batch size were chosen by four-fold cross-validation on the training
scans of `softsign.data.digits`; the test scans played no part in it.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

import softsign
from softsign.data.digits import Digits

__all__ = ["Epoch", "Learner", "Network", "NumpyLearner", "new_network", "train"]

Float32: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

HIDDEN = (256, 128)
EPOCHS = 100
BATCH_SIZE = 32
LEARNING_RATE = 0.03
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-3


class Epoch(NamedTuple):
    """Accuracies after one pass over the training scans.

    Attributes
    ----------
    train_accuracy, test_accuracy : float
        From 0 to 1; that of training is measured on the way, on shifted scans.
    """

    train_accuracy: float
    test_accuracy: float


class Network:
    """A fully connected network: softsign in the hidden layers, softmax at the end.

    Weights start as normal numbers of variance 1 / (inputs of the layer), biases at zero.

    Parameters
    ----------
    widths : sequence of int
        Units per layer, the input first and the classes last.
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, widths: Sequence[int], rng: np.random.Generator) -> None:
        shapes = list(itertools.pairwise(widths))
        self.weights = [rng.standard_normal(s, np.float32) / np.float32(math.sqrt(s[0])) for s in shapes]
        self.biases = [np.zeros(s[1], np.float32) for s in shapes]

    def forward(self, x: Float32) -> tuple[list[Float32], list[Float32]]:
        """Return the weighted sums and the inputs of every layer.

        Parameters
        ----------
        x : ndarray of float32, shape (scans, pixels)
            Scans.

        Returns
        -------
        sums : list of ndarray of float32, shape (scans, units)
            One per layer. The last holds the class scores.
        inputs : list of ndarray of float32, shape (scans, inputs of the layer)
            What each layer was given; the first is `x`.
        """
        sums: list[Float32] = []
        inputs = [x]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            total = inputs[-1] @ weight
            total += bias
            sums.append(total)
            inputs.append(softsign.softsign(total))
        return sums, inputs[:-1]

    def gradients(self, x: Float32, label: Labels) -> tuple[list[Float32], list[Float32], int]:
        """Differentiate the mean cross-entropy of a batch.

        Parameters
        ----------
        x : ndarray of float32, shape (scans, pixels)
            Scans of a batch.
        label : ndarray of int64, shape (scans,)
            Digits that they show.

        Returns
        -------
        weights, biases : list of ndarray of float32
            Derivatives with respect to the parameters of each layer.
        right : int
            Scans of the batch that were classified correctly.
        """
        sums, inputs = self.forward(x)
        right = int(np.count_nonzero(sums[-1].argmax(axis=1) == label))
        dy = _softmax(sums[-1])
        dy[np.arange(len(label)), label] -= 1
        dy /= np.float32(len(label))
        weights: list[Float32] = []
        biases: list[Float32] = []
        for layer in reversed(range(len(self.weights))):
            weights.insert(0, inputs[layer].T @ dy)
            biases.insert(0, dy.sum(axis=0))
            if layer:
                dy = dy @ self.weights[layer].T
                softsign.gradient(sums[layer - 1], dy, out=dy)
        return weights, biases, right

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
        scores = self.forward(x)[0][-1]
        return float(np.mean(scores.argmax(axis=1) == label))


def new_network(digits: Digits, rng: np.random.Generator) -> Network:
    """Return a network of the demo's size, not yet trained.

    Parameters
    ----------
    digits : Digits
        What it is to read.
    rng : numpy.random.Generator
        Source of the initial weights.

    Returns
    -------
    Network
        From 64 pixels through 256 and 128 units to 10 scores.
    """
    return Network((digits.train_x[0].size, *HIDDEN, 10), rng)


class Learner(Protocol):
    """What trains a network, one batch at a time."""

    def step(self, x: Float32, label: Labels, learning_rate: float) -> int:
        """Change the network's parameters by one batch.

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


class NumpyLearner:
    """Stochastic gradient descent with momentum and weight decay in NumPy, by the network's own gradients.

    Parameters
    ----------
    network : Network
        Its parameters are changed in place.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.accuracy = network.accuracy
        self.parameters = network.weights + network.biases
        self.velocities = [np.zeros_like(parameter) for parameter in self.parameters]

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
        weights, biases, hits = self.network.gradients(x, label)
        for gradient, weight in zip(weights, self.network.weights, strict=True):
            gradient += WEIGHT_DECAY * weight
        for parameter, velocity, gradient in zip(
            self.parameters, self.velocities, weights + biases, strict=True
        ):
            velocity *= MOMENTUM
            velocity -= learning_rate * gradient
            parameter += velocity
        return hits


def train(
    digits: Digits, learner: Learner, rng: np.random.Generator, *, epochs: int = EPOCHS
) -> Iterator[Epoch]:
    """Train a network by stochastic gradient descent, and report after each epoch.

    In each epoch half of the scans, drawn anew for each axis, are moved by one pixel along it. The learning
    rate falls along half a cosine.

    Parameters
    ----------
    digits : Digits
        What to train on, and to test with.
    learner : Learner
        `NumpyLearner` of a network, or another.
    rng : numpy.random.Generator
        Source of the order of the scans and of their shifts.
    epochs : int
        Passes over the training scans.

    Yields
    ------
    Epoch
        One for each pass.
    """
    # Imported here because it comes with scikit-learn. On matrices this small a second BLAS thread saves
    # nothing, and on a busy machine each product waits for it.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield from _train(digits, learner, rng, epochs)


def _train(digits: Digits, learner: Learner, rng: np.random.Generator, epochs: int) -> Iterator[Epoch]:
    shifted = _shifts(digits.train_x, digits.paper)
    test_x = digits.test_x.reshape(len(digits.test_x), -1)
    scans = len(digits.train_label)
    for epoch in range(epochs):
        order = rng.permutation(scans)
        down, right = rng.binomial(2, 0.5, size=(2, scans))  # 1 is no shift
        hits = 0
        for start in range(0, scans, BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            x = shifted[batch, down[batch], right[batch]].reshape(len(batch), -1)
            learning_rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (epoch + start / scans) / epochs))
            hits += learner.step(x, digits.train_label[batch], learning_rate)
        yield Epoch(hits / scans, learner.accuracy(test_x, digits.test_label))


def _shifts(x: Float32, paper: float) -> Float32:
    """View each scan moved by -1, 0 and 1 pixels: shape (scans, 3, 3, 8, 8)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=paper)
    view: Float32 = np.lib.stride_tricks.sliding_window_view(padded, x.shape[1:], axis=(1, 2))
    return view


def _softmax(scores: Float32) -> Float32:
    p: Float32 = scores - scores.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p
