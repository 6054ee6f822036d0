"""Compare corpora, and explore a map of their utterances."""

import functools

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets

from .. import audio, features, figures, recipes, settings
from .base import STATIC, InteractiveFigure, played, png_of, recordings, row_of

N_MEASURED = 600  # utterances of a corpus whose level and pitch are measured
N_MAPPED = 1200  # utterances on a map
AXES = {"PCA": ("first principal component", "second principal component"), "t-SNE": ("t-SNE 1", "t-SNE 2")}
NO_POINTS = {name: [] for name in ("x", "y", "utterance", "text", "group", "corpus", "groups", "corpora")}
NO_POINTS |= {"by": "", "title": "", "axes": ["", ""]}


class Map(anywidget.AnyWidget):
    """Utterances as points in a plane, in colours and shapes; a chosen one is played and shown beside them."""

    _esm, _css = STATIC / "map.js", STATIC / "map.css"
    data = traitlets.Dict().tag(sync=True)  # as `_Measured.map` returns it
    chosen = traitlets.Unicode().tag(sync=True)  # the utterance that was chosen
    answer = traitlets.Dict().tag(sync=True)  # as `_Measured.answer` returns it; empty at first


def explore_corpora(tables, *, features=None):
    """Compare corpora side by side, and explore a map of their utterances.

    Above, what the corpora consist of, and how long, how loud and how high their utterances are; below, the plane into
    which PCA or t-SNE lays their mean MFCCs. An utterance that is chosen on the map is played, drawn, and marked above.
    Level, pitch and MFCCs are those of at most `N_MEASURED` utterances of a corpus, drawn at random; if they are more
    than `N_MAPPED` in all, the map shows so many, with the same limit for each corpus. All that is computed is cached.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Index tables by corpus id.
    features : MfccMean, optional
        How the MFCCs are made; by default as in the recipe ``paper``.

    Returns
    -------
    InteractiveFigure
        Its ``controls`` are a checkbox per corpus id, ``by`` and ``method``; with one more attribute: ``map``, a Map.
    """
    measured = _Measured(tables, features or recipes.get("paper").features)
    boxes = {
        name: ipywidgets.Checkbox(True, description=f"{figures.title_of(name)} ({len(table):,})", indent=False)
        for name, table in tables.items()
    }
    by = ipywidgets.ToggleButtons(options=["emotion", "gender", "speaker"], description="colour by")
    method = ipywidgets.ToggleButtons(options=list(AXES), description="map of the mean MFCCs by")
    points = Map()

    def draw(by, **is_chosen):
        names = [name for name in tables if is_chosen[name]]
        if not names:
            return None, "", "No corpus is chosen; choose one or more."
        table = measured.rows(names)
        if not table[by].any():
            return None, "", f"No {by} is published of what is chosen; choose another corpus or another colouring."
        chosen = ", ".join(map(figures.title_of, names))
        figure = figures.draw_comparison(table, by=by, marked=points.chosen)
        return figure, f"Four charts of {chosen}: shares, durations, levels and pitch by {by}.", ""

    def draw_map():
        names = tuple(name for name in tables if boxes[name].value)
        points.data = measured.map(names, by.value, method.value)

    figure = InteractiveFigure(
        draw,
        boxes | {"by": by},
        rows=[[ipywidgets.Label("corpora (utterances)"), *boxes.values()], [by]],
        below=[row_of(method), points],
    )
    draw_map()

    def redraw_map(_change):
        figure.message.value = f"{method.value} is at work …"
        draw_map()

    def show_chosen(change):
        if change["new"]:
            try:
                points.answer = measured.answer(change["new"])
            except Exception:
                points.answer, points.chosen = {}, ""
                raise
            figure.redraw()

    figure.controls["method"], figure.map = method, points
    for control in (*boxes.values(), by, method):
        control.observe(figure.guarded(redraw_map), names="value")
    points.observe(figure.guarded(show_chosen), names="chosen")
    return figure


