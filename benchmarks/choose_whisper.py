"""Choose layers, pooling and classifier of the recipe `whisper+...`, one setting for all corpora.

``python benchmarks/choose_whisper.py`` needs EMODB, RAVDESS and CREMA-D under ``SERLIB_DATA`` and the weights of
whisper-base. The speakers of each corpus are parted in three groups. Each group in turn is put aside, and the setting
is chosen by cross-validation over five groups of the other speakers: first the layers, then the pooling, then the
classifier, by the mean UAR of the three corpora. What is chosen is then trained on those speakers and tested on the
group that was put aside. EMOVO, SAVEE and TESS have no part in it. (Support vectors with an RBF kernel take minutes for
a fold of CREMA-D; they are left out.)
"""

import functools
import os
from typing import ClassVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serlib import features, index, models, settings, split
from serlib.features import whisper

CORPORA = ("emodb", "ravdess", "crema-d")
N_ASIDE, N_FOLDS = 3, 5
STATISTICS = ("mean", "sd", "p10", "p50", "p90", "loud mean", "loud sd", "delta sd")
LAYERS = ((2,), (3,), (2, 3), (2, 3, 4), (1, 2, 3, 4))  # here and below, the simplest first
POOLINGS = (
    ("mean",),
    ("mean", "sd"),
    ("mean", "sd", "delta sd"),
    ("mean", "sd", "loud mean", "loud sd"),
    ("mean", "sd", "p10", "p50", "p90"),
)
STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
CLASSIFIERS = {f"LDA of {n}": make_pipeline(StandardScaler(), models.Lda(n_principal=n)) for n in (75, 150, 300)}
CLASSIFIERS |= {
    f"logistic, C {C:g}": make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=500)) for C in STRENGTHS
}
FIRST = ((2, 3, 4), ("mean", "sd"), "logistic, C 0.01")
NOISE = 0.005  # of two settings that differ by less, the simpler one is chosen


class Statistics(features.Features, frozen=True, tag="whisper-statistics"):
    """Every statistic over time that is tried, of all layers: (statistics, layers, dimensions)."""

    sr: ClassVar[int] = whisper.SR
    shape: ClassVar[tuple] = (len(STATISTICS), 5, 512)

    def transform(self, signal):
        mel = whisper.log_mel(signal)
        frames = whisper.layers_of(mel, "whisper-base", 4)
        power = (10.0 ** (4 * mel - 4)).sum(axis=1)
        power = np.pad(power, (0, len(power) % 2)).reshape(-1, 2).sum(axis=1)[: frames.shape[1]]
        loud = (power / power.sum())[None, :, None]
        mean, loud_mean = frames.mean(axis=1), (loud * frames).sum(axis=1)
        loud_sd = np.sqrt((loud * (frames - loud_mean[:, None]) ** 2).sum(axis=1))
        delta_sd = np.diff(frames, axis=1, prepend=frames[:, :1]).std(axis=1)
        percentiles = np.percentile(frames, (10, 50, 90), axis=1)
        return np.stack([mean, frames.std(axis=1), *percentiles, loud_mean, loud_sd, delta_sd])


def vectors(X, layers, pooling):
    """Return the vectors of a setting, shape (n_utterances, n_features)."""
    chosen = X[:, [STATISTICS.index(name) for name in pooling]][:, :, list(layers)]
    return chosen.reshape(len(X), -1)


def scored(X, y, groups, classifier):
    """Return the UAR over groups of speakers, each tested by what was trained on the others."""
    y_pred = np.empty_like(y)
    for group in np.unique(groups):
        tested = groups == group
        y_pred[tested] = clone(CLASSIFIERS[classifier]).fit(X[~tested], y[~tested]).predict(X[tested])
    return recall_score(y, y_pred, average="macro")


def groups_of(table, n, seed):
    """Return the group of each row: the folds of the protocol ``speakers``."""
    return split.speakers(table, n_folds=n, seed=seed).table["fold"].to_numpy()


def main():
    """Choose with each group of speakers put aside, and print all that was tried."""
    os.environ["SERLIB_PROFILE"] = "full"
    data = {}
    for corpus in CORPORA:
        table = index.load(corpus)
        table = table[table["part"] != ""].reset_index(drop=True)
        X = features.extract(table, features=Statistics(), progress=True)
        data[corpus] = X, table["emotion"].to_numpy(dtype=str), table, groups_of(table, N_ASIDE, settings.SEED)
    in_parallel = Parallel(n_jobs=2, prefer="threads")
    for aside in range(N_ASIDE):
        print(f"\nput aside: group {aside} of {N_ASIDE} of each corpus's speakers", flush=True)
        inner = {}
        for corpus, (X, y, table, outer) in data.items():
            rows = table[outer != aside].reset_index(drop=True)
            inner[corpus] = X[outer != aside], y[outer != aside], groups_of(rows, N_FOLDS, settings.SEED)

        @functools.cache
        def score(setting, inner=inner):
            layers, pooling, classifier = setting
            jobs = [
                delayed(scored)(vectors(X, layers, pooling), y, groups, classifier) for X, y, groups in inner.values()
            ]
            uars = in_parallel(jobs)
            each = "  ".join(f"{corpus} {uar:.3f}" for corpus, uar in zip(inner, uars, strict=True))
            print(f"  {np.mean(uars):.4f}  {each}  layers {layers}, {' + '.join(pooling)}, {classifier}", flush=True)
            return np.mean(uars)

        chosen = FIRST
        for place, candidates in enumerate((LAYERS, POOLINGS, tuple(CLASSIFIERS))):
            settings_tried = [(*chosen[:place], candidate, *chosen[place + 1 :]) for candidate in candidates]
            best = max(map(score, settings_tried))
            chosen = next(setting for setting in settings_tried if score(setting) > best - NOISE)
        print(f"  chosen: layers {chosen[0]}, {' + '.join(chosen[1])}, {chosen[2]}; on the group that was put aside:")
        for corpus, (X, y, _, outer) in data.items():
            Z, tested = vectors(X, *chosen[:2]), outer == aside
            y_pred = clone(CLASSIFIERS[chosen[2]]).fit(Z[~tested], y[~tested]).predict(Z[tested])
            print(f"    {corpus}: UAR {recall_score(y[tested], y_pred, average='macro'):.3f}", flush=True)


if __name__ == "__main__":
    main()
