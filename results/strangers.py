"""Make the model for strangers, and measure how well it knows people, rooms and languages that it never heard.

It is trained on EMODB, RAVDESS and CREMA-D as `benchmarks/choose_strangers.py` chose; the temperature of its
probabilities is fitted to what each of the three is told by a model of the two others. EMOVO, SAVEE and TESS are heard
by the model that ships; each of the three by a model of the two others. Written are the bundle that comes with the
package and ``results/strangers.csv``: the UAR by corpus after k sentences of each speaker, in any mood or neutral.

usage: SERLIB_PROFILE=full python results/strangers.py
"""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from choose_strangers import (
    CLASSIFIERS,
    CORPORA,
    EMOTIONS,
    FEATURES,
    KS,
    N_DRAWS,
    answers,
    load,
    load_with_copies,
    train,
    uar,
)
from serlib import audio, bundle, compare, evaluate, features, index, metrics, recipes, split

NEVER_HEARD = ("emovo", "savee", "tess")
CHOSEN = {
    "classifier": "logistic, C 0.0003",
    "balanced": False,
    "centred": None,
    "left_out": 0,
    "copies": True,
    "weight": 2,
}
RECIPE = recipes.Recipe("strangers", FEATURES, make_pipeline(StandardScaler(), CLASSIFIERS[CHOSEN["classifier"]]))
N_SENTENCES = 5
N_IN_ROOMS = 200  # utterances of each corpus, as they are, near and far
ROOMS = {  # from ... to
    "near": {"reverberation_s": (0.2, 0.6), "direct_db": (5, 15), "noise_db": (20, 40)},
    "far": {"reverberation_s": (0.4, 1.2), "direct_db": (-15, 0), "noise_db": (5, 40)},
}
LICENCE = "CC BY-NC-SA 4.0 (that of RAVDESS, the strictest); see serlib/bundles/LICENSES.md"


def main():
    """Make the model, the scores and the curves."""
    if any(index.is_synthetic(index.load(name)) for name in (*CORPORA, *NEVER_HEARD)):
        sys.exit("the model for strangers is made of real speech; expected SERLIB_PROFILE=full")
    heard, others = {name: load_with_copies(name) for name in CORPORA}, {name: load(name) for name in NEVER_HEARD}
    by_others = {name: train([heard[other] for other in heard if other != name], CHOSEN) for name in heard}
    fold, parts, X = fit(temperature(by_others, heard), heard)
    is_train = (parts.table["fold"] != 0).to_numpy()
    voice = bundle.VoiceCentre.of(X[is_train], parts.table["speaker"][is_train], weight=CHOSEN["weight"])
    shipped = fold.model, voice, np.zeros((0, X.shape[1]))
    scores = [score(shipped, name, data) for name, data in others.items()]
    folder = bundle.SHIPPED / RECIPE.name
    about = {"voice": voice, "distance": distance(parts.table[is_train]), "never_heard": scores, "licence": LICENCE}
    bundle.save(folder, fold, parts, X=X, recipe=RECIPE, **about)
    print(folder, bundle.trust(bundle.read(folder)), *scores, sep="\n")
    rows = []
    for name, data in (heard | others).items():
        for sentences in ("any", "neutral"):
            for k in KS:
                found = uar(by_others.get(name, shipped), data, k, neutral=sentences == "neutral")
                rows.append((name, sentences, "all" if k is None else k, round(found, 4)))
    curve = pd.DataFrame(rows, columns=["corpus", "sentences", "k", "uar"])
    curve.to_csv(Path(__file__).with_name("strangers.csv"), index=False)
    print(curve.pivot_table(index=["sentences", "corpus"], columns="k", values="uar", sort=False))


def fit(t, heard):
    """Train the model that ships on the training parts and their copies; its logits are divided by a temperature."""
    table = index.join([index.load(name) for name in CORPORA])
    parts = split.from_parts(index.relabel(table, mapping={"calm": "neutral"}, only=EMOTIONS))
    X, train = features.extract(parts.table, features=FEATURES), parts.table[parts.table["fold"] != 0]
    vectors = (zip(table["utterance"], copied, strict=True) for _, table, copied in heard.values())
    copy_of = dict(itertools.chain.from_iterable(vectors))
    learned = pd.concat([parts.table, train], ignore_index=True)
    learned.attrs = parts.table.attrs
    copied = np.stack([copy_of[name] for name in train["utterance"]]).astype(np.float32)
    fold = evaluate.fit_fold(replace(parts, table=learned), np.concatenate([X, copied]), recipe=RECIPE)
    fold = replace(fold, n_train=len(train))
    fold.model[-1].coef_ /= t
    fold.model[-1].intercept_ /= t
    return fold, parts, X


def distance(table):
    """Return what tells a voice from afar, learned from some of the training rows in simulated rooms."""
    rng, X = np.random.default_rng(42), {"near": [], "far": []}
    for corpus, rows in table.groupby("corpus"):
        for path in rows.sample(N_IN_ROOMS, random_state=42)["path"]:
            signal = audio.load(index.root_of(table, corpus) / path, FEATURES.sr)
            rooms = {name: {key: rng.uniform(*ends) for key, ends in ROOMS[name].items()} for name in ROOMS}
            made = {name: audio.in_room(signal, FEATURES.sr, rng=rng, **room) for name, room in rooms.items()}
            X["near"] += [features.apply(FEATURES, signal), features.apply(FEATURES, made["near"])]
            X["far"].append(features.apply(FEATURES, made["far"]))
    return bundle.DistanceDetector.fit(np.stack(X["near"]), np.stack(X["far"]))


def temperature(by_others, heard):
    """Return the temperature for corpora that a model never heard."""
    told = [predictions(by_others[name], data, 0) for name, data in heard.items()]
    return compare.temperature(pd.concat(told, ignore_index=True))


def predictions(trained, data, k, seed=0):
    """Return a predictions table of a corpus after k sentences of each speaker, drawn with a seed."""
    _, _, p, rows = answers(trained, data, k, seed=seed)
    about = {"recipe": RECIPE.name, "protocol": "cross-corpus", "seed": 0, "fold": 0}
    table = data[1][["utterance", "corpus", "speaker", "emotion"]][rows].rename(columns={"emotion": "y_true"})
    return metrics.table_of(table.assign(**about).reset_index(drop=True), p, EMOTIONS)


def score(trained, name, data):
    """Return the score of a corpus that the model never heard."""
    plain = predictions(trained, data, 0)
    after = pd.concat([predictions(trained, data, N_SENTENCES, seed) for seed in range(N_DRAWS)], ignore_index=True)
    return bundle.NeverHeard(
        corpus=name,
        n=len(plain),
        n_speakers=plain["speaker"].nunique(),
        uar=round(metrics.uar(plain), 4),
        uar_ci95=interval(plain),
        n_sentences=N_SENTENCES,
        uar_calibrated=round(metrics.uar(after), 4),
        uar_calibrated_ci95=interval(after),
        calibration_error=round(compare.calibration_error(plain), 4),
    )


def interval(predictions):
    """Return the 95 % interval over speakers, rounded; None for too few."""
    found = metrics.uar_interval(predictions)
    return found and tuple(round(end, 4) for end in found)


if __name__ == "__main__":
    main()
