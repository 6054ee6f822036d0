"""Every figure of the README, drawn from a corpus of the current profile, and from stored results."""

from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

from . import audio, bundle, corpora, evaluate, features, figures, index, recipes, results, settings, split

RECIPE = "paper"
ACROSS = ("paper", "whisper+logistic")
EMOTIONS = ("neutral", "sadness", "happiness")  # of the figure of MFCCs


def draw_all(folder, *, corpus="emodb"):
    """Draw every figure of the README, from `corpus` in the current profile.

    Parameters
    ----------
    folder : path-like
        Where the PNG files and their sidecars go.
    corpus : str

    Yields
    ------
    Path
        Each PNG, when it is there.
    """
    table = index.load(corpus)
    unscored = {"corpus": index.names(table)[0], "protocol": None, "recipe": None, "seed": None}
    unscored |= {"synthetic": index.is_synthetic(table)}
    for name, figure, about in _figures(corpus, table):
        yield figures.save(figure, Path(folder) / f"{name}.png", about=unscored | about)


def _figures(corpus, table):
    """Yield the name of each figure, the figure, and what it shows."""
    yield _corpora()
    yield _mfcc(table)
    yield _split(table)
    yield _architecture(table)
    protocols = ("random", "speakers", "loso")  # `speakers` is drawn from what is stored
    random, _, loso = (
        evaluate.load_or_run(corpus, protocol=name, recipe=recipes.get(RECIPE), n_jobs=-1) for name in protocols
    )
    yield _learning_curves(random)
    yield _confusion(random, loso)
    stored = results.stored(settings.current().results)
    stored = stored[stored["seed"] == settings.SEED].sort_values("protocol")
    yield _unseen_speakers(stored[stored["recipe"] == RECIPE])
    yield from _listeners(stored[stored["recipe"] == RECIPE])
    yield from _across_corpora(stored)
    yield from _layers(settings.current().results / "layers.csv")
    yield from _strangers(settings.current().results / "strangers.csv")


def _scored(protocol, **others):
    return {"recipe": RECIPE, "seed": settings.SEED, "protocol": protocol} | others


def _corpora():
    figure, axes = plt.subplots(1, 2, figsize=(11.5, 3.6), layout="constrained", sharey=True, width_ratios=(2, 1))
    passports = [corpora.get(name) for name in corpora.NAMES]
    counts = pd.DataFrame({passport.id: passport.by_emotion for passport in passports}).T.fillna(0).astype(int)
    figures.draw_emotions(counts, ax=axes[0])
    axes[0].legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=9)
    everyone = [(passport.id, speaker.gender) for passport in passports for speaker in passport.speakers.values()]
    axes[1].invert_yaxis()  # shared with the left panel, which inverts it too
    figures.draw_speakers(pd.DataFrame(everyone, columns=["corpus", "gender"]), ax=axes[1])
    about = {"corpus": list(corpora.NAMES), "synthetic": False, "source": "published counts (passports)"}
    return "corpora", figure, about


def _mfcc(table):
    chosen, utterances = recipes.get(RECIPE).features, []
    rows = figures.same_sentence(table, EMOTIONS)
    for row in rows.itertuples():
        signal = audio.load(index.root_of(table) / row.path, chosen.sr)
        utterances.append((row.emotion, signal, features.mfcc(signal, chosen.sr, features=chosen)))
    figure = figures.draw_emotions_as_mfcc(utterances, features=chosen)
    return "mfcc", figure, {"recipe": RECIPE, "utterances": list(rows["utterance"])}


def _split(table):
    figure, axes = plt.subplots(1, 2, figsize=(11.5, 3.6), layout="constrained", width_ratios=(1.25, 1))
    parts = split.from_parts(table)
    figures.draw_parts(index.parts(table), ax=axes[0])
    figures.draw_split(parts, ax=axes[1])
    return "split", figure, {"protocol": parts.protocol, "seed": parts.seed}


def _architecture(table):
    recipe = recipes.get(RECIPE)
    network = recipe.model.build(recipe.features.shape, table["emotion"].nunique())
    ax = figures.draw_architecture(network, inputs="MFCC mean")
    return "architecture", ax.figure, {"recipe": RECIPE, "synthetic": False}


