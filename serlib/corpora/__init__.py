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
import io
import os
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from .. import labels, settings

NAMES = ("emovo", "emodb", "tess", "savee", "ravdess", "crema-d", "shemo")
OWN_PASSPORT, OWN_TABLE = "passport.toml", "utterances.csv"
POLICIES = ("drop", "keep")


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

    @property
    def obtain(self):
        """How to get the corpus, in a sentence or two."""
        if self.home:
            return f"Its passport is in {self.home}."
        if steps := self.download.get("steps"):
            return " ".join(steps)
        return f"Get it with 'python -m serlib download {self.id}'."

    @property
    def example(self):
        """A file name to expect, as an error message may show it."""
        paths = self.listed or (self.manifest()["path"] if self.n_utterances else ())
        return next((PurePosixPath(path).name for path in paths), f"the pattern {self.names.get('pattern')}")

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
        path = PurePosixPath(path)
        match = re.fullmatch(self.names["pattern"], path.stem)
        if match is None or path.suffix.lower() not in self.names.get("suffixes", (".wav",)):
            return None
        named = {name: value or "" for name, value in match.groupdict().items()}
        speaker, intensity = named.get("speaker", ""), named.get("intensity", "")
        if self.names.get("speaker_folder") and not speaker:
            speaker = path.parent.name
        speaker = self.names.get("same_speaker", {}).get(speaker.upper(), speaker)
        named["speaker"] = _spelt_as(speaker, self.speakers) if self.speakers else speaker
        named["emotion"] = _spelt_as(named["emotion"], self.codes)
        if not named["speaker"] or named["emotion"] is None:
            return None
        if self.names.get("lower_case_sentence"):
            named["sentence"] = named["sentence"].lower()
        named["intensity"] = self.names.get("same_intensity", {}).get(intensity, intensity)
        sentence = self.names["sentence"].format(**named) if "sentence" in self.names else named.get("sentence", "")
        return Parsed(
            stem=self.names["stem"].format(**named) if "stem" in self.names else path.stem,
            speaker=named["speaker"],
            emotion=self.codes[named["emotion"]],
            sentence=sentence,
            take=named.get("take", ""),
            intensity=named["intensity"],
        )

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
        if self.home:
            return pd.DataFrame({"path": sorted(self.listed or ())}, dtype=object)
        return pd.read_csv(Path(__file__).parent / f"{self.id}.csv.gz")

    def published(self):
        """Return the manifest with each file's canonical ``stem`` as index."""
        manifest = self.manifest()
        if self.listed is not None:
            return manifest.set_axis([self.listed[path].stem for path in manifest["path"]])
        return manifest.set_axis([self.parse(path).stem for path in manifest["path"]])

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
        table = pd.read_csv(Path(__file__).parent / f"{self.id}-labels.csv.gz", keep_default_na=False)
        return dict(zip(table["utterance"], table[version], strict=True))


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
        **{"id": str, "title": str, "folder": str, "aliases": list, "language": str, "sample_rate_hz": int},
        **{"channels": int, "licence": str, "citation": str, "notes": list},
    },
    "names": {
        **{"pattern": str, "stem": str, "sentence": str, "suffixes": list, "speaker_folder": bool},
        **{"same_speaker": dict, "same_intensity": dict, "lower_case_sentence": bool},
    },
    "published": {"n_utterances": int, "by_emotion": dict},
    "download": {"url": str, "md5": str, "bytes": int, "files": str, "steps": list},
    "defects": {"utterances": list, "flag": str, "what": str, "policy": str},
    "others": {"pattern": str, "kind": str, "what": str},
    "listeners": {"condition": str, "accuracy": float, "uar": float, "source": str},
}
SPEAKER_KEYS = {"gender": str, "age": int, "race": str, "ethnicity": str, "n_utterances": int}
FREE_TABLES = ("emotions", "speakers", "labels")  # whose keys are the corpus's own


