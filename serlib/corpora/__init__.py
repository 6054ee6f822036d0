"""The corpora, declared as data: a passport ``<id>.toml`` and a manifest ``<id>.csv.gz`` each, and what reads them.

A passport holds what was published about a corpus: how its files are named, what the codes mean, who speaks, how
many utterances there are, which recordings are known to be broken, and where all this is stated. The manifest lists
the published files: path, and, but for ShEMO, size in bytes and SHA-256.
"""

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from .. import labels

NAMES = ("emovo", "emodb", "tess", "savee", "ravdess", "crema-d", "shemo")


@dataclass(frozen=True)
class Speaker:
    """Who speaks, as published: gender (``female``, ``male``), age in years or None, number of utterances."""

    gender: str
    age: int | None
    n_utterances: int


@dataclass(frozen=True)
class Parsed:
    """What a file name says. `stem` is the canonical name; what the corpus does not code is an empty string."""

    stem: str
    speaker: str
    emotion: str
    sentence: str
    take: str
    intensity: str


@dataclass(frozen=True)
class Passport:
    """What was published about one corpus."""

    id: str
    title: str
    folder: str
    aliases: tuple[str, ...]
    language: str
    sample_rate_hz: int
    channels: int
    licence: str
    citation: str
    obtain: str
    notes: tuple[str, ...]
    names: dict
    codes: dict[str, str]
    speakers: dict[str, Speaker]
    n_utterances: int
    by_emotion: dict[str, int]
    listeners: tuple[dict, ...]
    defects: dict[str, tuple[str, str]]

    @property
    def emotions(self):
        """The corpus's emotions, in the order of `serlib.labels`."""
        return labels.ordered(self.codes.values())

    def parse(self, path):
        """Read what a file's name says; its folder only says who speaks, and only where the name does not.

        Parameters
        ----------
        path : path-like
            Any path to a wav file; it need not exist.

        Returns
        -------
        Parsed or None
            None if the name is not one of this corpus's.

        Examples
        --------
        >>> get("emodb").parse("anywhere/03a01Fa.wav").emotion
        'happiness'
        """
        path = PurePosixPath(path)
        match = re.fullmatch(self.names["pattern"], path.stem)
        if match is None or path.suffix.lower() != ".wav":
            return None
        fields = {name: value or "" for name, value in match.groupdict().items()}
        if self.names.get("speaker_folder") and not fields["speaker"]:
            fields["speaker"] = path.parent.name
        speaker, code = fields["speaker"], fields["emotion"]
        speaker = self.names.get("same_speaker", {}).get(speaker.upper(), speaker)
        fields["speaker"] = _spelt_as(speaker, self.speakers)
        fields["emotion"] = _spelt_as(code, self.codes)
        if fields["speaker"] is None:
            return None
        if self.names.get("lower_case_sentence"):
            fields["sentence"] = fields["sentence"].lower()
        intensity = fields.get("intensity", "")
        fields["intensity"] = self.names.get("same_intensity", {}).get(intensity, intensity)
        return Parsed(
            stem=self.names["stem"].format(**fields),
            speaker=fields["speaker"],
            emotion=self.codes[fields["emotion"]],
            sentence=self.names["sentence"].format(**fields)
            if "sentence" in self.names
            else fields.get("sentence", ""),
            take=fields.get("take", ""),
            intensity=fields["intensity"],
        )

    def manifest(self):
        """Return the published files, sorted by path.

        Returns
        -------
        DataFrame
            ``path`` (POSIX, as the publisher lays files out), and, but for ShEMO, ``bytes`` and ``sha256``.
        """
        return pd.read_csv(Path(__file__).parent / f"{self.id}.csv.gz")

    def published_stems(self):
        """Return {canonical stem: published path} of every published utterance."""
        return {self.parse(path).stem: path for path in self.manifest()["path"]}


def _spelt_as(value, keys):
    """Return the one of `keys` that equals `value` but for case, or None."""
    if value in keys:
        return value
    return next((key for key in keys if key.casefold() == value.casefold()), None)


def _plain(name):
    """Write a corpus's name in lower case, without the signs that people vary."""
    return re.sub(r"[-_\s]", "", name).casefold()


@functools.cache
def _load(corpus):
    declared = tomllib.loads((Path(__file__).parent / f"{corpus}.toml").read_text(encoding="utf-8"))
    speakers = {
        name: Speaker(fields["gender"], fields.get("age"), fields["n_utterances"])
        for name, fields in declared["speakers"].items()
    }
    defects = {
        stem: (defect["flag"], defect["what"])
        for defect in declared.get("defects", ())
        for stem in defect["utterances"]
    }
    plain = ("title", "folder", "language", "sample_rate_hz", "channels", "licence", "citation", "obtain", "names")
    return Passport(
        id=corpus,
        **{name: declared[name] for name in plain},
        aliases=tuple(declared["aliases"]),
        notes=tuple(declared["notes"]),
        codes=declared["emotions"],
        speakers=speakers,
        n_utterances=declared["published"]["n_utterances"],
        by_emotion={
            emotion: declared["published"]["by_emotion"][emotion]
            for emotion in labels.ordered(declared["published"]["by_emotion"])
        },
        listeners=tuple(declared.get("listeners", ())),
        defects=defects,
    )


def get(name):
    """Return a corpus's passport.

    Parameters
    ----------
    name : str
        The id, as people write it: case, ``-`` and ``_`` do not matter; ``crema`` and ``berlin`` are understood.

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
    for corpus in NAMES:
        if _plain(name) in {_plain(spelling) for spelling in (corpus, *_load(corpus).aliases)}:
            return _load(corpus)
    raise ValueError(f"corpus {name!r} is unknown; use one of {', '.join(NAMES)}")


def find_folder(data, name):
    """Find a corpus's folder among those in `data`.

    Parameters
    ----------
    data : path-like
        Where the corpora lie.
    name : str
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
    spellings = {_plain(spelling) for spelling in (passport.id, *passport.aliases)}
    folders = sorted(data.iterdir()) if data.is_dir() else []
    found = [folder for folder in folders if folder.is_dir() and _plain(folder.name) in spellings]
    if len(found) > 1:
        names = ", ".join(repr(folder.name) for folder in found[:3])
        raise ValueError(
            f"{passport.id}: {len(found)} folders in {data} are called so ({names}); keep one, or name it with -d"
        )
    return found[0] if found else None


def find_all(data):
    """Return {corpus id: folder} of the corpora found in `data`, in the order of `NAMES`."""
    found = {name: find_folder(data, name) for name in NAMES}
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
