"""Thin shells over draw functions: controls that choose arguments, and the picture that comes of them.

A shell computes nothing: what its draw function needs is passed in, or kept from the first time. Options come from
the data, so that what is missing cannot be chosen. A callback has no caller that could see it fail, so a shell shows
the traceback in place of the picture, in a block of the class `ERROR` that headless runs look for.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
import html
import io
import threading
import time
import traceback
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from matplotlib import pyplot as plt

from . import audio, audit, corpora, evaluate, figures, index, labels, model, predict, settings
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
MAX_FOLDS = 12  # that can be chosen; more are no other lesson
UPDATED_S = 0.25  # the time between two updates of a training's curves: quick enough to follow, and no burden
N_DRAWN = 500  # points of a curve; more are no more to see
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
        Takes an argument per control, and returns a Figure (or None), its alt text, and a sentence (or ""), text or
        `Html`.
    controls : dict of str to Widget
        By the name of the argument.
    adjust : callable, optional
        Makes what the controls offer agree with one another; called before anything is drawn.
    player : ipywidgets.Audio, optional
        Stands between the controls and the picture, where there is one.

    Attributes
    ----------
    controls : dict of str to Widget
    message : ipywidgets.HTML
    picture : Picture
    """

    def __init__(self, draw, controls, *, adjust=lambda: None, player=None):
        self._draw, self._adjust, self.controls, self.player = draw, adjust, controls, player
        self.message, self.picture = ipywidgets.HTML(), Picture()
        for control in controls.values():
            if not isinstance(control, ipywidgets.Box):
                control.layout.width = "28em" if hasattr(control, "continuous_update") else "auto"
        self._heard = ipywidgets.Box()
        super().__init__([_row(*controls.values()), self._heard, self.message, self.picture])
        self._show()
        redraw = self.guarded(lambda _change: self._show())
        for control in controls.values():
            control.observe(redraw, names="value")

    def _show(self):
        self._adjust()
        figure, alt, sentence = self._draw(**{name: control.value for name, control in self.controls.items()})
        self.message.value = sentence if isinstance(sentence, Html) else html.escape(sentence)
        self._show_picture(b"" if figure is None else _png(figure), alt)

    def _show_picture(self, png, alt=""):
        self.picture.show(png, alt)
        is_heard = self.player and png  # a browser reports a player without a sound as an error
        self._heard.children = [self.player] if is_heard else []

    def guarded(self, callback):
        """Return a callback that shows its error in place of the picture, and is not called by what it does itself."""
        is_busy = False

        def guard(*args):
            nonlocal is_busy
            if is_busy:
                return
            is_busy = has_failed = True
            with _errors_in(self.message):
                callback(*args)
                has_failed = False
            is_busy = False
            if has_failed:
                self._show_picture(b"")

        return guard


@contextlib.contextmanager
def _errors_in(message):
    """Show the traceback of an error in an HTML widget, and go on after the block."""
    try:
        yield
    except Exception:
        message.value = _error_block()


def _error_block():
    """Return the traceback of the exception at hand as HTML, in a block that headless runs look for."""
    return f'<pre class="{ERROR}">{html.escape(traceback.format_exc())}</pre>'


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
        if not isinstance(control, ipywidgets.Box):
            control.style.description_width = "initial"
    return ipywidgets.HBox(controls, layout={"flex_flow": "row wrap", "grid_gap": "4px 20px"})


def _offer(control, options, default=None):
    """Change what a control offers; what is chosen stays so if it still can be, else the default is, or the first."""
    values, chosen = [value for _, value in options], control.value
    if list(control.options) != options:
        control.options = options
        control.value = next((value for value in (chosen, default) if value in values), values[0])


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
        self._put_beside(None)
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
        self._put_beside(ipywidgets.Audio(value=_wav(signal, self._first.sr), format="wav", autoplay=True, loop=False))

    def _put_beside(self, inverted):
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


