"""Widgets without a browser: set a control's value, see what is drawn."""

import asyncio
import base64
import datetime
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib import pyplot as plt

from serlib import (
    audio,
    bundle,
    download,
    evaluate,
    features,
    figures,
    index,
    labels,
    metrics,
    models,
    predict,
    recipes,
    results,
    split,
    synthetic,
    widgets,
)
from serlib.features import whisper


@pytest.fixture
def seen(monkeypatch):
    """A function that watches a draw function, and returns the list of its calls: (arguments, what it drew)."""

    def watch(name):
        draw, calls = getattr(figures, name), []

        def watched(*args, **kwargs):
            drawn = draw(*args, **kwargs)
            calls.append(((args, kwargs), drawn))
            return drawn

        monkeypatch.setattr(figures, name, watched)
        return calls

    return watch


@pytest.fixture(scope="session")
def bundles(emodb, tmp_path_factory):
    """Two bundles, as `talk` takes them: a network that nobody scored, and one without epochs that has a score."""
    folders = {name: tmp_path_factory.mktemp("models") / name for name in ("mine", "scored")}
    for folder, recipe, epochs in zip(folders.values(), ("paper", "mfcc-functionals+lda"), (1, None), strict=True):
        bundle.train(emodb, recipe=recipes.get(recipe), folder=folder, epochs=epochs)
    file = folders["scored"] / "bundle.json"
    score = {"protocol": "speakers", "n": 60, "accuracy": 0.6, "uar": 0.58, "uar_ci95": [0.5, 0.66]}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"speaker_independent": score, "synthetic": False}))
    return folders


@pytest.fixture(scope="session")
def joined(made):
    """The index table of two corpora together."""
    return index.join([index.scan(made[name], name) for name in ("emovo", "savee")])


def is_png(image):
    return image.png.startswith(b"\x89PNG") and re.fullmatch(r"[A-Z].{30,}\.", image.alt)


def file_named(name, content):
    """What a browser hands over."""
    now = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    kinds = {"name": name, "type": "audio/wav", "size": len(content), "content": memoryview(content)}
    return ({**kinds, "last_modified": now},)


@pytest.fixture(scope="module")
def two(made):
    """Index tables of two corpora."""
    return {name: index.scan(made[name], name) for name in ("emovo", "tess")}


def test_a_changed_control_draws_again_and_lets_go_of_the_figure(two, seen):
    calls = seen("draw_comparison")
    explorer = widgets.explore_corpora(two)
    before = explorer.picture.png
    explorer.controls["by"].value = "gender"
    (arguments, drawn) = calls[-1]
    assert arguments[1]["by"] == "gender"
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["female", "male"]
    assert explorer.picture.png.startswith(b"\x89PNG")
    assert explorer.picture.png != before
    assert "by gender" in explorer.picture.alt
    assert [group["name"] for group in explorer.map.data["groups"]] == ["female", "male"]
    assert not plt.get_fignums()


def test_corpora_are_chosen_one_several_or_none(two, seen):
    calls = seen("draw_comparison")
    explorer = widgets.explore_corpora(two)
    assert set(calls[-1][0][0][0]["corpus"]) == {"emovo", "tess"}
    explorer.controls["emovo"].value = False
    assert set(calls[-1][0][0][0]["corpus"]) == {"tess"}
    assert set(explorer.map.data["utterance"]) == set(two["tess"]["utterance"])
    explorer.controls["tess"].value = False
    assert "choose one" in explorer.message.value
    assert not explorer.picture.png
    assert explorer.map.data["x"] == []


def test_the_map_says_of_each_point_who_speaks_and_how(two):
    explorer = widgets.explore_corpora(two)
    explorer.controls["by"].value = "speaker"
    data = explorer.map.data
    every = pd.concat(two.values()).set_index("utterance")
    assert len(data["x"]) == len(data["y"]) == len(set(data["utterance"])) == len(every)
    for utterance, text, group, corpus in zip(
        *(data[k] for k in ("utterance", "text", "group", "corpus")), strict=True
    ):
        row = every.loc[utterance]
        assert text == f"{utterance.split('/')[1]}: {row.emotion}, speaker {row.speaker.split('/')[1]} ({row.gender})"
        assert data["groups"][group]["name"] == row.speaker
        assert data["corpora"][corpus] == {"emovo": "EMOVO", "tess": "TESS"}[row.corpus]


def test_the_map_stays_where_it_is_whatever_the_colours_and_moves_with_the_method(two):
    explorer = widgets.explore_corpora(two)
    first = explorer.map.data
    explorer.controls["by"].value = "speaker"
    assert explorer.map.data["x"] == first["x"]
    explorer.controls["method"].value = "t-SNE"
    assert explorer.map.data["x"] != first["x"]
    assert explorer.map.data["axes"] == ("t-SNE 1", "t-SNE 2")


def test_a_large_map_is_drawn_at_random_and_says_so(two, monkeypatch):
    monkeypatch.setattr("serlib.widgets.corpora.N_MAPPED", 20)
    data = widgets.explore_corpora(two).map.data
    assert [data["corpus"].count(number) for number in (0, 1)] == [10, 10]
    assert data["title"] == "PCA of 50 mean MFCCs: 20 utterances of 126, drawn at random"


def test_a_chosen_point_is_played_shown_and_marked(two, seen):
    calls = seen("draw_comparison")
    explorer = widgets.explore_corpora(two)
    row = two["tess"].iloc[7]
    explorer.map.chosen = row["utterance"]
    answer = explorer.map.answer
    heard = audio.load(io.BytesIO(answer["wav"]), widgets.PLAYED_HZ)
    spoken = audio.load(index.root_of(two["tess"]) / row["path"], widgets.PLAYED_HZ)
    np.testing.assert_allclose(heard, spoken / np.abs(spoken).max(), atol=1e-4)
    assert answer["png"].startswith(b"\x89PNG")
    assert answer["caption"].startswith(f"{row['utterance']}: {row['emotion']}, speaker")
    assert row["utterance"] in answer["alt"]
    assert calls[-1][0][1]["marked"] == row["utterance"]
    explorer.controls["tess"].value = False  # it is not in the picture any more
    assert widgets.ERROR not in explorer.message.value


