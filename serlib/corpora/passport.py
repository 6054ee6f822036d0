"""A corpus's passport: what was published about it, or what its maker declares, and what that makes of a file."""

import csv
import functools
import gzip
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import msgspec
import regex  # as `re`, but it can be told when to give up

from .. import labels

MAX_SECONDS = 5  # for a pattern and a name
MAX_AGE = 150
NO_SPEAKER = "no speaker, neither in its name nor as its folder"
Count = Annotated[int, msgspec.Meta(ge=0)]


class Speaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who speaks, as published; what is not published is empty or None."""

    gender: Literal["female", "male", ""] = ""
    age: Annotated[int, msgspec.Meta(ge=0, le=MAX_AGE)] | None = None
    race: str = ""
    ethnicity: str = ""
    n_utterances: Count | None = None


class Defect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with some utterances: a word for ``flags``, whether to keep them out, and an explanation."""

    utterances: tuple[str, ...]
    flag: str
    policy: Literal["drop", "keep"]
    what: str = ""


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How files are named: a regular expression with named groups, and what is made of them."""

    pattern: str
    stem: str = ""
    sentence: str = ""
    suffixes: tuple[str, ...] = (".wav",)
    speaker_folder: bool = False
    same_speaker: dict[str, str] = {}
    same_intensity: dict[str, str] = {}
    lower_case_sentence: bool = False


@dataclass(frozen=True)
class Parsed:
    """What a file name says. `stem` is the canonical name; what the corpus does not code is an empty string."""

    stem: str
    speaker: str
    emotion: str
    sentence: str = ""
    take: str = ""
    intensity: str = ""
    part: str = ""  # as the corpus itself is split: train, validation or test


@dataclass(frozen=True)
class Passport:
    """What was published about one corpus, or what its maker declares."""

    id: str
    names: Names | None
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

    def listener_scores(self):
        """Return what listeners recognised of each emotion, where its source says so.

        Returns
        -------
        dict
            ``recall`` (emotion -> share recognised), ``votes`` (intended emotion -> heard emotion -> responses; empty
            if only recalls were published), ``condition`` and ``source``; an empty dict if neither was published.
        """
        for test in self.listeners:
            votes = test.get("votes", {})
            recall = {emotion: answers[emotion] / sum(answers.values()) for emotion, answers in votes.items()}
            if recall := recall or test.get("recall"):
                return {"recall": recall, "votes": votes, "condition": test["condition"], "source": test["source"]}
        return {}

    def votes(self):
        """Return how often listeners who had only the voice heard each emotion in each utterance.

        Returns
        -------
        DataFrame of int, shape (n_utterances, n_emotions)
            The index is the utterances' stems. In rows divided by their sums, these are soft labels.

        Raises
        ------
        ValueError
            If the corpus's answers were not published one by one.

        Examples
        --------
        >>> from serlib import corpora
        >>> corpora.get("crema-d").votes().loc["1001_IEO_HAP_HI"].to_dict()
        {'anger': 2, 'disgust': 0, 'fear': 0, 'happiness': 6, 'neutral': 2, 'sadness': 0}
        """
        import pandas as pd

        file = Path(__file__).parent / f"{self.id}-votes.csv.gz"
        if not file.is_file():
            raise ValueError(f"{self.id}: what each listener heard is not published; it is of crema-d. Use that")
        return pd.read_csv(file, index_col="utterance")

    @property
    def how_to_get(self):
        """How to get the corpus, in a sentence or two."""
        if self.home:
            return f"Its recordings belong into {self.home}."
        if steps := self.download.get("steps"):
            return " ".join(steps)
        return f"Get it with 'python -m serlib download {self.id}'."

    @property
    def example(self):
        """A file name to expect, as an error message may show it; with its folder where that may say who speaks."""
        paths = self.listed or (self.manifest()["path"] if self.n_utterances else ())
        path = next(map(PurePosixPath, paths), None)
        if path is None:
            return f"the pattern {self.names.pattern if self.names else None}"
        if not (self.names and self.names.speaker_folder):
            return path.name
        alone = f"{self.parse(path).stem}{path.suffix}"
        return f"{path.parent.name}/{path.name}" + f" or {alone}" * (self.parse(alone) is not None)

    def match(self, pattern, name):
        """Return the match of a whole name with a pattern, or None; raise ValueError if it takes `MAX_SECONDS`."""
        try:
            return _compiled(pattern).fullmatch(name, timeout=MAX_SECONDS)
        except TimeoutError:
            found = f"the pattern {pattern!r} takes more than {MAX_SECONDS} s for the name {name!r}"
            expected = "expected one without nested quantifiers such as (a+)+. Simplify it"
            raise ValueError(f"{self.id}: {found}; {expected}") from None

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
        >>> from serlib import corpora
        >>> corpora.get("emodb").parse("anywhere/03a01Fa.wav").emotion
        'happiness'
        """
        if self.listed is not None:
            return self.listed.get(unicodedata.normalize("NFC", Path(os.path.relpath(path, self.home)).as_posix()))
        folder, name = os.path.split(path)
        stem, suffix = os.path.splitext(name)
        match = self.match(self.names.pattern, stem)
        if match is None or suffix.lower() not in self.names.suffixes:
            return None
        named = {name: value or "" for name, value in match.groupdict().items()}
        speaker, intensity = named.get("speaker", ""), named.get("intensity", "")
        if self.names.speaker_folder and not speaker:
            speaker = os.path.basename(folder)
        speaker = self.names.same_speaker.get(_spelt_as(speaker, self.names.same_speaker), speaker)
        named["speaker"] = _spelt_as(speaker, self.speakers) if self.speakers else speaker
        named["emotion"] = _spelt_as(named["emotion"], self.codes)
        if not named["speaker"] or named["emotion"] is None:
            return None
        if self.names.lower_case_sentence:
            named["sentence"] = named["sentence"].lower()
        named["intensity"] = self.names.same_intensity.get(intensity, intensity)
        return Parsed(
            stem=self.names.stem.format(**named) or stem,
            speaker=named["speaker"],
            emotion=self.codes[named["emotion"]],
            sentence=self.names.sentence.format(**named) or named.get("sentence", ""),
            take=named.get("take", ""),
            intensity=named["intensity"],
        )

    def undeclared(self, path):
        """Say which part of a name that fits the pattern is not declared; None if it does not fit, or all is."""
        match = self.match(self.names.pattern, PurePosixPath(path).stem) if self.names else None
        if match and _spelt_as(match["emotion"] or "", self.codes) is None:
            return f"the code {match['emotion']!r}, which [emotions] does not declare"
        speaker = match.groupdict().get("speaker") if match else None
        if speaker and self.speakers and _spelt_as(speaker, self.speakers) is None:
            return f"the speaker {speaker!r}, whom [speakers] does not declare"
        is_speakerless = match and not speaker and self.names.speaker_folder and self.parse(path) is None
        return NO_SPEAKER if is_speakerless else None

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
        manifest, listed = self.manifest(), self.listed
        stems = [(listed[path] if listed is not None else self.parse(path)).stem for path in manifest["path"]]
        table = manifest.assign(stem=stems).astype(object)  # quicker to go through, row by row
        return table.set_index("stem").rename_axis(None)

    def relabel(self, version):
        """Return what a version of the labels says: {stem: emotion, or ""}; of the first, in the names, {}.

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


_compiled = functools.cache(regex.compile)  # faster than the cache within `regex`


def _spelt_as(value, keys):
    """Return the one of `keys` that equals `value` but for case, or None."""
    if value in keys:
        return value
    return next((key for key in keys if key.casefold() == value.casefold()), None)
