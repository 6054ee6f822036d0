"""Measure what models call unfamiliar: unseen speakers' speech, other corpora's, far-off rooms, noise, tones, silence.

Of EMODB each speaker is left out in turn, as a stranger: what is familiar, and how far is too far, is learned from the
others alone (`bundle.NoveltyDetector`). Then it hears the stranger, the other corpora at hand, and what is no speech.
The same is done with one principal component: hardly more than each coefficient by itself, the simpler distance that
was not chosen.

The model for strangers that comes with the package hears corpora that it never heard, the same sentences from the far
end of a room, and what is no speech.

usage: SERLIB_PROFILE=full python benchmarks/familiar.py   (writes benchmarks/FAMILIAR.md)
"""

from pathlib import Path

import numpy as np
from sklearn.metrics import recall_score

from serlib import audio, corpora, features, index, predict, recipes, settings
from serlib.bundle import novelty

FEATURES = recipes.get("paper").features
DURATION_S, N_EACH, N_OF_CORPUS = 2, 40, 240
ROOMS = {
    "": None,
    ", at arm's length": {"reverberation_s": 0.4, "direct_db": 10, "noise_db": 30},
    ", across a room": {"reverberation_s": 0.8, "direct_db": -6, "noise_db": 30},
    ", across a noisy room": {"reverberation_s": 0.8, "direct_db": -6, "noise_db": 10},
}
N_KNOWN = 5  # sentences of each speaker, in the same room
HERE = Path(__file__).parent


def main():
    """Measure, write the table and print it."""
    table, others = index.load("emodb"), index.at_hand([name for name in corpora.NAMES if name != "emodb"])[0]
    X, speakers = features.extract(table, features=FEATURES), table["speaker"].to_numpy()
    heard = {corpora.short_title(name): features.extract(other, features=FEATURES) for name, other in others.items()}
    heard = {f"{name}'s speech ({len(vectors)})": vectors for name, vectors in heard.items()}
    heard |= vectors_of(no_speech(np.random.default_rng(settings.SEED), FEATURES.sr), FEATURES)
    columns = [refused(X, speakers, heard, n_components) for n_components in (novelty.N_COMPONENTS, 1)]
    lines = ["# What models call unfamiliar", "", "Made by `familiar.py`, which says how.", ""]
    lines += ["## A model of EMODB", ""]
    lines += ["| what is heard (how many) | called unfamiliar | with one component |", "|---|---|---|"]
    lines += [f"| {name} | {share:.3f} | {columns[1][name]:.3f} |" for name, share in columns[0].items()]
    lines += ["", "## The model for strangers", ""]
    lines += [
        "Rooms are simulated. *Known*: calibrated to five sentences of each speaker from the same place, which are"
    ]
    lines += ["not counted. Chance is a UAR of 0.17.", ""]
    lines += ["| what is heard (how many) | called unfamiliar | UAR | known: called unfamiliar | known: UAR |"]
    lines += ["|---|---|---|---|---|"]
    lines += [f"| {' | '.join(cells)} |" for cells in heard_by_strangers(others)]
    (HERE / "FAMILIAR.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def refused(X, speakers, heard, n_components):
    """Return the share of each kind that is called unfamiliar, by name; the mean over left-out speakers."""
    novelty.N_COMPONENTS, shares = n_components, {}
    stranger = f"unseen speakers' speech ({len(X)})"
    for speaker in np.unique(speakers):
        familiar = novelty.NoveltyDetector.fit(X[speakers != speaker], speakers[speakers != speaker])
        for name, vectors in {stranger: X[speakers == speaker], **heard}.items():
            shares.setdefault(name, []).append(familiar.distance(vectors) > familiar.threshold)
    return {name: float(np.concatenate(found).mean()) for name, found in shares.items()}


def vectors_of(kinds, f):
    """Return the features of signals, by what they are and how many."""
    return {
        f"{name} ({len(signals)})": np.stack([features.apply(f, signal.astype(np.float32)) for signal in signals])
        for name, signals in kinds.items()
    }


def heard_by_strangers(tables):
    """Yield what `strangers` hears, the share called unfamiliar, and UAR: plain, and once it knows the voices."""
    predictor, rng = predict.Predictor("strangers"), np.random.default_rng(settings.SEED)
    contract, sr = predictor.contract, predictor.contract.kind.sr

    def row(X, acted=None):
        is_unfamiliar = (contract.novelty.distance(X) > contract.novelty.threshold) | contract.distance.is_far(X)
        if acted is None:
            return [f"{is_unfamiliar.mean():.3f}", ""]
        said = np.array(contract.emotions)[predictor.probabilities(X).argmax(axis=1)]
        return [f"{is_unfamiliar.mean():.3f}", f"{recall_score(acted, said, average='macro'):.2f}"]

    for one in contract.never_heard:
        table = tables[one.corpus]
        table = table[table["emotion"].isin(contract.emotions)].sample(N_OF_CORPUS, random_state=settings.SEED)
        near = [audio.load(index.root_of(table) / path, sr) for path in table["path"]]
        acted, speakers = (table[column].to_numpy(dtype=str) for column in ("emotion", "speaker"))
        for where, room in ROOMS.items():
            there = near if room is None else [audio.in_room(signal, sr, rng=rng, **room) for signal in near]
            ((name, X),) = vectors_of(
                {f"{corpora.short_title(one.corpus)}'s speech{where}": there}, contract.kind
            ).items()
            shifted, is_known = X.copy(), np.zeros(len(X), bool)
            for speaker in np.unique(speakers):
                theirs = np.flatnonzero(speakers == speaker)
                is_known[theirs[:N_KNOWN]] = True
                shifted[theirs] += contract.voice.shift(X[theirs[:N_KNOWN]])
            yield [name, *row(X, acted), *row(shifted[~is_known], acted[~is_known])]
    for name, X in vectors_of(no_speech(rng, sr), contract.kind).items():
        yield [name, *row(X), "", ""]


def no_speech(rng, sr):
    """Return signals that are no speech, by what they are."""
    t = np.arange(DURATION_S * sr) / sr

    def tone(f0, n_partials):
        return sum(np.sin(2 * np.pi * f0 * k * t) / k for k in range(1, n_partials + 1))

    def pink():
        spectrum = np.fft.rfft(rng.standard_normal(len(t)))
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), len(t))
        return noise / np.abs(noise).max()

    def melody():
        note = t[: len(t) // 8]
        pitches = 220 * 2 ** (rng.integers(0, 24, 8) / 12)
        return 0.2 * np.concatenate(
            [np.exp(-4 * note) * sum(np.sin(2 * np.pi * f * k * note) / k for k in range(1, 6)) for f in pitches]
        )

    def level():
        return 10 ** (-rng.uniform(10, 50) / 20)

    kinds = {
        "white noise": lambda: level() * rng.standard_normal(len(t)).clip(-3, 3) / 3,
        "pink noise": lambda: level() * pink(),
        "pure tones": lambda: 0.2 * tone(rng.uniform(100, 2000), 1),
        "chords": lambda: 0.1 * sum(tone(220 * 2 ** (step / 12), 5) for step in rng.integers(0, 24, 3)),
        "melodies": melody,
        "clicks": lambda: (rng.random(len(t)) < 0.0005) * rng.uniform(-0.8, 0.8, len(t)),
        "faint hiss": lambda: 1e-4 * rng.standard_normal(len(t)),
    }
    return {name: [make() for _ in range(N_EACH)] for name, make in kinds.items()} | {"silence": [0 * t]}


if __name__ == "__main__":
    main()
