"""Browse stored results."""

import contextlib
import functools

import anywidget
import ipywidgets
import pandas as pd
import traitlets

from .. import corpora, figures, index, metrics, results
from .base import PROTOCOL_NAMES, STANDARDISED, STATIC, InteractiveFigure, offer, played, recordings


class ConfusionMatrix(anywidget.AnyWidget):
    """A confusion matrix whose cells can be chosen, and the utterances of the chosen one.

    A message ``{"play": utterance}`` asks for a recording; ``{"played": utterance}`` with a WAV file brings it.
    """

    _esm, _css = STATIC / "matrix.js", STATIC / "matrix.css"
    emotions = traitlets.List().tag(sync=True)
    counts = traitlets.List().tag(sync=True)  # a row per true, a column per predicted emotion
    chosen = traitlets.List().tag(sync=True)  # the true and the predicted emotion of the chosen cell, or nothing
    listed = traitlets.Dict().tag(sync=True)  # as `_cell` returns it


def browse_results(stored, tables):
    """Choose a stored result: see its score and which emotions are confused; list the utterances of a cell, play them.

    Parameters
    ----------
    stored : DataFrame
        As `results.stored` returns it.
    tables : dict of str to DataFrame
        Index tables of the corpora whose recordings are at hand, by corpus id.

    Returns
    -------
    InteractiveFigure
        With one more attribute: ``matrix``, a ConfusionMatrix.

    Raises
    ------
    ValueError
        If nothing is stored.
    """
    _refuse_nothing(stored)
    place = {name: k for k, name in enumerate((*figures.in_order(stored["corpus"]), *PROTOCOL_NAMES))}
    known = stored.assign(how=list(map(_protocol_in_words, stored["protocol"], stored["trained_on"])))
    known = known.sort_values(["recipe", "seed"])
    known = known.sort_values(["corpus", "protocol"], key=lambda names: names.map(place), kind="stable")
    descriptions = {"corpus": "corpus", "how": "protocol", "recipe": "recipe", "seed": "seed"}
    controls = {column: ipywidgets.Dropdown(description=name) for column, name in descriptions.items()}
    read, matrix, shown = functools.lru_cache(maxsize=16)(results.read), ConfusionMatrix(), {}

    def adjust():
        rows = known
        for column, control in controls.items():
            values = rows[column].drop_duplicates().tolist()
            offer(control, [(figures.title_of(v) if column == "corpus" else str(v), v) for v in values], "paper")
            rows = rows[rows[column] == control.value]

    def draw(**wanted):
        (file,) = known.loc[(known[list(wanted)] == pd.Series(wanted)).all(axis=1), "file"]
        predictions = read(file).predictions
        summary, counts = metrics.summary(predictions), metrics.confusion(predictions)
        shown.update(predictions=predictions, files=_files(predictions, tables))
        with matrix.hold_sync():
            matrix.emotions, matrix.counts = list(counts), counts.to_numpy().tolist()
            matrix.chosen, matrix.listed = [], {}
        is_synthetic = predictions.attrs["synthetic"]
        figure = figures.draw_score(summary, listeners=None if is_synthetic else _listeners(summary["corpus"])).figure
        alt = f"A bar from 0 to 1: UAR {summary['uar']:.2f}, chance {summary['chance']:.2f}."
        folds = "once" if summary["n_folds"] == 1 else f"in {summary['n_folds']} folds"
        what = f"{summary['n']:,} utterances{' of synthetic speech' if is_synthetic else ''}"
        what += f" by {predictions['speaker'].nunique()} speakers, tested {folds}"
        return figure, alt, f"{what}; accuracy {summary['accuracy']:.2f}."

    figure = InteractiveFigure(draw, controls, adjust=adjust, below=[matrix])

    def list_cell(change):
        if change["new"]:
            matrix.listed = _cell(*change["new"], **shown)

    def play(_matrix, asked, _buffers):
        matrix.send({"played": asked["play"]}, buffers=[played(shown["files"][asked["play"]])])

    matrix.observe(figure.guarded(list_cell), names="chosen")
    matrix.on_msg(figure.guarded(play))
    figure.matrix = matrix
    return figure


def _refuse_nothing(stored):
    if stored.empty:
        raise ValueError("no result is stored; make one with 'python -m serlib evaluate', or evaluate.load_or_run")


def _protocol_in_words(protocol, trained_on):
    if protocol.startswith("cross-corpus"):
        standardised = STANDARDISED.get(protocol.removeprefix("cross-corpus"))
        return f"trained on {figures.title_of(trained_on)}" + (f", {standardised}" if standardised else "")
    return PROTOCOL_NAMES.get(protocol, protocol)


def _listeners(corpus):
    """Return the UAR of a corpus's listeners, or None where it is not known, as for several corpora together."""
    with contextlib.suppress(ValueError):
        return corpora.listener_uar([corpus]).get(corpus)


def _files(predictions, tables):
    """Return {utterance: recording} for the predictions' recordings that are at hand."""
    files, scored = {}, set(predictions["corpus"])
    for table in tables.values():
        if scored & set(table["corpus"]) and index.is_synthetic(table) == bool(predictions.attrs["synthetic"]):
            files |= recordings(table)
    return {utterance: file for utterance, file in files.items() if file.is_file()}


