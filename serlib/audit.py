"""Leaks in anybody's split files: who and what is on both sides, known from names and columns; no audio is read.

A file is a table (CSV, TSV), JSON (objects in a list, objects by key, or a list for each part), JSON lines, or a list
of paths, one a line; an index or predictions table of serlib's is one, too. The column that holds the files' names is
the one whose values most often are names of a corpus. Where a name does not say who speaks, in which emotion and what,
a column that states it does. A column names the parts, or each file is one. Identical recordings are known from an
index table, or from the checksums that the publisher's files have.
"""

import functools
import io
import itertools
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from . import audio, corpora, index, labels, split, storage

COLUMNS = ("utterance", "corpus", "speaker", "emotion", "sentence", "content")
# Columns by what they state, in any case, with or without '_', '-' and blanks; the first one that is there counts.
PART_COLUMNS = ("part", "split", "set", "partition", "subset", "fold")
STATED_COLUMNS = {
    "speaker": ("speaker", "speakerid", "spk", "spkid", "actor", "actorid", "subject", "subjectid"),
    "emotion": ("emotion", "label", "emo", "ytrue"),
    "sentence": ("sentence", "sentenceid", "text", "transcript"),
}
NOT_STATED = ("", "nan", "none", "null", "na", "n/a", "unknown", "-", "?")
ROLE = re.compile(r"(.*)(?<![a-z])(train|val|dev|test|eval)[a-z]*", re.IGNORECASE)  # the last in a part's name
ROLES = ("train", "val", "dev", "test", "eval")  # each is compared with those before it
MAX_PARTS = 500  # the published corpora have at most 91 speakers, each of whom may be a fold
N_SAMPLED = 200  # rows of a table that decide which column holds the names

LEAKS = split.LEAKS | {"utterance": ["utterance"]}
FINDING = ["kind", "part", "against", "n", "of", "shared", "among", "examples"]
IN_WORDS = {
    "speaker": "by a speaker who is trained on",
    "recording": "the same recording as one that is trained on",
    "take": "a take of what is trained on: the same speaker, sentence and emotion",
    "utterance": "themselves trained on",
    "repeated": "in one part more than once",
    "defective": "known to be defective",
    "contradictory": "stated to be by another speaker than their names say",
    "unknown": "of no corpus, by their names",
}
WHY_UNCHECKED = {
    "speaker": "nothing says who speaks",
    "recording": "no checksum of the file is known",
    "take": "nothing says what is spoken",
}


@dataclass(frozen=True)
class LeakReport:
    """What `find_leaks` found.

    Attributes
    ----------
    parts : DataFrame
        A row per part: ``part``, ``n``, ``speakers`` (how many), ``corpora``.
    compared : tuple of (str, str)
        Each part that is tested, and what is then trained on.
    findings : DataFrame
        ``kind`` (of `IN_WORDS`), ``part``, ``against`` (what is trained on; empty where the part alone matters), ``n``
        (utterances concerned), ``of`` (utterances in the part), ``shared`` (how many speakers, recordings, takes or
        utterances these are), ``among`` (how many there are in the part), ``examples``.
    unchecked : dict of str to int
        Among how many utterances a ``speaker``, a ``recording`` or a ``take`` could not be looked for.
    """

    parts: pd.DataFrame
    compared: tuple[tuple[str, str], ...]
    findings: pd.DataFrame
    unchecked: dict[str, int]

    @property
    def ok(self):
        """Whether nothing leaks."""
        return not self.findings["kind"].isin(LEAKS).any()

    @property
    def verdicts(self):
        """The result in lines: one for each kind of finding, and for each kind that could not be looked for."""
        n_of = self.parts.set_index("part")["n"]
        lines = []
        for kind, found in self.findings.groupby("kind", sort=False):
            places = [part for part, _ in self.compared] if kind in LEAKS else list(self.parts["part"])
            where = f"{len(found)} of {len(places)} {'comparisons' if kind in LEAKS else 'parts'}"
            n, of = found["n"].sum(), n_of[places].sum()
            lines.append(f"{kind}: {n:,} of {of:,} utterances are {IN_WORDS[kind]}, in {where}")
        for kind, n in self.unchecked.items():
            lines.append(f"{kind}: not looked for among {n:,} of {n_of.sum():,} utterances: {WHY_UNCHECKED[kind]}")
        return [*lines, *(["no leak was found"] if self.ok else [])]

    def table(self):
        """Return the findings, indexed by kind, as a person reads them: ``utterances`` and ``shared`` as '3 of 7'."""
        found = self.findings.astype(dict.fromkeys(("n", "of", "shared", "among"), str)).set_index("kind")
        found["utterances"] = found["n"] + " of " + found["of"]
        found["shared"] += " of " + found["among"]
        return found[["part", "against", "utterances", "shared", "examples"]]

    def to_dict(self):
        """Return the report as ``audit --json`` prints it."""
        return {
            "ok": self.ok,
            "parts": self.parts.to_dict("records"),
            "compared": [{"part": part, "against": against} for part, against in self.compared],
            "findings": self.findings.to_dict("records"),
            "unchecked": self.unchecked,
        }


