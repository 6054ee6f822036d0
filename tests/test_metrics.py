import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from serlib import metrics


def test_scores_equal_scikit_learns(predictions):
    y_true, y_pred = predictions["y_true"], predictions["y_pred"]
    assert metrics.accuracy(predictions) == pytest.approx(sklearn.metrics.accuracy_score(y_true, y_pred))
    present = sorted(set(y_true))
    expected = sklearn.metrics.recall_score(y_true, y_pred, average="macro", labels=present)
    assert metrics.uar(predictions) == pytest.approx(expected)


def test_uar_by_hand():
    table = pd.DataFrame({"y_true": list("aaab"), "y_pred": list("aabb")})
    assert metrics.uar(table) == pytest.approx((2 / 3 + 1) / 2)


def test_absent_emotions_keep_their_place(predictions):
    matrix = metrics.confusion(predictions)
    assert list(matrix.index) == list(matrix.columns) == ["anger", "disgust", "fear", "sadness"]
    assert matrix.loc["disgust"].sum() == 0
    assert matrix.to_numpy().sum() == 300
    by_hand = ((predictions["y_true"] == "fear") & (predictions["y_pred"] == "disgust")).sum()
    assert matrix.loc["fear", "disgust"] == by_hand
    table = metrics.per_emotion(predictions)
    assert np.isnan(table.loc["disgust", "recall"])
    assert table["recall"].mean() == pytest.approx(metrics.uar(predictions))


def test_a_summary_says_everything_that_is_promised(predictions):
    summary = metrics.summary(predictions)
    assert list(summary) == [
        *(
            "corpus",
            "protocol",
            "recipe",
            "seed",
            "n",
            "n_folds",
            "accuracy",
            "uar",
            "uar_ci95",
            "per_emotion",
            "chance",
        ),
    ]
    assert (summary["n"], summary["n_folds"], summary["chance"]) == (300, 4, 0.25)
    assert summary["per_emotion"]["disgust"] is None
    low, high = summary["uar_ci95"]
    assert low < summary["uar"] < high


def test_there_is_no_interval_below_six_speakers(predictions):
    five = predictions[predictions["speaker"].isin([f"emodb/{k}" for k in range(5)])]
    assert metrics.uar_interval(five) is None
    assert metrics.summary(five)["uar_ci95"] is None


def test_the_interval_is_the_t_interval_where_speakers_are_alike_in_size():
    """With one emotion per row and equal speakers, the jackknife is the t interval of the speakers' scores."""
    rng = np.random.default_rng(0)
    scores = rng.integers(3, 10, 9) / 10
    rows = [
        {"speaker": s, "y_true": "anger", "y_pred": "anger" if k < 10 * score else "fear"}
        for s, score in enumerate(scores)
        for k in range(10)
    ]
    low, high = metrics.uar_interval(pd.DataFrame(rows))
    half = 2.306004 * scores.std(ddof=1) / 3  # t(0.975, 8 degrees of freedom), from a table
    assert (low, high) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=1e-5)


def test_the_interval_is_the_jackknifes_where_speakers_lack_emotions(predictions):
    lacking = predictions[(predictions["speaker"] != "emodb/3") | (predictions["y_true"] != "sadness")]
    speakers = sorted(set(lacking["speaker"]))

    def uar(table):
        present = sorted(set(table["y_true"]))
        return sklearn.metrics.recall_score(table["y_true"], table["y_pred"], average="macro", labels=present)

    whole = uar(lacking)
    pseudo = [8 * whole - 7 * uar(lacking[lacking["speaker"] != speaker]) for speaker in speakers]
    half = 2.364624 * np.std(pseudo, ddof=1) / np.sqrt(8)  # t(0.975, 7 degrees of freedom), from a table
    assert metrics.uar_interval(lacking) == pytest.approx((whole - half, whole + half), abs=1e-6)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """20,000 corpora of 6 speakers, whose recalls are even over 0.3 to 0.9: the UAR of all there are is 0.6."""
    rng = np.random.default_rng(0)
    n = rng.integers(0, 16, (20_000, 6, 4))
    low, high = metrics.jackknife(rng.binomial(n, rng.uniform(0.3, 0.9, (20_000, 6, 1))), n)
    assert 0.93 < ((low <= 0.6) & (high >= 0.6)).mean() < 0.97


def test_more_spread_between_speakers_widens_the_interval(predictions):
    good = predictions["speaker"].isin(["emodb/0", "emodb/1", "emodb/2", "emodb/3"])
    spread = predictions.assign(y_pred=predictions["y_pred"].where(~good, predictions["y_true"]))
    width = [np.ptp(metrics.uar_interval(table)) for table in (predictions, spread)]
    assert width[1] > 2 * width[0]


def test_a_summary_names_all_corpora_of_a_table(predictions):
    both = predictions.assign(corpus=np.where(predictions["fold"] == 0, "tess", "emodb"))
    assert metrics.summary(both)["corpus"] == "emodb+tess"
