"""Thin shells over draw functions: controls that choose arguments, and the picture that comes of them.

A shell computes nothing: what its draw function needs is passed in, or kept from the first time. Options come from
the data, so that what is missing cannot be chosen. A callback has no caller that could see it fail, so a shell shows
the traceback in place of the picture, in a block of the class `ERROR` that headless runs look for.
"""

import contextlib
import dataclasses
import functools
import html
import io
import traceback
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from matplotlib import pyplot as plt

from . import audio, corpora, figures, index, labels, model, predict, settings
from . import features as mfccs
from . import split as splitting

ERROR = "serlib-error"
MAX_UPLOAD_BYTES = 8_000_000  # a minute and a half of 16-bit mono at 44.1 kHz; servers drop messages above 10 MB
MAX_RECORDING_S = 30
PLAYED_HZ = 16000
N_MEASURED = 600  # utterances of a corpus whose level and pitch are measured
N_MAPPED = 1200  # utterances on a map
AXES = {"PCA": ("first principal component", "second principal component"), "t-SNE": ("t-SNE 1", "t-SNE 2")}
NO_POINTS = {name: [] for name in ("x", "y", "utterance", "text", "group", "corpus", "groups", "corpora")}
NO_POINTS |= {"by": "", "title": "", "axes": ["", ""]}
INVERT = "Hear what the MFCCs keep"
STATIC = Path(__file__).parent / "static"

PROTOCOL_NAMES = {
    "random": "random utterances (speaker-dependent)",
    "speakers": "groups of speakers (speaker-independent)",
    "loso": "one speaker at a time (speaker-independent)",
    "sentences": "groups of sentences (speaker-dependent)",
    "speakers-normalised": "groups of speakers, standardised by their own recordings",
    "loso-normalised": "one speaker at a time, standardised by the speaker's own recordings",
}


class Html(str):
    """A sentence that is HTML already, whatever it holds of others escaped."""


class Shell(ipywidgets.VBox):
    """Controls above, a sentence and the picture below; all is drawn anew when a control changes.

    Parameters
    ----------
    draw : callable
        Takes an argument per control, and returns a Figure (or None) and a sentence (or ""), text or `Html`.
    controls : dict of str to Widget
        By the name of the argument.
    player : ipywidgets.Audio, optional
        Stands between the controls and the picture, where there is one.

    Attributes
    ----------
    controls : dict of str to Widget
    message : ipywidgets.HTML
    picture : ipywidgets.Image
        PNG.
    """

    def __init__(self, draw, controls, *, player=None):
        self._draw, self.controls, self.player = draw, controls, player
        self.message = ipywidgets.HTML()
        self.picture = ipywidgets.Image(
            format="png", layout={"max_width": "calc(100% - 8px)", "align_self": "flex-start"}
        )
        for control in controls.values():
            if hasattr(control, "style"):  # boxes have none
                control.style.description_width = "initial"
                control.layout.width = "28em" if hasattr(control, "continuous_update") else "auto"
        row = ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap", "grid_gap": "4px 20px"})
        self._heard = ipywidgets.Box()
        super().__init__([row, self._heard, self.message, self.picture])
        self._show()
        for control in controls.values():
            control.observe(self._redraw, names="value")

    def _show(self):
        figure, sentence = self._draw(**{name: control.value for name, control in self.controls.items()})
        self.message.value = sentence if isinstance(sentence, Html) else html.escape(sentence)
        self._show_picture(b"" if figure is None else _png(figure))

    def _show_picture(self, png):
        self.picture.value = png
        self.picture.layout.display = "" if png else "none"
        is_heard = self.player and png  # a browser reports a player without a sound as an error
        self._heard.children = [self.player] if is_heard else []

    def _redraw(self, _change):
        with _errors_in(self.message):
            return self._show()
        self._show_picture(b"")


@contextlib.contextmanager
def _errors_in(message):
    """Show the traceback of an error in an HTML widget, and go on after the block."""
    try:
        yield
    except Exception:
        message.value = f'<pre class="{ERROR}">{html.escape(traceback.format_exc())}</pre>'


class Picture(anywidget.AnyWidget):
    """A picture with alt text.

    Attributes
    ----------
    png : bytes
        Nothing is shown where there are none.
    alt : str
    """

    _esm, _css = STATIC / "picture.js", STATIC / "picture.css"
    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)

    def show(self, png, alt=""):
        """Exchange picture and alt text at once."""
        with self.hold_sync():
            self.png, self.alt = png, alt