def test_a_table_of_several_corpora_is_one_corpus_to_choose_and_several_in_the_pictures(joined, seen):
    calls = seen("draw_comparison")
    explorer = widgets.explore_corpora({"emovo+savee": joined})
    assert explorer.controls["emovo+savee"].description == f"EMOVO + SAVEE ({len(joined):,})"
    assert [tick.get_text() for tick in calls[-1][1].axes[0].get_yticklabels()] == ["EMOVO", "SAVEE"]
    assert explorer.map.data["corpora"] == ["EMOVO", "SAVEE"]
    explorer.map.chosen = joined["utterance"].iloc[-1]
    assert explorer.map.answer["caption"].startswith("savee/")


def test_a_recording_that_is_gone_is_an_error_on_the_page(two, monkeypatch):
    explorer = widgets.explore_corpora(two)
    monkeypatch.setattr(audio, "load", lambda *_: 1 / 0)
    explorer.map.chosen = two["tess"]["utterance"][0]
    assert widgets.ERROR in explorer.message.value
    assert "ZeroDivisionError" in explorer.message.value
    assert explorer.map.answer == {}
    assert explorer.picture.png
    monkeypatch.undo()
    explorer.map.chosen = two["tess"]["utterance"][0]  # may be tried again
    assert explorer.map.answer["utterance"] == two["tess"]["utterance"][0]
    assert widgets.ERROR not in explorer.message.value


@pytest.fixture
def laboratory(emodb):
    file = index.root_of(emodb) / emodb["path"][0]
    return widgets.explore_mfcc({"an utterance": file}, features=recipes.get("paper").features)


def test_sliders_move_the_mfccs_and_the_picture(emodb, monkeypatch, request):
    shown, show = [], figures.MfccFigure.show
    monkeypatch.setattr(
        figures.MfccFigure,
        "show",
        lambda self, *made, features: (shown.append(made), show(self, *made, features=features)),
    )
    laboratory = request.getfixturevalue("laboratory")
    pictures = {laboratory.picture.png}
    laboratory.controls["n_mfcc"].value = 13
    assert shown[-1][3].shape[0] == 13
    n_frames = shown[-1][3].shape[1]
    for name, value in (("hop_length", 512), ("win_length", 1024), ("n_mels", 32)):
        laboratory.controls[name].value = value
        pictures.add(laboratory.picture.png)
    _, spectrogram, mel, mfcc = shown[-1]
    assert (spectrogram.shape[0], mel.shape[0], mfcc.shape[0]) == (513, 32, 13)
    assert mfcc.shape[1] == pytest.approx(n_frames / 2, abs=1)
    assert len(shown) == 5
    assert len(pictures) == 4
    assert "32 mel bands, 13 MFCCs" in laboratory.picture.alt
    assert not plt.get_fignums()


def test_more_mfccs_than_mel_bands_cannot_be_chosen(laboratory):
    laboratory.controls["n_mels"].value = 16
    assert laboratory.controls["n_mfcc"].value == laboratory.controls["n_mfcc"].max == 16
    assert widgets.ERROR not in laboratory.message.value


def test_what_the_mfccs_keep_is_played_when_asked_for_until_they_change(laboratory, emodb, monkeypatch):
    assert not laboratory.inverted.value
    assert not has_player(laboratory, laboratory.inverted)
    with monkeypatch.context() as patched:
        patched.setattr(features, "invert", lambda *_, **__: 1 / 0)
        laboratory.invert.click()
    assert widgets.ERROR in laboratory.message.value
    laboratory.invert.click()
    assert widgets.ERROR not in laboratory.message.value
    assert has_player(laboratory, laboratory.inverted)
    inverted, recording = (audio.load(io.BytesIO(one.value), 22050) for one in (laboratory.inverted, laboratory.player))
    assert len(inverted) == pytest.approx(len(recording), abs=256)
    laboratory.controls["n_mfcc"].value = 5
    assert not has_player(laboratory, laboratory.inverted)


def test_no_slider_fires_while_it_is_dragged(emodb):
    recipe, file = recipes.get("paper"), index.root_of(emodb) / emodb["path"][0]
    for figure in (
        widgets.explore_mfcc({"an utterance": file}, features=recipe.features),
        widgets.play_with_split({"emodb": emodb}),
        widgets.explore_network(recipe, 7),
    ):
        sliders = [control for control in figure.controls.values() if hasattr(control, "continuous_update")]
        assert sliders
        assert not any(slider.continuous_update for slider in sliders)


def test_the_split_follows_corpus_protocol_folds_seed_and_fold(made, emodb, seen):
    calls = seen("draw_fold")
    figure = widgets.play_with_split({"emodb": emodb, "tess": index.scan(made["tess"], "tess")})
    controls = figure.controls
    first = calls[-1][0][0][0]
    assert (first.protocol, first.n_folds) == ("random", 1)
    controls["seed"].value += 1
    assert not calls[-1][0][0][0].table["fold"].equals(first.table["fold"])
    controls["protocol"].value = "loso"
    n_speakers = emodb["speaker"].nunique()
    assert len(controls["fold"].options) == n_speakers
    assert controls["seed"].disabled
    controls["fold"].value = n_speakers - 1
    assert calls[-1][0][1] == {"fold": n_speakers - 1}
    assert f"0 of {n_speakers} speakers on both sides" in calls[-1][1].axes[0].get_title()
    controls["protocol"].value = "speakers"
    controls["n_folds"].value = 3
    assert calls[-1][0][0][0].n_folds == 3
    assert calls[-1][0][1] == {"fold": 0}
    assert not controls["seed"].disabled
    controls["corpus"].value = "tess"
    assert set(calls[-1][0][0][0].table["corpus"]) == {"tess"}
    assert [n for _, n in controls["n_folds"].options] == [2]  # of two speakers
    assert widgets.ERROR not in figure.message.value


def test_one_change_draws_one_picture(emodb, seen):
    calls = seen("draw_fold")
    figure = widgets.play_with_split({"emodb": emodb})
    figure.controls["protocol"].value = "speakers"
    assert len(calls) == 2