class _Measured:
    """Corpora with the level, pitch and MFCCs of some of their utterances, measured when first asked for."""

    def __init__(self, tables, kind):
        self._tables, self._kind = tables, kind
        self._measured, self._places = functools.cache(self._measure), functools.cache(self._place)

    def _measure(self, name):
        """Return a table in random order, and the mean MFCCs of its first `N_MEASURED` rows."""
        table = self._tables[name].sample(frac=1, random_state=settings.SEED)
        some = table[:N_MEASURED]
        table.loc[some.index, ["level_db", "pitch_hz"]] = features.level_and_pitch(some)
        return table, features.extract(some, features=self._kind)

    def _place(self, names, method):
        """Return the rows that are on the map, and where each lies."""
        n_all = sum(len(self._measured(name)[1]) for name in names)
        most = None if n_all <= N_MAPPED else N_MAPPED // len(names)
        vectors = [self._measured(name)[1][:most] for name in names]
        rows = [self._measured(name)[0][: len(own)] for name, own in zip(names, vectors, strict=True)]
        return pd.concat(rows, ignore_index=True), features.project(np.concatenate(vectors), method)

    def rows(self, names):
        """Return the tables of some corpora, one below the other."""
        tables = (self._measured(name)[0].sort_values("corpus", kind="stable") for name in names)
        return pd.concat(tables, ignore_index=True)

    def map(self, names, by, method):
        """Return what a `Map` shows as its ``data``."""
        n_all = sum(len(self._tables[name]) for name in names)
        if n_all < 3:  # no plane
            return NO_POINTS
        table, places = self._places(names, method)
        looks = figures.marks(table[by], by) | ({"": ("#8A8A8A", "o")} if "" in set(table[by]) else {})
        groups, corpora = list(looks), figures.in_order(table["corpus"])
        drawn = "" if n_all == len(table) else f" of {n_all:,}, drawn at random"
        return {
            "x": places[:, 0].tolist(),
            "y": places[:, 1].tolist(),
            "utterance": table["utterance"].tolist(),
            "text": [f"{row.utterance.split('/')[1]}: {_description(row)}" for row in table.itertuples()],
            "group": [groups.index(value) for value in table[by]],
            "corpus": [corpora.index(name) for name in table["corpus"]],
            "groups": [
                {"name": name or "not published", "colour": colour, "marker": marker}
                for name, (colour, marker) in looks.items()
            ],
            "corpora": list(map(figures.title_of, corpora)),
            "by": by,
            "title": f"{method} of {self._kind.n_mfcc} mean MFCCs: {len(table):,} utterances{drawn}",
            "axes": AXES[method],
        }

    def answer(self, utterance):
        """Return what a `Map` shows as its ``answer``."""
        name = next(name for name, table in self._tables.items() if utterance in set(table["utterance"]))
        table = self._measured(name)[0]
        table = table[table["utterance"] == utterance]
        (row,), file = table.itertuples(), recordings(table)[utterance]
        signal = audio.load(file, self._kind.sr)
        mfcc = features.mfcc(signal, self._kind.sr, features=self._kind)
        values = f"{row.duration_s:.1f} s, {row.level_db:.0f} dB, {row.pitch_hz:.0f} Hz".replace("-", "−")
        return {
            "utterance": utterance,
            "caption": f"{utterance}: {_description(row)}; {values}",
            "wav": played(file),
            "png": png_of(figures.draw_emotions_as_mfcc([(row.emotion, signal, mfcc)], features=self._kind)),
            "alt": f"Waveform and MFCCs over time of {utterance}.",
        }


def _description(row):
    """Describe an utterance: its emotion, and who speaks."""
    speaker = row.speaker.split("/")[-1]
    return f"{row.emotion}, speaker {speaker}" + (f" ({row.gender})" if row.gender else "")
