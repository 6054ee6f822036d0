"""Draw functions: tables in, axes out; and `save`.

Every function takes the axes it draws on, makes some if there are none, and returns them. None of them computes a
metric, reads a file or changes matplotlib's settings.
"""

import json
import platform
from pathlib import Path

import librosa.display
import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

from . import __version__, audio, corpora, evaluate, features, index, labels, model, settings, split
from .settings import SEED, replacing_together

TRAIN, TEST, SHARED = "#4C78A8", "#F58518", "#B5536C"
GENDER_COLOURS = {"female": "#7B5EA7", "male": "#3E8E7E"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")  # as many as emotions; matplotlib's letters
MEASURES = {"duration_s": "duration (s)", "level_db": "level (dB re full scale)", "pitch_hz": "pitch (median f0, Hz)"}
ON_LINES = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # a number that a line would cross
CHANCE = {"color": "0.25", "linestyle": "--", "linewidth": 1}
HEARD = {"color": "0.1", "linestyle": "none", "marker": "D", "markersize": 6, "markerfacecolor": "white"}
CHOSEN = {"color": "black", "marker": "D", "markersize": 9, "markerfacecolor": "#FFF200", "zorder": 9}
PROTOCOL_COLOURS = {
    **{"random": SHARED, "sentences": "#CF9BA8", "speakers": TRAIN, "loso": "#54708C", "cross-corpus": "#8C8C8C"},
    **{"speakers-normalised": "#9DB7D5", "loso-normalised": "#A6B5C4"},
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
    with replacing_together(path, path.with_suffix(".json")) as (picture, sidecar):
        figure.savefig(picture, dpi=150, bbox_inches="tight", metadata={"Software": None})
        said = {"corpus": None, **about, "versions": versions}  # by the first it is known to be ours
        sidecar.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return path


def stamp(figure):
    """Write across a corner of the figure that it shows synthetic speech."""
    figure.text(0.995, 0.995, "synthetic speech", ha="right", va="top", fontsize=8, color="0.35", style="italic")


def _axes(ax, figsize=(6.4, 4.0)):
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def _seconds(ax):
    """Mark whole and round seconds, few enough to be read; librosa's own ticks collide in a narrow panel."""
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
    ax.set_xlabel("time (s)")


def _despine(ax):
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _ink(colour):
    """Return black or white, whichever is easier to read on a colour (relative luminance as WCAG 2.1 defines it)."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def _ink_fields(ax):
    """Write a heatmap's numbers black or white, whichever is easier to read; seaborn's white on mid-blue is not."""
    (mesh,) = ax.collections
    drawn = ~np.ma.getmaskarray(mesh.get_array()).ravel()
    for text, colour in zip(ax.texts, mesh.get_facecolors()[drawn], strict=True):
        text.set_color(_ink(colour))


def _corpus_ticks(names):
    """Return corpora's ids as people write them."""
    return [corpora.short_title(name) for name in names]


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
    ax = _axes(ax, (7.2, 0.6 + 0.42 * len(counts)))
    _stack_shares(counts[list(labels.ordered(counts.columns))], labels.COLOURS, ax)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    return ax


def marks(values, by):
    """Choose a colour and a marker for each emotion, gender or speaker, so that neither has to be told by colour alone.

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
    colours = {"emotion": labels.COLOURS, "gender": GENDER_COLOURS}[by]
    known = {name: (colour, marker) for (name, colour), marker in zip(colours.items(), MARKERS, strict=False)}
    return {name: known[name] for name in known if name in present}


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
        ax.set(xlabel=MEASURES[measure] + which, ylabel="", yticks=range(len(names)), yticklabels=_corpus_ticks(names))
        ax.set_ylim(len(names) - 0.5, -0.5)
        for y in range(1, len(names)):
            ax.axhline(y - 0.5, color="0.88", linewidth=0.8, zorder=0)
        for row in everything[(everything["utterance"] == marked) & everything["corpus"].isin(names)].itertuples():
            y, value = names.index(row.corpus), getattr(row, measure)
            ax.vlines(value, y - 0.5, y + 0.5, color="black", linewidth=1.4, zorder=8)
            ax.plot(value, y, **CHOSEN)
        _despine(ax)
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
        bars = ax.barh(_corpus_ticks(counts.index), share[name], left=left, label=name, **look)
        texts = [str(n) if numbered and s > 0.045 else "" for n, s in zip(counts[name], share[name], strict=True)]
        ax.bar_label(bars, texts, label_type="center", color=_ink(colours[name]), fontsize=8)
        left += share[name].to_numpy()
    numbers = "numbers: utterances" if numbered else "a part per speaker"
    ax.set(xlim=(0, 1), xlabel=f"share of the corpus ({numbers})")
    ax.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    ax.invert_yaxis()
    _despine(ax)


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
    ax = _axes(ax, (4.2, 0.6 + 0.42 * len(names)))
    counts = pd.crosstab(speakers["corpus"], speakers["gender"]).reindex(
        index=names, columns=list(labels.GENDERS), fill_value=0
    )
    left = np.zeros(len(names))
    for gender in labels.GENDERS:
        bars = ax.barh(_corpus_ticks(names), counts[gender], left=left, color=GENDER_COLOURS[gender], label=gender)
        room = counts.sum(axis=1).max() * 0.06
        texts = [str(n) if n > room else "" for n in counts[gender]]
        ax.bar_label(bars, texts, label_type="center", color=_ink(GENDER_COLOURS[gender]), fontsize=8)
        left += counts[gender].to_numpy()
    ax.set(xlabel="speakers")
    ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=5))
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _despine(ax)


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
    ax = _axes(ax, (6.4, 0.8 + 0.45 * len(names)))
    sns.boxplot(
        data=table, x="duration_s", y="corpus", order=names, ax=ax, color="#B8C4D6", fliersize=2, linewidth=1, width=0.6
    )
    ax.set_yticks(range(len(names)), _corpus_ticks(names))
    ax.set(xlabel="duration (s)", ylabel="", xlim=(0, None))
    return _despine(ax)


def draw_waveform(signal, sr, *, ax=None, colour="0.3"):
    """Draw a signal over time.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz
    ax : matplotlib.axes.Axes, optional
    colour : str

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (6.4, 1.8))
    librosa.display.waveshow(signal, sr=sr, ax=ax, color=colour)
    ax.set(ylabel="amplitude", xlim=(0, len(signal) / sr))
    _seconds(ax)
    return _despine(ax)


def draw_mfcc(mfcc, *, features, ax=None, limits=None):
    """Draw MFCCs, coefficients upwards, time to the right.

    Parameters
    ----------
    mfcc : ndarray, shape (n_mfcc, n_frames)
    features : MfccFeatures
        The settings that made them.
    ax : matplotlib.axes.Axes, optional
    limits : tuple of float, optional
        The values at the ends of the colour scale; by default +- the 98th percentile of the magnitudes but for the
        first coefficient, which is the level and would outshine the others.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax)
    limit = float(np.percentile(np.abs(mfcc[1:]), 98)) if limits is None else None
    low, high = limits or (-limit, limit)
    image = librosa.display.specshow(
        mfcc,
        sr=features.sr,
        hop_length=features.hop_length,
        n_fft=features.n_fft,
        x_axis="time",
        ax=ax,
        cmap="RdBu_r",
        vmin=low,
        vmax=high,
    )
    ax.set_ylabel("coefficient")
    _seconds(ax)
    ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=6))
    ax.figure.colorbar(image, ax=ax, pad=0.01, extend="both")
    return ax


def draw_steps(signal, spectrogram_db, mel_db, mfcc, *, features):
    """Draw how a signal becomes MFCCs: waveform, spectrogram, mel spectrogram, MFCCs and, beside them, their mean.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    spectrogram_db : ndarray, shape (1 + n_fft // 2, n_frames), dB
    mel_db : ndarray, shape (n_mels, n_frames), dB
    mfcc : ndarray, shape (n_mfcc, n_frames)
    features : MfccFeatures
        The settings that made them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    steps = Steps()
    steps.show(signal, spectrogram_db, mel_db, mfcc, features=features)
    return steps.figure


class Steps:
    """The figure of `draw_steps`, kept alive: what it shows is exchanged, which takes far less than a new figure.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    """

    def __init__(self):
        self.figure = plt.figure(figsize=(9.6, 8.2))
        rows, columns = (1, 1.6, 1.6, 1.9), (1, 0.26)
        edges = {"left": 0.07, "right": 0.985, "top": 0.965, "bottom": 0.06, "hspace": 0.38, "wspace": 0.04}
        grid = self.figure.add_gridspec(4, 2, height_ratios=rows, width_ratios=columns, **edges)
        self._axes = [self.figure.add_subplot(grid[0, 0])]
        self._axes += [self.figure.add_subplot(grid[row, 0], sharex=self._axes[0]) for row in range(1, 4)]
        self._mean_ax = self.figure.add_subplot(grid[3, 1], sharey=self._axes[3])
        (self._wave,) = self._axes[0].plot([], [], color="0.3", linewidth=0.5)
        look = {"aspect": "auto", "origin": "lower", "interpolation": "nearest"}
        blank = np.zeros((1, 1))
        self._images = [
            ax.imshow(blank, cmap=cmap, **look)
            for ax, cmap in zip(self._axes[1:], ("magma", "magma", "RdBu_r"), strict=True)
        ]
        (self._mean,) = self._mean_ax.plot([], [], color="0.2", linewidth=1, marker=".", markersize=4)
        self._mean_ax.axvline(0, color="0.8", linewidth=1, zorder=0)
        for ax, label in zip(self._axes, ("amplitude", "kHz", "mel band", "coefficient"), strict=True):
            ax.set_ylabel(label)
            ax.tick_params(labelbottom=ax is self._axes[3])
        for ax in self._axes[1:]:
            ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=6))
        _seconds(self._axes[3])
        self._mean_ax.tick_params(labelleft=False)
        for ax in (self._axes[0], self._mean_ax):
            _despine(ax)
        for image, row in zip(self._images, (1, 2), strict=False):
            self._bar(image, grid[row, 1], "dB")
        self._titles = [ax.set_title("", fontsize=9, loc="left") for ax in self._axes]
        self._mean_ax.set_title("mean over time", fontsize=9, loc="left")

    def _bar(self, image, place, label):
        beside = self.figure.add_subplot(place)
        beside.axis("off")
        self.figure.colorbar(image, cax=beside.inset_axes([0.02, 0, 0.08, 1]), label=label)

    def show(self, signal, spectrogram_db, mel_db, mfcc, *, features):
        """Exchange what the figure shows; the arguments are those of `draw_steps`."""
        duration_s, n_frames = len(signal) / features.sr, mfcc.shape[1]
        self._wave.set_data(*_envelope(signal, features.sr))
        loudest = float(np.abs(signal).max()) or 1.0
        self._axes[0].set(xlim=(0, duration_s), ylim=(-loudest, loudest))
        half_s = features.hop_length / features.sr / 2
        tops = (features.sr / 2000, len(mel_db), len(mfcc) - 0.5)
        bottoms = (0, 0, -0.5)
        limit = float(np.percentile(np.abs(mfcc[1:]), 98)) or 1.0
        ranges = [(matrix.min(), matrix.max()) for matrix in (spectrogram_db, mel_db)] + [(-limit, limit)]
        for image, matrix, low, high, clim in zip(
            self._images, (spectrogram_db, mel_db, mfcc), bottoms, tops, ranges, strict=True
        ):
            image.set_data(matrix)
            image.set_extent((-half_s, (2 * n_frames - 1) * half_s, low, high))
            image.set_clim(*clim)
            image.axes.set_xlim(0, duration_s)
        mean = mfcc.mean(axis=1)
        self._mean.set_data(mean, np.arange(len(mean)))
        self._mean_ax.set_xlim(-1.15 * np.abs(mean[1:]).max(), 1.15 * np.abs(mean[1:]).max())
        window, hop = (1000 * size / features.sr for size in (features.win_length, features.hop_length))
        says = (
            f"{len(signal):,} samples",
            f"{n_frames} spectra of {len(spectrogram_db)} frequencies, window {window:.0f} ms, hop {hop:.0f} ms",
            f"{len(mel_db)} mel bands of the same frames",
            f"{len(mfcc)} MFCCs of the same frames (the first is the level, and off the scale)",
        )
        for title, text in zip(self._titles, says, strict=True):
            title.set_text(text)


