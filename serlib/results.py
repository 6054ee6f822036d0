"""Results of evaluations, stored as small CSV files with a JSON file that describes them, and found again."""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from . import metrics, storage


@dataclass(frozen=True)
class Result:
    """All folds of an evaluation together.

    Attributes
    ----------
    predictions : DataFrame
        A predictions table.
    validated : DataFrame
        Likewise of each fold's validation rows: what may be tuned (a temperature, a threshold) is tuned on these. Empty
        for a recipe that draws no curve, or draws it from the test rows.
    history : DataFrame
        The learning curves, by fold.
    about : dict
        What was done: ``epochs``, ``validation`` (what the curves were drawn from), ``task``, ``synthetic`` ...

    Examples
    --------
    >>> from serlib import evaluate, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> len(result.predictions), result.about["validation"]
    (280, 'none: this classifier learns in no epochs')
    """

    predictions: pd.DataFrame
    validated: pd.DataFrame
    history: pd.DataFrame
    about: dict


def file_of(folder, corpus, recipe, protocol, seed):
    """Return where a folder of results keeps a predictions table.

    Examples
    --------
    >>> from serlib import results
    >>> results.file_of("results", "emodb", "paper", "speakers", 42).as_posix()
    'results/emodb/paper/speakers/seed-42.csv.gz'
    """
    return Path(folder) / corpus / recipe / protocol / f"seed-{seed}.csv.gz"


def refuse_place(file):
    """Raise, before any work, if a result cannot be written to `file`."""
    file = Path(file)
    if not file.name.endswith((".csv", ".csv.gz")):
        raise ValueError(f"{file} is not the name of a table; expected one that ends in .csv or .csv.gz")
    *tables, sidecar = files_of(file)
    storage.refuse_place(*tables, sidecar=sidecar)


def write(result, file):
    """Store a result: predictions, validated and history as CSV, and last a JSON file that describes them.

    Parameters
    ----------
    result : Result
    file : path-like
        Ends in ``.csv`` or ``.csv.gz``.

    Examples
    --------
    >>> from serlib import evaluate, recipes, results
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> results.write(result, "written/emodb.csv")
    >>> sorted(file.name for file in results.files_of("written/emodb.csv"))
    ['emodb.csv', 'emodb.history.csv.gz', 'emodb.json', 'emodb.validated.csv.gz']
    """
    predictions, validated, history, sidecar = files_of(file)
    contents = {
        predictions: _csv_bytes(result.predictions, n_decimals=4, compressed=predictions.suffix == ".gz"),
        validated: _csv_bytes(result.validated, n_decimals=4, compressed=True),
        history: _csv_bytes(result.history, n_decimals=3, compressed=True),
    }
    storage.write_described(contents, sidecar, {**metrics.summary(result.predictions), **result.about})


def _csv_bytes(table, *, n_decimals, compressed):
    """Return a table as the bytes of a CSV file; the same table gives the same bytes."""
    content = table.to_csv(index=False, float_format=f"%.{n_decimals}f", lineterminator="\n").encode()
    return gzip.compress(content, mtime=0) if compressed else content


def read(file):
    """Read a result that `write` stored.

    Returns
    -------
    Result

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged.

    Examples
    --------
    >>> from serlib import evaluate, recipes, results
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> results.write(result, "read-again/emodb.csv.gz")
    >>> results.read("read-again/emodb.csv.gz").predictions.shape == result.predictions.shape
    True
    """
    *tables, sidecar = files = files_of(file)
    if missing := [one for one in files if not one.is_file()]:
        raise FileNotFoundError(f"{missing[0]} does not exist; make it with 'python -m serlib evaluate'")
    about = _read_sidecar(sidecar)
    if changed := [one for one in tables if not storage.is_described(one, about)]:
        raise ValueError(f"{changed[0]} is not the file that {sidecar.name} describes; evaluate again")
    predictions, validated, history = map(_read_table, tables, (metrics.KEYS, metrics.KEYS, ()))
    predictions.attrs = validated.attrs = {"synthetic": about.get("synthetic")}
    return Result(predictions, validated, history, about)


def _read_table(file, wanted):
    text = storage.read_text(file)
    storage.column_names(file, text, wanted=wanted, again="evaluate again")
    try:
        return pd.read_csv(io.StringIO(text))
    except ValueError as error:
        raise ValueError(f"{file} is not a CSV table ({error}); evaluate again") from None


def _read_sidecar(file):
    if not isinstance(about := storage.read_json(file), dict):
        raise ValueError(f"{file} does not describe a result; evaluate again")
    return about


def stored(folder):
    """Return what is known of all results in a folder.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    DataFrame
        A row per result: its ``file`` (the predictions table), and what is in its JSON file (`metrics.summary` and
        more).

    Examples
    --------
    >>> from serlib import evaluate, recipes, results
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> results.write(result, results.file_of("my-results", "emodb", "mfcc-mean+logistic", "speakers", 42))
    >>> results.stored("my-results")[["corpus", "protocol", "recipe", "n"]]
      corpus  protocol              recipe    n
    0  emodb  speakers  mfcc-mean+logistic  280
    """
    rows = []
    for file in sorted(Path(folder).glob("*/*/*/seed-*.json")):
        name = {"file": str(file.with_suffix(".csv.gz"))}  # it comes first, whatever the JSON file holds
        rows.append(name | _read_sidecar(file) | name)
    return pd.DataFrame(rows, columns=None if rows else ["file", "corpus", "protocol", "recipe", "seed"])


def files_of(file):
    """Return the files of a result: predictions, validated, history, and the JSON file that describes them.

    Examples
    --------
    >>> from serlib import results
    >>> [file.name for file in results.files_of("seed-42.csv.gz")]
    ['seed-42.csv.gz', 'seed-42.validated.csv.gz', 'seed-42.history.csv.gz', 'seed-42.json']
    """
    file = Path(file)
    stem = file.name.removesuffix(".gz").removesuffix(".csv")
    return [file, *(file.with_name(f"{stem}.{rest}") for rest in ("validated.csv.gz", "history.csv.gz", "json"))]