def test_only_possible_protocols_are_offered(made, emodb):
    def offered(table):
        return [value for _, value in widgets.play_with_split({"x": table}).controls["protocol"].options]

    assert offered(emodb) == ["random", "speakers", "loso", "sentences"]
    assert offered(emodb.assign(sentence="")) == ["random", "speakers", "loso"]
    alone = emodb[emodb["speaker"] == emodb["speaker"][0]].reset_index(drop=True)
    assert offered(alone) == ["random", "sentences"]


def test_several_corpora_are_split_together_corpus_by_corpus(joined, seen):
    calls = seen("draw_fold")
    figure = widgets.play_with_split({"emovo+savee": joined})
    figure.controls["protocol"].value = "speakers"
    assert [n for _, n in figure.controls["n_folds"].options] == [2, 3, 4]  # SAVEE has four speakers
    assert widgets.ERROR not in figure.message.value
    speakers = [tick.get_text() for tick in calls[-1][1].axes[0].get_yticklabels()]
    assert sorted(speakers) == sorted(joined["speaker"].unique())


def test_leaks_are_described(emodb):
    one = emodb[emodb["speaker"] == emodb["speaker"][0]].groupby("emotion").filter(lambda rows: len(rows) > 1)
    two = one.groupby("emotion").head(2).assign(sentence="s").reset_index(drop=True)
    n = two["emotion"].nunique()
    figure = widgets.play_with_split({"emodb": two})
    figure.controls["n_folds"].value = 2
    assert f"<b>tested</b>: {n} utterances of 1 speaker. " in figure.message.value
    assert f"<b>⚠ speaker</b>: {n} of {n} tested utterances are by a speaker who is trained on" in figure.message.value
    assert f"<b>⚠ take</b>: {n} of {n} tested utterances" in figure.message.value
    assert "<b>✓ recording</b>: no tested utterance" in figure.message.value
    unknown = widgets.play_with_split({"emodb": emodb.assign(sentence="")})
    assert "<b>? take</b>: not looked for, since nothing says what is spoken" in unknown.message.value
    unknown.controls["protocol"].value = "speakers"
    assert "<b>✓ speaker</b>: no tested utterance" in unknown.message.value
    assert "was not trained (speaker-independent)" in unknown.message.value


def test_the_network_is_drawn_with_other_layers(seen):
    calls = seen("draw_architecture")
    figure = widgets.explore_network(recipes.get("paper"), 5)
    assert calls[-1][0][0][0].output_shape == (None, 5)
    figure.controls["dense"].value = 32
    assert calls[-1][0][0][0].get_layer("dense").units == 32
    figure.controls["pool_padding"].value = "valid"
    assert calls[-1][0][0][0].get_layer("pool_3").output.shape[1] == 12
    with pytest.raises(ValueError, match=r"mfcc-mean\+lda has a Lda; expected a Cnn1d"):
        widgets.explore_network(recipes.get("mfcc-mean+lda"), 5)


