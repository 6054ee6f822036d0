"""`NetworkClassifier`: a Keras network as a scikit-learn estimator, trained by a loop that is compiled epoch by epoch.

TensorFlow is imported when a network is first built: never by prediction, which runs the ONNX file without it.
"""

import contextlib
import functools
import io
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from .. import settings

HISTORY_COLUMNS = ("fold", "epoch", "loss", "accuracy", "val_loss", "val_accuracy")


@functools.cache
def tensorflow():
    """Import TensorFlow, once: quiet, on the CPU, with one thread; the networks are too small to share among more."""
    settings.prepare_tensorflow()
    with quiet_stderr():
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # where a program has used it before, its own choice stands
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
        tf.config.list_logical_devices()  # starts its runtime, which writes to stderr, too
    tf.get_logger().setLevel("ERROR")  # each fold compiles a graph of its own, and is meant to
    return tf


@contextlib.contextmanager
def quiet_stderr():
    """Send standard error nowhere, also that of the C libraries: TensorFlow writes there before its log can be set."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class NetworkClassifier(ClassifierMixin, BaseEstimator):
    """A classifier whose `_build(shape, n_classes, seed)` returns a Keras network with a softmax.

    A subclass has the parameters ``epochs``, ``batch_size``, ``learning_rate``, ``loss``, ``shuffle``, ``class_weight``
    (None, ``"balanced"`` or a dict of weights by class) and ``random_state`` (int: draws weights, batches and dropout).

    Attributes
    ----------
    classes_ : ndarray of str
        What the outputs mean, sorted.
    network_ : keras.Model
        As the last epoch left it.
    history_ : DataFrame
        A row per epoch: ``epoch`` (from 1), ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy`` (NaN without
        validation).
    """

    n_dims = 1  # of one utterance's features

    def _inputs(self, X):
        """Return features as the network takes them."""
        return X

    def _augment(self, tf, network, x, rng):
        """Return an augmented batch; here, unchanged."""
        return x

    def build(self, shape, n_classes):
        """Build and compile the network, with fresh weights.

        Parameters
        ----------
        shape : tuple of int
            Of one utterance's features.
        n_classes : int

        Returns
        -------
        keras.Model
        """
        if len(shape) != self.n_dims:
            wanted = "a vector" if self.n_dims == 1 else "(n_frames, n_features)"
            raise ValueError(
                f"{type(self).__name__} got features of shape {tuple(shape)}; expected {wanted}. See 'python -m serlib"
                " recipes' for what fits"
            )
        if n_classes < 2:
            raise ValueError(f"need at least 2 emotions, got {n_classes}; take a table that has more")
        tensorflow()
        import keras

        seed = np.random.default_rng().integers(2**31) if self.random_state is None else self.random_state
        network = self._build(keras, tuple(shape), n_classes, int(seed))
        network.compile(optimizer=keras.optimizers.Adam(self.learning_rate), loss=self.loss, metrics=["accuracy"])
        return network

    def fit(self, X, y, validation=None, on_epoch=None, *, sample_weight=None, progress=False):
        """Train the network; the last epoch is kept.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, n_features) or (n_utterances, n_frames, n_features)
        y : sequence of str, shape (n_utterances,)
            Emotions.
        validation : tuple of (X, y), optional
            Scored after every epoch; nothing is selected by it. An emotion that `y` has not is left out.
        on_epoch : callable, optional
            Called after every epoch with this estimator and the epoch's scores by name; if it returns something true,
            training ends there.
        sample_weight : array-like, shape (n_utterances,), optional
            Multiplied with the weights of ``class_weight``.
        progress : bool
            Whether to show a progress bar, with loss and accuracy, on stderr.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is nothing to train on, there are fewer than two emotions, or the features do not fit.
        """
        X, y = np.asarray(X, np.float32), np.asarray(y, dtype=str)
        if not len(X):
            raise ValueError("there is no utterance to train on; expected at least one")
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[-1]
        self._prepare(X)
        network, weights = self.build(X.shape[1:], len(self.classes_)), self._weights(y, sample_weight)
        data = [self._inputs(X), self._one_hot(y), *([] if weights is None else [weights])]
        held_out = None
        if validation is not None:
            known = np.isin(validation[1], self.classes_)
            if known.any():
                held_out = self._inputs(validation[0][known]), self._one_hot(np.asarray(validation[1], str)[known])
        with _training_loop(self, network, X.shape[1:], is_weighted=weights is not None) as loop:
            self.network_ = loop.network  # which `on_epoch` sees
            self.history_ = self._train(loop, data, held_out, on_epoch, progress)
        self.network_ = network
        return self

    def _train(self, loop, data, held_out, on_epoch, progress):
        """Train for all epochs, and return ``history_``."""
        import pandas as pd

        tf, rng, n_utterances = tensorflow(), np.random.default_rng(self.random_state), len(data[0])
        data, rows = [tf.constant(array) for array in data], []
        bar = tqdm(range(1, self.epochs + 1), desc="train", unit="epoch", disable=not progress)
        for epoch in bar:
            order = rng.permutation(n_utterances) if self.shuffle else np.arange(n_utterances)
            loss, accuracy = map(float, loop.train_epoch(tf.constant(order), *data))
            val_loss, val_accuracy = map(float, loop.evaluate(*held_out)) if held_out else (np.nan, np.nan)
            rows.append((epoch, loss, accuracy, val_loss, val_accuracy))
            bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
            if on_epoch is not None and on_epoch(self, dict(zip(HISTORY_COLUMNS[1:], rows[-1], strict=True))):
                break
        return pd.DataFrame(rows, columns=HISTORY_COLUMNS[1:])

    def _prepare(self, X):
        """Fit preprocessing to the training features; here, nothing."""

    def _weights(self, y, sample_weight):
        """Return the weight of each utterance as float32, or None where all weigh the same."""
        if self.class_weight is None and sample_weight is None:
            return None
        weights = np.ones(len(y)) if self.class_weight is None else compute_sample_weight(self.class_weight, y)
        return np.float32(weights if sample_weight is None else weights * np.asarray(sample_weight))

    def _one_hot(self, y):
        """Return `y` as float32, shape (n_utterances, n_classes), a single 1 in each row."""
        return np.eye(len(self.classes_), dtype=np.float32)[np.searchsorted(self.classes_, y)]

    def predict_proba(self, X):
        """Return the probability of each class: ndarray of float32, shape (n_utterances, n_classes)."""
        check_is_fitted(self)
        parts = (X[start : start + 512] for start in range(0, len(X) or 1, 512))
        return np.concatenate([np.asarray(self.network_(self._inputs(part), training=False)) for part in parts])

    def predict(self, X):
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def to_onnx(self):
        """Return the network as the bytes of an ONNX file; the converter's output is not the user's."""
        with tempfile.TemporaryDirectory() as folder, quiet_stderr(), contextlib.redirect_stdout(io.StringIO()):
            file = Path(folder) / "model.onnx"
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # Keras 3.15's own
                self.network_.export(file, format="onnx", verbose=False)
            return file.read_bytes()


class _TrainingLoop:
    """An epoch of training compiled into one graph, and the validation pass into another.

    Keras's own ``fit`` (and its ``steps_per_execution``) spends nearly all of its time between steps of a network as
    small as these. The loop takes the same steps without leaving the graph: Keras's model, loss and optimiser, batches
    in the given order. `benchmarks/RESULTS.md` has the gain; the tests hold the loop to the losses of ``fit``.
    """

    def __init__(self, model, shape, n_classes, is_weighted):
        tf, batch_size = tensorflow(), model.batch_size
        self.network = network = model.build(shape, n_classes)
        network.optimizer.build(network.trainable_variables)
        self.new_optimizer = [variable.numpy() for variable in network.optimizer.variables]
        self.rng = rng = tf.random.Generator.from_seed(0)
        x, y = tf.TensorSpec(network.input_shape), tf.TensorSpec(network.output_shape)
        weight = [tf.TensorSpec((None,))] if is_weighted else []

        def scores(x, y, probabilities, weight=None):
            loss = network.compute_loss(y=y, y_pred=probabilities, sample_weight=weight)
            is_right = tf.equal(tf.argmax(probabilities, axis=1), tf.argmax(y, axis=1))
            return loss, tf.reduce_mean(tf.cast(is_right, tf.float32))

        @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.int64), x, y, *weight])
        def train_epoch(order, X, Y, *weights):
            n_utterances = tf.shape(order)[0]

            def step(start, total):
                batch = order[start : start + batch_size]
                x, y, *w = (tf.gather(array, batch) for array in (X, Y, *weights))
                x = model._augment(tf, network, x, rng)
                with tf.GradientTape() as tape:
                    loss, accuracy = scores(x, y, network(x, training=True), *w)
                gradients = tape.gradient(loss, network.trainable_variables)
                network.optimizer.apply(gradients, network.trainable_variables)
                return start + batch_size, total + tf.cast(tf.shape(batch)[0], tf.float32) * tf.stack([loss, accuracy])

            begin = (0, tf.zeros(2))
            _, total = tf.while_loop(lambda start, _: start < n_utterances, step, begin, parallel_iterations=1)
            return tf.unstack(total * (1 / tf.cast(n_utterances, tf.float32)))

        @tf.function(autograph=False, input_signature=[x, y])
        def evaluate(X, Y):
            return scores(X, Y, network(X, training=False))

        self.train_epoch, self.evaluate = train_epoch, evaluate


_IDLE_LOOPS = {}
_MAX_IDLE = 4
_NOT_COMPILED = ("epochs", "shuffle", "class_weight", "random_state")  # parameters that the graphs do not hold


@contextlib.contextmanager
def _training_loop(model, network, shape, *, is_weighted):
    """Yield a cached training loop with `network`'s weights; copy the trained weights back.

    Compiling a loop takes as long as 40 epochs of a small corpus, so it is kept for the next fold. Whoever uses it has
    taken it out: two threads never share one.
    """
    parameters = {name: value for name, value in model.get_params().items() if name not in _NOT_COMPILED}
    n_classes = network.output_shape[-1]
    key = type(model), repr((shape, n_classes, is_weighted, parameters))
    loop = _IDLE_LOOPS.pop(key, None) or _TrainingLoop(model, shape, n_classes, is_weighted)
    _copy(network.variables, loop.network.variables)
    _copy(loop.new_optimizer, loop.network.optimizer.variables)
    loop.rng.reset_from_seed(model.random_state or 0)
    yield loop
    _copy(loop.network.variables, network.variables)
    _IDLE_LOOPS[key] = loop
    for oldest in list(_IDLE_LOOPS)[:-_MAX_IDLE]:
        _IDLE_LOOPS.pop(oldest, None)


def _copy(values, variables):
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)
