"""Sound files and signals: what is there, what is wrong with it, decoding, resampling, writing."""

import contextlib
import io
import itertools
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..storage import printable, replacing
from . import ffmpeg

MAX_DURATION_S = 120.0  # the longest published utterance lasts 33.3 s
MAX_BYTES = 1 << 30  # of a file: more than so many seconds of eight channels at 192 kHz
RATES_HZ = (4000, 384_000)  # telephones have 8 kHz, the corpora up to 96 kHz
MAX_CHANNELS = 8
MAX_PEAK = 2.0**31  # whole numbers of 32 bits that somebody wrote as floats; what is far louder overflows in MFCCs
BLOCK = 1 << 18  # frames decoded at once, before they are mixed down
# A length that its writer did not know and left: libsndfile's, SoX's and ffmpeg's way of saying "to the end".
# All are larger than any file that is read.
UNSAID_BYTES = 0x7FFFF000
UNSAID_FRAMES = 2**62  # the same of FLAC, as libsndfile says it
HEADER_BYTES = 44  # some writers count them in
DECLARED = re.compile(
    r"^\s*(?:data|SSND|BODY|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE
)  # libsndfile's log
# What looks like sound: whatever has such a name is read, or it is said why not.
SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64"),
    *(".m4a", ".mp4", ".mov", ".aac", ".amr", ".3gp", ".wma", ".webm", ".mka"),
)
CANCELLED = 1e-3  # of the channels' mean power: what is left of it in the mix where they cancel each other
CUT = "cut it into utterances, or hear it in windows (predict --windows)"
FORMATS = "WAV, FLAC, OGG, MP3, M4A, WebM, AMR or WMA"


@dataclass(frozen=True)
class Header:
    """What a file's header says. `container` is libsndfile's word (``WAV``, ``MP3``), else that of `ffmpeg.STARTS`."""

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

    Raises
    ------
    PermissionError
        If a folder below may not be looked into: what it holds would be left out in silence.

    Examples
    --------
    >>> from serlib import audio, index
    >>> found = audio.files(index.corpus_folder("emodb"))
    >>> len(found), found[0].name
    (280, '03a01Fa.wav')
    """
    found = []
    for here, folders, names in _walk(folder):
        folders[:] = [name for name in folders if name != "__MACOSX"]
        named = [name for name in (*folders, *names) if name.lower().endswith(SUFFIXES) and name[0] != "."]
        found += [os.path.join(here, name) for name in named]
    return [Path(file) for file in sorted(found, key=lambda file: file.split(os.sep))]


def below(folder):
    """List all files and folders below a folder, sorted; what is behind a linked folder is not below it.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    list of Path

    Raises
    ------
    PermissionError
        If one of the folders may not be looked into.

    Examples
    --------
    >>> from serlib import audio, index
    >>> [path.name for path in audio.below(index.corpus_folder("emodb"))][-2:]
    ['16b10Td.wav', '16b10Wb.wav']
    """
    return sorted(Path(here, name) for here, *names in _walk(folder) for name in itertools.chain(*names))


def _walk(folder):
    """Walk a folder as `os.walk` does, but raise if a folder cannot be read."""

    def refuse(error):
        if isinstance(error, PermissionError):
            said = f"{printable(error.filename)} cannot be looked into ({error.strerror}); expected a folder to be read"
            raise PermissionError(f"{said}. Let yourself read it, or move it away") from None

    return os.walk(folder, onerror=refuse)


def inspect(source):
    """Return a sound file's `Header`, or the `Problem` that it has."""
    file, found = _opened(source)
    if file:
        file.close()
    return found


def _opened(source):
    """Open a sound file: return (SoundFile, Header), or (None, Problem)."""
    if absent := what_is_absent(source):
        return None, absent
    if (size := _size(source)) > MAX_BYTES:
        return None, Problem("too-long", f"has {size:,} bytes", _one_utterance(), "cut it into utterances")
    try:
        file, container = soundfile.SoundFile(rewound(source)), None
    except (soundfile.LibsndfileError, RuntimeError, TypeError):
        file, container = _decoded_by_ffmpeg(source)
        if isinstance(file, Problem):
            return None, file
    found = judged(file, container)
    if isinstance(found, Problem):
        file.close()
        return None, found
    return file, found


