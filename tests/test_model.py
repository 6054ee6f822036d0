import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.spatial

from serlib import model
from serlib.settings import RECIPES

PAPER = RECIPES["paper"]
EMOTIONS = ("anger", "fear", "neutral")
SHORT = dataclasses.replace(PAPER, training=dataclasses.replace(PAPER.training, epochs=3))


@pytest.fixture(scope="module")
def learnable():
    """Vectors whose emotion can be learned: X (90, 50), y."""
    rng = np.random.default_rng(0)
    y = np.repeat(EMOTIONS, 30)
    X = rng.normal(size=(90, 50)).astype(np.float32)
    X[:, :3] += 4 * (y[:, None] == np.array(EMOTIONS))
    return 10 * X, y


@pytest.mark.parametrize("n_emotions", [2, 7, 8])
def test_paper_has_the_published_layers(n_emotions):
    network = model.build(PAPER, n_emotions)
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
    assert model.build(RECIPES["original-2021"], 7).count_params() == 53479
    assert model.build(RECIPES["original-2021"], 6).count_params() == 53350


def reference_history(recipe, X, y, n_steps_epochs):
    """Let Keras's own fit take the same steps: same weights, same order of batches."""
    network = model.build(recipe, len(EMOTIONS), seed=1)
    Y = np.eye(3, dtype=np.float32)[[EMOTIONS.index(emotion) for emotion in y]]
    rng, losses = np.random.default_rng(1), []
    for _ in range(n_steps_epochs):
        order = rng.permutation(len(X)) if recipe.training.shuffle else np.arange(len(X))
        done = network.fit(X[order][..., None], Y[order], batch_size=32, epochs=1, shuffle=False, verbose=0)
        losses.append((done.history["loss"][0], done.history["accuracy"][0]))
    return network, np.array(losses)


@pytest.mark.parametrize("name", RECIPES)
def test_the_loop_takes_the_steps_of_keras_fit(learnable, name):
    X, y = learnable
    recipe = dataclasses.replace(RECIPES[name], model=dataclasses.replace(RECIPES[name].model, dropout=0.0))
    n_epochs = 34  # of three batches: a hundred steps
    expected_network, expected = reference_history(recipe, X, y, n_epochs)
    network, history = model.fit(recipe, X, y, emotions=EMOTIONS, epochs=n_epochs, seed=1)
    np.testing.assert_allclose(history["loss"], expected[:, 0], atol=1e-4)
    np.testing.assert_allclose(history["accuracy"], expected[:, 1], atol=1e-6)
    for ours, theirs in zip(network.weights, expected_network.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping_stops_where_keras_fit_does(learnable, restore):
    X, y = learnable
    recipe = dataclasses.replace(RECIPES["original-2021"], training=dataclasses.replace(SHORT.training, shuffle=False))
    recipe = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, learning_rate=0.02))

    def stopping():
        return keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=restore)

    expected = model.build(recipe, len(EMOTIONS))
    Y = np.eye(3, dtype=np.float32)[[EMOTIONS.index(emotion) for emotion in y]]
    held_out, kept = np.arange(90) % 4 == 0, np.arange(90) % 4 > 0
    done = expected.fit(
        X[kept][..., None], Y[kept], epochs=60, shuffle=False, verbose=0, callbacks=[stopping()],
        validation_data=(X[held_out][..., None], Y[held_out]),
    )  # fmt: skip
    network, history = model.fit(
        recipe, X[kept], y[kept], emotions=EMOTIONS, validation=(X[held_out], y[held_out]), epochs=60,
        callbacks=[stopping()],
    )  # fmt: skip
    assert len(history) == len(done.history["loss"]) < 60
    np.testing.assert_allclose(history["val_loss"], done.history["val_loss"], atol=1e-3)
    for ours, theirs in zip(network.weights, expected.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_callback_is_told_what_keras_would_tell_it(learnable):
    X, y = learnable
    told = []
    watcher = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: told.append("begin"),
        on_epoch_end=lambda epoch, logs: told.append((epoch, sorted(logs))),
        on_train_end=lambda logs: told.append("end"),
    )
    model.fit(SHORT, X, y, emotions=EMOTIONS, epochs=1, callbacks=[watcher])
    model.fit(SHORT, X, y, emotions=EMOTIONS, epochs=1, callbacks=[watcher], validation=(X, y))
    with_validation = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert told == ["begin", (0, ["accuracy", "loss"]), "end", "begin", (0, with_validation), "end"]