def _envelope(signal, sr, n_points=1500):
    """Return (times, values) of a line that looks like the signal: lowest and highest sample of each stretch."""
    step = max(1, len(signal) // n_points)
    stretches = signal[: len(signal) // step * step].reshape(-1, step)
    values = np.stack([stretches.min(axis=1), stretches.max(axis=1)], axis=1).ravel()
    return np.repeat(np.arange(len(stretches)) * step / sr, 2), values


def draw_mel_bands(bands, *, features, ax=None):
    """Draw mel bands as what they are: triangles over frequency, each as high as its weight.

    Parameters
    ----------
    bands : ndarray, shape (n_mels, 1 + n_fft // 2)
    features : MfccFeatures
        The settings that made them.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (7.2, 2.6))
    frequencies_khz = np.fft.rfftfreq(features.n_fft, 1 / features.sr) / 1000
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(bands)))
    for band, colour in zip(bands, colours, strict=True):
        ax.plot(frequencies_khz, band, color=colour, linewidth=1)
    ax.set(xlabel="frequency (kHz)", ylabel="weight", xlim=(0, frequencies_khz[-1]), ylim=(0, None))
    return _despine(ax)


def draw_mean_mfcc(vectors, *, ax=None):
    """Draw mean MFCCs, a line per emotion.

    Parameters
    ----------
    vectors : dict of str to ndarray, shape (n_mfcc,)
        By emotion. The first coefficient, the level, is left out: it would hide the others.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (6.4, 2.8))
    for emotion, vector in vectors.items():
        ax.plot(np.arange(1, len(vector)), vector[1:], color=labels.COLOURS[emotion], label=emotion, marker=".")
    ax.axhline(0, color="0.8", linewidth=1, zorder=0)
    ax.set(xlabel="coefficient", ylabel="mean over time")
    ax.legend(frameon=False)
    return _despine(ax)


def draw_emotions_as_mfcc(utterances, *, features):
    """Draw utterances side by side: waveform above, MFCC below, on common scales of time and value.

    Parameters
    ----------
    utterances : list of (emotion, signal, mfcc)
        ``signal`` of shape (n_samples,), ``mfcc`` of shape (n_mfcc, n_frames).
    features : MfccFeatures

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = plt.subplots(
        2,
        len(utterances),
        figsize=(3.6 * len(utterances), 4.6),
        layout="constrained",
        sharex=True,
        sharey="row",
        squeeze=False,
        height_ratios=(1, 2),
    )
    longest_s = max(len(signal) for _, signal, _ in utterances) / features.sr
    loudest = max(np.abs(signal).max() for _, signal, _ in utterances)
    limit = float(np.percentile(np.abs(np.concatenate([mfcc[1:].ravel() for _, _, mfcc in utterances])), 98))
    for (emotion, signal, mfcc), (above, below) in zip(utterances, axes.T, strict=True):
        draw_waveform(signal, features.sr, ax=above, colour=labels.COLOURS[emotion])
        above.set(title=emotion, xlabel="", ylim=(-loudest, loudest))
        image = librosa.display.specshow(
            mfcc,
            sr=features.sr,
            hop_length=features.hop_length,
            n_fft=features.n_fft,
            x_axis="time",
            ax=below,
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
        )
        below.set_xlim(0, longest_s)
        _seconds(below)
    for ax in axes[:, 1:].ravel():
        ax.set_ylabel("")
    axes[1, 0].set_ylabel("MFCC coefficient")
    axes[1, 0].yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=6))
    figure.colorbar(image, ax=axes[1], pad=0.01, extend="both")
    return figure


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
    ax = _axes(ax, (6.4, 0.9 + 0.22 * table["speaker"].nunique()))
    counts = pd.crosstab(table["speaker"], table["fold"] == fold).reindex(columns=[False, True], fill_value=0)
    names = [speaker.split("/")[1] for speaker in counts.index]
    ax.barh(names, counts[False], color=TRAIN, label="train")
    ax.barh(names, counts[True], left=counts[False], color=TEST, label="test")
    n_shared = int(((counts[False] > 0) & (counts[True] > 0)).sum())
    title = f"{split.protocol}: {n_shared} of {len(counts)} speakers on both sides"
    ax.set(xlabel="utterances", ylabel="speaker", title=title)
    ax.invert_yaxis()
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if len(names) > 30:
        ax.set_yticks([])
    return _despine(ax)


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
    ax = _axes(ax, (6.4, 3.2))
    counts = parts.drop(index="all")
    colours = [labels.COLOURS[emotion] for emotion in counts.index]
    ax.bar(counts.index, counts["train"], color=colours, label="train")
    ax.bar(counts.index, counts["test"], bottom=counts["train"], color=colours, alpha=0.45, hatch="//", label="test")
    for x, (train, test) in enumerate(zip(counts["train"], counts["test"], strict=True)):
        ax.text(x, train / 2, str(train), ha="center", va="center", color=_ink(colours[x]), fontsize=9)
        ax.text(x, train + test, str(test), ha="center", va="bottom", fontsize=9)
    grey = [mpl.patches.Patch(facecolor="0.4"), mpl.patches.Patch(facecolor="0.75", hatch="//", edgecolor="white")]
    n_train, n_test = parts.loc["all", "train"], parts.loc["all", "test"]
    ax.legend(grey, [f"train, {n_train}", f"test, {n_test}"], frameon=False, ncols=2, loc="upper right")
    ax.set(ylabel="utterances", ylim=(0, counts["total"].max() * 1.18))
    return _despine(ax)


def draw_fold(split, *, fold=0):
    """Draw one fold from both sides: its speakers, and its emotions.

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


def draw_architecture(network, *, ax=None):
    """Draw a network from itself: a box per layer, its output shape and number of parameters.

    Parameters
    ----------
    network : keras.Model
        Sequential.
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
    layers = [("MFCC mean", "Input", network.input_shape[1:], 0)]
    for layer in network.layers:
        layers.append((_described(layer), type(layer).__name__, layer.output.shape[1:], layer.count_params()))
    ax = _axes(ax, (len(layers) + 1, 2.6))
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
        ink = _ink(box.get_facecolor())
        ax.text(x, 0, " × ".join(map(str, shape)), ha="center", va="center", color=ink, fontsize=9)
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
    """Say in two lines what a layer does."""
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
    """
    axes = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")[1] if axes is None else axes
    folds = [rows for _, rows in history.groupby("fold")]
    alpha = 1.0 if len(folds) == 1 else 0.45
    for ax, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for number, rows in enumerate(folds):
            for column, colour, name in ((measure, TRAIN, "train"), (f"val_{measure}", TEST, validation)):
                ax.plot(
                    rows["epoch"], rows[column], color=colour, alpha=alpha, label=name if number == 0 else None, lw=1.3
                )
        ax.set(xlabel="epoch", ylabel=measure, xlim=(1, history["epoch"].max()))
        _despine(ax)
    high = np.nanpercentile(history[["loss", "val_loss"]].to_numpy(), 98)
    axes[0].set_ylim(0, 1.05 * high)
    axes[1].set_ylim(0, 1.02)
    axes[1].legend(frameon=False, loc="lower right")
    return axes


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
    summary = evaluate.summary(predictions)
    score = f"UAR {summary['uar']:.2f} (chance {summary['chance']:.2f})"
    made = "synthetic " if predictions.attrs.get("synthetic") else ""
    title = f"{made}{corpora.short_title(summary['corpus'])}, {summary['protocol']}: {score}"
    return _matrix(evaluate.confusion(predictions), title, "predicted", ax)


def draw_listeners(votes, *, title="listeners", ax=None):
    """Draw what listeners heard, as `draw_confusion` draws what a model says.

    Parameters
    ----------
    votes : dict of str to dict of str to int
        Intended emotion -> heard emotion -> responses, as a passport's ``heard()["votes"]``.
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
    ax = _axes(ax, (1.9 + 0.55 * len(counts), 1.5 + 0.5 * len(counts)))
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
    _ink_fields(ax)
    ax.set_title(title, fontsize=10)
    ax.set(xlabel=across, ylabel="true")
    ax.tick_params(axis="x", rotation=45)
    ax.tick_params(axis="y", rotation=0)
    for tick in ax.get_xticklabels():
        tick.set(ha="right", rotation_mode="anchor")
    return ax


def draw_recalls(predictions, *, heard=None, ax=None):
    """Draw the recall of each emotion, with their mean, the UAR, and chance.

    Parameters
    ----------
    predictions : DataFrame
        A predictions table.
    heard : dict of str to float, optional
        What listeners recognised of each emotion: a mark on each bar.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    recall, summary = evaluate.per_emotion(predictions)["recall"], evaluate.summary(predictions)
    ax = _axes(ax, (6.4, 3.2))
    bars = ax.bar(recall.index, recall.fillna(0), color=[labels.COLOURS[emotion] for emotion in recall.index])
    texts = ["absent" if np.isnan(r) else f"{r:.2f}" for r in recall]
    ax.bar_label(bars, texts, fontsize=9, padding=2, bbox=ON_LINES)
    ax.axhline(summary["uar"], color="0.1", linewidth=1.2, label=f"UAR {summary['uar']:.2f}")
    ax.axhline(summary["chance"], **CHANCE, label=f"chance {summary['chance']:.2f}")
    if heard:
        drawn = [emotion for emotion in recall.index if emotion in heard]
        ax.plot(drawn, [heard[emotion] for emotion in drawn], **HEARD, label="listeners")
    ax.set(ylim=(0, 1.25), ylabel="recall", yticks=np.linspace(0, 1, 6))
    ax.legend(frameon=False, loc="upper right", ncols=3)
    return _despine(ax)


def draw_scores(summaries, *, heard=None, ax=None):
    """Draw the UAR of several results side by side: chance on each bar, intervals where there are any, listeners.

    Parameters
    ----------
    summaries : list of dict
        As `evaluate.summary` returns them, of any corpora and protocols.
    heard : dict of str to float, optional
        By corpus, the UAR of listeners: a mark amid its bars.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    names = list(dict.fromkeys(summary["corpus"] for summary in summaries))
    protocols = list(dict.fromkeys(summary["protocol"] for summary in summaries))
    ax = _axes(ax, (2.0 + 1.3 * len(names), 3.4))
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
            low, high = summary["uar_ci95"]
            ax.errorbar(x, top, yerr=[[max(0, top - low)], [max(0, high - top)]], color="0.15", capsize=3, linewidth=1)
            top = high
        ax.text(x, top + 0.015, f"{summary['uar']:.2f}", ha="center", va="bottom", fontsize=9)
        ax.plot([x - width / 2, x + width / 2], [summary["chance"]] * 2, **CHANCE)
    ax.plot([], [], **CHANCE, label="chance")
    if marks := [(names.index(name), uar) for name, uar in (heard or {}).items() if name in names]:
        ax.plot(*zip(*marks, strict=True), **HEARD, label="listeners")
    ax.set_xticks(range(len(names)), _corpus_ticks(names))
    ax.set(ylabel="UAR", ylim=(0, 1.1), xlim=(-0.6, len(names) - 0.4))
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _despine(ax)


def draw_score(summary, *, heard=None, ax=None):
    """Draw one result's UAR on the way from nothing to perfect: with its interval, chance, and listeners.

    Parameters
    ----------
    summary : dict
        As `evaluate.summary` returns it.
    heard : float, optional
        The UAR of listeners.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (7.6, 1.35))
    uar, chance = summary["uar"], summary["chance"]
    ax.barh(0, uar, 0.6, color=PROTOCOL_COLOURS[summary["protocol"]])
    ax.text(uar, 0.36, f"UAR {uar:.2f}", ha="center", va="bottom", fontsize=9)
    if summary["uar_ci95"]:
        low, high = summary["uar_ci95"]
        ends = [[max(0, uar - low)], [max(0, high - uar)]]
        ax.errorbar(uar, 0, xerr=ends, color="0.15", capsize=5, linewidth=1.5)
    ax.plot([chance, chance], [-0.38, 0.38], **CHANCE)
    ax.text(chance, -0.42, f"chance {chance:.2f}", ha="center", va="top", fontsize=9)
    if heard is not None:
        ax.plot([heard], [0], **HEARD)
        ax.text(heard, -0.42, f"listeners {heard:.2f}", ha="center", va="top", fontsize=9)
    ax.set(xlim=(0, 1), ylim=(-0.9, 0.8), yticks=[], xticks=np.linspace(0, 1, 6))
    ax.spines["left"].set_visible(False)
    return _despine(ax)


