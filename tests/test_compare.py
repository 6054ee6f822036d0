from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.calibration
import sklearn.metrics

from serlib import compare, metrics, results

RESULTS = Path(__file__).parent.parent / "results"
EMOTIONS = ("anger", "fear", "sadness")


def loso(recipe):
    """What a recipe said of the real EMODB: ten speakers, one of whom has no disgust."""
    return results.read(RESULTS / "emodb" / recipe / "loso" / "seed-42.csv.gz").predictions


@pytest.fixture
def paper():
    return loso("paper")


@pytest.fixture
def original():
    return loso("original-2021")


def said(rows):
    """A predictions table of (speaker, true emotion, predicted emotion)."""
    table = pd.DataFrame(rows, columns=["speaker", "y_true", "y_pred"])
    names = [f"emodb/{k}" for k in range(len(table))]
    return table.assign(utterance=names, corpus="emodb", recipe="paper", protocol="loso", fold=0)


def sure(p, y_true):
    """A predictions table of probabilities, shape (n_utterances, 3), in two folds."""
    scored = pd.DataFrame({"utterance": np.arange(len(p)), "y_true": y_true, "fold": np.arange(len(p)) % 2})
    return metrics.table_of(scored.assign(corpus="", recipe="", protocol="", seed=0, speaker=""), np.array(p), EMOTIONS)


def sklearns_uar(tables):
    table = pd.concat(tables)
    return sklearn.metrics.balanced_accuracy_score(table["y_true"], table["y_pred"])


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_the_bootstrap_is_scipys(paper):
    tables = [rows for _, rows in paper.groupby("speaker")]
    expected = scipy.stats.bootstrap(
        (np.arange(10),),
        lambda drawn: sklearns_uar([tables[k] for k in drawn]),
        method="percentile",
        vectorized=False,
        n_resamples=300,
        random_state=np.random.default_rng(0),
    )
    assert compare.bootstrap(paper) == pytest.approx(expected.confidence_interval, abs=0.01)
    half = np.quantile(expected.bootstrap_distribution, [0.25, 0.75])
    assert compare.bootstrap(paper, level=0.5) == pytest.approx(half, abs=0.005)


def test_the_bootstrap_is_the_same_twice_and_another_with_another_seed(paper):
    assert compare.bootstrap(paper) == compare.bootstrap(paper)
    assert compare.bootstrap(paper) != compare.bootstrap(paper, seed=1)


def test_there_is_no_bootstrap_below_six_speakers(paper):
    speakers = sorted(set(paper["speaker"]))
    assert compare.bootstrap(paper[paper["speaker"].isin(speakers[:6])]) is not None
    assert compare.bootstrap(paper[paper["speaker"].isin(speakers[:5])]) is None


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_each_speaker_is_scored_over_the_emotions_that_they_have(paper):
    table = compare.by_speaker(paper.sample(frac=1, random_state=0))
    assert list(table.index) == sorted(set(paper["speaker"]))
    assert (table.index.name, list(table)) == ("speaker", ["n", "accuracy", "uar"])
    for speaker, rows in paper.groupby("speaker"):
        accuracy = sklearn.metrics.accuracy_score(rows["y_true"], rows["y_pred"])
        assert list(table.loc[speaker]) == pytest.approx([len(rows), accuracy, sklearns_uar([rows])])


def test_a_group_is_scored_like_a_table_of_its_own(paper):
    women = ["emodb/08", "emodb/09", "emodb/13", "emodb/14", "emodb/16"]
    speakers = pd.DataFrame({"speaker": sorted(set(paper["speaker"]))})
    speakers["gender"] = np.where(speakers["speaker"].isin(women), "female", "male")
    table = compare.by_group(paper, speakers)
    assert (table.index.name, list(table.index)) == ("gender", ["female", "male"])
    rows = paper[paper["speaker"].isin(women)]
    assert table.loc["female", "n_speakers":"uar"].tolist() == pytest.approx(
        [5, 302, (rows["y_true"] == rows["y_pred"]).mean(), sklearns_uar([rows])]
    )
    assert table[["low", "high"]].isna().all(axis=None)
    speakers["gender"] = np.where(speakers["speaker"] == "emodb/16", "", "female")
    table = compare.by_group(paper, speakers)
    assert (list(table.index), table.loc["female", "n_speakers"]) == (["female"], 9)
    nine = metrics.uar_interval(paper[paper["speaker"] != "emodb/16"])
    assert table.loc["female", ["low", "high"]].tolist() == pytest.approx(nine)


