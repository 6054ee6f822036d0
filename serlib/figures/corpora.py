"""What corpora consist of."""

import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt

from .. import labels
from .style import CHOSEN, GENDER_COLOURS, MARKERS, corpus_titles, despine, in_order, ink, new_axes

MEASURES = {"duration_s": "duration (s)", "level_db": "level (dB re full scale)", "pitch_hz": "pitch (median f0, Hz)"}


def draw_emotions(counts, *, ax=None):
    """Draw how many utterances of each emotion the corpora hold, a stacked bar per corpus.

    Parameters
    ----------
    counts : DataFrame of int, shape (n_corpora, n_emotions)
        A row per corpus id, a column per emotion.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (7.2, 0.6 + 0.42 * len(counts)))
    colours = labels.colours(counts.columns)
    _stack_shares(counts[list(colours)], colours, ax)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    return ax


def marks(values, by):
    """Choose a colour and a marker for each emotion, gender or speaker: colour alone is not enough to tell them apart.

    Parameters
    ----------
    values : iterable of str
        As in an index table; empty where nothing is published, which gets no mark.
    by : str
        ``emotion``, ``gender`` or ``speaker``.

    Returns
    -------
    dict of str to (str, str)
        (colour, matplotlib's letter of a marker), in the order of a legend. The same emotion and the same gender always
        look the same; 72 speakers look different, then it starts again.

    Examples
    --------
    >>> marks(["sadness", "anger", ""], "emotion")
    {'anger': ('#D55E00', 'o'), 'sadness': ('#0072B2', '*')}
    """
    present = sorted(set(values) - {""})
    if by == "speaker":
        colours = [colour for emotion, colour in labels.COLOURS.items() if emotion != "neutral"]
        return {name: (colours[k % len(colours)], MARKERS[k % len(MARKERS)]) for k, name in enumerate(present)}
    names = labels.EMOTIONS if by == "emotion" else labels.GENDERS
    colours = labels.colours(present) if by == "emotion" else GENDER_COLOURS
    markers = dict(zip([*names, *(name for name in colours if name not in names)], itertools.cycle(MARKERS)))
    return {name: (colour, markers[name]) for name, colour in colours.items() if name in present}


def draw_comparison(table, *, by="emotion", marked=None):
    """Draw corpora side by side: what they consist of, how long, how loud and how high their utterances are.

    Parameters
    ----------
    table : DataFrame
        Index tables of any corpora, one below the other; the columns ``level_db`` and ``pitch_hz``, as
        `features.level_and_pitch` measures them, are drawn where there are any.
    by : str
        What the colours show: ``emotion``, ``gender`` or ``speaker`` (whose medians are drawn instead of boxes).
    marked : str, optional
        An utterance whose values are marked.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the corpora publish nothing of the kind.
    """
    looks = marks(table[by], by)
    if not looks:
        raise ValueError(f"no utterance has a published {by}; expected one at least. Choose another corpus")
    table = table.replace(-np.inf, np.nan)  # the level of silence
    everything, table = table, table[table[by] != ""]
    names, measures = list(dict.fromkeys(table["corpus"])), [name for name in MEASURES if name in table]
    n_rows = (2 + len(measures)) // 2
    height = 1.1 + 0.36 * len(names) + (0.048 * len(names) * len(looks) if by != "speaker" else 0)
    figure, axes = plt.subplots(n_rows, 2, figsize=(11.0, 0.4 + n_rows * height), layout="constrained", squeeze=False)
    shares, *others = axes.ravel()
    counts = pd.crosstab(table["corpus"], table[by]).reindex(index=names, columns=list(looks), fill_value=0)
    _stack_shares(counts, {name: colour for name, (colour, _) in looks.items()}, shares, numbered=by != "speaker")
    for ax, measure in zip(others, measures, strict=False):
        draw_measure = _draw_medians if by == "speaker" else _draw_boxes
        draw_measure(table, measure, by, names, looks, ax)
        which = ", median of each speaker" if by == "speaker" else ""
        ax.set(xlabel=MEASURES[measure] + which, ylabel="", yticks=range(len(names)), yticklabels=corpus_titles(names))
        ax.set_ylim(len(names) - 0.5, -0.5)
        for y in range(1, len(names)):
            ax.axhline(y - 0.5, color="0.88", linewidth=0.8, zorder=0)
        for row in everything[(everything["utterance"] == marked) & everything["corpus"].isin(names)].itertuples():
            y, value = names.index(row.corpus), getattr(row, measure)
            ax.vlines(value, y - 0.5, y + 0.5, color="black", linewidth=1.4, zorder=8)
            ax.plot(value, y, **CHOSEN)
        despine(ax)
    if by != "speaker":
        handles = [mpl.patches.Patch(color=colour, label=name) for name, (colour, _) in looks.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def _draw_boxes(table, measure, by, names, looks, ax):
    sns.boxplot(
        data=table,
        x=measure,
        y="corpus",
        hue=by,
        order=names,
        hue_order=list(looks),
        palette={name: colour for name, (colour, _) in looks.items()},
        ax=ax,
        fliersize=1.5,
        linewidth=0.8,
        saturation=1,
        legend=False,
    )


def _draw_medians(table, measure, by, names, looks, ax):
    """Draw the median of each speaker, one above the other in the corpus's row."""
    medians = table.groupby(["corpus", by])[measure].median()
    for y, name in enumerate(names):
        own = medians[name]
        heights = y + np.linspace(-0.32, 0.32, len(own)) if len(own) > 1 else [y]
        for (speaker, median), height in zip(own.items(), heights, strict=True):
            colour, marker = looks[speaker]
            ax.plot(median, height, marker, color=colour, markersize=7, markeredgecolor="white", markeredgewidth=0.4)


def _stack_shares(counts, colours, ax, *, numbered=True):
    """Draw a stacked bar per corpus: each column's share of the row, its count as a number."""
    share = counts.div(counts.sum(axis=1), axis=0)
    left = np.zeros(len(counts))
    for name in counts.columns:
        look = {"color": colours[name], "edgecolor": "white", "linewidth": 0 if numbered else 0.6}
        bars = ax.barh(corpus_titles(counts.index), share[name], left=left, label=name, **look)
        texts = [str(n) if numbered and s > 0.045 else "" for n, s in zip(counts[name], share[name], strict=True)]
        ax.bar_label(bars, texts, label_type="center", color=ink(colours[name]), fontsize=8)
        left += share[name].to_numpy()
    numbers = "numbers: utterances" if numbered else "a part per speaker"
    ax.set(xlim=(0, 1), xlabel=f"share of the corpus ({numbers})")
    ax.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    ax.invert_yaxis()
    despine(ax)


def draw_speakers(speakers, *, ax=None):
    """Draw how many women and men speak in each corpus.

    Parameters
    ----------
    speakers : DataFrame
        A row per speaker: ``corpus``, ``gender``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    names = list(dict.fromkeys(speakers["corpus"]))
    ax = new_axes(ax, (4.2, 0.6 + 0.42 * len(names)))
    counts = pd.crosstab(speakers["corpus"], speakers["gender"]).reindex(
        index=names, columns=list(labels.GENDERS), fill_value=0
    )
    left = np.zeros(len(names))
    for gender in labels.GENDERS:
        bars = ax.barh(corpus_titles(names), counts[gender], left=left, color=GENDER_COLOURS[gender], label=gender)
        room = counts.sum(axis=1).max() * 0.06
        texts = [str(n) if n > room else "" for n in counts[gender]]
        ax.bar_label(bars, texts, label_type="center", color=ink(GENDER_COLOURS[gender]), fontsize=8)
        left += counts[gender].to_numpy()
    ax.set(xlabel="speakers")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=5))
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return despine(ax)


def draw_durations(table, *, ax=None):
    """Draw how long the utterances of each corpus last.

    Parameters
    ----------
    table : DataFrame
        Index tables of any corpora, one below the other.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    names = list(dict.fromkeys(table["corpus"]))
    ax = new_axes(ax, (6.4, 0.8 + 0.45 * len(names)))
    sns.boxplot(
        data=table, x="duration_s", y="corpus", order=names, ax=ax, color="#B8C4D6", fliersize=2, linewidth=1, width=0.6
    )
    ax.set_yticks(range(len(names)), corpus_titles(names))
    ax.set(xlabel="duration (s)", ylabel="", xlim=(0, None))
    return despine(ax)


def draw_levels(recordings, *, axes=None):
    """Draw how loud recordings are, and how much of them is silence before and after the speech, by corpus.

    Parameters
    ----------
    recordings : DataFrame
        A row per recording: ``corpus``, ``level_db`` (dB relative to full scale) and ``silent`` (share of its length).
    axes : sequence of two matplotlib.axes.Axes, optional

    Returns
    -------
    sequence of two matplotlib.axes.Axes
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(10.5, 3.4), layout="constrained")
    names = in_order(recordings["corpus"])
    for ax, column, label in zip(
        axes,
        ("level_db", "silent"),
        ("level (dB relative to full scale)", "share of silence at the edges"),
        strict=True,
    ):
        values = [recordings.loc[recordings["corpus"] == name, column] for name in names]
        ax.boxplot(
            values,
            orientation="horizontal",
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": "#C9D8EA"},
            medianprops={"color": "0.1", "linewidth": 1.5},
            flierprops={"marker": ".", "markersize": 4, "markeredgecolor": "0.5"},
        )
        ax.set_yticks(range(1, len(names) + 1), corpus_titles(names))
        ax.set_xlabel(label)
        ax.invert_yaxis()
        despine(ax)
    return axes


def same_sentence(table, emotions):
    """Choose one utterance of each emotion, all by one speaker, of one sentence if the corpus has such.

    Parameters
    ----------
    table : DataFrame
        An index table.
    emotions : sequence of str

    Returns
    -------
    DataFrame
        A row per emotion, in the order asked for; emotions that the corpus lacks are left out.
    """
    used = table[(table["part"] != "") & table["emotion"].isin(emotions)]
    for unit in (["speaker", "sentence"], ["speaker"], ["corpus"]):
        groups = [rows for _, rows in used.groupby(unit)]
        best = max(groups, key=lambda rows: rows["emotion"].nunique())
        if best["emotion"].nunique() == used["emotion"].nunique():
            break
    return best.drop_duplicates("emotion").set_index("emotion", drop=False).reindex(emotions).dropna(subset="utterance")
