"""Change a network; watch a training."""

import asyncio
import concurrent.futures
import functools
import threading
import time

import anywidget
import ipywidgets
import traitlets
from sklearn.base import clone

from .. import evaluate, figures, models, settings
from .base import STATIC, Board, InteractiveFigure, error_block, row_of

UPDATED_S = 0.25  # the time between two updates of a training's curves: quick enough to follow, and no burden
N_DRAWN = 500  # points of a curve; more are no more to see


def explore_network(recipe, n_emotions):
    """Change the network's layers, and see its shapes and its number of parameters; nothing is trained.

    Parameters
    ----------
    recipe : Recipe
        Where the controls stand at first.
    n_emotions : int

    Returns
    -------
    InteractiveFigure

    Raises
    ------
    ValueError
        If the recipe's classifier is not a `models.Cnn1d`.
    """
    first = recipe.model
    if not isinstance(first, models.Cnn1d):
        raise ValueError(
            f"recipe {recipe.name} has a {models.class_name(first)}; expected a Cnn1d. Explore the recipe paper"
        )

    def slider(description, numbers, value):
        options = sorted({*numbers, value})
        return ipywidgets.SelectionSlider(
            options=options, value=value, description=description, continuous_update=False
        )

    controls = {
        "n_filters": slider("first filters", (4, 8, 16, 32), first.filters[0]),
        "kernel_size": slider("kernel (coefficients)", (3, 5, 7, 9), first.kernel_size),
        "pool_padding": ipywidgets.ToggleButtons(
            options=["same", "valid"], value=first.pool_padding, description="pooling"
        ),
        "dense": slider("dense units", (16, 32, 64, 128, 256), first.dense),
    }

    @functools.lru_cache(maxsize=64)
    def built(n_filters, **sizes):
        changed = clone(first).set_params(filters=(n_filters, 2 * n_filters, 4 * n_filters), **sizes)
        return changed.build(recipe.features.shape, n_emotions)

    def draw(**sizes):
        network = built(**sizes)
        layers = ", ".join(layer.name.replace("_", " ") for layer in network.layers)
        alt = f"The network's layers in a row, with their shapes: {layers}; {network.count_params():,} parameters."
        return figures.draw_architecture(network).figure, alt, ""

    return InteractiveFigure(draw, controls)


class Curves(anywidget.AnyWidget):
    """Learning curves that grow."""

    _esm, _css = STATIC / "curves.js", STATIC / "curves.css"
    panels = traitlets.List().tag(sync=True)  # as `PANELS`
    history = traitlets.Dict().tag(sync=True)  # columns by name: those of `COLUMNS`
    n_epochs = traitlets.Int(1).tag(sync=True)  # where the scale of epochs ends


def _panel(label, high, *series):
    """Describe a panel of `Curves`: where its scale ends (None follows the curves), and its lines."""
    return {"label": label, "high": high, "series": [dict(zip(_SERIES, one, strict=True)) for one in series]}


_SERIES = ("name", "column", "colour", "dash")  # the last as SVG has it
_LOSSES = ("training", "loss", figures.TRAIN, ""), ("validation", "val_loss", figures.TEST, "")
_ACCURACIES = ("training", "accuracy", figures.TRAIN, ""), ("validation", "val_accuracy", figures.TEST, "")
_UAR = ("validation UAR", "val_uar", figures.SHARED, "6 3")
PANELS = [_panel("loss", None, *_LOSSES), _panel("accuracy, and UAR", 1, *_ACCURACIES, _UAR)]
COLUMNS = ("epoch", *(one["column"] for panel in PANELS for one in panel["series"]))


class Monitor(Board):
    """A training in the background: its curves, how long it will take, and a button that ends it.

    It runs in a thread of its own. A cell that says ``trained = await monitor`` waits for the trained model, while the
    button keeps working; where there is no cell, `result` waits.

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
        what = "Stop, and keep what is learned"
        self.button = ipywidgets.Button(description=what, icon="stop", layout={"width": "auto"})
        self.bar = ipywidgets.IntProgress(max=n_epochs, layout={"width": "16em"})
        self.message = ipywidgets.HTML("starting")
        self.curves = Curves(panels=PANELS, n_epochs=n_epochs)
        super().__init__([row_of(self.button, self.bar, self.message), self.curves])
        self._train, self._rows, self._shown_at = train, [], 0.0
        self._stopped, self._trained = threading.Event(), concurrent.futures.Future()
        self.button.on_click(lambda _button: self.stop())
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self):
        """End the training after the current epoch; what was learned until then is kept."""
        self._stopped.set()

    def result(self):
        """Wait until the training has ended, and return what it returns.

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
        started_s = time.perf_counter()
        self._trained.set_running_or_notify_cancel()  # a cell that is interrupted while it waits does not end it
        try:
            trained = self._train(self._watch)
            self.curves.n_epochs = len(self._rows)  # what was learned fills the width
            self._show()
        except BaseException as error:
            self.message.value, self.bar.bar_style, self.button.disabled = error_block(), "danger", True
            self._trained.set_exception(error)
            return
        n, of, took = len(self._rows), self.bar.max, _duration(time.perf_counter() - started_s)
        stopped = f"stopped after {n:,} of {of:,} epochs, {took}; what was learned till then is kept"
        self.message.value = stopped if n < of else f"{n:,} epochs in {took}"
        self.bar.bar_style, self.button.disabled = "success", True
        self._trained.set_result(trained)

    def _watch(self, scores):
        """Store an epoch's scores, update the curves at intervals, and return whether to stop."""
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
        self.bar.value = len(self._rows)
        self.curves.history = {name: [round(row[name], 4) for row in rows] for name in COLUMNS}


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def watch_training(split, X, fold=0, *, recipe, epochs=None, seed=settings.SEED):
    """Train on one fold, and watch it: `evaluate.fit_fold` in the background.

    Parameters
    ----------
    split, X, fold, recipe, epochs, seed
        As `evaluate.fit_fold` takes them.

    Returns
    -------
    Monitor
        Its `result` is an `evaluate.Fold`.

    Raises
    ------
    ValueError
        If the recipe's classifier does not learn in epochs.
    """
    model = recipe.model if epochs is None else models.with_epochs(recipe.model, epochs)
    if not models.has_epochs(model):
        raise ValueError(f"recipe {recipe.name} does not learn in epochs, so there is nothing to watch; use fit_fold")
    how = {"recipe": recipe, "epochs": epochs, "seed": seed}
    return Monitor(lambda watch: evaluate.fit_fold(split, X, fold, **how, watch=watch), model.epochs)
