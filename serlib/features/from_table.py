"""Features that another program has computed: a table with a row per utterance."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from .. import corpora, storage
from .base import Features

PREFIX = "table:"
FILE_WORDS = ("path", *corpora.COLUMN_WORDS["path"])
ABOUT_A_ROW = ("start", "end", "part", "fold", "take", "duration_s", "sample_rate_hz", "channels")  # no features


class FeaturesTable(Features, frozen=True, tag="table"):
    """Features of a table that `python -m serlib features` or another program wrote, as CSV or Parquet.

    Utterances are known by the column ``utterance`` (``emodb/03a01Fa``), else by the names of their files, in a column
    ``path`` or ``file``. All other columns of numbers are features, but for `ABOUT_A_ROW`. They can be evaluated; a
    bundle cannot hold them, since nothing here computes them for a new recording.

    Attributes
    ----------
    file : str
    n_features : int
    sha256 : str
        Of the file.
    """

    sr: ClassVar[int] = 16000
    file: str
    n_features: int
    sha256: str

    @classmethod
    def of(cls, file):
        """Return the features that a table holds.

        Parameters
        ----------
        file : path-like

        Raises
        ------
        FileNotFoundError, ValueError
            If it cannot be read as such a table.
        """
        _, numbers = _read(Path(file))
        return cls(str(file), len(numbers.columns), _sha256(file))

    @property
    def shape(self):
        return (self.n_features,)

    def transform(self, signal):
        raise ValueError(f"{self.file} holds no features of this recording; expected a kind that is computed. Name one")

    def look_up(self, index):
        """Return the features of an index table's rows: ndarray of float32, shape (n_utterances, n_features)."""
        keys, numbers = _read(Path(self.file))
        if _sha256(self.file) != self.sha256:
            raise ValueError(f"{self.file} has changed since it was named; expected the same table. Name it again")
        wanted = index["utterance"] if keys.name == "utterance" else index["path"].map(lambda p: PurePosixPath(p).name)
        place = {key: number for number, key in enumerate(keys)}
        if missing := [key for key in wanted if key not in place]:
            raise ValueError(
                f"{self.file} has no row for {len(missing):,} of {len(index):,} utterances, such as {missing[0]};"
                " expected one for each. Add them"
            )
        X = numbers.to_numpy(np.float32)[[place[key] for key in wanted]]
        if not np.isfinite(X).all():
            row, column = np.argwhere(~np.isfinite(X))[0]
            what = f"{numbers.columns[column]} of {wanted.iloc[row]}"
            raise ValueError(f"{self.file}: {what} is missing or not finite; expected a number. Fill it in, or drop it")
        return X


def _sha256(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _read(file):
    """Return what a table's utterances are known by, as a Series, and the columns of features."""
    import pandas as pd

    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist; expected a table of features. Write one: 'serlib features'")
    try:
        if file.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            with open(file, encoding="utf-8-sig") as opened:
                separator = max(corpora.SEPARATORS, key=opened.readline().count)
            table = pd.read_csv(file, sep=separator)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{file} is no table of features ({storage.printable(error)}); expected CSV or Parquet"
        ) from None
    table = table.reset_index() if table.index.name or table.index.nlevels > 1 else table
    words = {str(column).lower(): column for column in table}
    key = next((words[word] for word in ("utterance", *FILE_WORDS) if word in words), None)
    if key is None:
        raise ValueError(f"{file} has no column utterance, {', '.join(FILE_WORDS)}; expected one of them. Rename yours")
    is_by_utterance = str(key).lower() == "utterance"
    keys = table[key].astype(str)
    keys = (keys if is_by_utterance else keys.map(lambda path: PurePosixPath(path.replace("\\", "/")).name)).rename(
        "utterance" if is_by_utterance else "file"
    )
    if keys.duplicated().any():
        raise ValueError(f"{file} has {keys[keys.duplicated()].iloc[0]} twice; expected a row per utterance. Drop one")
    others = [words[word] for word in ABOUT_A_ROW if word in words]
    numbers = table.drop(columns=[key, *others]).select_dtypes("number")
    if not len(numbers.columns):
        raise ValueError(f"{file} has no columns of numbers; expected one per feature. See 'serlib features'")
    return keys, numbers