class _Reader:
    """A passport file while it is checked: every complaint names the file, the line, what was found and expected."""

    def __init__(self, file):
        self.file, self.text = file, file.read_text(encoding="utf-8-sig")
        try:
            self.declared = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{file} is not TOML: {error}. Mend that line") from None

    def complain(self, message, table="", key=None, nth=0):
        """Raise ValueError about a key of a table, or of the nth of an array of tables."""
        line = self.line_of(table, key, nth)
        raise ValueError(f"{self.file}{f', line {line}' if line else ''}: {message}")

    def line_of(self, table, key, nth):
        """Return the number of the line that sets a key, or else of its table's head; None if neither is there."""
        now, seen, head = "", -1, None
        for number, line in enumerate(self.text.splitlines(), 1):
            if match := re.match(r"\s*\[+\s*([\w.-]+)\s*\]", line):
                now = match[1]
                seen += now == table
                head = number if now == table and seen == nth else head
            elif now == table and seen in (nth, -1) and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                return number
        return head

    def check(self):
        """Complain of the first thing that is not as it should be."""
        for name, value in self.declared.items():
            is_table = isinstance(value, dict) or (value and isinstance(value, list) and isinstance(value[0], dict))
            if name in FREE_TABLES and isinstance(value, dict):
                continue
            if not is_table:
                self._check_key("", name, value)
                continue
            if name not in KEYS:
                self.complain(f"[{name}] is unknown; expected one of {', '.join([*KEYS, *FREE_TABLES][1:])}", name)
            for nth, entry in enumerate(value if isinstance(value, list) else [value]):
                for key, content in entry.items():
                    self._check_key(name, key, content, nth)
        self._check_names()
        self._check_meanings()

    def _check_key(self, table, key, value, nth=0):
        if key not in KEYS[table]:
            self.complain(f"{key!r} is unknown; expected one of {', '.join(KEYS[table])}", table, key, nth)
        wanted = KEYS[table][key]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            self.complain(f"{key} is {value!r}; expected {_in_words(wanted)}", table, key, nth)

    def _check_names(self):
        names = self.declared.get("names", {})
        if "pattern" not in names:
            self.complain("[names] has no pattern; expected a regular expression of the file names", "names")
        for table, nth, pattern in [
            ("names", 0, names["pattern"]),
            *(("others", nth, other.get("pattern", "")) for nth, other in enumerate(self.declared.get("others", ()))),
        ]:
            try:
                groups = set(re.compile(pattern).groupindex)
            except re.error as error:
                self.complain(f"the pattern is no regular expression: {error}", table, "pattern", nth)
            if table == "names":
                needed = {"emotion"} | (set() if names.get("speaker_folder") else {"speaker"})
                if missing := sorted(needed - groups):
                    self.complain(f"the pattern has no group (?P<{missing[0]}>...)", table, "pattern")
                groups |= {"speaker", "intensity"}
                for key in ("stem", "sentence"):
                    if unknown := sorted(set(re.findall(r"{(\w*)}", names.get(key, ""))) - groups):
                        self.complain(f"{key} names {{{unknown[0]}}}, which is no group of the pattern", table, key)

    def _check_meanings(self):
        if not self.declared.get("emotions"):
            self.complain('[emotions] has no codes; expected a line for each, as in W = "anger"', "emotions")
        for code, emotion in self.declared["emotions"].items():
            if emotion not in labels.EMOTIONS:
                self.complain(f"code {code!r} means {labels.unknown(emotion)}", "emotions", code)
        for name, about in self.declared.get("speakers", {}).items():
            if not isinstance(about, dict):
                self.complain(f'speaker {name} is {about!r}; expected {{ gender = "female" }} or the like', *_at(name))
            for key, value in about.items():
                if key not in SPEAKER_KEYS:
                    self.complain(f"speaker {name}: {key!r} is unknown; expected {', '.join(SPEAKER_KEYS)}", *_at(name))
                if not isinstance(value, SPEAKER_KEYS[key]):
                    expected = _in_words(SPEAKER_KEYS[key])
                    self.complain(f"speaker {name}: {key} is {value!r}; expected {expected}", *_at(name))
            if about.get("gender", "") not in ("", *labels.GENDERS):
                found = f"speaker {name}: gender is {about['gender']!r}"
                self.complain(f"{found}; expected 'female', 'male' or none", *_at(name))
        for nth, defect in enumerate(self.declared.get("defects", ())):
            for key in ("utterances", "flag", "policy"):
                if key not in defect:
                    self.complain(f"the defect has no {key!r}", "defects", None, nth)
            if defect["policy"] not in POLICIES:
                self.complain(f"policy is {defect['policy']!r}; expected 'drop' or 'keep'", "defects", "policy", nth)
        self._check_counts()

    def _check_counts(self):
        published = self.declared.get("published", {})
        for emotion in published.get("by_emotion", {}):
            if emotion not in self.declared["emotions"].values():
                self.complain(f"by_emotion counts {emotion!r}, which no code means", "published", "by_emotion")
        total, n = sum(published.get("by_emotion", {}).values()), published.get("n_utterances")
        if total and n is not None and total != n:
            self.complain(f"n_utterances is {n}, but by_emotion adds up to {total}", "published", "n_utterances")


