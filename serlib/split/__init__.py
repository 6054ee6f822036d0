"""Parts and folds: who is trained on, who is tested; a split with a leak is refused.

A `Split` gives each utterance the number of the fold that tests it; in all other folds it is trained on. Utterances
that are only ever trained on have fold -1, and those that only ever validate -2. Rows of the index without a part
(flagged) belong to no split. Folds of a table of several corpora are drawn corpus by corpus.
"""

from .protocols import (
    GIVEN,
    NORMALISED,
    PROTOCOLS,
    Split,
    cross_corpus,
    from_parts,
    loso,
    make,
    protocol_name,
    random,
    sentences,
    speakers,
    validation,
)
from .sharing import LEAKS, audit, leaks, refuse_leaks

__all__ = [
    "GIVEN",
    "LEAKS",
    "NORMALISED",
    "PROTOCOLS",
    "Split",
    "audit",
    "cross_corpus",
    "from_parts",
    "leaks",
    "loso",
    "make",
    "protocol_name",
    "random",
    "refuse_leaks",
    "sentences",
    "speakers",
    "validation",
]
