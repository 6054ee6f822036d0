import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from serlib import evaluate, index, recipes, split


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
    return whole(pd.DataFrame(rows))


def whole(table):
    """Fill in the columns of an index table that say nothing here."""
    numbers = {"duration_s": 1.0, "sample_rate_hz": 16000, "channels": 1}
    missing = {column: numbers.get(column, "") for column in index.COLUMNS if column not in table}
    return table.assign(**missing)


def spoken(rows):
    """Return rows of an index, each written as 'utterance speaker emotion sentence content'."""
    columns = ["utterance", "speaker", "emotion", "sentence", "content"]
    return whole(pd.DataFrame([row.split(" ") for row in rows], columns=columns).assign(corpus="emodb", part="train"))


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


def test_groups_of_sentences_are_kept_apart_and_share_the_speakers(ten):
    drawn = split.sentences(ten)
    assert (drawn.protocol, drawn.n_folds, drawn.is_speaker_dependent) == ("sentences", 4, True)
    assert drawn.table.groupby("fold").size().tolist() == [95] * 4  # ten speakers say each: 5 times, 6, ... 14 times
    for _, train, test in drawn:
        assert not set(train["sentence"]) & set(test["sentence"])
        assert set(test["speaker"]) <= set(train["speaker"])


def test_sentences_are_balanced_by_how_often_they_are_spoken():
    said = spoken(
        [
            f"emodb/{n}-{k} a {emotion} {n} {n}-{k}"
            for n in (6, 3, 2, 1)
            for k, emotion in enumerate((["anger", "fear", "neutral"] * 2)[:n])
        ]
    )
    sentences = split.sentences(said, n_folds=2).table.groupby("fold")["sentence"].unique()
    assert sorted(map(sorted, sentences)) == [["1", "2", "3"], ["6"]]


def test_the_seed_decides_which_of_equally_frequent_sentences_go_together(ten):
    first, same, other = (split.sentences(ten, n_folds=2, seed=seed).table["fold"] for seed in (1, 1, 2))
    assert first.equals(same)
    assert not first.equals(other)


def test_more_folds_than_sentences_are_refused(ten):
    with pytest.raises(ValueError, match="emodb: 5 folds of 4 sentences are impossible; use 2 to 4 folds"):
        split.sentences(ten, n_folds=5)
    with pytest.raises(ValueError, match="emodb: 1 folds of 1 sentences are impossible"):
        split.sentences(ten[ten["sentence"] == "s0"])


def test_a_split_by_sentences_is_refused_where_one_utterance_has_none(ten):
    unknown = ten.assign(sentence=ten["sentence"].mask(ten["utterance"] == "emodb/03-007", ""))
    expected = (
        "emodb: 1 of 380 utterances have no sentence, as emodb/03-007; expected to know what is spoken in each. Use"
    )
    with pytest.raises(ValueError, match=expected):
        split.sentences(unknown)
    kept_out = unknown.assign(part=unknown["part"].mask(unknown["sentence"] == "", ""))
    assert split.sentences(kept_out).n_folds == 4


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [
        ("ravdess", 2),
        ("tess", 6),
        ("crema-d", 6),
        ("emovo", 6),
        ("emodb", 6),
        ("shemo", "shemo: .* utterances have no sentence, as shemo/"),
        ("savee", "savee: each sentence is spoken with one emotion only, as 'a..' with anger; expected sentences, not"),
    ],
)
def test_a_corpus_has_sentences_or_is_refused(made, corpus, expected):
    table = index.scan(made[corpus], corpus)
    if isinstance(expected, int):
        assert split.sentences(table).n_folds == expected
    else:
        with pytest.raises(ValueError, match=expected):
            split.sentences(table)


def test_flagged_utterances_belong_to_no_split(ten):
    flagged = ten.assign(part=ten["part"].where(ten["speaker"] != "emodb/00", ""))
    for draw in (split.random, split.speakers, split.loso, split.sentences, split.from_parts):
        assert "emodb/00" not in set(draw(flagged).table["speaker"])


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
    with pytest.raises(
        ValueError, match="emodb would be trained on and tested; cross-corpus needs other corpora to test on"
    ):
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


def test_a_shared_speaker_a_recording_and_a_take_are_counted_by_hand():
    train = spoken(["u1 a F s1 one", "u2 a F s2 two", "u3 b N s1 three", "u4 c N s1 four"])
    test = spoken(["u5 a F s1 five", "u6 a N s1 three", "u7 b F s1 six", "u8 d F s1 seven", "u9 d F s9 seven"])
    found = split.leaks(train, test)
    assert list(found.columns) == ["kind", "n", "n_test", "shared", "examples"]
    assert found.to_numpy().tolist() == [
        ["speaker", 3, 5, 2, "a, b"],  # u5 and u6 by a, u7 by b
        ["recording", 1, 5, 1, "u6"],  # the same as u3; u8 and u9 are the same, but on one side
        ["take", 1, 5, 1, "u5"],  # as u1
    ]


