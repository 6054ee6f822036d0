"""Choose the dropout rate of the recipe `paper`, which its source leaves open.

Cross-validates inside EMODB's training part (the test part is never looked at): five groups of speakers, three seeds,
the recipe's own 500 epochs. Prints the UAR of each rate and the rate with the highest mean.

usage: SERLIB_PROFILE=full python benchmarks/choose_dropout.py
"""

import dataclasses

import numpy as np
from sklearn.base import clone

from serlib import evaluate, index, metrics, recipes

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
SEEDS = (0, 1, 2)


def main():
    table, paper = index.load("emodb"), recipes.get("paper")
    train = table[table["part"] == "train"].reset_index(drop=True)
    print("dropout   UAR of each seed       mean")
    means = {}
    for rate in RATES:
        recipe = dataclasses.replace(paper, model=clone(paper.model).set_params(dropout=rate))
        uars = [
            metrics.uar(
                evaluate.run(train, protocol="speakers", n_folds=5, recipe=recipe, seed=seed, n_jobs=-1).predictions
            )
            for seed in SEEDS
        ]
        means[rate] = np.mean(uars)
        print(f"{rate:7.1f}   {'  '.join(f'{uar:.4f}' for uar in uars)}   {means[rate]:.4f}", flush=True)
    print(f"chosen: {max(means, key=means.get)}")


if __name__ == "__main__":
    main()