def read(files, corpus=None):
    """Read split files.

    Parameters
    ----------
    files : sequence of path-like
    corpus : str, optional
        The corpus's name; by default each utterance's name tells which of the seven it is of.

    Returns
    -------
    DataFrame
        A row per listed utterance that has a part: the columns of `COLUMNS`, ``part``, ``table`` (the file, where its
        own column tells the parts, else empty), ``defect`` (a word for why it should not be used, else empty) and
        ``stated`` (the speaker that a column states, if the name says another, else empty). Where the name is no
        corpus's, ``utterance`` is what is listed, and speaker, emotion and sentence are what columns state, if any do.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, is empty, or has no column of names.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import audit
    >>> parts = pd.DataFrame({"file": ["03a01Fa.wav", "03a01Nc.wav"], "part": ["train", "test"]})
    >>> parts.to_csv("parts.csv", index=False)
    >>> audit.read(["parts.csv"])[["utterance", "speaker", "emotion", "part"]]
           utterance   speaker    emotion   part
    0  emodb/03a01Fa  emodb/03  happiness  train
    1  emodb/03a01Nc  emodb/03    neutral   test
    """
    passports = [corpora.get(name) for name in ([corpus] if corpus else corpora.NAMES)]
    files = [Path(file) for file in files]
    tables = []
    for file, name in zip(files, _names_of(files), strict=True):
        table = _table(file)
        rows, part = _rows(table, passports, file), _part_column(table, file)
        parts = table[part] if part else pd.Series(name, index=table.index)
        if part and len(files) > 1:
            parts = parts.where(parts == "", f"{name} " + parts)
        tables.append(rows.assign(part=parts, table=name if part else "")[parts != ""])
    rows = _with_stated_speakers(pd.concat(tables, ignore_index=True), passports)
    defects = {
        f"{passport.id}/{stem}": defect.flag
        for passport in passports
        for stem, defect in passport.defects.items()
        if defect.policy == "drop"
    }
    return rows.assign(defect=[defects.get(utterance, "") for utterance in rows["utterance"]])


def find_leaks(rows):
    """Look for what is on both sides, and for what should not be listed.

    Parameters
    ----------
    rows : DataFrame
        As `read` returns it.

    Returns
    -------
    LeakReport

    Raises
    ------
    ValueError
        If a part has no other to be compared with, there are more than `MAX_PARTS`, or nothing is known of any
        utterance.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import audit
    >>> pd.Series(["train", "test"], ["03a01Fa.wav", "03a01Nc.wav"], name="part").to_csv("p.csv", index_label="file")
    >>> audit.find_leaks(audit.read(["p.csv"])).findings[["kind", "n", "examples"]]
          kind  n  examples
    0  speaker  1  emodb/03
    """
    known = rows[(rows["corpus"] != "") | (rows["speaker"] != "")]
    if known.empty:
        raise ValueError(
            f"none of the {len(rows):,} utterances is of a corpus or has a stated speaker; expected names that say so,"
            " or a column 'speaker'. Mend the table"
        )
    if (n_parts := rows["part"].nunique()) > MAX_PARTS:
        some = ", ".join(map(repr, rows["part"].unique()[:3]))
        raise ValueError(f"there are {n_parts:,} parts, such as {some}; expected at most {MAX_PARTS}. Mend the table")
    compared = tuple(_comparisons(rows[["table", "part"]].drop_duplicates()))
    by_part = rows.groupby("part", sort=False)
    findings = [_leaks(part, others, rows) for part, others in compared]
    findings = pd.concat([*findings, *(_notes(part, own) for part, own in by_part)], ignore_index=True)
    findings["kind"] = findings["kind"].astype(pd.CategoricalDtype(IN_WORDS))
    findings = findings[findings["n"] > 0].sort_values("kind", kind="stable", ignore_index=True)
    about = {
        "n": by_part.size(),
        "speakers": by_part["speaker"].agg(lambda speakers: len({*speakers} - {""})),
        "corpora": by_part["corpus"].agg(lambda names: ", ".join(sorted({*names} - {""}))),
    }
    return LeakReport(
        parts=pd.DataFrame(about).reset_index(),
        compared=tuple((part, _in_a_word(others)) for part, others in compared),
        findings=findings.astype({"kind": object})[FINDING],
        unchecked={kind: n for kind in WHY_UNCHECKED if (n := int((known[LEAKS[kind][-1]] == "").sum()))},
    )


