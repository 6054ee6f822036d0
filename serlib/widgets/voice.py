"""Record or choose a recording, and see what a model answers."""

import functools
import html

import anywidget
import ipywidgets
import numpy as np
import traitlets

from .. import audio, bundle, download, figures, labels, predict, settings, weights
from .base import FLOWING, PLAYED_HZ, STATIC, Html, InteractiveFigure, new_player, offer, played, recordings, row_of
from .windows import browse_windows, clock

MAX_UPLOAD_BYTES = 8_000_000  # a minute and a half of 16-bit mono at 44.1 kHz; servers drop messages above 10 MB
MAX_RECORDING_S = 30
LONG_S, MAX_TALK_S = 30, 600  # what is longer is heard in windows, and no more than so much of it
ANSWER, LEARN = "How do I sound?", "Learn my voice"
ENOUGH = 5  # sentences, which do most of what all of a speaker's do (figures/calibration.png)
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


def _answer(predictor, player, source, known="", trust=""):
    """Put a recording into the player; return a figure of the answer, its alt text, and how far to trust it."""
    answer = predictor.hear(source)
    player.value = played(source)
    is_unfamiliar = predict.is_unfamiliar(answer["warnings"])
    ax = figures.draw_probabilities(answer["probabilities"], is_doubtful=is_unfamiliar)
    says = "if the model had to choose" if is_unfamiliar else "the model says"
    ax.set_title(f"{known}{says}: {answer['emotion']}", fontsize=10)
    bars = ", ".join(f"{emotion} {probability:.2f}" for emotion, probability in answer["probabilities"].items())
    if is_unfamiliar:
        first = "<b>The model declines to answer.</b> Another microphone, room or language can be reason enough."
    else:
        emotion = answer["emotion"]
        first = f"It sounds most like <b>{emotion}</b> (probability {answer['probabilities'][emotion]:.2f})."
    lines = [f'<span style="font-size: 1.2em">{first}</span>', trust or _trust(predictor.contract)]
    for warning in answer["warnings"]:
        kind, _, advice = html.escape(warning).partition(": ")
        lines.append(f"<b>{kind.capitalize()}</b>: {advice}.")
    return ax.figure, f"Bars of probability by emotion: {bars}.", Html(f'<div role="status">{"<br>".join(lines)}</div>')


def _trust(contract, n_sentences=0):
    """Return how far to trust a model, as HTML."""
    known = f", with {n_sentences} of your sentences known to it" if n_sentences else ""
    ignorant = "<br>The model knows nothing but synthetic speech." if contract.synthetic else ""
    return f"How far to trust it{known}: {html.escape(bundle.trust(contract))}.{ignorant}"


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

    def clear(self):
        """Forget what came last, so that the same may come again."""
        self.recorder.value = self.files.value = self.value = ()

    def _take_recording(self, change):
        if change["new"]:
            self.value = ("the recording", *change["new"])

    def _take_file(self, change):
        for file in change["new"]:
            self.value = (file["name"], bytes(file["content"]), None)


class _Listener:
    """The models, and the sentences that calibrate them to a voice, in memory only."""

    def __init__(self):
        self.sentences = []  # sound files, as bytes
        self.forget = ipywidgets.Button(description="Forget it", disabled=True, layout={"width": "auto"})
        self.load = functools.lru_cache(predict.Predictor)
        self._calibrated = functools.lru_cache(lambda folder, sentences: self.load(folder).calibrated(sentences))
        self.forget.on_click(self._forget)

    def predictor(self, folder):
        """Return a model, calibrated to the sentences if there are some and it can be."""
        plain = self.load(folder)
        return self._calibrated(folder, tuple(self.sentences)) if self.n_known(plain.contract) else plain

    def n_known(self, contract):
        """Return how many sentences a model makes use of."""
        return len(self.sentences) if contract.voice else 0

    def learn(self, predictor, name, content):
        """Take a sentence, unless something is wrong with it; return what to say."""
        if content not in self.sentences:
            warnings = predictor.hear(content)["warnings"]
            if found := [one for one in warnings if one != predict.AFAR]:  # from afar it can be known, too
                return f"{name} was not taken. {found[0][0].upper()}{found[0][1:]}. Say it once more."
            self.sentences.append(content)
            self.forget.disabled = False
        n, go_on = len(self.sentences), f"choose '{ANSWER}'"
        if n < ENOUGH:
            return f"{n} of {ENOUGH} sentences. Say another in another mood (tired, cross, delighted), or {go_on}."
        return f"{n} sentences: the model knows your voice and your room. Now {go_on}."

    def _forget(self, _button):
        self.sentences.clear()
        self._calibrated.cache_clear()
        self.forget.disabled = True


