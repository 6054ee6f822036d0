import dataclasses

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import sklearn.preprocessing
from sklearn.base import clone
from sklearn.dummy import DummyClassifier

from serlib import corpora, evaluate, features, index, metrics, models, recipes, results, settings, split


def shortened(recipe):
    """The same recipe with two epochs, if it has any."""
    model = models.with_epochs(recipe.model, 2) if models.has_epochs(recipe.model) else recipe.model
    return dataclasses.replace(recipe, model=model)


PAPER, LINEAR = recipes.get("paper"), recipes.get("mfcc-mean+logistic")
SHORT = shortened(PAPER)


@pytest.fixture
def features_of(emodb, workplace):
    return lambda drawn: features.extract(drawn.table, features=PAPER.features)


def test_every_fold_is_scored_once_on_what_it_was_not_trained_on(emodb, features_of):
    drawn = split.speakers(emodb, n_folds=3)
    result = evaluate.cross_validate(drawn, features_of(drawn), recipe=SHORT)
    table = result.predictions
    assert sorted(table["utterance"]) == sorted(emodb["utterance"])
    tested_by = drawn.table.set_index("utterance")["fold"]
    assert (table["fold"].to_numpy() == tested_by[table["utterance"]].to_numpy()).all()
    assert metrics.emotions_of(table) == corpora.get("emodb").emotions
    p = table[[f"p_{emotion}" for emotion in metrics.emotions_of(table)]]
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert (p.idxmax(axis=1).str[2:] == table["y_pred"]).all()
    assert list(result.history) == ["fold", "epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert len(result.history) == 3 * 2
    assert result.about["validation"] == "a tenth of the training part, by speakers"


def test_two_processes_say_what_one_says_and_are_started_anew_in_silence(emodb, features_of):
    drawn = split.speakers(emodb, n_folds=2)
    X = features_of(drawn)
    joblib.Parallel(2)(joblib.delayed(abs)(k) for k in range(4))  # the processes are small ...
    one = evaluate.cross_validate(drawn, X, recipe=SHORT)
    two = evaluate.cross_validate(drawn, X, recipe=SHORT, n_jobs=2)  # ... and grow now; warnings are errors here
    pd.testing.assert_frame_equal(one.predictions, two.predictions)


@pytest.mark.slow
def test_a_dask_cluster_says_what_one_process_says(emodb, features_of, cluster):
    drawn = split.speakers(emodb, n_folds=2)
    X = features_of(drawn)
    one = evaluate.cross_validate(drawn, X, recipe=SHORT)
    with joblib.parallel_config(backend="dask"):
        two = evaluate.cross_validate(drawn, X, recipe=SHORT)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
    assert sum(cluster.run(lambda: "tensorflow" in __import__("sys").modules).values()) == 2


def test_random_without_folds_scores_exactly_the_index_test_part(emodb, workplace):
    result = evaluate.run(emodb, protocol="random", recipe=SHORT, epochs=1)
    assert set(result.predictions["utterance"]) == set(emodb.loc[emodb["part"] == "test", "utterance"])
    assert result.about["validation"] == "a tenth of the training part, by utterances"
    assert result.about["synthetic"]


def test_unknown_sentences_are_scored_and_validation_is_by_utterance(emodb, workplace):
    result = evaluate.run(emodb, protocol="sentences", n_folds=2, recipe=SHORT, epochs=1)
    assert sorted(result.predictions["utterance"]) == sorted(emodb["utterance"])
    assert set(result.predictions["protocol"]) == {"sentences"}
    assert result.about["validation"] == "a tenth of the training part, by utterances"


def test_original_2021_draws_its_curve_from_the_test_part_and_says_so(emodb, workplace):
    recipe = recipes.get("original-2021")
    result = evaluate.run(emodb, protocol="random", recipe=recipe, epochs=1)
    assert result.about["validation"] == "test"
    last = result.history.iloc[-1]
    assert last["val_accuracy"] == pytest.approx(metrics.accuracy(result.predictions), abs=1e-6)


def test_another_corpus_is_tested_on_the_shared_emotions(emodb, made, workplace):
    tess = index.scan(made["tess"], "tess")
    result = evaluate.run(emodb, protocol="cross-corpus", test_table=tess, recipe=SHORT, epochs=1)
    shared = set(corpora.get("emodb").emotions) & set(corpora.get("tess").emotions)
    assert set(metrics.emotions_of(result.predictions)) == shared
    assert set(result.predictions["corpus"]) == {"tess"}
    assert len(result.predictions) == tess["emotion"].isin(shared).sum()


def test_epochs_follow_the_data(emodb):
    assert evaluate.epochs_for(emodb, PAPER) == 100
    real = emodb.copy()
    real.attrs = {**emodb.attrs, "synthetic": False}
    assert evaluate.epochs_for(real, PAPER) == 500
    assert evaluate.epochs_for(real, PAPER, 7) == 7
    with pytest.raises(ValueError, match="epochs is 0; expected 1 or more"):
        evaluate.epochs_for(real, PAPER, 0)
    assert evaluate.epochs_for(real, LINEAR) is None
    with pytest.raises(ValueError, match="LogisticRegression does not learn in epochs"):
        evaluate.epochs_for(real, LINEAR, 3)
    lost = emodb.copy()
    lost.attrs = {"folder": emodb.attrs["folder"]}  # as after pd.concat, which drops what differs
    assert evaluate.epochs_for(lost, PAPER) == 100


def test_a_stored_result_is_used_until_the_split_changes(workplace, monkeypatch):
    monkeypatch.setattr(evaluate, "SYNTHETIC_SHARE", 500)
    first = evaluate.load_or_run("emodb", protocol="random", recipe=PAPER)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "run", lambda *_, **__: pytest.fail("ran again"))
        pd.testing.assert_frame_equal(
            evaluate.load_or_run("emodb", protocol="random", recipe=PAPER).predictions, first.predictions
        )
    monkeypatch.setattr(evaluate, "SYNTHETIC_SHARE", 250)
    assert evaluate.load_or_run("emodb", protocol="random", recipe=PAPER).about["epochs"] == 2
    other = dataclasses.replace(PAPER, model=clone(PAPER.model).set_params(dropout=0.5))
    again = evaluate.load_or_run("emodb", protocol="random", recipe=other)
    assert again.about["settings"]["model"]["dropout"] == 0.5


