"""Folder -> index table: a row per utterance, from file names, headers and content hashes; nothing is decoded.

The columns are text but for ``duration_s`` (float), ``sample_rate_hz`` and ``channels`` (int); missing is an empty
string. ``part`` is ``train`` or ``test``, or empty: kept out, for the reason in ``flags``. What does not fit into rows
stands in ``table.attrs`` and, on disk, in a JSON file beside the CSV: ``corpus``, ``folder``, ``synthetic``,
``protocol``, ``seed``, ``labels``, ``dropped`` and ``problems``.
"""

import hashlib
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from . import audio, corpora, labels, settings, synthetic
from .settings import SEED, replacing

COLUMNS = (
    *("utterance", "corpus", "path", "speaker", "gender", "emotion", "sentence", "take", "intensity"),
    *("duration_s", "sample_rate_hz", "channels", "content", "part", "flags"),
)
NUMBERS = {"duration_s": float, "sample_rate_hz": int, "channels": int}
PARTS = ("train", "test", "")


def scan(path, corpus, *, seed=SEED, keep_flagged=False, progress=False):
    """Index a folder that holds a corpus, however it is laid out, and compare it with what was published.

    File names decide what an utterance is, never folders (but for SAVEE's speakers). Where an utterance is found
    more than once, the first place in alphabetical order is read. Utterances with a known or found defect are
    flagged and kept out: ``silent`` and ``contradictory`` ones (identical recordings with different labels), and all
    but the first of identical recordings (``duplicate``).

    Parameters
    ----------
    path : path-like
        The folder; everything below it is looked at.
    corpus : str
        The corpus's name.
    seed : int
        Draws the random part: a fifth of each emotion is ``test``.
    keep_flagged : bool
        Whether flagged utterances get a part all the same.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS`, sorted by ``utterance``. ``attrs["problems"]`` lists every deviation from the
        passport, a line each; ``attrs["dropped"]`` what was kept out, and why.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If no utterance of the corpus is in it.
    """
    root, passport = Path(path), corpora.get(corpus)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected the one that holds {passport.id}. {passport.obtain}")
    found, problems = _find(root, passport)
    rows = []
    for parsed, file in tqdm(found, desc=f"index {passport.id}", unit="file", disable=not progress):
        try:
            rows.append(_row(passport, parsed, file, root))
        except (ValueError, OSError) as error:
            problems.append(f"{passport.id}: {error}")
    if not rows:
        example = Path(passport.manifest()["path"][0]).name
        expected = f"expected files named like {example}. {passport.obtain}"
        raise ValueError("; ".join([f"{root} holds no utterance of {passport.id}", *problems[:1], expected]))
    table = pd.DataFrame(rows, columns=COLUMNS).sort_values("utterance", ignore_index=True)
    marker = root / "SYNTHETIC.json"
    made = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else None
    table["flags"] = _flags(table, passport)
    kept_out = (table["flags"] != "") & (not keep_flagged)
    table["part"] = ""
    table.loc[~kept_out, "part"] = random_parts(table.loc[~kept_out, "emotion"], seed=seed)
    table.attrs = {
        "corpus": passport.id,
        "folder": str(root.resolve()),
        "listing": listing(root),
        "synthetic": made is not None,
        "protocol": "random",
        "seed": seed,
        "labels": "file names",
        "dropped": table.loc[kept_out, ["utterance", "path", "flags"]].to_dict("records"),
        "problems": problems + _deviations(table, passport, made, root),
    }
    return table


def _sound_files(root):
    """Return the sound files below a folder, sorted; hidden ones and macOS's resource files are none."""
    return [
        file
        for file in sorted(root.rglob("*"))
        if file.suffix.lower() in audio.SUFFIXES and not file.name.startswith(".") and "__MACOSX" not in file.parts
    ]


def listing(folder):
    """Return a hash of what lies below a folder: the sound files' paths, sizes and times of change.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    str
        16 hexadecimal digits; a table whose ``attrs["listing"]`` differs is no longer up to date.
    """
    lines = []
    for file in _sound_files(Path(folder)):
        status = file.stat() if file.exists() else None
        size, time = (status.st_size, status.st_mtime_ns) if status else (0, 0)  # a link that leads nowhere
        lines.append(f"{file.relative_to(folder).as_posix()} {size} {time}")
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _find(root, passport):
    """Return [(Parsed, file)], an utterance each, sorted by path, and the problems met."""
    found, doubled, strange = {}, [], []
    for file in _sound_files(root):
        parsed = passport.parse(file)
        if parsed is None:
            strange.append(file)
        elif parsed.stem in found:
            doubled.append(file)
        else:
            found[parsed.stem] = (parsed, file)
    problems = []
    for files, what in (
        (doubled, "sound files repeat an utterance found before and were not read"),
        (strange, "sound files are not named as this corpus's and were not read"),
    ):
        if files:
            problems.append(f"{passport.id}: {len(files)} {what}: {_few(file.relative_to(root) for file in files)}")
    return list(found.values()), problems


