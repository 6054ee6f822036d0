import json
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from conftest import put_at_hand
from serlib import (
    audio,
    corpora,
    evaluate,
    features,
    figures,
    index,
    labels,
    metrics,
    readme_figures,
    recipes,
    results,
    settings,
    split,
)
from serlib.figures.style import ink

matplotlib.use("Agg")
F = recipes.get("paper").features


@pytest.fixture
def predictions(emodb):
    """What a model might say of synthetic EMODB."""
    emotions, rng = corpora.get("emodb").emotions, np.random.default_rng(0)
    scored = emodb[["utterance", "corpus", "speaker"]].assign(
        recipe="paper", protocol="loso", seed=42, fold=0, y_true=emodb["emotion"]
    )
    return metrics.table_of(scored, rng.dirichlet(np.ones(len(emotions)), len(emodb)), emotions)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_emotions_keep_their_colours_and_counts():
    counts = pd.DataFrame({"sadness": [3, 0], "anger": [1, 4]}, index=["emodb", "crema-d"])
    ax = figures.draw_emotions(counts)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["EMODB", "CREMA-D"]
    handles, names = ax.get_legend_handles_labels()
    assert names == ["anger", "sadness"]
    assert [to_hex(handle[0].get_facecolor()).upper() for handle in handles] == [labels.COLOURS[n] for n in names]
    assert [bar.get_width() for bar in handles[1]] == [0.75, 0]
    assert [bar.get_x() for bar in handles[1]] == [0.25, 1]


def test_speakers_are_counted_by_gender():
    table = pd.DataFrame({"corpus": ["emodb"] * 3, "gender": ["female", "male", "male"]})
    ax = figures.draw_speakers(table)
    assert {c.get_label(): c[0].get_width() for c in ax.containers} == {"female": 1, "male": 2}


def test_mfcc_is_drawn_over_its_own_time():
    signal = np.random.default_rng(0).normal(size=F.sr).astype(np.float32) / 10
    ax = figures.draw_mfcc(features.mfcc(signal, F.sr, features=F), features=F)
    (mesh,) = ax.collections
    assert mesh.get_array().shape == (50, 1 + F.sr // F.hop_length)
    assert ax.get_xlabel() == "time (s)"
    assert 0.95 < ax.get_xlim()[1] < 1.05


def test_three_emotions_share_their_scales(emodb):
    chosen = figures.same_sentence(emodb, ("neutral", "sadness", "happiness"))
    assert list(chosen["emotion"]) == ["neutral", "sadness", "happiness"]
    assert len(set(chosen["speaker"])) == 1
    heard = []
    for row in chosen.itertuples():
        signal = audio.load(index.root_of(emodb) / row.path, F.sr)
        heard.append((row.emotion, signal, features.mfcc(signal, F.sr, features=F)))
    figure = figures.draw_emotions_as_mfcc(heard, features=F)
    above, below = figure.axes[:3], figure.axes[3:6]
    assert [ax.get_title() for ax in above] == ["neutral", "sadness", "happiness"]
    assert len({ax.get_ylim() for ax in above}) == 1
    assert {ax.get_xlim() for ax in below} == {(0, max(len(signal) for _, signal, _ in heard) / F.sr)}
    assert len({ax.collections[0].get_clim() for ax in below}) == 1


def test_a_split_shows_who_is_on_both_sides(emodb):
    n = emodb["speaker"].nunique()
    assert figures.draw_split(split.random(emodb)).get_title() == f"random: {n} of {n} speakers on both sides"
    assert figures.draw_split(split.loso(emodb)).get_title() == f"loso: 0 of {n} speakers on both sides"


def test_the_parts_add_up(emodb):
    parts = index.parts(emodb)
    ax = figures.draw_parts(parts)
    train, test = ax.containers
    assert [bar.get_height() for bar in train] == list(parts["train"][:-1])
    assert [bar.get_height() for bar in test] == list(parts["test"][:-1])


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_the_architecture_is_the_networks_own(name):
    network = recipes.get(name).model.build(F.shape, 7)
    ax = figures.draw_architecture(network)
    drawn = texts(ax)
    for layer in network.layers:
        assert " × ".join(map(str, layer.output.shape[1:])) in drawn
        assert f"{layer.count_params():,}" in drawn or not layer.count_params()
    assert f"{network.count_params():,} parameters" in ax.get_title()


def test_learning_curves_show_every_fold():
    history = pd.DataFrame({"fold": [0, 0, 1, 1], "epoch": [1, 2, 1, 2]}).assign(
        loss=1.0, accuracy=0.5, val_loss=1.1, val_accuracy=0.4
    )
    (line, *_) = figures.draw_history(history[:1])[0].get_lines()
    assert line.get_marker() == "o", "one epoch is a point, which can be seen"
    left, right = figures.draw_history(history)
    assert (len(left.lines), len(right.lines)) == (4, 4)
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "accuracy")
    with pytest.raises(ValueError, match="this classifier does not learn in epochs; expected a row per epoch"):
        figures.draw_history(history[:0])