def test_dropout_handicaps_training_but_not_the_score(learnable):
    X, y = learnable
    dry, wet = (
        dataclasses.replace(SHORT, model=dataclasses.replace(SHORT.model, dropout=rate), name=f"dropout-{rate}")
        for rate in (0.0, 0.9)
    )
    (_, without), (network, with_dropout) = (model.fit(recipe, X, y, emotions=EMOTIONS) for recipe in (dry, wet))
    assert with_dropout["loss"][0] > 1.2 * without["loss"][0]
    np.testing.assert_array_equal(model.probabilities(network, X), model.probabilities(network, X))


def test_validation_is_scored_as_keras_evaluates(learnable):
    X, y = learnable
    network, history = model.fit(SHORT, X[::2], y[::2], emotions=EMOTIONS, validation=(X[1::2], y[1::2]))
    Y = np.eye(3)[[EMOTIONS.index(emotion) for emotion in y[1::2]]]
    loss, accuracy = network.evaluate(X[1::2][..., None], Y, verbose=0)
    assert history["val_loss"].iloc[-1] == pytest.approx(loss, abs=1e-5)
    assert history["val_accuracy"].iloc[-1] == pytest.approx(accuracy, abs=1e-6)


def test_the_same_seed_gives_the_same_model_and_another_another(learnable):
    X, y = learnable
    weights = [
        np.concatenate([np.ravel(w) for w in model.fit(SHORT, X, y, emotions=EMOTIONS, seed=seed)[0].get_weights()])
        for seed in (5, 5, 6)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 0.01


@pytest.mark.parametrize("recipe", [PAPER, RECIPES["original-2021"]], ids=lambda recipe: recipe.name)
def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(learnable, tmp_path, monkeypatch, recipe):
    X, y = learnable
    monkeypatch.setattr(model, "KEPT_EVERY", 2)

    def stop(network, epoch, scores):
        if epoch == 5:
            raise KeyboardInterrupt

    how = {"emotions": EMOTIONS, "validation": (X[::3], y[::3]), "epochs": 7}
    expected, unbroken = model.fit(recipe, X, y, **how)
    with pytest.raises(KeyboardInterrupt):
        model.fit(recipe, X, y, **how, partial=tmp_path / "b.partial", callbacks=[model.after_epoch(stop)])
    told = []
    watcher = model.after_epoch(lambda network, epoch, scores: told.append(epoch))
    network, history = model.fit(recipe, X, y, **how, partial=tmp_path / "b.partial", callbacks=[watcher])
    assert told == [5, 6, 7]
    pd.testing.assert_frame_equal(history, unbroken, check_exact=True)
    for ours, theirs in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with np.load(tmp_path / "b.partial" / "state.npz", allow_pickle=False) as state:
        assert len(state["rows"]) == 6
    model.forget(tmp_path / "b.partial")
    assert list(tmp_path.iterdir()) == []


def test_a_training_of_another_kind_is_not_gone_on_with(learnable, tmp_path, monkeypatch):
    X, y = learnable
    monkeypatch.setattr(model, "KEPT_EVERY", 1)
    how = {"emotions": EMOTIONS, "partial": tmp_path, "epochs": 2}
    model.fit(SHORT, X, y, **how)
    validation = (X[:9], y[:9])
    for recipe, X_other, other in (
        (SHORT, X, {"seed": 1}),
        (SHORT, X + 1, {}),
        (SHORT, X, {"validation": validation}),
        (RECIPES["original-2021"], X, {}),
    ):
        with pytest.raises(ValueError, match=r"on other data, or with another recipe or seed; train without --resume"):
            model.fit(recipe, X_other, y, **how | other)
    with pytest.raises(ValueError, match="is a training of 2 epochs; expected at most 1; train without --resume"):
        model.fit(SHORT, X, y, **how | {"epochs": 1})
    assert len(model.fit(SHORT, X, y, **how | {"epochs": 3})[1]) == 3
    for damaged in (b"", b"PK half", (tmp_path / "state.npz").read_bytes()[:-500]):
        (tmp_path / "state.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match="is no training that can be gone on with .*; train without --resume"):
            model.fit(SHORT, X, y, **how)


def test_something_is_learned(learnable):
    X, y = learnable
    network, history = model.fit(PAPER, X, y, emotions=EMOTIONS, epochs=60)
    assert list(history["epoch"]) == list(range(1, 61))
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 3
    said = model.probabilities(network, X)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    assert (np.array(EMOTIONS)[said.argmax(axis=1)] == y).mean() > 0.9


def test_what_cannot_be_trained_on_is_refused(learnable):
    X, y = learnable
    with pytest.raises(ValueError, match=r"emotions \['neutral'\] are no outputs of this model; expected anger, fear"):
        model.fit(SHORT, X, y, emotions=EMOTIONS[:2])
    with pytest.raises(ValueError, match="no utterance to train on"):
        model.fit(SHORT, X[:0], y[:0], emotions=EMOTIONS)


@pytest.fixture
def contract():
    return model.Bundle(
        corpus="emodb",
        synthetic=True,
        emotions=EMOTIONS,
        recipe=SHORT,
        epochs=3,
        seed=42,
        split={"protocol": "random", "seed": 42, "n_train": 81, "n_test": 0, "n_validation": 9, "validation": "x"},
        speakers=("emodb/03",),
        score={"protocol": "random", "n": 9, "accuracy": 0.5, "uar": 0.4},
        familiar=model.Familiar.learn(np.eye(50, dtype=np.float32), list("ab") * 25).to_dict(),
    )


@pytest.fixture
def bundle(learnable, contract, tmp_path):
    """A saved bundle's folder."""
    network, history = model.fit(SHORT, *learnable, emotions=EMOTIONS)
    model.save(tmp_path / "models" / "b", network, history, contract)
    return tmp_path / "models" / "b"


def test_a_bundle_carries_everything_and_loads_as_it_was_saved(bundle, learnable, contract):
    assert sorted(file.name for file in bundle.iterdir()) == [
        *("MODEL_CARD.md", "bundle.json", "history.csv", "model.keras", "model.onnx"),
    ]
    network, read = model.load(bundle)
    assert dataclasses.replace(read, versions={}, golden={}, onnx_sha256="") == contract
    assert read.honest is None
    X, _ = learnable
    expected, _ = model.fit(SHORT, *learnable, emotions=EMOTIONS)
    np.testing.assert_array_equal(model.probabilities(network, X), model.probabilities(expected, X))
    assert list(pd.read_csv(bundle / "history.csv")) == list(model.HISTORY_COLUMNS)
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "synthetic speech in the layout of emodb" in card
    assert "on unseen speakers | not measured yet" in card


def test_the_card_tells_what_was_measured_on_unseen_speakers(contract):
    scored = {"protocol": "loso", "n": 90, "uar": 0.5, "uar_ci95": [0.4, 0.6]}
    recalls = {"anger": 0.75, "fear": 0.25, "neutral": None}
    card = model.card(dataclasses.replace(contract, honest=scored | {"per_emotion": recalls}))
    assert "on unseen speakers | UAR 0.500 (95 % interval 0.400 to 0.600; loso, 90 utterances)" in card
    assert "It recognises fear least (0.250; chance 0.333)" in card
    assert "neutral |" not in card
    for fact in ("Berlin Database of Emotional Speech", "deu", "CC0-1.0", "listeners recognise | 0.935"):
        assert fact in card
    few = model.card(dataclasses.replace(contract, honest=scored | {"uar_ci95": None, "per_emotion": recalls}))
    assert "UAR 0.500 (too few speakers for an interval; loso, 90 utterances)" in few
    assert "| licence" not in model.card(dataclasses.replace(contract, corpus="mine-alone"))


def test_a_bundle_is_replaced_but_nothing_else_is(bundle, learnable, contract, tmp_path):
    network, history = model.fit(SHORT, *learnable, emotions=EMOTIONS, seed=1)
    model.save(bundle, network, history, dataclasses.replace(contract, seed=1))
    assert model.read_contract(bundle).seed == 1
    assert [folder.name for folder in bundle.parent.iterdir()] == ["b"]
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ValueError, match="thesis exists and is not a bundle; nothing was written"):
        model.save(tmp_path / "thesis", network, history, contract)


def test_a_bundle_whose_replacement_is_disturbed_is_replaced_by_who_reads_it_next(
    bundle, learnable, contract, monkeypatch
):
    network, history = model.fit(SHORT, *learnable, emotions=EMOTIONS, seed=1)
    rename = Path.rename

    def fail(path, target):
        if Path(target) == bundle:
            raise OSError("no space left")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(OSError, match="no space left"):
            model.save(bundle, network, history, dataclasses.replace(contract, seed=1))
    assert not bundle.exists()
    assert model.read_contract(bundle).seed == 1
    model.save(bundle, network, history, contract)
    assert [folder.name for folder in bundle.parent.iterdir()] == ["b"]


def test_a_program_that_used_tensorflow_before_can_go_on():
    code = "import tensorflow as tf; tf.constant(1) + 1; from serlib import model, settings;"
    code += "print(model.build(settings.RECIPES['paper'], 7).count_params())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().isdecimal(), done.stderr


def edit(bundle, **changes):
    file = bundle / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 1}, "its format is not 2; train the model again"),
        ({"familiar": {"threshold": 1.0, "gaussian_base64": "AAAA"}}, "what it has heard is not 51 x 50 numbers"),
        ({"format": 99}, "its format is not 2"),
        ({"emotions": ["fear", "anger", "neutral"]}, "not in the vocabulary's order"),
        ({"emotions": ["anger", "fear", "happy"]}, r"\['happy'\]"),
        ({"recipe": {"name": "paper"}}, "the recipe's settings are not this version's"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"onnx_sha256": "0" * 64}, "model.onnx was altered or damaged"),
        ({"golden": {"wav_base64": "", "probabilities": []}}, "the recording is empty"),
    ],
)
def test_a_damaged_contract_is_refused_with_the_reason(bundle, changes, message):
    edit(bundle, **changes)
    with pytest.raises(ValueError, match=message):
        model.load(bundle)