def _learning_curves(random):
    axes = figures.draw_history(random.history)
    return "learning-curves", axes[0].figure, _scored("random")


def _confusion(random, loso):
    figure, axes = plt.subplots(1, 2, figsize=(12.0, 5.2), layout="constrained")
    for ax, result in zip(axes, (random, loso), strict=True):
        figures.draw_confusion(result.predictions, ax=ax)
    return "confusion", figure, _scored(["random", "loso"])


def _unseen_speakers(stored):
    protocols = ["random", "speakers"]
    scores = stored[stored["protocol"].isin(protocols)]
    shipped = scores[scores["corpus"].isin(corpora.NAMES) & ~scores["synthetic"]]
    ax = figures.draw_scores(scores.to_dict("records"), listeners=corpora.listener_uar(shipped["corpus"]))
    return "unseen-speakers", ax.figure, _scored(protocols, corpus=sorted(set(scores["corpus"])))


def _listeners(stored):
    scores = stored[(stored["protocol"] == "speakers") & stored["corpus"].isin(corpora.NAMES) & ~stored["synthetic"]]
    for row in scores.itertuples():
        if votes := corpora.get(row.corpus).listener_scores().get("votes"):
            figure, axes = plt.subplots(1, 2, figsize=(12.0, 5.2), layout="constrained")
            figures.draw_listeners(votes, title=f"{figures.title_of(row.corpus)}, listeners", ax=axes[0])
            figures.draw_confusion(results.read(row.file).predictions, ax=axes[1])
            yield f"listeners-{row.corpus}", figure, _scored("speakers", corpus=row.corpus)


def _across_corpora(stored):
    """Yield the matrices from corpus to corpus of each recipe of `ACROSS`, where they are stored."""
    scores = stored[(stored["protocol"] == "cross-corpus") & ~stored["trained_on"].str.contains("+", regex=False)]
    names = [name for name in ACROSS if (scores["recipe"] == name).any()]
    if names:
        n_corpora = scores["corpus"].nunique()
        size = (len(names) * (2.0 + 0.85 * n_corpora), 1.2 + 0.7 * n_corpora)
        figure, axes = plt.subplots(1, len(names), figsize=size, layout="constrained", squeeze=False)
        for name, ax in zip(names, axes[0], strict=True):
            figures.draw_across(scores[scores["recipe"] == name], ax=ax).set_title(name, fontsize=11)
        about = _scored("cross-corpus", recipe=names, corpus=sorted(set(scores["corpus"])))
        yield "across-corpora", figure, about


def _layers(file):
    """Yield the curve of an encoder's layers, where `benchmarks/layers.py` has measured it."""
    if file.is_file():
        curve = pd.read_csv(file)
        names = list(dict.fromkeys(curve["model"]))
        figure, axes = plt.subplots(1, len(names), figsize=(11.5, 4.0), layout="constrained", sharey=True)
        for name, ax in zip(names, axes, strict=True):
            figures.draw_layers(curve[curve["model"] == name], ax=ax).set_title(name, fontsize=11)
        about = {"recipe": "a layer's mean over time + logistic", "protocol": "speakers", "seed": settings.SEED}
        yield "layers", figure, about | {"corpus": sorted(set(curve["corpus"])), "synthetic": False}


def _strangers(file):
    """Yield the curve over a stranger's known sentences, where `results/strangers.py` has measured it."""
    if file.is_file():
        curve, chance = pd.read_csv(file), 1 / len(bundle.read("strangers").emotions)
        figure, axes = plt.subplots(1, 2, figsize=(11.5, 4.0), layout="constrained", sharey=True)
        for sentences, ax in zip(("any", "neutral"), axes, strict=True):
            chosen = curve[curve["sentences"] == sentences]
            figures.draw_calibration(chosen, chance=chance, ax=ax).set_title(f"{sentences} sentences", fontsize=11)
        about = {"recipe": "strangers", "protocol": "cross-corpus", "seed": None, "synthetic": False}
        yield "calibration", figure, about | {"corpus": sorted(set(curve["corpus"]))}