def _row(*controls):
    """Put controls side by side, as far as there is room, with their whole descriptions."""
    for control in controls:
        control.style.description_width = "initial"
    return ipywidgets.HBox(controls, layout={"flex_flow": "row wrap", "grid_gap": "4px 20px"})


def _png(figure):
    """Render a figure, and let go of it: pyplot would show it a second time."""
    png = _rendered(figure)
    plt.close(figure)
    return png


def _rendered(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, pil_kwargs={"compress_level": 1})  # the quickest; a tenth larger
    return file.getvalue()


def _played(source):
    """Return a recording as the bytes of a WAV file, as loud as can be."""
    return _wav(audio.load(source, PLAYED_HZ), PLAYED_HZ)


def _wav(signal, sr):
    return audio.wav_bytes(signal / (float(abs(signal).max()) or 1.0), sr)


def _player():
    return ipywidgets.Audio(value=b"", format="wav", autoplay=False, loop=False)


class Map(anywidget.AnyWidget):
    """Utterances as points in a plane, told apart by colour and shape; a chosen one is heard and shown beside them.

    Attributes
    ----------
    data : dict
        ``x``, ``y``, ``utterance``, ``text`` (what is read when pointed at), ``group`` and ``corpus`` (numbers) of each
        point; ``groups`` (``name``, ``colour``, ``marker``), ``corpora`` (names), ``by``, ``title``, ``axes``.
    chosen : str
        The utterance that was chosen.
    answer : dict
        What is heard and shown of it: ``utterance``, ``caption``, ``wav``, ``png``, ``alt``; empty at first.
    """

    _esm, _css = STATIC / "map.js", STATIC / "map.css"
    data = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)


