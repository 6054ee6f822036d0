import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import scipy.spatial
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from serlib import bundle, evaluate, export, features, index, models, predict, recipes, results, split, storage
from serlib.recipes import Recipe

QUICK = recipes.get("mfcc-mean+logistic")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def quick(emodb, place):
    """A bundle of a classifier without epochs: (Bundle, Fold, folder)."""
    return bundle.train(emodb, recipe=QUICK, folder=place / "quick")


@pytest.fixture
def copied(quick, tmp_path):
    """A copy of that bundle, to be damaged."""
    for file in quick[2].iterdir():
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "b"


def edit(folder, **changes):
    file = folder / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("name", ["paper", "mfcc-functionals+svm", "log-mel+attention-cnn"])
def test_a_saved_bundle_answers_as_the_model_that_was_trained(name, emodb, tmp_path):
    recipe = recipes.get(name)
    epochs = 2 if models.has_epochs(recipe.model) else None
    written, fold, folder = bundle.train(emodb[::2], recipe=recipe, folder=tmp_path / "b", epochs=epochs)
    assert bundle.read(folder) == written
    assert (written.epochs, written.recipe, written.corpora) == (epochs, name, ("emodb",))
    assert (folder / "history.csv").exists() == (folder / "model.keras").exists() == bool(epochs)
    assert not epochs or list(pd.read_csv(folder / "history.csv")) == list(models.HISTORY_COLUMNS)
    files = [index.root_of(emodb) / path for path in emodb["path"][:6]]
    X = np.stack([features.from_file(file, features=recipe.features) for file in files])
    answers = predict.predict(files, folder)[[f"p_{emotion}" for emotion in written.emotions]]
    np.testing.assert_allclose(answers, fold.model.predict_proba(X), atol=2e-4)


