"""What all widgets share: controls above, a sentence and a picture below."""

import html
import io
import threading
import traceback
from pathlib import Path

import anywidget
import ipywidgets
import traitlets
from matplotlib import pyplot as plt

from .. import audio, index

ERROR = "serlib-error"
DRAWING = threading.RLock()  # JupyterLab runs callbacks of several widgets in threads; pyplot is for one at a time
FLOWING = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 16px"}
PLAYED_HZ = 16000
STATIC = Path(__file__).parent / "static"
STANDARDISED = {
    "-normalised": "standardised by the speaker's own recordings",
    "-corpus-normalised": "standardised by the corpus's own recordings",
}
PROTOCOL_NAMES = {
    "random": "random utterances (speaker-dependent)",
    "speakers": "groups of speakers (speaker-independent)",
    "loso": "one speaker at a time (speaker-independent)",
    "sentences": "groups of sentences (speaker-dependent)",
    "given-parts": "the parts that the table brings (speaker-dependent)",
}
PROTOCOL_NAMES |= {
    f"{name}{ending}": f"{says.split(' (')[0]}, {standardised}"
    for ending, standardised in STANDARDISED.items()
    for name, says in PROTOCOL_NAMES.items()
}


class Html(str):
    """A sentence that is HTML already, with everything else escaped."""


class Board(ipywidgets.VBox):
    """A box that holds a widget of anywidget's; as a cell's last value, Colab shows it only by that one's metadata."""

    def _repr_mimebundle_(self, **options):
        inner = next(child for child in self.children if isinstance(child, anywidget.AnyWidget))
        _, metadata = inner._repr_mimebundle_(**options)
        return super()._repr_mimebundle_(**options), metadata


class InteractiveFigure(Board):
    """Controls, a sentence and a picture; all is drawn anew when a control changes.

    Parameters
    ----------
    draw : callable
        Takes an argument per control, and returns a Figure (or None), its alt text, and a sentence (or ""), text or
        `Html`.
    controls : dict of str to Widget
        By the name of the argument.
    adjust : callable, optional
        Makes what the controls offer agree with one another; called before anything is drawn.
    rows : list of list of Widget, optional
        The controls as they stand side by side; by default in one row.
    sounds : sequence of Widget
        Players and their buttons, shown while there is a picture; a player only while it has a sound.
    below : sequence of Widget
        What stands below the picture.

    Attributes
    ----------
    controls : dict of str to Widget
    player : ipywidgets.Audio or None
        The first of `sounds`.
    message : ipywidgets.HTML
    picture : Picture
    """

    def __init__(self, draw, controls, *, adjust=lambda: None, rows=None, sounds=(), below=()):
        self._draw, self._adjust, self._sounds, self._thread = draw, adjust, sounds, None
        self._arguments, self.controls, self.player = controls, dict(controls), next(iter(sounds), None)
        self.message, self.picture, self._sound_row = ipywidgets.HTML(), Picture(), row_of()
        above = [row_of(*row) for row in rows or [controls.values()]]
        super().__init__([*above, self._sound_row, self.message, self.picture, *below])
        self._show(*self._drawn())
        redraw = self.guarded(lambda _change: self.redraw())
        for control in controls.values():
            control.observe(redraw, names="value")

    def _drawn(self):
        """Return the picture as PNG, its alt text, and the sentence."""
        self._adjust()
        figure, alt, sentence = self._draw(**{name: control.value for name, control in self._arguments.items()})
        return b"" if figure is None else png_of(figure), alt, sentence

    def redraw(self):
        """Draw what the controls say; an error takes the place of the picture."""
        try:
            drawn = self._drawn()
        except Exception:
            drawn = b"", "", Html(error_block())
        self._show(*drawn)

    def _show(self, png, alt, sentence):
        self.say(sentence)
        self.picture.show(png, alt)
        self._show_sounds()

    def say(self, sentence):
        """Show a sentence, text or `Html`."""
        self._sentence = self.message.value = sentence if isinstance(sentence, Html) else html.escape(sentence)

    def _show_sounds(self):
        """Show players that have a sound: a browser reports one that has none as an error."""
        ready = [one for one in self._sounds if not isinstance(one, ipywidgets.Audio) or one.value]
        self._sound_row.children = ready if self.picture.png else []

    def guarded(self, callback):
        """Return a callback that shows its error in the message, and that its own changes do not call again."""

        def guard(*args):
            if self._thread == threading.get_ident():
                return
            with DRAWING:
                self._thread = threading.get_ident()
                try:
                    callback(*args)
                    self.message.value = self._sentence
                    self._show_sounds()
                except Exception:
                    self.message.value = error_block()
                finally:
                    self._thread = None

        return guard


def error_block():
    """Return the traceback of the exception at hand as HTML, in a block that headless runs look for."""
    return f'<pre class="{ERROR}">{html.escape(traceback.format_exc())}</pre>'


class Picture(anywidget.AnyWidget):
    """A picture with alt text; nothing where `png` is empty."""

    _esm, _css = STATIC / "picture.js", STATIC / "picture.css"
    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    is_clickable = traitlets.Bool(False).tag(sync=True)
    clicked_at = traitlets.Tuple()  # from the left and from above, as shares of its size; empty at first

    def __init__(self, **traits):
        super().__init__(**traits)
        self.on_msg(self._receive)

    def _receive(self, _widget, content, _buffers):
        match content:  # anything else was not sent by picture.js
            case {"clicked_at": [int() | float() as x, int() | float() as y]} if 0 <= x <= 1 and 0 <= y <= 1:
                self.clicked_at = (x, y)

    def show(self, png, alt=""):
        """Replace picture and alt text at once."""
        with self.hold_sync():
            self.png, self.alt = png, alt


def row_of(*widgets):
    """Put widgets side by side, as far as there is room, with their whole descriptions."""
    for one in widgets:
        if not hasattr(getattr(one, "style", None), "description_width"):
            continue
        one.style.description_width = one.style.description_width or "initial"
        width = "28em" if hasattr(one, "continuous_update") else "auto"
        if isinstance(one, ipywidgets.ToggleButtons):
            one.style.button_width, width = "auto", "max-content"
        one.layout.width = one.layout.width or width
    return ipywidgets.HBox(widgets, layout=FLOWING)


def offer(control, options, default=None):
    """Change what a control offers; what is chosen stays so if it still can be, else the default is, or the first."""
    values, chosen = [value for _, value in options], control.value
    if list(control.options) != options:
        control.options = options
        control.value = next((value for value in (chosen, default) if value in values), values[0])


def png_of(figure):
    """Render a figure as PNG, and close it: pyplot would show it a second time."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, pil_kwargs={"compress_level": 1})  # the quickest; a tenth larger
    plt.close(figure)
    return file.getvalue()


def recordings(table):
    """Return {utterance: sound file} of an index table, of one or several corpora."""
    roots = {name: index.root_of(table, name) for name in index.names(table)}
    return {row.utterance: roots[row.corpus] / row.path for row in table.itertuples()}


def played(source):
    """Return a recording as the bytes of a WAV file, as loud as can be."""
    return wav_of(audio.signal_of(source, None, PLAYED_HZ), PLAYED_HZ)


def wav_of(signal, sr):
    return audio.wav_bytes(signal / (float(abs(signal).max()) or 1.0), sr)


def new_player(**options):
    return ipywidgets.Audio(**{"value": b"", "format": "wav", "autoplay": False, "loop": False, **options})