def play_with_split(tables):
    """Choose corpus, protocol, folds and seed, and see who is trained on, who is tested, and what leaks.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Index tables by corpus id.

    Returns
    -------
    Shell
    """
    names = [(corpora.short_title(name), name) for name in tables]
    controls = {
        "corpus": ipywidgets.Dropdown(options=names, description="corpus"),
        "protocol": ipywidgets.Dropdown(description="protocol"),
        "n_folds": ipywidgets.Dropdown(description="folds"),
        "fold": ipywidgets.Dropdown(description="fold shown"),
        "seed": ipywidgets.IntSlider(settings.SEED, 0, 100, description="seed", continuous_update=False),
    }

    @functools.lru_cache(maxsize=64)
    def made(corpus, protocol, n_folds, seed):
        if protocol == "random":  # `make` would take the parts that stand in the table, whatever the seed
            return splitting.random(tables[corpus], n_folds=n_folds if n_folds > 1 else None, seed=seed)
        return splitting.make(tables[corpus], protocol, n_folds=n_folds, seed=seed)

    @functools.cache
    def usual_folds(corpus):
        """Return the usual number of folds of each protocol that the corpus allows."""
        usual = {"random": 1}
        for protocol in ("speakers", "loso", "sentences"):
            with contextlib.suppress(ValueError):
                usual[protocol] = made(corpus, protocol, None, settings.SEED).n_folds
        return usual

    def folds(corpus, protocol):
        """Return what can be chosen as the number of folds."""
        if protocol == "loso":
            n_speakers = usual_folds(corpus)[protocol]
            return [(f"{n_speakers}, one a speaker", n_speakers)]
        used = tables[corpus][tables[corpus]["part"] != ""]
        if protocol == "random":
            most, least = used["emotion"].value_counts().min(), [("1, of a fifth", 1)]
        else:
            most, least = used[protocol.removesuffix("s")].nunique(), []
        return [*least, *((str(n), n) for n in range(2, 1 + min(most, MAX_FOLDS)))]

    def adjust():
        corpus = controls["corpus"].value
        usual = usual_folds(corpus)
        _offer(controls["protocol"], [(PROTOCOL_NAMES[protocol], protocol) for protocol in usual])
        protocol = controls["protocol"].value
        _offer(controls["n_folds"], folds(corpus, protocol), usual[protocol])
        controls["seed"].disabled = protocol == "loso"
        n_folds = controls["n_folds"].value
        _offer(controls["fold"], [(f"{fold + 1} of {n_folds}", fold) for fold in range(n_folds)])

    def draw(corpus, protocol, n_folds, fold, seed):
        split = made(corpus, protocol, n_folds, seed)
        alt = f"A bar for each of {split.table['speaker'].nunique()} speakers: utterances trained on, and tested."
        return figures.draw_fold(split, fold=fold), alt, _split_in_words(split, fold)

    return Shell(draw, controls, adjust=adjust)


def _split_in_words(split, fold):
    """Say who is trained on and who is tested, what leaks, and what the score will mean."""
    is_test = split.table["fold"] == fold
    train, test = split.table[~is_test], split.table[is_test]

    def counted(rows, what):
        n_speakers = rows["speaker"].nunique()
        return f"<b>{what}</b>: {len(rows):,} utterances of {n_speakers} speaker{'s' if n_speakers > 1 else ''}"

    lines = []
    for leak in splitting.leaks(train, test).itertuples():
        if leak.n:
            words = f"{leak.n:,} of {leak.n_test:,} tested utterances are {audit.IN_WORDS[leak.kind]}"
            lines.append(f"<b>⚠ {leak.kind}</b>: {words}, such as {html.escape(leak.examples)}")
        elif (test[splitting.LEAKS[leak.kind][-1]] == "").all():
            lines.append(f"<b>? {leak.kind}</b>: not looked for, since {audit.WHY_UNCHECKED[leak.kind]}")
        else:
            lines.append(f"<b>✓ {leak.kind}</b>: no tested utterance is {audit.IN_WORDS[leak.kind]}")
    meaning = "how well people are recognised whom the model " + (
        "knows: it is speaker-dependent" if split.is_speaker_dependent else "has never heard: it is speaker-independent"
    )
    counts = pd.crosstab(split.table["speaker"], np.where(is_test, "tested", "trained on"))
    counts = counts.reindex(columns=["trained on", "tested"], fill_value=0).rename_axis(index=None, columns=None)
    return Html(
        "<div style='line-height: 1.45; max-width: 60em'>"
        f"<p>{counted(train, 'trained on')}; {counted(test, 'tested')}. The score will say {meaning}.</p>"
        f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
        f"<details><summary>The numbers behind the bars, by speaker</summary>{counts.to_html(border=0)}</details></div>"
    )


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
        network = built(**sizes)
        layers = ", ".join(layer.name.replace("_", " ") for layer in network.layers)
        alt = f"The network's layers in a row, with their shapes: {layers}; {network.count_params():,} parameters."
        return figures.draw_architecture(network).figure, alt, ""

    return Shell(draw, controls)