def _row(passport, parsed, file, root):
    header = audio.header(file)
    return {
        "utterance": f"{passport.id}/{parsed.stem}",
        "corpus": passport.id,
        "path": file.relative_to(root).as_posix(),
        "speaker": f"{passport.id}/{parsed.speaker}",
        "gender": passport.speakers[parsed.speaker].gender,
        "emotion": parsed.emotion,
        "sentence": parsed.sentence,
        "take": parsed.take,
        "intensity": parsed.intensity,
        "duration_s": round(header.duration_s, 4),
        "sample_rate_hz": header.sample_rate_hz,
        "channels": header.channels,
        "content": content_hash(file),
    }


def content_hash(path):
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flags(table, passport):
    """Return the defects of each row, joined by ``;``: those declared in the passport, and identical recordings."""
    flags = {utterance: set() for utterance in table["utterance"]}
    for stem, (flag, _) in passport.defects.items():
        if (utterance := f"{passport.id}/{stem}") in flags:
            flags[utterance].add(flag)
    for _, same in table.groupby("content"):
        if len(set(same["emotion"])) > 1:
            for utterance in same["utterance"]:
                flags[utterance].add("contradictory")
        elif not any(flags[utterance] for utterance in same["utterance"]):
            for utterance in same["utterance"][1:]:
                flags[utterance].add("duplicate")
    return [";".join(sorted(flags[utterance])) for utterance in table["utterance"]]


def random_parts(emotions, *, test_size=0.2, seed=SEED):
    """Draw the test part: ceil(n x test_size) utterances, as near as can be the same share of each emotion.

    Parameters
    ----------
    emotions : sequence of str, shape (n,)
    test_size : float
    seed : int

    Returns
    -------
    ndarray of str, shape (n,)
        ``train`` or ``test``; an emotion's last utterance is never taken away from ``train``.
    """
    emotions = pd.Series(np.asarray(emotions, dtype=object))
    counts = emotions.value_counts().sort_index()
    share = counts * test_size
    n_tested = share.astype(int)
    for emotion in (share - n_tested).sort_values(ascending=False, kind="stable").index:
        if n_tested.sum() < math.ceil(len(emotions) * test_size) and n_tested[emotion] < counts[emotion] - 1:
            n_tested[emotion] += 1
    drawn = np.random.default_rng(seed).permutation(len(emotions))
    rank = emotions.iloc[drawn].groupby(emotions.iloc[drawn]).cumcount().sort_index()
    return np.where(rank < emotions.map(n_tested), "test", "train")


def redraw(table, *, seed):
    """Draw the random part of an index table anew.

    Parameters
    ----------
    table : DataFrame
    seed : int

    Returns
    -------
    DataFrame
        A copy; what was kept out stays out.
    """
    drawn, used = table.copy(), table["part"] != ""
    drawn.loc[used, "part"] = random_parts(table.loc[used, "emotion"], seed=seed)
    drawn.attrs = {**table.attrs, "protocol": "random", "seed": seed}
    return drawn


def _deviations(table, passport, made, root):
    """Compare a table with the published counts, or with those that synthetic speech carries."""
    if made:
        found = Counter(table["emotion"])
        off = [f"{emotion} {found[emotion]} of {n}" for emotion, n in made["by_emotion"].items() if found[emotion] != n]
        return [f"{passport.id}: {root} was changed since it was made: {', '.join(off)}. Make it again"] if off else []
    if len(table) == passport.n_utterances:
        return []
    published, present = passport.published_stems(), set(table["utterance"].str.removeprefix(f"{passport.id}/"))
    missing = [path for stem, path in published.items() if stem not in present]
    extra = sorted(present.difference(published))
    line = f"{passport.id}: {len(table):,} utterances under {root}, {passport.n_utterances:,} published"
    if missing:
        line += f"; {len(missing):,} missing: {_few(missing)}. Unpack the archive again"
    if extra:
        line += f"; {len(extra):,} never published: {_few(extra)}. Move them elsewhere"
    return [line]


def _few(items):
    """Name at most three, and how many more there are."""
    items = [str(item) for item in items]
    more = f" and {len(items) - 3:,} more" if len(items) > 3 else ""
    return ", ".join(repr(item) for item in items[:3]) + more


def parts(table):
    """Count emotions by part.

    Parameters
    ----------
    table : DataFrame
        An index table.

    Returns
    -------
    DataFrame of int, shape (n_emotions + 1, 3)
        Columns ``total``, ``train``, ``test``; a row per emotion in `serlib.labels`' order, and one for ``all``.
    """
    used = table[table["part"] != ""]
    counts = pd.crosstab(used["emotion"], used["part"]).reindex(
        index=list(labels.ordered(used["emotion"])), columns=["train", "test"], fill_value=0
    )
    counts.insert(0, "total", counts.sum(axis=1))
    counts.loc["all"] = counts.sum()
    return counts.rename_axis(index="emotion", columns=None)