def scores_of(epoch):
    return {"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "val_uar": 0.4}


def epochs_of(n_epochs):
    """Return what trains for some epochs, or fewer, and returns how many it were."""

    def train(watch):
        for epoch in range(1, n_epochs + 1):
            time.sleep(0.001)
            if watch(scores_of(epoch)):
                break
        return epoch

    return train


@pytest.mark.parametrize("is_colab", [True, False])
def test_colab_is_told_how_to_show_a_widget_that_a_cell_ends_with(monkeypatch, is_colab):
    view, address = "application/vnd.jupyter.widget-view+json", "https://colab.example/manager.js"
    colab = types.SimpleNamespace(
        _widgets=types.SimpleNamespace(_installed_url=address), enable_custom_widget_manager=lambda: None
    )
    if is_colab:
        monkeypatch.setitem(sys.modules, "google.colab.output", colab)
    for widget in (widgets.explore_network(recipes.get("paper"), 5), widgets.Monitor(epochs_of(1), 1)):
        data, metadata = DisplayFormatter().format(widget)
        assert data[view]["model_id"] == widget.model_id
        assert metadata == ({view: {"colab": {"custom_widget_manager": {"url": address}}}} if is_colab else {})


def test_a_training_is_watched_to_its_end():
    monitor = widgets.Monitor(epochs_of(700), 700)
    assert monitor.result() == monitor.bar.value == 700
    history = monitor.curves.history
    assert history["epoch"][0] == 1
    assert history["epoch"][-1] == 700
    assert len(history["epoch"]) <= 500
    assert history["val_uar"] == [0.4] * len(history["epoch"])
    assert "700 epochs" in monitor.message.value
    assert monitor.button.disabled


def test_the_button_ends_a_training_and_keeps_what_is_learned():
    monitor = widgets.Monitor(epochs_of(10**9), 10**9)
    monitor.button.click()
    n_epochs = monitor.result()
    assert n_epochs < 10**9
    assert monitor.curves.history["epoch"][-1] == n_epochs
    assert f"stopped after {n_epochs:,} of" in monitor.message.value


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also where tests run in several processes."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_waiting_ends_a_training_as_the_button_does():
    monitor = widgets.Monitor(epochs_of(10**9), 10**9)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert monitor.result() < 10**9
    assert "what was learned till then is kept" in monitor.message.value


def test_a_cell_may_wait_for_a_training_and_be_interrupted_without_harm():
    async def wait(monitor, seconds):
        return await asyncio.wait_for(monitor, seconds)

    assert asyncio.run(wait(widgets.Monitor(epochs_of(5), 5), 60)) == 5
    monitor = widgets.Monitor(epochs_of(10**9), 10**9)
    with pytest.raises(TimeoutError):
        asyncio.run(wait(monitor, 0.1))
    monitor.stop()
    assert monitor.result() < 10**9


def test_an_error_in_a_training_is_shown_and_raised():
    def train(watch):
        watch(scores_of(1))
        raise FloatingPointError("<loss> is not a number")

    monitor = widgets.Monitor(train, 5)
    with pytest.raises(FloatingPointError, match="is not a number"):
        monitor.result()
    assert widgets.ERROR in monitor.message.value
    assert "&lt;loss&gt;" in monitor.message.value
    assert monitor.button.disabled


def test_a_watched_fold_is_the_one_that_is_fitted_without_a_monitor(emodb):
    recipe, parts = recipes.get("paper"), split.from_parts(emodb)
    X = np.random.default_rng(0).normal(size=(len(parts.table), recipe.features.n_mfcc)).astype(np.float32)
    watched = widgets.watch_training(parts, X, recipe=recipe, epochs=3).result()
    alone = evaluate.fit_fold(parts, X, recipe=recipe, epochs=3)
    pd.testing.assert_frame_equal(watched.history, alone.history)
    pd.testing.assert_frame_equal(watched.predictions, alone.predictions)
    with pytest.raises(ValueError, match="does not learn in epochs, so there is nothing to watch"):
        widgets.watch_training(parts, X, recipe=recipes.get("mfcc-mean+lda"))


@pytest.fixture
def stored(emodb, tmp_path):
    """What is stored: made-up results on synthetic EMODB by several protocols and recipes, on others, and across."""

    def store(table, protocol, recipe, *, synthetic, trained_on=None):
        emotions = labels.ordered(table["emotion"])
        scored = table[["utterance", "corpus", "speaker"]].assign(
            recipe=recipe, protocol=protocol, seed=42, fold=0, y_true=table["emotion"]
        )
        p = np.random.default_rng(len(recipe)).dirichlet(np.ones(len(emotions)), len(table))
        predictions = metrics.table_of(scored, p, emotions)
        corpus = metrics.corpus_name(table)
        about = {"synthetic": synthetic, "trained_on": trained_on or corpus}
        file = results.file_of(tmp_path, trained_on or corpus, recipe, protocol, 42)
        history = pd.DataFrame(columns=list(models.HISTORY_COLUMNS))
        results.write(results.Result(predictions, predictions[:0], history, about), file)

    store(emodb, "random", "paper", synthetic=True)
    store(emodb, "speakers", "paper", synthetic=True)
    store(emodb, "speakers", "original-2021", synthetic=True)
    store(emodb, "cross-corpus", "paper", synthetic=True, trained_on="tess")
    store(emodb, "loso-normalised", "mfcc-functionals+svm", synthetic=True)
    store(emodb, "given-parts", "paper", synthetic=True)
    tess = emodb.assign(corpus="tess", utterance=emodb["utterance"].str.replace("emodb", "tess"))
    store(tess, "speakers", "paper", synthetic=False)
    both = emodb.assign(corpus=np.where(np.arange(len(emodb)) % 2, "emodb", "ravdess"))
    store(both, "speakers", "paper", synthetic=False)
    return results.stored(tmp_path)


def test_results_are_offered_as_far_as_they_are_stored(stored, seen):
    calls = seen("draw_score")
    figure = widgets.browse_results(stored, {})
    offered = {name: [label for label, _ in control.options] for name, control in figure.controls.items()}
    assert offered["corpus"] == ["EMODB", "TESS", "EMODB + RAVDESS"]
    speakers = widgets.PROTOCOL_NAMES["speakers"]
    given, standardised = (widgets.PROTOCOL_NAMES[name] for name in ("given-parts", "loso-normalised"))
    assert offered["how"] == [widgets.PROTOCOL_NAMES["random"], speakers, given, standardised, "trained on TESS"]
    assert offered["recipe"] == ["paper"]
    figure.controls["how"].value = speakers
    assert [value for _, value in figure.controls["recipe"].options] == ["original-2021", "paper"]
    assert figure.controls["recipe"].value == "paper"
    figure.controls["recipe"].value = "original-2021"
    assert (calls[-1][0][0][0]["recipe"], calls[-1][0][0][0]["protocol"]) == ("original-2021", "speakers")
    assert calls[-1][0][1] == {"listeners": None}  # nobody listened to synthetic speech
    figure.controls["corpus"].value = "tess"
    assert calls[-1][0][0][0]["corpus"] == "tess"
    assert [value for _, value in figure.controls["how"].options] == [speakers]
    figure.controls["corpus"].value = "emodb+ravdess"
    assert calls[-1][0][1] == {"listeners": None}  # nobody listened to both
    figure.matrix.chosen = ["anger", "anger"]
    assert "how to get EMODB, RAVDESS, and where" in figure.matrix.listed["note"]
    assert widgets.ERROR not in figure.message.value
    with pytest.raises(ValueError, match="no result is stored; make one"):
        widgets.browse_results(stored[:0], {})


def test_a_cell_lists_its_utterances_the_surest_first_and_they_are_played(stored, emodb, monkeypatch):
    figure = widgets.browse_results(stored, {"emodb": emodb})
    file = stored.loc[stored["protocol"] == "random", "file"].item()
    matrix, predictions = figure.matrix, results.read(file).predictions
    figure.controls["recipe"].value = "paper"
    assert matrix.emotions == sorted(set(emodb["emotion"]))
    counts = pd.crosstab(predictions["y_true"], predictions["y_pred"])
    assert matrix.counts == counts.to_numpy().tolist()
    matrix.chosen = ["fear", "anger"]
    rows = matrix.listed["rows"]
    expected = predictions[(predictions["y_true"] == "fear") & (predictions["y_pred"] == "anger")]
    assert {row["utterance"] for row in rows} == set(expected["utterance"]) != set()
    probabilities = [row["probability"] for row in rows]
    assert probabilities == sorted(expected["p_anger"], reverse=True)
    assert all(row["at_hand"] for row in rows)
    assert matrix.listed["note"] == ""
    sent = []
    monkeypatch.setattr(matrix, "send", lambda content, buffers: sent.append((content, buffers)))
    matrix._handle_custom_msg({"play": rows[0]["utterance"]}, [])
    ((content, (wav,)),) = sent
    assert content == {"played": rows[0]["utterance"]}
    path = emodb.set_index("utterance").loc[rows[0]["utterance"], "path"]
    file = index.root_of(emodb) / path
    assert len(audio.load(io.BytesIO(wav), 16000)) == len(audio.load(file, 16000))
    figure.controls["how"].value = widgets.PROTOCOL_NAMES["speakers"]
    assert matrix.chosen == []
    assert matrix.listed == {}


def test_synthetic_speech_is_never_played_in_place_of_real_recordings(stored, emodb):
    tess = emodb.assign(corpus="tess", utterance=emodb["utterance"].str.replace("emodb", "tess"))
    figure = widgets.browse_results(stored, {"tess": tess})
    for corpus, title in (("emodb", "EMODB"), ("tess", "TESS")):
        figure.controls["corpus"].value = corpus
        figure.matrix.chosen = ["anger", "anger"]
        assert not any(row["at_hand"] for row in figure.matrix.listed["rows"])
        assert "No recording of these is at hand" in figure.matrix.listed["note"]
        assert f"how to get {title}" in figure.matrix.listed["note"]


def test_an_error_while_a_cell_is_listed_is_shown_beside_the_picture_until_another_cell_is_chosen(stored):
    figure = widgets.browse_results(stored, {})
    figure.matrix.chosen = ["anger", "envy"]
    assert widgets.ERROR in figure.message.value
    assert "p_envy" in figure.message.value
    assert is_png(figure.picture)
    figure.matrix.chosen = ["anger", "fear"]
    assert widgets.ERROR not in figure.message.value


@pytest.mark.parametrize("name", ["mine", "scored"])
def test_a_recording_of_the_corpus_is_played_and_answered(emodb, bundles, name, seen):
    calls, predictor = seen("draw_probabilities"), predict.Predictor(bundles[name])
    figure = widgets.hear_recordings(emodb, predictor)
    before = bytes(figure.player.value)
    assert before.startswith(b"RIFF")
    figure.controls["emotion"].value = "sadness"
    assert bytes(figure.player.value) != before
    assert "acted: sadness" in calls[-1][1].get_title()
    assert set(calls[-1][0][0][0]) == set(predictor.contract.emotions)
    offered = {utterance for _, utterance in figure.controls["recording"].options}
    assert offered == set(emodb.loc[emodb["emotion"] == "sadness", "utterance"])


@pytest.fixture
def figure(bundles):
    """The widget to talk to, with two models."""
    return widgets.talk(bundles)


def has_player(figure, player=None):
    return any((player or figure.player) in getattr(child, "children", ()) for child in figure.children)


def upload(figure, name, content):
    figure.controls["voice"].files.value = file_named(name, content)


def record(figure, signal, sr):
    """Hand over what the browser does: a message with a buffer of 16-bit integers."""
    pcm = np.clip(np.round(32768 * signal), -32768, 32767).astype("<i2").tobytes()
    figure.controls["voice"].recorder._handle_custom_msg({"sample_rate_hz": sr}, [memoryview(pcm)])


NOISE = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)


