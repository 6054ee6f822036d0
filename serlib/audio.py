"""The one loader: any container libsndfile reads -> mono float32 at the wanted rate; what is wrong with it; writing.

Decoding is soundfile's (libsndfile), resampling soxr's, as in librosa.
"""

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from .settings import replacing

MAX_DURATION_S = 120.0  # the longest published utterance lasts 33.3 s
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
UNREAD_SUFFIXES = (".m4a", ".mp4", ".aac", ".amr", ".wma", ".webm", ".3gp")  # sound that is not read here
FORMATS = "WAV, FLAC, OGG, MP3 or AIFF"
PITCH_HZ = {"fmin": 60, "fmax": 600, "sr": 8000, "frame_length": 512, "hop_length": 160}  # voices; frames of 64 ms
VOICED_DB = 25.0  # chosen by benchmarks/pitch.py, against librosa.pyin on EMODB


@dataclass(frozen=True)
class Header:
    """What a file's header says, without decoding it. `container` is libsndfile's word: ``WAV``, ``AIFF``, ``MP3``."""

    n_frames: int
    sample_rate_hz: int
    channels: int
    container: str

    @property
    def duration_s(self):
        return self.n_frames / self.sample_rate_hz


@dataclass(frozen=True)
class Problem:
    """Why a file is no utterance: its kind in a word, what was found, what was expected and what to do next."""

    kind: str
    found: str
    expected: str = "a recording"
    next: str = "get the file again"


def files(folder):
    """List the sound files below a folder, by their suffix.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    list of Path
        Sorted; without hidden files and those that macOS adds to archives.
    """
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__MACOSX"]
        named = [name for name in (*folders, *names) if name.lower().endswith(SUFFIXES) and name[0] != "."]
        found += [os.path.join(here, name) for name in named]
    return [Path(file) for file in sorted(found, key=lambda file: file.split(os.sep))]


def inspect(source):
    """Read a sound file's header, or find out what the file is instead.

    Parameters
    ----------
    source : path-like or binary file

    Returns
    -------
    Header or Problem
        A problem's kind is ``gone``, ``empty``, ``lfs-pointer``, ``text``, ``unreadable``, ``no-samples`` or
        ``too-long``.
    """
    file, found = _opened(source)
    if file:
        file.close()
    return found


def _opened(source):
    """Open a sound file: return (SoundFile, Header), or (None, Problem)."""
    if not _is_open(source) and not os.path.isfile(source):
        what = "is a folder" if os.path.isdir(source) else "does not exist"
        return None, Problem("gone", what, "a sound file", "name another")
    try:
        file = soundfile.SoundFile(_rewound(source))
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        return None, _what_is(source)
    found = _judged(Header(file.frames, file.samplerate, file.channels, file.format))
    if isinstance(found, Problem):
        file.close()
        return None, found
    return file, found


def _judged(head):
    """Return a header, or the problem that shows in it."""
    if head.sample_rate_hz < 1 or head.n_frames < 1:
        return Problem("no-samples", "has a header but no samples", "speech")
    if head.duration_s > MAX_DURATION_S:
        expected = f"one utterance, at most {MAX_DURATION_S:.0f} s"
        return Problem("too-long", f"lasts {head.duration_s:.0f} s", expected, "cut it into utterances")
    return head


def header(source):
    """Read a sound file's header.

    Parameters
    ----------
    source : path-like or binary file
        A file held in memory is called "the recording" in messages.

    Returns
    -------
    Header

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not audio, is empty, or is longer than `MAX_DURATION_S`; the message says what was found instead.
    """
    found = inspect(source)
    if isinstance(found, Problem):
        raise _error(source, found)
    return found


def _error(source, problem):
    error = FileNotFoundError if problem.kind == "gone" else ValueError
    return error(f"{_name(source)} {problem.found}; expected {problem.expected}. {problem.next.capitalize()}")


def _is_open(source):
    return hasattr(source, "read")


def _name(source):
    return "the recording" if _is_open(source) else str(source)


def _rewound(source):
    """Return what soundfile opens: a path, or the open file from its start."""
    if _is_open(source):
        source.seek(0)
    return source


