"""Who is trained on, and who is tested."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from .. import index, labels
from .style import TEST, TRAIN, despine, ink, new_axes, speaker_names


def draw_split(split, *, fold=0, ax=None):
    """Draw who is trained on and who is tested: a bar per speaker.

    Parameters
    ----------
    split : Split
    fold : int
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    table = split.table
    ax = new_axes(ax, (6.4, 0.9 + 0.22 * table["speaker"].nunique()))
    counts = pd.crosstab(table["speaker"], table["fold"] == fold).reindex(columns=[False, True], fill_value=0)
    names = speaker_names(counts.index)
    ax.barh(names, counts[False], color=TRAIN, label="train")
    ax.barh(names, counts[True], left=counts[False], color=TEST, label="test")
    n_shared = int(((counts[False] > 0) & (counts[True] > 0)).sum())
    title = f"{split.protocol}: {n_shared} of {len(counts)} speakers on both sides"
    ax.set(xlabel="utterances", ylabel="speaker", title=title)
    ax.invert_yaxis()
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if len(names) > 30:
        ax.set_yticks([])
    return despine(ax)


def draw_parts(parts, *, ax=None):
    """Draw how many utterances of each emotion are in the training and in the test part.

    Parameters
    ----------
    parts : DataFrame
        As `index.parts` returns it.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (6.4, 3.2))
    counts = parts.drop(index="all")
    colours = list(labels.colours(counts.index).values())
    ax.bar(counts.index, counts["train"], color=colours, label="train")
    ax.bar(counts.index, counts["test"], bottom=counts["train"], color=colours, alpha=0.45, hatch="//", label="test")
    for x, (train, test) in enumerate(zip(counts["train"], counts["test"], strict=True)):
        ax.text(x, train / 2, str(train), ha="center", va="center", color=ink(colours[x]), fontsize=9)
        ax.text(x, train + test, str(test), ha="center", va="bottom", fontsize=9)
    grey = [mpl.patches.Patch(facecolor="0.4"), mpl.patches.Patch(facecolor="0.75", hatch="//", edgecolor="white")]
    n_train, n_test = parts.loc["all", "train"], parts.loc["all", "test"]
    ax.legend(grey, [f"train, {n_train}", f"test, {n_test}"], frameon=False, ncols=2, loc="upper right")
    ax.set(ylabel="utterances", ylim=(0, counts["total"].max() * 1.18))
    return despine(ax)


def draw_fold(split, *, fold=0):
    """Draw one fold twice: its speakers, and its emotions.

    Parameters
    ----------
    split : Split
    fold : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_speakers = split.table["speaker"].nunique()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11.5, min(7.0, max(3.6, 0.9 + 0.22 * n_speakers))), layout="constrained", width_ratios=(1, 1.25)
    )
    draw_split(split, fold=fold, ax=left)
    part = np.where(split.table["fold"] == fold, "test", "train")
    draw_parts(index.parts(split.table.assign(part=part)), ax=right)
    return figure
