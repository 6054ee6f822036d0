"""Train on what listeners heard instead of what was acted, on CREMA-D: results/soft-labels.csv.

``python benchmarks/soft_labels.py`` needs CREMA-D under ``SERLIB_DATA`` and the weights. The classifier of
``whisper+logistic`` learns from the acted emotion, from what most listeners heard, and from every listener's answer:
each utterance is repeated for each emotion that somebody heard, and weighs as much as the share of listeners who did.
All are tested on the same unseen speakers (protocol ``speakers``).
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from serlib import corpora, features, index, metrics, recipes, split, storage

FILE = Path(__file__).parents[1] / "results" / "soft-labels.csv"


def main():
    os.environ["SERLIB_PROFILE"] = "full"
    recipe, drawn = recipes.get("whisper+logistic"), split.speakers(index.load("crema-d"))
    X = features.extract(drawn.table, features=recipe.features, progress=True)
    passport, stems = corpora.get("crema-d"), drawn.table["utterance"].str.removeprefix("crema-d/")
    votes = passport.votes().loc[stems]
    shares = votes.div(votes.sum(axis=1), axis=0).to_numpy()
    targets = {
        "the acted emotion": one_hot(drawn.table["emotion"], votes.columns),
        "what most listeners heard": one_hot(stems.map(passport.relabel("perceived")), votes.columns),
        "every listener's answer": shares,
    }
    rows = []
    for name, weights in targets.items():
        p = np.empty_like(shares)
        for fold, _, _ in drawn:
            is_test = (drawn.table["fold"] == fold).to_numpy()
            p[is_test] = trained(recipe.model, X[~is_test], weights[~is_test], votes.columns).predict_proba(X[is_test])
        rows.append((name, *scores(p, shares, drawn.table, votes.columns)))
        print(*rows[-1], flush=True)
    columns = ["trained on", "agrees with a listener", "accuracy, acted", "UAR, acted", "cross-entropy with the votes"]
    with storage.replacing(FILE) as new:
        pd.DataFrame(rows, columns=columns).round(3).to_csv(new, index=False)


def one_hot(said, emotions):
    """Return a weight of 1 for what is said of each utterance; none where nothing is said."""
    return np.equal.outer(said.to_numpy(dtype=str), emotions.to_numpy(dtype=str)).astype(float)


def trained(model, X, weights, emotions):
    """Fit a classifier to utterances, each as every emotion that has a weight."""
    rows, columns = np.nonzero(weights)
    return clone(model).fit(
        X[rows],
        emotions.to_numpy(dtype=str)[columns],
        standardscaler__sample_weight=weights[rows, columns],
        logisticregression__sample_weight=weights[rows, columns],
    )


def scores(p, shares, table, emotions):
    """Return how often one listener says the same, accuracy and UAR by the acted emotion, and the cross-entropy."""
    scored = table.assign(y_true=table["emotion"], y_pred=emotions[p.argmax(axis=1)])
    agreed = shares[np.arange(len(p)), p.argmax(axis=1)].mean()
    cross_entropy = -(shares * np.log(p.clip(1e-12))).sum(axis=1).mean()
    return agreed, metrics.accuracy(scored), metrics.uar(scored), cross_entropy


if __name__ == "__main__":
    main()