def test_an_uploaded_recording_is_heard_from_memory(figure, emodb, seen):
    calls = seen("draw_probabilities")
    assert "No recording yet" in figure.message.value
    assert not figure.picture.png
    assert not has_player(figure)
    upload(figure, "me.wav", (index.root_of(emodb) / emodb["path"][0]).read_bytes())
    assert len(calls) == 1
    assert is_png(figure.picture)
    assert bytes(figure.player.value).startswith(b"RIFF")
    assert has_player(figure)
    assert "nothing but synthetic speech" in figure.message.value
    assert "It sounds most like" in figure.message.value
    assert figure.picture.png


def test_a_recording_of_the_browser_is_heard_as_it_was_spoken(figure, emodb, bundles):
    file = index.root_of(emodb) / emodb["path"][0]
    signal = audio.load(file, 16000)
    expected = predict.Predictor(bundles["mine"]).hear(file)
    record(figure, signal, 16000)
    assert f"<b>{expected['emotion']}</b> (probability {max(expected['probabilities'].values()):.2f})" in (
        figure.message.value
    )
    played, sr = audio.soundfile.read(io.BytesIO(figure.player.value))
    assert sr == widgets.PLAYED_HZ
    assert np.corrcoef(played, signal)[0, 1] > 0.999


def test_the_last_of_recording_and_file_is_heard(figure):
    record(figure, NOISE, 16000)
    recorded = bytes(figure.player.value)
    upload(figure, "me.wav", audio.wav_bytes(NOISE[:12000], 16000))
    uploaded = bytes(figure.player.value)
    assert len(uploaded) < len(recorded)
    record(figure, NOISE[::-1], 16000)
    assert len(figure.player.value) == len(recorded)


def test_another_model_hears_the_same_recording_and_states_its_own_score(figure, seen):
    calls = seen("draw_probabilities")
    record(figure, NOISE, 16000)
    assert "its score on unseen speakers is unknown; chance 0.14" in figure.message.value
    figure.controls["bundle"].index = 1
    assert len(calls) == 2
    assert "(UAR 0.58, 95 % interval 0.50 to 0.66; chance 0.14)" in figure.message.value
    assert "synthetic" not in figure.message.value


def test_what_is_unlike_anything_heard_gets_no_answer(figure, seen):
    calls = seen("draw_probabilities")
    record(figure, NOISE, 16000)
    assert "declines to answer" in figure.message.value
    assert "<b>Unfamiliar</b>: unlike anything this model has heard" in figure.message.value
    assert "sounds most like" not in figure.message.value
    assert calls[-1][0][1] == {"is_doubtful": True}
    assert len({bar.get_facecolor() for bar in calls[-1][1].patches}) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (b"dear diary", "is text (10 bytes)"),
        (base64.b64decode("UklGRiQAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YQAAAAA="), "no samples"),
    ],
)
def test_an_upload_that_cannot_be_read_is_a_sentence_not_an_error(figure, content, said):
    upload(figure, "<b>me</b>.wav", content)
    assert said in figure.message.value
    assert "&lt;b&gt;me&lt;/b&gt;.wav" in figure.message.value
    assert not has_player(figure)
    assert widgets.ERROR not in figure.message.value
    assert not figure.picture.png


def test_an_upload_that_is_too_large_is_not_decoded(figure, monkeypatch):
    monkeypatch.setattr(predict.Predictor, "hear", lambda *_: pytest.fail("it was decoded"))
    upload(figure, "long.wav", bytes(widgets.MAX_UPLOAD_BYTES + 1))
    assert "expected at most 8 MB" in figure.message.value


def test_a_message_that_no_page_of_ours_sends_changes_nothing(figure):
    record(figure, NOISE, 16000)
    before = figure.message.value
    rates = ("abc", None, 1.5, float("nan"), 0, -1, 1 << 70, [16000])
    strange = [({"sample_rate_hz": sr}, [b"ab"]) for sr in rates]
    for content, buffers in (*strange, ({"sample_rate_hz": 16000}, [b"a"]), ({}, []), (3, None)):
        figure.controls["voice"].recorder._handle_custom_msg(content, buffers)
    assert figure.message.value == before
    assert widgets.ERROR not in before


