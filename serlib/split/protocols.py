"""Drawing of parts and folds."""

import warnings
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from .. import index as indexing
from ..index import random_parts
from ..settings import SEED
from .sharing import refuse

PROTOCOLS = ("random", "speakers", "loso", "sentences", "cross-corpus")
NORMALISED = {None: "", "speaker": "-normalised", "corpus": "-corpus-normalised"}  # what the protocol is then called
TENTH = "a tenth of the training part, by {}"
GIVEN = "given-parts"  # parts that a table brings, which nobody here has drawn, with speakers on both sides
MIN_SPEAKERS_TO_VALIDATE = 4


def protocol_name(protocol, normalise=None):
    """Return what a protocol is called in results where vectors are standardised.

    Raises
    ------
    ValueError
        If `normalise` is unknown.

    Examples
    --------
    >>> protocol_name("speakers", "speaker")
    'speakers-normalised'
    """
    if normalise not in NORMALISED:
        raise ValueError(f"normalise is {normalise!r}; expected 'speaker' or 'corpus', or nothing")
    return protocol + NORMALISED[normalise]


@dataclass(frozen=True)
class Split:
    """Which fold tests each utterance.

    Attributes
    ----------
    protocol : str
        One of `PROTOCOLS`, or `GIVEN`.
    seed : int or None
        None where nothing was drawn.
    table : DataFrame
        The rows of the index that take part, with one more column: ``fold``, int.
    """

    protocol: str
    seed: int | None
    table: pd.DataFrame = field(repr=False)

    def __post_init__(self):
        refuse(self.table, same_speakers=self.is_speaker_dependent)

    @property
    def is_speaker_dependent(self):
        """Whether speakers may stand on both sides."""
        return self.protocol in ("random", "sentences", GIVEN)

    @property
    def untrained(self):
        """The emotions that are tested in a fold that trains on none of them: {emotion: number of utterances}."""
        counts = Counter()
        for _, train, test in self:
            counts.update(test.loc[~test["emotion"].isin(set(train["emotion"])), "emotion"])
        return dict(sorted(counts.items()))

    @property
    def n_folds(self):
        return int(self.table["fold"].max()) + 1

    def __iter__(self):
        """Yield (fold, training rows, test rows), the rows as DataFrames."""
        for fold in range(self.n_folds):
            is_test = self.table["fold"] == fold
            yield fold, self.table[~is_test], self.table[is_test]


def random(index, *, n_folds=None, test_size=0.2, seed=SEED):
    """Split utterances at random, stratified by emotion: speaker-dependent.

    Parameters
    ----------
    index : DataFrame
        An index table.
    n_folds : int, optional
        Test every utterance once, in this many folds; by default one part of `test_size` is tested.
    test_size : float
        The share that is tested where there is one fold.
    seed : int

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If an emotion has fewer than `n_folds` utterances.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> split.random(table).n_folds, split.random(table, n_folds=5).n_folds
    (1, 5)
    """
    used = _used(index)
    if n_folds is None:
        parts = _by_corpus(used, lambda rows: random_parts(rows["emotion"], test_size=test_size, seed=seed))
        return Split("random", seed, used.assign(fold=np.where(parts == "test", 0, -1)))
    if n_folds < 2:
        raise ValueError(f"{_corpus(used)}: {n_folds} random folds leave nothing to train on; use 2 or more")
    return Split("random", seed, used.assign(fold=_by_corpus(used, lambda rows: _random_folds(rows, n_folds, seed))))


def _random_folds(rows, n_folds, seed):
    counts = rows["emotion"].value_counts()
    if (few := counts[counts < n_folds]).size:
        what = f"{few.index[0]} has {few.iloc[0]} utterance(s)"
        raise ValueError(f"{_corpus(rows)}: {what}; {n_folds} random folds need as many of each emotion. Use fewer")
    fold = np.zeros(len(rows), int)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, rows["emotion"])
    for number, (_, tested) in enumerate(folds):
        fold[tested] = number
    return fold


def speakers(index, *, n_folds=None, seed=SEED):
    """Split into groups of speakers, balanced by gender, then by utterances: speaker-independent.

    Parameters
    ----------
    index : DataFrame
        An index table.
    n_folds : int, optional
        The number of groups; by default 6, or the number of speakers where that is less.
    seed : int
        Breaks ties between equally large speakers.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If there are fewer speakers than folds, or only one.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> for fold, train, test in split.speakers(table, n_folds=3):
    ...     print(fold, len(train), sorted(test["speaker"].unique()))
    0 169 ['emodb/03', 'emodb/12', 'emodb/14']
    1 195 ['emodb/13', 'emodb/15']
    2 196 ['emodb/11', 'emodb/16']
    """
    used = _used(index)
    fold = _by_corpus(used, lambda rows: _assign_groups(rows, "speaker", alike="gender", n_folds=n_folds, seed=seed))
    return Split("speakers", seed, used.assign(fold=fold))


