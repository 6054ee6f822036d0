"""MFCCs, with the numbers of `librosa.feature.mfcc`, and the vectors made of them: means, and functionals.

The whole utterance is computed at once (frames, one real FFT, one product with the mel bands). Where only the mean is
wanted, it is taken before the DCT, which is linear.
"""

import functools
from typing import Annotated, ClassVar

import numpy as np
import scipy.fft
import scipy.sparse
from msgspec import Meta

from .. import audio
from .base import Features

SILENT_DB = -200.0  # below the least that 32 bits can express
PERCENTILES = (5, 25, 50, 75, 95)
N_FUNCTIONALS = 2 + len(PERCENTILES)
DELTA_WIDTH = 9  # frames, as in librosa
MAX_NUMBERS_PER_S = 500_000  # of spectra, for features that a bundle names; two minutes take half a gigabyte then

Whole = Annotated[int, Meta(ge=1, le=1 << 16)]


class Spectral(Features, frozen=True):
    """Frames, mel bands and decibels. The names are librosa's.

    Frames are centred on multiples of ``hop_length`` (the signal is padded with zeros), windowed by a periodic Hann
    window of ``win_length`` samples, and their power spectra are summed by ``n_mels`` triangular Slaney mel bands
    from 0 Hz to ``sr / 2``. Power is put into dB relative to 1 (never below ``amin``, nor more than ``top_db`` below
    the loudest value of the utterance).

    Two settings change the signal before that, where they are given: ``trim_db`` cuts off what comes before the first
    and after the last frame less than that far below the loudest, and ``level_db`` then scales the signal to that root
    mean square, in dB relative to full scale.
    """

    sr: Annotated[int, Meta(ge=1, le=96_000)] = 22050
    win_length: Whole = 512
    n_fft: Whole = 512
    hop_length: Whole = 256
    n_mels: Annotated[int, Meta(ge=1, le=512)] = 128
    amin: Annotated[float, Meta(ge=1e-30, le=1)] = 1e-10
    top_db: Annotated[float, Meta(ge=0, le=1000)] = 80.0
    trim_db: Annotated[float, Meta(ge=0, le=1000)] | None = None
    level_db: Annotated[float, Meta(ge=-200, le=0)] | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} exceeds n_fft {self.n_fft}; make n_fft at least as long")

    @property
    def numbers_per_s(self):
        """How many numbers a second of speech takes while it is computed."""
        return self.sr / self.hop_length * (self.n_fft / 2 + self.n_mels)


class _Mfcc(Spectral, frozen=True):
    n_mfcc: Annotated[int, Meta(ge=1, le=512)] = 50

    def __post_init__(self):
        super().__post_init__()
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc {self.n_mfcc} exceeds n_mels {self.n_mels}; there are only n_mels coefficients")


class MfccMean(_Mfcc, frozen=True, tag="mfcc-mean"):
    """The mean of each MFCC over an utterance: what the original project describes. Settings as in `Spectral`.

    Examples
    --------
    >>> from serlib import features
    >>> features.MfccMean(n_mfcc=20).shape
    (20,)
    """

    about: ClassVar[str] = "50 MFCCs, averaged over time (the original project's)"
    cost: ClassVar[str] = "1 ms an utterance"

    @property
    def shape(self):
        return (self.n_mfcc,)

    def transform(self, signal):
        return mean_mfcc(signal, self.sr, features=self)


class MfccFunctionals(_Mfcc, frozen=True, tag="mfcc-functionals"):
    """Mean, standard deviation and percentiles over time of MFCCs, of their deltas, and of the frames' level.

    Settings as in `Spectral`. Deltas are librosa's (a Savitzky-Golay filter over 9 frames); the level is the power of
    a frame in dB.

    Examples
    --------
    >>> from serlib import features
    >>> features.MfccFunctionals(n_mfcc=13).shape
    (189,)
    """

    about: ClassVar[str] = "mean, spread and percentiles of 20 MFCCs, their deltas and the level"
    cost: ClassVar[str] = "3 ms an utterance"
    sr: Annotated[int, Meta(ge=1, le=96_000)] = 16000
    win_length: Whole = 400
    hop_length: Whole = 160
    n_mels: Annotated[int, Meta(ge=1, le=512)] = 64
    n_mfcc: Annotated[int, Meta(ge=1, le=512)] = 20

    @property
    def shape(self):
        return ((2 * self.n_mfcc + 1) * N_FUNCTIONALS,)

    def transform(self, signal):
        import scipy.signal  # which takes long to import, and no other kind needs

        power = _power(signal, self.sr, self)
        cepstrum = _cepstrum(_decibel(_mel(power, self), self).astype(np.float64), self)
        deltas = scipy.signal.savgol_filter(cepstrum, DELTA_WIDTH, polyorder=1, deriv=1, mode="nearest")
        level_db = _decibel(power.sum(axis=1)[None], self)
        return functionals(np.concatenate([cepstrum, deltas, level_db]))