class CorpusExplorer(ipywidgets.VBox):
    """What `explore_corpora` returns.

    Attributes
    ----------
    controls : dict of str to Widget
        A checkbox per corpus id; ``by`` and ``method``.
    message : ipywidgets.HTML
    picture : Picture
    map : Map
    """

    def __init__(self, tables, *, features):
        self._tables, self._features = tables, features
        self._placed = functools.lru_cache(maxsize=64)(self._place)
        self._measured = functools.cache(self._measure)
        boxes = {
            name: ipywidgets.Checkbox(True, description=f"{corpora.short_title(name)} ({len(table):,})", indent=False)
            for name, table in tables.items()
        }
        self.controls = boxes | {
            "by": ipywidgets.ToggleButtons(options=["emotion", "gender", "speaker"], description="colour by"),
            "method": ipywidgets.ToggleButtons(options=list(AXES), description="map of the mean MFCCs by"),
        }
        for box in boxes.values():
            box.layout.width = "auto"
        for name in ("by", "method"):
            self.controls[name].layout.width, self.controls[name].style.button_width = "max-content", "auto"
        self.message, self.picture, self.map = ipywidgets.HTML(), Picture(), Map()
        title = ipywidgets.Label("corpora (utterances)")
        rows = [_row(title, *boxes.values()), _row(self.controls["by"]), self.message, self.picture]
        super().__init__([*rows, _row(self.controls["method"]), self.map])
        self._show()
        for name, control in self.controls.items():
            control.observe(self._redraw_map if name == "method" else self._redraw, names="value")
        self.map.observe(self._redraw_chosen, names="chosen")

    def _names(self):
        return tuple(name for name in self._tables if self.controls[name].value)

    def _measure(self, name):
        """Return a corpus's table in random order, and the mean MFCCs of its first `N_MEASURED` rows."""
        table = self._tables[name].sample(frac=1, random_state=settings.SEED)
        some = table[:N_MEASURED]
        table.loc[some.index, ["level_db", "pitch_hz"]] = mfccs.level_and_pitch(some)
        return table, mfccs.extract(some, features=self._features)

    def _together(self, names):
        return pd.concat([self._measured(name)[0] for name in names], ignore_index=True)

    def _place(self, names, method):
        """Return the rows that are on the map, and where each lies."""
        n_all = sum(len(self._measured(name)[1]) for name in names)
        most = None if n_all <= N_MAPPED else N_MAPPED // len(names)
        vectors = [self._measured(name)[1][:most] for name in names]
        rows = [self._measured(name)[0][: len(own)] for name, own in zip(names, vectors, strict=True)]
        return pd.concat(rows, ignore_index=True), mfccs.project(np.concatenate(vectors), method)

    def _redraw(self, _change):
        with _errors_in(self.message):
            return self._show()
        self.picture.show(b"")

    def _redraw_map(self, _change):
        with _errors_in(self.message):
            self._show_map()

    def _redraw_chosen(self, _change):
        if not self.map.chosen:
            return
        with _errors_in(self.message):
            self._show_chosen()
            return self._show_comparison()
        self.map.answer, self.map.chosen = {}, ""

    def _show(self):
        self._show_comparison()
        self._show_map()

    def _show_comparison(self):
        names, by = self._names(), self.controls["by"].value
        self.message.value = "" if names else "No corpus is chosen; choose one or more."
        if not names:
            return self.picture.show(b"")
        table = self._together(names)
        if not table[by].any():
            self.message.value = f"No {by} is published of what is chosen; choose another corpus or another colouring."
            return self.picture.show(b"")
        figure = figures.draw_comparison(table, by=by, marked=self.map.chosen)
        chosen = ", ".join(map(corpora.short_title, names))
        self.picture.show(_png(figure), f"Four charts of {chosen}: shares, durations, levels and pitch by {by}.")

    def _show_map(self):
        names, by, method = self._names(), self.controls["by"].value, self.controls["method"].value
        if sum(len(self._tables[name]) for name in names) < 3:  # no plane
            self.map.data = NO_POINTS
            return
        before, self.message.value = self.message.value, f"{method} is at work …"
        table, places = self._placed(names, method)
        self.message.value = before
        looks = figures.marks(table[by], by) | ({"": ("#8A8A8A", "o")} if "" in set(table[by]) else {})
        n_all, order = sum(len(self._tables[name]) for name in names), list(looks)
        drawn = "" if n_all == len(table) else f" of {n_all:,}, drawn at random"
        self.map.data = {
            **{"x": places[:, 0].tolist(), "y": places[:, 1].tolist(), "utterance": table["utterance"].tolist()},
            "text": [f"{row.utterance.split('/')[1]}: {_who(row)}" for row in table.itertuples()],
            "group": [order.index(value) for value in table[by]],
            "corpus": [names.index(name) for name in table["corpus"]],
            "groups": [
                {"name": name or "not published", "colour": colour, "marker": marker}
                for name, (colour, marker) in looks.items()
            ],
            "corpora": [corpora.short_title(name) for name in names],
            "by": by,
            "title": f"{method} of {self._features.n_mfcc} mean MFCCs: {len(table):,} utterances{drawn}",
            "axes": AXES[method],
        }

    def _show_chosen(self):
        corpus = self.map.chosen.split("/")[0]
        table = self._measured(corpus)[0]
        (row,) = table[table["utterance"] == self.map.chosen].itertuples()
        file = index.root_of(table) / row.path
        signal = audio.load(file, self._features.sr)
        mfcc = mfccs.mfcc(signal, self._features.sr, features=self._features)
        values = f"{row.duration_s:.1f} s, {row.level_db:.0f} dB, {row.pitch_hz:.0f} Hz".replace("-", "−")
        self.map.answer = {
            "utterance": row.utterance,
            "caption": f"{row.utterance}: {_who(row)}; {values}",
            "wav": _played(file),
            "png": _png(figures.draw_emotions_as_mfcc([(row.emotion, signal, mfcc)], features=self._features)),
            "alt": f"Waveform and MFCCs over time of {row.utterance}.",
        }


def _who(row):
    """Say in words which emotion is acted in an utterance, and by whom."""
    speaker = row.speaker.split("/")[-1]
    return f"{row.emotion}, speaker {speaker}" + (f" ({row.gender})" if row.gender else "")


def explore_corpora(tables, *, features=None):
    """Compare corpora side by side, and walk over a map of their utterances.

    Above, what the corpora consist of, and how long, how loud and how high their utterances are; below, the plane into
    which PCA or t-SNE lays their mean MFCCs. An utterance that is chosen on the map is played, drawn, and marked above.
    Level, pitch and MFCCs are those of at most `N_MEASURED` utterances of a corpus, drawn at random; if they are more
    than `N_MAPPED` in all, the map shows so many, with the same limit for each corpus. All that is computed is cached.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Index tables by corpus id.
    features : MfccFeatures, optional
        How the MFCCs are made; by default as in the recipe ``paper``.

    Returns
    -------
    CorpusExplorer
    """
    return CorpusExplorer(tables, features=features or settings.recipe("paper").features)