def _in_a_word(others):
    return others[0] if len(others) == 1 else "the others"


def _leaks(part, others, rows):
    """Return the leaks between a part and its training parts as findings, a row per kind."""
    train, test = rows[rows["part"].isin(others)], rows[rows["part"] == part]
    among = [len(test.drop_duplicates(columns)) for columns in LEAKS.values()]
    found = split.leaks(train, test, kinds=LEAKS).rename(columns={"n_test": "of"})
    return found.assign(part=part, against=_in_a_word(others), among=among)


def _notes(part, own):
    """Return the problems within one part as findings, a row per kind."""
    names = own["utterance"]
    kinds = {
        "repeated": (names.duplicated(), names),
        "defective": (own["defect"] != "", names + " (" + own["defect"] + ")"),
        "contradictory": (own["stated"] != "", names + " (stated: " + own["stated"] + ")"),
        "unknown": (own["corpus"] == "", names),
    }
    rows = []
    for kind, (is_concerned, described) in kinds.items():
        found = sorted(described[is_concerned].unique())
        counts = (int(is_concerned.sum()), len(own), len(found), names.nunique())
        rows.append((kind, part, "", *counts, ", ".join(found[:3])))
    return pd.DataFrame(rows, columns=FINDING)


def _comparisons(parts):
    """Yield (test part, its training parts) of a DataFrame with the columns ``table`` and ``part``.

    Parts that are called alike but for train, validation, test and the like belong together, and each is compared with
    those before it in this order. Of all other parts of a table, as of folds, each is compared with all the rest.
    """
    for _, part in parts.groupby("table", sort=False)["part"]:
        sets = {}
        for name in part:
            key = ROLE.sub(r"\1", name, count=1) if ROLE.match(name) else None
            sets.setdefault(key, []).append(name)
        alone = sets.pop(None, [])
        for names in sets.values():
            if len(names) == 1:
                alone += names
                continue
            names.sort(key=lambda name: ROLES.index(ROLE.match(name)[2].lower()))
            yield from ((name, names[k : k + 1]) for n, name in enumerate(names) for k in range(n))
        if len(alone) == 1:
            raise ValueError(
                f"{alone[0]} is compared with nothing; expected two or more parts. Give the other file, too, or a"
                f" table with a column {', '.join(PART_COLUMNS[:-1])} or {PART_COLUMNS[-1]}"
            )
        yield from ((name, [other for other in alone if other != name]) for name in alone)


def _names_of(files):
    """Return a name for each file: without its suffix if all then differ, else with the folders that differ."""
    names = [file.name.removesuffix(".gz").rsplit(".", 1)[0] for file in files]
    if len(set(names)) == len(names):
        return names
    files = [file.absolute() for file in files]
    try:
        shared = os.path.commonpath([file.parent for file in files])
    except ValueError:  # they lie on several drives
        return [file.as_posix() for file in files]
    return [file.relative_to(shared).as_posix() for file in files]


def _columns_called(table, names, what, file):
    """Return the columns that have one of some names, in the order of the names; raise if two have the same."""
    found = []
    for name in names:
        called = [column for column in table if re.sub(r"[\W_]", "", column).casefold() == name]
        if len(called) > 1:
            raise ValueError(
                f"{file}: the columns {called} would both tell the {what}s; expected one. Rename the other"
            )
        found += called
    return found