def test_a_recording_at_a_rate_of_no_speech_is_a_sentence_not_an_error(figure):
    for sr in (1, 768_000, (1 << 31) - 1):
        record(figure, NOISE, sr)
        assert (
            f"has a rate of {sr:,} Hz; expected" in figure.message.value
            or "expected one utterance" in figure.message.value
        )
        assert widgets.ERROR not in figure.message.value


def test_a_model_that_is_damaged_while_it_is_offered_is_a_sentence_and_tells_no_folder(bundles, tmp_path):
    folder = shutil.copytree(bundles["mine"], tmp_path / "bundle")
    figure = widgets.talk({"mine": folder})
    (folder / "model.onnx").write_bytes(b"")
    record(figure, NOISE, 16000)
    assert "bundle cannot be used any more; choose another model." in figure.message.value
    assert str(tmp_path) not in figure.message.value


def test_the_longest_recording_fits_into_a_message_of_the_servers():
    recorder = widgets.Recorder()
    assert recorder.max_bytes < 10_000_000
    assert 2 * 96000 * recorder.max_duration_s < recorder.max_bytes


@pytest.mark.parametrize(
    ("signal", "kind", "advice"),
    [
        (0 * NOISE, "Silent", "see whether the microphone is muted"),
        (NOISE[:4000], "Short", "about a second of speech"),
        (np.tile(NOISE, 20), "Long", "so cut it"),
        (NOISE / 200, "Quiet", "record closer to the microphone"),
        (np.sign(NOISE), "Clipped", "move away from the microphone"),
    ],
)
def test_what_may_spoil_an_answer_is_said_with_advice(figure, signal, kind, advice):
    record(figure, signal, 16000)
    (line,) = [line for line in figure.message.value.split("<br>") if line.startswith(f"<b>{kind}</b>: ")]
    assert advice in line
    assert is_png(figure.picture)


def test_a_model_whose_encoder_is_not_at_hand_says_how_to_fetch_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SERLIB_WEIGHTS", str(tmp_path))
    whisper._encoder.cache_clear()  # it may have been at hand before
    figure = widgets.talk({"strangers": bundle.find("strangers")})
    record(figure, NOISE, 16000)
    assert "145 MB, licence MIT (OpenAI). Fetch them with" in figure.message.value
    assert "python -m serlib download whisper-base" in figure.message.value


@pytest.fixture
def sentences(emodb):
    """Eight sentences of one speaker, as files."""
    rows = emodb[emodb["speaker"] == "emodb/03"]
    return [index.root_of(emodb) / path for path in rows["path"][:8]]


def answer_of(figure):
    """What a widget says it hears: the emotion, and its probability."""
    return re.search(r"most like <b>(.*)</b> \(probability (.*)\)", figure.message.value).groups()


def test_a_model_gets_to_know_a_voice_and_forgets_it(bundles, calibratable, sentences):
    _, predictor, folder = calibratable
    figure = widgets.talk(bundles | {"strangers": folder})
    assert figure.controls["bundle"].value == folder, "the model that can get to know a voice comes first"
    assert figure.forget.disabled

    def expected(model):
        heard = model.hear(sentences[6])
        return heard["emotion"], f"{heard['probabilities'][heard['emotion']]:.2f}"

    upload(figure, "me.wav", sentences[6].read_bytes())
    assert answer_of(figure) == expected(predictor)
    figure.controls["is_learning"].value = True
    assert "0 of 5 sentences" in figure.message.value, "what was said before is not taken"
    assert not figure.picture.png
    for number, file in enumerate(sentences[:5], 1):
        upload(figure, "me.wav", file.read_bytes())
        assert figure.message.value.startswith(f"{number} ")
    assert "the model knows your voice" in figure.message.value
    figure.controls["is_learning"].value = False
    assert "The model knows 5 of your sentences" in figure.message.value
    upload(figure, "me.wav", sentences[6].read_bytes())
    assert answer_of(figure) == expected(predictor.calibrated(sentences[:5])) != expected(predictor)
    assert "with 5 of your sentences known to it" in figure.message.value
    figure.forget.click()
    assert figure.forget.disabled
    upload(figure, "me.wav", sentences[6].read_bytes())
    assert answer_of(figure) == expected(predictor)
    assert "of your sentences" not in figure.message.value


def test_what_is_no_sentence_is_not_learned_from(calibratable, sentences):
    figure = widgets.talk({"strangers": calibratable[2]})
    figure.controls["is_learning"].value = True
    upload(figure, "me.wav", sentences[0].read_bytes())
    for sound, why in ((NOISE, "Unfamiliar: "), (0 * NOISE, "Silent: ")):
        record(figure, sound, 16000)
        assert f"the recording was not taken. {why}" in figure.message.value
    upload(figure, "diary.wav", b"dear diary")
    assert "diary.wav: the recording is text" in figure.message.value
    upload(figure, "me.wav", sentences[1].read_bytes())
    assert figure.message.value.startswith("2 of 5 sentences")


def test_a_voice_from_afar_can_be_known(calibratable, sentences, monkeypatch):
    figure = widgets.talk({"strangers": calibratable[2]})
    hear = predict.Predictor.hear
    monkeypatch.setattr(predict.Predictor, "hear", lambda *how: hear(*how) | {"warnings": [predict.AFAR]})
    upload(figure, "me.wav", sentences[0].read_bytes())
    assert "declines to answer" in figure.message.value
    assert "calibrate there" in figure.message.value
    figure.controls["is_learning"].value = True
    upload(figure, "me.wav", sentences[0].read_bytes())
    assert figure.message.value.startswith("1 of 5 sentences")


def test_a_model_of_one_corpus_does_not_offer_to_learn(bundles, calibratable):
    figure = widgets.talk(bundles | {"strangers": calibratable[2]})
    _, purposes, _ = figure.children[0].children
    figure.controls["is_learning"].value = True
    assert purposes.layout.display is None
    figure.controls["bundle"].value = bundles["mine"]
    assert purposes.layout.display == "none"
    assert figure.controls["is_learning"].value is False
    assert "No recording yet" in figure.message.value


