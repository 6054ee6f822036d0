"""Which emotions are confused, by a model or by listeners."""

import numpy as np
import pandas as pd
import seaborn as sns

from .. import labels, metrics
from .style import ink_cells, new_axes, title_of


def draw_confusion(predictions, *, ax=None):
    """Draw the confusion matrix: a row per true emotion, its share in each predicted one, the counts as numbers.

    Parameters
    ----------
    predictions : DataFrame
        A predictions table.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    summary = metrics.summary(predictions)
    score = f"UAR {summary['uar']:.2f} (chance {summary['chance']:.2f})"
    made = "synthetic " if predictions.attrs.get("synthetic") else ""
    title = f"{made}{title_of(summary['corpus'])}, {summary['protocol']}: {score}"
    return _matrix(metrics.confusion(predictions), title, "predicted", ax)


def draw_listeners(votes, *, title="listeners", ax=None):
    """Draw which emotions listeners confuse, as `draw_confusion` draws a model's.

    Parameters
    ----------
    votes : dict of str to dict of str to int
        Intended emotion -> heard emotion -> responses, as a passport's ``listener_scores()["votes"]``.
    title : str
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    order = labels.ordered(votes)
    counts = pd.DataFrame(votes).T.reindex(index=order, columns=order).fillna(0).astype(int)
    uar = np.mean([counts.loc[emotion, emotion] / counts.loc[emotion].sum() for emotion in order])
    return _matrix(counts, f"{title}: UAR {uar:.2f} (chance {1 / len(order):.2f})", "heard", ax)


def _matrix(counts, title, across, ax):
    """Draw counts by true emotion (rows): colours are shares of the row, numbers the counts."""
    ax = new_axes(ax, (1.9 + 0.55 * len(counts), 1.5 + 0.5 * len(counts)))
    share = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    sns.heatmap(
        share,
        annot=counts.astype(str),
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=1,
        ax=ax,
        square=True,
        linewidths=0.5,
        cbar_kws={"label": "share of the true emotion", "shrink": 0.8},
        annot_kws={"fontsize": 9},
    )
    ink_cells(ax)
    ax.set_title(title, fontsize=10)
    ax.set(xlabel=across, ylabel="true")
    ax.tick_params(axis="x", rotation=45)
    ax.tick_params(axis="y", rotation=0)
    for tick in ax.get_xticklabels():
        tick.set(ha="right", rotation_mode="anchor")
    return ax
