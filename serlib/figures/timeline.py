"""A long recording, window by window."""

import numpy as np
from matplotlib import pyplot as plt

from .. import labels, predict
from .style import despine, mark_seconds


def draw_windows(windows, envelope, *, duration_s=None):
    """Draw the waveform of a recording, and below it how probable each emotion is, window by window.

    A window's probabilities stand where the window has its middle; pauses are left empty, and windows that the
    model declines to judge are grey.

    Parameters
    ----------
    windows : DataFrame
        As `predict.windows` returns it.
    envelope : ndarray of float32, shape (n_steps, 2)
        As `audio.envelope` returns it, of the whole recording.
    duration_s : float, s, optional
        How long the recording is; by default as long as its envelope's steps of 0.05 s.

    Returns
    -------
    list of matplotlib.axes.Axes
        The waveform's, and that of the probabilities.
    """
    _, axes = plt.subplots(2, sharex=True, figsize=(10, 4), height_ratios=[1, 2], layout="constrained")
    duration_s = 0.05 * len(envelope) if duration_s is None else duration_s
    times = np.linspace(0, duration_s, len(envelope))
    axes[0].fill_between(times, *envelope.T, color="0.4", linewidth=0, rasterized=True)
    axes[0].set(ylabel="amplitude", xlim=(0, duration_s))
    colours = labels.colours(column[2:] for column in windows if column.startswith("p_"))
    middles = ((windows["start_s"] + windows["end_s"]) / 2).to_numpy()
    half = np.median(np.diff(middles)) / 2 if len(middles) > 1 else duration_s / 2
    edges = np.stack([np.maximum(middles - half, 0), np.minimum(middles + half, duration_s)], axis=1)
    is_doubtful = windows["warnings"].map(predict.is_unfamiliar).to_numpy(bool)
    below = np.zeros(len(windows))
    for emotion, colour in colours.items():
        p = windows[f"p_{emotion}"].to_numpy()
        for chosen, style in ((~is_doubtful, {"label": emotion}), (is_doubtful, {"alpha": 0.15})):
            x, low, high = _steps(edges[chosen], below[chosen], (below + p)[chosen])
            axes[1].fill_between(x, low, high, color=colour, linewidth=0, **style)
        below += p
    axes[1].set(ylabel="probability", ylim=(0, 1))
    axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, reverse=True)
    mark_seconds(axes[1])
    return [despine(ax) for ax in axes]


def _steps(edges, low, high):
    """Return a line over steps, with a gap (NaN) after each: steps that touch need none, and look the same."""
    x = np.column_stack([edges, edges[:, 1]]).ravel()
    gap = np.full(len(edges), np.nan)
    return x, np.column_stack([low, low, gap]).ravel(), np.column_stack([high, high, gap]).ravel()
