"""The one loader: any container libsndfile reads -> mono float32 at the wanted rate; what is wrong with it; writing.

Decoding is soundfile's (libsndfile), resampling soxr's, as in librosa.
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
    UNREAD_STARTS,
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
    "UNREAD_STARTS",
    "UNSAID_BYTES",
    "UNSAID_FRAMES",
    "VOICED_DB",
    "Header",
    "Problem",
    "below",
    "files",
    "header",
    "inspect",
    "level_db",
    "load",
    "pitch_hz",
    "resample",
    "signal_of",
    "soundfile",
    "soxr",
    "trim",
    "warnings",
    "wav_bytes",
    "write",
]
