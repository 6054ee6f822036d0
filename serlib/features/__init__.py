"""Signal -> array of fixed shape: the kinds of features; `extract`, cached by content; what is done to vectors.

A kind is one file: a subclass of `Features` with its settings, and its name in `KINDS`.
"""

from .base import KINDS, NAMED, Features, apply, code_of, from_dict, get, identity, to_dict
from .extraction import extract, from_file, in_chunks, in_order, level_and_pitch, parallel
from .hub import HubEncoder
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
from .open_smile import Compare, Egemaps
from .spaces import project, standardise
from .whisper import Whisper

_DEFAULTS = (Whisper(), MfccMean(), MfccFunctionals(), LogMel(), Egemaps(), Compare())
KINDS |= {default.name: type(default) for default in _DEFAULTS} | {"hub": HubEncoder}
NAMED |= {default.name: default for default in _DEFAULTS} | {"whisper-tiny.en": Whisper(model="whisper-tiny.en")}

__all__ = [
    "KINDS",
    "MAX_NUMBERS_PER_S",
    "NAMED",
    "Compare",
    "Egemaps",
    "Features",
    "HubEncoder",
    "LogMel",
    "MfccFunctionals",
    "MfccMean",
    "Whisper",
    "apply",
    "code_of",
    "extract",
    "from_dict",
    "from_file",
    "functionals",
    "get",
    "identity",
    "in_chunks",
    "in_order",
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
