"""Measures of a signal: level, pitch, silence at its edges; what may spoil a prediction from it."""

import math

import numpy as np

from .files import resample

PITCH_HZ = {"fmin": 60, "fmax": 600, "sr": 8000, "frame_length": 512, "hop_length": 160}  # voices; frames of 64 ms
VOICED_DB = 25.0  # chosen by benchmarks/pitch.py, against librosa.pyin on EMODB


def level_db(signal):
    """Return the signal's root mean square in dB relative to full scale (-inf where it is silent).

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> round(float(audio.level_db(np.full(16000, 0.1, np.float32))), 1)
    -20.0
    """
    power = float(np.mean(np.square(signal, dtype=np.float64)))
    return 10 * math.log10(power) if power else -math.inf


def pitch_hz(signal, sr):
    """Estimate the median fundamental frequency of the voice, by YIN.

    Quiet frames are left out, since they are mostly unvoiced: those more than `VOICED_DB` below the loudest.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz

    Returns
    -------
    float, Hz
        NaN where the signal is silent.

    References
    ----------
    A. de Cheveigné and H. Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 111, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(16000) / 16000).astype(np.float32)
    >>> round(audio.pitch_hz(tone, 16000), -1)
    220.0
    """
    if level_db(signal) == -math.inf:
        return math.nan
    import librosa  # which loads numba when YIN is first needed

    signal = resample(signal, sr, PITCH_HZ["sr"])
    sizes = {name: PITCH_HZ[name] for name in ("frame_length", "hop_length")}
    loudness = librosa.feature.rms(y=signal, **sizes)[0]
    frames_hz = librosa.yin(signal, **PITCH_HZ)
    return float(np.median(frames_hz[loudness > loudness.max() * 10 ** (-VOICED_DB / 20)]))


def trim(signal, top_db, *, frame_length=2048, hop_length=512):
    """Cut off the silence before and after the speech, as `librosa.effects.trim` does (whose import takes seconds).

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    top_db : float
        A frame is silent if its root mean square is at least so many dB below that of the loudest.
    frame_length, hop_length : int, samples
        Frames are centred on multiples of `hop_length`.

    Returns
    -------
    ndarray of float32, shape (n_kept,)
        A view. Where all is silent, nothing is cut off.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> silence, speech = np.zeros(16000, np.float32), np.full(16000, 0.5, np.float32)
    >>> trimmed = audio.trim(np.concatenate([silence, speech, silence]), 40)
    >>> len(speech) <= len(trimmed) < 1.2 * len(speech)
    True
    """
    padded = np.pad(signal.astype(np.float64), frame_length // 2)
    power = np.cumsum(np.concatenate([[0.0], padded**2]))
    starts = np.arange(0, len(padded) - frame_length + 1, hop_length)
    power = np.maximum(power[starts + frame_length] - power[starts], 1e-10 * frame_length)  # librosa's amin, squared
    loud = np.flatnonzero(10 * np.log10(power / power.max()) > -top_db)
    return signal[loud[0] * hop_length : (loud[-1] + 1) * hop_length]


def warnings(signal, sr):
    """List what may spoil a prediction from this signal.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz

    Returns
    -------
    list of str
        Each is a kind, a colon, what was found and what to do; empty if nothing is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> audio.warnings(np.zeros(16000, np.float32), 16000)
    ['silent: every sample is zero; see whether the microphone is muted']
    """
    found = []
    duration_s, level, n_clipped = len(signal) / sr, level_db(signal), int(np.sum(np.abs(signal) >= 0.999))
    if level == -math.inf:
        return ["silent: every sample is zero; see whether the microphone is muted"]
    if duration_s < 0.5:
        found.append(f"short: {duration_s:.2f} s; expected about a second of speech or more")
    if duration_s > 15:
        found.append(f"long: {duration_s:.1f} s; the corpora hold single sentences, so cut it, or use --windows")
    if level < -60:
        found.append(f"quiet: {level:.0f} dB relative to full scale; record closer to the microphone")
    if n_clipped > 100:
        found.append(f"clipped: {n_clipped} samples at full scale; move away from the microphone, or lower its level")
    return found