def test_a_curve_of_layers_has_a_line_for_each_corpus_and_a_band_where_there_is_an_interval():
    rows = [("savee", k, 0.5 + k / 10, np.nan, np.nan) for k in range(3)]
    rows += [("emodb", k, 0.7 + k / 10, 0.6 + k / 10, 0.8) for k in (2, 0, 1)]
    curve = pd.DataFrame(rows, columns=["corpus", "layer", "uar", "low", "high"])
    ax = figures.draw_layers(curve)
    assert {line.get_label(): list(line.get_ydata()) for line in ax.lines} == {
        "EMODB": pytest.approx([0.7, 0.8, 0.9]),
        "SAVEE": pytest.approx([0.5, 0.6, 0.7]),
    }
    assert len(ax.collections) == 2


def test_the_confusion_matrix_shows_counts_score_protocol_and_chance(predictions):
    ax = figures.draw_confusion(predictions)
    counts = metrics.confusion(predictions)
    assert texts(ax) == [str(n) for n in counts.to_numpy().ravel()]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(counts.index)
    assert ax.get_title() == f"EMODB, loso: UAR {metrics.uar(predictions):.2f} (chance 0.14)"
    made = predictions.copy()
    made.attrs["synthetic"] = True
    assert figures.draw_confusion(made).get_title().startswith("synthetic EMODB, loso")


def test_results_of_several_corpora_are_drawn_under_the_names_of_all(predictions):
    both = predictions.assign(corpus=np.where(predictions["fold"].index % 2, "emodb", "ravdess"))
    assert figures.draw_confusion(both).get_title().startswith("EMODB + RAVDESS, loso")
    own = metrics.summary(predictions.assign(corpus="mine"))
    ax = figures.draw_scores([metrics.summary(both), own], listeners={"emodb": 0.9})
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["EMODB + RAVDESS", "mine"]
    pairs = [("emodb+ravdess", "mine", 0.3, 0.2), ("mine", "emodb+ravdess", 0.6, 0.2)]
    ax = figures.draw_across(pd.DataFrame(pairs, columns=["trained_on", "corpus", "uar", "chance"]))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["EMODB + RAVDESS", "mine"]


def test_speakers_of_two_corpora_who_are_called_alike_are_two(emodb):
    other = emodb.assign(
        **{name: emodb[name].str.replace("emodb", "tess") for name in ("utterance", "corpus", "speaker")}
    )
    other["content"] += "'"
    other.attrs = {"corpus": "tess", "synthetic": True}
    ax = figures.draw_split(split.speakers(index.join([emodb, other])))
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert len(set(names)) == len(names) == 2 * emodb["speaker"].nunique()


