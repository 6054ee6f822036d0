"""The corpora, declared as data: a passport ``<id>.toml`` and a manifest ``<id>.csv.gz`` each, and what reads them.

A passport holds what was published about a corpus: how its files are named, what the codes mean, who speaks, how
many utterances there are, which recordings are known to be broken and what to do about them, which versions of the
labels there are, and where all this is stated. The manifest lists the published files: path, and, but for ShEMO, size
in bytes and SHA-256. ``<id>-labels.csv.gz`` holds further versions of the labels.

A corpus of your own is one more passport, ``passport.toml``, or a table ``utterances.csv`` with the columns ``path``,
``emotion`` and ``speaker``, in the folder that holds the recordings.
"""

import csv
import functools
import gzip
import io
import os
import re
import string
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import get_args, get_origin

import regex  # as `re`, but it can be told when to give up

from .. import labels, settings

NAMES = ("emovo", "emodb", "tess", "savee", "ravdess", "crema-d", "shemo")
OWN_PASSPORT, OWN_TABLE = "passport.toml", "utterances.csv"
POLICIES = ("drop", "keep")
MAX_SECONDS = 5  # for a pattern and a name


@dataclass(frozen=True)
class Speaker:
    """Who speaks, as published; what is not published is empty or None."""

    gender: str = ""
    age: int | None = None
    race: str = ""
    ethnicity: str = ""
    n_utterances: int | None = None


@dataclass(frozen=True)
class Defect:
    """What is wrong with an utterance: a word for the index's ``flags``, an explanation, and a policy.

    The policy is ``drop``: the utterance is kept out of training and test; or ``keep``: it is only flagged.
    """

    flag: str
    what: str
    policy: str


@dataclass(frozen=True)
class Parsed:
    """What a file name says. `stem` is the canonical name; what the corpus does not code is an empty string."""

    stem: str
    speaker: str
    emotion: str
    sentence: str = ""
    take: str = ""
    intensity: str = ""


