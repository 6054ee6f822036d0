"""Thin shells over draw functions: controls that choose arguments, and the picture that comes of them.

A shell computes nothing: what its draw function needs is passed in, or kept from the first time. Options come from
the data, so that what is missing cannot be chosen. A callback has no caller that could see it fail, so a shell shows
the traceback in place of the picture, in a block of the class `ERROR` that headless runs look for.
"""

import dataclasses
import functools
import html
import io
import traceback

import ipywidgets
import pandas as pd
from matplotlib import pyplot as plt

from . import audio, corpora, figures, index, labels, model, settings
from . import features as mfccs
from . import split as splitting

ERROR = "serlib-error"
MAX_UPLOAD_BYTES = 8_000_000  # a minute and a half of 16-bit mono at 44.1 kHz; servers drop messages above 10 MB
PLAYED_HZ = 16000

PROTOCOL_NAMES = {
    "random": "random utterances (speaker-dependent)",
    "speakers": "groups of speakers (speaker-independent)",
    "loso": "one speaker at a time (speaker-independent)",
    "sentences": "groups of sentences (speaker-dependent)",
    "speakers-normalised": "groups of speakers, standardised by their own recordings",
    "loso-normalised": "one speaker at a time, standardised by the speaker's own recordings",
}


class Shell(ipywidgets.VBox):
    """Controls above, a sentence and the picture below; all is drawn anew when a control changes.

    Parameters
    ----------
    draw : callable
        Takes an argument per control, and returns a Figure (or None) and a sentence (or "").
    controls : dict of str to Widget
        By the name of the argument.
    player : ipywidgets.Audio, optional
        Stands between the controls and the picture.

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
            control.style.description_width = "initial"
            control.layout.width = "28em" if hasattr(control, "continuous_update") else "auto"
        row = ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap", "grid_gap": "4px 20px"})
        super().__init__([row, *([player] if player else []), self.message, self.picture])
        self._show()
        for control in controls.values():
            control.observe(self._redraw, names="value")

    def _show(self):
        figure, sentence = self._draw(**{name: control.value for name, control in self.controls.items()})
        self.message.value = html.escape(sentence)
        self._show_picture(b"" if figure is None else _png(figure))

    def _show_picture(self, png):
        self.picture.value = png
        for part in filter(None, (self.picture, self.player)):
            part.layout.display = "" if part.value else "none"

    def _redraw(self, _change):
        try:
            self._show()
        except Exception:
            self._show_picture(b"")
            self.message.value = f'<pre class="{ERROR}">{html.escape(traceback.format_exc())}</pre>'


def _png(figure):
    """Render a figure, and let go of it: pyplot would show it a second time."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    return file.getvalue()


def _played(source):
    """Return a recording as the bytes of a WAV file, as loud as can be."""
    signal = audio.load(source, PLAYED_HZ)
    return audio.wav_bytes(signal / (float(abs(signal).max()) or 1.0), PLAYED_HZ)


def _player():
    return ipywidgets.Audio(value=b"", format="wav", autoplay=False, loop=False)


def compare_corpora(tables):
    """Compare corpora side by side.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Index tables by corpus id.

    Returns
    -------
    Shell
    """
    names = [(f"{corpora.short_title(name)}: {len(table):,} utterances", name) for name, table in tables.items()]
    controls = {
        "names": ipywidgets.SelectMultiple(
            options=names, value=tuple(tables), rows=len(names), description="corpora (Ctrl or ⌘: several)"
        ),
        "by": ipywidgets.ToggleButtons(options=["emotion", "gender"], description="colour by"),
    }

    def draw(names, by):
        if not names:
            return None, "No corpus is chosen; choose one or more."
        return figures.draw_comparison(pd.concat([tables[name] for name in names], ignore_index=True), by=by), ""

    return Shell(draw, controls)


def explore_mfcc(recordings, *, features):
    """Change how MFCCs are made, and see what becomes of them.

    Parameters
    ----------
    recordings : dict of str to path-like
        By what to call them.
    features : MfccFeatures
        Where the sliders stand at first.

    Returns
    -------
    Shell
    """

    def slider(description, numbers, value, unit):
        options = [(unit(number), number) for number in numbers]
        return ipywidgets.SelectionSlider(
            options=options, value=value, description=description, continuous_update=False
        )

    def in_samples(number):
        return f"{number} samples ({1000 * number / features.sr:.0f} ms)"

    controls = {
        "recording": ipywidgets.Dropdown(options=list(recordings.items()), description="recording"),
        "win_length": slider("window", (256, 512, 1024, 2048), features.win_length, in_samples),
        "hop_length": slider("hop", (128, 256, 512, 1024), features.hop_length, in_samples),
        "n_mels": slider("mel bands", (16, 32, 64, 128), features.n_mels, str),
        "n_mfcc": ipywidgets.IntSlider(features.n_mfcc, 2, 50, description="MFCCs", continuous_update=False),
    }

    def limit_mfcc(change):
        controls["n_mfcc"].max = min(50, change["new"])

    controls["n_mels"].observe(limit_mfcc, names="value")

    def draw(recording, win_length, **sizes):
        changed = settings.MfccFeatures(features.sr, win_length=win_length, n_fft=win_length, **sizes)
        return figures.draw_steps(*_steps(recording, changed), features=changed), ""

    return Shell(draw, controls)


@functools.lru_cache(maxsize=64)
def _steps(recording, features):
    signal = audio.load(recording, features.sr)
    decibel = mfccs.mel_db(signal, features.sr, features=features)
    return signal, decibel, mfccs.mfcc(signal, features.sr, features=features)


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
    """Put a recording into the player; return the picture of what the model says, and what may spoil it."""
    heard = predictor.hear(source)
    player.value = _played(source)
    ax = figures.draw_probabilities(heard["probabilities"])
    ax.set_title(f"{known}the model says: {heard['emotion']}", fontsize=10)
    made_of = ["the model knows nothing but synthetic speech"] if predictor.contract.synthetic else []
    return ax.figure, "; ".join(made_of + heard["warnings"])


def upload(predictor, *, max_bytes=MAX_UPLOAD_BYTES):
    """Upload a recording of your own, play it, and see what the model says; it is not stored.

    Parameters
    ----------
    predictor : predict.Predictor
    max_bytes : int
        A larger file is refused.

    Returns
    -------
    Shell
    """
    controls = {
        "files": ipywidgets.FileUpload(
            accept=",".join(audio.SUFFIXES + audio.UNREAD_SUFFIXES), multiple=False, description="your recording"
        )
    }
    player = _player()

    def draw(files):
        player.value = b""
        if not files:
            return None, f"No recording yet: {audio.FORMATS}, one sentence, at most {max_bytes / 1e6:.0f} MB."
        (file,) = files
        if file["size"] > max_bytes:
            size, most = file["size"] / 1e6, max_bytes / 1e6
            return None, f"{file['name']} has {size:.1f} MB; expected at most {most:.0f} MB. Cut it to one sentence."
        try:
            return _answer(predictor, player, io.BytesIO(file["content"]))
        except (ValueError, OSError) as error:
            return None, f"{file['name']}: {error}."

    return Shell(draw, controls, player=player)