class MfccLaboratory(ipywidgets.VBox):
    """What `explore_mfcc` returns.

    Attributes
    ----------
    controls : dict of str to Widget
        ``recording``, ``win_length``, ``hop_length``, ``n_mels``, ``n_mfcc``.
    invert : ipywidgets.Button
    player : ipywidgets.Audio
        Of the recording.
    inverted : ipywidgets.Audio or None
        Of what its MFCCs keep; None until it is asked for, and after each change.
    message : ipywidgets.HTML
    picture : Picture
    """

    def __init__(self, recordings, *, features):
        def slider(description, numbers, value, unit):
            return ipywidgets.SelectionSlider(
                options=[(unit(number), number) for number in numbers],
                value=value,
                description=description,
                continuous_update=False,
                layout={"width": "33em"},
            )

        def in_samples(number):
            return f"{number} samples ({1000 * number / features.sr:.0f} ms)"

        self._first, self._shown = features, None
        self.controls = {
            "recording": ipywidgets.Dropdown(options=list(recordings.items()), description="recording"),
            "win_length": slider("window", (256, 512, 1024, 2048), features.win_length, in_samples),
            "hop_length": slider("hop", (128, 256, 512, 1024), features.hop_length, in_samples),
            "n_mels": slider("mel bands", (16, 32, 64, 128), features.n_mels, str),
            "n_mfcc": ipywidgets.IntSlider(
                features.n_mfcc, 2, 50, description="MFCCs", continuous_update=False, layout={"width": "33em"}
            ),
        }
        self.invert = ipywidgets.Button(description=INVERT, layout={"width": "auto"})
        self.player, self.inverted = _player(), None
        self.message, self.picture, self._steps = ipywidgets.HTML(), Picture(), figures.Steps()
        plt.close(self._steps.figure)  # it is rendered here; pyplot would show it a second time
        recording, *sliders = self.controls.values()
        self._heard = ipywidgets.HBox(layout={"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 12px"})
        super().__init__([_row(recording), self._heard, _row(*sliders), self.message, self.picture])
        for control in sliders:
            control.style.description_width = "5.5em"
        self._show()
        self.controls["n_mels"].observe(self._limit_mfccs, names="value")
        for control in self.controls.values():
            control.observe(self._redraw, names="value")
        self.invert.on_click(self._hear)

    def _limit_mfccs(self, change):
        self.controls["n_mfcc"].max = min(50, change["new"])

    def _redraw(self, _change):
        with _errors_in(self.message):
            return self._show()
        self._shown = None
        self.picture.show(b"")

    def _hear(self, _button):
        self.invert.disabled, self.invert.description = True, "Making a sound of them …"
        with _errors_in(self.message):
            self._show_inverted()
        self.invert.disabled, self.invert.description = False, INVERT

    def _features(self):
        sizes = {name: control.value for name, control in self.controls.items() if name != "recording"}
        return settings.MfccFeatures(self._first.sr, n_fft=sizes["win_length"], **sizes)

    def _show(self):
        changed = self._features()
        recording = self.controls["recording"].value
        wanted = recording, changed
        if wanted == self._shown:
            return
        self.message.value = ""
        self._offer(None)
        if self._shown is None or recording != self._shown[0]:
            self._signal = audio.load(recording, self._first.sr)
            self.player.value = _played(recording)
        about = self._signal, self._first.sr
        spectrogram, mel = (make(*about, features=changed) for make in (mfccs.spectrogram_db, mfccs.mel_db))
        self._mfcc = mfccs.mfcc(*about, features=changed)
        self._steps.show(self._signal, spectrogram, mel, self._mfcc, features=changed)
        alt = f"Waveform, spectrogram, {changed.n_mels} mel bands, {changed.n_mfcc} MFCCs over time, and their means."
        self.picture.show(_rendered(self._steps.figure), alt)
        self._shown = wanted

    def _show_inverted(self):
        signal = mfccs.invert(self._mfcc, features=self._features())
        self._offer(ipywidgets.Audio(value=_wav(signal, self._first.sr), format="wav", autoplay=True, loop=False))

    def _offer(self, inverted):
        """Put a sound beside the recording's, or take it away."""
        self.inverted = inverted
        self._heard.children = [self.player, self.invert, *([inverted] if inverted else [])]


