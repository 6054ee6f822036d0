"""A trained model with its contract: made, saved, read and checked, described by a card; and what is unfamiliar to it.

A bundle is a folder: ``model.onnx`` (what prediction runs), ``bundle.json`` (the contract), ``history.csv`` where there
were epochs, ``MODEL_CARD.md``, and ``model.keras`` for the user where the network is Keras's. Nothing in it names code.
What makes a bundle (scikit-learn, pandas, skl2onnx) is imported where it is used: reading one needs none of it.
"""

from .card import card, trust
from .contract import (
    BUNDLE_FORMAT,
    MAX_BYTES,
    SHIPPED,
    Bundle,
    NeverHeard,
    at_hand,
    check_golden,
    find,
    read,
    read_part,
    shipped,
)
from .distance import DistanceDetector
from .novelty import PASSING_SHARE, NoveltyDetector
from .saving import (
    FILES,
    folder_of,
    golden_wav,
    load_or_train,
    refuse_other_task,
    refuse_place,
    save,
    to_onnx,
    train,
    write_score,
)
from .voice import VoiceCentre

__all__ = [
    "BUNDLE_FORMAT",
    "FILES",
    "MAX_BYTES",
    "PASSING_SHARE",
    "SHIPPED",
    "Bundle",
    "DistanceDetector",
    "NeverHeard",
    "NoveltyDetector",
    "VoiceCentre",
    "at_hand",
    "card",
    "check_golden",
    "find",
    "folder_of",
    "golden_wav",
    "load_or_train",
    "read",
    "read_part",
    "refuse_other_task",
    "refuse_place",
    "save",
    "shipped",
    "to_onnx",
    "train",
    "trust",
    "write_score",
]