def sentences(index, *, n_folds=None, seed=SEED):
    """Split into groups of sentences, balanced by utterances: unknown sentences of known voices, speaker-dependent.

    Parameters
    ----------
    index : DataFrame
        An index table that says what is spoken in each utterance: its column ``sentence``.
    n_folds : int, optional
        The number of groups; by default 6, or the number of sentences where that is less.
    seed : int
        Breaks ties between sentences that are spoken equally often.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If the index does not know the sentences, or there are fewer of them than folds, or only one.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> folds = split.sentences(table)
    >>> folds.n_folds, folds.is_speaker_dependent
    (6, True)
    """
    used = _used(index)
    instead = "Use protocol='speakers', or name the sentences in the passport or table of a corpus of your own"
    if (nameless := used.loc[used["sentence"] == "", "utterance"]).size:
        raise ValueError(
            f"{_corpus(used)}: {len(nameless):,} of {len(used):,} utterances have no sentence, as {nameless.iloc[0]};"
            f" expected to know what is spoken in each. {instead}"
        )
    if used[["sentence", "emotion"]].drop_duplicates()["sentence"].is_unique:
        raise ValueError(
            f"{_corpus(used)}: each sentence is spoken with one emotion only, as {used['sentence'].iloc[0]!r} with"
            f" {used['emotion'].iloc[0]}; expected sentences, not numbers within an emotion. {instead}"
        )
    how = {"alike": "sentence", "n_folds": n_folds, "seed": seed}
    fold = _by_corpus(used, lambda rows: _assign_groups(rows, "sentence", **how))
    return Split("sentences", seed, used.assign(fold=fold))


def loso(index):
    """Leave one speaker out: a fold per speaker, in the speakers' order.

    Parameters
    ----------
    index : DataFrame
        An index table.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If there is only one speaker.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> folds = split.loso(table)
    >>> folds.n_folds == table["speaker"].nunique()
    True
    """
    used = _used(index)
    names = sorted(used["speaker"].unique())
    if len(names) < 2:
        raise ValueError(f"{_corpus(used)}: only the speaker {names} is there; leaving one out needs at least 2")
    return Split("loso", None, used.assign(fold=used["speaker"].map({name: k for k, name in enumerate(names)})))


def cross_corpus(index, test_index):
    """Train on one or several corpora and test on others, with the emotions that both sides have.

    Parameters
    ----------
    index, test_index : DataFrame
        Index tables that have no corpus in common.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a corpus is on both sides, or fewer than two emotions are shared.

    Examples
    --------
    >>> from serlib import index, split
    >>> _, train, test = next(iter(split.cross_corpus(index.load("emodb"), index.load("ravdess"))))
    >>> sorted(test["emotion"].unique())
    ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness']
    """
    train, test = _used(index), _used(test_index)
    if both := sorted(set(train["corpus"]) & set(test["corpus"])):
        raise ValueError(
            f"{', '.join(both)} would be trained on and tested; cross-corpus needs other corpora to test on"
        )
    shared = set(train["emotion"]) & set(test["emotion"])
    if len(shared) < 2:
        raise ValueError(
            f"{_corpus(train)} and {_corpus(test)} share the emotions {sorted(shared)}; expected two or more"
        )
    rows = pd.concat([train.assign(fold=-1), test.assign(fold=0)], ignore_index=True)
    rows.attrs = _attrs_of_both(train, test)
    rows = rows[rows["emotion"].isin(shared)].reset_index(drop=True)
    return Split("cross-corpus", None, rows)


def _attrs_of_both(train, test):
    sources = indexing.sources(train) | indexing.sources(test)
    return {"sources": sources, "synthetic": indexing.is_synthetic(train) or indexing.is_synthetic(test)}


def make(index, protocol, *, n_folds=None, test_index=None, seed=SEED):
    """Split by the protocol's name; `GIVEN`, and ``random`` without `n_folds`, take the parts that the index has.

    Raises
    ------
    ValueError
        If the protocol is unknown, or cannot be had as asked for.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> split.make(table, "speakers").n_folds
    6
    """
    if protocol == GIVEN or (protocol == "random" and n_folds is None):
        return _as_asked(from_parts(index), n_folds)
    if protocol == "random":
        return random(index, n_folds=n_folds, seed=seed)
    if protocol == "speakers":
        return speakers(index, n_folds=n_folds, seed=seed)
    if protocol == "loso":
        return _as_asked(loso(index), n_folds)
    if protocol == "sentences":
        return sentences(index, n_folds=n_folds, seed=seed)
    if protocol == "cross-corpus":
        if test_index is None:
            raise ValueError(
                "cross-corpus needs a second corpus to test on; give its index table, in the terminal with --test-on"
            )
        return _as_asked(cross_corpus(index, test_index), n_folds)
    raise ValueError(f"protocol {protocol!r} is unknown; use one of {', '.join((*PROTOCOLS, GIVEN))}")


