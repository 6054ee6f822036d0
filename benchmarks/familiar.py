"""Measure what a model of EMODB calls unfamiliar: unseen speakers' speech, other corpora's, noise, tones, silence.

Each of EMODB's speakers is left out in turn, as a stranger: what is familiar, and how far is too far, is learned from
the others alone (`bundle.NoveltyDetector`). Then it hears the stranger, the other corpora at hand, and what is no
speech. The same is done with one principal component: hardly more than each coefficient by itself, the simpler distance
that was not chosen.

usage: SERLIB_PROFILE=full python benchmarks/familiar.py   (writes benchmarks/FAMILIAR.md)
"""

from pathlib import Path

import numpy as np

from serlib import corpora, features, index, recipes, settings
from serlib.bundle import novelty

FEATURES = recipes.get("paper").features
SR, DURATION_S, N_EACH = FEATURES.sr, 2, 40
HERE = Path(__file__).parent


def main():
    """Measure, write the table and print it."""
    table, others = index.load("emodb"), index.at_hand([name for name in corpora.NAMES if name != "emodb"])[0]
    X, speakers = features.extract(table, features=FEATURES), table["speaker"].to_numpy()
    heard = {corpora.short_title(name): features.extract(other, features=FEATURES) for name, other in others.items()}
    heard = {f"{name}'s speech ({len(vectors)})": vectors for name, vectors in heard.items()}
    for name, signals in no_speech(np.random.default_rng(settings.SEED)).items():
        vectors = [features.mean_mfcc(signal.astype(np.float32), SR, features=FEATURES) for signal in signals]
        heard[f"{name} ({len(vectors)})"] = np.stack(vectors)
    columns = [refused(X, speakers, heard, n_components) for n_components in (novelty.N_COMPONENTS, 1)]
    lines = ["# What a model of EMODB calls unfamiliar", "", "Made by `familiar.py`, which says how.", ""]
    lines += ["| what is heard (how many) | called unfamiliar | with one component |", "|---|---|---|"]
    lines += [f"| {name} | {share:.3f} | {columns[1][name]:.3f} |" for name, share in columns[0].items()]
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


def no_speech(rng):
    """Return signals that are no speech, by what they are."""
    t = np.arange(DURATION_S * SR) / SR

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
