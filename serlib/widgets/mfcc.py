"""Change how MFCCs are made, and hear what they keep."""

import functools

import ipywidgets
import msgspec
from matplotlib import pyplot as plt

from .. import audio, figures
from .. import features as mfccs
from .base import InteractiveFigure, new_player, played, wav_of

INVERT = "Hear what the MFCCs keep"
WINDOWS, HOPS, BANDS = (256, 512, 1024, 2048), (128, 256, 512, 1024), (16, 32, 64, 128)
MAX_MFCCS = 50


def explore_mfcc(recordings, *, features):
    """Change how MFCCs are made, see what becomes of them, and hear what they keep.

    Parameters
    ----------
    recordings : dict of str to path-like
        By what to call them.
    features : MfccMean
        Where the sliders stand at first.

    Returns
    -------
    InteractiveFigure
        With two more attributes: ``invert``, a Button, and ``inverted``, an Audio of what the MFCCs keep; it is empty
        until it is asked for, and after each change.
    """
    sr = features.sr
    recording = ipywidgets.Dropdown(options=list(recordings.items()), description="recording")
    sliders = _sliders(features)
    steps, player, inverted = figures.MfccFigure(), new_player(), new_player(autoplay=True)
    plt.close(steps.figure)  # it is rendered here; pyplot would show it a second time
    invert = ipywidgets.Button(description=INVERT, layout={"width": "auto"})
    loaded = functools.lru_cache(maxsize=8)(lambda file: (audio.load(file, sr), played(file)))
    shown = {}

    def adjust():
        sliders["n_mfcc"].max = min(MAX_MFCCS, sliders["n_mels"].value)

    def draw(recording, **sizes):
        signal, player.value = loaded(recording)
        inverted.value = b""
        changed = msgspec.structs.replace(features, n_fft=sizes["win_length"], **sizes)
        made = [make(signal, sr, features=changed) for make in (mfccs.spectrogram_db, mfccs.mel_db, mfccs.mfcc)]
        shown.update(mfcc=made[-1], features=changed)
        steps.show(signal, *made, features=changed)
        alt = f"Waveform, spectrogram, {changed.n_mels} mel bands, {changed.n_mfcc} MFCCs over time, and their means."
        return steps.figure, alt, ""

    figure = InteractiveFigure(
        draw,
        {"recording": recording, **sliders},
        adjust=adjust,
        rows=[[recording], sliders.values()],
        sounds=(player, invert, inverted),
    )

    def hear(_button):
        invert.disabled, invert.description = True, "Making a sound of them …"
        try:
            inverted.value = wav_of(mfccs.invert(**shown), sr)
        finally:
            invert.disabled, invert.description = False, INVERT

    invert.on_click(figure.guarded(hear))
    figure.invert, figure.inverted = invert, inverted
    return figure


def _sliders(first):
    """Return a slider for each setting of MFCCs, by its name; it stands at `first`'s."""

    def slider(description, numbers, value, unit=str):
        options = [(unit(number), number) for number in sorted({*numbers, value})]
        return ipywidgets.SelectionSlider(options=options, value=value, description=description, **look)

    def in_samples(number):
        return f"{number} samples ({1000 * number / first.sr:.0f} ms)"

    look = {"continuous_update": False, "layout": {"width": "33em"}, "style": {"description_width": "5.5em"}}
    return {
        "win_length": slider("window", WINDOWS, first.win_length, in_samples),
        "hop_length": slider("hop", HOPS, first.hop_length, in_samples),
        "n_mels": slider("mel bands", BANDS, first.n_mels),
        "n_mfcc": ipywidgets.IntSlider(first.n_mfcc, 2, MAX_MFCCS, description="MFCCs", **look),
    }
