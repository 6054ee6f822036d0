"""Folder -> index table: a row per utterance, from file names, headers and content hashes; nothing is decoded.

The columns are text but for ``duration_s`` (float), ``sample_rate_hz``, ``channels`` and ``age`` (int); missing is an
empty string (of ``age``, NA). ``part`` is ``train`` or ``test``, or empty: kept out, for the reason in ``flags``. What
does not fit into rows stands in ``table.attrs`` and, on disk, in a JSON file beside the CSV: ``corpus``, ``folder``,
``synthetic``, ``protocol``, ``seed``, ``labels`` (which version), ``keep_flagged``, ``dropped`` and ``problems``.
"""

import hashlib
import io
import json
import math
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from . import audio, cache, corpora, labels, settings, synthetic
from .settings import SEED, replacing_together

COLUMNS = (
    *("utterance", "corpus", "path", "speaker", "gender", "emotion", "sentence", "take", "intensity"),
    *("duration_s", "sample_rate_hz", "channels", "content", "part", "flags"),
)
DEMOGRAPHICS = ("age", "race", "ethnicity")  # of the speaker, where published; a table may do without
NUMBERS = {"duration_s": float, "sample_rate_hz": int, "channels": int, "age": "Int64"}
PARTS = ("train", "test", "")


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
    """
    root, passport = Path(path), passport_of(path, corpus)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected the one that holds {passport.id}. {passport.obtain}")
    label_version = label_version or next(iter(passport.label_versions))
    relabelled = passport.relabel(label_version)
    if not _is_text(root.resolve()):
        raise ValueError(f"{settings.printable(root)} has a name that is no text in UTF-8; rename the folder")
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
        expected = f"expected files named like {passport.example}. {passport.obtain}"
        what = f"{settings.short(root)} holds no utterance of {passport.id}"
        raise ValueError("; ".join([what, *problems[:1], expected]))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *DEMOGRAPHICS]).sort_values("utterance", ignore_index=True)
    table = table.assign(content=cache.contents(root, table["path"], progress=progress)).astype(NUMBERS)
    made = synthetic.read_marker(root)
    problems += _deviations(table, passport, made)
    if relabelled:
        table["emotion"] = [
            relabelled.get(utterance.removeprefix(f"{passport.id}/")) or emotion
            for utterance, emotion in zip(table["utterance"], table["emotion"], strict=True)
        ]
    unlabelled = {stem for stem, emotion in relabelled.items() if not emotion}
    table["flags"] = _flags(table, passport, unlabelled)
    kept_out = ~table["flags"].map(_is_kept(passport)) & (not keep_flagged)
    table["part"] = ""
    table.loc[~kept_out, "part"] = random_parts(table.loc[~kept_out, "emotion"], seed=seed)
    table.attrs = {
        "corpus": passport.id,
        "folder": str(root.resolve()),
        "listing": listing(root, sound),
        "synthetic": made is not None,
        "protocol": "random",
        "seed": seed,
        "labels": label_version,
        "keep_flagged": keep_flagged,
        "dropped": table.loc[kept_out, ["utterance", "path", "flags"]].to_dict("records"),
        "problems": problems,
    }
    return table


def passport_of(path, corpus=None):
    """Return the passport of the corpus called `corpus`, or else the one in a folder.

    Raises
    ------
    ValueError
        If neither says what the folder holds.
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
    """Return a hash of what lies below a folder: paths, sizes and times of change, of a passport of your own, too.

    Parameters
    ----------
    folder : path-like
    sound : dict of Path to str, optional
        What `audio.files` says of it, and the paths relative to the folder, if that is known.

    Returns
    -------
    str
        16 hexadecimal digits; a table whose ``attrs["listing"]`` differs is no longer up to date.
    """
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
    """Say whether a path can be written into a table: a name may be any bytes, in whatever code a system once had."""
    try:
        path.as_posix().encode()
    except UnicodeEncodeError:
        return False
    return True


