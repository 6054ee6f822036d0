"""Files -> passports: ``<id>.toml`` of the seven corpora; ``passport.toml`` or ``utterances.csv`` of one's own.

The structs say what a passport may hold, and msgspec checks it; what takes more than types is checked in `_check`.
"""

import bisect
import contextlib
import csv
import dataclasses
import functools
import io
import operator
import re
import string
import tomllib
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

import msgspec
import regex

from .. import labels, storage
from .passport import MAX_AGE, Count, Defect, Names, Parsed, Passport, Speaker

NAMES = ("emovo", "emodb", "tess", "savee", "ravdess", "crema-d", "shemo")
SEPARATORS = ",;\t"  # of a table
COLUMN_WORDS = {  # what others call the columns of a table, in lower case
    "path": ("file", "filename", "file_name", "wav"),
    "emotion": ("label", "class"),
    "speaker": ("speaker_id", "actor", "subject"),
    "gender": ("sex",),
    "age": (),
    "sentence": ("text", "transcript"),
    "take": ("repetition",),
    "intensity": (),
    "part": ("split", "partition"),
}
PART_WORDS = {"train": "train", "training": "train", "test": "test"}
PART_WORDS |= dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development"), "validation")
GENDER_WORDS = {"f": "female", "w": "female", "female": "female", "m": "male", "male": "male"}
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Published(msgspec.Struct, forbid_unknown_fields=True):
    """How many utterances there are, in all and of each emotion."""

    n_utterances: Count | None = None
    by_emotion: dict[str, Count] = {}


class Download(msgspec.Struct, forbid_unknown_fields=True):
    """Where the corpus is to be had: an archive, a folder of files, or what a person has to do."""

    url: str = ""
    md5: str = ""
    bytes: Count = 0
    files: str = ""
    steps: list[str] = []


class Other(msgspec.Struct, forbid_unknown_fields=True):
    """Files that lie beside a corpus and are not of it: their names' pattern, a kind in a word, what they are."""

    pattern: str
    kind: str
    what: str