def write(table, csv):
    """Write an index table as CSV, and its `attrs` as JSON beside it.

    Parameters
    ----------
    table : DataFrame
    csv : path-like
        Ends in ``.csv``.
    """
    csv = Path(csv)
    with replacing(csv.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(table.attrs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with replacing(csv) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")


def read(csv):
    """Read an index table that `write` wrote.

    Parameters
    ----------
    csv : path-like

    Returns
    -------
    DataFrame
        As `scan` returns it; ``attrs`` come from the JSON file beside it, if there is one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an index table: columns missing, unknown emotions or parts, an utterance twice.
    """
    csv = Path(csv)
    if not csv.is_file():
        raise FileNotFoundError(f"{csv} does not exist; expected an index table. Make it with 'python -m serlib index'")
    try:
        table = pd.read_csv(csv, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{csv} is not a CSV table in UTF-8 ({error}); make it again") from None
    again = f"make it again with 'python -m serlib index -n NAME -o {csv}'"
    if missing := [column for column in COLUMNS if column not in table]:
        raise ValueError(f"{csv} lacks the columns {missing[:3]} ({len(missing)} in all); {again}")
    if table.empty:
        raise ValueError(f"{csv} has no rows; {again}")
    try:
        table = table[list(COLUMNS)].astype(NUMBERS)
    except ValueError as error:
        raise ValueError(f"{csv} has text among its numbers ({error}); {again}") from None
    for column, allowed in (("emotion", labels.EMOTIONS), ("part", PARTS)):
        if unknown := sorted(set(table[column]).difference(allowed)):
            raise ValueError(f"{csv} has unknown values in {column!r}: {unknown[:3]}; expected {allowed}")
    if (twice := table.loc[table["utterance"].duplicated(), "utterance"]).size:
        raise ValueError(f"{csv} holds {_few(twice)} twice; {again}")
    beside = csv.with_suffix(".json")
    table.attrs = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    return table.sort_values("utterance", ignore_index=True)


def load(corpus, *, progress=False):
    """Return a corpus's index table in the current profile, indexing the corpus unless the table at hand is up to date.

    Parameters
    ----------
    corpus : str
        The corpus's name.
    progress : bool

    Returns
    -------
    DataFrame
        As `scan` returns it, also stored under the profile's ``csv`` folder.

    Raises
    ------
    FileNotFoundError
        If the profile is ``full`` and the corpus is not under its data folder.
    """
    passport, here = corpora.get(corpus), settings.current()
    folder = corpus_folder(passport.id)
    csv, now = here.csv / f"{passport.id}.csv", {"folder": str(folder.resolve()), "listing": listing(folder)}
    if csv.is_file() and (table := read(csv)).attrs.items() >= now.items():
        return table
    table = scan(folder, passport.id, seed=here.seed, progress=progress)
    write(table, csv)
    return table


def at_hand(names=corpora.NAMES):
    """Index the corpora at hand in the current profile.

    Parameters
    ----------
    names : sequence of str
        The corpora to look for.

    Returns
    -------
    tables : dict of str to DataFrame
        Index tables by corpus id.
    missing : dict of str to str
        Why the others could not be indexed, and what to do.
    """
    tables, missing = {}, {}
    for name in names:
        try:
            tables[name] = load(name)
        except (FileNotFoundError, ValueError) as error:
            missing[name] = str(error)
    return tables, missing


def first_at_hand(preferred="emodb"):
    """Return the index table of the preferred corpus, or of the first of the others that is at hand.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says how to get the preferred one.
    """
    why = {}
    for name in (preferred, *corpora.NAMES):
        tables, missing = at_hand([name])
        if tables:
            return tables[name]
        why |= missing
    raise FileNotFoundError(f"no corpus is at hand. {why[preferred]}")


def corpus_folder(corpus):
    """Return a corpus's folder in the current profile; in ``tiny``, synthetic speech is written there first.

    Raises
    ------
    FileNotFoundError
        If the profile is ``full`` and the corpus is not under its data folder.
    """
    passport, here = corpora.get(corpus), settings.current()
    if here.profile == "tiny":
        return synthetic.write(passport.id, here.data)
    if (folder := corpora.find_folder(here.data, passport.id)) is None:
        raise FileNotFoundError(
            f"{passport.id}: no folder {passport.folder!r} in {here.data}. {passport.obtain} Or name its folder"
        )
    return folder


def root_of(table):
    """Return the folder that a table's paths are relative to: as indexed, else where the corpus now is.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    folder = Path(table.attrs.get("folder", ""))
    return folder if table.attrs.get("folder") and folder.is_dir() else corpus_folder(table["corpus"].iloc[0])