def _find(sound, passport):
    """Return [(Parsed, file)], an utterance each, sorted by path, and the problems met."""
    found, doubled, converted, strange = {}, [], [], []
    for file in sound:
        parsed = passport.parse(file)
        if not _is_text(file):
            strange.append(file)
        elif parsed is None:
            is_converted = passport.listed is None and passport.parse(file.with_suffix(".wav")) is not None
            (converted if is_converted else strange).append(file)
        elif parsed.stem in found:
            doubled.append(file)
        else:
            found[parsed.stem] = (parsed, file)
    problems = []
    for files, what in (
        (doubled, "of an utterance found before, not read"),
        (converted, "named as this corpus's but no WAV, not read"),
        (strange, "not named as this corpus's, not read"),
    ):
        if files:
            n = "1 sound file" if len(files) == 1 else f"{len(files):,} sound files"
            problems.append(f"{passport.id}: {n} {what}: {_few(sound[file] for file in files)}")
    return list(found.values()), problems


def _unread(files, sound):
    """Say in a line why files of one kind were not read."""
    (file, problem), more = files[0], len(files) - 1
    found = f"{settings.printable(sound[file])} {problem.found}"
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
    """Return a function that says whether an utterance with these flags is kept: by policy, or for want of flags."""
    harmless = {defect.flag for defect in passport.defects.values() if defect.policy == "keep"}
    return lambda flags: set(filter(None, flags.split(";"))) <= harmless


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
    emotions = np.asarray(emotions, dtype=object)
    counts = pd.Series(emotions).value_counts().sort_index()
    share = counts * test_size
    n_tested = share.astype(int)
    for emotion in (share - n_tested).sort_values(ascending=False, kind="stable").index:
        if n_tested.sum() < math.ceil(len(emotions) * test_size) and n_tested[emotion] < counts[emotion] - 1:
            n_tested[emotion] += 1
    drawn, parts = np.random.default_rng(seed).permutation(len(emotions)), np.full(len(emotions), "train")
    for emotion, n in n_tested.items():
        parts[drawn[emotions[drawn] == emotion][:n]] = "test"
    return parts


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
        line += f"; {len(missing):,} missing: {_few(missing)}" if missing else ""
        line += f"; {len(extra):,} never published: {_few(extra)}" if extra else ""
        lines.append(f"{line}. {doctor}")
    if "sha256" in published:
        sha256 = zip(published.index, published["sha256"], strict=True)
        altered = sorted(stem for stem, expected in sha256 if content.get(stem, expected) != expected)
        if altered:
            compared = len(stems) - len(extra)
            line = f"{passport.id}: {len(altered):,} of {compared:,} utterances differ from what was published"
            lines.append(f"{line}: {_few(altered)}. {doctor}")
    return lines


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

    Raises
    ------
    ValueError
        If it is called as the table by which a corpus of your own declares itself, which would be lost, or somebody
        else's JSON file is beside it, which would.
    IsADirectoryError
        If a folder is there.
    """
    csv = Path(csv)
    if csv.name == corpora.OWN_TABLE:
        raise ValueError(f"{csv} would declare a corpus; nothing was written. Name another place with -o")
    with replacing_together(csv, csv.with_suffix(".json")) as (rows, about):
        table.to_csv(rows, index=False, float_format="%.4f", lineterminator="\n")
        said = {"corpus": table["corpus"].iloc[0], **table.attrs}  # by which it is known to be ours
        about.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
        If it is not an index table of one corpus: columns missing, unknown emotions or parts, an utterance twice, paths
        that lead out of the corpus's folder.
    """
    with settings.settled(csv):
        return _read(Path(csv))