def test_the_curve_over_known_sentences_has_a_line_for_each_corpus():
    rows = [(corpus, k, uar) for corpus in ("tess", "emodb") for k, uar in (("0", 0.3), ("5", 0.6), ("all", 0.7))]
    curve = pd.DataFrame(rows, columns=["corpus", "k", "uar"])
    ax = figures.draw_calibration(curve, chance=1 / 6)
    *lines, chance = ax.get_lines()
    assert [line.get_label() for line in lines] == ["EMODB", "TESS"]
    assert all(line.get_ydata().tolist() == [0.3, 0.6, 0.7] for line in lines)
    assert chance.get_ydata() == [1 / 6, 1 / 6]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "5", "all"]


def test_windows_stand_at_their_middles_stacked_with_gaps_where_there_are_none():
    rows = [(0, 3, 0.7, []), (1, 4, 0.2, ["unfamiliar: far"]), (9, 12, 0.4, [])]
    windows = pd.DataFrame(rows, columns=["start_s", "end_s", "p_anger", "warnings"])
    windows = windows.assign(emotion="anger", p_fear=1 - windows["p_anger"])
    waveform, ax = figures.draw_windows(windows, np.tile([[-0.5, 0.5]], (240, 1)))
    assert waveform.get_xlim() == ax.get_xlim() == (0, 12)
    areas = [path.get_extents().intervaly.tolist() for drawn in ax.collections for path in drawn.get_paths()]
    assert areas == [[0, 0.7], [0, 0.4], [0, 0.2], [0.7, 1], [0.4, 1], [0.2, 1]]
    middles = [path.get_extents().intervalx.mean() for drawn in ax.collections for path in drawn.get_paths()]
    np.testing.assert_allclose(middles, [1.5, 9.25, 2.5] * 2, atol=1.3)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["fear", "anger"]


@pytest.mark.parametrize("protocol", [*split.PROTOCOLS, split.GIVEN])
def test_every_protocol_has_a_colour_also_with_speakers_standardised(predictions, protocol):
    for name in (protocol, f"{protocol}-normalised"):
        (bar,) = figures.draw_score(metrics.summary(predictions) | {"protocol": name, "uar_ci95": None}).containers
        assert to_hex(bar[0].get_facecolor()) == figures.PROTOCOL_COLOURS[name].lower()


def test_recalls_show_chance_and_uar(predictions):
    ax = figures.draw_recalls(predictions)
    assert [line.get_ydata()[0] for line in ax.lines] == pytest.approx([metrics.uar(predictions), 1 / 7], abs=1e-4)


def test_scores_are_compared_with_chance_and_interval(predictions):
    summary = metrics.summary(predictions)
    ax = figures.draw_scores([summary, {**summary, "protocol": "random", "uar_ci95": None}])
    assert f"{summary['uar']:.2f}" in texts(ax)
    assert "chance" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(ax.containers) == 3  # two bars and one interval


