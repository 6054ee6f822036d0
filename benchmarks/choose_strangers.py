"""Choose how the model for strangers is trained, by leaving out one corpus at a time of the three it is trained on.

``SERLIB_PROFILE=full python benchmarks/choose_strangers.py`` needs EMODB, RAVDESS and CREMA-D under ``SERLIB_DATA`` and
the weights of whisper-base. Each corpus is tested by what was trained on the two others: plain, and after the mean of k
of a speaker's sentences (in any mood; they are not tested) was taken away, drawn towards the training speakers' mean.
What is chosen has the best mean of plain and k = 5 over the three corpora, each step with what was chosen before: the
classifier and its strength, whether corpora, speakers and emotions count alike, what is centred, how many directions
in which training speakers' means differ are left out, whether a copy of each utterance is learned from as well, as it
would sound in some room through some microphone, then how many sentences the training speakers' mean counts for.
EMOVO, SAVEE and TESS have no part in it.
"""

import os
import zlib

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serlib import audio, bundle, features, index, models, recipes
from serlib.bundle.voice import means_by_speaker

CORPORA = ("emodb", "ravdess", "crema-d")
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
KS = (0, 1, 2, 3, 5, 10, None)  # None: all of a speaker's sentences, which are tested, too
N_DRAWS = 3
FEATURES = recipes.get("whisper+logistic").features
STRENGTHS = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
CLASSIFIERS = {f"logistic, C {C:g}": LogisticRegression(C=C, max_iter=1000) for C in STRENGTHS}
CLASSIFIERS |= {f"LDA of {n}": models.Lda(n_principal=n, class_weight="balanced") for n in (30, 50, 75, 100, 150)}
STEPS = {  # the simplest first
    "classifier": tuple(CLASSIFIERS),
    "balanced": (False, True),
    "centred": (None, "corpus", "speaker"),
    "left_out": (0, 8, 16, 32, 64),
    "copies": (False, True),
    "weight": (0, 0.5, 1, 2, 3, 5, 8),
}
FIRST = {
    "centred": None,
    "left_out": 0,
    "classifier": "logistic, C 0.003",
    "balanced": False,
    "copies": False,
    "weight": 2,
}
ROOM = {"reverberation_s": (0.15, 0.7), "direct_db": (3, 18), "noise_db": (15, 45)}  # of a copy: from ... to
KNOTS_HZ, UNEVEN_DB = (60, 250, 500, 1000, 2000, 4000, 8000), 5  # a microphone's gain, and its standard deviation
NOISE = 0.003  # what the best is ahead by at most does not count: the first such option is chosen


def load(corpus):
    """Return the vectors and the table of a corpus, of the emotions that all share; calm counts as neutral."""
    table = index.relabel(index.load(corpus), mapping={"calm": "neutral"} if corpus == "ravdess" else None)
    table = index.relabel(table, only=EMOTIONS)
    table = table[table["part"] != ""].reset_index(drop=True)
    return features.extract(table, features=FEATURES).astype(np.float64), table


def copies(table):
    """Return the vectors of all utterances, each as some room and microphone would give it."""
    files = zip(table["corpus"], table["path"], table["utterance"], strict=True)
    jobs = (delayed(_copy)(index.root_of(table, corpus) / path, utterance) for corpus, path, utterance in files)
    return np.stack(Parallel(n_jobs=-1)(jobs)).astype(np.float64)


def load_with_copies(corpus):
    """Return what is learned from: the vectors, the table, and the vectors of the copies."""
    X, table = load(corpus)
    return X, table, copies(table)


def _copy(file, utterance):
    rng, signal = np.random.default_rng(zlib.crc32(utterance.encode())), audio.load(file, FEATURES.sr)
    room = {name: rng.uniform(*ends) for name, ends in ROOM.items()}
    return features.apply(FEATURES, through_microphone(audio.in_room(signal, FEATURES.sr, rng=rng, **room), rng))


def through_microphone(signal, rng):
    """Return a signal with an uneven spectrum, often without its highest or lowest part, at some level."""
    spectrum, f = np.fft.rfft(signal), np.fft.rfftfreq(len(signal), 1 / FEATURES.sr)
    gains_db = rng.normal(0, UNEVEN_DB, len(KNOTS_HZ))
    gain_db = np.interp(np.log2(np.maximum(f, KNOTS_HZ[0] / 2)), np.log2(KNOTS_HZ), gains_db)
    if rng.random() < 0.5:
        gain_db = gain_db - 30 * (f > rng.uniform(3400, 7500))
    if rng.random() < 0.5:
        gain_db = gain_db - 20 * (f < rng.uniform(80, 300))
    heard = np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(signal))
    return (heard / np.abs(heard).max() * rng.uniform(0.05, 0.9)).astype(np.float32)