def _what_is(source):
    """Say what a file holds that is not audio."""
    if _is_open(source):
        start = _rewound(source).read(64)
        size = source.seek(0, io.SEEK_END)
    else:
        with open(source, "rb") as file:
            start, size = file.read(64), Path(source).stat().st_size
    if size == 0:
        return Problem("empty", "is empty (0 bytes), not audio")
    if start.startswith(b"version https://git-lfs"):
        return Problem(
            "lfs-pointer", f"is a Git-LFS pointer ({size} bytes), not audio", next="run 'git lfs pull' in that clone"
        )
    if start.isascii() and b"\0" not in start and not start.startswith((b"RIFF", b"FORM", b"fLaC", b"OggS")):
        return Problem("text", f"is text ({size} bytes), not audio")
    if start[4:8] == b"ftyp" or start.startswith(b"\x1aE\xdf\xa3"):  # the containers of phones and browsers
        found = f"is MPEG-4 or WebM ({size} bytes), which is not read here"
        return Problem("unreadable", found, FORMATS, "convert it to WAV, with Audacity or ffmpeg")
    return Problem("unreadable", f"is not audio that can be read ({size} bytes)", FORMATS)


def load(source, sr):
    """Decode a sound file, mix it down to mono (mean of the channels) and resample it.

    Parameters
    ----------
    source : path-like or binary file
    sr : int, Hz
        The wanted rate.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        In [-1, 1] for integer formats; ``n_samples`` is ceil(frames x sr / the file's rate), as in `librosa.load`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `header` does; also if a sample is not finite.
    """
    name, (file, head) = _name(source), _opened(source)
    if file is None:
        raise _error(source, head)
    try:
        with file:
            is_16_bit = file.subtype == "PCM_16"  # read as it is, and scaled here: libsndfile takes three times as long
            frames = file.read(head.n_frames, dtype="int16" if is_16_bit else "float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError):
        raise ValueError(f"{name} is damaged inside; expected {head.n_frames} frames. Fetch it again") from None
    if not len(frames):
        raise ValueError(f"{name} has a header but no samples; expected speech. Fetch the file again")
    if is_16_bit:
        frames = frames * np.float32(1 / 32768)
    signal = frames.mean(axis=1) if frames.shape[1] > 1 else frames[:, 0]
    if not is_16_bit and not np.isfinite(signal).all():
        raise ValueError(f"{name} has samples that are not finite numbers (NaN or infinite); export it again")
    return resample(signal, head.sample_rate_hz, sr)


def resample(signal, sr, target_sr):
    """Resample a signal with soxr's high quality, to exactly ceil(n_samples x target_sr / sr) samples.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr, target_sr : int, Hz

    Returns
    -------
    ndarray of float32, shape (ceil(n_samples * target_sr / sr),)
    """
    if sr == target_sr:
        return signal
    n_samples = math.ceil(len(signal) * target_sr / sr)
    resampled = soxr.resample(signal, sr, target_sr, quality="HQ")[:n_samples]
    missing = n_samples - len(resampled)  # soxr may stop one sample early
    return np.pad(resampled, (0, missing)) if missing else resampled


def level_db(signal):
    """Return the signal's root mean square in dB relative to full scale (-inf where it is silent)."""
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
        Each is a kind, ``: ``, what was found and what to do; empty if nothing is wrong.
    """
    found = []
    duration_s, level, n_clipped = len(signal) / sr, level_db(signal), int(np.sum(np.abs(signal) >= 0.999))
    if level == -math.inf:
        return ["silent: every sample is zero; see whether the microphone is muted"]
    if duration_s < 0.5:
        found.append(f"short: {duration_s:.2f} s; emotion needs about a second of speech")
    if duration_s > 15:
        found.append(f"long: {duration_s:.1f} s; the corpora hold single sentences, so cut it")
    if level < -60:
        found.append(f"quiet: {level:.0f} dB below full scale; record closer to the microphone")
    if n_clipped > 100:
        found.append(f"clipped: {n_clipped} samples at full scale; move away from the microphone, or lower its level")
    return found


def wav_bytes(signal, sr):
    """Return a signal as the bytes of a 16-bit PCM WAV file.

    Parameters
    ----------
    signal : ndarray of float32 or int16, shape (n_samples,) or (n_samples, channels)
    sr : int, Hz

    Returns
    -------
    bytes
    """
    file = io.BytesIO()
    soundfile.write(file, signal, sr, format="WAV", subtype="PCM_16")
    return file.getvalue()


def write(path, signal, sr):
    """Write a signal as 16-bit PCM; the file appears whole or not at all.

    Parameters
    ----------
    path : path-like
    signal : ndarray of float32, shape (n_samples,) or (n_samples, channels)
    sr : int, Hz
    """
    with replacing(path) as temporary:
        temporary.write_bytes(wav_bytes(signal, sr))