def talk(bundles):
    """Record your voice or upload a recording, choose a model, and see what it says and how far to trust it.

    A model for strangers can get to know a voice first. A recording of more than `LONG_S` is heard window by window.
    Recordings are kept in memory only. Nothing here imports TensorFlow.

    Parameters
    ----------
    bundles : dict of str to path-like
        The bundles' folders by what to call them, as `bundle.at_hand` returns them.

    Returns
    -------
    InteractiveFigure
        With three more attributes: ``forget`` and ``fetch``, buttons, and ``timeline``, a box that holds the widget of
        a long recording.
    """
    listener, player, timeline = _Listener(), new_player(), ipywidgets.VBox()
    contracts = {folder: bundle.read(folder) for folder in bundles.values()}
    options = [(f"{name}: {_about(contracts[folder])}", folder) for name, folder in bundles.items()]
    options.sort(key=lambda option: not (contracts[option[1]].voice and _is_ready(contracts[option[1]])))
    controls = {
        "bundle": ipywidgets.Dropdown(options=options, description="model"),
        "is_learning": ipywidgets.ToggleButtons(options={ANSWER: False, LEARN: True}, value=False),
        "voice": VoiceInput(),
    }
    purposes, fetch = row_of(controls["is_learning"], listener.forget), ipywidgets.Button(layout={"width": "auto"})
    most, shown = f"at most {MAX_UPLOAD_BYTES / 1e6:.0f} MB", {"is_learning": False}

    def adjust():
        can_learn, is_learning = contracts[controls["bundle"].value].voice is not None, controls["is_learning"]
        is_learning.value = is_learning.value and can_learn
        purposes.layout.display = None if can_learn else "none"
        if is_learning.value != shown["is_learning"]:  # what was said last was said for something else
            shown["is_learning"] = is_learning.value
            controls["voice"].clear()

    def draw(bundle, is_learning, voice):
        timeline.children, n_known = [], listener.n_known(contracts[bundle])
        if not voice:
            return None, "", _invitation(n_known, is_learning, most)
        name, content, sr = voice
        if len(content) > MAX_UPLOAD_BYTES:
            return None, "", f"{name} has {len(content) / 1e6:.1f} MB; expected {most}. Cut it to one sentence."
        content = content if sr is None else audio.wav_bytes(np.frombuffer(content, "<i2"), sr)
        try:
            chosen = listener.predictor(bundle)
        except weights.MissingWeightsError as error:
            return None, "", f"This model needs more than comes with it: {error}."
        except (ValueError, OSError):
            return None, "", f"{settings.short(bundle)} cannot be used any more; choose another model."
        try:
            if is_learning:
                return None, "", listener.learn(chosen, name, content)
            return hear(chosen, content, _trust(contracts[bundle], n_known))
        except (ValueError, OSError) as error:
            return None, "", f"{name}: {error}."

    def hear(chosen, content, trust):
        heard = audio.excerpt(content, None, PLAYED_HZ, 0, MAX_TALK_S)
        if len(heard) <= LONG_S * PLAYED_HZ:
            return _answer(chosen, player, content, trust=trust)
        figure.say(f"Listening to {clock(len(heard) / PLAYED_HZ)} minutes, window by window ...")
        timeline.children = [browse_windows(heard, chosen, PLAYED_HZ)]
        is_cut = len(heard) == MAX_TALK_S * PLAYED_HZ
        rest = f"<br>These are its first {MAX_TALK_S // 60} minutes; <code>serlib predict --windows</code> hears all."
        return None, "", Html(trust + rest * is_cut)

    rows = [[controls["bundle"], purposes, fetch], [controls["voice"]]]
    figure = InteractiveFigure(draw, controls, adjust=adjust, rows=rows, sounds=[player], below=[timeline])
    figure.forget, figure.fetch, figure.timeline = listener.forget, fetch, timeline
    listener.forget.on_click(figure.guarded(lambda _button: (controls["voice"].clear(), figure.redraw())))
    _offer_weights(figure, bundles, contracts)
    return figure


def _invitation(n_known, is_learning, most):
    """Say what to do while there is no recording yet."""
    if is_learning:
        return f"{n_known} of {ENOUGH} sentences. Say one in any mood: the model learns how your voice and room sound."
    known = f"The model knows {n_known} of your sentences. " if n_known else ""
    return f"{known}No recording yet: record one sentence, or upload it as {audio.FORMATS}, {most}."


def _is_ready(contract):
    """Return whether the weights that a model needs are at hand."""
    try:
        contract.kind.load()
    except weights.MissingWeightsError:
        return False
    return True


def _offer_weights(figure, bundles, contracts):
    """Show a button that downloads the missing weights; hide it if none are missing."""
    lacking = [name for name, folder in bundles.items() if contracts[folder].voice and not _is_ready(contracts[folder])]
    button = figure.fetch
    button.layout.display = None if lacking else "none"
    if not lacking:
        return
    wanted = weights.KNOWN[contracts[bundles[lacking[0]]].kind.model]
    size, told = f"{wanted.n_bytes / 1e6:.0f} MB", [0]
    button.description = f"Fetch what '{lacking[0]}' needs: {size}, licence {wanted.licence}"

    def tell(n_done, _n_bytes):
        if (percent := 100 * n_done // wanted.n_bytes) > told[0]:
            told[0], button.description = percent, f"Fetching {size}: {percent} %"

    def fetch(_button):
        button.disabled, button.description = True, f"Fetching {size} ..."
        try:
            download.fetch_weights(wanted.name, progress=tell)
        except (ValueError, OSError) as error:
            button.disabled, button.description = False, "Try again to fetch the weights"
            figure.say(f"The weights could not be fetched: {error}.")
        else:
            button.layout.display, figure.controls["bundle"].value = "none", bundles[lacking[0]]
            figure.redraw()

    button.on_click(figure.guarded(fetch))


def _about(contract):
    """Describe in a few words what a bundle was trained on."""
    speech = "synthetic speech in the layout of " if contract.synthetic else ""
    return f"{speech}{figures.title_of(contract.corpus)}, {len(contract.speakers)} speakers"