def _read(csv):
    if not csv.is_file():
        raise FileNotFoundError(f"{csv} does not exist; expected an index table. Make it with 'python -m serlib index'")
    text, again = settings.read_text(csv), f"make it again with 'python -m serlib index -n NAME -o {csv}'"
    settings.header(csv, text, wanted=COLUMNS, again=again)
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except pd.errors.ParserError as error:
        raise ValueError(f"{csv} is not a CSV table ({error}); {again}") from None
    if table.empty:
        raise ValueError(f"{csv} has no rows; {again}")
    if (nobodys := table.loc[table["speaker"] == "", "utterance"]).size:
        raise ValueError(f"{csv} does not say who speaks in {_few(nobodys)}; {again}")
    try:
        table = table.reindex(columns=[*COLUMNS, *DEMOGRAPHICS], fill_value="")
        table["age"] = table["age"].replace("", None)
        table = table.astype(NUMBERS)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{csv} has text among its numbers ({error}); {again}") from None
    least = pd.Series({"duration_s": 0, "sample_rate_hz": 1, "channels": 1})
    if not ((table[least.index] >= least) & np.isfinite(table[least.index])).all(axis=None):
        raise ValueError(f"{csv} has durations, rates or numbers of channels that no recording has; {again}")
    for column, allowed in (("emotion", labels.EMOTIONS), ("part", PARTS)):
        if unknown := sorted(set(table[column]).difference(allowed)):
            raise ValueError(f"{csv} has unknown values in {column!r}: {unknown[:3]}; expected {allowed}")
    if (twice := table.loc[table["utterance"].duplicated(), "utterance"]).size:
        raise ValueError(f"{csv} holds {_few(twice)} twice; {again}")
    if len(found := sorted(table["corpus"].unique())) > 1 or not re.fullmatch(r"\w[\w.-]*", found[0]):
        raise ValueError(f"{csv} holds the corpora {found[:3]} ({len(found)} in all); expected one, called by its id")
    if astray := [path for path in table["path"] if corpora.leads_out(path)]:
        raise ValueError(
            f"{csv} has paths that lead out of the corpus's folder: {_few(astray)}; expected paths inside it; {again}"
        )
    beside = csv.with_suffix(".json")
    attrs = settings.read_json(beside) if beside.is_file() else {}
    if not isinstance(attrs, dict) or not isinstance(attrs.get("folder", ""), str):
        raise ValueError(f"{beside} does not say where the recordings of {csv.name} are; {again}")
    table.attrs = attrs
    return table.sort_values("utterance", ignore_index=True)


def load(corpus, *, label_version=None, progress=False):
    """Return a corpus's index table in the current profile, indexing the corpus unless the table at hand is up to date.

    Parameters
    ----------
    corpus : str
        The corpus's name.
    label_version : str, optional
        As for `scan`.
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
    csv = table_file(passport, label_version=label_version)
    now = {"folder": str(folder.resolve()), "listing": listing(folder), "seed": here.seed, "keep_flagged": False}
    if csv.is_file() and (table := read(csv)).attrs.items() >= now.items():
        return table
    table = scan(folder, passport, seed=here.seed, label_version=label_version, progress=progress)
    write(table, csv)
    return table


def table_file(corpus, *, label_version=None, seed=SEED, keep_flagged=False):
    """Return where the current profile keeps a corpus's index table: another file for whatever is not the default."""
    passport = corpora.get(corpus)
    name = passport.id
    if label_version not in (None, next(iter(passport.label_versions))):
        name += f"-{label_version}"
    name += f"-seed-{seed}" if seed != SEED else ""
    name += "-keep-flagged" if keep_flagged else ""
    return settings.current().csv / f"{name}.csv"


def at_hand(names=None):
    """Index the corpora at hand in the current profile.

    Parameters
    ----------
    names : sequence of str, optional
        The corpora to look for; by default the seven, and those of your own that lie beside them.

    Returns
    -------
    tables : dict of str to DataFrame
        Index tables by corpus id.
    missing : dict of str to str
        Why the others could not be indexed, and what to do.
    """
    own, missing = ({}, {}) if names else corpora.own_in(settings.current().data)
    tables = {}
    for name in names or (*corpora.NAMES, *own):
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
    if here.profile == "tiny" and not passport.home:
        return synthetic.write(passport.id, here.data)
    if (folder := corpora.find_folder(here.data, passport)) is None:
        raise FileNotFoundError(
            f"{passport.id}: no folder {passport.folder!r} in {settings.short(here.data)}. {passport.obtain} Or index"
            " the folder that holds it ('index -d FOLDER'), and use that table ('-p CSV')"
        )
    return folder


def root_of(table):
    """Return the folder that a table's paths are relative to: as indexed, else where the corpus now is.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    corpus, folder = table["corpus"].iloc[0], Path(table.attrs.get("folder", ""))
    if table.attrs.get("folder") and folder.is_dir():
        return folder
    try:
        return corpus_folder(corpus)
    except ValueError:  # one of your own, which is declared where it was
        found = f"{settings.short(folder)}, where the recordings of {corpus} were, is gone"
        raise FileNotFoundError(
            f"{found}; expected them there. Say where they are with --data, or index them again"
        ) from None