def test_ages_are_grouped_from_young_to_old_and_unknown_ones_are_in_no_group(paper):
    speakers = pd.DataFrame({"speaker": sorted(set(paper["speaker"]))})
    speakers["age"] = pd.array([60, 29, 30, 44, 45, 59, None, 71, 18, 37], dtype="Int64")
    table = compare.by_group(paper, speakers, by="age")
    assert table.index.name == "age"
    assert table["n_speakers"].to_dict() == {"under 30": 2, "30 to 44": 3, "45 to 59": 2, "60 and over": 2}
    assert table["n"].sum() == (paper["speaker"] != speakers["speaker"][6]).sum()


def test_groups_of_which_nothing_is_known_are_refused(paper):
    speakers = pd.DataFrame({"speaker": sorted(set(paper["speaker"])), "gender": ""})
    with pytest.raises(ValueError, match="by 'race' are unknown; expected one of .'gender', 'age'.. Choose"):
        compare.by_group(paper, speakers, by="race")
    for by in ("gender", "age"):
        with pytest.raises(ValueError, match=f"emodb: the index table tells the {by} of none of the 10 speakers; exp"):
            compare.by_group(paper, speakers, by=by)
    with pytest.raises(ValueError, match="gender of none of the 10 speakers.*Give the index table of this corpus"):
        compare.by_group(paper, pd.DataFrame({"speaker": ["tess/OAF"], "gender": ["female"]}))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_the_comparison_is_scipys_permutation_test(paper, original):
    """Each speaker's rows, of either recipe, are a sample; scipy swaps the pairs in all of the 128 ways."""
    speakers = sorted(set(paper["speaker"]))[:7]
    a, b = (table[table["speaker"].isin(speakers)] for table in (paper, original))
    rows = [table[table["speaker"] == speaker] for table in (a, b) for speaker in speakers]
    expected = scipy.stats.permutation_test(
        (np.arange(7), np.arange(7, 14)),
        lambda x, y: sklearns_uar([rows[k] for k in y]) - sklearns_uar([rows[k] for k in x]),
        permutation_type="samples",
        vectorized=False,
    )
    found = compare.paired_test(a, b)
    assert found["difference"] == pytest.approx(expected.statistic)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert 0.01 < found["p"] < 0.99
    assert (found["n_speakers"], found["is_exact"], found["smallest_p"]) == (7, True, 2 / 128)


def test_rows_in_another_order_and_sides_changed_show_the_same(paper, original):
    found = compare.paired_test(paper, original.sample(frac=1, random_state=0))
    back = compare.paired_test(original, paper)
    assert found["difference"] == pytest.approx(-back["difference"])
    assert found["difference"] == pytest.approx(metrics.uar(original) - metrics.uar(paper))
    assert found["p"] == back["p"]


def test_six_speakers_who_all_gain_show_what_six_can_show_at_best():
    truth = [(speaker, emotion) for speaker in "abcdef" for emotion in EMOTIONS]
    worse = said([(speaker, emotion, "anger") for speaker, emotion in truth])
    better = said([(speaker, emotion, emotion) for speaker, emotion in truth])
    found = compare.paired_test(worse, better)
    assert found["difference"] == pytest.approx(2 / 3)
    assert found["p"] == found["smallest_p"] == 2 / 64
    assert compare.paired_test(better, better)["p"] == 1


def test_many_speakers_change_sides_at_random_and_no_p_is_zero():
    rng = np.random.default_rng(0)
    truth = [(f"{k:02}", emotion) for k in range(14) for emotion in EMOTIONS * 5]
    a, b = (
        said([(speaker, emotion, emotion if rng.random() < right else "boredom") for speaker, emotion in truth])
        for right in (0.5, 0.6)
    )
    drawn, exact = compare.paired_test(a, b), compare.paired_test(a, b, n_permutations=2**14)
    assert (drawn["is_exact"], exact["is_exact"]) == (False, True)
    assert drawn["p"] == pytest.approx(exact["p"], abs=0.01)
    assert drawn["p"] != exact["p"]
    assert (exact["smallest_p"], drawn["smallest_p"]) == (2 / 2**14, 2 / 10_001)
    all_gain = compare.paired_test(a.assign(y_pred="boredom"), b.assign(y_pred=b["y_true"]), n_permutations=100)
    assert all_gain["p"] == all_gain["smallest_p"] == 2 / 101


