"""A small softsign network that reads handwritten digits: NumPy, `softsign` forward and `gradient` backward.

The data are the 1,797 scans of 8x8 pixels that scikit-learn ships, the test part of the UCI set "Optical Recognition
of Handwritten Digits" (Alpaydin and Kaynak, 1998). A quarter is set aside for the test by a fixed, stratified split.
Widths, learning rate, weight decay and batch size were chosen by four-fold cross-validation on the other three
quarters; the test scans played no part in it.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

import softsign

__all__ = ["Digits", "Epoch", "Learner", "Network", "NumpyLearner", "load", "new_network", "train"]

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Labels: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

HIDDEN = (256, 128)
EPOCHS = 100
BATCH = 32
LEARNING_RATE = 0.03
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-3


class Digits(NamedTuple):
    """The scans, standardized with the mean and deviation of the training pixels.

    Attributes
    ----------
    train_x, test_x : ndarray of float32, shape (scans, 8, 8)
    train_label, test_label : ndarray of int64, shape (scans,)
    paper : float
        The standardized value of an empty pixel.
    """

    train_x: Array
    train_label: Labels
    test_x: Array
    test_label: Labels
    paper: float


class Epoch(NamedTuple):
    """Accuracies, from 0 to 1, after one pass over the training scans."""

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
        Source of the starting weights.
    """

    def __init__(self, widths: Sequence[int], rng: np.random.Generator) -> None:
        shapes = list(itertools.pairwise(widths))
        self.weights = [rng.standard_normal(s, np.float32) / np.float32(math.sqrt(s[0])) for s in shapes]
        self.biases = [np.zeros(s[1], np.float32) for s in shapes]

    def forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """Return the weighted sums and the inputs of every layer.

        Parameters
        ----------
        x : ndarray of float32, shape (scans, pixels)

        Returns
        -------
        sums : list of ndarray
            One per layer, shape (scans, units). The last holds the class scores.
        inputs : list of ndarray
            What each layer was given; the first is `x`.
        """
        sums: list[Array] = []
        inputs = [x]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            total = inputs[-1] @ weight
            total += bias
            sums.append(total)
            inputs.append(softsign.softsign(total))
        return sums, inputs[:-1]

    def gradients(self, x: Array, label: Labels) -> tuple[list[Array], list[Array], int]:
        """Differentiate the mean cross-entropy of a batch.

        Parameters
        ----------
        x : ndarray of float32, shape (scans, pixels)
        label : ndarray of int64, shape (scans,)

        Returns
        -------
        weights, biases : list of ndarray
            Derivatives with respect to the parameters of each layer.
        right : int
            Scans of the batch that were classified correctly.
        """
        sums, inputs = self.forward(x)
        right = int(np.count_nonzero(sums[-1].argmax(axis=1) == label))
        dy = _softmax(sums[-1])
        dy[np.arange(len(label)), label] -= 1
        dy /= np.float32(len(label))
        weights: list[Array] = []
        biases: list[Array] = []
        for layer in reversed(range(len(self.weights))):
            weights.insert(0, inputs[layer].T @ dy)
            biases.insert(0, dy.sum(axis=0))
            if layer:
                dy = dy @ self.weights[layer].T
                softsign.gradient(sums[layer - 1], dy, out=dy)
        return weights, biases, right

    def accuracy(self, x: Array, label: Labels) -> float:
        """Return the share of scans classified correctly, from 0 to 1."""
        scores = self.forward(x)[0][-1]
        return float(np.mean(scores.argmax(axis=1) == label))


def load() -> Digits:
    """Load and split the scans. Needs scikit-learn.

    Returns
    -------
    Digits
        1,347 training scans and 450 test scans, the same ones at each call.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    scans, labels = load_digits(return_X_y=True)
    scans = scans.astype(np.float32).reshape(-1, 8, 8)
    train_x, test_x, train_label, test_label = train_test_split(
        scans, labels.astype(np.int64), test_size=450, stratify=labels, random_state=0
    )
    mean, deviation = train_x.mean(), train_x.std()
    paper = float(-mean / deviation)
    return Digits((train_x - mean) / deviation, train_label, (test_x - mean) / deviation, test_label, paper)


def new_network(digits: Digits, rng: np.random.Generator) -> Network:
    """Return a network of the demo's size, not yet trained."""
    return Network((digits.train_x[0].size, *HIDDEN, 10), rng)


class Learner(Protocol):
    """What trains a network, one batch at a time."""

    def step(self, x: Array, label: Labels, rate: float) -> int:
        """Change the network's parameters and return how many scans it classified correctly before."""

    def accuracy(self, x: Array, label: Labels) -> float:
        """Return the share of scans classified correctly, from 0 to 1."""


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

    def step(self, x: Array, label: Labels, rate: float) -> int:
        """Take a step along the gradient of one batch and return how many scans were classified correctly."""
        weights, biases, hits = self.network.gradients(x, label)
        for gradient, weight in zip(weights, self.network.weights, strict=True):
            gradient += WEIGHT_DECAY * weight
        for parameter, velocity, gradient in zip(
            self.parameters, self.velocities, weights + biases, strict=True
        ):
            velocity *= MOMENTUM
            velocity -= rate * gradient
            parameter += velocity
        return hits


def train(
    digits: Digits, learner: Learner, rng: np.random.Generator, *, epochs: int = EPOCHS
) -> Iterator[Epoch]:
    """Train a network by stochastic gradient descent, and report after each epoch.

    In each epoch half of the scans, drawn anew for each axis, are moved by one pixel along it. The learning rate falls along
    half a cosine.

    Parameters
    ----------
    digits : Digits
    learner : Learner
        `NumpyLearner` of a network, or another.
    rng : numpy.random.Generator
        Of the order of the scans and their shifts.
    epochs : int
        Passes over the training scans.

    Yields
    ------
    Epoch
    """
    # Imported here because it comes with scikit-learn. On matrices this small a second BLAS thread saves nothing, and
    # on a busy machine each product waits for it.
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
        for start in range(0, scans, BATCH):
            batch = order[start : start + BATCH]
            x = shifted[batch, down[batch], right[batch]].reshape(len(batch), -1)
            rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (epoch + start / scans) / epochs))
            hits += learner.step(x, digits.train_label[batch], rate)
        yield Epoch(hits / scans, learner.accuracy(test_x, digits.test_label))


def _shifts(x: Array, paper: float) -> Array:
    """View each scan moved by -1, 0 and 1 pixels: shape (scans, 3, 3, 8, 8)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=paper)
    view: Array = np.lib.stride_tricks.sliding_window_view(padded, x.shape[1:], axis=(1, 2))
    return view


def _softmax(scores: Array) -> Array:
    p: Array = scores - scores.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p
