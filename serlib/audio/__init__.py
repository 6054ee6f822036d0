"""The one loader: whatever is recorded -> mono float32 at the wanted rate; what is wrong with it; writing.

Decoding is soundfile's (libsndfile), as in librosa, and FFmpeg's of what that does not read; resampling is soxr's.
"""

import soundfile
import soxr

from .files import (
    BLOCK,
    CANCELLED,
    DECLARED,
    FORMATS,
    HEADER_BYTES,
    MAX_BYTES,
    MAX_CHANNELS,
    MAX_DURATION_S,
    MAX_PEAK,
    RATES_HZ,
    SUFFIXES,
    UNSAID_BYTES,
    UNSAID_FRAMES,
    Header,
    Problem,
    below,
    files,
    header,
    inspect,
    load,
    resample,
    signal_of,
    wav_bytes,
    write,
)
from .measures import PITCH_HZ, VOICED_DB, level_db, pitch_hz, trim, warnings
from .rooms import in_room
from .streams import envelope, excerpt, stream

__all__ = [
    "BLOCK",
    "CANCELLED",
    "DECLARED",
    "FORMATS",
    "HEADER_BYTES",
    "MAX_BYTES",
    "MAX_CHANNELS",
    "MAX_DURATION_S",
    "MAX_PEAK",
    "PITCH_HZ",
    "RATES_HZ",
    "SUFFIXES",
    "UNSAID_BYTES",
    "UNSAID_FRAMES",
    "VOICED_DB",
    "Header",
    "Problem",
    "below",
    "envelope",
    "excerpt",
    "files",
    "header",
    "in_room",
    "inspect",
    "level_db",
    "load",
    "pitch_hz",
    "resample",
    "signal_of",
    "soundfile",
    "soxr",
    "stream",
    "trim",
    "warnings",
    "wav_bytes",
    "write",
]