def test_other_utterances_speakers_or_emotions_on_one_side_are_refused(paper, original):
    one = original["utterance"] == "emodb/03a01Fa"
    for other, found in (
        (original[~one], r"\['emodb/03a01Fa'\] \(1 in all\)"),
        (original.assign(y_true=original["y_true"].where(~one, "fear")), r"\['emodb/03a01Fa'\] \(1 in all\)"),
        (original.assign(speaker=original["speaker"].where(~one, "emodb/16")), r"\['emodb/03a01Fa'\] \(1 in all\)"),
        (pd.concat([original, original[one]]), r"\['emodb/03a01Fa'\] \(1 in all\)"),
        (original[:3], r"\['.*', '.*', '.*'\] \(532 in all\)"),
    ):
        message = rf"paper \(loso\) and original-2021 \(loso\) do not score the same utterances: {found} .* Compare res"
        with pytest.raises(ValueError, match=message):
            compare.paired_test(paper, other)


def test_holms_correction_by_hand():
    """Of four: the smallest times 4, the next times 3, then 2, then 1; none smaller than one before it."""
    corrected = compare.holm([0.01, 0.04, 0.03, 0.005])
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert compare.holm([0.6, 0.7]).tolist() == [1, 1]


def test_all_pairs_are_compared_and_corrected_for_their_number(paper):
    table = compare.all_pairs({"paper": paper, "same": paper, "right": paper.assign(y_pred=paper["y_true"])})
    assert list(zip(table["a"], table["b"], strict=True)) == [("paper", "same"), ("paper", "right"), ("same", "right")]
    assert table["difference"].tolist() == pytest.approx([0, 1 - metrics.uar(paper), 1 - metrics.uar(paper)])
    assert table["p"].tolist() == [1, 2 / 1024, 2 / 1024]
    assert table["p_holm"].tolist() == pytest.approx([1, 6 / 1024, 6 / 1024])
    assert table["can_show"].all()


@pytest.mark.parametrize(("n_speakers", "n_results", "can_show"), [(5, 2, False), (6, 2, True), (6, 3, False)])
def test_it_is_said_whether_so_few_speakers_can_show_anything(paper, n_speakers, n_results, can_show):
    few = paper[paper["speaker"].isin(sorted(set(paper["speaker"]))[:n_speakers])]
    table = compare.all_pairs({str(k): few for k in range(n_results)})
    assert set(table["can_show"]) == {can_show}


def test_one_result_is_nothing_to_compare(paper):
    with pytest.raises(ValueError, match="holds .'paper'.; expected two predictions tables or more. Add what to comp"):
        compare.all_pairs({"paper": paper})


def test_reliability_is_scikit_learns_calibration_curve(paper):
    top = paper.filter(like="p_").max(axis=1)
    for n_bins in (10, 15):
        table = compare.reliability(paper, n_bins=n_bins)
        is_right = paper["y_true"] == paper["y_pred"]
        accuracy, confidence = sklearn.calibration.calibration_curve(is_right, top, n_bins=n_bins)
        assert table["accuracy"].tolist() == pytest.approx(accuracy)
        assert table["confidence"].tolist() == pytest.approx(confidence)
        assert table["n"].sum() == len(paper)


def test_reliability_and_its_error_by_hand():
    p = [(0.5, 0.3, 0.2), (0.1, 0.45, 0.45), (0.9, 0.1, 0.0), (0.05, 0.0, 0.95), (0.0, 0.0, 1.0)]
    table = sure(p, ["anger", "sadness", "anger", "anger", "sadness"])
    found = compare.reliability(table)
    assert list(found) == ["low", "high", "n", "confidence", "accuracy"]
    assert found.to_numpy().ravel().tolist() == pytest.approx(
        [0.4, 0.5, 2, 0.475, 0.5, 0.8, 0.9, 1, 0.9, 1, 0.9, 1.0, 2, 0.975, 0.5]
    )
    assert compare.calibration_error(table) == pytest.approx((2 * 0.025 + 1 * 0.1 + 2 * 0.475) / 5)
    assert compare.calibration_error(table, n_bins=1) == pytest.approx(abs(3.8 / 5 - 3 / 5))