def test_at_most_three_are_named():
    train, test = (spoken([f"{side}{k} {k} F s1 {side}{k}" for k in range(5)]) for side in ("train", "test"))
    assert split.leaks(train, test).set_index("kind").loc["speaker", ["shared", "examples"]].tolist() == [5, "0, 1, 2"]


def test_what_is_not_known_is_no_leak():
    train, test = (spoken([f"{side} a F  "]).assign(sentence="", content="") for side in ("train", "test"))
    assert split.leaks(train, test).set_index("kind")["n"].to_dict() == {"speaker": 1, "recording": 0, "take": 0}


def test_an_audit_of_clean_speakers_finds_nothing(ten):
    found = split.audit(split.speakers(ten))
    assert list(found.columns) == ["kind", "n", "n_tested", "shared", "examples"]
    assert found.to_numpy().tolist() == [[kind, 0, 380, 0, ""] for kind in ("speaker", "recording", "take")]


@pytest.mark.parametrize("draw", [split.from_parts, split.sentences, lambda table: split.random(table, n_folds=5)])
def test_an_audit_sums_what_each_fold_leaks(ten, draw):
    drawn = draw(ten)
    by_fold = [split.leaks(train, test).set_index("kind") for _, train, test in drawn]
    found = split.audit(drawn).set_index("kind")
    assert found["n"].equals(sum(fold["n"] for fold in by_fold))
    assert found["n_tested"].equals(sum(fold["n_test"] for fold in by_fold))
    assert found.loc["speaker", "shared"] == 10


def test_takes_of_a_sentence_leak_under_random_and_not_under_sentences(ten):
    shared = [split.audit(draw(ten)).set_index("kind").loc["take", "n"] for draw in (split.random, split.sentences)]
    assert shared[0] > 0
    assert shared[1] == 0


@pytest.mark.parametrize("protocol", ["random", "speakers", "loso", "sentences"])
def test_protocols_are_made_by_name(ten, protocol):
    ten.attrs["seed"] = 7
    assert split.make(index.redraw(ten, seed=7), protocol).protocol == protocol


def test_an_unknown_protocol_is_named_with_the_known_ones(ten):
    with pytest.raises(
        ValueError, match="protocol 'kfold' is unknown; use one of random, speakers, loso, sentences, cross-corpus"
    ):
        split.make(ten, "kfold")
    with pytest.raises(ValueError, match="cross-corpus needs a second corpus"):
        split.make(ten, "cross-corpus")


def test_validation_holds_out_whole_speakers_where_there_are_four(ten):
    mask, source = split.validation(ten.assign(fold=-1), by_speaker=True)
    assert source == "a tenth of the training part, by speakers"
    assert not set(ten.loc[mask, "speaker"]) & set(ten.loc[~mask, "speaker"])
    assert 0.03 < mask.mean() < 0.2


def test_validation_holds_out_a_tenth_of_the_utterances_else(ten):
    three = ten[ten["speaker"].isin(["emodb/00", "emodb/01", "emodb/02"])]
    for rows, by_speaker in ((ten, False), (three, True)):
        mask, source = split.validation(rows.assign(fold=-1), by_speaker=by_speaker)
        assert source == "a tenth of the training part, by utterances"
        assert mask.sum() == np.ceil(len(rows) / 10)
        held_out = rows.loc[mask, "emotion"].value_counts()
        assert held_out.max() - held_out.min() <= 1


def test_a_tables_own_validation_part_is_not_trained_on_and_draws_the_curve(emodb):
    speakers = sorted(emodb["speaker"].unique())
    parts = {speakers[0]: "test", speakers[1]: "validation"}
    table = emodb.assign(part=emodb["speaker"].map(lambda speaker: parts.get(speaker, "train")))
    given = split.from_parts(table)
    assert (given.protocol, given.n_folds) == ("speakers", 1)
    assert set(given.table.loc[given.table["fold"] == -2, "speaker"]) == {speakers[1]}
    X = np.random.default_rng(0).normal(size=(len(table), 50)).astype(np.float32)
    n_validation, n_train = (int((table["part"] == part).sum()) for part in ("validation", "train"))
    for name, epochs in (("paper", 1), ("mfcc-mean+logistic", None)):
        fold = evaluate.fit_fold(given, X, recipe=recipes.get(name), epochs=epochs)
        assert fold.n_train == n_train
        assert set(fold.predictions["speaker"]) == {speakers[0]}
        if epochs:
            assert fold.validation == "the table's own validation part"
            assert (len(fold.validated), set(fold.validated["speaker"])) == (n_validation, {speakers[1]})
    assert set(split.speakers(table).table["fold"]) == set(range(6)), "other protocols draw their own folds"


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


# Parts that a table brings are called what they are


def test_parts_that_the_tables_seed_draws_are_random(ten):
    drawn = split.from_parts(index.redraw(ten, seed=7))
    assert (drawn.protocol, drawn.seed, drawn.is_speaker_dependent) == ("random", 7, True)