def test_a_stopped_evaluation_goes_on_where_it_was(emodb, workplace, monkeypatch):
    how = {"protocol": "speakers", "n_folds": 3, "recipe": SHORT, "epochs": 1}
    expected = evaluate.run(emodb, **how)
    fit, fitted = evaluate.fit_fold, []

    def die_at_the_third(split, X, fold, **settings):
        fitted.append(fold)
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return fit(split, X, fold, **settings)

    monkeypatch.setattr(evaluate, "fit_fold", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        evaluate.run(emodb, **how, folder=workplace / "folds")
    assert len(list((workplace / "folds").glob("*/fold-?.csv.gz"))) == 2
    evaluate.run(emodb, **how, seed=1, folder=workplace / "folds")  # another evaluation finds nothing done
    for name in ("fold-0.csv.gz", "fold-1.json"):  # what is damaged is done again
        (spoilt,) = (workplace / "folds").glob(f"*/{name}")
        spoilt.write_bytes(spoilt.read_bytes()[:60])
    result = evaluate.run(emodb, **how, folder=workplace / "folds")
    assert fitted == [0, 1, 2, 0, 1, 2, 0, 1, 2]
    for name in ("predictions", "validated", "history"):
        pd.testing.assert_frame_equal(getattr(result, name), getattr(expected, name), atol=5e-5, check_dtype=False)
    assert result.about == expected.about
    assert not list((workplace / "folds").iterdir())


@pytest.mark.parametrize(("protocol", "is_apart"), [("random", False), ("speakers", True)])
def test_validation_rows_are_neither_trained_on_nor_tested(emodb, features_of, protocol, is_apart):
    drawn = split.make(emodb, protocol)
    fold = evaluate.fit_fold(drawn, features_of(drawn), recipe=SHORT)
    assert not set(fold.validated["utterance"]) & set(fold.predictions["utterance"])
    assert fold.n_train + len(fold.validated) + len(fold.predictions) == len(drawn.table)
    assert not is_apart or not set(fold.validated["speaker"]) & set(fold.predictions["speaker"])
    assert list(fold.validated) == list(fold.predictions)


def test_a_watched_training_is_the_same_and_what_it_learned_till_it_was_ended_is_kept(emodb, features_of):
    drawn, seen = split.speakers(emodb), []
    X = features_of(drawn)

    def watch(scores):
        seen.append(scores)
        return scores["epoch"] == 2

    ended = evaluate.fit_fold(drawn, X, recipe=PAPER, epochs=5, watch=watch)
    alone = evaluate.fit_fold(drawn, X, recipe=PAPER, epochs=2)
    pd.testing.assert_frame_equal(ended.history, alone.history)
    pd.testing.assert_frame_equal(ended.predictions, alone.predictions)
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert [[one[name] for name in columns] for one in seen] == ended.history[columns].to_numpy().tolist()
    y_true, y_pred = ended.validated["y_true"], ended.validated["y_pred"]
    expected = sklearn.metrics.recall_score(y_true, y_pred, average="macro", labels=sorted(set(y_true)))
    assert seen[-1]["val_uar"] == pytest.approx(expected)


def test_there_is_nothing_to_tune_on_where_the_curve_is_the_test_parts(emodb, workplace):
    result = evaluate.run(emodb, protocol="random", recipe=recipes.get("original-2021"), epochs=1, folder=workplace)
    assert result.about["validation"] == "test"
    assert list(result.validated) == list(result.predictions)
    assert len(result.validated) == 0


@pytest.mark.parametrize("recipe", [*recipes.RECIPES, "mfcc-mean+svm"])
def test_nothing_of_the_tested_rows_reaches_the_network(emodb, features_of, recipe):
    """Whatever stands in the test part, its vectors or its labels, the trained model is the same."""
    drawn = split.speakers(emodb, n_folds=2)
    X, tested = features_of(drawn), (drawn.table["fold"] == 0).to_numpy()
    rng, other, mixed = np.random.default_rng(0), X.copy(), drawn.table.copy()
    other[tested] = rng.normal(0, 50, other[tested].shape)
    mixed.loc[tested, "emotion"] = rng.permutation(mixed.loc[tested, "emotion"])
    short = shortened(recipes.get(recipe))
    probabilities = [
        evaluate.fit_fold(dataclasses.replace(drawn, table=table), vectors, recipe=short).model.predict_proba(X)
        for table, vectors in ((drawn.table, X), (mixed, other))
    ]
    np.testing.assert_array_equal(*probabilities)


def test_speakers_are_standardised_by_their_own_recordings(emodb, features_of, workplace):
    drawn = split.speakers(emodb)
    X, speakers = features_of(drawn), drawn.table["speaker"].to_numpy()
    standard = features.standardise(X, speakers)
    for speaker in set(speakers):
        expected = sklearn.preprocessing.StandardScaler().fit_transform(X[speakers == speaker].astype(np.float64))
        np.testing.assert_allclose(standard[speakers == speaker], expected, atol=1e-5)
    constant = features.standardise(np.ones((3, 50), np.float32), ["a", "a", "b"])
    np.testing.assert_array_equal(constant, 0)
    result = evaluate.run(emodb, protocol="speakers", normalise="speaker", recipe=SHORT, epochs=1)
    assert set(result.predictions["protocol"]) == {"speakers-normalised"}
    assert result.about["normalise"] == "speaker"
    plain = evaluate.run(emodb, protocol="speakers", recipe=SHORT, epochs=1)
    assert np.abs(result.predictions["p_anger"] - plain.predictions["p_anger"]).max() > 0.01
    with pytest.raises(ValueError, match="normalise is 'actor'; expected 'speaker' or 'corpus'"):
        evaluate.run(emodb, normalise="actor", recipe=SHORT)


def test_a_corpus_never_heard_is_standardised_by_its_own_recordings(emodb, workplace):
    recipe = recipes.get("mfcc-mean+lda")
    trained, tested = index.join([index.load("tess"), index.load("savee")]), index.load("emodb")
    drawn = split.make(trained, "cross-corpus", test_index=tested)
    X, y = features.extract(drawn.table, features=recipe.features), drawn.table["emotion"].to_numpy(dtype=str)
    for corpus in ("emodb", "savee", "tess"):
        mine = (drawn.table["corpus"] == corpus).to_numpy()
        X[mine] = sklearn.preprocessing.StandardScaler().fit_transform(X[mine].astype(np.float64))
    is_test = (drawn.table["fold"] == 0).to_numpy()
    expected = clone(recipe.model).fit(X[~is_test], y[~is_test]).predict(X[is_test])

    how = {"protocol": "cross-corpus", "recipe": recipe, "test_on": "emodb"}
    result = evaluate.load_or_run(["tess", "savee"], **how, normalise="corpus")
    assert result.about["normalise"] == "corpus"
    assert set(result.predictions["protocol"]) == {"cross-corpus-corpus-normalised"}
    assert (result.predictions["y_pred"] == expected).mean() > 0.99  # four decimals may tie
    plain = evaluate.load_or_run(["tess", "savee"], **how)
    assert plain.about["normalise"] is None
    assert len(results.stored(settings.current().results)) == 2


def test_predictions_say_whether_they_are_about_synthetic_speech(emodb, workplace):
    result = evaluate.run(emodb, protocol="random", recipe=SHORT, epochs=1)
    results.write(result, workplace / "p.csv")
    assert result.predictions.attrs == results.read(workplace / "p.csv").predictions.attrs == {"synthetic": True}


@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["emodb", "crema-d"])
def test_the_recipe_is_flattered_by_a_random_split_and_not_by_unseen_speakers(corpus, trained):
    """The lesson of the notebooks holds on synthetic speech, for the recipe `paper`."""
    stored = results.stored(trained)
    random, unseen = (
        stored.loc[
            (stored["corpus"] == corpus) & (stored["protocol"] == protocol) & (stored["recipe"] == "paper"), "uar"
        ].item()
        for protocol in ("random", "speakers")
    )
    assert random - unseen > 0.15
    assert unseen > 1 / len(corpora.get(corpus).emotions) + 0.05


