"""Index tables: checked, joined, read and written; their parts."""

import hashlib
import io
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd

from .. import corpora, labels, storage
from ..settings import SEED

COLUMNS = (
    *("utterance", "corpus", "path", "speaker", "gender", "emotion", "sentence", "take", "intensity"),
    *("duration_s", "sample_rate_hz", "channels", "content", "part", "flags"),
)
DEMOGRAPHICS = ("age", "race", "ethnicity")  # of the speaker, where published; a table may do without
NUMBERS = {"duration_s": float, "sample_rate_hz": int, "channels": int, "age": "Int64"}
PARTS = ("train", "validation", "test", "")


def random_parts(emotions, *, test_size=0.2, seed=SEED):
    """Draw ``train`` or ``test`` for each utterance, stratified; an emotion's last utterance stays in ``train``.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import index
    >>> parts = index.random_parts(pd.Series(["anger"] * 10 + ["fear"] * 5))
    >>> sorted(parts.tolist()).count("test")
    3
    """
    emotions = np.asarray(emotions, dtype=object)
    counts = pd.Series(emotions).value_counts().sort_index()
    share = counts * test_size
    n_tested = share.astype(int)
    for emotion in (share - n_tested).sort_values(ascending=False, kind="stable").index:
        if n_tested.sum() < math.ceil(len(emotions) * test_size) and n_tested[emotion] < counts[emotion] - 1:
            n_tested[emotion] += 1
    drawn, parts = np.random.default_rng(seed).permutation(len(emotions)), np.full(len(emotions), "train")
    for emotion, n in n_tested.items():
        parts[drawn[emotions[drawn] == emotion][:n]] = "test"
    return parts


def redraw(table, *, seed):
    """Draw the random part of an index table anew, corpus by corpus.

    Parameters
    ----------
    table : DataFrame
    seed : int

    Returns
    -------
    DataFrame
        A copy; what was kept out stays out. ``attrs["held_out"]`` names the speakers.

    Examples
    --------
    >>> from serlib import index
    >>> table = index.load("emodb")
    >>> other = index.redraw(table, seed=1)
    >>> bool((other["part"] == table["part"]).all()), int((other["part"] == "test").sum())
    (False, 56)
    """
    drawn = check(table).copy()
    for _, rows in table[table["part"] != ""].groupby("corpus"):
        drawn.loc[rows.index, "part"] = random_parts(rows["emotion"], seed=seed)
    drawn.attrs = {**table.attrs, "protocol": "random", "seed": seed}
    return drawn


def relabel(table, *, mapping=None, only=None, by_gender=False):
    """Rename, merge or select emotions, or make separate classes of female and male speakers.

    Parameters
    ----------
    table : DataFrame
        An index table.
    mapping : dict of str to str, optional
        What emotions are called from now on, such as ``{"calm": "neutral"}``; several may become one.
    only : sequence of str, optional
        The emotions to keep, by their new names; all others get no part.
    by_gender : bool
        Whether ``female-anger`` and ``male-anger`` are two classes; speakers of no published gender get no part.

    Returns
    -------
    DataFrame
        A copy; ``attrs["relabelled"]`` says what was done.

    Raises
    ------
    ValueError
        If a name is none that the table has, or fewer than two classes are left.

    Examples
    --------
    >>> from serlib import index
    >>> words = {"happiness": "positive", "anger": "negative", "sadness": "negative"}
    >>> two = index.relabel(index.load("emodb"), mapping=words, only=["positive", "negative"])
    >>> sorted(set(two.loc[two["part"] != "", "emotion"]))
    ['negative', 'positive']
    """
    table = check(table)
    mapping, found = dict(mapping or {}), labels.ordered(table.loc[table["part"] != "", "emotion"])
    if strange := sorted(set(mapping).difference(found)):
        raise ValueError(f"no utterance is called {strange[0]!r}; expected emotions of the table: {', '.join(found)}")
    if faults := [labels.fault(name) for name in mapping.values() if labels.fault(name)]:
        raise ValueError(f"an emotion is to be called {faults[0]}")
    made = table.assign(emotion=table["emotion"].replace(mapping))
    named = labels.ordered(made.loc[made["part"] != "", "emotion"])
    if strange := sorted(set(only or ()).difference(named)):
        raise ValueError(f"no utterance is called {strange[0]!r}; expected some of {', '.join(named)}")
    is_kept = made["emotion"].isin(only or named)
    if by_gender:
        is_kept &= made["gender"].isin(labels.GENDERS)
        made = made.assign(emotion=(made["gender"] + "-" + made["emotion"]).where(is_kept, made["emotion"]))
    made = made.assign(part=made["part"].where(is_kept, ""))
    if made.loc[made["part"] != "", "emotion"].nunique() < 2:
        raise ValueError("fewer than two emotions are left; expected two or more. Keep another one")
    done = {"mapping": mapping, "only": list(only or ()), "by_gender": by_gender}
    made.attrs = {**table.attrs, "relabelled": {name: value for name, value in done.items() if value}}
    return made