def draw_ladder(scores, *, chance, measure="accuracy", ax=None):
    """Draw what one model scores under ways of testing, from the most flattering to the honest one.

    Parameters
    ----------
    scores : DataFrame
        A row per way of testing, in the order drawn: its name as index, ``score`` and ``is_honest``.
    chance : float
    measure : str
        What the score is.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (7.4, 0.9 + 0.5 * len(scores)))
    colours = [TRAIN if is_honest else SHARED for is_honest in scores["is_honest"]]
    bars = ax.barh(scores.index, scores["score"], color=colours, height=0.7)
    ax.bar_label(bars, [f"{score:.2f}" for score in scores["score"]], padding=4, fontsize=9, bbox=ON_LINES)
    ax.axvline(chance, **CHANCE)
    ax.text(chance, -0.62, f"chance {chance:.2f}", ha="center", va="bottom", fontsize=8, color="0.25")
    ax.set(xlim=(0, 1.1), xlabel=measure)
    ax.invert_yaxis()
    return _despine(ax)


def draw_knowledge(recognised, *, ax=None):
    """Draw how well something can be told from the same vectors, each beside what guessing would reach.

    Parameters
    ----------
    recognised : DataFrame
        A row per question, its name as index: ``uar`` and ``chance``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (1.6 + 1.5 * len(recognised), 3.2))
    at = np.arange(len(recognised))
    bars = ax.bar(at - 0.2, recognised["uar"], 0.38, color=TRAIN, label="told from the mean MFCCs")
    guessed = ax.bar(at + 0.2, recognised["chance"], 0.38, color="0.75", label="guessed")
    for drawn in (bars, guessed):
        ax.bar_label(drawn, fmt="%.2f", fontsize=9, padding=2)
    ax.set_xticks(at, recognised.index)
    ax.set(ylabel="UAR", ylim=(0, 1.3), yticks=np.linspace(0, 1, 6))
    ax.legend(frameon=False, loc="upper right")
    return _despine(ax)


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
    names = [name for name in corpora.NAMES if name in {*scores["trained_on"], *scores["corpus"]}]
    pairs = scores.set_index(["trained_on", "corpus"])
    above = ((pairs["uar"] - pairs["chance"]) / (1 - pairs["chance"])).unstack().reindex(index=names, columns=names)
    texts = (pairs["uar"].map("{:.2f}".format) + "\n(" + pairs["chance"].map("{:.2f}".format) + ")").unstack()
    texts = texts.reindex(index=names, columns=names).fillna("")
    ax = _axes(ax, (2.0 + 0.95 * len(names), 1.2 + 0.8 * len(names)))
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
    _ink_fields(ax)
    titles = [corpora.short_title(name) for name in names]
    ax.set_xticks(np.arange(len(names)) + 0.5, titles, rotation=0)
    ax.set_yticks(np.arange(len(names)) + 0.5, titles, rotation=0)
    ax.set(xlabel="tested on", ylabel="trained on")
    return ax


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
    names = [name for name in corpora.NAMES if name in set(recordings["corpus"])]
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
        ax.set_yticks(range(1, len(names) + 1), [corpora.short_title(name) for name in names])
        ax.set_xlabel(label)
        ax.invert_yaxis()
        _despine(ax)
    return axes