def test_one_score_is_drawn_with_interval_chance_and_listeners(predictions):
    summary = metrics.summary(predictions) | {"uar": 0.5, "chance": 0.25, "uar_ci95": [0.4, 0.7]}
    ax = figures.draw_score(summary, listeners=0.9)
    assert {"UAR 0.50", "chance 0.25", "listeners 0.90"} <= set(texts(ax))
    bar, interval = ax.containers
    assert bar[0].get_width() == 0.5
    ((low, _), (high, _)) = interval.lines[2][0].get_segments()[0]
    assert (low, high) == pytest.approx((0.4, 0.7))
    (mark,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert list(mark.get_xdata()) == [0.9]
    assert len(figures.draw_score({**summary, "uar_ci95": None}).containers) == 1


def test_every_speaker_is_a_dot_and_the_worst_is_named():
    scores = pd.DataFrame({"uar": [0.5, 0.3, 0.7]}, index=["emodb/03", "emodb/08", "emodb/09"])
    ax = figures.draw_speakers_scores(scores, chance=0.25)
    worst, others = ax.collections
    assert worst.get_offsets().tolist() == [[0.3, 0]]
    assert others.get_offsets().tolist() == [[0.5, 1], [0.7, 2]]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["08", "03", "09"]
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == ["mean of the speakers 0.50", "chance 0.25", "worst: speaker 08, 0.30"]
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([0.5, 0.25])


def test_ninety_speakers_are_dots_without_names():
    scores = pd.DataFrame({"uar": np.linspace(0.2, 0.9, 91)}, index=[f"crema-d/{k}" for k in range(91)])
    ax = figures.draw_speakers_scores(scores, chance=1 / 6)
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == 91
    assert len(ax.get_yticks()) == 0


def test_groups_have_intervals_only_where_speakers_suffice():
    columns = ["n_speakers", "n", "uar", "low", "high"]
    groups = pd.DataFrame([(7, 1400, 0.6, 0.5, 0.7), (3, 90, 0.4, np.nan, np.nan)], ["female", "male"], columns)
    ax = figures.draw_groups(groups, chance=0.25)
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names == ["female\n7 speakers, 1,400 utterances", "male\n3 speakers, 90 utterances"]
    assert texts(ax) == ["0.60", "0.40"]
    chance, interval, female, none, male, *_ = ax.lines
    assert (chance.get_xdata()[0], list(interval.get_xdata())) == (0.25, [0.5, 0.6, 0.7])
    assert np.isnan(none.get_xdata()).tolist() == [True, False, True]
    assert [to_hex(dot.get_markerfacecolor()) for dot in (female, male)] == [
        figures.GENDER_COLOURS["female"].lower(),
        "#ffffff",
    ]
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == ["chance 0.25", "UAR, 95 % interval over speakers", "UAR, too few speakers for an interval"]
    ax = figures.draw_groups(groups[:1], chance=0.25)
    assert "UAR, too few speakers for an interval" not in [text.get_text() for text in ax.get_legend().get_texts()]


def test_reliability_shows_numbers_of_utterances_and_the_way_to_the_diagonal():
    columns = ["low", "high", "n", "confidence", "accuracy"]
    table = pd.DataFrame([(0.4, 0.5, 10, 0.45, 0.6), (0.9, 1.0, 40, 0.98, 0.7)], columns=columns)
    ax = figures.draw_reliability(table)
    gaps, dots = ax.collections
    assert [segment.tolist() for segment in gaps.get_segments()] == [
        [[0.45, 0.45], [0.45, 0.6]],
        [[0.98, 0.7], [0.98, 0.98]],
    ]
    assert dots.get_offsets().tolist() == [[0.45, 0.6], [0.98, 0.7]]
    assert dots.get_sizes()[0] < dots.get_sizes()[1]
    assert texts(ax) == ["10", "40", "not sure enough", "too sure"]
    assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata()) == [0, 1]


def test_probabilities_are_drawn_with_chance():
    ax = figures.draw_probabilities({"anger": 0.7, "fear": 0.3})
    assert [bar.get_width() for bar in ax.patches] == [0.7, 0.3]
    assert ax.lines[0].get_xdata()[0] == 0.5


def test_durations_have_a_box_per_corpus(emodb):
    ax = figures.draw_durations(emodb)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["EMODB"]
    assert ax.get_xlabel() == "duration (s)"


def test_mean_mfccs_are_drawn_as_differences_from_one_emotion_without_the_level():
    ax = figures.draw_mean_mfcc({"neutral": np.arange(50.0), "anger": 3 * np.arange(50.0)}, reference="neutral")
    zero, anger = ax.lines
    assert [zero.get_label(), anger.get_label()] == ["neutral", "anger"]
    assert anger.get_xdata().tolist() == list(range(1, 50))
    assert anger.get_ydata().tolist() == [2.0 * k for k in range(1, 50)]


def test_a_saved_figure_is_the_same_bytes_twice_and_says_what_it_is(tmp_path):
    about = {"corpus": "emodb", "protocol": "random", "recipe": "paper", "seed": 42, "synthetic": True}
    saved = []
    for name in ("a.png", "b.png"):
        ax = figures.draw_probabilities({"anger": 0.7, "fear": 0.3})
        saved.append(figures.save(ax.figure, tmp_path / name, about=about).read_bytes())
        assert [text.get_text() for text in ax.figure.texts] == ["synthetic speech"]
    assert saved[0] == saved[1]
    sidecar = json.loads((tmp_path / "a.json").read_text())
    assert sidecar.items() > about.items()
    assert "serlib" in sidecar["versions"]


