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
import scipy.signal
from sklearn.metrics import recall_score

from serlib import audio, corpora, features, index, predict, recipes, settings
from serlib.bundle import novelty

FEATURES = recipes.get("paper").features
DURATION_S, N_EACH, N_OF_CORPUS = 2, 40, 240
ROOMS = {"": None, ", across a table": 3, ", across a room": -6}  # dB of direct sound above the echo
HERE = Path(__file__).parent


def main():
    """Measure, write the table and print it."""
    table, others = index.load("emodb"), index.at_hand([name for name in corpora.NAMES if name != "emodb"])[0]
    X, speakers = features.extract(table, features=FEATURES), table["speaker"].to_numpy()
    heard = {corpora.short_title(name): features.extract(other, features=FEATURES) for name, other in others.items()}
    heard = {f"{name}'s speech ({len(vectors)})": vectors for name, vectors in heard.items()}
    heard |= vectors_of(no_speech(np.random.default_rng(settings.SEED), FEATURES.sr), FEATURES)
    columns = [refused(X, speakers, heard, n_components) for n_components in (novelty.N_COMPONENTS, 1)]
    lines = ["# What a model of EMODB calls unfamiliar", "", "Made by `familiar.py`, which says how.", ""]
    lines += ["| what is heard (how many) | called unfamiliar | with one component |", "|---|---|---|"]
    lines += [f"| {name} | {share:.3f} | {columns[1][name]:.3f} |" for name, share in columns[0].items()]
    lines += ["", "# What the model for strangers calls unfamiliar", ""]
    lines += ["It does not notice how far off a voice is, whatever that does to its answers; chance is 0.17.", ""]
    lines += ["| what is heard (how many) | called unfamiliar | UAR |", "|---|---|---|"]
    lines += [f"| {name} | {share:.3f} | {uar} |" for name, share, uar in heard_by_strangers(others)]
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
    """Yield what `strangers` hears, the share that it calls unfamiliar, and the UAR of its answers to speech."""
    predictor, rng, kinds, acted = predict.Predictor("strangers"), np.random.default_rng(settings.SEED), {}, {}
    contract, sr = predictor.contract, predictor.contract.kind.sr
    for one in contract.never_heard:
        table = tables[one.corpus]
        table = table[table["emotion"].isin(contract.emotions)].sample(N_OF_CORPUS, random_state=settings.SEED)
        near = [audio.load(index.root_of(table) / path, sr) for path in table["path"]]
        for where, direct_db in ROOMS.items():
            name = f"{corpora.short_title(one.corpus)}'s speech{where}"
            kinds[name] = near if direct_db is None else [far(signal, sr, rng, direct_db) for signal in near]
            acted[f"{name} ({len(near)})"] = table["emotion"].to_numpy(dtype=str)
    for name, X in vectors_of(kinds | no_speech(rng, sr), contract.kind).items():
        uar = ""
        if name in acted:
            said = np.array(contract.emotions)[predictor.probabilities(X).argmax(axis=1)]
            uar = f"{recall_score(acted[name], said, average='macro'):.2f}"
        yield name, float((contract.novelty.distance(X) > contract.novelty.threshold).mean()), uar


def far(signal, sr, rng, direct_db):
    """Put a voice into a room with a reverberation time of 0.8 s, and noise of the room 15 dB below it."""
    t = np.arange(int(0.8 * sr)) / sr
    echo = rng.standard_normal(len(t)) * 10 ** (-3 * t / 0.8)
    response = echo / np.sqrt(np.sum(echo**2))
    response[0] += 10 ** (direct_db / 20)
    said = scipy.signal.fftconvolve(signal, response)
    said += 10 ** (-15 / 20) * said.std() * rng.standard_normal(len(said))
    return 0.3 * said / np.abs(said).max()


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