def draw_probabilities(probabilities, *, is_doubtful=False, ax=None):
    """Draw what a model says of one recording.

    Parameters
    ----------
    probabilities : dict of str to float
        By emotion.
    is_doubtful : bool
        Whether they are no answer, and drawn without colours.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (5.2, 0.7 + 0.34 * len(probabilities)))
    colours = ["0.8" if is_doubtful else labels.COLOURS[emotion] for emotion in probabilities]
    bars = ax.barh(list(probabilities), list(probabilities.values()), color=colours)
    ax.bar_label(bars, [f"{p:.2f}" for p in probabilities.values()], padding=3, fontsize=9, bbox=ON_LINES)
    ax.axvline(1 / len(probabilities), **CHANCE)
    ax.text(1 / len(probabilities), -0.75, "chance", ha="center", va="bottom", fontsize=8, color="0.25")
    ax.set(xlim=(0, 1.08), xlabel="probability")
    ax.invert_yaxis()
    return _despine(ax)


def draw_speakers_scores(scores, *, chance, ax=None):
    """Draw a dot per speaker, the worst first, with their mean and chance: where speakers are too few for an interval.

    Parameters
    ----------
    scores : DataFrame
        As `uncertainty.by_speaker` returns it.
    chance : float
        Of the UAR.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    scores = scores.sort_values("uar")
    names, uars = [speaker.split("/")[-1] for speaker in scores.index], scores["uar"].to_numpy()
    has_names = len(scores) <= 30
    ax = _axes(ax, (6.8, 1.2 + min(0.26 * len(scores), 3.6)))
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
    return _despine(ax)