def explore_mfcc(recordings, *, features):
    """Change how MFCCs are made, see what becomes of them, and hear what they keep.

    Parameters
    ----------
    recordings : dict of str to path-like
        By what to call them.
    features : MfccFeatures
        Where the sliders stand at first.

    Returns
    -------
    MfccLaboratory
    """
    return MfccLaboratory(recordings, features=features)


def play_with_split(table):
    """Choose protocol, seed and fold, and see who is trained on and who is tested.

    Parameters
    ----------
    table : DataFrame
        An index table.

    Returns
    -------
    Shell
    """
    speakers = set(table.loc[table["part"] != "", "speaker"])
    possible = ["random", *(["speakers", "loso"] if len(speakers) > 1 else [])]
    controls = {
        "protocol": ipywidgets.Dropdown(
            options=[(PROTOCOL_NAMES[name], name) for name in possible], description="protocol"
        ),
        "seed": ipywidgets.IntSlider(settings.SEED, 0, 100, description="seed", continuous_update=False),
        "fold": ipywidgets.Dropdown(options=[("1 of 1", 0)], description="fold"),
    }

    @functools.lru_cache(maxsize=64)
    def made(protocol, seed):
        if protocol == "random":  # `make` would take the parts that stand in the table, whatever the seed
            return splitting.random(table, seed=seed)
        return splitting.make(table, protocol, seed=seed)

    def offer_folds(change):
        n_folds = made(change["new"], controls["seed"].value).n_folds
        controls["fold"].options = [(f"{fold + 1} of {n_folds}", fold) for fold in range(n_folds)]

    controls["protocol"].observe(offer_folds, names="value")

    def draw(protocol, seed, fold):
        return figures.draw_fold(made(protocol, seed), fold=fold), ""

    return Shell(draw, controls)


def explore_network(recipe, n_emotions):
    """Change the network's layers, and see its shapes and its number of parameters; nothing is trained.

    Parameters
    ----------
    recipe : Recipe
        Where the controls stand at first.
    n_emotions : int

    Returns
    -------
    Shell
    """
    first = recipe.model

    def sizes(description, numbers, value):
        return ipywidgets.SelectionSlider(
            options=numbers, value=value, description=description, continuous_update=False
        )

    controls = {
        "n_filters": sizes("first filters", (4, 8, 16, 32), first.filters[0]),
        "kernel_size": sizes("kernel (coefficients)", (3, 5, 7, 9), first.kernel_size),
        "pool_padding": ipywidgets.ToggleButtons(
            options=["same", "valid"], value=first.pool_padding, description="pooling"
        ),
        "dense": sizes("dense units", (16, 32, 64, 128, 256), first.dense),
    }

    @functools.lru_cache(maxsize=64)
    def built(n_filters, kernel_size, pool_padding, dense):
        changed = dataclasses.replace(
            first,
            filters=(n_filters, 2 * n_filters, 4 * n_filters),
            kernel_size=kernel_size,
            pool_padding=pool_padding,
            dense=dense,
        )
        return model.build(dataclasses.replace(recipe, model=changed), n_emotions)

    def draw(**sizes):
        return figures.draw_architecture(built(**sizes)).figure, ""

    return Shell(draw, controls)


def browse_confusions(predictions):
    """Choose a corpus and a protocol, and see what was taken for what.

    Parameters
    ----------
    predictions : dict of (str, str) to DataFrame
        Predictions tables by corpus id and protocol.

    Returns
    -------
    Shell
    """
    names = list(dict.fromkeys(corpus for corpus, _ in predictions))

    def protocols(corpus):
        return [(PROTOCOL_NAMES[protocol], protocol) for name, protocol in predictions if name == corpus]

    controls = {
        "corpus": ipywidgets.Dropdown(
            options=[(corpora.short_title(name), name) for name in names], description="corpus"
        ),
        "protocol": ipywidgets.Dropdown(options=protocols(names[0]), description="protocol"),
    }

    def offer_protocols(change):
        controls["protocol"].options = protocols(change["new"])

    controls["corpus"].observe(offer_protocols, names="value")

    def draw(corpus, protocol):
        return figures.draw_confusion(predictions[corpus, protocol]).figure, ""

    return Shell(draw, controls)


