"""What phones and browsers write and libsndfile does not read: decoded by FFmpeg, through PyAV, into WAV in memory."""

import io

import numpy as np
import soundfile

MAX_DECODED_BYTES = 1 << 29  # as floats: two minutes of eight channels at 96 kHz need less
CUT_OFF_S = 0.2  # that may be missing of what the file says: encoders pad
STARTS = {  # what a file is that begins so, and what FFmpeg calls that
    b"\x1aE\xdf\xa3": ("WebM or Matroska", "matroska"),
    b"#!AMR": ("AMR", "amr"),
    b"\x30\x26\xb2\x75": ("Windows Media", "asf"),
    b"\xff\xf1": ("AAC", "aac"),
    b"\xff\xf9": ("AAC", "aac"),
    b"caff": ("Core Audio", "caf"),
}
UNDECLARED = ("amr", "aac")  # they do not say how long they are; FFmpeg guesses


def format_of(start):
    """Return what a file that begins with these bytes is, and FFmpeg's name of that; None if it is nothing of `STARTS`.

    FFmpeg is told the format, so that a file's bytes cannot choose among its hundreds of readers.
    """
    if start[4:8] == b"ftyp":
        return "MPEG-4", "mov"
    return next((names for first, names in STARTS.items() if start.startswith(first)), None)


def blocks(file, name):
    """Decode the first audio stream of a file, block by block.

    Parameters
    ----------
    file : binary file
        FFmpeg reads nothing else, wherever the file points.
    name : str
        What FFmpeg calls its format.

    Yields
    ------
    block : ndarray of float32, shape (n_frames, n_channels)
    sr : int, Hz
        The same each time.

    Raises
    ------
    ValueError
        What is wrong, as the end of a sentence about the file.
    """
    import av  # and with it FFmpeg's libraries, for files that need them only

    n_frames, declared_s = 0, 0.0
    try:
        with av.open(file, format=name) as container:
            resampler = av.AudioResampler(format="flt")  # nothing but the samples' format changes
            for stream in container.streams.audio[:1]:
                declared_s = 0.0 if name in UNDECLARED else _declared_s(container, stream)
                for block in (block for frame in container.decode(stream) for block in resampler.resample(frame)):
                    sr = block.sample_rate
                    n_frames += block.samples
                    yield block.to_ndarray().reshape(-1, block.layout.nb_channels), sr
    except av.error.FFmpegError as error:
        where = f"is damaged inside, after {n_frames:,} samples" if n_frames else "cannot be decoded"
        raise ValueError(f"{where} ({error.strerror})") from None
    except ValueError:  # of the resampler
        raise ValueError("changes its rate or its channels midway") from None
    if not n_frames:
        raise ValueError("has no sound in it")
    if n_frames < (declared_s - CUT_OFF_S) * sr:
        raise ValueError(f"is cut off: {n_frames / sr:.1f} of {declared_s:.1f} s are there")


def to_wav(file, name, *, max_s):
    """Decode a file as `blocks` does, and return it as a binary file: WAV, 32-bit floats.

    No more is decoded than a little beyond `max_s` seconds, or `MAX_DECODED_BYTES`.
    """
    decoded, n_bytes, n_frames = [], 0, 0
    for block, sr in blocks(file, name):
        decoded.append(block)
        n_bytes += block.nbytes
        n_frames += len(block)
        if n_frames > (max_s + 1) * sr or n_bytes > MAX_DECODED_BYTES:
            break
    wav = io.BytesIO()
    soundfile.write(wav, np.concatenate(decoded), sr, format="WAV", subtype="FLOAT")
    wav.seek(0)
    return wav


def _declared_s(container, stream):
    """Return the duration in the file's header in seconds, or 0 if there is none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    is_alone = len(container.streams) == 1
    return container.duration / 1e6 if container.duration and is_alone else 0.0