def hold_out(table, speakers):
    """Make some speakers' utterances the test part, and all others' the training part.

    Parameters
    ----------
    table : DataFrame
        An index table.
    speakers : sequence of str
        As ``emodb/03``, or ``03`` where one corpus alone has such a speaker.

    Returns
    -------
    DataFrame
        A copy; what was kept out stays out.

    Raises
    ------
    ValueError
        If there is no such speaker, there are several, or nobody is left to train on.

    Examples
    --------
    >>> from serlib import index
    >>> table = index.hold_out(index.load("emodb"), ["03", "11"])
    >>> sorted(table.loc[table["part"] == "test", "speaker"].unique())
    ['emodb/03', 'emodb/11']
    """
    table = check(table)
    used, chosen = table["part"] != "", []
    present = sorted(table.loc[used, "speaker"].unique())
    for name in speakers:
        meant = [speaker for speaker in present if name in (speaker, speaker.split("/", 1)[1])]
        if len(meant) != 1:
            found = f"several speakers are called {name!r}" if meant else f"no speaker is called {name!r}"
            raise ValueError(f"{found}; expected some of {', '.join(meant or present)}")
        chosen += meant
    if len(set(chosen)) == len(present):
        raise ValueError("all speakers are to be tested; expected one at least to train on. Leave one out")
    is_test = table["speaker"].isin(chosen)
    made = table.assign(part=np.where(used, np.where(is_test, "test", "train"), ""))
    made.attrs = {**table.attrs, "held_out": sorted(set(chosen))}
    return made


def parts(table):
    """Count emotions by part.

    Parameters
    ----------
    table : DataFrame
        An index table.

    Returns
    -------
    DataFrame of int, shape (n_emotions + 1, n_parts + 1)
        Columns ``total``, ``train``, ``validation`` if there is such a part, ``test``; a row per emotion in
        `serlib.labels`' order, and one for ``all``.

    Examples
    --------
    >>> from serlib import index
    >>> index.parts(index.load("emodb")).loc["all"].to_dict()
    {'total': 280, 'train': 224, 'test': 56}
    """
    used = table[table["part"] != ""]
    names = [part for part in PARTS[:3] if part != "validation" or (used["part"] == part).any()]
    counts = pd.crosstab(used["emotion"], used["part"]).reindex(
        index=list(labels.ordered(used["emotion"])), columns=names, fill_value=0
    )
    counts.insert(0, "total", counts.sum(axis=1))
    counts.loc["all"] = counts.sum()
    return counts.rename_axis(index="emotion", columns=None)


def write(table, csv):
    """Write an index table as CSV, and its `attrs` as JSON beside it.

    Parameters
    ----------
    table : DataFrame
        Of one corpus, or of several (see `join`).
    csv : path-like
        Ends in ``.csv``.

    Raises
    ------
    ValueError
        If it has the name of the table that declares a corpus of your own, or beside it is a JSON file that is not
        serlib's.
    IsADirectoryError
        If a folder is there.

    Examples
    --------
    >>> from serlib import index
    >>> index.write(index.load("emodb"), "tables/emodb.csv")
    >>> len(index.read("tables/emodb.csv"))
    280
    """
    csv = Path(csv)
    if csv.name == corpora.OWN_TABLE:
        raise ValueError(f"{csv} would declare a corpus; nothing was written. Name another place with -o")
    content = table.to_csv(index=False, float_format="%.4f", lineterminator="\n").encode()
    about = {"corpus": "+".join(names(table)), **table.attrs}
    storage.write_described({csv: content}, csv.with_suffix(".json"), about)


