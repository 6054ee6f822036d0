"""Signals, spectrograms and MFCCs."""

import librosa.display
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from .. import labels
from .style import despine, mark_seconds, new_axes


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
    ax = new_axes(ax, (6.4, 1.8))
    librosa.display.waveshow(signal, sr=sr, ax=ax, color=colour)
    ax.set(ylabel="amplitude", xlim=(0, len(signal) / sr))
    mark_seconds(ax)
    return despine(ax)


def draw_mfcc(mfcc, *, features, ax=None, limits=None):
    """Draw MFCCs, coefficients upwards, time to the right.

    Parameters
    ----------
    mfcc : ndarray, shape (n_mfcc, n_frames)
    features : MfccMean
        The settings that made them.
    ax : matplotlib.axes.Axes, optional
    limits : tuple of float, optional
        The values at the ends of the colour scale; by default +- the 98th percentile of the magnitudes but for the
        first coefficient, which is the level and would outshine the others.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax)
    limit = float(np.percentile(np.abs(mfcc[1:]), 98)) if limits is None else None
    low, high = limits or (-limit, limit)
    image = _show_mfcc(mfcc, features, ax, low, high)
    ax.set_ylabel("coefficient")
    ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=6))
    ax.figure.colorbar(image, ax=ax, pad=0.01, extend="both")
    return ax


def _show_mfcc(mfcc, features, ax, low, high):
    """Draw MFCCs over seconds, `low` blue and `high` red; return what a colour bar needs."""
    sizes = {"sr": features.sr, "hop_length": features.hop_length, "n_fft": features.n_fft}
    image = librosa.display.specshow(mfcc, **sizes, x_axis="time", ax=ax, cmap="RdBu_r", vmin=low, vmax=high)
    mark_seconds(ax)
    return image


def draw_steps(signal, spectrogram_db, mel_db, mfcc, *, features):
    """Draw how a signal becomes MFCCs: waveform, spectrogram, mel spectrogram, MFCCs and, beside them, their mean.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    spectrogram_db : ndarray, shape (1 + n_fft // 2, n_frames), dB
    mel_db : ndarray, shape (n_mels, n_frames), dB
    mfcc : ndarray, shape (n_mfcc, n_frames)
    features : MfccMean
        The settings that made them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    steps = MfccFigure()
    steps.show(signal, spectrogram_db, mel_db, mfcc, features=features)
    return steps.figure


class MfccFigure:
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
        mark_seconds(self._axes[3])
        self._mean_ax.tick_params(labelleft=False)
        for ax in (self._axes[0], self._mean_ax):
            despine(ax)
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
    features : MfccMean
        The settings that made them.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = new_axes(ax, (7.2, 2.6))
    frequencies_khz = np.fft.rfftfreq(features.n_fft, 1 / features.sr) / 1000
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(bands)))
    for band, colour in zip(bands, colours, strict=True):
        ax.plot(frequencies_khz, band, color=colour, linewidth=1)
    ax.set(xlabel="frequency (kHz)", ylabel="weight", xlim=(0, frequencies_khz[-1]), ylim=(0, None))
    return despine(ax)


def draw_mean_mfcc(vectors, *, reference, ax=None):
    """Draw by how much mean MFCCs differ from those of one emotion, a line per emotion.

    Parameters
    ----------
    vectors : dict of str to ndarray, shape (n_mfcc,)
        By emotion. The first coefficient, the level, is left out: it would hide the others.
    reference : str
        The emotion that the others are compared with.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax, colours = new_axes(ax, (6.4, 2.8)), labels.colours(vectors)
    ax.axhline(0, color=colours[reference], linewidth=2, label=reference)
    for emotion, vector in vectors.items():
        if emotion != reference:
            change = (vector - vectors[reference])[1:]
            ax.plot(np.arange(1, len(vector)), change, color=colours[emotion], label=emotion, marker=".")
    ax.set(xlabel="coefficient", ylabel=f"mean over time, less {reference}'s")
    ax.legend(frameon=False)
    return despine(ax)


def draw_emotions_as_mfcc(utterances, *, features):
    """Draw utterances side by side: waveform above, MFCC below, on common scales of time and value.

    Parameters
    ----------
    utterances : list of (emotion, signal, mfcc)
        ``signal`` of shape (n_samples,), ``mfcc`` of shape (n_mfcc, n_frames).
    features : MfccMean

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
    colours = labels.colours(emotion for emotion, _, _ in utterances)
    for (emotion, signal, mfcc), (above, below) in zip(utterances, axes.T, strict=True):
        draw_waveform(signal, features.sr, ax=above, colour=colours[emotion])
        above.set(title=emotion, xlabel="", ylim=(-loudest, loudest))
        image = _show_mfcc(mfcc, features, below, -limit, limit)
        below.set_xlim(0, longest_s)
    for ax in axes[:, 1:].ravel():
        ax.set_ylabel("")
    axes[1, 0].set_ylabel("MFCC coefficient")
    axes[1, 0].yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=6))
    figure.colorbar(image, ax=axes[1], pad=0.01, extend="both")
    return figure
