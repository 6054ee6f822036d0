"""Audio -> MFCC -> vectors, cached by content.

The numbers are those of `librosa.feature.mfcc` with the same settings; the work is done once over the whole utterance
(frames, one real FFT, one product with the mel bands), and where only the mean is wanted, it is taken before the DCT,
which is linear.
"""

import dataclasses
import functools
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import scipy
import scipy.fft
import scipy.signal
from tqdm.auto import tqdm

from . import audio, index, settings
from .settings import replacing


def mfcc(signal, sr, *, features):
    """Compute the MFCCs of a signal.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Mono, in [-1, 1].
    sr : int, Hz
        Must equal ``features.sr``; nothing is resampled here.
    features : MfccFeatures
        Frame, hop (samples), number of mel bands and coefficients.

    Returns
    -------
    ndarray of float64, shape (n_mfcc, n_frames)
        ``n_frames`` is 1 + n_samples // hop_length.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.
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
    features : MfccFeatures
        Frame, hop (samples), number of mel bands and coefficients.

    Returns
    -------
    ndarray of float32, shape (n_mfcc,)

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.
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
    features : MfccFeatures

    Returns
    -------
    ndarray of float32, shape (n_mels, n_frames), dB
        Relative to a power of 1, at most ``top_db`` below the utterance's loudest value.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.
    """
    if sr != features.sr:
        raise ValueError(
            f"the signal has {sr} Hz, the recipe {features.sr} Hz; load it with audio.load(path, {features.sr})"
        )
    if signal.ndim != 1 or not len(signal):
        raise ValueError(f"the signal has shape {signal.shape}; expected (n_samples,) with at least one sample")
    if not np.isfinite(signal).all():
        raise ValueError("the signal has samples that are not finite numbers; expected values in [-1, 1]")
    padded = np.pad(signal.astype(np.float32, copy=False), features.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, features.n_fft)[:: features.hop_length]
    spectrum = scipy.fft.rfft(frames * _window(features.win_length, features.n_fft), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = mel_bands(features.sr, features.n_fft, features.n_mels) @ power.T
    decibel = 10 * np.log10(np.maximum(bands, np.float32(features.amin)))
    return np.maximum(decibel, decibel.max() - np.float32(features.top_db))


def _cepstrum(decibel, features):
    """Transform dB over mel bands (axis 0, float64) into the first ``n_mfcc`` cepstral coefficients."""
    return scipy.fft.dct(decibel, type=2, norm="ortho", axis=0)[: features.n_mfcc]


@functools.cache
def _window(win_length, n_fft):
    """Return a periodic Hann window of `win_length`, centred in `n_fft` samples: float32, shape (n_fft,)."""
    before = (n_fft - win_length) // 2
    window = scipy.signal.get_window("hann", win_length)
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
    """
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(sr / 2), n_mels + 2))
    slopes = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / sr)[None, :]
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


# Slaney's mel scale: linear up to 1 kHz (15 mel), then 27 mel per factor of 6.4.
_HZ_PER_MEL, _BREAK_HZ, _BREAK_MEL, _LOG_STEP = 200 / 3, 1000.0, 15.0, np.log(6.4) / 27


def _hz_to_mel(hz):
    return hz / _HZ_PER_MEL if hz < _BREAK_HZ else _BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP


def _mel_to_hz(mel):
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))


def from_file(source, *, features):
    """Load a recording and average its MFCCs: what training and prediction both see of it.

    Parameters
    ----------
    source : path-like or binary file
    features : MfccFeatures

    Returns
    -------
    ndarray of float32, shape (n_mfcc,)

    Raises
    ------
    FileNotFoundError, ValueError
        If it cannot be read as audio.
    """
    return mean_mfcc(audio.load(source, features.sr), features.sr, features=features)


def extract(table, *, features, root=None, progress=False):
    """Compute the mean MFCCs of every utterance of an index table; what was computed before is read from the cache.

    Parameters
    ----------
    table : DataFrame
        An index table of one corpus, or some of its rows.
    features : MfccFeatures
    root : path-like, optional
        The folder that its paths are relative to; by default as indexed, else where the corpus now is.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    ndarray of float32, shape (n_utterances, n_mfcc)
        In the order of the rows.

    Raises
    ------
    FileNotFoundError, ValueError
        If a recording is gone, cannot be read, or is not the one that was indexed.
    """
    root = index.root_of(table) if root is None else Path(root)
    cache = _cache_file(features, table["corpus"].iloc[0])
    known = _read_cache(cache, features.n_mfcc)
    vectors, fresh = np.empty((len(table), features.n_mfcc), np.float32), {}
    rows = tqdm(
        zip(table["path"], table["content"], strict=True), total=len(table), desc="features", disable=not progress
    )
    for row, (path, content) in enumerate(rows):
        file = root / path
        if not file.is_file():
            raise FileNotFoundError(f"{file} is gone; it was there when the corpus was indexed. Index it again")
        if index.content_hash(file) != content:
            raise ValueError(f"{file} is not the file that was indexed (its content differs); index the corpus again")
        if content not in known:
            known[content] = fresh[content] = from_file(file, features=features)
        vectors[row] = known[content]
    if fresh:
        _add_to_cache(cache, fresh, features.n_mfcc)
    return vectors


def _cache_file(features, corpus):
    """Name the cache after everything that decides the numbers: settings, and the libraries that compute them."""
    made_by = {"features": dataclasses.asdict(features), "numpy": np.__version__, "scipy": scipy.__version__}
    made_by |= {"soxr": audio.soxr.__version__, "libsndfile": audio.soundfile.__libsndfile_version__}
    key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:16]
    return settings.current().cache / "features" / key / f"{corpus}.npz"


def _read_cache(file, n_mfcc):
    """Return {content hash: vector}; an unreadable cache counts as empty."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            contents, vectors = stored["contents"], stored["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    if vectors.shape != (len(contents), n_mfcc):
        return {}
    return dict(zip(contents.tolist(), vectors, strict=True))


def _add_to_cache(file, fresh, n_mfcc):
    """Store vectors beside those that are there by now."""
    together = _read_cache(file, n_mfcc) | fresh
    with replacing(file) as temporary:
        np.savez(temporary, contents=np.array(list(together)), vectors=np.array(list(together.values())))
