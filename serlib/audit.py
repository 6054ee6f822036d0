"""Leaks in anybody's split files: who and what stands on both sides, known from the names; no audio is read.

A file is a table (CSV, TSV), JSON (objects in a list, objects by key, or a list for each part), JSON lines, or a list
of paths, one a line; an index or predictions table of serlib's is one, too. The column that holds the files' names is
the one whose values most often are names of a corpus. Parts are told by a column, or each file is one. Identical
recordings are known from an index table, or from the checksums that the publisher's files have.
"""

import io
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from . import corpora, index, settings, split

COLUMNS = ("utterance", "corpus", "speaker", "emotion", "sentence", "content")
PART_COLUMNS = ("part", "split", "set", "partition", "subset", "fold")
ROLE = re.compile(r"(.*)(?<![a-z])(train|val|dev|test|eval)[a-z]*", re.IGNORECASE)  # the last in a part's name
ROLES = ("train", "val", "dev", "test", "eval")  # each is compared with those before it
MAX_PARTS = 500  # the published corpora have at most 91 speakers, each of whom may be a fold
N_SAMPLED = 200  # rows of a table that decide which column holds the names

LEAKS = split.LEAKS | {"utterance": ["utterance"]}
IN_WORDS = {
    "speaker": "by a speaker who is trained on",
    "recording": "the same recording as one that is trained on",
    "take": "a take of what is trained on: the same speaker, sentence and emotion",
    "utterance": "themselves trained on",
    "repeated": "in one part more than once",
    "defective": "known to be defective",
    "unknown": "of no corpus, by their names",
}
WHY_UNCHECKED = {
    "speaker": "nothing says who speaks",
    "recording": "no checksum of the file is known",
    "take": "nothing says what is spoken",
}


@dataclass(frozen=True)
class Report:
    """What `examine` found.

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
        own column tells the parts, else empty) and ``defect`` (a word for why it should not be used, else empty).
        Where the name is no corpus's, ``utterance`` is what is listed, and the rest is empty.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, is empty, or has no column of names.
    """
    passports = [corpora.get(name) for name in ([corpus] if corpus else corpora.NAMES)]
    files = [Path(file) for file in files]
    tables = []
    for file, name in zip(files, _told_apart(files), strict=True):
        table = _table(file)
        rows, part = _rows(table, passports, file), _part_column(table, file)
        parts = table[part] if part else pd.Series(name, index=table.index)
        if part and len(files) > 1:
            parts = parts.where(parts == "", f"{name} " + parts)
        tables.append(rows.assign(part=parts, table=name if part else "")[parts != ""])
    rows = pd.concat(tables, ignore_index=True)
    defects = {
        f"{passport.id}/{stem}": defect.flag
        for passport in passports
        for stem, defect in passport.defects.items()
        if defect.policy == "drop"
    }
    return rows.assign(defect=[defects.get(utterance, "") for utterance in rows["utterance"]])


def examine(rows):
    """Look for what stands on both sides, and for what should not be listed.

    Parameters
    ----------
    rows : DataFrame
        As `read` returns it.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If a part has no other to be compared with, there are more than `MAX_PARTS`, or nothing is known of any
        utterance.
    """
    known = rows[rows["corpus"] != ""]
    if known.empty:
        raise ValueError(
            f"none of the {len(rows):,} utterances is of a corpus; expected names that say so. Mend the table"
        )
    if (n_parts := rows["part"].nunique()) > MAX_PARTS:
        some = ", ".join(map(repr, rows["part"].unique()[:3]))
        raise ValueError(f"there are {n_parts:,} parts, such as {some}; expected at most {MAX_PARTS}. Mend the table")
    compared, findings = [], []
    for part, others in _comparisons(rows[["table", "part"]].drop_duplicates()):
        against = others[0] if len(others) == 1 else "the others"
        compared.append((part, against))
        train, test = rows[rows["part"].isin(others)], rows[rows["part"] == part]
        among = [len(test.drop_duplicates(columns)) for columns in LEAKS.values()]
        found = split.leaks(train, test, kinds=LEAKS).rename(columns={"n_test": "of"})
        findings.append(found.assign(part=part, against=against, among=among))
    for part, own in rows.groupby("part", sort=False):
        named = own["utterance"] + (" (" + own["defect"] + ")").where(own["defect"] != "", "")
        for kind, is_concerned in (
            ("repeated", own["utterance"].duplicated()),
            ("defective", own["defect"] != ""),
            ("unknown", own["corpus"] == ""),
        ):
            names = sorted(named[is_concerned].unique())
            found = {"kind": kind, "part": part, "against": "", "n": int(is_concerned.sum()), "of": len(own)}
            found |= {"shared": len(names), "among": own["utterance"].nunique(), "examples": ", ".join(names[:3])}
            findings.append(pd.DataFrame([found]))
    found = pd.concat(findings, ignore_index=True)
    found = found[found["n"] > 0].sort_values("kind", key=lambda kinds: kinds.map(list(IN_WORDS).index), kind="stable")
    parts = [
        {
            "part": part,
            "n": len(own),
            "speakers": own.loc[own["speaker"] != "", "speaker"].nunique(),
            "corpora": ", ".join(sorted(set(own["corpus"]) - {""})),
        }
        for part, own in rows.groupby("part", sort=False)
    ]
    return Report(
        parts=pd.DataFrame(parts),
        compared=tuple(compared),
        findings=found[["kind", "part", "against", "n", "of", "shared", "among", "examples"]].reset_index(drop=True),
        unchecked={kind: n for kind in WHY_UNCHECKED if (n := int((known[LEAKS[kind][-1]] == "").sum()))},
    )


