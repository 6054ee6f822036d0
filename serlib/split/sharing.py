"""What training and test share: speakers, recordings, takes."""

import pandas as pd

# What may stand on both sides, and the columns in which utterances are then alike; an empty last one means unknown.
LEAKS = {
    "speaker": ["speaker"],
    "recording": ["content"],
    "take": ["speaker", "emotion", "sentence"],
}


def leaks(train, test, *, kinds=LEAKS):
    """Count the speakers, recordings and takes in both training and test.

    Parameters
    ----------
    train, test : DataFrame
        Rows of an index table.
    kinds : dict of str to list of str
        The columns that make utterances alike, by kind of leak. By default: of the same ``speaker``, the same
        ``recording`` (identical content), or a ``take`` of the same sentence, spoken with the same emotion by the same
        speaker.

    Returns
    -------
    DataFrame
        A row per kind: ``kind``, ``n`` (how many test utterances have their like in `train`), ``n_test``, ``shared``
        (how many speakers, recordings or groups of takes they are), ``examples`` (at most three, separated by commas).

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> split.leaks(table[table["part"] == "train"], table[table["part"] == "test"])[["kind", "n", "n_test"]]
            kind   n  n_test
    0    speaker  56      56
    1  recording   0      56
    2       take  11      56
    """
    return _table(_sides(train, test), kinds).rename(columns={"n_tested": "n_test"})


def audit(split):
    """Count the speakers, recordings and takes in both training and test of a split, over all folds.

    Parameters
    ----------
    split : Split

    Returns
    -------
    DataFrame
        A row per kind, as `leaks` returns it: ``kind``, ``n`` (how many utterances have their like among those that
        their fold trains on), ``n_tested`` (of how many), ``shared``, ``examples``. What is shared in several folds is
        counted once.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> split.audit(split.speakers(table))[["kind", "n", "n_tested"]]
            kind  n  n_tested
    0    speaker  0       280
    1  recording  0       280
    2       take  0       280
    """
    return _table(split.table, LEAKS)


def refuse_leaks(train, test, *, same_speakers):
    """Raise if a speaker (unless allowed) or an identical recording stands on both sides.

    Parameters
    ----------
    train, test : DataFrame
        Rows with ``speaker``, ``content`` and ``utterance``.
    same_speakers : bool
        Whether speakers may be shared.

    Raises
    ------
    ValueError
        Naming what is shared, and what to do.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> split.refuse_leaks(table[:-1], table[-1:], same_speakers=True)
    >>> split.refuse_leaks(table[:-1], table[-1:], same_speakers=False)
    Traceback (most recent call last):
        ...
    ValueError: train and test share speakers ['emodb/16'] (1 in all); use protocol='speakers', or ...
    """
    refuse(_sides(train, test), same_speakers=same_speakers)


def refuse(rows, *, same_speakers):
    """Raise if a fold of `rows` is trained on a speaker (unless allowed) or a recording that it tests."""
    if not same_speakers and (shared := _names(_on_both_sides(rows, LEAKS["speaker"]), "speaker")):
        raise ValueError(
            f"train and test share speakers {shared[:3]} ({len(shared)} in all); use protocol='speakers', or"
            " protocol='random' if that is what you mean to show"
        )
    if names := _names(_on_both_sides(rows, LEAKS["recording"]), "utterance"):
        raise ValueError(
            f"train and test share identical recordings {names[:3]} ({len(names)} in all); keep one of each"
            " (an index made without keeping flagged utterances does)"
        )


def _sides(train, test):
    """Join training and test rows; `test` is the one tested fold."""
    return pd.concat([train.assign(fold=-1), test.assign(fold=0)], ignore_index=True)


def _on_both_sides(rows, columns):
    """Return the rows that share their values of `columns` with a row of another fold."""
    known = rows[rows[columns[-1]] != ""]
    folds = known.groupby(columns, sort=False)["fold"]
    return known[(known["fold"] >= 0) & (folds.transform("min") != folds.transform("max"))]


def _names(rows, column):
    return sorted(rows[column].unique())


def _table(rows, kinds):
    found = []
    for kind, columns in kinds.items():
        both = _on_both_sides(rows, columns)
        found.append(
            {
                "kind": kind,
                "n": len(both),
                "n_tested": int((rows["fold"] >= 0).sum()),
                "shared": len(both.drop_duplicates(columns)),
                "examples": ", ".join(_names(both, "speaker" if kind == "speaker" else "utterance")[:3]),
            }
        )
    return pd.DataFrame(found)
