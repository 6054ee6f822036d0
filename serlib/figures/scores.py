"""Scores of results, side by side."""

import numpy as np
import seaborn as sns

from .. import labels, metrics
from .style import (
    CHANCE,
    LISTENERS,
    ON_LINES,
    PROTOCOL_COLOURS,
    SHARED,
    TRAIN,
    corpus_titles,
    despine,
    in_order,
    ink_cells,
    new_axes,
)


def draw_recalls(predictions, *, listeners=None, ax=None):
    """Draw the recall of each emotion, with their mean, the UAR, and chance.

    Parameters
    ----------
    predictions : DataFrame
        A predictions table.
    listeners : dict of str to float, optional
        What listeners recognised of each emotion: a mark on each bar.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    recall, summary = metrics.per_emotion(predictions)["recall"], metrics.summary(predictions)
    ax = new_axes(ax, (6.4, 3.2))
    colours = labels.colours(recall.index)
    bars = ax.bar(recall.index, recall.fillna(0), color=[colours[emotion] for emotion in recall.index])
    texts = ["absent" if np.isnan(r) else f"{r:.2f}" for r in recall]
    ax.bar_label(bars, texts, fontsize=9, padding=2, bbox=ON_LINES)
    ax.axhline(summary["uar"], color="0.1", linewidth=1.2, label=f"UAR {summary['uar']:.2f}")
    ax.axhline(summary["chance"], **CHANCE, label=f"chance {summary['chance']:.2f}")
    if listeners:
        drawn = [emotion for emotion in recall.index if emotion in listeners]
        ax.plot(drawn, [listeners[emotion] for emotion in drawn], **LISTENERS, label="listeners")
    ax.set(ylim=(0, 1.25), ylabel="recall", yticks=np.linspace(0, 1, 6))
    ax.legend(frameon=False, loc="upper right", ncols=3)
    return despine(ax)


def draw_scores(summaries, *, listeners=None, ax=None):
    """Draw the UAR of several results side by side: chance on each bar, intervals where there are any, listeners.

    Parameters
    ----------
    summaries : list of dict
        As `metrics.summary` returns them, of any corpora and protocols.
    listeners : dict of str to float, optional
        By corpus, the UAR of listeners: a mark amid its bars.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    names = list(dict.fromkeys(summary["corpus"] for summary in summaries))
    protocols = list(dict.fromkeys(summary["protocol"] for summary in summaries))
    ax = new_axes(ax, (2.0 + 1.3 * len(names), 3.4))
    width = 0.8 / len(protocols)
    drawn = set()
    for summary in summaries:
        protocol = summary["protocol"]
        x = names.index(summary["corpus"]) + (protocols.index(protocol) - (len(protocols) - 1) / 2) * width
        label, colour = None if protocol in drawn else protocol, PROTOCOL_COLOURS[protocol]
        ax.bar(x, summary["uar"], 0.92 * width, color=colour, label=label)
        drawn.add(protocol)
        top = summary["uar"]
        if summary["uar_ci95"]:
            ax.errorbar(x, top, yerr=_lengths(top, summary["uar_ci95"]), color="0.15", capsize=3, linewidth=1)
            top = summary["uar_ci95"][1]
        ax.text(x, top + 0.015, f"{summary['uar']:.2f}", ha="center", va="bottom", fontsize=9)
        ax.plot([x - width / 2, x + width / 2], [summary["chance"]] * 2, **CHANCE)
    ax.plot([], [], **CHANCE, label="chance")
    if marks := [(names.index(name), uar) for name, uar in (listeners or {}).items() if name in names]:
        ax.plot(*zip(*marks, strict=True), **LISTENERS, label="listeners")
    ax.set_xticks(range(len(names)), corpus_titles(names))
    ax.set(ylabel="UAR", ylim=(0, 1.1), xlim=(-0.6, len(names) - 0.4))
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return despine(ax)