def read(csv):
    """Read an index table that `write` wrote.

    Parameters
    ----------
    csv : path-like

    Returns
    -------
    DataFrame
        As `scan` returns it; ``attrs`` come from the JSON file beside it, if there is one. Of a table that was edited
        since it was written, nothing is believed but where the recordings are, and ``attrs["problems"]`` says so.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an index table: columns missing, or as `check` says.

    Examples
    --------
    >>> from serlib import index
    >>> index.write(index.load("emodb"), "tables/again.csv")
    >>> index.read("tables/again.csv").equals(index.load("emodb"))
    True
    """
    csv = Path(csv)
    if not csv.is_file():
        raise FileNotFoundError(f"{csv} does not exist; expected an index table. Make it with 'python -m serlib index'")
    text, again = storage.read_text(csv), f"make it again with 'python -m serlib index -n NAME -o {csv}'"
    storage.column_names(csv, text, wanted=COLUMNS, again=again)
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise ValueError(f"{csv} is not a CSV table ({error}); {again}") from None
    if table.empty:
        raise ValueError(f"{csv} has no rows; {again}")
    try:
        table = table.reindex(columns=[*COLUMNS, *DEMOGRAPHICS], fill_value="")
        table["age"] = table["age"].replace("", None)
        table = table.astype(NUMBERS)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{csv} has text among its numbers ({error}); {again}") from None
    table.attrs = _attrs_beside(csv, again)
    return check(table, called=str(csv), again=again).sort_values("utterance", ignore_index=True)


def _attrs_beside(csv, again):
    """Return what the JSON file beside a table holds."""
    beside = csv.with_suffix(".json")
    attrs = storage.read_json(beside) if beside.is_file() else {}
    sources = attrs.get("sources", {}) if isinstance(attrs, dict) else None
    each = [attrs, *sources.values()] if isinstance(sources, dict) else [None]
    if not all(isinstance(one, dict) and isinstance(one.get("folder", ""), str) for one in each):
        raise ValueError(f"{beside} does not say where the recordings of {csv.name} are; {again}")
    is_same = storage.is_described(csv, attrs)
    attrs.pop("sha256", None)
    if is_same:
        return attrs
    kept = {
        name: value for name, value in attrs.items() if name in ("corpus", "folder", "synthetic", "labels", "sources")
    }
    edited = f"{csv} was edited after it was indexed: its parts are taken as they stand"
    return {**kept, "edited": edited, "problems": [edited]}


