"""Small corpora of synthetic speech, in each real corpus's own layout and naming.

Everything in this project runs on them with no download. Nobody should draw conclusions about emotion from them: they
are built to fail in the way in which the real corpora fail, so that the lessons hold on both.

Two things make a model that knows the speaker look better than it is: each speaker expresses an emotion in a manner of
their own, and each is heard through a microphone of their own (`serlib.synthetic.voices`). Three make a model of one
corpus fail on another: each corpus has a way of acting, a gain and noise floor, and a room of its own.
"""

import json
import zlib
from collections import Counter
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np

from .. import audio, corpora, labels, storage
from .voices import channel_gain, draw_channel, generator, speech

__all__ = ["MARKER", "SIZES", "read_marker", "speech", "write"]

VERSION = 2  # another sound or choice of utterances is another version: what was written before is replaced
MARKER = "SYNTHETIC.json"

# How many speakers and utterances of each corpus are made.
SIZES = {
    "emovo": (6, 63),
    "emodb": (7, 280),
    "tess": (2, 63),
    "savee": (4, 63),
    "ravdess": (8, 64),
    "crema-d": (8, 288),
    "shemo": (8, 66),
}

# How each corpus was recorded: gain (dB), noise floor (dB relative to full scale).
ROOMS = {
    "emovo": (8, -50),
    "emodb": (0, -75),
    "tess": (-8, -70),
    "savee": (4, -60),
    "ravdess": (-12, -72),
    "crema-d": (6, -54),
    "shemo": (-4, -65),
}


def write(name, root, *, seed=42):
    """Write a synthetic corpus, unless it is there already.

    Paths are some of those that the real corpus's publisher uses, so everything that reads the one reads the other.
    ``SYNTHETIC.json`` is written first: version, seed, the number of utterances, by emotion and by speaker. Last, it is
    written again, and says that the corpus is complete.

    Parameters
    ----------
    name : str
        A corpus's name.
    root : path-like
        Where the corpus's folder is made.
    seed : int
        The same seed gives the same bytes.

    Returns
    -------
    Path
        The corpus's folder.

    Raises
    ------
    FileExistsError
        If the folder holds recordings that were not written here, or links, which may lead elsewhere.

    Examples
    --------
    >>> from serlib import synthetic
    >>> synthetic.write("savee", "voices").name
    'SAVEE'
    """
    passport = corpora.get(name)
    folder = Path(root) / passport.folder
    chosen = _choose(passport)
    stamp, marker = _stamp(passport, chosen, seed), folder / MARKER
    if read_marker(folder) == stamp | {"is_complete": True}:
        return folder
    _clear(folder, passport)
    _mark(marker, stamp | {"is_complete": False})
    for path, parsed in chosen.items():
        signal = speech(
            parsed.emotion,
            f"{passport.id}/{parsed.speaker}",
            gender=passport.speakers[parsed.speaker].gender,
            sentence=parsed.sentence or parsed.stem,
            take=parsed.stem,
            sr=passport.sample_rate_hz,
            style=passport.id,
            seed=seed,
        )
        signal = _in_room(signal, passport, parsed.stem, seed)
        audio.write(folder / path, _spread(signal, passport.channels, passport.sample_rate_hz), passport.sample_rate_hz)
    _mark(marker, stamp | {"is_complete": True})
    return folder


def read_marker(folder):
    """Return what ``SYNTHETIC.json`` says of a folder's recordings, or None where there is no such file.

    Raises
    ------
    ValueError
        If it does not say how many utterances there are of each emotion.

    Examples
    --------
    >>> from serlib import index, synthetic
    >>> synthetic.read_marker(index.corpus_folder("emodb"))["n_utterances"]
    280
    """
    file = Path(folder) / MARKER
    if not file.is_file():
        return None
    stamp = storage.read_json(file)
    counts = stamp.get("by_emotion") if isinstance(stamp, dict) else None
    numbers = [*counts.values(), stamp.get("n_utterances")] if isinstance(counts, dict) else [None]
    if not all(isinstance(number, int) for number in numbers) or not counts.keys() <= set(labels.EMOTIONS):
        expected = "expected n_utterances and by_emotion, as numbers"
        raise ValueError(f"{file} does not say what synthetic speech is there; {expected}. Delete the folder")
    return stamp