def _cell(y_true, y_pred, *, predictions, files):
    """Return the utterances of a `ConfusionMatrix`'s cell, the most probable first."""
    rows = predictions[(predictions["y_true"] == y_true) & (predictions["y_pred"] == y_pred)]
    rows = rows.assign(probability=rows[f"p_{y_pred}"], at_hand=[name in files for name in rows["utterance"]])
    rows = rows.sort_values("probability", ascending=False, kind="stable")
    n, n_missing, note = len(rows), int((~rows["at_hand"]).sum()), ""
    if n_missing:
        which = "No recording of these is" if n_missing == n else f"{n_missing} of {n} recordings are not"
        titles = ", ".join(map(figures.title_of, figures.in_order(rows["corpus"])))
        note = f"{which} at hand, to be played; datasets/README.md says how to get {titles}, and where to put it."
    columns = ["utterance", "speaker", "y_true", "y_pred", "probability", "at_hand"]
    return {"cell": [y_true, y_pred], "note": note, "rows": rows[columns].to_dict("records")}


def browse_scores(stored):
    """Choose a recipe, corpora and protocols, and compare their scores; the first seed of each.

    Parameters
    ----------
    stored : DataFrame
        As `results.stored` returns it.

    Returns
    -------
    InteractiveFigure
    """
    known = stored[stored["protocol"].isin(PROTOCOL_NAMES)].sort_values("seed", kind="stable")

    def several(options, description):
        chosen = [value for _, value in options]
        return ipywidgets.SelectMultiple(options=options, value=chosen, description=description, rows=len(options))

    names = [(figures.title_of(name), name) for name in figures.in_order(known["corpus"])]
    protocols = [(says, name) for name, says in PROTOCOL_NAMES.items() if name in set(known["protocol"])]
    recipes = sorted(set(known["recipe"]), key=lambda name: (name != "paper", name))
    controls = {
        "recipe": ipywidgets.Dropdown(options=recipes, description="recipe"),
        "corpus": several(names, "corpora"),
        "protocol": several(protocols, "protocols"),
    }

    def draw(recipe, corpus, protocol):
        rows = known[(known["recipe"] == recipe) & known["corpus"].isin(corpus) & known["protocol"].isin(protocol)]
        rows = rows.drop_duplicates(["corpus", "protocol"])
        if rows.empty:
            return None, "", "nothing is stored of these; choose others"
        scores = rows.sort_values("protocol").to_dict("records")
        bars = (f"{figures.title_of(row['corpus'])} {row['protocol']} {row['uar']:.2f}" for row in scores)
        return figures.draw_scores(scores).figure, f"Bars of UAR by corpus and protocol: {', '.join(bars)}.", ""

    return InteractiveFigure(draw, controls)


def compare_recipes(stored, costs):
    """Choose a corpus and a protocol, and compare all recipes that are stored of them, and what they cost.

    Parameters
    ----------
    stored : DataFrame
        As `results.stored` returns it; of each recipe, the first seed is shown.
    costs : DataFrame
        A row per recipe, its name as index: ``extract_s`` and ``train_s``, seconds.

    Returns
    -------
    InteractiveFigure

    Raises
    ------
    ValueError
        If nothing is stored.
    """
    _refuse_nothing(stored)
    known = stored[stored["protocol"].isin(PROTOCOL_NAMES)].sort_values("seed", kind="stable")
    known = known.drop_duplicates(["corpus", "protocol", "recipe"]).join(costs, on="recipe")
    names = [(figures.title_of(name), name) for name in figures.in_order(known["corpus"])]
    controls = {
        "corpus": ipywidgets.Dropdown(options=names, description="corpus"),
        "protocol": ipywidgets.Dropdown(description="protocol"),
    }

    def adjust():
        protocols = set(known.loc[known["corpus"] == controls["corpus"].value, "protocol"])
        offered = [(says, name) for name, says in PROTOCOL_NAMES.items() if name in protocols]
        offer(controls["protocol"], offered, "speakers")

    def draw(corpus, protocol):
        rows = known[(known["corpus"] == corpus) & (known["protocol"] == protocol)]
        rows = rows.sort_values("uar", ascending=False).set_index("recipe")
        bars = ", ".join(f"{name} {uar:.2f}" for name, uar in rows["uar"].items())
        listeners = None if rows["synthetic"].any() else _listeners(corpus)
        return figures.draw_recipes(rows, listeners=listeners).figure, f"A bar of UAR for each recipe: {bars}.", ""

    return InteractiveFigure(draw, controls, adjust=adjust)


def browse_across(scores):
    """Choose a recipe, and see its scores from corpus to corpus.

    Parameters
    ----------
    scores : dict of str to DataFrame
        By recipe, as `evaluate.across` returns them.

    Returns
    -------
    InteractiveFigure
    """
    controls = {"recipe": ipywidgets.ToggleButtons(options=list(scores), description="recipe")}

    def draw(recipe):
        pairs = scores[recipe][["trained_on", "corpus", "uar"]].itertuples(index=False)
        cells = (f"{figures.title_of(train)} to {figures.title_of(test)} {uar:.2f}" for train, test, uar in pairs)
        return figures.draw_across(scores[recipe]).figure, f"A matrix of UARs: {', '.join(cells)}.", ""

    return InteractiveFigure(draw, controls)