def test_a_classifier_without_epochs_is_fitted_to_the_whole_training_part_and_draws_no_curve(emodb, features_of):
    drawn = split.loso(emodb)
    X = features_of(drawn)
    result = evaluate.cross_validate(drawn, X, recipe=LINEAR)
    assert result.about == {"epochs": None, "validation": evaluate.NO_CURVE}
    assert len(result.history) == len(result.validated) == 0
    fold = evaluate.fit_fold(drawn, X, 3, recipe=LINEAR)
    tested = (drawn.table["fold"] == 3).to_numpy()
    assert fold.n_train == (~tested).sum()
    theirs = clone(LINEAR.model).fit(X[~tested], drawn.table["emotion"][~tested])
    expected = theirs.predict_proba(X[tested])
    ours = fold.predictions[[f"p_{emotion}" for emotion in theirs.classes_]]
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_any_classifier_of_scikit_learns_is_evaluated(emodb, workplace):
    recipe = recipes.Recipe("guess", PAPER.features, DummyClassifier(strategy="stratified"))
    first, again, other = (evaluate.run(emodb, recipe=recipe, seed=seed).predictions for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert (first["y_pred"] != other["y_pred"]).any()


def test_balance_is_taken_from_the_training_rows_alone(emodb, features_of):
    seen = []

    class Watching(DummyClassifier):
        def __init__(self, class_weight=None):
            super().__init__()
            self.class_weight = class_weight

        def fit(self, X, y):
            seen.append((self.class_weight, sorted(y)))
            return super().fit(X, y)

    drawn = split.speakers(emodb, n_folds=2)
    recipe = recipes.Recipe("w", PAPER.features, models.balanced(Watching()))
    evaluate.fit_fold(drawn, features_of(drawn), 0, recipe=recipe)
    assert seen == [("balanced", sorted(drawn.table.loc[drawn.table["fold"] != 0, "emotion"]))]


def test_an_emotion_that_is_tested_but_never_trained_is_named_and_has_no_probability(emodb, workplace):
    is_sad, is_first = emodb["emotion"] == "sadness", emodb["speaker"] == "emodb/03"
    only_one_is_sad = emodb[~is_sad | is_first]
    result = evaluate.run(only_one_is_sad, protocol="loso", recipe=LINEAR)
    n = (is_sad & is_first).sum()
    assert (
        f"sadness is tested ({n} utterances) in folds that train on none of it: its recall there is 0"
        in (result.about["problems"])
    )
    tested = result.predictions[result.predictions["speaker"] == "emodb/03"]
    assert (tested["p_sadness"] == 0).all()
    assert not any("trained" in problem for problem in evaluate.run(emodb, recipe=LINEAR).about["problems"])


def test_two_corpora_in_one_table_are_an_ordinary_thing(made, workplace):
    tables = [index.scan(made[name], name) for name in ("emovo", "tess")]
    roots = {name: made[name] for name in ("emovo", "tess")}
    plain = evaluate.run(pd.concat(tables, ignore_index=True), protocol="speakers", recipe=LINEAR, root=roots)
    joined = evaluate.run(index.join(tables), protocol="speakers", recipe=LINEAR)
    pd.testing.assert_frame_equal(plain.predictions, joined.predictions)
    summary = metrics.summary(joined.predictions)
    assert summary["corpus"] == "emovo+tess"
    assert summary["n"] == sum(map(len, tables))
    assert joined.about["trained_on"] == "emovo+tess"
    assert joined.about["labels"] == {"emovo": "file-names", "tess": "file-names"}
    assert joined.predictions.attrs["synthetic"]
    with pytest.raises(ValueError, match=r"holds 'emovo/.* twice \(63 rows too many\); expected each utterance once"):
        evaluate.run(pd.concat([tables[0], tables[0]]), recipe=LINEAR)


def test_a_corpus_is_tested_by_what_was_trained_on_two_others(made, workplace):
    emovo, tess, savee = (index.scan(made[name], name) for name in ("emovo", "tess", "savee"))
    both = index.join([emovo, tess])
    result = evaluate.run(both, protocol="cross-corpus", test_table=savee, recipe=LINEAR)
    assert result.about["trained_on"] == "emovo+tess"
    assert set(result.predictions["corpus"]) == {"savee"}
    with pytest.raises(ValueError, match="tess would be trained on and tested"):
        evaluate.run(both, protocol="cross-corpus", test_table=tess, recipe=LINEAR)


def test_a_tables_own_parts_separated_by_speaker_are_called_that(emodb, workplace):
    first = emodb["speaker"].isin(["emodb/03", "emodb/08"])
    own = emodb.assign(part=np.where(first, "test", "train"))
    result = evaluate.run(own, protocol="random", recipe=SHORT)
    assert set(result.predictions["protocol"]) == {"speakers"}
    assert result.about["validation"] == "a tenth of the training part, by speakers"
    mixed = emodb.assign(part=np.where(np.arange(len(emodb)) % 3, "train", "test"))
    assert set(evaluate.run(mixed, protocol="random", recipe=LINEAR).predictions["protocol"]) == {split.GIVEN}