class Listeners(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What listeners recognised; `votes` are intended emotion -> chosen emotion -> responses."""

    condition: str
    source: str
    accuracy: Share | None = None
    uar: Share | None = None
    recall: dict[str, Share] = {}
    votes: dict[str, dict[str, Count]] = {}


class Declared(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a passport file may hold."""

    id: str = ""
    title: str = ""
    folder: str = ""
    aliases: tuple[str, ...] = ()
    language: str = ""
    sample_rate_hz: Positive | None = None
    channels: Positive | None = None
    licence: str = ""
    citation: str = ""
    notes: tuple[str, ...] = ()
    names: Names
    emotions: Annotated[dict[str, object], msgspec.Meta(min_length=1)]
    speakers: dict[str, object] = {}
    labels: dict[str, str] = {}
    published: Published = msgspec.field(default_factory=Published)
    download: Download = msgspec.field(default_factory=Download)
    defects: tuple[Defect, ...] = ()
    others: tuple[Other, ...] = ()
    listeners: tuple[Listeners, ...] = ()


TABLES = {"names": Names, "published": Published, "download": Download}
TABLES |= {"defects": Defect, "others": Other, "listeners": Listeners}
TYPES = {  # msgspec's names of types, in words of TOML
    **{"str": "text in quotes", "int": "a whole number", "float": "a number", "bool": "true or false"},
    **{"array": "a list, [[...]] or [...]", "object": "a table, [...] or {...}"},
}
EXPECTED = {
    "names": "[names] with a pattern",
    "pattern": "a regular expression of the file names",
    "emotions": 'a line for each code below [emotions], as in W = "anger"',
    "gender": "'female', 'male' or none",
    "policy": "'drop' or 'keep'",
}


class _Toml:
    """A TOML file while it is checked."""

    def __init__(self, file):
        self.file, self.text = file, storage.read_text(file)
        try:
            self.declared = tomllib.loads(self.text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ValueError(f"{file} is not TOML: {error}. Correct that line") from None

    def convert(self, kind, *where):
        """Return what stands at `where` as a struct, or complain of what msgspec refuses."""
        value = functools.reduce(operator.getitem, where, self.declared)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$")
        known, every, _ = path.partition("[...]")  # which msgspec writes for any key of a dict
        steps = [int(nth) if nth else key for key, nth in re.findall(r"\.([\w-]+)|\[(\d+)\]", known)]
        value, where = functools.reduce(operator.getitem, steps, value), (*where, *steps)
        names = [step for step in where if isinstance(step, str)]
        called, kind = ".".join(names) or "the passport", TABLES.get(names[0], kind) if names else kind
        if field := re.fullmatch("Object contains unknown field `(.*)`", message):
            expected = f"expected one of {', '.join(kind.__struct_fields__)}"
            self.complain(f"{called} has the unknown key {field[1]!r}; {expected}", *where, field[1])
        if field := re.fullmatch("Object missing required field `(.*)`", message):
            needed = [one.name for one in msgspec.structs.fields(kind) if one.required]
            expected = EXPECTED.get(field[1]) or ", ".join(needed)
            self.complain(f"{called} has no {field[1]!r}; expected {expected}", *where)
        wanted = re.match(r"Expected `(\w+).*?`(.*?)(, got .*)?$", message)
        expected = EXPECTED.get(names[-1]) or f"{'each to be ' * bool(every)}{TYPES[wanted[1]]}{wanted[2]}"
        self.complain(f"{called} is {value!r:.200}; expected {expected}", *where)

    def complain(self, message, *where):
        """Raise ValueError about what stands at `where`: a key, a key or a number in what stands there, and so on."""
        line = self._line_of(where)
        raise ValueError(f"{self.file}{f', line {line}' if line else ''}: {message}. Correct it")

    def _line_of(self, where):
        """Return the number of the line with which the lines above first hold a value at `where`, or None."""
        lines = self.text.split("\n")

        def whole(n):
            """Return the first n lines as a table, without those of a value that goes on below: (n, table)."""
            while True:
                with contextlib.suppress(tomllib.TOMLDecodeError):
                    return n, tomllib.loads("\n".join(lines[:n]))
                n -= 1

        def has(n):
            try:
                return bool(where) and functools.reduce(operator.getitem, where, whole(n)[1]) is not None
            except (LookupError, TypeError):
                return False

        last = bisect.bisect_left(range(len(lines) + 1), True, key=has)
        return whole(last - 1)[0] + 1 if last <= len(lines) else None


def _check(toml, read):
    """Raise for the first fault that types do not find: in patterns, templates, codes or counts."""
    groups = _groups(toml, read.names.pattern, "names", "pattern")
    needed = {"emotion", *(() if read.names.speaker_folder else ("speaker",))}
    needed |= {"sentence"} if read.names.lower_case_sentence else set()
    if missing := sorted(needed - groups):
        expected = ", ".join(sorted(needed))
        toml.complain(f"the pattern has no group (?P<{missing[0]}>...); expected {expected}", "names", "pattern")
    for key in ("stem", "sentence"):
        _check_template(toml, key, getattr(read.names, key), groups | {"speaker", "intensity"})
    for nth, other in enumerate(read.others):
        _groups(toml, other.pattern, "others", nth, "pattern")
    for code, emotion in read.emotions.items():
        if fault := labels.fault(emotion):
            toml.complain(f"code {code!r} means {fault}", "emotions", code)
    by_emotion, n = read.published.by_emotion, read.published.n_utterances
    if uncoded := sorted(set(by_emotion).difference(read.emotions.values())):
        expected = f"expected emotions of [emotions]: {', '.join(labels.ordered(read.emotions.values()))}"
        toml.complain(f"by_emotion counts {uncoded[0]!r}; {expected}", "published", "by_emotion", uncoded[0])
    if by_emotion and n not in (None, total := sum(by_emotion.values())):
        toml.complain(f"n_utterances is {n}; expected {total}, the sum of by_emotion", "published", "n_utterances")


def _groups(toml, pattern, *where):
    """Return the names of a pattern's groups."""
    try:
        return set(regex.compile(pattern).groupindex)
    except regex.error as error:
        toml.complain(f"the pattern {pattern!r:.100} does not compile ({error}); expected a regular expression", *where)


def _check_template(toml, key, template, known):
    """Raise if a template's braces hold anything but group names."""
    expected = f"expected {' or '.join(f'{{{name}}}' for name in sorted(known))}"
    try:
        fields = [field for _, *field in string.Formatter().parse(template) if field[0] is not None]
    except ValueError as error:
        toml.complain(f"{key} is {template!r} ({error}); {expected}", "names", key)
    for name, spec, conversion in fields:
        if spec or conversion or name not in known:
            toml.complain(
                f"{key} is {template!r}, where {name!r} is no group of the pattern, or has a format; {expected}",
                "names",
                key,
            )


def from_toml(file, home=None):
    """Read a passport; `home` is the folder of a corpus of the user's own."""
    toml = _Toml(file)
    read = toml.convert(Declared)
    speakers = {name: toml.convert(Speaker, "speakers", name) for name in read.speakers}
    _check(toml, read)
    corpus = read.id or (home.resolve().name if home else file.stem)
    if home and (wrong := _wrong_id(corpus)):
        toml.complain(wrong, "id")
    if home and read.labels:
        toml.complain("a corpus of your own has one version of labels; expected no [labels]", "labels")
    by_emotion = read.published.by_emotion
    same = ("names", "aliases", "language", "sample_rate_hz", "channels", "licence", "citation", "notes")
    return Passport(
        id=corpus,
        codes=read.emotions,
        title=read.title or corpus,
        folder=read.folder or corpus,
        **{name: getattr(read, name) for name in same},
        speakers=speakers,
        n_utterances=sum(by_emotion.values()) or read.published.n_utterances,
        by_emotion={emotion: by_emotion[emotion] for emotion in labels.ordered(by_emotion)},
        label_versions=read.labels or {"file-names": "what the files' names say"},
        defects={stem: defect for defect in read.defects for stem in defect.utterances},
        download=toml.declared.get("download", {}),
        **{name: tuple(toml.declared.get(name, ())) for name in ("others", "listeners")},
        home=home,
    )


@functools.cache
def load(corpus):
    """Return the passport of one of `NAMES`."""
    return from_toml(Path(__file__).parent / f"{corpus}.toml")


def plain(name):
    """Write a corpus's name in lower case, without the signs that people vary."""
    return re.sub(r"[-_\s]", "", name).casefold()


def is_called(folder, passport):
    """Return whether a folder is called like a corpus, in any of the spellings of its name."""
    return plain(Path(folder).name) in {plain(spelling) for spelling in (passport.id, *passport.aliases)}


def shipped(name):
    """Return the passport of one of `NAMES`, however the name is written, or None."""
    return next((load(corpus) for corpus in NAMES if is_called(name, load(corpus))), None)


def _wrong_id(corpus):
    """Return why an id is ambiguous or no valid file name, or None."""
    if not re.fullmatch(r"\w[\w.-]*", corpus):
        return f"the corpus is called {corpus!r}; expected letters, digits, - and _ (name the folder or set id)"
    known = shipped(corpus)
    return known and f"the id {corpus!r} is that of {known.title}; expected another (name the folder or set id)"


def leads_out(path):
    r"""Return whether a path that a table or an archive brings leads out of the folder that it belongs into.

    Examples
    --------
    >>> [leads_out(path) for path in ("wav/a.wav", "../a.wav", "/a.wav", "C:a.wav", "wav\\..\\a.wav")]
    [False, True, True, True, True]
    """
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    return bool(posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts)


def from_table(file):
    """Read a passport from a table ``utterances.csv``: a row per utterance."""
    home = file.parent
    corpus = re.sub(r"[^\w.-]+", "-", home.resolve().name).strip("-").lower()
    if wrong := _wrong_id(corpus):
        raise ValueError(f"{file}: {wrong}")
    optional = ("sentence", "take", "intensity")
    words = ", ".join(PART_WORDS)
    text = storage.read_text(file)
    separator = max(SEPARATORS, key=text.lstrip().partition("\n")[0].count)
    taken, notes = _columns(file, storage.column_names(file, text, separator=separator))
    rows, listed, speakers, stems = csv.DictReader(io.StringIO(text), delimiter=separator), {}, {}, set()
    for theirs in rows:
        where, row = f"{file}, line {rows.line_num}", {ours: theirs[name] for ours, name in taken.items()}
        spelt = unicodedata.normalize("NFC", row["path"])  # macOS takes umlauts apart
        path = PurePosixPath(spelt.strip().replace("\\", "/"))
        speaker = row["speaker"].strip()
        if not path.name or leads_out(path):
            raise ValueError(f"{where}: path is {row['path']!r}; expected that of a sound file below {home}")
        if fault := labels.fault(row["emotion"]):
            raise ValueError(f"{where}: emotion is {fault}")
        if not speaker:
            raise ValueError(f"{where}: speaker is empty; expected who speaks, or no split can keep speakers apart")
        stem = path.with_suffix("").as_posix()
        if stem in stems:
            raise ValueError(f"{where}: {path.as_posix()!r} is there twice; expected one line for each utterance")
        part = PART_WORDS.get(row.get("part", "").strip().lower(), "")
        if "part" in row and not part:
            raise ValueError(f"{where}: part is {row['part']!r}; expected one of {words}, or no such column")
        about = _speaker_of(row, where)
        if speakers.setdefault(speaker, about) != about:
            raise ValueError(f"{where}: speaker {speaker!r} has another gender or age than before; use one of them")
        stems.add(stem)
        listed[path.as_posix()] = Parsed(
            stem, speaker, row["emotion"], *(row.get(name) or "" for name in optional), part
        )
    if not listed:
        raise ValueError(f"{file} has no rows; expected one per utterance")
    return dataclasses.replace(declared(corpus, listed, speakers=speakers, home=home), notes=notes)


def _columns(file, names):
    """Map a table's columns to ours; return the mapping and a note about it."""
    lower = {name.strip().lower(): name for name in reversed(names)}
    taken = {}
    for ours, words in COLUMN_WORDS.items():
        if known := [lower[word] for word in (ours, *words) if word in lower]:
            taken[ours] = known[0]
    wanted = ("path", "emotion", "speaker")
    if missing := [ours for ours in wanted if ours not in taken]:
        others = f" (or {', '.join(COLUMN_WORDS[missing[0]])})"
        raise ValueError(
            f"{file}, line 1: the column {missing[0]!r}{others} is missing; expected {','.join(wanted)}; correct it"
        )
    said = [f"{name!r} is taken for {ours}" for ours, name in taken.items() if name != ours]
    aside = [repr(name) for name in names if name and name not in taken.values()]
    said += [f"kept aside: {', '.join(aside)}"] if aside else []
    return taken, (f"{file.name}: {'; '.join(said)}",) if said else ()


def _speaker_of(row, where):
    """Return the speaker of a table's row."""
    gender, age = row.get("gender") or "", row.get("age") or ""
    gender = GENDER_WORDS.get(gender.strip().lower(), gender)
    if gender not in ("", *labels.GENDERS):
        raise ValueError(f"{where}: gender is {gender!r}; expected 'female', 'male' or nothing")
    if age and not (age.isdecimal() and len(age) < 10 and int(age) <= MAX_AGE):
        raise ValueError(f"{where}: age is {age!r:.40}; expected years as a whole number up to {MAX_AGE}, or nothing")
    return Speaker(gender, int(age) if age else None)


def declared(corpus, listed, *, speakers, home, title=None):
    """Return the passport of a corpus in `home` whose utterances are listed: {POSIX path in it: Parsed}."""
    by_emotion = Counter(parsed.emotion for parsed in listed.values())
    emotions = labels.ordered(by_emotion)
    return Passport(
        id=corpus,
        names=None,
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