def draw_groups(groups, *, chance, ax=None):
    """Draw the UAR of groups of speakers with their intervals; a group of too few speakers is a hollow dot without.

    Parameters
    ----------
    groups : DataFrame
        As `uncertainty.by_group` returns it.
    chance : float
        Of the UAR.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (6.8, 1.5 + 0.6 * len(groups)))
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
    return _despine(ax)


def draw_reliability(reliability, *, ax=None):
    """Draw how often a model is right against how sure it is; the larger a dot, the more utterances (the number at it).

    Parameters
    ----------
    reliability : DataFrame
        As `uncertainty.reliability` returns it.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax, (4.8, 4.8))
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
    return _despine(ax)


def readme(folder, *, corpus="emodb", recipe="paper"):
    """Draw every figure of the README, from `corpus` in the current profile.

    Parameters
    ----------
    folder : path-like
        Where the PNG files and their sidecars go.
    corpus : str
    recipe : str

    Yields
    ------
    Path
        Each PNG, when it is there.
    """
    folder, chosen, table = Path(folder), settings.recipe(recipe), index.load(corpus)
    about = {"corpus": table["corpus"].iloc[0], "protocol": None, "recipe": None, "seed": None}
    about |= {"synthetic": bool(table.attrs["synthetic"])}

    figure, axes = plt.subplots(1, 2, figsize=(11.5, 3.6), layout="constrained", sharey=True, width_ratios=(2, 1))
    passports = [corpora.get(name) for name in corpora.NAMES]
    counts = pd.DataFrame({passport.id: passport.by_emotion for passport in passports}).T.fillna(0).astype(int)
    draw_emotions(counts, ax=axes[0])
    axes[0].legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=9)
    everyone = [(passport.id, speaker.gender) for passport in passports for speaker in passport.speakers.values()]
    axes[1].invert_yaxis()  # shared with the left panel, which inverts it too
    draw_speakers(pd.DataFrame(everyone, columns=["corpus", "gender"]), ax=axes[1])
    published = about | {"corpus": list(corpora.NAMES), "synthetic": False, "source": "published counts (passports)"}
    yield save(figure, folder / "corpora.png", about=published)

    three, utterances = ("neutral", "sadness", "happiness"), []
    for row in same_sentence(table, three).itertuples():
        signal = audio.load(index.root_of(table) / row.path, chosen.features.sr)
        utterances.append((row.emotion, signal, features.mfcc(signal, chosen.features.sr, features=chosen.features)))
    figure = draw_emotions_as_mfcc(utterances, features=chosen.features)
    heard = list(same_sentence(table, three)["utterance"])
    yield save(figure, folder / "mfcc.png", about=about | {"recipe": recipe, "utterances": heard})

    protocols = ("random", "speakers", "loso")
    random, _, loso = (evaluate.obtain(corpus, protocol=name, recipe=chosen, n_jobs=-1) for name in protocols)
    scored = about | {"recipe": recipe, "seed": SEED}

    figure, axes = plt.subplots(1, 2, figsize=(11.5, 3.6), layout="constrained", width_ratios=(1.25, 1))
    draw_parts(index.parts(table), ax=axes[0])
    draw_split(split.from_parts(table), ax=axes[1])
    yield save(figure, folder / "split.png", about=about | {"protocol": "random", "seed": table.attrs["seed"]})

    ax = draw_architecture(model.build(chosen, table["emotion"].nunique()))
    yield save(ax.figure, folder / "architecture.png", about=about | {"recipe": recipe, "synthetic": False})

    axes = draw_history(random.history)
    yield save(axes[0].figure, folder / "learning-curves.png", about=scored | {"protocol": "random"})

    figure, axes = plt.subplots(1, 2, figsize=(12.0, 5.2), layout="constrained")
    for ax, result in zip(axes, (random, loso), strict=True):
        draw_confusion(result.predictions, ax=ax)
    yield save(figure, folder / "confusion.png", about=scored | {"protocol": ["random", "loso"]})

    stored = evaluate.stored(settings.current().results)
    mine = stored[(stored["recipe"] == recipe) & (stored["seed"] == SEED)].sort_values("protocol")
    within = mine[mine["protocol"].isin(["random", "speakers"])]
    ax = draw_scores(within.to_dict("records"), heard=corpora.heard_uar(within.loc[~within["synthetic"], "corpus"]))
    shown = scored | {"corpus": sorted(set(within["corpus"])), "protocol": ["random", "speakers"]}
    yield save(ax.figure, folder / "unseen-speakers.png", about=shown)

    for row in within[~within["synthetic"] & (within["protocol"] == "speakers")].itertuples():
        if votes := corpora.get(row.corpus).heard().get("votes"):
            figure, axes = plt.subplots(1, 2, figsize=(12.0, 5.2), layout="constrained")
            draw_listeners(votes, title=f"{corpora.short_title(row.corpus)}, listeners", ax=axes[0])
            draw_confusion(evaluate.read(row.file).predictions, ax=axes[1])
            shown = scored | {"corpus": row.corpus, "protocol": "speakers"}
            yield save(figure, folder / f"listeners-{row.corpus}.png", about=shown)

    between = mine[mine["protocol"] == "cross-corpus"]
    if len(between):
        shown = scored | {"corpus": sorted(set(between["corpus"])), "protocol": "cross-corpus"}
        yield save(draw_across(between).figure, folder / "across-corpora.png", about=shown)


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
