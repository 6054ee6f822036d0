import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from serlib import index, split


@pytest.fixture(scope="module")
def ten():
    """An index of ten speakers, five of each gender, uneven, three emotions."""
    rows = [
        {
            "utterance": f"emodb/{speaker:02}-{k:03}",
            "corpus": "emodb",
            "speaker": f"emodb/{speaker:02}",
            "gender": ("female", "male")[speaker % 2],
            "emotion": ("anger", "fear", "neutral")[k % 3],
            "sentence": f"s{k % 4}",
            "content": f"{speaker}-{k}",
            "part": "test" if k % 5 == 0 else "train",
        }
        for speaker in range(10)
        for k in range(20 + 4 * speaker)
    ]
    return pd.DataFrame(rows)


def test_a_random_split_tests_a_fifth_and_says_that_it_is_speaker_dependent(ten):
    drawn = split.random(ten)
    ((_, train, test),) = drawn
    assert len(test) == np.ceil(len(ten) / 5)
    assert len(train) + len(test) == len(ten)
    assert drawn.is_speaker_dependent
    assert set(train["speaker"]) & set(test["speaker"])


def test_the_seed_decides_a_random_split(ten):
    first, same, other = (split.random(ten, seed=seed).table["fold"] for seed in (1, 1, 2))
    assert first.equals(same)
    assert not first.equals(other)


def test_random_folds_test_everybody_once_and_keep_the_emotions_shares(ten):
    drawn = split.random(ten, n_folds=5)
    assert drawn.n_folds == 5
    counts = pd.crosstab(drawn.table["fold"], drawn.table["emotion"])
    assert (counts.max() - counts.min()).max() <= 1


def test_groups_of_speakers_are_balanced_by_gender_then_size(ten):
    drawn = split.speakers(ten)
    assert drawn.n_folds == 6
    genders = drawn.table.drop_duplicates("speaker").groupby(["fold", "gender"]).size().unstack(fill_value=0)
    assert genders.to_numpy().max() == 1
    three = split.speakers(ten, n_folds=5).table.groupby("fold").size()
    assert three.max() / three.min() < 1.3


def test_genders_are_spread_even_where_one_speaks_more(ten):
    male = ten[ten["gender"] == "male"]
    more = [male.assign(utterance=male["utterance"] + f"-{k}", content=male["content"] + f"-{k}") for k in range(3)]
    much = pd.concat([ten, *more])
    genders = split.speakers(much, n_folds=5).table.drop_duplicates("speaker").groupby(["fold", "gender"]).size()
    assert genders.to_dict() == {(fold, gender): 1 for fold in range(5) for gender in ("female", "male")}


def test_no_speaker_is_on_both_sides_of_a_speaker_split(ten):
    for drawn in (split.speakers(ten), split.loso(ten)):
        tested = []
        for _, train, test in drawn:
            assert not set(train["speaker"]) & set(test["speaker"])
            tested += list(test["utterance"])
        assert sorted(tested) == sorted(ten["utterance"])


def test_loso_is_scikit_learns_leave_one_group_out(ten):
    expected = LeaveOneGroupOut().split(ten, groups=ten["speaker"])
    for (_, _, test), (_, tested) in zip(split.loso(ten), expected, strict=True):
        assert list(test["utterance"]) == list(ten["utterance"].iloc[tested])


def test_more_folds_than_speakers_are_refused(ten):
    with pytest.raises(ValueError, match="emodb: 11 folds of 10 speakers are impossible; use 2 to 10 folds"):
        split.speakers(ten, n_folds=11)
    one = ten[ten["speaker"] == "emodb/03"]
    with pytest.raises(ValueError, match=r"only the speaker \['emodb/03'\]"):
        split.loso(one)


def test_default_folds_are_as_many_as_speakers_where_there_are_fewer_than_six(ten):
    four = ten[ten["speaker"].isin(["emodb/00", "emodb/01", "emodb/02", "emodb/03"])]
    assert split.speakers(four).n_folds == 4


def test_flagged_utterances_belong_to_no_split(ten):
    flagged = ten.assign(part=ten["part"].where(ten["speaker"] != "emodb/00", ""))
    for drawn in (split.random(flagged), split.speakers(flagged), split.loso(flagged), split.from_parts(flagged)):
        assert "emodb/00" not in set(drawn.table["speaker"])