def test_a_figure_replaces_its_own_sidecar_and_nobody_elses(tmp_path):
    figure = figures.draw_probabilities({"anger": 0.7, "fear": 0.3}).figure
    for about in ({"synthetic": True}, {"seed": 42}):
        figures.save(figure, tmp_path / "a.png", about=about)
    for somebodys in ("[1]", "3", "{", '{"title": "thesis"}'):
        (tmp_path / "b.json").write_text(somebodys)
        with pytest.raises(ValueError, match=r"b\.json is not serlib's, and would be replaced; nothing was written"):
            figures.save(figure, tmp_path / "b.png", about=about)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["a.json", "a.png", "b.json"]
        assert (tmp_path / "b.json").read_text() == somebodys


def test_listeners_are_drawn_beside_the_model(predictions):
    votes = {"anger": {"anger": 3, "fear": 1}, "fear": {"fear": 2}}
    ax = figures.draw_listeners(votes, title="EMODB")
    assert [text.get_text() for text in ax.texts] == ["3", "1", "0", "2"]
    assert ax.get_title() == "EMODB: UAR 0.88 (chance 0.50)"
    (marks,) = [
        line for line in figures.draw_recalls(predictions, listeners={"anger": 0.9}).lines if line.get_marker() == "D"
    ]
    assert list(marks.get_ydata()) == [0.9]
    ax = figures.draw_scores([metrics.summary(predictions)], listeners={"emodb": 0.93, "crema-d": 0.4})
    (marks,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert list(marks.get_ydata()) == [0.93]


def test_a_ladder_has_a_bar_for_each_way_of_testing():
    scores = pd.DataFrame(
        {"score": [0.9, 0.5], "is_speaker_independent": [False, True]}, index=["random", "unseen speakers"]
    )
    ax = figures.draw_ladder(scores, chance=0.2)
    assert [round(bar.get_width(), 2) for bar in ax.patches] == [0.9, 0.5]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()
    assert "chance 0.20" in [text.get_text() for text in ax.texts]


def test_recipes_stand_below_one_another_with_interval_and_cost():
    nan = float("nan")
    scores = pd.DataFrame(
        [("a+b", 0.8, [0.7, 0.9], 12.3, 0.6), ("c+d", 0.4, None, nan, nan)],
        columns=["recipe", "uar", "uar_ci95", "extract_s", "train_s"],
    )
    scores = scores.assign(chance=0.2, protocol="speakers").set_index("recipe")
    ax = figures.draw_recipes(scores, listeners=0.93)
    assert [bar.get_width() for bar in ax.patches] == [0.8, 0.4]
    assert [text.get_text() for text in ax.texts] == ["0.80   12 s + 0.6 s", "0.40"]
    (interval,) = ax.collections
    np.testing.assert_allclose(interval.get_segments()[0][:, 0], [0.7, 0.9])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["chance 0.20", "listeners 0.93"]


def test_what_is_known_stands_beside_what_is_guessed():
    known = pd.DataFrame({"uar": [0.95, 0.6], "chance": [0.1, 0.14]}, index=["speaker", "emotion"])
    ax = figures.draw_knowledge(known)
    assert [bar.get_height() for bar in ax.patches] == [0.95, 0.6, 0.1, 0.14]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["speaker", "emotion"]


def test_scores_between_corpora_stand_in_a_matrix():
    pairs = [("tess", "emodb", 0.3, 0.2), ("emodb", "tess", 0.6, 0.2)]
    scores = pd.DataFrame(pairs, columns=["trained_on", "corpus", "uar", "chance"])
    ax = figures.draw_across(scores)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["EMODB", "TESS"]
    assert [text.get_text() for text in ax.texts] == ["0.60\n(0.20)", "0.30\n(0.20)"]
    above = ax.collections[0].get_array().reshape(2, 2)
    np.testing.assert_allclose(above.filled(-1), [[-1, 0.5], [0.125, -1]])


def test_levels_are_boxes_by_corpus():
    recordings = pd.DataFrame(
        {"corpus": ["tess", "emodb", "tess"], "level_db": [-30, -18, -32], "silent": [0, 0.1, 0.2]}
    )
    axes = figures.draw_levels(recordings)
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == ["EMODB", "TESS"]
    assert [axes[0].get_xlabel(), axes[1].get_xlabel()] == [
        "level (dB relative to full scale)",
        "share of silence at the edges",
    ]


@pytest.mark.slow
def test_every_figure_of_the_readme_is_drawn_and_of_listeners_where_their_votes_are_known(made, workplace, monkeypatch):
    put_at_hand(made, workplace)
    monkeypatch.setattr(evaluate, "SYNTHETIC_SHARE", 250)  # 2 epochs
    drawn = {file.name for file in readme_figures.draw_all(workplace / "figures")}
    names = ("corpora", "mfcc", "split", "architecture", "learning-curves", "confusion", "unseen-speakers")
    assert drawn == {f"{name}.png" for name in names}
    assert all((workplace / "figures" / name).with_suffix(".json").is_file() for name in drawn)
    evaluate.load_or_run("crema-d", protocol="speakers", recipe=recipes.get("paper"))
    (score,) = results.stored(settings.current().results).query("corpus == 'crema-d'").to_dict("records")
    sidecar = Path(score.pop("file").replace(".csv.gz", ".json"))
    sidecar.write_text(json.dumps(score | {"synthetic": False}))  # as if it were the real corpus's
    stored = results.stored(settings.current().results)
    assert [name for name, *_ in readme_figures._listeners(stored)] == ["listeners-crema-d"]


def test_the_matrices_between_corpora_are_of_single_corpora_and_stand_side_by_side():
    pairs = [("emodb", "tess"), ("tess", "emodb"), ("savee+tess", "emodb")]
    rows = [
        {"trained_on": a, "corpus": b, "recipe": recipe, "uar": uar, "chance": 0.2, "protocol": "cross-corpus"}
        for recipe, uar in (("paper", 0.3), ("whisper+logistic", 0.6))
        for a, b in pairs
    ]
    ((name, figure, about),) = readme_figures._across_corpora(pd.DataFrame(rows))
    panels = {ax.get_title(): [text.get_text() for text in ax.texts] for ax in figure.axes if ax.get_title()}
    assert panels == {"paper": ["0.30\n(0.20)"] * 2, "whisper+logistic": ["0.60\n(0.20)"] * 2}
    assert (name, about["recipe"]) == ("across-corpora", ["paper", "whisper+logistic"])
    assert list(readme_figures._across_corpora(pd.DataFrame(rows).assign(protocol="loso"))) == []


@pytest.mark.parametrize("emotion", labels.EMOTIONS)
def test_numbers_on_an_emotions_colour_can_be_read(emotion):
    """Contrast by WCAG 2.1: at least 4.5 to 1."""

    def luminance(colour):
        rgb = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(colour)]
        return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]

    counts = pd.DataFrame({emotion: [9]}, index=["emodb"])
    (text,) = figures.draw_emotions(counts).texts
    pair = sorted([luminance(text.get_color()), luminance(labels.COLOURS[emotion])])
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_emotions_and_genders_always_look_the_same_and_nobody_as_another():
    assert figures.marks(["sadness", "calm"], "emotion").items() <= figures.marks(labels.EMOTIONS, "emotion").items()
    assert len(set(figures.marks(labels.EMOTIONS, "emotion").values())) == len(labels.EMOTIONS)
    assert list(figures.marks(["male", "", "female"], "gender")) == ["female", "male"]
    speakers = figures.marks([f"crema-d/{k}" for k in range(72)], "speaker")
    assert len(set(speakers.values())) == 72