def test_a_new_kind_of_features_and_a_new_classifier_go_all_the_way(emodb, tmp_path, monkeypatch):
    class Quarters(features.Features, tag="quarters", frozen=True):
        sr: int = 16000
        shape = (8,)

        def transform(self, signal):
            return np.array([f(part) for part in np.array_split(np.abs(signal), 4) for f in (np.mean, np.max)])

    class Softened(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.inner_ = LogisticRegression(max_iter=3000).fit(X, y)
            self.classes_ = self.inner_.classes_
            return self

        def predict_proba(self, X):
            return self.inner_.predict_proba(X)

        def to_onnx(self):
            return bundle.to_onnx(self.inner_, (8,))

    recipe = Recipe("quarters+softened", Quarters(), Softened())
    result = evaluate.run(emodb, recipe=recipe, root=index.root_of(emodb))
    assert len(result.predictions) == 280
    assert result.about["validation"] == evaluate.NO_CURVE
    with pytest.raises(ValueError, match="features of the kind 'quarters' are not in features.KINDS"):
        bundle.train(emodb, recipe=recipe, folder=tmp_path / "b")
    monkeypatch.setitem(features.KINDS, "quarters", Quarters)
    _, fold, folder = bundle.train(emodb, recipe=recipe, folder=tmp_path / "b")
    file = index.root_of(emodb) / fold.predictions["utterance"].map(emodb.set_index("utterance")["path"])[0]
    answer = predict.Predictor(folder).hear(file)
    assert answer["emotion"] == fold.predictions["y_pred"][0]
    assert bundle.write_score(folder, result).speaker_independent.n == 280
    monkeypatch.delitem(features.KINDS, "quarters")
    with pytest.raises(ValueError, match="features of the kind 'quarters' are unknown; expected one of whisper"):
        predict.Predictor(folder)


def test_what_cannot_be_exported_can_be_evaluated_but_not_saved(emodb, tmp_path):
    class Mine(KNeighborsClassifier):
        pass

    recipe = Recipe("mine", features.MfccMean(), Mine(3))
    assert len(evaluate.run(emodb, recipe=recipe, root=index.root_of(emodb)).predictions) == 280
    with pytest.raises(ValueError, match="Mine cannot be exported to ONNX .* it can be evaluated but not saved"):
        bundle.train(emodb, recipe=recipe, folder=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_card_holds_score_task_and_what_was_trained_on(quick):
    written, _, folder = quick
    card = (folder / "MODEL_CARD.md").read_text()
    assert "synthetic speech in the layout of emodb, recipe mfcc-mean+logistic" in card
    assert "on unseen speakers | not measured yet" in card
    assert f"task | {written.task}" in card
    assert "224 utterances of 7 speakers, seed 42" in card
    assert "licence" not in card  # it holds nothing of the real corpus


def test_the_card_holds_what_was_measured_on_unseen_speakers_and_each_corpus(quick):
    scored = bundle.contract.UnseenScore(
        "loso", 90, 0.6, 0.5, n_folds=9, uar_ci95=(0.4, 0.6), per_emotion={"anger": 0.75, "fear": 0.25, "neutral": None}
    )
    both = msgspec.structs.replace(
        quick[0], synthetic=False, corpora=("emodb", "ravdess", "mine-alone"), speaker_independent=scored
    )
    card = bundle.card(both)
    assert "on unseen speakers | UAR 0.500 (95 % interval 0.400 to 0.600; loso, 90 utterances)" in card
    assert "It recognises fear least (0.250; chance 0.143)" in card
    assert "neutral |" not in card
    for fact in ("Berlin Database of Emotional Speech", "deu", "CC0-1.0", "listeners recognise | 0.935", "CC BY-NC-SA"):
        assert fact in card
    few = bundle.card(msgspec.structs.replace(both, speaker_independent=msgspec.structs.replace(scored, uar_ci95=None)))
    assert "UAR 0.500 (too few speakers for an interval; loso, 90 utterances)" in few
    expected = "50 % of each emotion on average in unseen speakers (UAR 0.50, 95 % interval 0.40 to 0.60; chance 0.14)"
    assert expected in bundle.trust(both)
    assert "unknown" in bundle.trust(quick[0])


def test_a_bundle_takes_the_score_of_its_own_task_alone(copied, emodb, workplace):
    own = evaluate.run(emodb, protocol="loso", recipe=QUICK)
    scored = bundle.write_score(copied, own).speaker_independent
    assert (scored.protocol, scored.n_folds, scored.n) == ("loso", 7, 280)
    assert "not measured yet" not in (copied / "MODEL_CARD.md").read_text()
    relabelled = emodb.assign(emotion=emodb["emotion"].replace("boredom", "calm"))
    four = emodb[emodb["emotion"].isin(["anger", "fear", "neutral", "sadness"])]
    for table in (relabelled, four, emodb[emodb["speaker"] != "emodb/03"]):
        other = evaluate.run(table, recipe=QUICK)
        with pytest.raises(ValueError, match=r"trained on another task .*\(7 emotions of emodb in the bundle\)"):
            bundle.write_score(copied, other)
    with pytest.raises(ValueError, match="random does not keep speakers apart"):
        bundle.write_score(copied, evaluate.run(emodb, protocol="random", recipe=QUICK))
    with pytest.raises(ValueError, match=r"speakers-normalised: a bundle predicts .* one by one"):
        bundle.write_score(copied, evaluate.run(emodb, normalise="speaker", recipe=QUICK))
    with pytest.raises(ValueError, match="the bundle is of mfcc-mean\\+logistic; the evaluation has other settings"):
        bundle.write_score(copied, evaluate.run(emodb, recipe=recipes.get("mfcc-mean+lda")))
    assert bundle.read(copied).speaker_independent == scored
    results.write(own, workplace / "own.csv")  # the task does not depend on the route
    csv = workplace / "again.csv"
    index.write(emodb, csv)
    assert results.read(workplace / "own.csv").about["task"] == index.fingerprint(index.read(csv)) == quick_task(copied)


def quick_task(folder):
    return bundle.read(folder).task


def test_a_bundle_is_replaced_but_nothing_else_is(copied, emodb, tmp_path):
    bundle.train(emodb, recipe=QUICK, folder=copied, seed=7)
    assert bundle.read(copied).seed == 7
    assert [folder.name for folder in copied.parent.iterdir()] == ["b"]
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ValueError, match="thesis exists and is not a bundle; nothing was written"):
        bundle.train(emodb, recipe=QUICK, folder=tmp_path / "thesis")
    (copied / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds 'notes.txt', which is no part of a bundle"):
        bundle.train(emodb, recipe=QUICK, folder=copied)


def test_a_bundle_whose_replacement_fails_is_the_old_one(copied, emodb, monkeypatch):
    before = bundle.read(copied)
    replace = Path.replace

    def fail(path, target):
        if Path(target) == copied:
            raise OSError("no space left")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            bundle.train(emodb, recipe=QUICK, folder=copied, seed=7)
    assert bundle.read(copied) == before
    assert [folder.name for folder in copied.parent.iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "its format is 2, not 3; train the model again"),
        ({"novelty": {"threshold": 1.0}}, r"required field `n_features` - at `\$.novelty`"),
        ({"emotions": ["fear", "anger", "neutral"]}, "not in the vocabulary's order"),
        ({"emotions": ["anger", "fear", "happy"]}, "an emotion is 'happy'; expected 'happiness'"),
        ({"emotions": ["anger", "fear"]}, "it has 7 probabilities for 2 emotions"),
        ({"features": {"kind": "mfcc-mean", "hop": 1}}, "have no setting 'hop'"),
        ({"features": {"kind": "os.system"}}, "features of the kind 'os.system' are unknown"),
        ({"features": {"kind": "mfcc-mean", "hop_length": 1, "n_fft": 65536}}, "numbers a second, more than any"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"score": {"protocol": "random", "n": 1, "accuracy": 2, "uar": 0}}, r"<= 1.* - at `\$.score.accuracy`"),
        ({"speakers": [3]}, r"got `int` - at `\$.speakers\[0\]`"),
        ({"onnx_sha256": "0" * 64}, "model.onnx was altered or damaged"),
    ],
)
def test_a_damaged_contract_is_refused_with_the_reason(copied, changes, message):
    edit(copied, **changes)
    with pytest.raises(ValueError, match=message):
        predict.Predictor(copied)


