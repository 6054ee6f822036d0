"""Record or choose a recording, and see what a model answers."""

import functools
import html
import io

import anywidget
import ipywidgets
import numpy as np
import traitlets

from .. import audio, bundle, figures, labels, predict, settings, weights
from .base import FLOWING, STATIC, Html, InteractiveFigure, new_player, offer, played, recordings

MAX_UPLOAD_BYTES = 8_000_000  # a minute and a half of 16-bit mono at 44.1 kHz; servers drop messages above 10 MB
MAX_RECORDING_S = 30
PARTS = {"test": "test part", "train": "training part"}


def hear_recordings(table, predictor):
    """Choose a recording, play it, and see what the model says.

    Parameters
    ----------
    table : DataFrame
        An index table.
    predictor : predict.Predictor

    Returns
    -------
    InteractiveFigure
    """
    used = table[table["part"] != ""].sort_values(["part", "utterance"])
    files, player = recordings(used), new_player()
    controls = {
        "emotion": ipywidgets.Dropdown(options=labels.ordered(used["emotion"]), description="acted emotion"),
        "recording": ipywidgets.Dropdown(description="recording"),
    }

    def adjust():
        rows = used[used["emotion"] == controls["emotion"].value].itertuples()
        options = [
            (f"{row.utterance.split('/')[1]} ({PARTS[row.part]}), {row.duration_s:.1f} s", row.utterance)
            for row in rows
        ]
        offer(controls["recording"], options)

    def draw(emotion, recording):
        return _answer(predictor, player, files[recording], f"acted: {emotion}; ")

    return InteractiveFigure(draw, controls, adjust=adjust, sounds=[player])


def _answer(predictor, player, source, known=""):
    """Put a recording into the player; return a figure of the answer, its alt text, and how far to trust it."""
    answer = predictor.hear(source)
    player.value = played(source)
    is_unfamiliar = any(warning.startswith(f"{predict.UNFAMILIAR}:") for warning in answer["warnings"])
    ax = figures.draw_probabilities(answer["probabilities"], is_doubtful=is_unfamiliar)
    says = "had it to choose, it would say" if is_unfamiliar else "the model says"
    ax.set_title(f"{known}{says}: {answer['emotion']}", fontsize=10)
    bars = ", ".join(f"{emotion} {probability:.2f}" for emotion, probability in answer["probabilities"].items())
    return ax.figure, f"Bars of probability by emotion: {bars}.", _verdict(predictor.contract, answer, is_unfamiliar)


def _verdict(contract, answer, is_unfamiliar):
    """Return what the model answers, how far to trust it, and what may spoil the answer, as HTML."""
    emotion = answer["emotion"]
    if is_unfamiliar:
        first = "<b>The model would rather not say.</b> Another microphone, room or language can be reason enough."
    else:
        first = f"It sounds most like <b>{emotion}</b> (probability {answer['probabilities'][emotion]:.2f})."
    lines = [f'<span style="font-size: 1.2em">{first}</span>']
    lines += [f"How far to trust it: {html.escape(bundle.trust(contract))}."]
    lines += ["The model knows nothing but synthetic speech."] if contract.synthetic else []
    for warning in answer["warnings"]:
        kind, _, advice = html.escape(warning).partition(": ")
        lines.append(f"<b>{kind.capitalize()}</b>: {advice}.")
    return Html(f'<div role="status">{"<br>".join(lines)}</div>')


class Recorder(anywidget.AnyWidget):
    """A recorder on the browser's Web Audio API, which says why where it cannot; recordings go to the kernel only."""

    _esm, _css = STATIC / "recorder.js", STATIC / "recorder.css"
    value = traitlets.Tuple()  # mono 16-bit PCM, little-endian, and its sample rate in Hz; empty at first
    max_duration_s = traitlets.Int(MAX_RECORDING_S).tag(sync=True)
    max_bytes = traitlets.Int(MAX_UPLOAD_BYTES).tag(sync=True)

    def __init__(self, **traits):
        super().__init__(**traits)
        self.on_msg(self._receive)

    def _receive(self, _widget, content, buffers):
        match content, buffers:  # anything else was not sent by recorder.js
            case {"sample_rate_hz": int(sr)}, [pcm] if 0 < sr < 1 << 31 and len(pcm) % 2 == 0:
                self.value = (bytes(pcm), sr)


class VoiceInput(ipywidgets.HBox):
    """A recording of your own: from the microphone or a file, whichever came last."""

    value = traitlets.Tuple()  # its name, its content, and the rate in Hz of a Recorder's PCM, or None; empty at first

    def __init__(self):
        self.recorder = Recorder()
        self.files = ipywidgets.FileUpload(
            accept=",".join(audio.SUFFIXES), multiple=False, description="Upload a file", layout={"width": "auto"}
        )
        super().__init__([self.recorder, ipywidgets.Label("or"), self.files], layout=FLOWING)
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
        The bundles' folders by what to call them, as `bundle.at_hand` returns them.

    Returns
    -------
    InteractiveFigure
    """
    predictor, player = functools.lru_cache(predict.Predictor), new_player()
    options = [(f"{name}: {_about(bundle.read(folder))}", folder) for name, folder in bundles.items()]
    controls = {"bundle": ipywidgets.Dropdown(options=options, description="model"), "voice": VoiceInput()}
    most = f"at most {MAX_UPLOAD_BYTES / 1e6:.0f} MB"

    def draw(bundle, voice):
        if not voice:
            return None, "", f"No recording yet: record one sentence, or upload it as {audio.FORMATS}, {most}."
        name, content, sr = voice
        if len(content) > MAX_UPLOAD_BYTES:
            return None, "", f"{name} has {len(content) / 1e6:.1f} MB; expected {most}. Cut it to one sentence."
        if sr is not None:
            content = audio.wav_bytes(np.frombuffer(content, "<i2"), sr)
        try:
            chosen = predictor(bundle)
        except weights.MissingWeightsError as error:
            return None, "", f"This model needs more than comes with it: {error}."
        except (ValueError, OSError):
            return None, "", f"{settings.short(bundle)} cannot be used any more; choose another model."
        try:
            return _answer(chosen, player, io.BytesIO(content))
        except (ValueError, OSError) as error:
            return None, "", f"{name}: {error}."

    return InteractiveFigure(draw, controls, sounds=[player])


def _about(contract):
    """Describe in a few words what a bundle was trained on."""
    speech = "synthetic speech in the layout of " if contract.synthetic else ""
    return f"{speech}{figures.title_of(contract.corpus)}, {len(contract.speakers)} speakers"