def measured(emodb):
    rng = np.random.default_rng(0)
    return emodb.assign(level_db=rng.uniform(-40, -10, len(emodb)), pitch_hz=rng.uniform(80, 400, len(emodb)))


def test_an_utterance_is_marked_where_its_values_are(emodb):
    table = measured(emodb)
    row = table.iloc[5]
    axes = figures.draw_comparison(table, marked=row["utterance"]).axes
    for ax, measure in zip(axes[1:], figures.MEASURES, strict=True):
        (mark,) = [line for line in ax.lines if line.get_marker() == "D"]
        assert mark.get_xydata().tolist() == [[row[measure], 0]]


def test_silence_has_no_level_to_draw(emodb):
    table = measured(emodb)
    table.loc[0, ["level_db", "pitch_hz"]] = -np.inf, np.nan
    levels = figures.draw_comparison(table, marked=table["utterance"][0]).axes[2]
    assert np.isfinite(levels.get_xlim()).all()


def test_speakers_are_compared_by_their_medians(emodb):
    table = measured(emodb)
    _, durations, levels, _ = figures.draw_comparison(table, by="speaker").axes
    for ax, measure in ((durations, "duration_s"), (levels, "level_db")):
        drawn = sorted(line.get_xdata()[0] for line in ax.lines if line.get_marker() in figures.MARKERS)
        assert drawn == pytest.approx(sorted(table.groupby("speaker")[measure].median()))