def _at(speaker):
    return "speakers", speaker


def _in_words(kind):
    return {
        str: "text in quotes",
        int: "a whole number",
        float: "a number with a point",
        bool: "true or false",
        list: "a list in [ ]",
        dict: "a table in { }",
    }[kind]


def _from_toml(file, home=None):
    """Read a passport; `home` is the folder of a corpus of the user's own."""
    reader = _Reader(file)
    reader.check()
    declared = reader.declared
    published = declared.get("published", {})
    corpus = declared.get("id") or (home.resolve().name if home else file.stem)
    if home:
        _check_id(corpus, file)
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
        n_utterances=published.get("n_utterances"),
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


def _check_id(corpus, file):
    """Refuse an id that could not be told apart, or that could not be a file's name."""
    if not re.fullmatch(r"[\w][\w.-]*", corpus):
        raise ValueError(
            f"{file}: the corpus is called {corpus!r}; expected letters, digits, - and _ (name the folder or set id)"
        )
    if (known := _shipped(corpus)) is not None:
        raise ValueError(f"{file}: the id {corpus!r} is that of {known.title}; choose another")


def _from_table(file):
    """Read a passport from a table ``utterances.csv``: a row per utterance."""
    home = file.parent
    corpus = re.sub(r"[^\w.-]+", "-", home.resolve().name).strip("-").lower()
    _check_id(corpus, file)
    optional = ("sentence", "take", "intensity")
    known = ("path", "emotion", "speaker", "gender", "age", *optional)
    try:
        rows = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""))
        columns = rows.fieldnames or []
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not in UTF-8 ({error.reason}); save it as CSV in UTF-8") from None
    if missing := [name for name in known[:3] if name not in columns]:
        raise ValueError(f"{file}, line 1: the column {missing[0]!r} is missing; expected path,emotion,speaker")
    if unknown := [name for name in columns if name not in known]:
        raise ValueError(f"{file}, line 1: the column {unknown[0]!r} is unknown; expected some of {', '.join(known)}")
    listed, speakers, stems = {}, {}, set()
    for row in rows:
        where = f"{file}, line {rows.line_num}"
        if None in row or None in row.values():
            raise ValueError(f"{where}: expected {len(columns)} values, as in line 1")
        path, speaker = PurePosixPath(row["path"].strip().replace("\\", "/")), row["speaker"].strip()
        if not path.name or path.is_absolute() or PureWindowsPath(path).drive or ".." in path.parts:
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
    if age and not age.isdecimal():
        raise ValueError(f"{where}: age is {age!r}; expected years as a whole number, or nothing")
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
    """Return {id: Passport} of the corpora of your own whose folders lie in `data`."""
    folders = sorted(Path(data).iterdir()) if Path(data).is_dir() else []
    passports = [own(folder) for folder in folders if folder.is_dir()]
    return {passport.id: passport for passport in passports if passport}


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
    own_ones = own_in(settings.current().data)
    for corpus, passport in own_ones.items():
        if _plain(name) == _plain(corpus):
            return passport
    raise ValueError(f"corpus {name!r} is unknown; use one of {', '.join([*NAMES, *own_ones])}")


def short_title(corpus):
    """Return a corpus's name as people write it: ``EMODB``; of a corpus of your own, its id."""
    return _load(corpus).folder if corpus in NAMES else corpus


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
    found |= {name: passport.home for name, passport in own_in(data).items()}
    return {name: folder for name, folder in found.items() if folder}


def overview():
    """Sum the passports up.

    Returns
    -------
    DataFrame, shape (n_corpora, 8)
        A row per corpus id: ``title``, ``language``, ``n_utterances``, ``n_speakers``, ``women``, ``emotions``,
        ``sample_rate_hz``, ``licence``; all as published.
    """
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