class Curves(anywidget.AnyWidget):
    """Learning curves that grow.

    Attributes
    ----------
    panels : list of dict
        ``label``, ``high`` (the upper end of its scale; None follows the curves) and ``series``: a list of dicts
        ``name``, ``column`` (of `history`), ``colour`` and ``dash`` (as SVG has it).
    history : dict of str to list of float
        ``epoch``, and a column per series.
    n_epochs : int
        Where the scale of epochs ends.
    """

    _esm, _css = STATIC / "curves.js", STATIC / "curves.css"
    panels = traitlets.List().tag(sync=True)
    history = traitlets.Dict().tag(sync=True)
    n_epochs = traitlets.Int(1).tag(sync=True)


def _series(name, column, colour, dash=""):
    return {"name": name, "column": column, "colour": colour, "dash": dash}


PANELS = [
    {
        "label": "loss",
        "high": None,
        "series": [_series("training", "loss", figures.TRAIN), _series("validation", "val_loss", figures.TEST)],
    },
    {
        "label": "accuracy, and UAR",
        "high": 1,
        "series": [
            _series("training", "accuracy", figures.TRAIN),
            _series("validation", "val_accuracy", figures.TEST),
            _series("validation UAR", "val_uar", figures.SHARED, "6 3"),
        ],
    },
]


