"""Rooms, simulated: what becomes of a voice on its way to a microphone."""

import numpy as np


def in_room(signal, sr, *, rng, reverberation_s, direct_db, noise_db):
    """Put a voice into a room: an echo of noise that dies away, and steady noise of the room, between white and pink.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz
    rng : numpy.random.Generator
    reverberation_s : float, s
        Until the echo has fallen by 60 dB: 0.3 in a furnished room, 1 in a hall.
    direct_db : float
        How much louder the voice itself is than its echo: 15 close to the mouth, less than 0 across a room.
    noise_db : float
        How far the room's noise lies below the voice.

    Returns
    -------
    ndarray of float32, shape (n_samples + reverberation - 1,)
        As loud as the signal.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio, synthetic
    >>> signal = synthetic.speech("anger", "anyone", gender="female", sr=16000)
    >>> how = {"rng": np.random.default_rng(42), "reverberation_s": 0.5, "direct_db": 5, "noise_db": 30}
    >>> len(audio.in_room(signal, 16000, **how)) > len(signal)
    True
    """
    import scipy.signal  # which prediction does without

    t = np.arange(int(reverberation_s * sr)) / sr
    response = rng.standard_normal(len(t)) * 10 ** (-3 * t / reverberation_s)
    response *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(response**2))
    response[0] += 1
    heard = scipy.signal.fftconvolve(signal, response)
    spectrum = np.fft.rfft(rng.standard_normal(len(heard)))
    noise = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** rng.uniform(0, 0.5), len(heard))
    heard += noise * 10 ** (-noise_db / 20) * heard.std() / noise.std()
    return (heard * (np.abs(signal).max() / np.abs(heard).max())).astype(np.float32)
