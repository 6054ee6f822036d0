"""Count how often the 95 % intervals for the UAR hold the truth, by number of speakers; writes results/coverage.csv.

Experiments are drawn from a world whose UAR is known. A speaker has as many utterances of each emotion as one of
EMODB's ten, drawn at random: some have none of disgust, or one. The logit of the probability that an utterance is
recognised is the emotion's own level, plus the speaker's ability, plus an effect of that speaker and emotion together,
both normal. The truth is the mean recall of a great many speakers. It is counted twice: at the recipe's own levels,
and in a world where nearly everything is recognised. With fewer than six speakers serlib gives no interval; four are
here to show what it would be worth.

usage: python benchmarks/intervals.py
"""

from pathlib import Path

import numpy as np
import pandas as pd
import scipy.special

from serlib import compare, metrics, results

RESULTS = Path(__file__).parent.parent / "results"
WORLD = RESULTS / "emodb" / "paper" / "loso" / "seed-42.csv.gz"  # whose counts and levels are taken
ABILITY, INTERACTION = 0.5, 1.5  # standard deviations, in logits
EASIER = (0, 4)  # logits above those levels
N_SPEAKERS = (4, 6, 8, 10, 24, 91)
N_EXPERIMENTS, N_TRUTH, SEED = 3_000, 1_000_000, 0


def main():
    rng = np.random.default_rng(SEED)
    n_right, counts = (table.to_numpy() for table in metrics.speaker_counts(results.read(WORLD).predictions))
    levels, rows = scipy.special.logit(n_right.sum(axis=0) / counts.sum(axis=0)), []
    for easier in EASIER:
        truth = recalls(levels + easier, (N_TRUTH,), rng).mean()
        for n_speakers in N_SPEAKERS:
            n = counts[rng.integers(0, len(counts), (N_EXPERIMENTS, n_speakers))]
            n_right = rng.binomial(n, recalls(levels + easier, (N_EXPERIMENTS, n_speakers), rng))
            drawn = [compare.percentiles(*one, rng=rng) for one in zip(n_right, n, strict=True)]
            for method, ends in (("jackknife t", metrics.jackknife(n_right, n)), ("bootstrap", np.transpose(drawn))):
                rows.append({"n_speakers": n_speakers, "method": method, "true_uar": truth, **covered(*ends, truth)})
    table = pd.DataFrame(rows).round(4)
    table.to_csv(RESULTS / "coverage.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))


def recalls(levels, shape, rng):
    """Draw speakers: the probability that each emotion of theirs is recognised, shape (*shape, n_emotions)."""
    ability = rng.normal(0, ABILITY, (*shape, 1))
    return scipy.special.expit(levels + ability + rng.normal(0, INTERACTION, (*shape, len(levels))))


def covered(low, high, truth):
    """Return the share of intervals that hold the truth, and their mean width."""
    return {"coverage": np.mean((low <= truth) & (truth <= high)), "mean_width": np.mean(high - low)}


if __name__ == "__main__":
    main()
