"""What all figures share: colours, titles, axes, and how a figure is saved."""

import io
import platform
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from .. import __version__, corpora, split, storage

TRAIN, TEST, SHARED = "#4C78A8", "#F58518", "#B5536C"
GENDER_COLOURS = {"female": "#7B5EA7", "male": "#3E8E7E"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")  # as many as emotions; matplotlib's letters
ON_LINES = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # a number that a line would cross
CHANCE = {"color": "0.25", "linestyle": "--", "linewidth": 1}
LISTENERS = {"color": "0.1", "linestyle": "none", "marker": "D", "markersize": 6, "markerfacecolor": "white"}
CHOSEN = {"color": "black", "marker": "D", "markersize": 9, "markerfacecolor": "#FFF200", "zorder": 9}
PROTOCOL_COLOURS = {
    "random": SHARED,
    "sentences": "#CF9BA8",
    "given-parts": "#8F6BA0",
    "speakers": TRAIN,
    "loso": "#54708C",
    "cross-corpus": "#8C8C8C",
}
PROTOCOL_COLOURS |= {
    name + normalised: mpl.colors.to_hex((1 + np.array(mpl.colors.to_rgb(colour))) / 2)  # half as strong
    for name, colour in PROTOCOL_COLOURS.items()
    for normalised in filter(None, split.NORMALISED.values())
}


def save(figure, path, *, about):
    """Save a figure as PNG, and beside it a JSON file that says what it shows; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Stamped if it shows synthetic speech.
    path : path-like
        Ends in ``.png``.
    about : dict
        ``corpus``, ``protocol``, ``recipe``, ``seed``, ``synthetic``: None where it does not apply.

    Returns
    -------
    Path

    Raises
    ------
    ValueError, OSError
        If somebody else's JSON file is beside the PNG, a folder is there, or nothing can be written.
    """
    path = Path(path)
    if about.get("synthetic"):
        stamp(figure)
    versions = {"serlib": __version__, "python": platform.python_version(), "matplotlib": mpl.__version__}
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    storage.write_described({path: picture.getvalue()}, path.with_suffix(".json"), {**about, "versions": versions})
    return path


def stamp(figure):
    """Write across a corner of the figure that it shows synthetic speech."""
    figure.text(0.995, 0.995, "synthetic speech", ha="right", va="top", fontsize=8, color="0.35", style="italic")


def new_axes(ax, figsize=(6.4, 4.0)):
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def mark_seconds(ax):
    """Mark whole and round seconds, few enough to be read; librosa's own ticks collide in a narrow panel."""
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
    ax.set_xlabel("time (s)")


def despine(ax):
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def ink(colour):
    """Return black or white, whichever is easier to read on a colour (relative luminance as WCAG 2.1 defines it)."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def ink_cells(ax):
    """Write a heatmap's numbers black or white, whichever is easier to read; seaborn's white on mid-blue is not."""
    (mesh,) = ax.collections
    drawn = ~np.ma.getmaskarray(mesh.get_array()).ravel()
    for text, colour in zip(ax.texts, mesh.get_facecolors()[drawn], strict=True):
        text.set_color(ink(colour))


def title_of(corpus):
    """Return the name of a corpus, or of several joined by ``+``, as people write it.

    Examples
    --------
    >>> title_of("crema-d+emodb")
    'CREMA-D + EMODB'
    """
    return " + ".join(corpora.short_title(name) for name in corpus.split("+"))


def corpus_titles(names):
    """Return the names of several corpora as people write them."""
    return [title_of(name) for name in names]


def in_order(names):
    """Return corpora's ids without repetition: the shipped ones in their order, then the others, sorted."""
    return sorted(set(names), key=lambda name: (corpora.NAMES.index(name) if name in corpora.NAMES else 99, name))


def speaker_names(speakers):
    """Return speakers' ids without their corpus, unless they are of several corpora.

    Examples
    --------
    >>> speaker_names(["emodb/03", "emodb/08"]), speaker_names(["emodb/03", "savee/DC"])
    (['03', '08'], ['emodb/03', 'savee/DC'])
    """
    is_one = len({speaker.split("/")[0] for speaker in speakers}) == 1
    return [speaker.split("/", 1)[-1] if is_one else speaker for speaker in speakers]