class Monitor(ipywidgets.VBox):
    """A training while it goes on: its curves, how long it will take, and a button that ends it.

    It runs in a thread of its own. A cell that says ``trained = await monitor`` waits for what comes of it, and lets
    the kernel hear of the button meanwhile; where there is no cell, `result` waits.

    Parameters
    ----------
    train : callable
        Trains, and returns what `result` shall: called with `watch`, as `evaluate.fit_fold` takes it.
    n_epochs : int

    Attributes
    ----------
    button : ipywidgets.Button
    bar : ipywidgets.IntProgress
    message : ipywidgets.HTML
    curves : Curves
    """

    def __init__(self, train, n_epochs):
        self.button = ipywidgets.Button(
            description="Stop, and keep what is learned", icon="stop", layout={"width": "auto"}
        )
        self.bar = ipywidgets.IntProgress(max=n_epochs, layout={"width": "16em"})
        self.message = ipywidgets.HTML("starting")
        self.curves = Curves(panels=PANELS, n_epochs=n_epochs)
        row = ipywidgets.HBox(
            [self.button, self.bar, self.message],
            layout={"flex_flow": "row wrap", "grid_gap": "4px 12px", "align_items": "center"},
        )
        super().__init__([row, self.curves])
        self._train, self._rows, self._shown_at = train, [], 0.0
        self._stopped, self._trained = threading.Event(), concurrent.futures.Future()
        self.button.on_click(lambda _button: self.stop())
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        """End the training after the epoch at hand; what was learned till then is kept."""
        self._stopped.set()

    def result(self):
        """Wait until the training has ended, and return what came of it.

        An interrupt while it waits ends the training as the button does.

        Raises
        ------
        Exception
            Whatever ended the training.
        """
        try:
            return self._trained.result()
        except KeyboardInterrupt:
            self.stop()
            return self._trained.result()

    def __await__(self):
        return asyncio.wrap_future(self._trained).__await__()

    def _run(self):
        began_s = time.perf_counter()
        self._trained.set_running_or_notify_cancel()  # a cell that is interrupted while it waits does not end it
        try:
            trained = self._train(self._watch)
            self.curves.n_epochs = len(self._rows)  # what was learned fills the width
            self._show()
        except BaseException as error:
            self.message.value, self.bar.bar_style, self.button.disabled = _error_block(), "danger", True
            self._trained.set_exception(error)
            return
        n, of, took = len(self._rows), self.bar.max, _duration(time.perf_counter() - began_s)
        stopped = f"stopped after {n:,} of {of:,} epochs, {took}; what was learned till then is kept"
        self.message.value = stopped if n < of else f"{n:,} epochs in {took}"
        self.bar.bar_style, self.button.disabled = "success", True
        self._trained.set_result(trained)

    def _watch(self, scores):
        """Take an epoch's scores, show them now and then, and say whether the training is to end."""
        now_s = time.perf_counter()
        self._rows.append(scores | {"at_s": now_s})
        if now_s - self._shown_at >= UPDATED_S:
            n, of = len(self._rows), self.bar.max
            left_s = (now_s - self._rows[0]["at_s"]) / max(1, n - 1) * (of - n)
            self.message.value = f"epoch {n:,} of {of:,}" + (f", about {_duration(left_s)} left" if n > 1 else "")
            self._show()
            self._shown_at = time.perf_counter()
        return self._stopped.is_set()

    def _show(self):
        rows = self._rows[:: 1 + len(self._rows) // N_DRAWN]
        rows += self._rows[-1:] if rows[-1] is not self._rows[-1] else []
        columns = ("epoch", *(one["column"] for panel in PANELS for one in panel["series"]))
        self.bar.value = len(self._rows)
        self.curves.history = {name: [round(row[name], 4) for row in rows] for name in columns}


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def watch_training(split, X, fold=0, *, recipe, epochs=None, seed=settings.SEED):
    """Train on one fold, and watch it: `evaluate.fit_fold` in the background.

    Parameters
    ----------
    split : Split
    X : ndarray of float32, shape (n_utterances, n_mfcc)
        In the order of ``split.table``.
    fold : int
    recipe : Recipe
    epochs : int, optional
        By default the recipe's.
    seed : int

    Returns
    -------
    Monitor
        Its `result` is an `evaluate.Fold`.
    """
    n_epochs = epochs or recipe.training.epochs
    return Monitor(
        lambda watch: evaluate.fit_fold(split, X, fold, recipe=recipe, epochs=n_epochs, seed=seed, watch=watch),
        n_epochs,
    )


class ConfusionMatrix(anywidget.AnyWidget):
    """A confusion matrix whose cells can be chosen, and the utterances of the chosen one.

    A message ``{"play": utterance}`` asks for a recording; ``{"played": utterance}`` with a WAV file brings it.

    Attributes
    ----------
    emotions : list of str
    counts : list of list of int
        A row per true, a column per predicted emotion.
    chosen : list of str
        The true and the predicted emotion of the chosen cell, or nothing.
    listed : dict
        ``cell`` (as `chosen`), ``note``, ``rows``: a list of dicts ``utterance``, ``speaker``, ``y_true``, ``y_pred``,
        ``probability`` (of ``y_pred``) and ``at_hand``.
    """

    _esm, _css = STATIC / "matrix.js", STATIC / "matrix.css"
    emotions = traitlets.List().tag(sync=True)
    counts = traitlets.List().tag(sync=True)
    chosen = traitlets.List().tag(sync=True)
    listed = traitlets.Dict().tag(sync=True)


def browse_results(stored, tables):
    """Choose a stored result: see its score, and what was taken for what; list the utterances of a cell, and hear them.

    Parameters
    ----------
    stored : DataFrame
        As `evaluate.stored` returns it.
    tables : dict of str to DataFrame
        Index tables of the corpora whose recordings are at hand, by corpus id.

    Returns
    -------
    Shell
        With one more attribute: ``matrix``, a ConfusionMatrix.

    Raises
    ------
    ValueError
        If nothing is stored.
    """
    if stored.empty:
        raise ValueError("no result is stored; make one with 'python -m serlib evaluate', or evaluate.obtain")
    trained_on = "trained on " + stored["trained_on"].map(corpora.short_title)
    how = stored["protocol"].map(PROTOCOL_NAMES).where(stored["protocol"] != "cross-corpus", trained_on)
    place = {name: k for k, name in enumerate((*corpora.NAMES, *PROTOCOL_NAMES))}
    known = stored.assign(how=how).sort_values(["recipe", "seed"])
    known = known.sort_values(["corpus", "protocol"], key=lambda names: names.map(place), kind="stable")
    descriptions = {"corpus": "corpus", "how": "protocol", "recipe": "recipe", "seed": "seed"}
    controls = {column: ipywidgets.Dropdown(description=name) for column, name in descriptions.items()}
    read, matrix, chosen = functools.lru_cache(maxsize=16)(evaluate.read), ConfusionMatrix(), {}

    def adjust():
        rows = known
        for column, control in controls.items():
            values = rows[column].drop_duplicates().tolist()
            _offer(control, [(corpora.short_title(v) if column == "corpus" else str(v), v) for v in values], "paper")
            rows = rows[rows[column] == control.value]

    def draw(**wanted):
        (file,) = known.loc[(known[list(wanted)] == pd.Series(wanted)).all(axis=1), "file"]
        predictions = read(file).predictions
        summary, counts = evaluate.summary(predictions), evaluate.confusion(predictions)
        chosen.update(predictions=predictions, files=_files(predictions, tables))
        with matrix.hold_sync():
            matrix.emotions, matrix.counts = list(counts), counts.to_numpy().tolist()
            matrix.chosen, matrix.listed = [], {}
        corpus, synthetic = summary["corpus"], predictions.attrs["synthetic"]
        heard = {} if synthetic else corpora.heard_uar([corpus])
        what = f"{summary['n']:,} utterances{' of synthetic speech' if synthetic else ''}"
        what += f" by {predictions['speaker'].nunique()} speakers, tested in {summary['n_folds']} folds"
        figure = figures.draw_score(summary, heard=heard.get(corpus)).figure
        alt = f"A bar from 0 to 1: UAR {summary['uar']:.2f}, chance {summary['chance']:.2f}."
        return figure, alt, f"{what.replace(' in 1 folds', ' once')}; accuracy {summary['accuracy']:.2f}."

    shell = Shell(draw, controls, adjust=adjust)

    def list_cell(change):
        if not change["new"]:
            return
        (true, said), rows, files = change["new"], chosen["predictions"], chosen["files"]
        rows = rows[(rows["y_true"] == true) & (rows["y_pred"] == said)]
        rows = rows.assign(probability=rows[f"p_{said}"], at_hand=[name in files for name in rows["utterance"]])
        rows = rows.sort_values("probability", ascending=False, kind="stable")
        n, n_missing, note = len(rows), int((~rows["at_hand"]).sum()), ""
        if n_missing:
            which = "No recording of these is" if n_missing == n else f"{n_missing} of {n} recordings are not"
            title = corpora.short_title(rows["corpus"].iloc[0])
            note = f"{which} at hand, to be heard; datasets/README.md says how to get {title}, and where to put it."
        columns = ["utterance", "speaker", "y_true", "y_pred", "probability", "at_hand"]
        matrix.listed = {"cell": change["new"], "note": note, "rows": rows[columns].to_dict("records")}

    def play(_matrix, asked, _buffers):
        matrix.send({"played": asked["play"]}, buffers=[_played(chosen["files"][asked["play"]])])

    matrix.observe(shell.guarded(list_cell), names="chosen")
    matrix.on_msg(shell.guarded(play))
    shell.matrix = matrix
    shell.children = (*shell.children, matrix)
    return shell


def _files(predictions, tables):
    """Return {utterance: recording} of the recordings that predictions are about, as far as they are at hand."""
    table = tables.get(predictions["corpus"].iloc[0])
    if table is None or bool(table.attrs.get("synthetic")) != bool(predictions.attrs["synthetic"]):
        return {}
    root = index.root_of(table)
    files = {row.utterance: root / row.path for row in table.itertuples()}
    return {utterance: file for utterance, file in files.items() if file.is_file()}


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
            return None, "", "nothing is stored of these; choose others"
        scores = rows.sort_values("protocol").to_dict("records")
        bars = (f"{corpora.short_title(row['corpus'])} {row['protocol']} {row['uar']:.2f}" for row in scores)
        return figures.draw_scores(scores).figure, f"Bars of UAR by corpus and protocol: {', '.join(bars)}.", ""

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

    def draw(recipe):
        cells = (
            f"{corpora.short_title(row.trained_on)} to {corpora.short_title(row.corpus)} {row.uar:.2f}"
            for row in scores[recipe].itertuples()
        )
        return figures.draw_across(scores[recipe]).figure, f"A matrix of UARs: {', '.join(cells)}.", ""

    return Shell(draw, controls)


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
        "path": ipywidgets.Dropdown(description="recording"),
    }
    player = _player()

    def adjust():
        _offer(controls["path"], utterances(controls["emotion"].value))

    def draw(emotion, path):
        return _answer(predictor, player, root / path, f"acted: {emotion}; ")

    return Shell(draw, controls, adjust=adjust, player=player)