def test_the_index_parts_are_a_split(ten):
    ((_, _, test),) = split.from_parts(ten)
    assert list(test["utterance"]) == list(ten.loc[ten["part"] == "test", "utterance"])
    with pytest.raises(ValueError, match="no row of the index has the part 'test'"):
        split.from_parts(ten.assign(part="train"))


def test_cross_corpus_keeps_the_shared_emotions(ten):
    other = ten.assign(
        corpus="tess", speaker="tess/OAF", utterance="tess/" + ten["utterance"], content="t" + ten["content"]
    )
    other = other[other["emotion"] != "neutral"]
    drawn = split.cross_corpus(ten, other)
    ((_, train, test),) = drawn
    assert set(train["corpus"]) == {"emodb"}
    assert set(test["corpus"]) == {"tess"}
    assert set(train["emotion"]) == set(test["emotion"]) == {"anger", "fear"}
    with pytest.raises(ValueError, match="cross-corpus needs two corpora"):
        split.cross_corpus(ten, ten)
    with pytest.raises(ValueError, match=r"emodb and tess share the emotions \['anger'\]"):
        split.cross_corpus(ten, other[other["emotion"] == "anger"])


def test_a_shared_speaker_is_refused_by_name(ten):
    leaking = split.speakers(ten).table
    leaking.loc[0, "fold"] = (leaking.loc[0, "fold"] + 1) % 6
    with pytest.raises(
        ValueError, match=r"train and test share speakers \['emodb/00'\] \(1 in all\); use protocol='speak"
    ):
        split.Split("speakers", 42, leaking)


def test_an_identical_recording_on_both_sides_is_refused_under_every_protocol(ten):
    leaking = ten.copy()
    leaking.loc[leaking["part"] == "test", "content"] = ten["content"][1]
    with pytest.raises(ValueError, match=r"train and test share identical recordings \['emodb/00-000', "):
        split.from_parts(leaking)


@pytest.mark.parametrize("protocol", ["random", "speakers", "loso"])
def test_protocols_are_made_by_name(ten, protocol):
    assert split.make(ten, protocol).protocol == protocol


def test_an_unknown_protocol_is_named_with_the_known_ones(ten):
    with pytest.raises(
        ValueError, match="protocol 'kfold' is unknown; use one of random, speakers, loso, cross-corpus"
    ):
        split.make(ten, "kfold")
    with pytest.raises(ValueError, match="cross-corpus needs a second corpus"):
        split.make(ten, "cross-corpus")


def test_validation_holds_out_whole_speakers_where_there_are_four(ten):
    mask, unit = split.validation(ten, by_speaker=True)
    assert unit == "speakers"
    assert not set(ten.loc[mask, "speaker"]) & set(ten.loc[~mask, "speaker"])
    assert 0.03 < mask.mean() < 0.2


def test_validation_holds_out_a_tenth_of_the_utterances_else(ten):
    three = ten[ten["speaker"].isin(["emodb/00", "emodb/01", "emodb/02"])]
    for rows, by_speaker in ((ten, False), (three, True)):
        mask, unit = split.validation(rows, by_speaker=by_speaker)
        assert unit == "utterances"
        assert mask.sum() == np.ceil(len(rows) / 10)
        held_out = rows.loc[mask, "emotion"].value_counts()
        assert held_out.max() - held_out.min() <= 1


def test_a_seed_draws_the_same_speakers_on_every_machine(emodb):
    folds = split.speakers(emodb, seed=42).table.drop_duplicates("speaker").set_index("speaker")["fold"]
    again = split.speakers(emodb.sample(frac=1, random_state=1).sort_values("utterance"), seed=42).table
    assert folds.equals(again.drop_duplicates("speaker").set_index("speaker")["fold"])
    assert split.speakers(emodb).table.attrs["folder"] == emodb.attrs["folder"]


def test_an_index_without_parts_is_refused(ten):
    with pytest.raises(ValueError, match="the index has no row with a part"):
        split.random(ten.assign(part=""))


def test_parts_of_a_scan_survive_as_a_split(emodb):
    ((_, train, test),) = split.from_parts(emodb)
    assert (len(train), len(test)) == tuple(index.parts(emodb).loc["all", ["train", "test"]])