def test_a_temperature_undoes_the_sharpening_that_made_a_model_too_sure():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(3), 20_000).clip(0.01)
    honest /= honest.sum(axis=1, keepdims=True)
    y_true = np.array(EMOTIONS)[(honest.cumsum(axis=1) < rng.random((len(honest), 1))).sum(axis=1).clip(max=2)]
    for sharpness in (0.5, 2.0):
        p = honest**sharpness
        table = sure(p / p.sum(axis=1, keepdims=True), y_true)
        found = compare.temperature(table)
        assert found == pytest.approx(sharpness, rel=0.05)
        cooled = compare.with_temperature(table, found)
        assert compare.calibration_error(cooled) < 0.02 < compare.calibration_error(table)


def test_no_other_temperature_fits_better(paper):
    best = compare.temperature(paper)

    def loss(temperature):
        p = compare.with_temperature(paper, temperature).filter(like="p_")
        return sklearn.metrics.log_loss(paper["y_true"], p, labels=list(metrics.emotions_of(paper)))

    losses = [loss(best * factor) for factor in (0.5, 0.98, 1, 1.02, 2)]
    assert np.argmin(losses) == 2
    assert best > 1  # 500 epochs on 482 utterances make it too sure


def test_a_temperature_stays_within_its_limits_where_everything_is_right():
    table = sure([(0.6, 0.2, 0.2), (0.2, 0.5, 0.3)], ["anger", "fear"])
    assert compare.temperature(table) == pytest.approx(compare.TEMPERATURES[0], rel=1e-3)


def test_probabilities_at_a_temperature_by_hand():
    table = sure([(0.64, 0.36, 0.0), (0.04, 0.0, 0.96)], ["anger", "fear"])
    table.attrs = {"synthetic": True}
    none = np.sqrt(5e-5)
    expected = np.array([[0.8, 0.6, none], [0.2, none, np.sqrt(0.96)]])
    expected /= expected.sum(axis=1, keepdims=True)
    found = compare.with_temperature(table, 2.0)
    np.testing.assert_allclose(found.filter(like="p_"), expected)
    pd.testing.assert_frame_equal(found.loc[:, :"y_pred"], table.loc[:, :"y_pred"])
    assert found.attrs == table.attrs
    assert table["p_anger"].tolist() == [0.64, 0.04]


def test_each_fold_may_have_its_own_temperature():
    table = sure([(0.64, 0.36, 0.0), (0.04, 0.0, 0.96)], ["anger", "fear"])
    both = [compare.with_temperature(table, t) for t in (2.0, 3.0)]
    for own in ({0: 2.0, 1: 3.0}, pd.Series({1: 3.0, 0: 2.0})):
        found = compare.with_temperature(table, own)
        pd.testing.assert_frame_equal(found, pd.concat([both[0][:1], both[1][1:]]))


@pytest.mark.parametrize(("wrong", "found"), [({0: 2.0}, "[1]"), ({0: -1, 1: 2.0}, "[0]"), (0, "[0, 1]")])
def test_a_missing_or_impossible_temperature_is_refused(wrong, found):
    table = sure([(0.64, 0.36, 0.0), (0.04, 0.0, 0.96)], ["anger", "fear"])
    with pytest.raises(ValueError, match="is missing or not above 0; expected a positive number for each f") as error:
        compare.with_temperature(table, wrong)
    assert f"the temperature of folds {found}" in str(error.value)


def test_the_stored_coverage_is_what_the_interval_promises():
    table = pd.read_csv(RESULTS / "coverage.csv")
    coverage = table.pivot(index=["true_uar", "n_speakers"], columns="method", values="coverage")
    assert (coverage["bootstrap"] < coverage["jackknife t"]).all()
    usual = coverage.loc[0:0.9].query(f"n_speakers >= {metrics.MIN_SPEAKERS_FOR_INTERVAL}")
    assert len(usual) == 5
    assert usual["jackknife t"].between(0.93, 0.97).all()
