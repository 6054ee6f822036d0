"""A network, and its learning curves."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

from .style import TEST, TRAIN, despine, ink, new_axes


def draw_architecture(network, *, inputs="features", ax=None):
    """Draw a network from itself: a box per layer, its output shape and number of parameters.

    Parameters
    ----------
    network : keras.Model
        Sequential.
    inputs : str
        What to call its input.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    kinds = {
        "Conv1D": "#4C78A8",
        "MaxPooling1D": "#9ECAE9",
        "Dropout": "#BAB0AC",
        "Flatten": "#BAB0AC",
        "Dense": "#F58518",
    }
    layers = [(inputs, "Input", network.input_shape[1:], 0)]
    for layer in network.layers:
        layers.append((_described(layer), type(layer).__name__, layer.output.shape[1:], layer.count_params()))
    ax = new_axes(ax, (len(layers) + 1, 2.6))
    for x, (name, kind, shape, n_parameters) in enumerate(layers):
        height = 0.25 + 0.75 * np.log2(1 + shape[0]) / np.log2(1 + 416)
        box = FancyBboxPatch(
            (x - 0.36, -height / 2),
            0.72,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=kinds.get(kind, "0.9"),
            edgecolor="0.3",
            linewidth=0.8,
        )
        ax.add_patch(box)
        colour = ink(box.get_facecolor())
        ax.text(x, 0, " × ".join(map(str, shape)), ha="center", va="center", color=colour, fontsize=9)
        ax.text(x, 0.62, name, ha="center", va="bottom", fontsize=9)
        ax.text(x, -0.62, f"{n_parameters:,}" if n_parameters else "–", ha="center", va="top", fontsize=9, color="0.35")
        if x:
            ax.annotate("", (x - 0.37, 0), (x - 0.63, 0), arrowprops={"arrowstyle": "-|>", "color": "0.4", "lw": 0.8})
    ax.text(-0.45, -0.62, "parameters ", ha="right", va="top", fontsize=9, color="0.35")
    ax.text(-0.45, 0, "output ", ha="right", va="center", fontsize=9, color="0.35")
    ax.set(xlim=(-1.35, len(layers) - 0.55), ylim=(-0.85, 1.0))
    ax.set_title(f"{network.name.replace('_', '-')}: {network.count_params():,} parameters", fontsize=11)
    ax.axis("off")
    return ax


def _described(layer):
    """Return two lines that describe a layer."""
    config, kind = layer.get_config(), type(layer).__name__
    if kind == "Conv1D":
        return f"convolution\n{config['filters']} × {config['kernel_size'][0]}, {config['activation']}"
    if kind == "MaxPooling1D":
        return f"max-pooling\n{config['pool_size'][0]}, {config['padding']}"
    if kind == "Dense":
        return f"dense\n{config['activation']}"
    if kind == "Dropout":
        return f"dropout\n{config['rate']:g}"
    return kind.lower()


def draw_history(history, *, axes=None, validation="validation"):
    """Draw learning curves: loss and accuracy by epoch; with several folds, a thin line each.

    Parameters
    ----------
    history : DataFrame
        ``fold``, ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``.
    axes : pair of matplotlib.axes.Axes, optional
    validation : str
        What to call the second curve.

    Returns
    -------
    pair of matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are no epochs.
    """
    if history.empty:
        raise ValueError(
            "the history has no rows: this classifier does not learn in epochs; expected a row per epoch. Draw the"
            " curves of a recipe that has epochs, such as paper"
        )
    axes = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")[1] if axes is None else axes
    folds = [rows for _, rows in history.groupby("fold")]
    how = {"alpha": 1.0 if len(folds) == 1 else 0.45, "lw": 1.3}
    last = history["epoch"].max()
    if last == 1:
        how["marker"] = "o"  # a line of one point cannot be seen
    for ax, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for number, rows in enumerate(folds):
            for column, colour, name in ((measure, TRAIN, "train"), (f"val_{measure}", TEST, validation)):
                label = name if number == 0 else None
                ax.plot(rows["epoch"], rows[column], color=colour, label=label, **how)
        ax.set(xlabel="epoch", ylabel=measure, xlim=(1, max(last, 2)))
        despine(ax)
    high = np.nanpercentile(history[["loss", "val_loss"]].to_numpy(), 98)
    axes[0].set_ylim(0, 1.05 * high)
    axes[1].set_ylim(0, 1.02)
    axes[1].legend(frameon=False, loc="lower right")
    return axes