def functionals(contours):
    """Return mean, standard deviation and percentiles over time of some contours.

    Parameters
    ----------
    contours : ndarray, shape (n_contours, n_frames)

    Returns
    -------
    ndarray of float32, shape (7 * n_contours,)
        The means of all contours, then their standard deviations, then each of `PERCENTILES`.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> features.functionals(np.array([[1.0, 2.0, 3.0]])).shape
    (7,)
    >>> float(features.functionals(np.array([[1.0, 2.0, 3.0]]))[0])
    2.0
    """
    percentiles = np.percentile(contours, PERCENTILES, axis=1)
    return np.vstack([contours.mean(axis=1), contours.std(axis=1), percentiles]).ravel().astype(np.float32)


def mfcc(signal, sr, *, features):
    """Compute the MFCCs of a signal.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Mono, in [-1, 1].
    sr : int, Hz
        Must equal ``features.sr``; nothing is resampled here.
    features : Spectral
        Frame, hop (samples), number of mel bands and coefficients.

    Returns
    -------
    ndarray of float64, shape (n_mfcc, n_frames)
        ``n_frames`` is 1 + n_samples // hop_length.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.

    Examples
    --------
    >>> from serlib import features, synthetic
    >>> signal = synthetic.speech("anger", "anyone", gender="female", sr=22050)
    >>> mfcc = features.mfcc(signal, 22050, features=features.get("mfcc-mean"))
    >>> len(mfcc), mfcc.shape[1] == 1 + len(signal) // 256
    (50, True)
    """
    return _cepstrum(mel_db(signal, sr, features=features).astype(np.float64), features)


def mean_mfcc(signal, sr, *, features):
    """Average each MFCC over an utterance.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Mono, in [-1, 1].
    sr : int, Hz
        Must equal ``features.sr``; nothing is resampled here.
    features : Spectral
        Frame, hop (samples), number of mel bands and coefficients.

    Returns
    -------
    ndarray of float32, shape (n_mfcc,)

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.

    Examples
    --------
    >>> from serlib import features, synthetic
    >>> signal = synthetic.speech("anger", "anyone", gender="female", sr=22050)
    >>> features.mean_mfcc(signal, 22050, features=features.get("mfcc-mean")).shape
    (50,)
    """
    mean = mel_db(signal, sr, features=features).mean(axis=1, dtype=np.float64)
    return _cepstrum(mean, features).astype(np.float32)


def mel_db(signal, sr, *, features):
    """Compute the mel spectrogram in dB, as `mfcc` and `mean_mfcc` transform it.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz
        Must equal ``features.sr``.
    features : Spectral

    Returns
    -------
    ndarray of float32, shape (n_mels, n_frames), dB
        Relative to a power of 1, at most ``top_db`` below the utterance's loudest value.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> features.mel_db(np.zeros(22050, np.float32), 22050, features=features.get("mfcc-mean")).shape
    (128, 87)
    """
    return _decibel(_mel(_power(signal, sr, features), features), features)


def _mel(power, features):
    return _sparse_bands(features.sr, features.n_fft, features.n_mels) @ power.T


def spectrogram_db(signal, sr, *, features):
    """Compute the power spectrogram in dB, from which the mel bands are summed.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz
        Must equal ``features.sr``.
    features : Spectral

    Returns
    -------
    ndarray of float32, shape (1 + n_fft // 2, n_frames), dB
        Relative to a power of 1, at most ``top_db`` below the utterance's loudest value.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> features.spectrogram_db(np.zeros(22050, np.float32), 22050, features=features.get("mfcc-mean")).shape
    (257, 87)
    """
    return _decibel(_power(signal, sr, features).T, features)