def _answer(predictor, player, source, known=""):
    """Put a recording into the player; return a figure of the answer, its alt text, and how far to trust it."""
    heard = predictor.hear(source)
    player.value = _played(source)
    is_unfamiliar = any(warning.startswith(f"{predict.UNFAMILIAR}:") for warning in heard["warnings"])
    ax = figures.draw_probabilities(heard["probabilities"], is_doubtful=is_unfamiliar)
    says = "had it to choose, it would say" if is_unfamiliar else "the model says"
    ax.set_title(f"{known}{says}: {heard['emotion']}", fontsize=10)
    bars = ", ".join(f"{emotion} {probability:.2f}" for emotion, probability in heard["probabilities"].items())
    return ax.figure, f"Bars of probability by emotion: {bars}.", _verdict(predictor.contract, heard, is_unfamiliar)


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
        match content, buffers:  # anything else, no page of ours has sent
            case {"sample_rate_hz": int(sr)}, [pcm] if 0 < sr < 1 << 31 and len(pcm) % 2 == 0:
                self.value = (bytes(pcm), sr)


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
            return None, "", f"No recording yet: record one sentence, or upload it as {audio.FORMATS}, {most}."
        name, content, sr = voice
        if len(content) > MAX_UPLOAD_BYTES:
            size, most = len(content) / 1e6, MAX_UPLOAD_BYTES / 1e6
            return None, "", f"{name} has {size:.1f} MB; expected at most {most:.0f} MB. Cut it to one sentence."
        if sr is not None:
            content = audio.wav_bytes(np.frombuffer(content, "<i2"), sr)
        try:
            chosen = predictor(bundle)
        except (ValueError, OSError):
            return None, "", f"{settings.short(bundle)} cannot be used any more; choose another model."
        try:
            return _answer(chosen, player, io.BytesIO(content))
        except (ValueError, OSError) as error:
            return None, "", f"{name}: {error}."

    return Shell(draw, controls, player=player)


def _about(contract):
    """Say in a few words what a bundle has learned from."""
    speech = "synthetic speech in the layout of " if contract.synthetic else ""
    return f"{speech}{corpora.short_title(contract.corpus)}, {len(contract.speakers)} speakers"