def browse_scores(stored):
    """Choose a recipe, corpora and protocols, and compare their scores; the first seed of each.

    Parameters
    ----------
    stored : DataFrame
        As `evaluate.stored` returns it.

    Returns
    -------
    Shell
    """
    known = stored[stored["protocol"].isin(PROTOCOL_NAMES)].sort_values("seed", kind="stable")
    names = [name for name in corpora.NAMES if name in set(known["corpus"])]
    protocols = [name for name in PROTOCOL_NAMES if name in set(known["protocol"])]

    def several(options, description):
        chosen = [value for _, value in options]
        return ipywidgets.SelectMultiple(options=options, value=chosen, description=description, rows=len(options))

    controls = {
        "recipe": ipywidgets.Dropdown(options=sorted(set(known["recipe"])), description="recipe"),
        "corpus": several([(corpora.short_title(name), name) for name in names], "corpora"),
        "protocol": several([(PROTOCOL_NAMES[name], name) for name in protocols], "protocols"),
    }
    if "paper" in controls["recipe"].options:
        controls["recipe"].value = "paper"

    def draw(recipe, corpus, protocol):
        rows = known[(known["recipe"] == recipe) & known["corpus"].isin(corpus) & known["protocol"].isin(protocol)]
        rows = rows.drop_duplicates(["corpus", "protocol"])
        if rows.empty:
            return None, "nothing is stored of these; choose others"
        return figures.draw_scores(rows.sort_values("protocol").to_dict("records")).figure, ""

    return Shell(draw, controls)


def browse_across(scores):
    """Choose a recipe, and see its scores from corpus to corpus.

    Parameters
    ----------
    scores : dict of str to DataFrame
        By recipe, as `evaluate.across` returns them.

    Returns
    -------
    Shell
    """
    controls = {"recipe": ipywidgets.ToggleButtons(options=list(scores), description="recipe")}
    return Shell(lambda recipe: (figures.draw_across(scores[recipe]).figure, ""), controls)


def hear_recordings(table, predictor):
    """Choose a recording, play it, and see what the model says.

    Parameters
    ----------
    table : DataFrame
        An index table.
    predictor : predict.Predictor

    Returns
    -------
    Shell
    """
    used, root = table[table["part"] != ""], index.root_of(table)
    emotions = labels.ordered(used["emotion"])

    def utterances(emotion):
        rows = used[used["emotion"] == emotion].sort_values(["part", "utterance"])
        known = {"test": "test part", "train": "training part"}
        return [
            (f"{row.utterance.split('/')[1]} ({known[row.part]}), {row.duration_s:.1f} s", row.path)
            for row in rows.itertuples()
        ]

    controls = {
        "emotion": ipywidgets.Dropdown(options=emotions, description="acted emotion"),
        "path": ipywidgets.Dropdown(options=utterances(emotions[0]), description="recording"),
    }
    player = _player()

    def offer_utterances(change):
        controls["path"].options = utterances(change["new"])

    controls["emotion"].observe(offer_utterances, names="value")

    def draw(emotion, path):
        return _answer(predictor, player, root / path, f"acted: {emotion}; ")

    return Shell(draw, controls, player=player)


def _answer(predictor, player, source, known=""):
    """Put a recording into the player; return the picture of what the model says, and how far to trust it."""
    heard = predictor.hear(source)
    player.value = _played(source)
    is_unfamiliar = any(warning.startswith(f"{predict.UNFAMILIAR}:") for warning in heard["warnings"])
    ax = figures.draw_probabilities(heard["probabilities"], is_doubtful=is_unfamiliar)
    says = "had it to choose, it would say" if is_unfamiliar else "the model says"
    ax.set_title(f"{known}{says}: {heard['emotion']}", fontsize=10)
    return ax.figure, _verdict(predictor.contract, heard, is_unfamiliar)


