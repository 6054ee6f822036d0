"""Signal -> array of fixed shape: the kinds of features; `extract`, cached by content; what is done to vectors.

A kind is one file: a subclass of `Features` with its settings, and its name in `KINDS`.
"""

from .base import KINDS, NAMED, Features, apply, code_of, from_dict, identity, to_dict
from .extraction import extract, from_file, in_chunks, in_order, level_and_pitch, parallel
from .from_table import PREFIX, FeaturesTable
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


def get(name):
    """Return the features called `name`: a kind with default settings, one of its variants, or ``table:FILE``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such kind, or no such table.

    Examples
    --------
    >>> get("mfcc-mean").shape
    (50,)
    """
    if name.startswith(PREFIX):
        return FeaturesTable.of(name.removeprefix(PREFIX))
    if name not in NAMED:
        raise ValueError(f"features {name!r} are unknown; use one of {', '.join(NAMED)}, or {PREFIX}FILE")
    return NAMED[name]


__all__ = [
    "KINDS",
    "MAX_NUMBERS_PER_S",
    "NAMED",
    "Compare",
    "Egemaps",
    "Features",
    "FeaturesTable",
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