def test_the_steps_show_other_settings_without_a_new_figure(emodb):
    signal = audio.load(index.root_of(emodb) / emodb["path"][0], F.sr)
    steps = figures.MfccFigure()
    for sizes in (F, features.MfccMean(n_fft=2048, win_length=2048, hop_length=512, n_mels=32, n_mfcc=13)):
        made = [
            make(signal, F.sr, features=sizes) for make in (features.spectrogram_db, features.mel_db, features.mfcc)
        ]
        steps.show(signal, *made, features=sizes)
        images = [image for ax in steps.figure.axes for image in ax.images]
        for image, matrix in zip(images, made, strict=True):
            np.testing.assert_array_equal(image.get_array(), matrix)
        assert images[2].get_extent()[2:] == [-0.5, sizes.n_mfcc - 0.5]
        assert f"{sizes.n_mels} mel bands" in steps.figure.axes[2].get_title(loc="left")
    assert plt.get_fignums() == [steps.figure.number]


AA = 4.5  # least contrast of text, WCAG 2.1, success criterion 1.4.3


def contrast(one, other):
    """Return the contrast ratio of two colours as WCAG 2.1 defines it."""
    channels = ([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in (one, other))
    linear = ([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour] for colour in channels)
    dark, light = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in linear)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [  # as the contrast checkers of WebAIM and of browsers say
        ("#000000", "#ffffff", 21.0),
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
        ("#0000ff", "#ffffff", 8.59),
    ],
)
def test_contrast_is_what_others_say(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("ground", [*labels.COLOURS.values(), *figures.GENDER_COLOURS.values()])
def test_numbers_on_the_colours_of_figures_can_be_read(ground):
    assert contrast(to_hex(ink(ground)), ground) >= AA


def test_numbers_in_heatmaps_can_be_read():
    shares = [k / 10 for k in range(11)]
    pairs = [(one, other) for one in corpora.NAMES for other in corpora.NAMES if one != other][: len(shares)]
    scores = pd.DataFrame(pairs, columns=["trained_on", "corpus"]).assign(uar=shares, chance=0.0)
    votes = {
        "anger": {"anger": 75, "fear": 10, "sadness": 15},
        "fear": {"anger": 40, "fear": 60},
        "sadness": {"anger": 20, "fear": 50, "sadness": 30},
    }
    for ax, n in ((figures.draw_across(scores), len(shares)), (figures.draw_listeners(votes), 9)):
        (mesh,) = ax.collections
        grounds = mesh.get_facecolors()[~np.ma.getmaskarray(mesh.get_array()).ravel()]
        assert len(ax.texts) == len(grounds) == n
        for text, ground in zip(ax.texts, grounds, strict=True):
            assert contrast(to_hex(text.get_color()), to_hex(ground)) >= AA, text.get_text()
        plt.close(ax.figure)