def draw_score(summary, *, listeners=None, ax=None):
    """Draw one result's UAR on the way from nothing to perfect: with its interval, chance, and listeners.

    Parameters
    ----------
    summary : dict
        As `metrics.summary` returns it.
    listeners : float, optional
        The UAR of listeners.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (7.6, 1.35))
    uar, chance = summary["uar"], summary["chance"]
    ax.barh(0, uar, 0.6, color=PROTOCOL_COLOURS[summary["protocol"]])
    ax.text(uar, 0.36, f"UAR {uar:.2f}", ha="center", va="bottom", fontsize=9)
    if summary["uar_ci95"]:
        ax.errorbar(uar, 0, xerr=_lengths(uar, summary["uar_ci95"]), color="0.15", capsize=5, linewidth=1.5)
    ax.plot([chance, chance], [-0.38, 0.38], **CHANCE)
    ax.text(chance, -0.42, f"chance {chance:.2f}", ha="center", va="top", fontsize=9)
    if listeners is not None:
        ax.plot([listeners], [0], **LISTENERS)
        ax.text(listeners, -0.42, f"listeners {listeners:.2f}", ha="center", va="top", fontsize=9)
    ax.set(xlim=(0, 1), ylim=(-0.9, 0.8), yticks=[], xticks=np.linspace(0, 1, 6))
    ax.spines["left"].set_visible(False)
    return despine(ax)


def draw_ladder(scores, *, chance, measure="accuracy", ax=None):
    """Draw what one model scores under several protocols, from the most flattering to the speaker-independent one.

    Parameters
    ----------
    scores : DataFrame
        A row per way of testing, in the order drawn: its name as index, ``score`` and ``is_speaker_independent``.
    chance : float
    measure : str
        What the score is.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (7.4, 0.9 + 0.5 * len(scores)))
    colours = np.where(scores["is_speaker_independent"], TRAIN, SHARED)
    bars = ax.barh(scores.index, scores["score"], color=colours, height=0.7)
    ax.bar_label(bars, [f"{score:.2f}" for score in scores["score"]], padding=4, fontsize=9, bbox=ON_LINES)
    ax.axvline(chance, **CHANCE)
    ax.text(chance, -0.62, f"chance {chance:.2f}", ha="center", va="bottom", fontsize=8, color="0.25")
    ax.set(xlim=(0, 1.1), xlabel=measure)
    ax.invert_yaxis()
    return despine(ax)


def draw_recipes(scores, *, listeners=None, ax=None):
    """Draw the UAR of several recipes by one protocol: a bar each, with its interval, and what the recipe costs.

    Parameters
    ----------
    scores : DataFrame
        A row per recipe, in the order drawn, its name as index: ``uar``, ``uar_ci95``, ``chance`` and ``protocol`` of
        `metrics.summary`, and ``extract_s`` and ``train_s``, seconds (NaN where not measured).
    listeners : float, optional
        The UAR of listeners.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (8.2, 1.0 + 0.45 * len(scores)))
    ax.barh(scores.index, scores["uar"], 0.7, color=scores["protocol"].map(PROTOCOL_COLOURS))
    for row in scores.itertuples():
        end = row.uar
        if isinstance(row.uar_ci95, (list, tuple)):
            ends = _lengths(row.uar, row.uar_ci95)
            ax.errorbar(row.uar, row.Index, xerr=ends, color="0.15", capsize=3, linewidth=1)
            end = row.uar_ci95[1]
        cost = "" if np.isnan(row.train_s) else f"   {_seconds(row.extract_s)} + {_seconds(row.train_s)}"
        ax.annotate(f"{row.uar:.2f}{cost}", (end, row.Index), (5, 0), textcoords="offset points", va="center", size=9)
    for chance in scores["chance"].unique():
        ax.axvline(chance, **CHANCE, label=f"chance {chance:.2f}")
    if listeners is not None:
        ax.axvline(listeners, color="0.1", linewidth=1, linestyle=":", label=f"listeners {listeners:.2f}")
    ax.set(xlim=(0, 1.3), xticks=np.linspace(0, 1, 6), xlabel="UAR, and seconds to extract EMODB + to train a fold")
    ax.invert_yaxis()
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return despine(ax)


def _lengths(score, interval):
    """Return how far an interval reaches below and above a score, as ``errorbar`` takes it."""
    return [[max(0, score - interval[0])], [max(0, interval[1] - score)]]


def _seconds(s):
    return f"{s:.1f} s" if s < 10 else f"{s:,.0f} s"


def draw_knowledge(recognised, *, ax=None):
    """Draw how well several things are recognised from the same vectors, each beside what guessing would reach.

    Parameters
    ----------
    recognised : DataFrame
        A row per question, its name as index: ``uar`` and ``chance``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (1.6 + 1.5 * len(recognised), 3.2))
    at = np.arange(len(recognised))
    bars = ax.bar(at - 0.2, recognised["uar"], 0.38, color=TRAIN, label="recognised from the mean MFCCs")
    guessed = ax.bar(at + 0.2, recognised["chance"], 0.38, color="0.75", label="guessed")
    for drawn in (bars, guessed):
        ax.bar_label(drawn, fmt="%.2f", fontsize=9, padding=2)
    ax.set_xticks(at, recognised.index)
    ax.set(ylabel="UAR", ylim=(0, 1.3), yticks=np.linspace(0, 1, 6))
    ax.legend(frameon=False, loc="upper right")
    return despine(ax)


