"""Folder -> index table: what the files' names, headers and contents say, compared with what was published."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from .. import audio, cache, corpora, settings, storage, synthetic
from ..settings import SEED
from .tables import COLUMNS, DEMOGRAPHICS, NUMBERS, few, random_parts


def scan(path, corpus=None, *, seed=SEED, label_version=None, keep_flagged=False, progress=False):
    """Index a folder that holds a corpus, however it is laid out, and compare it with what was published.

    File names decide what an utterance is, never folders (but for SAVEE's speakers). Where an utterance is found
    more than once, the first place in alphabetical order is read. Utterances with a defect that the passport declares
    are treated as it says. Found defects keep an utterance out: identical recordings with different labels
    (``contradictory``), all but the first of identical recordings (``duplicate``), and no label in the wanted version
    (``unlabelled``).

    Parameters
    ----------
    path : path-like
        The folder; everything below it is looked at.
    corpus : str or Passport, optional
        The corpus's name; by default the passport in the folder says which corpus of your own it holds.
    seed : int
        Draws the random part: a fifth of each emotion is ``test``.
    label_version : str, optional
        Which version of the labels to take, of ``corpora.get(corpus).label_versions``; by default the first.
    keep_flagged : bool
        Whether utterances that would be kept out get a part all the same.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS` and `DEMOGRAPHICS`, sorted by ``utterance``. ``attrs["problems"]`` lists every
        deviation from the passport, a line each; ``attrs["dropped"]`` what was kept out, and why.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If no utterance of the corpus is in it, or it has no such version of labels.

    Examples
    --------
    >>> from serlib import index
    >>> table = index.scan(index.corpus_folder("emodb"), "emodb")
    >>> len(table), table["speaker"].nunique(), table.attrs["problems"]
    (280, 7, [])
    """
    root, passport = Path(path), passport_of(path, corpus)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} is not a folder; expected the one that holds {passport.id}. {passport.how_to_get}"
        )
    label_version = label_version or next(iter(passport.label_versions))
    relabelled = passport.relabel(label_version)
    if not _is_text(root.resolve()):
        raise ValueError(f"{storage.printable(root)} has a name that is no text in UTF-8; rename the folder")
    sound = {file: file.relative_to(root).as_posix() for file in audio.files(root)}
    found, problems = _find(sound, passport)
    rows, unread = [], {}
    for parsed, file in tqdm(found, desc=f"index {passport.id}", unit="file", disable=not progress):
        header = audio.inspect(file)
        if isinstance(header, audio.Header):
            rows.append(_row(passport, parsed, sound[file], header))
        else:
            unread.setdefault(header.kind, []).append((file, header))
    problems += [_unread(files, sound) for files in unread.values()]
    if not rows:
        expected = f"expected files named like {passport.example}. {passport.how_to_get}"
        what = f"{settings.short(root)} holds no utterance of {passport.id}"
        raise ValueError("; ".join([what, *problems[:1], expected]))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *DEMOGRAPHICS]).sort_values("utterance", ignore_index=True)
    table = table.assign(content=cache.contents(root, table["path"], progress=progress)).astype(NUMBERS)
    made = synthetic.read_marker(root)
    problems += _deviations(table, passport, made)
    problems += passport.notes if passport.listed else ()
    if relabelled:
        table["emotion"] = [
            relabelled.get(utterance.removeprefix(f"{passport.id}/")) or emotion
            for utterance, emotion in zip(table["utterance"], table["emotion"], strict=True)
        ]
    unlabelled = {stem for stem, emotion in relabelled.items() if not emotion}
    table["flags"] = _flags(table, passport, unlabelled)
    kept_out = ~table["flags"].map(_is_kept(passport)) & (not keep_flagged)
    table["part"] = ""
    given = {f"{passport.id}/{parsed.stem}": parsed.part for parsed, _ in found}
    is_given = all(given.values())  # the corpus brings a split of its own
    drawn = table["utterance"].map(given) if is_given else random_parts(table.loc[~kept_out, "emotion"], seed=seed)
    table.loc[~kept_out, "part"] = drawn
    table.attrs = {
        "corpus": passport.id,
        "folder": str(root.resolve()),
        "listing": listing(root, sound),
        "synthetic": made is not None,
        "protocol": "given-parts" if is_given else "random",
        "seed": seed,
        "labels": label_version,
        "keep_flagged": keep_flagged,
        "dropped": table.loc[kept_out, ["utterance", "path", "flags"]].to_dict("records"),
        "problems": problems,
    }
    return table


def passport_of(path, corpus=None):
    """Return the passport of the corpus called `corpus`, or else the one in a folder; ValueError if there is none.

    Examples
    --------
    >>> from serlib import index
    >>> index.passport_of(index.corpus_folder("emodb"), "emodb").language
    'deu'
    """
    if isinstance(corpus, corpora.Passport):
        return corpus
    is_shipped = corpus is not None and any(corpora.is_called(corpus, name) for name in corpora.NAMES)
    passport = None if is_shipped else corpora.own(path)
    if passport is not None and corpus in (None, passport.id):
        return passport
    if corpus is None:
        names = ", ".join(corpora.NAMES)
        raise ValueError(
            f"no corpus is named, and {path} holds neither {corpora.OWN_PASSPORT} nor {corpora.OWN_TABLE}; say which"
            f" corpus it is ({names})"
        )
    return corpora.get(corpus)


def listing(folder, sound=None):
    """Return a hash of paths, sizes and times of change below a folder; `sound` is what `audio.files` said."""
    lines = []
    declared = [Path(folder) / name for name in (corpora.OWN_PASSPORT, corpora.OWN_TABLE)]
    if sound is None:
        sound = {file: file.relative_to(folder).as_posix() for file in audio.files(folder)}
    for file, path in [*sound.items(), *((file, file.name) for file in declared if file.is_file())]:
        try:
            status = os.stat(file)
            size, time = status.st_size, status.st_mtime_ns
        except OSError:  # a link that leads nowhere
            size, time = 0, 0
        lines.append(f"{path} {size} {time}")
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _is_text(path):
    """Return whether a path is valid Unicode; a file name may be any bytes."""
    try:
        path.as_posix().encode()
    except UnicodeEncodeError:
        return False
    return True


def _find(sound, passport):
    """Return [(Parsed, file)], an utterance each, sorted by path, and the problems met."""
    found, doubled, converted, speakerless, strange = {}, [], [], [], []
    for file in sound:
        parsed = passport.parse(file)
        if not _is_text(file):
            strange.append(file)
        elif parsed is None:
            is_converted = passport.listed is None and passport.parse(file.with_suffix(".wav")) is not None
            lacks_speaker = passport.undeclared(file) == corpora.NO_SPEAKER
            (converted if is_converted else speakerless if lacks_speaker else strange).append(file)
        elif parsed.stem in found:
            doubled.append(file)
        else:
            found[parsed.stem] = (parsed, file)
    problems = []
    for files, what in (
        (doubled, "of an utterance found before, not read"),
        (converted, "named as this corpus's but no WAV, not read"),
        (speakerless, "without the speaker, neither in the name nor as the folder, not read"),
        (strange, "not named as this corpus's, not read"),
    ):
        if files:
            n = "1 sound file" if len(files) == 1 else f"{len(files):,} sound files"
            problems.append(f"{passport.id}: {n} {what}: {few(sound[file] for file in files)}")
    return list(found.values()), problems


def _unread(files, sound):
    """Return one line on why files of one kind were not read."""
    (file, problem), more = files[0], len(files) - 1
    found = f"{storage.printable(sound[file])} {problem.found}"
    line = f"{found}; expected {problem.expected}. {problem.next.capitalize()}."
    return f"{line} {more:,} more {'is' if more == 1 else 'are'} like it." if more else line


def _row(passport, parsed, path, header):
    speaker = passport.speaker(parsed.speaker)
    return {
        "utterance": f"{passport.id}/{parsed.stem}",
        "corpus": passport.id,
        "path": path,
        "speaker": f"{passport.id}/{parsed.speaker}",
        "gender": speaker.gender,
        "emotion": parsed.emotion,
        "sentence": parsed.sentence,
        "take": parsed.take,
        "intensity": parsed.intensity,
        "duration_s": round(header.duration_s, 4),
        "sample_rate_hz": header.sample_rate_hz,
        "channels": header.channels,
        **{name: getattr(speaker, name) for name in DEMOGRAPHICS},
    }


def _flags(table, passport, unlabelled):
    """Return the defects of each row, joined by ``;``: those declared in the passport, and those found."""
    flags = {utterance: set() for utterance in table["utterance"]}
    declared = [(stem, defect.flag) for stem, defect in passport.defects.items()]
    for stem, flag in declared + [(stem, "unlabelled") for stem in unlabelled]:
        if (utterance := f"{passport.id}/{stem}") in flags:
            flags[utterance].add(flag)
    for _, same in table[table["content"].duplicated(keep=False)].groupby("content"):
        if len(set(same["emotion"])) > 1:
            for utterance in same["utterance"]:
                flags[utterance].add("contradictory")
        elif not any(flags[utterance] for utterance in same["utterance"]):
            for utterance in same["utterance"][1:]:
                flags[utterance].add("duplicate")
    return [";".join(sorted(flags[utterance])) for utterance in table["utterance"]]


def _is_kept(passport):
    """Return a function that decides by the passport's policy whether an utterance with some flags is kept."""
    harmless = {defect.flag for defect in passport.defects.values() if defect.policy == "keep"}
    return lambda flags: set(filter(None, flags.split(";"))) <= harmless


def _deviations(table, passport, made):
    """Compare a table with the published counts, or with those that synthetic speech carries."""
    if made:
        found = Counter(table["emotion"])
        off = [f"{emotion} {found[emotion]} of {n}" for emotion, n in made["by_emotion"].items() if found[emotion] != n]
        changed = f"{passport.id}: the synthetic corpus was changed since it was made: {', '.join(off)}. Make it again"
        return [changed] if off else []
    published, lines = passport.published(), []
    doctor = "See what 'python -m serlib doctor' says of the folder"
    if published.empty and passport.n_utterances not in (None, len(table)):
        lines.append(f"{passport.id}: {len(table):,} utterances, {passport.n_utterances:,} in the passport. {doctor}")
    if published.empty:
        return lines
    stems = [utterance.removeprefix(f"{passport.id}/") for utterance in table["utterance"]]
    content = dict(zip(stems, table["content"], strict=True))
    missing = [path for stem, path in zip(published.index, published["path"], strict=True) if stem not in content]
    extra = sorted(set(stems).difference(published.index))
    if missing or extra:
        line = f"{passport.id}: {len(table):,} utterances, {len(published):,} published"
        line += f"; {len(missing):,} missing: {few(missing)}" if missing else ""
        line += f"; {len(extra):,} never published: {few(extra)}" if extra else ""
        lines.append(f"{line}. {doctor}")
    if "sha256" in published:
        sha256 = zip(published.index, published["sha256"], strict=True)
        altered = sorted(stem for stem, expected in sha256 if content.get(stem, expected) != expected)
        if altered:
            compared = len(stems) - len(extra)
            line = f"{passport.id}: {len(altered):,} of {compared:,} utterances differ from what was published"
            lines.append(f"{line}: {few(altered)}. {doctor}")
    return lines