def test_a_contract_that_is_no_json_is_refused(bundle):
    (bundle / "bundle.json").write_text('{"format": 1,')
    with pytest.raises(ValueError, match="has a contract that cannot be used"):
        model.read_contract(bundle)


def test_another_feature_recipe_fails_the_self_test(bundle):
    contract = json.loads((bundle / "bundle.json").read_text())
    contract["recipe"]["features"]["hop_length"] = 512
    edit(bundle, recipe=contract["recipe"])
    with pytest.raises(ValueError, match="the bundle of emodb fails its self-test"):
        model.load(bundle)


def test_a_missing_part_is_named(bundle):
    (bundle / "model.onnx").unlink()
    with pytest.raises(ValueError, match=r"model.onnx is missing"):
        model.read_contract(bundle)
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a bundle \(no bundle.json\)"):
        model.read_contract(bundle.parent / "nowhere")


def test_the_distance_is_that_of_scipy():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) * [1, 10, 100, 0.1] + 5).astype(np.float32)
    familiar = model.Familiar.learn(X, ["a", "b"] * 100)
    covariance = np.cov(X.T, ddof=0)
    shrunk = 0.9 * covariance + 0.1 * np.diag(np.diag(covariance))
    inverse = np.linalg.inv(shrunk)
    expected = [scipy.spatial.distance.mahalanobis(x, X.mean(axis=0), inverse) / 2 for x in X[:20]]
    np.testing.assert_allclose(familiar.distance(X[:20]), expected, rtol=1e-3)