def test_parts_of_separate_speakers_are_a_split_by_speakers(ten):
    separate = ten.assign(part=np.where(ten["speaker"] < "emodb/03", "test", "train"))
    separate.attrs["seed"] = 7  # which did not draw them
    drawn = split.from_parts(separate)
    assert (drawn.protocol, drawn.seed, drawn.is_speaker_dependent) == ("speakers", None, False)


@pytest.mark.parametrize("attrs", [{}, {"seed": 42}, {"seed": None}, {"protocol": "random", "seed": "42"}])
def test_other_parts_are_given_and_nobodys_draw(ten, attrs):
    given = ten.copy()
    given.attrs = attrs
    drawn = split.from_parts(given)
    assert (drawn.protocol, drawn.seed, drawn.is_speaker_dependent) == ("given-parts", None, True)


def test_one_row_in_another_part_is_no_longer_the_seeds_draw(ten):
    drawn = index.redraw(ten, seed=7)
    drawn.loc[0, "part"] = "train" if drawn.loc[0, "part"] == "test" else "test"
    assert split.from_parts(drawn).protocol == "given-parts"


def test_emotions_that_are_tested_but_never_trained_are_counted(ten):
    unknown = ten.assign(part=np.where(ten["emotion"] == "fear", "test", ten["part"]))
    n_fear = (ten["emotion"] == "fear").sum()
    assert split.from_parts(unknown).untrained == {"fear": n_fear}
    assert split.speakers(ten).untrained == {}
    only_one_is_afraid = ten[(ten["emotion"] != "fear") | (ten["speaker"] == "emodb/04")]
    n_of_one = (only_one_is_afraid["emotion"] == "fear").sum()
    assert split.loso(only_one_is_afraid).untrained == {"fear": n_of_one}


# Several corpora in one table


@pytest.fixture(scope="module")
def two(ten):
    """An index of two corpora: `ten`, and a part of it as another corpus, smaller and of other sizes."""
    other = ten[ten["speaker"] > "emodb/03"].assign(corpus="tess")
    for column in ("utterance", "speaker"):
        other[column] = "tess/" + other[column].str.removeprefix("emodb/")
    return pd.concat([ten, other.assign(content="t" + other["content"])], ignore_index=True)


@pytest.mark.parametrize(
    "draw",
    [
        lambda table: split.random(table, seed=3),
        lambda table: split.random(table, n_folds=3, seed=3),
        lambda table: split.speakers(table, n_folds=3, seed=3),
        lambda table: split.sentences(table, n_folds=2, seed=3),
    ],
    ids=["random", "random folds", "speakers", "sentences"],
)
def test_folds_of_two_corpora_are_those_of_each_alone(two, draw):
    together = draw(two).table.set_index("utterance")["fold"]
    for _, rows in two.groupby("corpus"):
        alone = draw(rows.reset_index(drop=True)).table.set_index("utterance")["fold"]
        pd.testing.assert_series_equal(together[alone.index], alone)


def test_loso_leaves_out_each_speaker_of_two_corpora_once(two):
    drawn = split.loso(two)
    assert drawn.n_folds == 16
    assert [test["speaker"].unique().tolist() for _, _, test in drawn] == [[one] for one in sorted(set(two["speaker"]))]


def test_what_one_of_two_corpora_cannot_do_names_it(two):
    few = two[(two["corpus"] == "emodb") | (two["speaker"] == "tess/09")]
    with pytest.raises(ValueError, match="tess: 2 folds of 1 speakers are impossible"):
        split.speakers(few, n_folds=2)


def test_cross_corpus_trains_on_two_corpora_and_keeps_what_both_sides_share(two, ten):
    test = ten.assign(
        corpus="savee",
        utterance="savee/" + ten["utterance"],
        speaker="savee/" + ten["speaker"],
        content="s" + ten["content"],
    )
    two = two[(two["corpus"] == "emodb") | (two["emotion"] == "fear")]  # tess knows fear alone, emodb all
    two.attrs = {"sources": {"emodb": {"folder": "a"}, "tess": {"folder": "b", "synthetic": True}}, "synthetic": True}
    test.attrs = {"corpus": "savee", "folder": "c", "synthetic": False}
    drawn = split.cross_corpus(two, test[test["emotion"] != "neutral"])
    ((_, trained, tested),) = drawn
    assert set(trained["corpus"]) == {"emodb", "tess"}
    assert set(tested["corpus"]) == {"savee"}
    assert set(trained["emotion"]) == set(tested["emotion"]) == {"anger", "fear"}
    assert {name: about["folder"] for name, about in drawn.table.attrs["sources"].items()} == {
        **{"emodb": "a", "tess": "b", "savee": "c"}
    }
    assert drawn.table.attrs["synthetic"]
    with pytest.raises(ValueError, match="emodb would be trained on and tested"):
        split.cross_corpus(two, pd.concat([test, ten]))