def test_a_long_recording_is_heard_window_by_window(calibratable, sentences, monkeypatch):
    _, predictor, folder = calibratable
    signal = np.tile(np.concatenate([audio.load(file, 16000) for file in sentences]), 4)
    assert len(signal) > widgets.voice.LONG_S * 16000
    figure = widgets.talk({"strangers": folder})
    upload(figure, "talk.wav", audio.wav_bytes(signal, 16000))
    (timeline,) = figure.timeline.children
    assert "How far to trust it" in figure.message.value
    assert "its first" not in figure.message.value
    assert not figure.picture.png
    expected = predict.windows(np.round(signal * 32768).astype(np.float32) / 32768, predictor, 16000)
    assert timeline.windows["start_s"].tolist() == expected["start_s"].tolist()
    assert (timeline.windows["emotion"] == expected["emotion"]).mean() > 0.95
    monkeypatch.setattr(widgets.voice, "MAX_TALK_S", 60)
    upload(figure, "another.wav", audio.wav_bytes(np.tile(signal, 3), 16000))
    assert figure.timeline.children[0].windows["end_s"].max() == 60
    assert "These are its first 1 minutes" in figure.message.value
    record(figure, NOISE, 16000)
    assert figure.timeline.children == ()


def test_a_window_is_chosen_by_slider_or_click_and_heard(calibratable, sentences, seen):
    calls = seen("draw_windows")
    signal = np.concatenate([audio.load(file, 16000) for file in sentences])
    timeline = widgets.browse_windows(signal, calibratable[1], 16000)
    assert is_png(timeline.picture)
    assert timeline.picture.is_clickable
    slider, windows = timeline.controls["window"], timeline.windows
    slider.value = 2
    start_s, end_s = windows["start_s"][2], windows["end_s"][2]
    heard, sr = audio.soundfile.read(io.BytesIO(timeline.player.value))
    said = signal[round(start_s * sr) : round(end_s * sr)]
    assert len(heard) == len(said)
    assert np.corrcoef(heard, said)[0, 1] > 0.999
    assert re.search(r"From 0:0\d to 0:0\d the model (says|would rather)", timeline.message.value)

    axes = calls[-1][1][1]
    middle_s = (windows["start_s"][4] + windows["end_s"][4]) / 2
    x = axes.figure.transFigure.inverted().transform(axes.transData.transform((middle_s, 0.5)))[0]
    timeline.picture._handle_custom_msg({"clicked_at": [x, 0.5]}, [])
    assert slider.value == 4
    for strange in ({"clicked_at": [2, 0]}, {"clicked_at": "x"}, {"clicked_at": [None, 0]}, {}, 3):
        timeline.picture._handle_custom_msg(strange, [])
    assert slider.value == 4
    assert widgets.ERROR not in timeline.message.value


def test_a_recording_of_nothing_but_pauses_has_no_timeline(calibratable):
    timeline = widgets.browse_windows(np.zeros(64000, np.float32), calibratable[1], 16000)
    assert "Nothing but pauses" in timeline.message.value
    assert not timeline.picture.png