def test_the_threshold_lets_nearly_all_of_left_out_speakers_pass():
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"s{number}" for number in range(40)], 25)
    voices = np.repeat(rng.normal(size=(40, 6)), 25, axis=0)
    X = (voices + 0.3 * rng.normal(size=(1000, 6))).astype(np.float32)
    known, unseen = speakers < "s3", speakers >= "s3"
    familiar = model.Familiar.learn(X[known], speakers[known])
    passed = np.mean(familiar.distance(X[unseen]) <= familiar.threshold)
    assert 0.85 < passed < 1
    by_utterance = model.Familiar.learn(X[known], ["one"] * known.sum())  # voices are known then: too narrow
    assert by_utterance.threshold < familiar.threshold
    assert (familiar.distance(X[unseen] + 10) > familiar.threshold).all()


def test_what_is_familiar_is_learned_from_few_and_from_constant_vectors():
    for X in (np.zeros((3, 5), np.float32), np.arange(10, dtype=np.float32).reshape(2, 5)):
        familiar = model.Familiar.learn(X, ["a"] * len(X))
        again = model.Familiar.from_dict(familiar.to_dict(), n_mfcc=5)
        np.testing.assert_array_equal(again.distance(X + 1), familiar.distance(X + 1))
        assert again.threshold == familiar.threshold >= 0
        assert np.isfinite(familiar.distance(X + 1)).all()


def test_bundles_at_hand_are_those_that_can_be_used(bundle, monkeypatch):
    here = dataclasses.replace(model.settings.current(), models=bundle.parent)
    monkeypatch.setattr(model.settings, "current", lambda: here)
    own = f"…/{bundle.name}"
    usable, unusable = model.at_hand()
    assert usable == {"emodb-paper": model.SHIPPED / "emodb-paper", own: bundle}
    assert unusable == {}
    edit(bundle, format=1)
    usable, unusable = model.at_hand()
    assert list(usable) == ["emodb-paper"]
    assert "its format is not 2; train the model again" in unusable[own]


def test_a_folder_comes_before_a_bundle_that_is_shipped(workplace):
    assert model.find("emodb-paper") == model.SHIPPED / "emodb-paper"
    (workplace / "emodb-paper").mkdir()
    assert model.find("emodb-paper") == Path("emodb-paper")
    with pytest.raises(FileNotFoundError, match=r"emodb-peper is not a bundle .*comes with serlib \(emodb-paper\)"):
        model.read_contract(model.find("emodb-peper"))
