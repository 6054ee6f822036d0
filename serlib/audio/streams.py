"""Recordings of any length, block by block: decoded, mixed down and resampled as they are read, in little memory."""

import contextlib
import io
import math
import os

import numpy as np
import soundfile
import soxr

from . import ffmpeg
from .files import (
    BLOCK,
    MAX_PEAK,
    Problem,
    checked_array,
    error_of,
    for_ffmpeg,
    judged,
    not_decoded,
    refuse_rate,
    rewound,
    what_is_absent,
)

ENVELOPE_HZ = 8000  # at which the envelope is measured: it is looked at, not heard


def stream(source, sr, target_sr):
    """Decode a recording of any length, mix it down to mono (mean of the channels) and resample it, block by block.

    Parameters
    ----------
    source : path-like, binary file, bytes of a sound file, ndarray of float, or iterable of ndarray of float
        Arrays are mono, in [-1, 1]; those of an iterable follow each other, and are taken as they come.
    sr : int, Hz, or None
        The rate of arrays; a file has its own.
    target_sr : int, Hz
        The wanted rate.

    Yields
    ------
    ndarray of float32, shape (n_samples,)
        Together what `load` returns of a short recording, but for rounding at the edges of blocks.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As `load` does, however long the recording and whatever its channels; what was decoded before is yielded.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> chunks = [np.zeros(16000, np.float32)] * 3
    >>> sum(len(block) for block in audio.stream(chunks, 16000, 8000))
    24000
    """
    resampler = None
    for block, block_sr in _chunks(source, sr):
        if resampler is None:
            resampler = soxr.ResampleStream(block_sr, target_sr, 1, quality="HQ")
        yield resampler.resample_chunk(block)
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def envelope(source, sr=None, *, step_s=0.05):
    """Return the lowest and the highest sample of every `step_s` of a recording of any length.

    Parameters
    ----------
    source, sr
        As `stream` takes them.
    step_s : float, s

    Returns
    -------
    ndarray of float32, shape (n_steps, 2)

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> audio.envelope(np.zeros(16000, np.float32), 16000).shape
    (20, 2)
    """
    n = round(step_s * ENVELOPE_HZ)
    kept, found = np.zeros(0, np.float32), []
    for block in stream(source, sr, ENVELOPE_HZ):
        kept = np.concatenate([kept, block])
        whole, kept = kept[: len(kept) // n * n].reshape(-1, n), kept[len(kept) // n * n :]
        found.append(np.stack([whole.min(axis=1), whole.max(axis=1)], axis=1))
    return np.concatenate([*found, *([[[kept.min(), kept.max()]]] if len(kept) else [])])


def excerpt(source, sr, target_sr, start_s, end_s):
    """Return what is said between two times of a recording of any length, as `stream` decodes it.

    Parameters
    ----------
    source, sr, target_sr
        As `stream` takes them.
    start_s, end_s : float, s
        What lies behind the end of the recording is left out.

    Returns
    -------
    ndarray of float32, shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> audio.excerpt(np.zeros(160000, np.float32), 16000, 8000, 2.0, 3.5).shape
    (12000,)
    """
    first, last, n = round(start_s * target_sr), round(end_s * target_sr), 0
    kept = [np.zeros(0, np.float32)]
    for block in stream(source, sr, target_sr):
        kept.append(block[max(0, first - n) : max(0, last - n)])
        n += len(block)
        if n >= last:
            break
    return np.concatenate(kept)


def _chunks(source, sr):
    """Yield blocks of float32, shape (n_samples,), mono, and their rate."""
    source = io.BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
    if isinstance(source, np.ndarray) or not (isinstance(source, (str, os.PathLike)) or hasattr(source, "read")):
        for chunk in [source] if isinstance(source, np.ndarray) else source:
            yield checked_array(chunk, sr, max_s=math.inf), int(sr)
        return
    refuse_rate(sr)
    for block, file_sr in _decoded(source):
        if not np.abs(block).max(initial=0) <= MAX_PEAK:
            what = "has samples that are not finite numbers, or beyond all measure"
            raise error_of(source, Problem("unreadable", what, "values in [-1, 1]", "export it again"))
        yield block.mean(axis=1, dtype=np.float32), file_sr


def _decoded(source):
    """Yield blocks of float32, shape (n_frames, n_channels), and the file's rate."""
    if absent := what_is_absent(source):
        raise error_of(source, absent)
    try:
        file = soundfile.SoundFile(rewound(source))
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        yield from _decoded_by_ffmpeg(source)
        return
    with file:
        head = judged(file, max_s=math.inf)
        if isinstance(head, Problem):
            raise error_of(source, head)
        n_read = 0
        with contextlib.suppress(soundfile.LibsndfileError, RuntimeError):  # said below
            while len(block := file.read(BLOCK // 4, dtype="float32", always_2d=True)):
                n_read += len(block)
                yield block, head.sample_rate_hz
        if n_read < head.n_frames:
            found = f"is damaged inside, after {n_read:,} of {head.n_frames:,} samples"
            raise error_of(source, Problem("unreadable", found, "all of them"))


def _decoded_by_ffmpeg(source):
    with for_ffmpeg(source) as (file, known):
        if isinstance(known, Problem):
            raise error_of(source, known)
        try:
            yield from ffmpeg.blocks(file, known[1])
        except ValueError as error:
            raise error_of(source, not_decoded(known[0], error)) from None