def draw_layers(curve, *, ax=None):
    """Draw how well each layer of an encoder tells emotions: a line per corpus, with a band for the 95 % interval.

    Parameters
    ----------
    curve : DataFrame
        A row per corpus and layer: ``corpus``, ``layer``, ``uar``, ``low``, ``high`` (NaN where no interval is given).
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (5.6, 3.6))
    for marker, corpus in zip("osD^vP*", in_order(curve["corpus"]), strict=False):
        rows = curve[curve["corpus"] == corpus].sort_values("layer")
        (line,) = ax.plot(rows["layer"], rows["uar"], marker=marker, lw=1.5, label=corpus_titles([corpus])[0])
        ax.fill_between(rows["layer"], rows["low"], rows["high"], color=line.get_color(), alpha=0.12, lw=0)
    ax.set(xlabel="layer (0: before the first block)", ylabel="UAR on unseen speakers", ylim=(0, 1))
    ax.set_xticks(sorted(set(curve["layer"])))
    ax.legend(frameon=False, fontsize=9, ncols=2, loc="lower center")
    return despine(ax)


def draw_calibration(curve, *, chance, ax=None):
    """Draw how much better strangers are understood after k of their sentences: a line per corpus.

    Parameters
    ----------
    curve : DataFrame
        A row per corpus and number of sentences: ``corpus``, ``k`` (the last one ``all``), ``uar``.
    chance : float
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (5.6, 3.6))
    places = {k: place for place, k in enumerate(dict.fromkeys(curve["k"].astype(str)))}
    for marker, corpus in zip("osD^vP*", in_order(curve["corpus"]), strict=False):
        rows = curve[curve["corpus"] == corpus]
        x = [places[str(k)] for k in rows["k"]]
        ax.plot(x, rows["uar"], marker=marker, lw=1.5, label=corpus_titles([corpus])[0])
    ax.axhline(chance, **CHANCE)
    ax.text(len(places) - 1, chance, "chance", ha="right", va="bottom", fontsize=8, color="0.25")
    ax.set(xlabel="sentences of the speaker that are known", ylabel="UAR on a corpus never heard", ylim=(0, 1))
    ax.set_xticks(range(len(places)), list(places))
    ax.legend(frameon=False, fontsize=9, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 0.18))
    return despine(ax)


def draw_across(scores, *, ax=None):
    """Draw the UAR from corpus to corpus: a row per corpus trained on, a column per corpus tested, chance in brackets.

    Parameters
    ----------
    scores : DataFrame
        A row per pair: ``trained_on``, ``corpus`` (tested), ``uar`` and ``chance`` (it depends on the emotions that
        the two share).
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Colours say how far above chance a score is, from chance (0) to perfection (1).
    """
    names = in_order([*scores["trained_on"], *scores["corpus"]])
    pairs = scores.set_index(["trained_on", "corpus"])
    above = ((pairs["uar"] - pairs["chance"]) / (1 - pairs["chance"])).unstack().reindex(index=names, columns=names)
    texts = (pairs["uar"].map("{:.2f}".format) + "\n(" + pairs["chance"].map("{:.2f}".format) + ")").unstack()
    texts = texts.reindex(index=names, columns=names).fillna("")
    ax = new_axes(ax, (2.0 + 0.95 * len(names), 1.2 + 0.8 * len(names)))
    sns.heatmap(
        above,
        annot=texts,
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=1,
        ax=ax,
        linewidths=0.5,
        cbar_kws={"label": "0: chance, 1: perfect"},
        annot_kws={"fontsize": 9},
    )
    ink_cells(ax)
    titles = corpus_titles(names)
    ax.set_xticks(np.arange(len(names)) + 0.5, titles, rotation=0)
    ax.set_yticks(np.arange(len(names)) + 0.5, titles, rotation=0)
    ax.set(xlabel="tested on", ylabel="trained on")
    return ax
