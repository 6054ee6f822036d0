"""Compare a copy of a corpus with what was published: file by file, names first, then headers, then content.

Most trouble with these corpora comes from the copy: files missing, doubled, renamed, overwritten, or never fetched
(Git-LFS pointers). Nothing is changed; each finding says what to do.
"""

import os
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
from tqdm.auto import tqdm

from . import audio, cache, corpora, index, labels, storage, synthetic

# What to do about a finding of each kind; the kinds of `serlib.audio.inspect` bring their own advice.
KINDS = {
    "missing": "run 'python -m serlib download {corpus}', or go on with a part of the corpus, knowingly",
    "altered": "replace it by the published file: this is another recording, or one that was processed",
    "silent": "delete it, or record it again",
    "renamed": "give it its published name back",
    "container": "use the WAV files of the corpus: lossy copies sound different to a model",
    "misplaced": "find out which is right, name or folder; serlib goes by the name",
    "contradiction": "find out which is right, name or folder; serlib goes by the name",
    "identical": "find out which is right and delete the others; 'index' keeps out what cannot be true of both",
    "doubled": "delete the copy: other programs would train and test on the same recording",
    "extra": "move it elsewhere: it was never published",
    "unknown": "move it elsewhere; serlib passes it over",
    "macos": "delete it: macOS writes such files into archives, and they hold no sound",
    "count": "make the synthetic corpus again; of your own, find out which is right, the files or the passport",
}
# What was published so, or is only worth knowing: no finding of these makes a copy a wrong one.
NOTES = {
    "known defect": "nothing to do: 'index' flags it, and keeps it out if its policy is 'drop'",
    "channels": "nothing to do: channels are averaged when it is read",
    "rate": "nothing to do: it is resampled when it is read",
    "medium": "nothing to do: the WAV file of it is there, and is what is read",
    "aiff": "nothing to do: it is read as what it is; Python's own wave module cannot",
}
COPY_MARKS = re.compile(r"( - copy( \(\d+\))?| copy( \d+)?| ?\(\d+\)|_copy\d*|_[A-Za-z0-9]{7})$", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """One deviation. `path` is relative to the folder, in POSIX spelling; `next` says what to do."""

    kind: str
    path: str
    found: str
    expected: str
    next: str


@dataclass(frozen=True)
class CopyReport:
    """What `compare_copy` found. ``n_expected`` is None where nothing says how many utterances there are."""

    corpus: str
    folder: str
    is_synthetic: bool
    is_quick: bool
    n_found: int
    n_expected: int | None
    findings: tuple[Finding, ...]

    @property
    def ok(self):
        """Whether the copy is what was published: all of it, and nothing else that could be taken for it."""
        return all(finding.kind in NOTES for finding in self.findings)

    @property
    def verdict(self):
        """The result in one line."""
        expected = "" if self.n_expected is None else f" of {self.n_expected:,}"
        wrong = sum(finding.kind not in NOTES for finding in self.findings)
        what = "synthetic utterances" if self.is_synthetic else "utterances"
        if self.is_synthetic or self.n_expected is None or self.corpus not in corpora.NAMES:
            how = ""
        elif self.corpus == "shemo":
            how = ", by their names (no checksums were published)"
        else:
            how = ", by their sizes (contents not compared)" if self.is_quick else ", each byte as published"
        findings = "1 finding" if wrong == 1 else f"{wrong:,} findings"
        if self.ok:
            return f"{self.corpus}: in order; {self.n_found:,}{expected} {what}{how}"
        return f"{self.corpus}: not in order; {self.n_found:,}{expected} {what} are there, {findings}"

    def to_dict(self):
        """Return the report as ``doctor --json`` prints it."""
        return {
            "corpus": self.corpus,
            "ok": self.ok,
            "n_found": self.n_found,
            "n_expected": self.n_expected,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def table(self):
        """Return a row per kind of finding: how many, and the first of them, in text that no terminal obeys."""
        groups = {}
        for finding in self.findings:
            groups.setdefault(finding.kind, []).append(finding)
        rows = [(kind, len(found), *map(storage.printable, astuple(found[0])[1:])) for kind, found in groups.items()]
        columns = ["kind", "n", "first", "found", "expected", "next"]
        return pd.DataFrame(rows, columns=columns).set_index("kind")


@dataclass
class _File:
    """A sound file, and what is known of it so far. `how` says how it was identified, if it was."""

    file: Path
    path: str
    parsed: corpora.Parsed | None = None
    how: str = ""
    what: str = ""
    header: audio.Header | None = None
    content: str | None = None


def compare_copy(path, corpus=None, *, quick=False, progress=False):
    """Compare a folder with what was published about the corpus that it should hold.

    Parameters
    ----------
    path : path-like
        The folder; everything below it is looked at.
    corpus : str or Passport, optional
        The corpus's name; by default the passport in the folder says it, or else it is guessed from the files' names.
    quick : bool
        Whether to compare sizes only, not contents.
    progress : bool
        Whether to show progress bars on stderr.

    Returns
    -------
    CopyReport

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If no corpus is named and none can be guessed.

    Examples
    --------
    >>> from serlib import doctor, index
    >>> doctor.compare_copy(index.corpus_folder("emodb")).verdict
    'emodb: in order; 280 of 280 synthetic utterances'
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected the one that holds a corpus")
    sound, findings = _look(root)
    passport = index.passport_of(root, corpus) if corpus or corpora.own(root) else _guess(root, [f.file for f in sound])
    made = synthetic.read_marker(root)
    published = passport.published()
    for file in sound:
        _identify(passport, file)
    findings += _read_headers(sound, progress)
    readable = [file for file in sound if file.header]
    known = published if "sha256" in published and not made else published.iloc[:0]
    if not quick:
        _read_contents(readable, progress)
        _recognise(readable, known, passport)
    findings += _judge_names(readable, published, known, passport)
    chosen, doubles = _choose(readable, known)
    findings += doubles
    extra = _judge_extra(chosen, published)
    findings += extra
    findings += _judge_contents(chosen, known, passport, quick)
    findings += _judge_twins(chosen, known)
    findings += _judge_places(chosen, published)
    findings += _judge_formats(chosen, passport)
    findings += _judge_presence(root, passport, chosen, sound, published, made)
    return CopyReport(
        corpus=passport.id,
        folder=str(root),
        is_synthetic=made is not None,
        is_quick=quick,
        n_found=len(chosen) - len(extra),
        n_expected=made["n_utterances"] if made else len(published) or passport.n_utterances,
        findings=tuple(sorted(findings, key=_urgency)),
    )


def _urgency(finding):
    """Order findings: what is missing first, then what cannot be read, then the rest as `KINDS` and `NOTES` list it."""
    order = list(KINDS)[1:] + list(NOTES)
    return (finding.kind != "missing", order.index(finding.kind) if finding.kind in order else -1, finding.path)


def _guess(root, files):
    """Return the passport of the corpus that sound files are named like; if of none, that the folder is called like."""
    votes = Counter(dict.fromkeys(corpora.NAMES, 0))
    for name in corpora.NAMES:
        passport = corpora.get(name)
        for file in files:
            probe = _File(file, "")
            _identify(passport, probe)
            votes[name] += 2 * (probe.how == "name") + bool(probe.how)
    if not any(votes.values()):
        votes.update(name for name in corpora.NAMES if corpora.is_called(root.resolve(), name))
    (best, n), (_, second) = votes.most_common(2)
    if n == second:
        few = ", ".join(repr(file.name) for file in files[:3]) or "none at all"
        raise ValueError(
            f"{root}: cannot tell which corpus this is from its {len(files):,} sound files ({few}); say so with -n NAME"
            f" ({', '.join(corpora.NAMES)})"
        )
    return corpora.get(best)


def _finding(kind, path, found, expected, next=None):
    """Return a finding, with its kind's advice by default."""
    return Finding(kind, path, found, expected, next or {**KINDS, **NOTES}.get(kind, KINDS["unknown"]))


def _look(root):
    """List the sound files, and report files that macOS left."""
    sound, findings = [], []
    for file in audio.below(root):
        path = file.relative_to(root).as_posix()
        if file.name.startswith("._") or ("__MACOSX" in file.parts and os.path.isfile(file)):
            findings.append(_finding("macos", path, "a resource file of macOS", "recordings only"))
        elif file.suffix.lower() in audio.SUFFIXES and not file.name.startswith("."):
            sound.append(_File(file, path))
    return sound, findings


def _identify(passport, file):
    """Note which utterance a file's name means, and how that is known."""
    if parsed := passport.parse(file.file):
        file.parsed, file.how = parsed, "name"
        return
    for other in passport.others:
        if passport.match(other["pattern"], file.file.stem):
            file.how, file.what = other["kind"], other["what"]
            return
    if passport.listed is None and (parsed := passport.parse(file.file.with_suffix(".wav"))):
        file.parsed, file.how = parsed, "container"
        return
    stem = file.file.stem
    while (shorter := COPY_MARKS.sub("", stem)) != stem:
        stem = shorter
        if parsed := passport.parse(file.file.with_name(f"{stem}{file.file.suffix}")):
            file.parsed, file.how = parsed, "copy"
            return


def _read_headers(sound, progress):
    """Read all headers; return the files that are no recordings."""
    findings = []
    for file in tqdm(sound, desc="headers", unit="file", disable=not progress):
        found = audio.inspect(file.file)
        if isinstance(found, audio.Problem):
            findings.append(_finding(found.kind, file.path, found.found, found.expected, found.next))
        else:
            file.header = found
    return findings


def _read_contents(files, progress):
    """Hash all files, in as many threads as there are processors: hashing lets other threads run."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        contents = pool.map(lambda file: cache.content_hash(file.file), files)
        contents = tqdm(contents, total=len(files), desc="contents", unit="file", disable=not progress)
        for file, content in zip(files, contents, strict=True):
            file.content = content


def _recognise(files, known, passport):
    """Identify files by content if their names are not the corpus's."""
    path_of = dict(zip(known.get("sha256", ()), known["path"], strict=True))
    for file in files:
        if not file.how and file.content in path_of:
            file.parsed, file.how = passport.parse(path_of[file.content]), "content"


def _is_as_published(file, known):
    """Return whether a file holds its utterance, by content or, unread, by size; True if neither was published."""
    stem = file.parsed.stem
    return known.empty or _size_or_content(file) in (known["sha256"].get(stem), known["bytes"].get(stem))


def _size_or_content(file):
    return file.content or file.file.stat().st_size


def _judge_names(files, published, known, passport):
    """Find files that are not named as the corpus's."""
    named = {file.parsed.stem for file in files if file.how == "name" and _is_as_published(file, known)}
    findings = []
    for file in files:
        if file.how == "container":
            found = f"{file.header.container} under the name of {file.parsed.stem}"
            kind = "medium" if file.parsed.stem in named else "container"
            next = f"name {file.file.suffix!r} among the suffixes in [names]" if passport.home else None
            findings.append(_finding(kind, file.path, found, "WAV", next if kind == "container" else None))
        elif file.how in ("content", "copy"):
            stem = file.parsed.stem
            if len(published) and stem not in published.index:
                kind = "extra"
            elif not _is_as_published(file, known):
                kind = "altered"
            else:
                kind = "doubled" if stem in named else "renamed"
                named.add(stem)
            expected = f"one file, {published['path'].get(stem, stem)}"
            findings.append(_finding(kind, file.path, f"a copy of {stem}", expected))
        elif file.what:
            found, _, expected = file.what.partition("; expected ")
            findings.append(_finding(file.how, file.path, found, expected or f"names like {passport.example}"))
        elif not file.how:
            found = passport.undeclared(file.file) or f"the name {file.file.name}"
            findings.append(_finding("unknown", file.path, found, f"names like {passport.example}"))
    return findings


def _choose(files, known):
    """Return {stem: file}, the published one if it is there, and findings about the others of the same name."""
    groups = defaultdict(list)
    for file in files:
        if file.how == "name":
            groups[file.parsed.stem].append(file)
    chosen, findings = {}, []
    for stem, group in sorted(groups.items()):
        first = chosen[stem] = next((file for file in group if _is_as_published(file, known)), group[0])
        for file in group:
            if file is not first and _size_or_content(file) == _size_or_content(first):
                findings.append(_finding("doubled", file.path, f"{stem} again, as {first.path}", "each recording once"))
            elif file is not first:
                found = f"{stem} again, with another content than {first.path}"
                findings.append(_finding("altered", file.path, found, "each recording once"))
    return chosen, findings


def _judge_extra(chosen, published):
    """Find utterances that are named as the corpus's and were never published."""
    return [
        _finding("extra", file.path, f"the utterance {stem}", "published utterances only")
        for stem, file in chosen.items()
        if len(published) and stem not in published.index
    ]


def _judge_contents(chosen, known, passport, quick):
    """Compare contents, or sizes, with what was published; find silence and what the passport knows to be wrong."""
    findings = []
    for stem, file in chosen.items():
        size, is_known = file.file.stat().st_size, stem in known.index
        if is_known and size != known["bytes"][stem]:
            head = file.header
            found = f"{size:,} bytes, {head.duration_s:.2f} s at {head.sample_rate_hz:,} Hz"
            findings.append(_finding("altered", file.path, found, f"{known['bytes'][stem]:,} bytes"))
        elif is_known and not quick and file.content != known["sha256"][stem]:
            expected = f"the content whose SHA-256 begins with {known['sha256'][stem][:8]}"
            findings.append(_finding("altered", file.path, f"as many bytes, but {file.content[:8]}...", expected))
        elif stem in passport.defects:
            defect = passport.defects[stem]
            findings.append(_finding("known defect", file.path, f"{defect.flag}: {defect.what}", "as published"))
        elif not is_known and not quick:
            findings += _check_signal(file)
    return findings


def _check_signal(file):
    """Find silence and damage in a recording that nothing can be compared with."""
    try:
        signal = audio.load(file.file, file.header.sample_rate_hz)
    except (OSError, ValueError) as error:
        found = str(error).removeprefix(f"{storage.printable(file.file)} ").partition("; expected ")[0]
        return [_finding("unreadable", file.path, found, "a recording", "get the file, or export it, again")]
    return [] if signal.any() else [_finding("silent", file.path, "every sample is zero", "speech")]


def _judge_twins(chosen, known):
    """Find utterances that are the same recording, where nobody published them so."""
    twins = defaultdict(list)
    for stem, file in chosen.items():
        if file.content and stem not in known.index:
            twins[file.content].append(file)
    return [
        _finding("identical", file.path, f"the same recording as {group[0].path}", "each recording once")
        for group in twins.values()
        for file in group[1:]
    ]


def _judge_places(chosen, published):
    """Find files in a folder that belongs to others, or that names another emotion than they do."""
    home = {stem: PurePosixPath(path).parent.name for stem, path in published["path"].items()}
    homes, findings = {folder.casefold() for folder in home.values()}, []
    for stem, file in chosen.items():
        here = PurePosixPath(file.path).parent.name
        if stem in home and here.casefold() in homes - {home[stem].casefold()}:
            findings.append(_finding("misplaced", file.path, f"{stem} in {here}", f"the folder {home[stem]}"))
            continue
        named = labels.recognise(" ".join(PurePosixPath(file.path).parent.parts))
        if len(named) == 1 and named[0] != file.parsed.emotion:
            found = f"{stem}, {file.parsed.emotion} by its name, in a folder of {named[0]}"
            findings.append(_finding("contradiction", file.path, found, f"a folder of {file.parsed.emotion}"))
    return findings


def _judge_formats(chosen, passport):
    """Find other rates, numbers of channels and containers than the corpus's."""
    findings = []
    for file in chosen.values():
        head = file.header
        if head.container == "AIFF" and file.file.suffix.lower() == ".wav":
            findings.append(_finding("aiff", file.path, "AIFF inside .wav", "WAV"))
        if passport.channels and head.channels != passport.channels:
            found = f"{head.channels} channel{'s' * (head.channels != 1)}"
            findings.append(_finding("channels", file.path, found, str(passport.channels)))
        if passport.sample_rate_hz and head.sample_rate_hz != passport.sample_rate_hz:
            found, expected = (f"{rate:,} Hz" for rate in (head.sample_rate_hz, passport.sample_rate_hz))
            findings.append(_finding("rate", file.path, found, expected))
    return findings


def _judge_presence(root, passport, chosen, sound, published, made):
    """Find what is not there: published utterances, or as many as a synthetic corpus, or one of your own, says."""
    if made or published.empty:
        return _judge_counts(chosen, made["by_emotion"] if made else passport.by_emotion, passport.n_utterances)
    there = set(chosen) | {file.parsed.stem for file in sound if file.parsed}
    next = KINDS["missing"].format(corpus=passport.id)
    if passport.home:
        next = f"put it there, or take its line out of {corpora.OWN_TABLE}"
    other = f"a file whose suffix is none of {', '.join(audio.SUFFIXES)}"
    return [
        _finding(
            "missing", path, other if os.path.isfile(root / path) else "no such file", f"the utterance {stem}", next
        )
        for stem, path in published["path"].items()
        if stem not in there
    ]


def _judge_counts(chosen, by_emotion, n_utterances):
    """Find other numbers of utterances than were declared, of each emotion or in all."""
    n = Counter(file.parsed.emotion for file in chosen.values())
    if not chosen:
        counts = [("utterances", 0, "some")]
    elif by_emotion:
        emotions = labels.ordered([*n, *by_emotion])
        counts = [(f"utterances of {emotion}", n[emotion], by_emotion.get(emotion, 0)) for emotion in emotions]
    else:
        counts = [("utterances", len(chosen), n_utterances)]
    return [
        _finding("count", "", f"{found} {what}", f"{expected}, as declared")
        for what, found, expected in counts
        if expected not in (None, found)
    ]
