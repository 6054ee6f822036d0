"""A long recording, window by window: choose one, and hear it."""

import ipywidgets

from .. import audio, figures, predict
from .base import PLAYED_HZ, InteractiveFigure, new_player, wav_of

DOUBTFUL = "declines to answer"


def browse_windows(source, predictor, sr=None, **how):
    """See what a recording of any length sounds like over time, and hear the window that is chosen.

    A window is chosen with the slider, by mouse or keyboard, or by a click on the picture.

    Parameters
    ----------
    source : path-like, bytes of a sound file, or ndarray of float, shape (n_samples,)
        It is read again for each window that is heard.
    predictor : predict.Predictor
    sr : int, Hz, optional
        The rate of an array.
    **how
        ``window_s``, ``hop_s`` and ``n_jobs`` of `predict.Predictor.hear_windows`.

    Returns
    -------
    InteractiveFigure
        With one more attribute: ``windows``, the table that `predict.windows` returns.
    """
    windows, envelope = predict.windows(source, predictor, sr, **how), audio.envelope(source, sr)
    rows, player, places = windows.to_dict("records"), new_player(), {}
    options = [(f"{clock(row['start_s'])}: {_said(row)}", number) for number, row in enumerate(rows)]
    controls = {"window": ipywidgets.SelectionSlider(options=options or [("none", 0)], continuous_update=False)}

    def draw(window):
        if not rows:
            return None, "", "Nothing but pauses was heard; record closer to the microphone."
        axes, row = figures.draw_windows(windows, envelope), rows[window]
        start_s, end_s = row["start_s"], row["end_s"]
        axes[0].axvspan(start_s, end_s, color="#FFF200", alpha=0.6, zorder=0)
        axes[0].figure.draw_without_rendering()  # which puts the axes where they will be
        places.update(left=axes[1].get_position().x0, width=axes[1].get_position().width, end_s=axes[1].get_xlim()[1])
        player.value = wav_of(audio.excerpt(source, sr, PLAYED_HZ, start_s, end_s), PLAYED_HZ)
        chosen = f"From {clock(start_s)} to {clock(end_s)} the model {_said(row, 'says ')}."
        alt = "Waveform, and below it the probability of each emotion from window to window."
        return axes[0].figure, alt, f"{_shares(windows)} {chosen}"

    figure = InteractiveFigure(draw, controls, sounds=[player])
    figure.windows, figure.picture.is_clickable, player.autoplay = windows, True, True

    def choose(change):
        at_s = (change["new"][0] - places["left"]) / places["width"] * places["end_s"]
        middles = (windows["start_s"] + windows["end_s"]) / 2
        controls["window"].value = int((middles - at_s).abs().idxmin())

    figure.picture.observe(choose, names="clicked_at")
    return figure


def clock(seconds):
    """Return a time as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _said(row, verb=""):
    """Describe a window's answer and probability."""
    emotion = row["emotion"]
    return DOUBTFUL if predict.is_unfamiliar(row["warnings"]) else f"{verb}{emotion} ({row[f'p_{emotion}']:.2f})"


def _shares(windows):
    """Describe the share of each emotion and of declined windows, the most frequent first."""
    answers = windows["emotion"].mask(windows["warnings"].map(predict.is_unfamiliar), DOUBTFUL)
    in_words = ", ".join(f"{answer} {share:.0%}" for answer, share in answers.value_counts(normalize=True).items())
    return f"{len(windows):,} windows without pauses: {in_words}."
