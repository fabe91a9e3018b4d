"""The picture that ``softsign demo`` writes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from softsign._palette import COLORS
from softsign.learn._canvas import GUIDE, decorate
from softsign.learn.network import Epoch
from softsign.learn.plots import draw_function

__all__ = ["demo_figure"]


def demo_figure(history: Sequence[Epoch], scans: int) -> Figure:
    """Draw a learning curve and, beside it, f, f' and f''.

    Parameters
    ----------
    history : sequence of Epoch
        What `softsign.learn.network.train` gave, in order.
    scans : int
        Size of the test set, for the legend.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels.
    """
    figure = Figure(figsize=(9.0, 7.2), dpi=200, layout="constrained")
    _draw_learning_curve(figure.add_subplot(2, 2, 1), history, scans)
    for index, name in enumerate(("softsign", "derivative", "second_derivative")):
        draw_function(name, color=COLORS[index], ax=figure.add_subplot(2, 2, index + 2))
    return figure


def _draw_learning_curve(axes: Axes, history: Sequence[Epoch], scans: int) -> None:
    decorate(axes, "Handwritten digits\na network of softsign units", "epoch", "accuracy (%)")
    epochs = range(1, len(history) + 1)
    training = [100 * epoch.train_accuracy for epoch in history]
    test = [100 * epoch.test_accuracy for epoch in history]
    axes.plot(epochs, training, color=COLORS[4], linewidth=1.5, label="training, shifted scans")
    axes.plot(
        epochs,
        test,
        color=COLORS[0],
        linewidth=2,
        label=f"test, {scans} scans: {test[-1]:.1f} % at the end",
    )
    axes.axhline(97.0, label="goal: 97 %", **GUIDE)
    axes.set_ylim(85.0, 100.5)
    axes.set_yticks((85, 90, 95, 100))
    axes.legend(loc="lower right", frameon=False)
