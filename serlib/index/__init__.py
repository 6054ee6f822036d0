"""Folder -> index table: a row per utterance, from file names, headers and content hashes; nothing is decoded.

`check` is the one door for tables: whatever takes an index table from Python calls it. Several corpora in one table are
ordinary: `join` puts tables together.

The columns are text but for ``duration_s`` (float), ``sample_rate_hz``, ``channels`` and ``age`` (int); missing is an
empty string (of ``age``, NA). ``part`` is ``train`` or ``test``, or empty: kept out, for the reason in ``flags``. What
does not fit into rows stands in ``table.attrs`` and, on disk, in a JSON file beside the CSV: ``corpus``, ``folder``,
``synthetic``, ``protocol``, ``seed``, ``labels`` (which version), ``relabelled``, ``keep_flagged``, ``dropped`` and
``problems``. A table of several corpora has ``attrs["sources"]``: all this by corpus id.
"""

from ..settings import SEED
from .places import at_hand, corpus_folder, first_at_hand, is_synthetic, load, root_of, table_file
from .scanning import listing, passport_of, scan
from .tables import (
    COLUMNS,
    DEMOGRAPHICS,
    NUMBERS,
    PARTS,
    check,
    fingerprint,
    hold_out,
    join,
    label_versions,
    names,
    parts,
    random_parts,
    read,
    redraw,
    relabel,
    sources,
    write,
)

__all__ = [
    "COLUMNS",
    "DEMOGRAPHICS",
    "NUMBERS",
    "PARTS",
    "SEED",
    "at_hand",
    "check",
    "corpus_folder",
    "fingerprint",
    "first_at_hand",
    "hold_out",
    "is_synthetic",
    "join",
    "label_versions",
    "listing",
    "load",
    "names",
    "parts",
    "passport_of",
    "random_parts",
    "read",
    "redraw",
    "relabel",
    "root_of",
    "scan",
    "sources",
    "table_file",
    "write",
]
