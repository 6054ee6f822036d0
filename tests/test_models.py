import subprocess
import sys

import keras
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

import soft_labels
from serlib import bundle, models, recipes

EMOTIONS = ("anger", "fear", "neutral")
PAPER = recipes.get("paper").model.set_params(random_state=0)
SHORT = clone(PAPER).set_params(epochs=3)
VECTORS = [name for name in models.NAMES if name != "attention-cnn"]


@pytest.fixture(scope="module")
def learnable():
    """Vectors whose emotion can be learned: X (90, 50), y."""
    rng = np.random.default_rng(0)
    y = np.repeat(EMOTIONS, 30)
    X = rng.normal(size=(90, 50)).astype(np.float32)
    X[:, :3] += 4 * (y[:, None] == np.array(EMOTIONS))
    return 10 * X, y


def small(name, **parameters):
    """A named classifier that is quick to fit."""
    model = models.seeded(models.get(name), 0)
    if models.has_epochs(model):
        model.set_params(epochs=60, learning_rate=1e-3)
    return model.set_params(**parameters)


@pytest.mark.parametrize("n_emotions", [2, 7, 8])
def test_paper_has_the_published_layers(n_emotions):
    network = PAPER.build((50,), n_emotions)
    shapes = [network.input_shape[1:]] + [layer.output.shape[1:] for layer in network.layers]
    assert shapes == [
        *((50, 1), (50, 8), (50, 16), (25, 16), (25, 32), (13, 32), (13, 32)),  # the last is dropout
        *((416,), (128,), (n_emotions,)),
    ]
    assert network.count_params() == 48 + 656 + 2592 + (416 + 1) * 128 + (128 + 1) * n_emotions
    config = network.get_layer("conv_1").get_config()
    assert (config["activation"], config["strides"], config["padding"]) == ("relu", (1,), "same")
    assert isinstance(network.optimizer, keras.optimizers.Adam)
    assert float(network.optimizer.learning_rate) == pytest.approx(1e-4)


def test_original_2021_has_as_many_parameters_as_the_published_model():
    assert recipes.get("original-2021").model.build((50,), 7).count_params() == 53479
    assert recipes.get("original-2021").model.build((50,), 6).count_params() == 53350