@dataclass(frozen=True)
class Passport:
    """What was published about one corpus, or what its maker declares."""

    id: str
    names: dict
    codes: dict[str, str]
    title: str
    folder: str
    aliases: tuple[str, ...] = ()
    language: str = ""
    sample_rate_hz: int | None = None
    channels: int | None = None
    licence: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()
    speakers: dict[str, Speaker] = field(default_factory=dict)
    n_utterances: int | None = None
    by_emotion: dict[str, int] = field(default_factory=dict)
    label_versions: dict[str, str] = field(default_factory=dict)
    listeners: tuple[dict, ...] = ()
    defects: dict[str, Defect] = field(default_factory=dict)
    others: tuple[dict, ...] = ()
    download: dict = field(default_factory=dict)
    home: Path | None = None
    listed: dict[str, Parsed] | None = None

    @property
    def emotions(self):
        """The corpus's emotions, in the order of `serlib.labels`."""
        return labels.ordered(self.codes.values())

    def heard(self):
        """Return what listeners recognised of each emotion, where its source says so.

        Returns
        -------
        dict
            ``recall`` (emotion -> share recognised), ``votes`` (intended emotion -> heard emotion -> responses; empty
            if only recalls were published), ``condition`` and ``source``; an empty dict if neither was published.
        """
        for test in self.listeners:
            votes = test.get("votes", {})
            recall = {emotion: said[emotion] / sum(said.values()) for emotion, said in votes.items()}
            if recall := recall or test.get("recall"):
                return {"recall": recall, "votes": votes, "condition": test["condition"], "source": test["source"]}
        return {}

    @property
    def obtain(self):
        """How to get the corpus, in a sentence or two."""
        if self.home:
            return f"Its recordings belong into {self.home}."
        if steps := self.download.get("steps"):
            return " ".join(steps)
        return f"Get it with 'python -m serlib download {self.id}'."

    @property
    def example(self):
        """A file name to expect, as an error message may show it."""
        paths = self.listed or (self.manifest()["path"] if self.n_utterances else ())
        return next((PurePosixPath(path).name for path in paths), f"the pattern {self.names.get('pattern')}")

    def match(self, pattern, name):
        """Match a whole name with one of the passport's patterns; return the match, or None.

        Raises
        ------
        ValueError
            If that takes longer than `MAX_SECONDS`, as it may where a pattern repeats what repeats.
        """
        try:
            return _compiled(pattern).fullmatch(name, timeout=MAX_SECONDS)
        except TimeoutError:
            found = f"the pattern {pattern!r} takes more than {MAX_SECONDS} s for the name {name!r}"
            raise ValueError(f"{self.id}: {found}; expected one in which nothing repeats what repeats") from None

    def parse(self, path):
        """Read what a file's name says; its folder only says who speaks, and only where the name does not.

        Parameters
        ----------
        path : path-like
            Any path to a sound file; it need not exist.

        Returns
        -------
        Parsed or None
            None if the name is not one of this corpus's.

        Examples
        --------
        >>> get("emodb").parse("anywhere/03a01Fa.wav").emotion
        'happiness'
        """
        if self.listed is not None:
            return self.listed.get(Path(os.path.relpath(path, self.home)).as_posix())
        folder, name = os.path.split(path)
        stem, suffix = os.path.splitext(name)
        match = self.match(self.names["pattern"], stem)
        if match is None or suffix.lower() not in self.names.get("suffixes", (".wav",)):
            return None
        named = {name: value or "" for name, value in match.groupdict().items()}
        speaker, intensity = named.get("speaker", ""), named.get("intensity", "")
        if self.names.get("speaker_folder") and not speaker:
            speaker = os.path.basename(folder)
        same_speaker = self.names.get("same_speaker", {})
        speaker = same_speaker.get(_spelt_as(speaker, same_speaker), speaker)
        named["speaker"] = _spelt_as(speaker, self.speakers) if self.speakers else speaker
        named["emotion"] = _spelt_as(named["emotion"], self.codes)
        if not named["speaker"] or named["emotion"] is None:
            return None
        if self.names.get("lower_case_sentence"):
            named["sentence"] = named["sentence"].lower()
        named["intensity"] = self.names.get("same_intensity", {}).get(intensity, intensity)
        sentence = self.names["sentence"].format(**named) if "sentence" in self.names else named.get("sentence", "")
        return Parsed(
            stem=self.names["stem"].format(**named) if "stem" in self.names else stem,
            speaker=named["speaker"],
            emotion=self.codes[named["emotion"]],
            sentence=sentence,
            take=named.get("take", ""),
            intensity=named["intensity"],
        )

    def undeclared(self, path):
        """Say which part of a name that fits the pattern is not declared; None if it does not fit, or all is."""
        match = self.match(self.names.get("pattern", ""), PurePosixPath(path).stem)
        if match and _spelt_as(match["emotion"], self.codes) is None:
            return f"the code {match['emotion']!r}, which [emotions] does not declare"
        speaker = match.groupdict().get("speaker") if match else None
        if speaker and self.speakers and _spelt_as(speaker, self.speakers) is None:
            return f"the speaker {speaker!r}, whom [speakers] does not declare"
        return None

    def speaker(self, name):
        """Return what is known of a speaker: a `Speaker`, empty if nothing is."""
        return self.speakers.get(name, Speaker())

    def manifest(self):
        """Return the published files, sorted by path.

        Returns
        -------
        DataFrame
            ``path`` (POSIX, as the publisher lays files out), and, but for ShEMO and corpora of your own, ``bytes``
            and ``sha256``. No rows where nothing says which files there are.
        """
        import pandas as pd

        if self.home:
            return pd.DataFrame({"path": sorted(self.listed or ())}, dtype=object)
        return pd.read_csv(Path(__file__).parent / f"{self.id}.csv.gz")

    def published(self):
        """Return the manifest with each file's canonical ``stem`` as index."""
        return self._published.copy()

    @functools.cached_property
    def _published(self):
        manifest = self.manifest()
        if self.listed is not None:
            stems = [self.listed[path].stem for path in manifest["path"]]
        else:
            stems = [self.parse(path).stem for path in manifest["path"]]
        table = manifest.assign(stem=stems).astype(object)  # quicker to go through, row by row
        return table.set_index("stem").rename_axis(None)

    def relabel(self, version):
        """Return what another version of the labels says.

        Parameters
        ----------
        version : str
            One of `label_versions`; the first is what the file names say.

        Returns
        -------
        dict of str to str
            Canonical stem -> emotion, or an empty string where that version has none. Empty for the first version.

        Raises
        ------
        ValueError
            If the corpus has no such version.
        """
        if version not in self.label_versions:
            known = ", ".join(self.label_versions)
            raise ValueError(f"{self.id}: labels {version!r} are unknown; use one of {known}")
        if version == next(iter(self.label_versions)):
            return {}
        with gzip.open(Path(__file__).parent / f"{self.id}-labels.csv.gz", "rt", encoding="utf-8", newline="") as file:
            return {row["utterance"]: row[version] for row in csv.DictReader(file)}