def _part_column(table, file):
    """Return the column that holds the part, or None."""
    columns = _columns_called(table, PART_COLUMNS, "part", file)
    return next((column for column in columns if len(set(table[column]) - {""}) > 1), None)


def _stated(table, what, file):
    """Return the column of speakers, emotions or sentences, or empty text if there is none."""
    for column in _columns_called(table, STATED_COLUMNS[what], what, file):
        values = table[column].str.strip()
        values = values.mask(values.str.casefold().isin(NOT_STATED), "")
        if values.any():
            return values
    return pd.Series("", index=table.index)


def _rows(table, passports, file):
    """Return the columns of `COLUMNS`, and the ``stated`` speaker, for each row of a table."""
    if set(index.COLUMNS) <= set(table):
        return table[list(COLUMNS)].assign(stated="")
    parse = _parser(passports)
    stated = {what: _stated(table, what, file) for what in STATED_COLUMNS}
    names = _file_names(table, parse, passports, file, is_enough=stated["speaker"].any())
    rows = []
    for name, emotion, sentence in zip(names, stated["emotion"], stated["sentence"], strict=True):
        if (known := parse(name)) is None:
            recognised = labels.recognise(emotion)
            rows.append((name, "", "", recognised[0] if len(recognised) == 1 else emotion, sentence))
        else:
            corpus, parsed = known
            utterance, speaker = f"{corpus}/{parsed.stem}", f"{corpus}/{parsed.speaker}"
            rows.append((utterance, corpus, speaker, parsed.emotion, parsed.sentence or sentence))
    rows = pd.DataFrame(rows, columns=COLUMNS[:-1], index=table.index)
    checksums = _checksums([passport for passport in passports if passport.id in set(rows["corpus"])])
    return rows.assign(
        content=[checksums.get(utterance, "") for utterance in rows["utterance"]], stated=stated["speaker"]
    )


def _file_names(table, parse, passports, file, *, is_enough):
    """Return the column whose values are a corpus's file names; else that of sound files, or the first column."""
    if heading := next(filter(parse, table), None):
        raise ValueError(f"{file}, line 1: {heading!r} is an utterance; expected the columns' names. Add such a line")
    sample = table.iloc[np.unique(np.linspace(0, len(table) - 1, N_SAMPLED).astype(int))]
    for is_name in (parse, _is_sound) if is_enough else (parse,):
        n_names = {column: sum(bool(is_name(name)) for name in sample[column]) for column in table}
        if any(n_names.values()):
            return table[max(n_names, key=n_names.get)]
    known = _columns_called(table, [*PART_COLUMNS, *itertools.chain(*STATED_COLUMNS.values())], "part", file)
    if is_enough and (others := [column for column in table if column not in known]):
        return table[others[0]]
    found = ", ".join(f"{name} ({sample[name].iloc[0]!r})" for name in list(table)[:3])
    raise ValueError(
        f"{file}: no column holds names of {', '.join(passport.id for passport in passports)}; found {found};"
        f" expected names like {passports[0].example}. Another corpus is named with -n"
    )


def _is_sound(name):
    return name.strip().lower().endswith(audio.SUFFIXES)


def _parser(passports):
    """Return a function that parses a file name: (corpus, Parsed), or None."""
    readers = [(passport.id, _reader(passport)) for passport in passports]

    @functools.cache
    def parse(name):
        root = os.path.splitext(name.strip().replace("\\", "/"))[0]
        return next(((corpus, parsed) for corpus, read in readers if (parsed := read(root))), None)

    return parse


def _reader(passport):
    """Return a function that parses a path without suffix by one corpus's passport: a `Parsed`, or None."""
    if passport.listed is None:
        suffix = passport.names.suffixes[0]
        return lambda root: passport.parse(root + suffix)
    listed = {parsed.stem: parsed for parsed in passport.listed.values()}
    return lambda root: listed.get(root.removeprefix(f"{passport.id}/"))