def _mark(marker, stamp):
    """Write ``SYNTHETIC.json``."""
    with storage.replacing(marker) as temporary:
        temporary.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")


def _stamp(passport, chosen, seed):
    """Return what ``SYNTHETIC.json`` says."""
    by_emotion = Counter(parsed.emotion for parsed in chosen.values())
    by_speaker = Counter(parsed.speaker for parsed in chosen.values())
    return {
        "corpus": passport.id,
        "version": VERSION,
        "seed": seed,
        "n_utterances": len(chosen),
        "by_emotion": {emotion: by_emotion[emotion] for emotion in labels.ordered(by_emotion)},
        "by_speaker": dict(sorted(by_speaker.items())),
    }


def _clear(folder, passport):
    """Delete what an earlier version or a killed run wrote, under published names; raise if anything else is there."""
    ours = set(passport.manifest()["path"]) if (folder / MARKER).is_file() else ()
    sound, written, others = audio.SUFFIXES, [], []
    for file in audio.below(folder):
        path = file.relative_to(folder).as_posix()
        if path in ours and file.is_file() and not file.is_symlink():
            written.append(file)
        elif file.is_symlink() or (file.suffix.lower() in sound and file.name[0] != "."):
            others.append(path)
    if others:
        raise FileExistsError(
            f"{folder} holds {len(others)} recordings or links that were not synthesised, such as {others[:3]};"
            " expected none. Write synthetic speech elsewhere"
        )
    for file in written:
        file.unlink()


def _choose(passport):
    """Choose `SIZES` published utterances, evenly over emotions and speakers: {path: Parsed}, sorted by path."""
    n_speakers, n_utterances = SIZES[passport.id]
    in_disorder = sorted(passport.manifest()["path"], key=lambda path: zlib.crc32(path.encode()))
    parsed = {path: passport.parse(path) for path in in_disorder}
    cells = {}
    for path, name in parsed.items():
        is_misspelt = not name.stem.endswith(PurePosixPath(path).stem)
        if name.stem not in passport.defects and not is_misspelt:
            cells.setdefault((name.speaker, name.emotion), []).append(path)
    speakers = _choose_speakers(passport, cells, n_speakers)
    # In each round every speaker says every emotion once, in an order that leaves a last, partial round balanced.
    turns = [
        (speakers[(i + turn) % n_speakers], emotion)
        for turn, (i, emotion) in product(range(n_speakers), enumerate(passport.emotions))
    ]
    in_order = [
        cells[turn][depth] for depth in range(n_utterances) for turn in turns if depth < len(cells.get(turn, ()))
    ]
    return {path: parsed[path] for path in sorted(in_order[:n_utterances])}


def _choose_speakers(passport, cells, n_speakers):
    """Choose those who say most of every emotion, women and men in turn."""

    def wealth(speaker):
        counts = [len(cells.get((speaker, emotion), ())) for emotion in passport.emotions]
        return min(counts), sum(counts)

    ranked = sorted(passport.speakers, key=wealth, reverse=True)
    place = Counter()
    turns = {}
    for speaker in ranked:
        gender = passport.speakers[speaker].gender
        turns[speaker] = place[gender]
        place[gender] += 1
    return sorted(ranked, key=turns.get)[:n_speakers]


def _in_room(signal, passport, take, seed):
    """Return a signal as the corpus's room, microphone and gain leave it."""
    gain_db, floor_dbfs = ROOMS[passport.id]
    channel_db = draw_channel(generator(seed, "room", passport.id))
    gain = channel_gain(np.fft.rfftfreq(len(signal), 1 / passport.sample_rate_hz), channel_db)
    heard = np.fft.irfft(np.fft.rfft(signal) * gain, len(signal)) * 10 ** (gain_db / 20)
    noise = generator(seed, "floor", passport.id, take).normal(size=len(signal))
    return np.clip(heard + noise * 10 ** (floor_dbfs / 20), -1, 1).astype(np.float32)


def _spread(signal, channels, sr):
    """Give a mono signal the corpus's number of channels: each further one a little later and weaker."""
    if channels == 1:
        return signal
    lag = round(0.0001 * sr)
    return np.stack([0.9**i * np.roll(signal, i * lag) for i in range(channels)], axis=1)