def _comparisons(parts):
    """Yield (part that is tested, parts that are then trained on), of a DataFrame of ``table`` and ``part``.

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


def _told_apart(files):
    """Return a name for each file: without its suffix if this tells them apart, else with the folders that differ."""
    names = [file.name.removesuffix(".gz").rsplit(".", 1)[0] for file in files]
    if len(set(names)) == len(names):
        return names
    files = [file.absolute() for file in files]
    return [file.relative_to(os.path.commonpath([file.parent for file in files])).as_posix() for file in files]


def _part_column(table, file):
    """Return the column that tells parts apart, or None."""
    for name in PART_COLUMNS:
        called = [column for column in table if column.strip().lower() == name]
        if len(called) > 1:
            raise ValueError(f"{file}: the columns {called} would both tell the parts; expected one. Rename the other")
        if called and len(set(table[called[0]]) - {""}) > 1:
            return called[0]
    return None


def _rows(table, passports, file):
    """Return the columns of `COLUMNS` for each row of a table."""
    if set(index.COLUMNS) <= set(table):
        return table[list(COLUMNS)]
    readers = [(passport, _reader(passport)) for passport in passports]

    def known(name):
        root = os.path.splitext(name.strip().replace("\\", "/"))[0]
        return next(((passport, parsed) for passport, reads in readers if (parsed := reads(root))), None)

    if heading := next((name for name in table if known(name)), None):
        raise ValueError(f"{file}, line 1: {heading!r} is an utterance; expected the columns' names. Add such a line")
    sample = table.iloc[np.unique(np.linspace(0, len(table) - 1, N_SAMPLED).astype(int))]
    n_known = {column: sum(known(name) is not None for name in sample[column]) for column in table}
    column = max(n_known, key=n_known.get)
    if not n_known[column]:
        found = ", ".join(f"{name} ({sample[name].iloc[0]!r})" for name in list(table)[:3])
        raise ValueError(
            f"{file}: no column holds names of {', '.join(passport.id for passport in passports)}; found {found};"
            f" expected names like {passports[0].example}. Another corpus is named with -n"
        )
    rows, found = [], {}
    for name in table[column]:
        if (both := known(name)) is None:
            rows.append((name, "", "", "", ""))
            continue
        passport, parsed = both
        found[passport.id] = passport
        utterance, speaker = f"{passport.id}/{parsed.stem}", f"{passport.id}/{parsed.speaker}"
        rows.append((utterance, passport.id, speaker, parsed.emotion, parsed.sentence))
    checksums = _checksums(found.values())
    contents = [checksums.get(utterance, "") for utterance, *_ in rows]
    return pd.DataFrame(rows, columns=COLUMNS[:-1], index=table.index).assign(content=contents)


def _reader(passport):
    """Return a function that says what a path without its suffix means in a corpus: a `Parsed`, or None."""
    if passport.listed is None:
        suffix = passport.names.get("suffixes", [".wav"])[0]
        return lambda root: passport.parse(root + suffix)
    listed = {parsed.stem: parsed for parsed in passport.listed.values()}
    return lambda root: listed.get(root.removeprefix(f"{passport.id}/"))


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
    text, kind = settings.read_text(file), Path(file.name.removesuffix(".gz")).suffix.lower()
    lines = [line.strip() for line in text.split("\n")]
    is_csv, separator = kind in (".csv", ".tsv"), max(",;\t", key=lines[0].count)
    if is_csv:
        settings.header(file, text, separator=separator)
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
        settings.refuse_unfolding(file, len(set().union(*records)), len(records))
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
    r"""Return what stands in a JSON document as text; half of a character, which no table holds, as ``\\ud800``."""
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