@pytest.mark.weights
def test_weights_that_are_not_at_hand_are_fetched_on_demand(published_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("SERLIB_WEIGHTS", str(tmp_path))
    whisper._encoder.cache_clear()
    figure, told = widgets.talk(bundle.shipped()), []
    assert figure.controls["bundle"].label.startswith("emodb-paper"), "what works comes first"
    assert figure.fetch.description == "Fetch what 'strangers' needs: 145 MB, licence MIT (OpenAI)"
    assert figure.fetch.layout.display is None

    def refuse(*_, **__):
        raise ConnectionError("nobody is there")

    monkeypatch.setattr(download, "fetch_weights", refuse)
    figure.fetch.click()
    assert "could not be fetched: nobody is there" in figure.message.value
    assert figure.fetch.description == "Try again to fetch the weights"

    def fetch(name, progress):
        figure.fetch.observe(lambda change: told.append(change["new"]), names="description")
        progress(29_043_507, 145_217_532)
        progress(29_043_508, 145_217_532)
        monkeypatch.setenv("SERLIB_WEIGHTS", str(published_weights))

    monkeypatch.setattr(download, "fetch_weights", fetch)
    figure.fetch.click()
    assert told == ["Fetching 145 MB: 20 %"]
    assert figure.fetch.layout.display == "none"
    assert figure.controls["bundle"].value == bundle.find("strangers")
    record(figure, synthetic.speech("anger", "03", gender="male", sr=16000), 16000)
    plain = np.mean([corpus.uar for corpus in bundle.read("strangers").never_heard])
    assert f"it recognises {100 * plain:.0f} % of each emotion on average in corpora" in figure.message.value


def test_talking_and_exploring_corpora_never_import_tensorflow(made, bundles, tmp_path):
    code = """if True:
        import sys
        from serlib import index, synthetic, widgets
        figure = widgets.talk(dict(enumerate(sys.argv[2:])))
        pcm = (20000 * synthetic.speech("anger", "03", gender="male", sr=16000)).astype("<i2").tobytes()
        for number in range(2):
            figure.controls["bundle"].index = number
            figure.controls["voice"].recorder._handle_custom_msg({"sample_rate_hz": 16000 + number}, [pcm])
            assert "How far to trust it" in figure.message.value, figure.message.value
        assert "numba" not in sys.modules
        explorer = widgets.explore_corpora({"tess": index.scan(sys.argv[1], "tess")})
        explorer.controls["method"].value = "t-SNE"
        explorer.map.chosen = explorer.map.data["utterance"][0]
        assert explorer.map.answer["utterance"].startswith("tess/")
        print(sorted({"tensorflow", "keras"} & set(sys.modules)))"""
    command = [sys.executable, "-c", code, str(made["tess"]), *map(str, bundles.values())]
    environment = os.environ | {"SERLIB_CACHE": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_an_error_in_a_callback_is_shown_where_the_picture_was():
    slider = ipywidgets.IntSlider(1, 0, 3)

    def draw(number):
        1 / number
        return plt.figure(), "An empty figure, drawn by a test.", ""

    figure = widgets.InteractiveFigure(draw, {"number": slider})
    slider.value = 0
    assert widgets.ERROR in figure.message.value
    assert "ZeroDivisionError" in figure.message.value
    assert not figure.picture.png
    slider.value = 2
    assert widgets.ERROR not in figure.message.value
    assert is_png(figure.picture)


def test_a_control_that_changes_while_another_is_drawn_is_drawn_next():
    """JupyterLab 4.4 and later run the callbacks of several widgets at once, in threads."""
    is_drawing, may_go_on, drawn = threading.Event(), threading.Event(), []

    def draw(a, b):
        drawn.append((a, b))
        if len(drawn) == 2:
            is_drawing.set()
            assert may_go_on.wait(300)
        return None, "", ""

    figure = widgets.InteractiveFigure(draw, {name: ipywidgets.IntSlider(0, 0, 3) for name in "ab"})
    changes = [threading.Thread(target=setattr, args=(figure.controls[name], "value", 1)) for name in "ab"]
    changes[0].start()
    assert is_drawing.wait(300)
    changes[1].start()
    may_go_on.set()
    for change in changes:
        change.join(300)
    assert drawn[-1] == (1, 1)
    assert len(drawn) == 3


def test_an_error_in_the_first_picture_is_the_cells():
    with pytest.raises(ZeroDivisionError):
        widgets.InteractiveFigure(lambda number: 1 / number, {"number": ipywidgets.IntSlider(0, 0, 3)})


def test_what_is_not_at_hand_is_named_with_the_reason(monkeypatch, workplace, wavs):
    wavs("EMODB/wav/03a01Fa.wav", "EMODB/wav/03a01Wa.wav", "EMODB/wav/08a01Na.wav", root=workplace / "data")
    (workplace / "data" / "ShEMO").mkdir()
    monkeypatch.setenv("SERLIB_PROFILE", "full")
    monkeypatch.setenv("SERLIB_DATA", str(workplace / "data"))
    tables, missing = index.at_hand()
    assert list(tables) == ["emodb"]
    assert "holds no utterance of shemo" in missing["shemo"]
    assert "no folder 'TESS'" in missing["tess"]
    assert index.first_at_hand("tess")["corpus"].iloc[0] == "emodb"


def test_with_no_corpus_at_all_the_preferred_one_is_asked_for(monkeypatch, workplace):
    monkeypatch.setenv("SERLIB_PROFILE", "full")
    monkeypatch.setenv("SERLIB_DATA", str(workplace))
    with pytest.raises(FileNotFoundError, match=r"no corpus is at hand\. emodb: no folder 'EMODB'"):
        index.first_at_hand()


def stored_scores():
    scored = {"recipe": "paper", "uar_ci95": None, "chance": 0.14, "seed": 42}
    rows = [
        ("emodb", "random", 0.8),
        ("emodb", "speakers", 0.5),
        ("tess", "random", 0.9),
        ("tess", "cross-corpus", 0.2),
        ("emodb+tess", "random-normalised", 0.4),
        ("mine", "given-parts", 0.3),
    ]
    return pd.DataFrame([{"corpus": c, "protocol": p, "uar": u, **scored} for c, p, u in rows])


def test_stored_scores_are_chosen_by_recipe_corpus_and_protocol(seen):
    calls = seen("draw_scores")
    figure = widgets.browse_scores(stored_scores())
    assert [value for _, value in figure.controls["corpus"].options] == ["emodb", "tess", "emodb+tess", "mine"]
    protocols = [value for _, value in figure.controls["protocol"].options]
    assert protocols == ["random", "speakers", "given-parts", "random-normalised"]  # not cross-corpus
    assert [tick.get_text() for tick in calls[-1][1].get_xticklabels()][-1] == "EMODB + TESS"
    figure.controls["corpus"].value = ("emodb",)
    assert [row["uar"] for row in calls[-1][0][0][0]] == [0.8, 0.5]
    figure.controls["protocol"].value = ("speakers",)
    assert [row["uar"] for row in calls[-1][0][0][0]] == [0.5]
    figure.controls["corpus"].value = ("tess",)
    assert "nothing is stored of these" in figure.message.value
    assert not figure.picture.png


def test_recipes_are_compared_on_one_corpus_by_one_protocol(seen):
    calls = seen("draw_recipes")
    svm = stored_scores().assign(recipe="mfcc-mean+svm", uar=0.6, uar_ci95=[[0.5, 0.7]] * 6)
    later = stored_scores().assign(seed=43, uar=0.1)
    stored = pd.concat([later, stored_scores(), svm], ignore_index=True).assign(synthetic=True)
    costs = pd.DataFrame({"extract_s": [0.5], "train_s": [11.3]}, index=["paper"])
    figure = widgets.compare_recipes(stored, costs)
    corpus, protocol = figure.controls["corpus"], figure.controls["protocol"]
    assert (corpus.value, protocol.value) == ("emodb", "speakers")
    drawn = calls[-1][0][0][0]
    assert drawn["uar"].to_dict() == {"mfcc-mean+svm": 0.6, "paper": 0.5}  # the best first; the first seed of each
    assert (drawn["uar_ci95"]["mfcc-mean+svm"], drawn["train_s"]["paper"]) == ([0.5, 0.7], 11.3)
    assert drawn.loc["mfcc-mean+svm", ["extract_s"]].isna().all()
    assert calls[-1][0][1] == {"listeners": None}  # nobody listened to synthetic speech
    with pytest.raises(ValueError, match="no result is stored; make one with"):
        widgets.compare_recipes(stored[:0], costs)
    corpus.value = "mine"
    assert [value for _, value in protocol.options] == ["given-parts"]
    assert "mfcc-mean+svm 0.60, paper 0.30" in figure.picture.alt


def test_the_matrix_between_corpora_changes_with_the_recipe(seen):
    calls = seen("draw_across")
    pairs = pd.DataFrame({"trained_on": ["tess", "emodb"], "corpus": ["emodb", "tess"], "uar": 0.4, "chance": 0.2})
    figure = widgets.browse_across({"paper": pairs, "paper-levelled": pairs.assign(uar=0.6)})
    figure.controls["recipe"].value = "paper-levelled"
    assert list(calls[-1][0][0][0]["uar"]) == [0.6, 0.6]
    assert is_png(figure.picture)