def _power(signal, sr, features):
    """Compute the frames' power spectra: float32, shape (n_frames, 1 + n_fft // 2)."""
    if sr != features.sr:
        raise ValueError(
            f"the signal has {sr} Hz, the recipe {features.sr} Hz; load it with audio.load(path, {features.sr})"
        )
    if signal.ndim != 1 or not len(signal):
        raise ValueError(f"the signal has shape {signal.shape}; expected (n_samples,) with at least one sample")
    if not np.isfinite(signal).all():
        raise ValueError("the signal has samples that are not finite numbers; expected values in [-1, 1]")
    signal = _prepared(signal, features)
    half = features.n_fft // 2
    padded = np.zeros(len(signal) + 2 * half, np.float32)
    padded[half : half + len(signal)] = signal
    shape = (1 + (len(padded) - features.n_fft) // features.hop_length, features.n_fft)
    strides = (features.hop_length * padded.itemsize, padded.itemsize)
    frames = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
    spectrum = scipy.fft.rfft(frames * _window(features.win_length, features.n_fft), axis=1)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def _decibel(power, features):
    decibel = 10 * np.log10(np.maximum(power, np.float32(features.amin)))
    return np.maximum(decibel, decibel.max() - np.float32(features.top_db))


def _prepared(signal, features):
    """Cut off the silence around the speech and set its level, where the features say so."""
    if features.trim_db is not None:
        signal = audio.trim(signal, features.trim_db)
    if features.level_db is not None and (level_db := audio.level_db(signal)) > SILENT_DB:
        signal = signal * np.float32(10 ** ((features.level_db - level_db) / 20))
    return signal


def _cepstrum(decibel, features):
    """Transform dB over mel bands (axis 0, float64) into the first ``n_mfcc`` cepstral coefficients."""
    return scipy.fft.dct(decibel, type=2, norm="ortho", axis=0)[: features.n_mfcc]


@functools.cache
def _window(win_length, n_fft):
    """Return a periodic Hann window of `win_length`, centred in `n_fft` samples: float32, shape (n_fft,)."""
    before = (n_fft - win_length) // 2
    window = np.hanning(win_length + 1)[:-1]
    return np.pad(window, (before, n_fft - win_length - before)).astype(np.float32)


@functools.cache
def mel_bands(sr, n_fft, n_mels):
    """Build Slaney's triangular mel bands from 0 Hz to sr / 2, each of unit area (in Hz, times two).

    Parameters
    ----------
    sr : int, Hz
    n_fft, n_mels : int

    Returns
    -------
    ndarray of float32, shape (n_mels, 1 + n_fft // 2)

    References
    ----------
    M. Slaney, Auditory Toolbox, Technical Report 1998-010, Interval Research Corporation, 1998. The numbers are
    those of `librosa.filters.mel`, whose import takes seconds.

    Examples
    --------
    >>> from serlib import features
    >>> bands = features.mel_bands(16000, 512, 64)
    >>> bands.shape
    (64, 257)
    """
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(sr / 2), n_mels + 2))
    slopes = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / sr)[None, :]
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


@functools.cache
def _sparse_bands(sr, n_fft, n_mels):
    """Return `mel_bands` without its zeros: quicker, and no linear-algebra library starts threads of its own."""
    return scipy.sparse.csr_array(mel_bands(sr, n_fft, n_mels))


# Slaney's mel scale: linear up to 1 kHz (15 mel), then 27 mel per factor of 6.4.
_HZ_PER_MEL, _BREAK_HZ, _BREAK_MEL, _LOG_STEP = 200 / 3, 1000.0, 15.0, np.log(6.4) / 27


def _hz_to_mel(hz):
    return hz / _HZ_PER_MEL if hz < _BREAK_HZ else _BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP


def _mel_to_hz(mel):
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))


def invert(mfcc, *, features):
    """Make a sound whose MFCCs are these, by librosa: bands by least squares, phases by Griffin and Lim's method.

    Parameters
    ----------
    mfcc : ndarray, shape (n_mfcc, n_frames)
    features : Spectral
        The settings that made them.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        The same each time: all phases begin at zero.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> kind = features.get("mfcc-mean")
    >>> mfcc = features.mfcc(np.zeros(2048, np.float32), kind.sr, features=kind)
    >>> features.invert(mfcc, features=kind).shape
    (2048,)
    """
    import librosa

    sizes = {"n_fft": features.n_fft, "hop_length": features.hop_length, "win_length": features.win_length}
    mel = librosa.feature.inverse.mfcc_to_mel(mfcc.astype(np.float32), n_mels=features.n_mels)
    spectrogram = librosa.feature.inverse.mel_to_stft(mel, sr=features.sr, n_fft=features.n_fft)
    return librosa.griffinlim(spectrogram, init=None, **sizes)