def test_a_contract_that_is_no_json_is_refused(copied):
    (copied / "bundle.json").write_text('{"format": 3,')
    with pytest.raises(ValueError, match="has a contract that cannot be used"):
        bundle.read(copied)


def test_other_features_fail_the_self_test(copied):
    fields = json.loads((copied / "bundle.json").read_text())["features"]
    edit(copied, features=fields | {"hop_length": 512})
    with pytest.raises(ValueError, match="the bundle of emodb fails its self-test"):
        predict.Predictor(copied)


def test_a_missing_part_is_named(copied):
    (copied / "model.onnx").unlink()
    with pytest.raises(ValueError, match=r"model.onnx is missing"):
        bundle.read(copied)
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a bundle \(no bundle.json\)"):
        bundle.read(copied.parent / "nowhere")


def strange(change):
    """A small ONNX model with something in it that none of ours has."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 50])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 50])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [given], [answer])
    model = helper.make_model(graph)
    change(model)
    return model.SerializeToString()


def loop(model):
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["x"], ["z"], body=body))


def elsewhere(model):
    weights = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[1])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (loop, "Loop"),
        (elsewhere, "weights in another file"),
        (lambda model: model.functions.add(name="f"), "functions"),
        (lambda model: model.opset_import.add(domain="evil", version=1), "operators of 'evil'"),
        (lambda model: model.graph.node.add(op_type="Gelu", domain="com.microsoft"), "Gelu of 'com.microsoft'"),
        (lambda model: [model.graph.node.add(op_type="Relu") for _ in range(1001)], "too many operators"),
    ],
)
def test_a_strangers_model_is_a_bounded_list_of_standard_operators(change, found):
    predict.refuse_strange_model(strange(lambda model: None))
    with pytest.raises(ValueError, match=f"it has .{found}"):
        predict.refuse_strange_model(strange(change))


def test_a_strange_model_whose_checksum_is_right_is_refused_in_one_line(copied):
    (copied / "model.onnx").write_bytes(strange(loop))
    edit(copied, onnx_sha256=storage.hashlib.sha256((copied / "model.onnx").read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"model.onnx is not a model of this recipe \(it has 'Loop'"):
        predict.Predictor(copied)


def test_the_distance_is_mahalanobis_under_probabilistic_pca():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) * [1, 10, 100, 0.1, 1, 1] + 5).astype(np.float32)
    detector = bundle.NoveltyDetector.fit(X, ["a", "b"] * 150)
    from sklearn.decomposition import PCA

    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    covariance = PCA(5).fit(Z).get_covariance()
    expected = [scipy.spatial.distance.mahalanobis(z, np.zeros(6), np.linalg.inv(covariance)) / 6**0.5 for z in Z[:20]]
    np.testing.assert_allclose(detector.distance(X[:20]), expected, rtol=1e-3)


def test_sequences_are_judged_by_their_mean_over_time():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 9, 5)).astype(np.float32)
    sequences, means = (bundle.NoveltyDetector.fit(x, ["a", "b"] * 30) for x in (X, X.mean(axis=1)))
    assert sequences == means
    np.testing.assert_allclose(sequences.distance(X), means.distance(X.mean(axis=1)), rtol=1e-5)


def test_the_threshold_lets_nearly_all_of_left_out_speakers_pass():
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"s{number}" for number in range(40)], 25)
    voices = np.repeat(rng.normal(size=(40, 6)), 25, axis=0)
    X = (voices + 0.3 * rng.normal(size=(1000, 6))).astype(np.float32)
    known, unseen = speakers < "s3", speakers >= "s3"
    detector = bundle.NoveltyDetector.fit(X[known], speakers[known])
    passed = np.mean(detector.distance(X[unseen]) <= detector.threshold)
    assert 0.85 < passed < 1
    by_utterance = bundle.NoveltyDetector.fit(X[known], ["one"] * known.sum())  # voices are known then: too narrow
    assert by_utterance.threshold < detector.threshold
    assert (detector.distance(X[unseen] + 10) > detector.threshold).all()


@pytest.mark.parametrize("shape", [(3, 5), (2, 5), (40, 3000)])
def test_novelty_is_learned_from_few_from_constant_and_from_long_vectors(shape):
    for X in (np.zeros(shape, np.float32), np.random.default_rng(0).normal(size=shape).astype(np.float32)):
        detector = bundle.NoveltyDetector.fit(X, ["a", "b", "b", "a"][: len(X)] * (len(X) // min(4, len(X))))
        detector.check(shape[1])
        again = msgspec.json.decode(msgspec.json.encode(detector), type=bundle.NoveltyDetector)
        assert again == detector
        assert np.isfinite(detector.distance(X + 1)).all()


def test_bundles_at_hand_are_those_that_can_be_used(copied, monkeypatch, workplace):
    models_folder = workplace / "build" / "tiny" / "models"
    models_folder.parent.mkdir(parents=True)
    models_folder.symlink_to(copied.parent)
    usable, unusable = bundle.at_hand()
    own = str(Path("build/tiny/models/b"))
    assert list(usable) == ["emodb-paper", "strangers", own]
    assert usable["emodb-paper"] == bundle.SHIPPED / "emodb-paper"
    assert unusable == {}
    edit(copied, format=2)
    usable, unusable = bundle.at_hand()
    assert list(usable) == ["emodb-paper", "strangers"]
    assert "its format is 2, not 3; train the model again" in unusable[own]


def test_a_folder_comes_before_a_bundle_that_is_shipped(workplace):
    assert bundle.find("emodb-paper") == bundle.SHIPPED / "emodb-paper"
    (workplace / "emodb-paper").mkdir()
    assert bundle.find("emodb-paper") == Path("emodb-paper")
    with pytest.raises(
        FileNotFoundError, match=r"emodb-peper is not a bundle .*comes with serlib \(emodb-paper, strangers\)"
    ):
        bundle.read(bundle.find("emodb-peper"))


def test_a_bundle_of_two_corpora_names_both(made, tmp_path):
    tables = [index.scan(made[name], name) for name in ("emovo", "tess")]
    written, _, folder = bundle.train(index.join(tables), recipe=QUICK, folder=tmp_path / "b")
    assert written.corpora == ("emovo", "tess")
    assert written.corpus == "emovo+tess"
    assert len(written.speakers) == 8
    assert "emovo+tess" in (folder / "MODEL_CARD.md").read_text()
    parts = split.from_parts(index.join(tables))
    assert written.score.n == (parts.table["fold"] == 0).sum()


# For other programs


@pytest.mark.parametrize("form", ["onnx", "keras", "litert"])
def test_an_exported_network_answers_as_its_bundle(form, tmp_path):
    file = export.export("emodb-paper", form, tmp_path / f"mine{export.SUFFIXES[form]}")
    X = np.random.default_rng(0).normal(scale=20, size=(1, 50)).astype(np.float32)
    expected = predict.Predictor("emodb-paper").probabilities(X)
    if form == "onnx":
        session = onnxruntime.InferenceSession(file)
        said = session.run(None, {session.get_inputs()[0].name: X[..., None]})[0]
    elif form == "keras":
        said = models.load_network(file).predict(X[..., None], verbose=0)
    else:
        said = models.run_litert(file.read_bytes(), X)
    np.testing.assert_allclose(said, expected, atol=1e-5)


def test_a_linear_model_is_exported_as_onnx_alone(calibratable, tmp_path):
    model, predictor, folder = calibratable
    session = onnxruntime.InferenceSession(export.export(folder, "onnx", tmp_path / "mine.onnx"))
    X = np.random.default_rng(0).normal(scale=20, size=(3, 50)).astype(np.float32)
    np.testing.assert_allclose(
        session.run(None, {session.get_inputs()[0].name: X})[0], model.predict_proba(X), atol=1e-5
    )
    assert f"the probabilities of {', '.join(predictor.contract.emotions)}." in (folder / "MODEL_CARD.md").read_text()
    with pytest.raises(ValueError, match="holds a Pipeline, which Keras does not know; expected a network. Export it"):
        export.export(folder, "litert", tmp_path / "mine.tflite")


def test_what_cannot_be_exported_is_said_and_nothing_is_written(tmp_path):
    folder = shutil.copytree(bundle.find("emodb-paper"), tmp_path / "b")
    for form, name, message in (
        ("tflite", "mine.tflite", "format 'tflite' is unknown; use one of onnx, keras, litert"),
        ("onnx", "mine.bin", "mine.bin does not end in .onnx, as onnx does; name the file so"),
    ):
        with pytest.raises(ValueError, match=message):
            export.export(folder, form, tmp_path / name)
    network = models.load_network(folder / "model.keras")
    network.layers[-1].bias.assign(network.layers[-1].bias + np.arange(7))
    network.save(folder / "model.keras")
    with pytest.raises(ValueError, match="fails its self-test"):
        export.export(folder, "litert", tmp_path / "mine.tflite")
    (folder / "model.keras").write_bytes(b"no network")
    with pytest.raises(ValueError, match="model.keras is no network that Keras reads"):
        export.export(folder, "keras", tmp_path / "mine.keras")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_bundle_is_loaded_if_it_is_of_the_same_task_and_settings_and_else_trained_again(emodb, workplace):
    folder = bundle.load_or_train(emodb, recipe=QUICK)

    def is_made_again(table=emodb, recipe=QUICK):
        before = (folder / "bundle.json").stat().st_mtime_ns
        assert bundle.load_or_train(table, recipe=recipe) == folder
        return (folder / "bundle.json").stat().st_mtime_ns != before

    assert not is_made_again()
    assert is_made_again(recipe=Recipe(QUICK.name, QUICK.features, models.get("lda")))
    assert is_made_again()
    assert is_made_again(table=emodb.drop(emodb.index[0]))
    assert is_made_again()
    (folder / "bundle.json").write_text("{}")
    assert is_made_again()
    assert not is_made_again()
