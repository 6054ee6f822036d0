"""Signal -> array of fixed shape: the kinds of features; `extract`, cached by content; what is done to vectors.

A kind is one file: a subclass of `Features` with its settings, and its name in `KINDS`.
"""

from .base import KINDS, Features, apply, from_dict, get, identity, to_dict
from .extraction import extract, from_file, in_chunks, level_and_pitch, parallel
from .log_mel import LogMel
from .mfcc import (
    MAX_NUMBERS_PER_S,
    MfccFunctionals,
    MfccMean,
    functionals,
    invert,
    mean_mfcc,
    mel_bands,
    mel_db,
    mfcc,
    spectrogram_db,
)
from .spaces import project, standardise

KINDS |= {kind().name: kind for kind in (MfccMean, MfccFunctionals, LogMel)}

__all__ = [
    "KINDS",
    "MAX_NUMBERS_PER_S",
    "Features",
    "LogMel",
    "MfccFunctionals",
    "MfccMean",
    "apply",
    "extract",
    "from_dict",
    "from_file",
    "functionals",
    "get",
    "identity",
    "in_chunks",
    "invert",
    "level_and_pitch",
    "mean_mfcc",
    "mel_bands",
    "mel_db",
    "mfcc",
    "parallel",
    "project",
    "spectrogram_db",
    "standardise",
    "to_dict",
]