def _with_stated_speakers(rows, passports):
    """Fill in the stated speaker where the name does not say who speaks; keep in ``stated`` what contradicts a name.

    A stated speaker is one of a corpus's if it is spelt so, or else if the corpus's names go with it most often: then
    utterances with and without such names can be compared.
    """
    rows = rows.assign(spelt=rows["stated"].map(_spelling))
    found = [passport for passport in passports if len(passports) == 1 or (rows["corpus"] == passport.id).any()]
    meant = {(one.id, _spelling(name)): f"{one.id}/{name}" for one in found for name in one.speakers}
    both = rows[(rows["corpus"] != "") & (rows["stated"] != "")]
    votes = Counter(zip(both["corpus"], both["spelt"], both["speaker"], strict=True))
    for (corpus, spelt, speaker), _ in votes.most_common():
        meant.setdefault((corpus, spelt), speaker)
    first = rows.groupby("spelt")["stated"].first()

    def resolve(row):
        if row.corpus or not row.stated:
            is_contradiction = row.stated and meant[row.corpus, row.spelt] != row.speaker
            return row.speaker, row.stated if is_contradiction else ""
        known = {meant[one.id, row.spelt] for one in found if (one.id, row.spelt) in meant}
        return known.pop() if len(known) == 1 else first[row.spelt], ""

    resolved = pd.DataFrame(map(resolve, rows.itertuples()), columns=["speaker", "stated"], index=rows.index)
    return rows.assign(**resolved).drop(columns="spelt")


def _spelling(speaker):
    """Return a speaker's name without what people vary: case, corpus, words such as 'Actor', leading zeros."""
    name = speaker.rsplit("/", 1)[-1].casefold()
    return re.sub(r"^(actor|speaker|subject|spk)?[\W_]*0*(?=\w)", "", name)


def _checksums(passports):
    """Return {utterance: SHA-256 of its file} as published."""
    checksums = {}
    for passport in passports:
        if "sha256" in (published := passport.published()):
            names = f"{passport.id}/" + published.index
            checksums |= dict(zip(names, published["sha256"], strict=True))
    return checksums


def _table(file):
    """Read a file as a DataFrame of str."""
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not a file; expected a table, JSON, or a list of paths. Check the path")
    text, kind = storage.read_text(file), Path(file.name.removesuffix(".gz")).suffix.lower()
    lines = [line.strip() for line in text.split("\n")]
    is_csv, separator = kind in (".csv", ".tsv"), max(corpora.SEPARATORS, key=lines[0].count)
    if is_csv:
        storage.column_names(file, text, separator=separator)
    try:
        if is_csv:
            table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
        elif kind in (".json", ".jsonl", ".ndjson"):
            records = _records(_json(text) if kind == ".json" else _json_lines(lines))
        else:
            records = [{"path": line} for line in lines if line]
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{file} cannot be read as {kind[1:].upper()} ({why}); mend it, or save it as CSV") from None
    if not is_csv:
        storage.refuse_large_table(file, len(set().union(*records)), len(records))
        table = pd.DataFrame(records, dtype=object)
    if table.empty:
        raise ValueError(f"{file} lists nothing; expected a row for each utterance. Make it again")
    return table.fillna("")


def _json(text):
    """Read a JSON document in which no object has a name twice: which of the two would count?"""

    def once(pairs):
        if len(record := dict(pairs)) < len(pairs):
            raise ValueError(f"{Counter(name for name, _ in pairs).most_common(1)[0][0]!r} stands there twice")
        return record

    return json.loads(text, object_pairs_hook=once)


def _json_lines(lines):
    documents = []
    for number, line in enumerate(lines, 1):
        try:
            documents += [_json(line)] if line else []
        except ValueError as error:
            raise ValueError(f"line {number}: {getattr(error, 'msg', error)}") from None
    return documents


def _records(document):
    """Return an object for each utterance of a JSON document: of a list, by key, or of a list for each part."""
    if isinstance(document, list):
        records = (item if isinstance(item, dict) else {"path": item} for item in document)
        return [{_text(key): _text(value) for key, value in record.items()} for record in records]
    if not isinstance(document, dict):
        return []
    records = []
    for key, value in document.items():
        if isinstance(value, list):
            records += [{"part": _text(key)} | record for record in _records(value)]
        else:
            records += _records([{"key": key} | (value if isinstance(value, dict) else {"value": value})])
    return records


def _text(value):
    r"""Return a JSON value as text; a lone surrogate, which no table can hold, is escaped."""
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