def equal_weights(table):
    """Return a weight for each utterance: corpora weigh alike, in each its speakers, and of each their emotions."""
    n_speakers = table.groupby("corpus")["speaker"].transform("nunique")
    n_emotions = table.groupby("speaker")["emotion"].transform("nunique")
    n_alike = table.groupby(["speaker", "emotion"])["utterance"].transform("size")
    weights = 1 / (n_speakers * n_emotions * n_alike).to_numpy(float)
    return weights / weights.mean()


def moved(X, groups, centre):
    """Move the vectors of each group so that their mean is the centre."""
    rows = np.unique(groups.to_numpy(dtype=str), return_inverse=True)[1]
    return X - means_by_speaker(X, groups)[rows] + centre


def train(data, setting):
    """Train on corpora, [(X, table, copies)]; return the classifier, the voices' centre, the directions left out."""
    X, tables = np.concatenate([X for X, _, _ in data]), [table for _, table, _ in data]
    table = pd.concat(tables, ignore_index=True)
    voice = bundle.VoiceCentre.of(X, table["speaker"], weight=setting["weight"])
    means = means_by_speaker(X, table["speaker"])
    centre = means.mean(axis=0)
    directions = np.linalg.svd(means - centre, full_matrices=False)[2][: setting["left_out"]]
    if setting["copies"]:
        X = np.concatenate([X, *(copied for _, _, copied in data)])
        table = pd.concat([table, *tables], ignore_index=True)
    Z = X if setting["centred"] is None else moved(X, table[setting["centred"]], centre)
    Z = Z - (Z - centre) @ directions.T @ directions
    model = make_pipeline(StandardScaler(), clone(CLASSIFIERS[setting["classifier"]]))
    is_weighted = setting["balanced"] and not isinstance(model[-1], models.Lda)  # which takes no weights
    how = {"logisticregression__sample_weight": equal_weights(table)} if is_weighted else {}
    return model.fit(Z, table["emotion"].to_numpy(dtype=str), **how), voice, directions


def answers(trained, data, k, *, neutral=False, seed=0):
    """Return (y_true, y_pred, probabilities, which rows) of a corpus after k sentences of each speaker."""
    model, voice, directions = trained
    X, y, speakers = data[0], *(data[1][name].to_numpy(dtype=str) for name in ("emotion", "speaker"))
    rng, Z, is_tested = np.random.default_rng(seed), X.copy(), np.ones(len(X), bool)
    for speaker in np.unique(speakers):
        rows = np.flatnonzero(speakers == speaker)
        able = rows[y[rows] == "neutral"] if neutral else rows
        said = able if k is None else rng.permutation(able)[:k]
        Z[rows] += voice.shift(X[said])
        if k is not None:
            is_tested[said] = False
    Z -= (Z - voice.mean()) @ directions.T @ directions
    p = model.predict_proba(Z[is_tested])
    return y[is_tested], model.classes_[p.argmax(axis=1)], p, is_tested


def uar(trained, data, k, **how):
    """Return the UAR after k sentences, the mean of some draws of them."""
    draws = range(1 if k in (0, None) else N_DRAWS)
    found = [answers(trained, data, k, seed=seed, **how)[:2] for seed in draws]
    return float(np.mean([recall_score(y, said, average="macro") for y, said in found]))


def curves(corpora, setting):
    """Return the UAR by corpus and k, shape (n_corpora, len(KS)); each corpus is tested by what the others taught."""

    def curve(left_out):
        trained = train([corpora[name] for name in corpora if name != left_out], setting)
        return [uar(trained, corpora[left_out], k) for k in KS]

    return np.array(Parallel(n_jobs=-1)(delayed(curve)(name) for name in corpora))


def value(curve):
    """Return what a setting is chosen by: the mean of plain and k = 5."""
    return curve[:, [KS.index(0), KS.index(5)]].mean()


def main():
    """Choose, and print what was tried."""
    corpora, setting = {name: load_with_copies(name) for name in CORPORA}, dict(FIRST)
    print("UAR on", *CORPORA, "plain | mean after k =", *KS[1:-1], "all")
    for step, options in STEPS.items():
        values = {}
        for option in options:
            curve = curves(corpora, setting | {step: option})
            plain, means = " ".join(f"{u:.3f}" for u in curve[:, 0]), " ".join(f"{u:.3f}" for u in curve.mean(axis=0))
            print(f"{step:10} {option!s:18} {plain} | {means}", flush=True)
            values[option] = value(curve)
        setting[step] = next(one for one in options if values[one] >= max(values.values()) - NOISE)
        print(f"chosen: {step} {setting[step]}\n", flush=True)
    print(setting)


if __name__ == "__main__":
    main()