_compiled = functools.cache(regex.compile)  # what `regex` itself keeps takes as long to find as a name to match


def _spelt_as(value, keys):
    """Return the one of `keys` that equals `value` but for case, or None."""
    if value in keys:
        return value
    return next((key for key in keys if key.casefold() == value.casefold()), None)


def _plain(name):
    """Write a corpus's name in lower case, without the signs that people vary."""
    return re.sub(r"[-_\s]", "", name).casefold()


# What a passport may hold: the keys of each table, and of what type they are.
KEYS = {
    "": {
        **{"id": str, "title": str, "folder": str, "aliases": list[str], "language": str, "sample_rate_hz": int},
        **{"channels": int, "licence": str, "citation": str, "notes": list[str]},
    },
    "names": {
        **{"pattern": str, "stem": str, "sentence": str, "suffixes": list[str], "speaker_folder": bool},
        **{"same_speaker": dict[str, str], "same_intensity": dict[str, str], "lower_case_sentence": bool},
    },
    "published": {"n_utterances": int, "by_emotion": dict[str, int]},
    "download": {"url": str, "md5": str, "bytes": int, "files": str, "steps": list[str]},
    "defects": {"utterances": list[str], "flag": str, "what": str, "policy": str},
    "others": {"pattern": str, "kind": str, "what": str},
    "listeners": {
        **{"condition": str, "accuracy": float, "uar": float, "source": str},
        **{"recall": dict[str, float], "votes": dict[str, dict[str, int]]},
    },
}
# What each entry of a table that is written as [[...]] must have.
NEEDED = {"defects": ("utterances", "flag", "policy"), "others": ("pattern", "kind", "what"), "listeners": ()}
MAX_AGE = 150
SPEAKER_KEYS = {"gender": str, "age": int, "race": str, "ethnicity": str, "n_utterances": int}
FREE_TABLES = ("emotions", "speakers", "labels")  # whose keys are the corpus's own
IN_WORDS = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number with a point",
    bool: "true or false",
    list[str]: "a list of texts in [ ]",
    dict[str, str]: "a table of texts in { }",
    dict[str, int]: "a table of whole numbers in { }",
    dict[str, float]: "a table of numbers with points in { }",
    dict[str, dict[str, int]]: "tables of whole numbers in { }",
}

KEY = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
LINE = re.compile(rf"\s*(\[\[?)?\s*({KEY}(?:\s*\.\s*{KEY})*)\s*(?(1)\]\]?\s*(?:\#.*)?$|=)")  # a table's head, or a key
LONG_TEXT = re.compile(r"(\"{3}|'{3}).*?\1", re.DOTALL)