def _as_asked(split, n_folds):
    """Return a split with a fixed number of folds; raise if another number was asked for."""
    if n_folds not in (None, split.n_folds):
        raise ValueError(f"{split.protocol} has {split.n_folds} folds here, not {n_folds}; leave the number out")
    return split


def from_parts(index):
    """Return the split that an index table's ``part`` column states, called what it is.

    It is ``random`` if it is the draw of the seed that the table's ``attrs`` name, ``speakers`` if its parts have no
    speaker in common, and else `GIVEN`.

    Raises
    ------
    ValueError
        If no row is ``train``, or none is ``test``.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> split.from_parts(table).protocol
    'random'
    """
    used = _used(index)
    is_test = used["part"] == "test"
    if not is_test.any() or is_test.all():
        part = "train" if is_test.all() else "test"
        raise ValueError(f"{_corpus(used)}: no row of the index has the part {part!r}; make the index again")
    seed, table = (
        index.attrs.get("seed"),
        used.assign(fold=used["part"].map({"test": 0, "train": -1, "validation": -2})),
    )
    if isinstance(seed, int) and (indexing.redraw(used, seed=seed)["part"] == used["part"]).all():
        return Split("random", seed, table)
    is_separate = not set(used.loc[is_test, "speaker"]) & set(used.loc[~is_test, "speaker"])
    return Split("speakers" if is_separate else GIVEN, None, table)


def validation(train, *, by_speaker, seed=SEED):
    """Choose the rows that draw the validation curve, and are not trained on: those of fold -2, else a tenth.

    Whole speakers are taken where `by_speaker` is wanted and training holds at least four, else utterances, stratified
    by emotion. Nothing is selected by the curve.

    Parameters
    ----------
    train : DataFrame
        Training rows of a split.
    by_speaker : bool
        True for speaker-independent protocols, so that the curve shows what the test will.
    seed : int

    Returns
    -------
    mask : ndarray of bool, shape (n_rows,)
    source : str
        What rows these are.

    Examples
    --------
    >>> from serlib import index, split
    >>> table = index.load("emodb")
    >>> _, train, _ = next(iter(split.speakers(table)))
    >>> is_validation, source = split.validation(train, by_speaker=True)
    >>> source, sorted(train.loc[is_validation, "speaker"].unique())
    ('a tenth of the training part, by speakers', ['emodb/11'])
    """
    if (is_given := train["fold"] == -2).any():
        return is_given.to_numpy(), "the table's own validation part"
    n_speakers = train["speaker"].nunique()
    if by_speaker and n_speakers >= MIN_SPEAKERS_TO_VALIDATE:
        folds = StratifiedGroupKFold(min(10, n_speakers), shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # an emotion that some speakers have not
            _, held_out = next(folds.split(train, train["emotion"], train["speaker"]))
        return np.isin(np.arange(len(train)), held_out), TENTH.format("speakers")
    return random_parts(train["emotion"], test_size=0.1, seed=seed) == "test", TENTH.format("utterances")


def _assign_groups(used, column, *, alike, n_folds, seed):
    """Return the fold of each row; rows with the same value of `column` stay together.

    The largest groups are assigned first, each to the fold that has the fewest groups of the same `alike`, and
    then the fewest utterances.
    """
    sizes = used.groupby(column).agg(alike=(alike, "first"), n=("utterance", "size"))
    n_groups = len(sizes)
    n_folds = min(6, n_groups) if n_folds is None else n_folds
    if n_groups < 2 or not 2 <= n_folds <= n_groups:
        raise ValueError(
            f"{_corpus(used)}: {n_folds} folds of {n_groups} {column}s are impossible; use 2 to {n_groups} folds"
            f" of at least 2 {column}s"
        )
    rng = np.random.default_rng(seed)
    sizes = sizes.iloc[rng.permutation(n_groups)].sort_values("n", ascending=False, kind="stable")
    n_alike, n_rows, fold_of = [Counter() for _ in range(n_folds)], [0] * n_folds, {}
    for group, value, n in sizes.itertuples():
        fold = min(range(n_folds), key=lambda k: (n_alike[k][value], n_rows[k], k))
        fold_of[group] = fold
        n_alike[fold][value] += 1
        n_rows[fold] += n
    return used[column].map(fold_of).to_numpy()


def _by_corpus(used, assign):
    """Apply `assign` to each corpus's rows: ndarray, shape (n_rows,)."""
    pieces = [pd.Series(assign(rows), index=rows.index) for _, rows in used.groupby("corpus")]
    return pd.concat(pieces).reindex(used.index).to_numpy()


def _used(index):
    """Return the rows of an index table that have a part."""
    index = indexing.check(index)
    used = index[index["part"] != ""].reset_index(drop=True)
    if used.empty:
        raise ValueError("the index has no row with a part; expected at least two utterances. Index the corpus again")
    return used


def _corpus(rows):
    return "+".join(sorted(rows["corpus"].unique()))