def reference_history(model, X, y, n_epochs, weights=None):
    """Let Keras's own fit take the same steps: same weights, same order of batches."""
    network = model.build((50,), len(EMOTIONS))
    Y = np.eye(3, dtype=np.float32)[[EMOTIONS.index(emotion) for emotion in y]]
    rng, losses = np.random.default_rng(model.random_state), []
    for _ in range(n_epochs):
        order = rng.permutation(len(X)) if model.shuffle else np.arange(len(X))
        how = {} if weights is None else {"sample_weight": weights[order]}
        done = network.fit(X[order][..., None], Y[order], batch_size=32, epochs=1, shuffle=False, verbose=0, **how)
        losses.append((done.history["loss"][0], done.history["accuracy"][0]))
    return network, np.array(losses)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_the_loop_takes_the_steps_of_keras_fit(learnable, name):
    X, y = learnable
    n_epochs = 34  # of three batches: a hundred steps
    model = clone(recipes.get(name).model).set_params(dropout=0.0, epochs=n_epochs, random_state=1)
    expected_network, expected = reference_history(model, X, y, n_epochs)
    model.fit(X, y)
    np.testing.assert_allclose(model.history_["loss"], expected[:, 0], atol=1e-4)
    np.testing.assert_allclose(model.history_["accuracy"], expected[:, 1], atol=1e-6)
    for ours, theirs in zip(model.network_.weights, expected_network.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_weights_of_utterances_are_those_of_keras_fit(learnable):
    X, y = learnable
    kept = np.r_[0:5, 30:90]
    model = clone(SHORT).set_params(dropout=0.0, class_weight="balanced", epochs=8).fit(X[kept], y[kept])
    balanced = 65 / (3 * np.array([5, 30, 30]))
    weights = balanced[[EMOTIONS.index(emotion) for emotion in y[kept]]]
    network, _ = reference_history(model, X[kept], y[kept], 8, weights)
    for ours, theirs in zip(model.network_.weights, network.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    twice = clone(model).set_params(class_weight=None).fit(X[kept], y[kept], sample_weight=weights)
    np.testing.assert_array_equal(twice.predict_proba(X), model.predict_proba(X))


def test_validation_is_scored_as_keras_evaluates_and_what_was_never_trained_on_is_left_out(learnable):
    X, y = learnable
    model = clone(SHORT).fit(X[::2], y[::2], (X[1::2], y[1::2]))
    Y = np.eye(3)[[EMOTIONS.index(emotion) for emotion in y[1::2]]]
    loss, accuracy = model.network_.evaluate(X[1::2][..., None], Y, verbose=0)
    assert model.history_["val_loss"].iloc[-1] == pytest.approx(loss, abs=1e-5)
    assert model.history_["val_accuracy"].iloc[-1] == pytest.approx(accuracy, abs=1e-6)
    few = clone(SHORT).fit(X[:60], y[:60], (X[50:70], y[50:70]))
    assert list(few.classes_) == ["anger", "fear"]
    without = clone(SHORT).fit(X[:60], y[:60], (X[50:60], y[50:60]))
    np.testing.assert_array_equal(few.history_["val_loss"], without.history_["val_loss"])


def test_training_ends_where_it_is_told_to_and_keeps_what_was_learned(learnable):
    X, y = learnable
    told = []

    def stop(model, scores):
        told.append((scores["epoch"], sorted(scores)))
        return scores["epoch"] == 2

    stopped = clone(SHORT).fit(X, y, (X, y), on_epoch=stop)
    names = ["accuracy", "epoch", "loss", "val_accuracy", "val_loss"]
    assert told == [(1, names), (2, names)]
    two = clone(SHORT).set_params(epochs=2).fit(X, y)
    np.testing.assert_array_equal(stopped.predict_proba(X), two.predict_proba(X))


def test_dropout_handicaps_training_but_not_the_score(learnable):
    X, y = learnable
    dry, wet = (clone(SHORT).set_params(dropout=rate).fit(X, y) for rate in (0.0, 0.9))
    assert wet.history_["loss"][0] > 1.2 * dry.history_["loss"][0]
    np.testing.assert_array_equal(wet.predict_proba(X), wet.predict_proba(X))


def test_the_same_seed_gives_the_same_model_and_another_another(learnable):
    X, y = learnable
    five, again, six = (clone(SHORT).set_params(random_state=seed).fit(X, y).predict_proba(X) for seed in (5, 5, 6))
    np.testing.assert_array_equal(five, again)
    assert np.abs(five - six).max() > 0.001


@pytest.mark.parametrize("name", models.NAMES)
def test_each_named_classifier_learns_and_its_export_answers_as_it_does(name, learnable):
    X, y = learnable
    if name == "attention-cnn":
        X = np.repeat(X[:, None, :16], 40, axis=1) + np.random.default_rng(0).normal(size=(90, 40, 16)).astype("f4")
    model = small(name).fit(X[::2], y[::2])
    p = model.predict_proba(X[1::2])
    assert list(model.classes_) == list(EMOTIONS)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert (model.predict(X[1::2]) == y[1::2]).mean() > 0.7  # guessing: 0.33
    session = onnxruntime.InferenceSession(bundle.to_onnx(model, X.shape[1:]), providers=["CPUExecutionProvider"])
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    X = X[1::2].reshape(-1, *given.shape[1:]).astype(np.float32)
    np.testing.assert_allclose(session.run([answer.name], {given.name: X})[0], p, atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_support_vectors_decide_as_scikit_learns_and_are_as_sure_as_they_are_right(n_classes):
    X, y = make_blobs(1200, n_features=8, centers=n_classes, cluster_std=8.0, random_state=2)
    y = np.array(["anger", "fear", "neutral", "sadness"])[y]
    theirs = LinearSVC(C=0.01, max_iter=5000, random_state=0).fit(X[::2], y[::2])
    ours = models.Svm(random_state=0).fit(X[::2], y[::2])
    assert (ours.predict(X) == theirs.predict(X)).all()
    p = ours.predict_proba(X[1::2])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    is_right = ours.predict(X[1::2]) == y[1::2]
    assert 0.4 < is_right.mean() < 0.95
    assert p.max(axis=1).mean() == pytest.approx(is_right.mean(), abs=0.05)


def test_support_vectors_learn_an_emotion_that_is_there_once():
    model = models.Svm().fit(np.eye(5), np.array(["fear", "fear", "anger", "anger", "sadness"]))
    assert list(model.classes_) == ["anger", "fear", "sadness"]
    assert model.predict_proba(np.eye(5)).shape == (5, 3)


@pytest.mark.parametrize("name", models.NAMES)
def test_balance_raises_the_recall_of_a_rare_emotion(name):
    X, y = make_blobs([300, 25], n_features=6, centers=[[0] * 6, [1.1] * 6], cluster_std=1.0, random_state=1)
    X, y = X.astype(np.float32), np.array(["fear", "anger"])[y]
    if name == "attention-cnn":
        X = np.repeat(X[:, None], 16, axis=1)
    extra = {"max_depth": 3} if name == "forest" else {}
    recalls = []
    for model in (small(name, **extra), models.balanced(small(name, **extra))):
        predicted = model.fit(X[::2], y[::2]).predict(X[1::2])
        recalls.append(recall_score(y[1::2], predicted, pos_label="anger"))
    assert recalls[1] > recalls[0]


def test_what_cannot_be_balanced_or_has_no_epochs_is_refused():
    with pytest.raises(ValueError, match="KNeighborsClassifier has no class_weight"):
        models.balanced(KNeighborsClassifier())
    with pytest.raises(ValueError, match="LogisticRegression does not learn in epochs"):
        models.with_epochs(LogisticRegression(), 3)
    assert models.with_epochs(PAPER, 7).epochs == 7
    with pytest.raises(ValueError, match="classifier 'svn' is unknown; use one of logistic, lda, svm"):
        models.get("svn")


def test_spec_augment_hides_a_stretch_of_frames_and_of_bands_in_training_alone():
    tf = models.network.tensorflow()
    model = models.AttentionCnn(mask_frames=5, mask_bands=3)
    X = np.random.default_rng(0).normal(size=(200, 20, 10)).astype(np.float32)
    model._prepare(X)
    network = model.build(X.shape[1:], 2)
    augmented = np.asarray(model._augment(tf, network, tf.constant(X), tf.random.Generator.from_seed(1)))
    is_hidden = np.isclose(augmented, model.mean_) & ~np.isclose(X, model.mean_)
    n_frames, n_bands = is_hidden.all(axis=2).sum(axis=1), is_hidden.all(axis=1).sum(axis=1)
    assert set(n_frames) == set(range(6))
    assert set(n_bands) == set(range(4))
    kept = ~is_hidden
    np.testing.assert_array_equal(augmented[kept], X[kept])


@pytest.mark.parametrize("model", [SHORT, models.AttentionCnn(epochs=2, random_state=0)], ids=["cnn", "attention-cnn"])
def test_a_training_with_compiled_steps_of_another_is_as_one_with_its_own(learnable, model):
    X, y = learnable
    X = X if model.n_dims == 1 else np.repeat(X[:, None, :20], 16, axis=1)
    alone = []
    for rows in (slice(None), slice(10, None)):
        models.network._IDLE_LOOPS.clear()
        alone.append(clone(model).fit(X[rows], y[rows], validation=(X[:9], y[:9])))
    (loop,) = models.network._IDLE_LOOPS.values()
    first = clone(model).fit(X, y, validation=(X[:9], y[:9]))
    assert list(models.network._IDLE_LOOPS.values()) == [loop], "the steps are compiled once"
    second = clone(model).fit(X[10:], y[10:], validation=(X[:9], y[:9]))
    for ours, theirs in zip((first, second), alone, strict=True):
        np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
        assert ours.history_.equals(theirs.history_)


def test_a_class_that_is_written_again_under_its_name_has_steps_of_its_own(learnable):
    X, y = learnable
    sizes = []
    for width in (3, 5):  # as a cell of a notebook that is changed and run again

        class Mine(models.Cnn1d):
            WIDTH = width

            def _build(self, keras, shape, n_classes, seed):
                layers = [keras.layers.Input((*shape, 1)), keras.layers.Flatten(), keras.layers.Dense(self.WIDTH)]
                return keras.Sequential([*layers, keras.layers.Dense(n_classes, activation="softmax")])

        sizes.append(Mine(epochs=1, random_state=0).fit(X, y).network_.layers[1].units)
    assert sizes == [3, 5]


def test_two_trainings_at_once_do_not_share_their_steps(learnable):
    X, y = learnable
    expected = clone(SHORT).fit(X, y).predict_proba(X)  # and its steps are kept
    inner = []

    def train_another(model, scores):
        if not inner:
            inner.append(clone(SHORT).fit(-X, y))

    outer = clone(SHORT).fit(X, y, on_epoch=train_another)
    np.testing.assert_array_equal(outer.predict_proba(X), expected)
    np.testing.assert_array_equal(inner[0].predict_proba(X), clone(SHORT).fit(-X, y).predict_proba(X))


def test_something_is_learned(learnable):
    X, y = learnable
    model = clone(PAPER).set_params(epochs=60).fit(X, y)
    assert list(model.history_["epoch"]) == list(range(1, 61))
    assert model.history_["loss"].iloc[-1] < model.history_["loss"].iloc[0] / 3
    assert (model.predict(X) == y).mean() > 0.9


def test_what_cannot_be_trained_on_is_refused(learnable):
    X, y = learnable
    with pytest.raises(ValueError, match="need at least 2 emotions, got 1"):
        clone(SHORT).fit(X[:30], y[:30])
    with pytest.raises(ValueError, match="no utterance to train on"):
        clone(SHORT).fit(X[:0], y[:0])
    with pytest.raises(ValueError, match=r"Cnn1d got features of shape \(3, 50\); expected a vector"):
        clone(SHORT).fit(X.reshape(30, 3, 50), y[::3])
    with pytest.raises(ValueError, match=r"AttentionCnn got features of shape \(50,\); expected \(n_frames"):
        models.AttentionCnn().fit(X, y)


def test_a_program_that_used_tensorflow_before_can_go_on():
    code = "import tensorflow as tf; tf.constant(1) + 1; from serlib import recipes;"
    code += "print(recipes.get('paper').model.build((50,), 7).count_params())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().isdecimal(), done.stderr


def test_votes_teach_as_utterances_that_are_repeated_do():
    model, emotions = recipes.get("whisper+logistic").model, pd.Index(["anger", "fear", "sadness"])
    X, y = make_blobs(60, n_features=4, centers=3, random_state=1)
    votes = np.eye(3)[y] * 3 + np.random.default_rng(1).integers(0, 3, (60, 3))
    repeated = np.repeat(np.arange(60), votes.sum(axis=1).astype(int))
    said = np.concatenate([np.repeat(emotions, row.astype(int)) for row in votes])
    expected = clone(model).fit(X[repeated], said).predict_proba(X)
    np.testing.assert_allclose(soft_labels.trained(model, X, votes, emotions).predict_proba(X), expected, atol=1e-3)
    one_each = np.ones((60, 3)) / 3
    assert soft_labels.trained(model, X, one_each, emotions).predict_proba(X) == pytest.approx(1 / 3, abs=0.01)