def check(table, *, called="the table", again="index the corpus again"):
    """Return an index table if it is one, whatever made it; of how many corpora does not matter.

    Parameters
    ----------
    table : DataFrame
    called : str
        What to call it in messages.
    again : str
        What to do next, in messages.

    Returns
    -------
    DataFrame
        The same rows, each with a row number of its own; ``attrs`` as given.

    Raises
    ------
    TypeError
        If it is not a DataFrame.
    ValueError
        If a column is missing, an utterance is there twice, an emotion or part is unknown, a speaker is missing, a
        number is impossible, or a path leads out of the corpus's folder.

    Examples
    --------
    >>> from serlib import index
    >>> index.check("emodb.csv")
    Traceback (most recent call last):
        ...
    TypeError: the table is a str; expected an index table (DataFrame). See index.load
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{called} is a {type(table).__name__}; expected an index table (DataFrame). See index.load")
    if missing := [column for column in COLUMNS if column not in table]:
        raise ValueError(f"{called} has no column {missing[0]!r}; expected {', '.join(COLUMNS)}; {again}")
    if (twice := table.loc[table["utterance"].duplicated(), "utterance"]).size:
        n = f" ({len(twice):,} rows too many)"
        raise ValueError(f"{called} holds {few(twice)} twice{n}; expected each utterance once. Use drop_duplicates()")
    if (nobodys := table.loc[table["speaker"].isna() | (table["speaker"] == ""), "utterance"]).size:
        raise ValueError(f"{called} does not say who speaks in {few(nobodys)}; {again}")
    if faults := sorted(filter(None, map(labels.fault, table["emotion"].unique()))):
        raise ValueError(f"{called} has an emotion that is {faults[0]}; {again}")
    if unknown := sorted(set(map(str, table["part"])).difference(PARTS)):
        raise ValueError(f"{called} has unknown values in 'part': {unknown[:3]}; expected {PARTS}")
    least = pd.Series({"duration_s": 0, "sample_rate_hz": 1, "channels": 1})
    numbers = table[least.index].astype(float)
    if not ((numbers >= least) & np.isfinite(numbers)).all(axis=None):
        raise ValueError(f"{called} has durations, rates or numbers of channels that no recording has; {again}")
    if strange := [name for name in map(str, table["corpus"].unique()) if not re.fullmatch(r"\w[\w.-]*", name)]:
        raise ValueError(f"{called} holds the corpus {strange[0]!r}; expected corpora called by their ids; {again}")
    suspects = table.loc[table["path"].str.contains(r"\.\.|^[/\\]|:", na=True), "path"]
    if astray := [path for path in suspects if corpora.leads_out(path)]:
        inside = f"expected paths inside it; {again}"
        raise ValueError(f"{called} has paths that lead out of the corpus's folder: {few(astray)}; {inside}")
    return table.reset_index(drop=True) if table.index.has_duplicates else table


def names(table):
    """Return the ids of a table's corpora, sorted.

    Examples
    --------
    >>> from serlib import index
    >>> index.names(index.load("emodb"))
    ['emodb']
    """
    return sorted(table["corpus"].unique())


def join(tables):
    """Put index tables of different corpora into one.

    Parameters
    ----------
    tables : sequence of DataFrame

    Returns
    -------
    DataFrame
        Sorted by ``utterance``; each utterance keeps its part. ``attrs["sources"]`` holds each corpus's ``attrs``.

    Raises
    ------
    ValueError
        If there are none, an utterance is in two of them, or one of them is not an index table.

    Examples
    --------
    >>> from serlib import index
    >>> both = index.join([index.load("emodb"), index.load("tess")])
    >>> index.names(both), both.attrs["corpus"]
    (['emodb', 'tess'], 'emodb+tess')
    """
    tables = [check(table, called=f"table {number} of {len(tables)}") for number, table in enumerate(tables, 1)]
    if not tables:
        raise ValueError("no index table is given; expected one or more. See index.load")
    if len(tables) == 1:
        return tables[0]
    known = {}
    for table in tables:
        known |= sources(table)
    joined = pd.concat(tables, ignore_index=True)
    joined = check(joined.sort_values("utterance", ignore_index=True))
    joined.attrs = {
        "corpus": "+".join(names(joined)),
        "synthetic": any(bool(one.get("synthetic")) for one in known.values()),
    }
    joined.attrs |= {"sources": known, "dropped": _all(known, "dropped"), "problems": _all(known, "problems")}
    seeds, versions = ({one.get(key) for one in known.values()} for key in ("seed", "protocol"))
    joined.attrs |= {"seed": seeds.pop()} if len(seeds) == 1 else {}
    joined.attrs |= {"protocol": versions.pop()} if len(versions) == 1 else {}
    return joined


def sources(table):
    """Return what is known of each corpus of a table: {corpus id: what `attrs` holds of it}.

    Examples
    --------
    >>> from serlib import index
    >>> about = index.sources(index.load("emodb"))
    >>> about["emodb"]["labels"]
    'file-names'
    """
    if "sources" in table.attrs:
        return {name: table.attrs["sources"].get(name, {}) for name in names(table)}
    found = names(table)
    is_about = len(found) == 1 and table.attrs.get("corpus", found[0]) == found[0]
    return {name: dict(table.attrs) if is_about else {} for name in found}


def label_versions(table):
    """Return the version of the labels of each corpus of a table: a name, or {corpus id: name} for several.

    Examples
    --------
    >>> from serlib import index
    >>> index.label_versions(index.load("emodb"))
    'file-names'
    """
    versions = {name: about.get("labels") for name, about in sources(table).items()}
    return versions if len(versions) > 1 else next(iter(versions.values()))


def _all(known, key):
    return [one for about in known.values() for one in about.get(key, [])]


def fingerprint(table):
    """Return a hash of the task that a table poses: which recordings, with which emotions and version of labels.

    It is made from the rows that have a part, and not from the route by which they came. Two scores, or a score and a
    bundle, belong together only if it is the same.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> from serlib import index
    >>> table = index.load("emodb")
    >>> index.fingerprint(table) == index.fingerprint(index.redraw(table, seed=1))
    True
    >>> index.fingerprint(table) == index.fingerprint(index.relabel(table, mapping={"boredom": "neutral"}))
    False
    """
    used = table.loc[table["part"] != "", ["utterance", "emotion", "content"]].sort_values("utterance")
    text = used.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def few(items):
    """Name at most three, and how many more there are."""
    items = [str(item) for item in items]
    more = f" and {len(items) - 3:,} more" if len(items) > 3 else ""
    return ", ".join(repr(item) for item in items[:3]) + more