def _decoded_by_ffmpeg(source):
    """Decode a file that libsndfile cannot read: return (SoundFile, its format), or (Problem, None)."""
    with for_ffmpeg(source) as (file, known):
        if isinstance(known, Problem):
            return known, None
        try:
            return soundfile.SoundFile(ffmpeg.to_wav(file, known[1], max_s=MAX_DURATION_S)), known[0]
        except ValueError as error:
            return not_decoded(known[0], error), None


@contextlib.contextmanager
def for_ffmpeg(source):
    """Open what libsndfile does not read: yield it and what `ffmpeg.format_of` says, or None and the `Problem`."""
    problem = _what_is(source)
    if problem.kind != "unreadable":
        yield None, problem
        return
    with contextlib.nullcontext(rewound(source)) if _is_open(source) else open(source, "rb") as file:
        known = ffmpeg.format_of(file.read(64))
        file.seek(0)
        yield file, known or problem


def not_decoded(what, error):
    """Return the `Problem` of a file that FFmpeg does not decode."""
    return Problem("unreadable", f"is {what} that {error}", next="export it again, as WAV")


def judged(file, container=None, *, max_s=MAX_DURATION_S):
    """Return the header of an open SoundFile, or the `Problem` that shows in it, or in what libsndfile says of it."""
    head, log = Header(file.frames, file.samplerate, file.channels, container or file.format), file.extra_info
    if head.sample_rate_hz < 1 or head.n_frames < 1:
        return Problem("no-samples", "has a header but no samples", "speech")
    if head.n_frames >= UNSAID_FRAMES:
        return Problem("unreadable", "does not say how long it is", "a header that does", "export it again")
    if head.duration_s > max_s:
        return Problem("too-long", f"lasts {head.duration_s:.0f} s", _one_utterance(), CUT)
    if not RATES_HZ[0] <= head.sample_rate_hz <= RATES_HZ[1]:
        expected = f"speech at {RATES_HZ[0]:,} to {RATES_HZ[1]:,} Hz"
        return Problem("format", f"has a rate of {head.sample_rate_hz:,} Hz", expected)
    if head.channels > MAX_CHANNELS:
        return Problem("format", f"has {head.channels:,} channels", f"at most {MAX_CHANNELS}", "keep some of them")
    for declared, found in [map(int, sizes) for sizes in DECLARED.findall(log)]:
        if 0 < declared < UNSAID_BYTES and declared - found > HEADER_BYTES:
            width = found // head.n_frames or found / head.n_frames  # bytes of a frame, less than one where compressed
            return _cut_off(head.n_frames, int(declared // width))
    return head


def _one_utterance():
    return f"one utterance, at most {MAX_DURATION_S:.0f} s"


def _cut_off(n_found, n_declared):
    return Problem("cut-off", f"is cut off: {n_found:,} of {n_declared:,} samples are there", "all of them")


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
        If it is no audio or no utterance: empty, cut off, longer than `MAX_DURATION_S`, of a rate outside `RATES_HZ`,
        of more than `MAX_CHANNELS`; the message says what was found instead.

    Examples
    --------
    >>> from serlib import audio, index
    >>> header = audio.header(audio.files(index.corpus_folder("emodb"))[0])
    >>> header.sample_rate_hz, header.channels, header.container
    (16000, 1, 'WAV')
    """
    found = inspect(source)
    if isinstance(found, Problem):
        raise error_of(source, found)
    return found


def error_of(source, problem):
    """Return a problem as an exception, its message a line."""
    error = FileNotFoundError if problem.kind == "gone" else ValueError
    return error(
        f"{_name(source)} {problem.found}; expected {problem.expected}. {problem.next[0].upper()}{problem.next[1:]}"
    )


def _is_open(source):
    return hasattr(source, "read")


def _name(source):
    return "the recording" if _is_open(source) else printable(source)


def _size(source):
    return source.seek(0, io.SEEK_END) if _is_open(source) else os.path.getsize(source)


def rewound(source):
    """Return what soundfile opens: a path, in any spelling that the system allows, or the open file from its start."""
    if not _is_open(source):
        return os.fsencode(source) if os.name == "posix" else source
    source.seek(0)
    return source


def what_is_absent(source):
    """Return the `Problem` of a path where no file is, or None."""
    if _is_open(source) or os.path.isfile(source):
        return None
    found = "is a link that leads nowhere" if os.path.islink(source) else "does not exist"
    if os.path.exists(source):
        found = "is a folder" if os.path.isdir(source) else "is a pipe or a device"
    return Problem("gone", found, "a sound file", "name another")


def _what_is(source):
    """Say what a file holds that is not audio."""
    size = _size(source)
    try:
        start = rewound(source).read(64) if _is_open(source) else _start(source)
    except OSError as error:
        return Problem(
            "forbidden", f"cannot be opened ({error.strerror})", next="let yourself read it, or leave it out"
        )
    if size == 0:
        return Problem("empty", "is empty (0 bytes), not audio")
    if start.startswith(b"version https://git-lfs"):
        return Problem(
            "lfs-pointer", f"is a Git-LFS pointer ({size} bytes), not audio", next="run 'git lfs pull' in that clone"
        )
    is_sound = start.startswith((b"RIFF", b"FORM", b"fLaC", b"OggS")) or ffmpeg.format_of(start)
    if start.isascii() and b"\0" not in start and not is_sound:
        return Problem("text", f"is text ({size} bytes), not audio")
    return Problem("unreadable", f"is not audio that can be read ({size} bytes)", FORMATS)


def _start(path):
    with open(path, "rb") as file:
        return file.read(64)


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
        As `header` does; also if it is damaged inside, a sample is not finite or beyond `MAX_PEAK`, or its channels
        cancel each other.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> audio.write("second.wav", np.zeros((16000, 2), np.float32), 16000)
    >>> audio.load("second.wav", 8000).shape
    (8000,)
    """
    file, head = _opened(source)
    if file is None:
        raise error_of(source, head)
    with file:
        signal = _decoded(file, head.n_frames)
    if isinstance(signal, Problem):
        raise error_of(source, signal)
    return resample(signal, head.sample_rate_hz, sr)


def _decoded(file, n_frames):
    """Read frames and mix them down, block by block: float32, shape (n_frames,); or return a problem."""
    is_16_bit = file.subtype == "PCM_16"  # read as it is, and scaled here: libsndfile takes three times as long
    blocks, n_read, power, mixed_power = [], 0, 0.0, 0.0
    while n_read < n_frames:
        try:
            block = file.read(min(BLOCK, n_frames - n_read), dtype="int16" if is_16_bit else "float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError):
            return Problem("unreadable", f"is damaged inside, after {n_read:,} of {n_frames:,} samples", "all of them")
        if not len(block):
            return _cut_off(n_read, n_frames)
        if is_16_bit:
            block = block * np.float32(1 / 32768)
        elif not np.abs(block).max() <= MAX_PEAK:
            what = "has samples that are not finite numbers, or beyond all measure"
            return Problem("unreadable", what, "values in [-1, 1]", "export it again")
        mixed = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
        if block.shape[1] > 1:
            power += float(np.mean(np.square(block), dtype=np.float64)) * len(block)
            mixed_power += float(np.mean(np.square(mixed), dtype=np.float64)) * len(block)
        blocks.append(mixed)
        n_read += len(block)
    if mixed_power < CANCELLED * power:
        found = "has channels that cancel each other when they are mixed to mono"
        return Problem("cancelled", found, "channels in phase", "keep one channel of it, or invert the other")
    return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]


def signal_of(source, sr, target_sr):
    """Return a path, a binary file, bytes, or an array with its rate `sr` as a mono signal at `target_sr`."""
    if isinstance(source, np.ndarray):
        return resample(checked_array(source, sr), int(sr), target_sr)
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = io.BytesIO(source)
    if not isinstance(source, (str, os.PathLike)) and not _is_open(source):
        kinds = "a path, an open file, bytes of a sound file, or an array of samples (numpy) with its rate"
        raise TypeError(f"the recording is a {type(source).__name__}; expected {kinds}. Convert it")
    refuse_rate(sr)
    if _is_open(source) and isinstance(source.read(0), str):
        raise TypeError("the recording is a file that is open as text; expected bytes. Open it with mode 'rb'")
    if _is_open(source) and not source.seekable():
        source = io.BytesIO(source.read(MAX_BYTES + 1))
    return load(source, target_sr)


def refuse_rate(sr):
    """Raise ValueError if a rate is given for a file."""
    if sr is not None:
        raise ValueError(f"a rate of {sr} Hz is given for a file, which has its own; expected none. Leave it out")


def checked_array(signal, sr, *, max_s=MAX_DURATION_S):
    """Return an array as float32, if it is a mono signal with a rate."""
    if not isinstance(signal, np.ndarray):
        found = f"the signal is a {type(signal).__name__}; expected an array of samples (numpy)"
        raise TypeError(f"{found}. Convert it")
    if not isinstance(sr, (int, np.integer)) or not RATES_HZ[0] <= sr <= RATES_HZ[1]:
        expected = f"a whole number from {RATES_HZ[0]:,} to {RATES_HZ[1]:,} Hz"
        raise ValueError(f"the signal's rate is {sr!r}; expected {expected}. Give it with the signal: hear(signal, sr)")
    if signal.ndim != 1 or not len(signal):
        mono = "(n_samples,), mono, with one sample or more"
        raise ValueError(f"the signal has shape {signal.shape}; expected {mono}. Average the channels")
    if not np.issubdtype(signal.dtype, np.floating):
        scaled = "Divide 16-bit samples by 32768"
        raise ValueError(f"the signal has samples of type {signal.dtype}; expected floats in [-1, 1]. {scaled}")
    if len(signal) / sr > max_s:
        raise ValueError(
            f"the signal lasts {len(signal) / sr:.0f} s; expected {_one_utterance()}. {CUT[0].upper()}{CUT[1:]}"
        )
    if not np.abs(signal).max() <= MAX_PEAK:
        raise ValueError(
            "the signal has samples that are not finite numbers, or far too large; expected values in [-1, 1]"
        )
    return signal.astype(np.float32)


def resample(signal, sr, target_sr):
    """Resample a signal with soxr's high quality, to exactly ceil(n_samples x target_sr / sr) samples.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr, target_sr : int, Hz

    Returns
    -------
    ndarray of float32, shape (ceil(n_samples * target_sr / sr),)

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> audio.resample(np.zeros(48000, np.float32), 48000, 16000).shape
    (16000,)
    """
    if sr == target_sr:
        return signal
    n_samples = math.ceil(len(signal) * target_sr / sr)
    resampled = soxr.resample(signal, sr, target_sr, quality="HQ")[:n_samples]
    missing = n_samples - len(resampled)  # soxr may stop one sample early
    return np.pad(resampled, (0, missing)) if missing else resampled


def wav_bytes(signal, sr):
    """Return a signal as the bytes of a 16-bit PCM WAV file.

    Parameters
    ----------
    signal : ndarray of float32 or int16, shape (n_samples,) or (n_samples, channels)
    sr : int, Hz

    Returns
    -------
    bytes

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import audio
    >>> audio.wav_bytes(np.zeros(16000, np.float32), 16000)[:4]
    b'RIFF'
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

    Examples
    --------
    >>> from serlib import audio, synthetic
    >>> signal = synthetic.speech("anger", "anyone", gender="female", sr=16000)
    >>> audio.write("anger.wav", signal, 16000)
    >>> audio.header("anger.wav").n_frames == len(signal)
    True
    """
    with replacing(path) as temporary:
        temporary.write_bytes(wav_bytes(signal, sr))
