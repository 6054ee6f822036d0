"""How far to trust a score or an answer: speakers, groups, calibration, probabilities."""

import numpy as np

from .. import labels
from .style import CHANCE, GENDER_COLOURS, ON_LINES, SHARED, TRAIN, despine, new_axes, speaker_names


def draw_probabilities(probabilities, *, is_doubtful=False, ax=None):
    """Draw what a model says of one recording.

    Parameters
    ----------
    probabilities : dict of str to float
        By emotion.
    is_doubtful : bool
        Whether not to rely on them: they are drawn without colours.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (5.2, 0.7 + 0.34 * len(probabilities)))
    known = labels.colours(probabilities)
    colours = ["0.8" if is_doubtful else known[emotion] for emotion in probabilities]
    bars = ax.barh(list(probabilities), list(probabilities.values()), color=colours)
    ax.bar_label(bars, [f"{p:.2f}" for p in probabilities.values()], padding=3, fontsize=9, bbox=ON_LINES)
    ax.axvline(1 / len(probabilities), **CHANCE)
    ax.text(1 / len(probabilities), -0.75, "chance", ha="center", va="bottom", fontsize=8, color="0.25")
    ax.set(xlim=(0, 1.08), xlabel="probability")
    ax.invert_yaxis()
    return despine(ax)


def draw_speakers_scores(scores, *, chance, ax=None):
    """Draw a dot per speaker, the worst first, with their mean and chance: where speakers are too few for an interval.

    Parameters
    ----------
    scores : DataFrame
        As `compare.by_speaker` returns it.
    chance : float
        Of the UAR.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    scores = scores.sort_values("uar")
    names, uars = speaker_names(scores.index), scores["uar"].to_numpy()
    has_names = len(scores) <= 30
    ax = new_axes(ax, (6.8, 1.2 + min(0.26 * len(scores), 3.6)))
    ax.axvline(uars.mean(), color="0.1", linewidth=1.2, zorder=1, label=f"mean of the speakers {uars.mean():.2f}")
    ax.axvline(chance, **CHANCE, zorder=1, label=f"chance {chance:.2f}")
    dots = {"s": 40 if has_names else 14, "zorder": 2, "clip_on": False}
    ax.scatter(uars[:1], [0], color=SHARED, marker="D", label=f"worst: speaker {names[0]}, {uars[0]:.2f}", **dots)
    ax.scatter(uars[1:], range(1, len(scores)), color=TRAIN, **dots)
    ax.set(xlim=(0, 1), ylim=(len(scores) - 0.5, -0.5), xlabel="UAR of the speaker", ylabel="speaker")
    ax.set_yticks(range(len(scores)) if has_names else [], names if has_names else [])
    ax.set_axisbelow(True)
    ax.grid(axis="y", color="0.92")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)
    return despine(ax)


def draw_groups(groups, *, chance, ax=None):
    """Draw the UAR of groups of speakers with their intervals; a group of too few speakers is a hollow dot without.

    Parameters
    ----------
    groups : DataFrame
        As `compare.by_group` returns it.
    chance : float
        Of the UAR.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (6.8, 1.5 + 0.6 * len(groups)))
    ax.axvline(chance, **CHANCE, label=f"chance {chance:.2f}")
    dot = {"marker": "o", "markersize": 8, "markeredgewidth": 2, "linewidth": 2.5}
    for y, row in enumerate(groups.itertuples()):
        colour, has_interval = GENDER_COLOURS.get(row.Index, TRAIN), not np.isnan(row.low)
        ax.plot([row.low, row.uar, row.high], [y] * 3, color=colour, linewidth=2.5, solid_capstyle="butt")
        ax.plot(row.uar, y, **dot, color=colour, markerfacecolor=colour if has_interval else "white")
        ax.annotate(f"{row.uar:.2f}", (row.uar, y), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    if groups["low"].notna().any():
        ax.plot([], [], **dot, color="0.4", label="UAR, 95 % interval over speakers")
    if groups["low"].isna().any():
        ax.plot(
            [],
            [],
            **dot | {"linewidth": 0},
            color="0.4",
            markerfacecolor="white",
            label="UAR, too few speakers for an interval",
        )
    counts = zip(groups.index, groups["n_speakers"], groups["n"], strict=True)
    names = [f"{group}\n{n_speakers} speakers, {n:,} utterances" for group, n_speakers, n in counts]
    ax.set_yticks(range(len(groups)), names)
    ax.set(xlim=(0, 1), ylim=(len(groups) - 0.5, -0.6), xlabel="UAR")
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return despine(ax)


def draw_reliability(reliability, *, ax=None):
    """Draw how often a model is right against how sure it is; the larger a dot, the more utterances (the number at it).

    Parameters
    ----------
    reliability : DataFrame
        As `compare.reliability` returns it.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (4.8, 4.8))
    x, y, n = reliability["confidence"], reliability["accuracy"], reliability["n"]
    sizes = 25 + 300 * n / n.max()
    ax.plot([0, 1], [0, 1], **CHANCE, label="right as often as it is sure")
    ax.vlines(x, np.minimum(x, y), np.maximum(x, y), color=SHARED, linewidth=1.5, label="how far it is from that")
    ax.scatter(x, y, s=sizes, color=TRAIN, edgecolor="white", zorder=2, clip_on=False, label="utterances (number)")
    for sure, right, number, size in zip(x, y, n, sizes, strict=True):
        away = (8 + np.sqrt(size) / 2) * (1 if right >= sure else -1)
        position = {"xytext": (0, away), "textcoords": "offset points", "ha": "center", "va": "center"}
        ax.annotate(str(number), (sure, right), **position, fontsize=8)
    ax.text(0.02, 0.96, "not sure enough", color="0.4", style="italic", ha="left")
    ax.text(0.98, 0.03, "too sure", color="0.4", style="italic", ha="right")
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
    ax.set(xlabel="probability of the predicted emotion (mean)", ylabel="accuracy: share predicted rightly")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
    return despine(ax)