class _Reader:
    """A passport file while it is checked: every complaint names the file, the line, what was found and expected."""

    def __init__(self, file):
        self.file = file
        self.text = settings.read_text(file)
        try:
            self.declared = tomllib.loads(self.text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ValueError(f"{file} is not TOML: {error}. Mend that line") from None

    def complain(self, message, *where, nth=0):
        """Raise ValueError about what stands at `where`: a table, a key of it, and so on; of [[...]], in the nth."""
        line = self.line_of(where, nth)
        raise ValueError(f"{self.file}{f', line {line}' if line else ''}: {message}")

    def line_of(self, where, nth=0):
        """Return the number of the line that sets it, or else of that which opens its table; None if there is none."""
        text = LONG_TEXT.sub(lambda match: "\n" * match[0].count("\n"), self.text)
        head, seen, opened = (), -1, (0, None)
        for number, line in enumerate(text.split("\n"), 1):
            if not (match := LINE.match(line)):
                continue
            path = tuple(key.strip("\"'") for key in re.findall(KEY, match[2]))
            if match[1]:
                head = path
                seen += path == where[:1]
            else:
                path = head + path
            if seen not in (-1, nth):
                continue
            if path[: len(where)] == where:
                return number
            if path == where[: len(path)]:
                opened = max(opened, (len(path), number))
        return opened[1]

    def check(self):
        """Complain of the first thing that is not as it should be."""
        heads = {name: f"[[{name}]]" if name in NEEDED else f"[{name}]" for name in [*KEYS, *FREE_TABLES][1:]}
        for name, value in self.declared.items():
            if name in KEYS[""]:
                self._check_type(value, KEYS[""][name], name)
            elif name not in heads:
                self.complain(f"{name!r} is unknown; expected one of {', '.join([*KEYS[''], *heads.values()])}", name)
            elif not _is(entries := value if name in NEEDED else [value], list[dict]):
                often = "once for each" if name in NEEDED else "once"
                self.complain(f"{name!r} is written otherwise; expected {heads[name]}, {often}", name)
            elif name in KEYS:
                for nth, entry in enumerate(entries):
                    self._check_entry(name, entry, nth)
        self._check_names()
        self._check_meanings()
        self._check_counts()

    def _check_entry(self, table, entry, nth):
        for key, value in entry.items():
            if key not in KEYS[table]:
                self.complain(f"{key!r} is unknown; expected one of {', '.join(KEYS[table])}", table, key, nth=nth)
            self._check_type(value, KEYS[table][key], table, key, nth=nth)
        for key in NEEDED.get(table, ()):
            if key not in entry:
                self.complain(f"[[{table}]] has no {key!r}; expected {', '.join(NEEDED[table])}", table, nth=nth)

    def _check_type(self, value, kind, *where, nth=0):
        if not _is(value, kind):
            self.complain(f"{where[-1]} is {value!r}; expected {IN_WORDS[kind]}", *where, nth=nth)

    def _check_names(self):
        names = self.declared.get("names", {})
        if "pattern" not in names:
            self.complain("[names] has no pattern; expected a regular expression of the file names", "names")
        groups = self._groups(names["pattern"], "names")
        needed = {"emotion", *(() if names.get("speaker_folder") else ("speaker",))}
        needed |= {"sentence"} if names.get("lower_case_sentence") else set()
        if missing := sorted(needed - groups):
            self.complain(f"the pattern has no group (?P<{missing[0]}>...)", "names", "pattern")
        known = groups | {"speaker", "intensity", ""}
        for key in ("stem", "sentence"):
            try:
                fields = list(string.Formatter().parse(names.get(key, "")))
                if unknown := [
                    name for _, field, *_ in fields if (name := re.match(r"\w*", field or "")[0]) not in known
                ]:
                    raise KeyError(*unknown)
                if any(spec or how or not (field or "x").isidentifier() for _, field, spec, how in fields):
                    raise ValueError("more than names stands in its braces")
                names.get(key, "").format(**dict.fromkeys(known, ""))
            except KeyError as error:
                unknown = f"{{{error.args[0]}}}, which is no group of the pattern"
                self.complain(f"{key} names {unknown}", "names", key)
            except (IndexError, AttributeError, ValueError) as error:
                expected = "expected groups of the pattern in braces"
                self.complain(f"{key} is {names[key]!r} ({error}); {expected}", "names", key)
        for nth, other in enumerate(self.declared.get("others", ())):
            self._groups(other["pattern"], "others", nth=nth)

    def _groups(self, pattern, table, nth=0):
        try:
            return set(regex.compile(pattern).groupindex)
        except regex.error as error:
            self.complain(f"the pattern is no regular expression: {error}", table, "pattern", nth=nth)

    def _check_meanings(self):
        if not self.declared.get("emotions"):
            self.complain('[emotions] has no codes; expected a line for each, as in W = "anger"', "emotions")
        for code, emotion in self.declared["emotions"].items():
            if emotion not in labels.EMOTIONS:
                self.complain(f"code {code!r} means {labels.unknown(emotion)}", "emotions", code)
        for name, about in self.declared.get("speakers", {}).items():
            if not isinstance(about, dict):
                expected = '{ gender = "female" } or the like'
                self.complain(f"speaker {name} is {about!r}; expected {expected}", "speakers", name)
            for key, value in about.items():
                where, found = ("speakers", name, key), f"speaker {name}: {key} is {value!r}"
                if key not in SPEAKER_KEYS:
                    self.complain(f"speaker {name}: {key!r} is unknown; expected {', '.join(SPEAKER_KEYS)}", *where)
                if not _is(value, SPEAKER_KEYS[key]):
                    self.complain(f"{found}; expected {IN_WORDS[SPEAKER_KEYS[key]]}", *where)
                if key == "age" and not 0 <= value <= MAX_AGE:
                    self.complain(f"{found}; expected years, at most {MAX_AGE}", *where)
                if key == "gender" and value not in ("", *labels.GENDERS):
                    self.complain(f"{found}; expected 'female', 'male' or none", *where)
        for nth, defect in enumerate(self.declared.get("defects", ())):
            if defect["policy"] not in POLICIES:
                found = f"policy is {defect['policy']!r}"
                self.complain(f"{found}; expected 'drop' or 'keep'", "defects", "policy", nth=nth)

    def _check_counts(self):
        published = self.declared.get("published", {})
        by_emotion, n = published.get("by_emotion", {}), published.get("n_utterances")
        for emotion in by_emotion:
            if emotion not in self.declared["emotions"].values():
                found = f"by_emotion counts {emotion!r}, which no code means"
                self.complain(found, "published", "by_emotion", emotion)
        if by_emotion and n is not None and sum(by_emotion.values()) != n:
            found = f"n_utterances is {n}, but by_emotion adds up to {sum(by_emotion.values())}"
            self.complain(found, "published", "n_utterances")


def _is(value, kind):
    """Say whether a value from a TOML file is of a type, down to what lists and tables hold."""
    if not (inner := get_args(kind)):
        return type(value) is kind  # in TOML, true is no number
    held = value.values() if type(value) is dict else value
    return type(value) is get_origin(kind) and all(_is(item, inner[-1]) for item in held)


def _from_toml(file, home=None):
    """Read a passport; `home` is the folder of a corpus of the user's own."""
    reader = _Reader(file)
    reader.check()
    declared = reader.declared
    published = declared.get("published", {})
    corpus = declared.get("id") or (home.resolve().name if home else file.stem)
    if home:
        if wrong := _wrong_id(corpus):
            reader.complain(wrong, "id")
        if "labels" in declared:
            reader.complain("a corpus of your own has one version of labels; expected no [labels]", "labels")
    by_emotion = published.get("by_emotion", {})
    return Passport(
        id=corpus,
        names=declared["names"],
        codes=declared["emotions"],
        title=declared.get("title", corpus),
        folder=declared.get("folder", corpus),
        aliases=tuple(declared.get("aliases", ())),
        **{
            name: declared[name]
            for name in ("language", "sample_rate_hz", "channels", "licence", "citation", "download")
            if name in declared
        },
        notes=tuple(declared.get("notes", ())),
        speakers={name: Speaker(**about) for name, about in declared.get("speakers", {}).items()},
        n_utterances=published.get("n_utterances", sum(by_emotion.values()) or None),
        by_emotion={emotion: by_emotion[emotion] for emotion in labels.ordered(by_emotion)},
        label_versions=declared.get("labels", {"file-names": "what the files' names say"}),
        listeners=tuple(declared.get("listeners", ())),
        defects={
            stem: Defect(defect["flag"], defect.get("what", ""), defect["policy"])
            for defect in declared.get("defects", ())
            for stem in defect["utterances"]
        },
        others=tuple(declared.get("others", ())),
        home=home,
    )


def _wrong_id(corpus):
    """Say why an id could not be told apart or be a file's name; None if nothing is wrong with it."""
    if not re.fullmatch(r"\w[\w.-]*", corpus):
        return f"the corpus is called {corpus!r}; expected letters, digits, - and _ (name the folder or set id)"
    known = _shipped(corpus)
    return known and f"the id {corpus!r} is that of {known.title}; choose another"


def leads_out(path):
    r"""Say whether a path that a table or an archive brings leads out of the folder that it belongs into.

    Examples
    --------
    >>> [leads_out(path) for path in ("wav/a.wav", "../a.wav", "/a.wav", "C:a.wav", "wav\\..\\a.wav")]
    [False, True, True, True, True]
    """
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    return bool(posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts)


def _from_table(file):
    """Read a passport from a table ``utterances.csv``: a row per utterance."""
    home = file.parent
    corpus = re.sub(r"[^\w.-]+", "-", home.resolve().name).strip("-").lower()
    if wrong := _wrong_id(corpus):
        raise ValueError(f"{file}: {wrong}")
    optional = ("sentence", "take", "intensity")
    known = ("path", "emotion", "speaker", "gender", "age", *optional)
    text = settings.read_text(file)
    columns = settings.header(file, text, wanted=known[:3])
    rows = csv.DictReader(io.StringIO(text))
    if unknown := [name for name in columns if name not in known]:
        raise ValueError(f"{file}, line 1: the column {unknown[0]!r} is unknown; expected some of {', '.join(known)}")
    listed, speakers, stems = {}, {}, set()
    for row in rows:
        where = f"{file}, line {rows.line_num}"
        path, speaker = PurePosixPath(row["path"].strip().replace("\\", "/")), row["speaker"].strip()
        if not path.name or leads_out(path):
            raise ValueError(f"{where}: path is {row['path']!r}; expected that of a sound file below {home}")
        if row["emotion"] not in labels.EMOTIONS:
            raise ValueError(f"{where}: emotion is {labels.unknown(row['emotion'])}")
        if not speaker:
            raise ValueError(f"{where}: speaker is empty; expected who speaks, or no split can keep speakers apart")
        stem = path.with_suffix("").as_posix()
        if stem in stems:
            raise ValueError(f"{where}: {path.as_posix()!r} is there before; expected one line for each utterance")
        about = _speaker_of(row, where)
        if speakers.setdefault(speaker, about) != about:
            raise ValueError(f"{where}: speaker {speaker!r} has another gender or age than before; use one of them")
        stems.add(stem)
        listed[path.as_posix()] = Parsed(stem, speaker, row["emotion"], *(row.get(name) or "" for name in optional))
    if not listed:
        raise ValueError(f"{file} has no rows; expected one per utterance")
    return declared(corpus, listed, speakers=speakers, home=home)


def declared(corpus, listed, *, speakers, home, title=None):
    """Return the passport of a corpus whose utterances are listed one by one.

    Parameters
    ----------
    corpus : str
        Its id.
    listed : dict of str to Parsed
        Path (POSIX, relative to `home`) -> what it holds.
    speakers : dict of str to Speaker
    home : Path
        The folder that holds the recordings.
    title : str, optional

    Returns
    -------
    Passport
    """
    by_emotion = Counter(parsed.emotion for parsed in listed.values())
    emotions = labels.ordered(by_emotion)
    return Passport(
        id=corpus,
        names={},
        codes={emotion: emotion for emotion in emotions},
        title=title or corpus,
        folder=corpus,
        speakers=speakers,
        n_utterances=len(listed),
        by_emotion={emotion: by_emotion[emotion] for emotion in emotions},
        label_versions={"table": "the listed emotion"},
        home=Path(home),
        listed=listed,
    )


def _speaker_of(row, where):
    gender, age = row.get("gender") or "", row.get("age") or ""
    if gender not in ("", *labels.GENDERS):
        raise ValueError(f"{where}: gender is {gender!r}; expected 'female', 'male' or nothing")
    if age and not (age.isdecimal() and len(age) < 10 and int(age) <= MAX_AGE):
        raise ValueError(f"{where}: age is {age!r:.40}; expected years as a whole number up to {MAX_AGE}, or nothing")
    return Speaker(gender, int(age) if age else None)


@functools.cache
def _load(corpus):
    return _from_toml(Path(__file__).parent / f"{corpus}.toml")


def _shipped(name):
    """Return the passport of one of `NAMES`, however the name is written, or None."""
    return next((_load(corpus) for corpus in NAMES if is_called(name, _load(corpus))), None)


def own(folder):
    """Return the passport that lies in a folder: of a corpus of your own.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    Passport or None
        None if the folder holds neither ``passport.toml`` nor ``utterances.csv``.

    Raises
    ------
    ValueError
        If there is a mistake in it; the message says in which line, what was found and what was expected.
    """
    folder = Path(folder)
    if (file := folder / OWN_PASSPORT).is_file():
        return _from_toml(file, home=folder)
    if (file := folder / OWN_TABLE).is_file():
        return _from_table(file)
    return None


def own_in(data):
    """Find the corpora of your own among the folders in `data`.

    Returns
    -------
    passports : dict of str to Passport
        By id.
    mistakes : dict of str to str
        What is wrong with the others, by folder name: a mistake in a passport, or an id that is taken.
    """
    passports, mistakes = {}, {}
    for folder in sorted(Path(data).iterdir()) if Path(data).is_dir() else ():
        try:
            passport = own(folder) if folder.is_dir() and not any(is_called(folder, name) for name in NAMES) else None
        except (OSError, ValueError) as error:
            mistakes[folder.name] = str(error)
            continue
        if passport and (other := next((p for p in passports.values() if _plain(p.id) == _plain(passport.id)), None)):
            both = f"{other.home.name!r} and {folder.name!r} in {data}"
            mistakes[folder.name] = f"{passport.id}: the corpora in {both} are both called so; give one another id"
        elif passport:
            passports[passport.id] = passport
    return passports, mistakes


def get(name):
    """Return a corpus's passport.

    Parameters
    ----------
    name : str or Passport
        The id, as people write it: case, ``-`` and ``_`` do not matter; ``crema`` and ``berlin`` are understood. Or
        that of a corpus of your own, whose folder lies where the profile looks for corpora.

    Returns
    -------
    Passport

    Raises
    ------
    ValueError
        If no corpus is called so.

    Examples
    --------
    >>> get("CREMAD").id
    'crema-d'
    """
    if isinstance(name, Passport):
        return name
    if (passport := _shipped(name)) is not None:
        return passport
    passports, mistakes = own_in(settings.current().data)
    for corpus, passport in passports.items():
        if _plain(name) == _plain(corpus):
            return passport
    wrong = "".join(f". Not read: {mistake}" for mistake in mistakes.values())
    raise ValueError(f"corpus {name!r} is unknown; use one of {', '.join([*NAMES, *passports])}{wrong}")


def short_title(corpus):
    """Return a corpus's name as people write it: ``EMODB``; of a corpus of your own, its id."""
    return _load(corpus).folder if corpus in NAMES else corpus


def heard_uar(names):
    """Return {corpus: UAR of its listeners} of those corpora for which it was published."""
    known = {name: get(name).listeners[:1] for name in dict.fromkeys(names)}
    return {name: test["uar"] for name, tests in known.items() for test in tests if "uar" in test}


def is_called(folder, name):
    """Say whether a folder is called like a corpus, in any of the spellings of its name."""
    passport = get(name)
    return _plain(Path(folder).name) in {_plain(spelling) for spelling in (passport.id, *passport.aliases)}


def find_folder(data, name):
    """Find a corpus's folder among those in `data`.

    Parameters
    ----------
    data : path-like
        Where the corpora lie.
    name : str or Passport
        A corpus's name.

    Returns
    -------
    Path or None
        None if no folder is called like the corpus.

    Raises
    ------
    ValueError
        If several are.
    """
    passport, data = get(name), Path(data)
    if passport.home:
        return passport.home
    folders = sorted(data.iterdir()) if data.is_dir() else []
    found = [folder for folder in folders if folder.is_dir() and is_called(folder, passport)]
    if len(found) > 1:
        names = ", ".join(repr(folder.name) for folder in found[:3])
        raise ValueError(
            f"{passport.id}: {len(found)} folders in {data} are called so ({names}); keep one, or name it with -d"
        )
    return found[0] if found else None


def find_all(data):
    """Return {corpus id: folder} of the corpora found in `data`: `NAMES` in their order, then your own."""
    found = {name: find_folder(data, name) for name in NAMES}
    found |= {name: passport.home for name, passport in own_in(data)[0].items()}
    return {name: folder for name, folder in found.items() if folder}


def overview():
    """Sum the passports up.

    Returns
    -------
    DataFrame, shape (n_corpora, 8)
        A row per corpus id: ``title``, ``language``, ``n_utterances``, ``n_speakers``, ``women``, ``emotions``,
        ``sample_rate_hz``, ``licence``; all as published.
    """
    import pandas as pd

    rows = []
    for passport in map(get, NAMES):
        rows.append(
            {
                "corpus": passport.id,
                "title": passport.title,
                "language": passport.language,
                "n_utterances": passport.n_utterances,
                "n_speakers": len(passport.speakers),
                "women": sum(speaker.gender == "female" for speaker in passport.speakers.values()),
                "emotions": ", ".join(passport.emotions),
                "sample_rate_hz": passport.sample_rate_hz,
                "licence": passport.licence,
            }
        )
    return pd.DataFrame(rows).set_index("corpus")