def _verdict(contract, heard, is_unfamiliar):
    """Say what the model answers, how far to trust it, and what may spoil the answer."""
    emotion = heard["emotion"]
    if is_unfamiliar:
        answer = "<b>The model would rather not say.</b> Another microphone, room or language can be reason enough."
    else:
        answer = f"It sounds most like <b>{emotion}</b> (probability {heard['probabilities'][emotion]:.2f})."
    lines = [f'<span style="font-size: 1.2em">{answer}</span>']
    lines += [f"How far to trust it: {html.escape(model.trust(contract))}."]
    lines += ["The model knows nothing but synthetic speech."] if contract.synthetic else []
    for warning in heard["warnings"]:
        kind, _, advice = html.escape(warning).partition(": ")
        lines.append(f"<b>{kind.capitalize()}</b>: {advice}.")
    return Html(f'<div role="status">{"<br>".join(lines)}</div>')


class Recorder(anywidget.AnyWidget):
    """A recorder on the browser's Web Audio API; what was recorded comes to the kernel, and goes nowhere else.

    Where the page is not secure, or there is no microphone, it says so.

    Attributes
    ----------
    value : tuple of (bytes, int)
        Mono 16-bit PCM, little-endian, and its sample rate in Hz; empty until something was recorded.
    max_duration_s : int
    max_bytes : int
    """

    _esm = STATIC / "recorder.js"
    _css = STATIC / "recorder.css"
    value = traitlets.Tuple()
    max_duration_s = traitlets.Int(MAX_RECORDING_S).tag(sync=True)
    max_bytes = traitlets.Int(MAX_UPLOAD_BYTES).tag(sync=True)

    def __init__(self, **traits):
        super().__init__(**traits)
        self.on_msg(self._receive)

    def _receive(self, _widget, content, buffers):
        self.value = (bytes(buffers[0]), content["sample_rate_hz"])


class Voice(ipywidgets.HBox):
    """A recording of your own: from the microphone or a file, whichever came last.

    Attributes
    ----------
    recorder : Recorder
    files : ipywidgets.FileUpload
    value : tuple of (str, bytes, int or None)
        What it is called, its content, and, where that is PCM as `Recorder` hands it over, its sample rate in Hz; empty
        until there is one.
    """

    value = traitlets.Tuple()

    def __init__(self):
        self.recorder = Recorder()
        self.files = ipywidgets.FileUpload(
            accept=",".join(audio.SUFFIXES + audio.UNREAD_SUFFIXES),
            multiple=False,
            description="Upload a file",
            layout={"width": "auto"},
        )
        children = [self.recorder, ipywidgets.Label("or"), self.files]
        super().__init__(children, layout={"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 12px"})
        self.recorder.observe(self._take_recording, names="value")
        self.files.observe(self._take_file, names="value")

    def _take_recording(self, change):
        self.value = ("the recording", *change["new"])

    def _take_file(self, change):
        for file in change["new"]:
            self.value = (file["name"], bytes(file["content"]), None)


def talk(bundles):
    """Record your voice or upload a recording, choose a model, and see what it says and how far to trust it.

    The recording is kept in memory only. Nothing here imports TensorFlow.

    Parameters
    ----------
    bundles : dict of str to path-like
        The bundles' folders by what to call them, as `model.at_hand` returns them.

    Returns
    -------
    Shell
    """
    predictor = functools.lru_cache(predict.Predictor)
    options = [(f"{name}: {_about(model.read_contract(folder))}", folder) for name, folder in bundles.items()]
    controls = {"bundle": ipywidgets.Dropdown(options=options, description="model"), "voice": Voice()}
    player = _player()

    def draw(bundle, voice):
        if not voice:
            most = f"at most {MAX_UPLOAD_BYTES / 1e6:.0f} MB"
            return None, f"No recording yet: record one sentence, or upload it as {audio.FORMATS}, {most}."
        name, content, sr = voice
        if len(content) > MAX_UPLOAD_BYTES:
            size, most = len(content) / 1e6, MAX_UPLOAD_BYTES / 1e6
            return None, f"{name} has {size:.1f} MB; expected at most {most:.0f} MB. Cut it to one sentence."
        if sr is not None:
            content = audio.wav_bytes(np.frombuffer(content, "<i2"), sr)
        try:
            return _answer(predictor(bundle), player, io.BytesIO(content))
        except (ValueError, OSError) as error:
            return None, f"{name}: {error}."

    return Shell(draw, controls, player=player)


def _about(contract):
    """Say in a few words what a bundle has learned from."""
    speech = "synthetic speech in the layout of " if contract.synthetic else ""
    return f"{speech}{corpora.short_title(contract.corpus)}, {len(contract.speakers)} speakers"
