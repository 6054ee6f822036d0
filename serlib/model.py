"""Build, fit, save, load: the network, and the bundle that carries its own contract.

TensorFlow is imported when a network is first built or loaded, never for reading a bundle's contract: prediction runs
the ONNX file without it. For the same reason, whatever else takes long to import is imported where it is used.
"""

import base64
import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import io
import json
import platform
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from . import __version__, audio, features, labels, settings
from .settings import SEED, Recipe, replacing, replacing_together

BUNDLE_FORMAT = 2
PARTS = ("MODEL_CARD.md", "bundle.json", "history.csv", "model.keras", "model.onnx")
PICTURES = ("learning-curves", "confusion")  # which `train -a -c` draws into a bundle: a PNG file and its sidecar each
MAX_BYTES = 64 << 20  # of a network's file; the largest that a recipe allows is smaller, that of `paper` has 0.3 MB
KERAS_WEIGHTS = "model.weights.h5"  # in model.keras, which is a zip archive
KEPT_EVERY, PARTIAL_FILE = 25, "state.npz"  # epochs; of a training that may be interrupted
SHIPPED = Path(__file__).parent / "models"
HISTORY_COLUMNS = ("fold", "epoch", "loss", "accuracy", "val_loss", "val_accuracy")
GOLDEN_TOLERANCE = 1e-3  # of a probability: other processors round otherwise, other features differ by far more
SHRINKAGE = 0.1  # of the covariance towards its diagonal: some corpora have hardly more utterances than coefficients
FAMILIAR_SHARE = 0.95  # of unseen speakers' recordings that shall pass


@functools.cache
def _tensorflow():
    """Import TensorFlow, once: quiet, on the CPU, with one thread; the nets are too small to share among more."""
    settings.prepare_tensorflow()
    with settings.quiet_stderr():
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # where a program has used it before, its own choice stands
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
        tf.config.list_logical_devices()  # starts its runtime, which announces itself, too
    tf.get_logger().setLevel("ERROR")  # each fold compiles a graph of its own, and is meant to
    return tf


def build(recipe, n_emotions, *, seed=SEED):
    """Build and compile the recipe's network, with fresh weights.

    Parameters
    ----------
    recipe : Recipe
    n_emotions : int
        The number of outputs.
    seed : int
        Draws the weights and the dropout.

    Returns
    -------
    keras.Model
        Input (n_mfcc, 1), output (n_emotions,): probabilities.

    Raises
    ------
    ValueError
        If there is nothing to tell apart.
    """
    if n_emotions < 2:
        raise ValueError(f"there is {n_emotions} emotion to be told; expected two or more. Take a table that has them")
    _tensorflow()
    import keras

    model, training = recipe.model, recipe.training
    glorot = [keras.initializers.GlorotUniform(seed=seed + number) for number in range(5)]

    def convolution(number):
        return keras.layers.Conv1D(
            model.filters[number],
            model.kernel_size,
            padding="same",
            activation="relu",
            kernel_initializer=glorot[number],
            name=f"conv_{number + 1}",
        )

    def pooling(number):
        return keras.layers.MaxPooling1D(model.pool_size, padding=model.pool_padding, name=f"pool_{number}")

    stack = [
        keras.layers.Input((recipe.features.n_mfcc, 1), name="mean_mfcc"),
        convolution(0),
        convolution(1),
        pooling(2),
        convolution(2),
        pooling(3),
        keras.layers.Dropout(model.dropout, seed=seed, name="dropout"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(model.dense, activation="relu", kernel_initializer=glorot[3], name="dense"),
        keras.layers.Dense(n_emotions, activation="softmax", kernel_initializer=glorot[4], name="emotion"),
    ]
    network = keras.Sequential(stack, name=recipe.name.replace("-", "_"))
    network.compile(optimizer=keras.optimizers.Adam(training.learning_rate), loss=training.loss, metrics=["accuracy"])
    return network


def fit(recipe, X, y, *, emotions, validation=None, epochs=None, seed=SEED, callbacks=(), partial=None, progress=False):
    """Train the recipe's network; the last epoch is kept, unless a callback says otherwise.

    Parameters
    ----------
    recipe : Recipe
    X : ndarray of float32, shape (n_utterances, n_mfcc)
    y : sequence of str, shape (n_utterances,)
        Emotions.
    emotions : sequence of str
        What the outputs mean, in this order.
    validation : tuple of (X, y), optional
        Scored after every epoch; nothing is selected by it.
    epochs : int, optional
        By default the recipe's.
    seed : int
        Draws the weights, the order of the batches and the dropout: same seed, same machine, same model.
    callbacks : sequence of keras.callbacks.Callback
        Called as Keras's own ``fit`` calls them, but between epochs only, never between batches:
        ``keras.callbacks.EarlyStopping`` works, and so does whatever sets ``model.stop_training``.
    partial : path-like, optional
        A folder where the training is kept every `KEPT_EVERY` epochs. If it holds one already, this one goes on from
        there, and ends as if it had never been interrupted; callbacks are told of the further epochs only.
    progress : bool
        Whether to show a progress bar, with loss and accuracy, on stderr.

    Returns
    -------
    model : keras.Model
    history : DataFrame
        A row per epoch: ``epoch`` (from 1), ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy`` (empty without
        validation).

    Raises
    ------
    ValueError
        If there is nothing to train on, `y` has an emotion that is not an output, or `partial` holds another training.
    """
    import pandas as pd

    tf = _tensorflow()
    import keras

    if not len(X):
        raise ValueError("there is no utterance to train on; expected at least one")
    network = build(recipe, len(emotions), seed=seed)
    X, Y = tf.constant(X[..., None]), tf.constant(_one_hot(y, emotions))
    held_out = None if validation is None else (validation[0][..., None], _one_hot(validation[1], emotions))
    train_epoch, evaluate = _compiled_steps(tf, network, recipe.training.batch_size)
    rng, rows, n_epochs = np.random.default_rng(seed), [], epochs or recipe.training.epochs
    if partial is not None:
        kept = _Partial(partial, network, rng, (recipe.to_dict(), seed, list(emotions)), (X, Y, *(held_out or ())))
        rows = kept.restore(n_epochs)
    watchers = keras.callbacks.CallbackList(list(callbacks), model=network, epochs=n_epochs)
    watchers.on_train_begin()
    remaining = range(len(rows) + 1, n_epochs + 1)
    bar = tqdm(remaining, desc="train", unit="epoch", initial=len(rows), total=n_epochs, disable=not progress)
    for epoch in bar:
        watchers.on_epoch_begin(epoch - 1)
        order = rng.permutation(len(X)) if recipe.training.shuffle else np.arange(len(X))
        loss, accuracy = (float(value) for value in train_epoch(X, Y, tf.constant(order)))
        val_loss, val_accuracy = (float(value) for value in evaluate(*held_out)) if held_out else (np.nan, np.nan)
        rows.append((epoch, loss, accuracy, val_loss, val_accuracy))
        bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
        scores = {"loss": loss, "accuracy": accuracy}
        watchers.on_epoch_end(
            epoch - 1, scores | ({"val_loss": val_loss, "val_accuracy": val_accuracy} if held_out else {})
        )
        if partial is not None and epoch % KEPT_EVERY == 0:
            kept.store(rows)
        if network.stop_training:
            break
    watchers.on_train_end()
    return network, pd.DataFrame(rows, columns=HISTORY_COLUMNS[1:])


class _Partial:
    """A training that is not done: weights, optimiser, random generators and history, in one file of a folder."""

    def __init__(self, folder, network, rng, how, arrays):
        self.file, self.network, self.rng = Path(folder) / PARTIAL_FILE, network, rng
        key = hashlib.sha256(json.dumps(how).encode())
        for array in arrays:
            key.update(np.ascontiguousarray(array))
        self.key = key.hexdigest()

    def _variables(self):  # the dropout's generator is among the network's
        return [*self.network.variables, *self.network.optimizer.variables]

    def store(self, rows):
        state = {f"variable_{number}": np.asarray(variable) for number, variable in enumerate(self._variables())}
        state |= {"key": self.key, "rng": json.dumps(self.rng.bit_generator.state), "rows": np.array(rows)}
        content = io.BytesIO()  # written at once: an archive that cannot be ended complains of it once more
        np.savez(content, **state)
        with contextlib.suppress(FileNotFoundError), replacing(self.file) as temporary:
            temporary.write_bytes(content.getvalue())  # another training may just have taken the folder away

    def restore(self, n_epochs):
        """Go back to where the training was, if it is kept, and return the rows of its history."""
        if not self.file.is_file():
            return []
        afresh = "train without --resume to begin afresh"
        try:
            with np.load(io.BytesIO(self.file.read_bytes()), allow_pickle=False) as state:
                key, rows = str(state["key"]), [(int(epoch), *scores) for epoch, *scores in state["rows"].tolist()]
                rng = json.loads(str(state["rng"]))
                values = [state[f"variable_{number}"] for number in range(len(self._variables()))]
        except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{self.file} is no training that can be gone on with ({error}); {afresh}") from None
        if key != self.key:
            raise ValueError(f"{self.file} is a training on other data, or with another recipe or seed; {afresh}")
        if len(rows) > n_epochs:
            raise ValueError(f"{self.file} is a training of {len(rows)} epochs; expected at most {n_epochs}; {afresh}")
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)
        self.rng.bit_generator.state = rng
        return rows


def partial_of(folder):
    """Return where the training of a bundle is kept until it is saved: a folder beside it."""
    return Path(folder).with_name(f"{Path(folder).name}.partial")


def forget(partial):
    """Take away a training that `fit` kept; whatever else is in the folder stays."""
    (Path(partial) / PARTIAL_FILE).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(partial).rmdir()


def after_epoch(act):
    """Return a callback for `fit` that acts after every epoch, and may end the training there.

    Parameters
    ----------
    act : callable
        Takes the network, the number of the epoch (from 1) and its scores by name; if it returns something true, no
        further epoch is begun.

    Returns
    -------
    keras.callbacks.Callback
    """
    _tensorflow()
    import keras

    class AfterEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = bool(act(self.model, epoch + 1, logs))

    return AfterEpoch()


def _one_hot(y, emotions):
    """Return `y` as float32, shape (n_utterances, n_emotions), a single 1 in each row."""
    if unknown := sorted(set(map(str, y)).difference(emotions)):
        raise ValueError(f"emotions {unknown[:3]} are no outputs of this model; expected {', '.join(emotions)}")
    position = {emotion: k for k, emotion in enumerate(emotions)}
    return np.eye(len(emotions), dtype=np.float32)[[position[emotion] for emotion in y]]


def _compiled_steps(tf, network, batch_size):
    """Compile a whole epoch into one graph, and the validation pass into another.

    Keras's own ``fit`` (and its ``steps_per_execution``) spends nearly all of its time between steps of a net as
    small as this one; the loop below takes the same steps - Keras's model, loss and optimiser, batches in the given
    order - without leaving the graph. How much that gains stands in `benchmarks/RESULTS.md`; the tests hold the loop
    to the losses of ``fit``.
    """

    def scores(x, y, probabilities):
        loss = network.compute_loss(y=y, y_pred=probabilities)
        is_right = tf.equal(tf.argmax(probabilities, axis=1), tf.argmax(y, axis=1))
        return loss, tf.reduce_mean(tf.cast(is_right, tf.float32))

    @tf.function(autograph=False)
    def train_epoch(X, Y, order):
        n_utterances = tf.shape(order)[0]

        def step(start, total):
            batch = order[start : start + batch_size]
            x, y = tf.gather(X, batch), tf.gather(Y, batch)
            with tf.GradientTape() as tape:
                loss, accuracy = scores(x, y, network(x, training=True))
            gradients = tape.gradient(loss, network.trainable_variables)
            network.optimizer.apply(gradients, network.trainable_variables)
            return start + batch_size, total + tf.cast(tf.shape(batch)[0], tf.float32) * tf.stack([loss, accuracy])

        _, total = tf.while_loop(lambda start, _: start < n_utterances, step, (0, tf.zeros(2)), parallel_iterations=1)
        return tf.unstack(total / tf.cast(n_utterances, tf.float32))

    @tf.function(autograph=False)
    def evaluate(X, Y):
        return scores(X, Y, network(X, training=False))

    network.optimizer.build(network.trainable_variables)
    return train_epoch, evaluate


def probabilities(network, X):
    """Return what the network says of each vector.

    Parameters
    ----------
    network : keras.Model
    X : ndarray of float32, shape (n_utterances, n_mfcc)

    Returns
    -------
    ndarray of float32, shape (n_utterances, n_emotions)
        Each row sums to 1.
    """
    return np.asarray(network(X[..., None], training=False))


@dataclass(frozen=True)
class Familiar:
    """What a model has heard, as far as it takes to tell what is unlike it: a Gaussian, and a distance that is too far.

    The distance of a vector is its Mahalanobis distance, divided by the square root of the number of coefficients, so
    that about 1 is usual. ``benchmarks/FAMILIAR.md`` says what passes and what does not.

    Attributes
    ----------
    mean : ndarray of float32, shape (n_mfcc,)
    whitening : ndarray of float32, shape (n_mfcc, n_mfcc)
        Turns deviations from the mean into ones without correlation, and with variance 1.
    threshold : float
        What is farther away is unlike anything the model has heard.
    """

    mean: np.ndarray
    whitening: np.ndarray
    threshold: float = np.inf

    @classmethod
    def learn(cls, X, speakers):
        """Learn what is familiar from training rows; no row that the model is scored on may be among them.

        Each speaker in turn is left out, and is the validation data: the threshold is the distance within which
        `FAMILIAR_SHARE` of their recordings lie, each measured from the others'. Of a single speaker, tenths of the
        recordings are left out instead.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, n_mfcc)
        speakers : sequence of str, shape (n_utterances,)

        Returns
        -------
        Familiar
        """
        groups = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)[1]
        if not groups.any():
            groups = np.arange(len(X)) % 10
        left_out = [cls._of(X[groups != g]).distance(X[groups == g]) for g in range(groups.max() + 1)]
        threshold = float(np.quantile(np.concatenate(left_out), FAMILIAR_SHARE))
        return dataclasses.replace(cls._of(X), threshold=round(threshold, 4))

    @classmethod
    def _of(cls, X):
        mean, spread = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        spread[spread == 0] = 1
        Z = (X - mean) / spread
        covariance = (1 - SHRINKAGE) * Z.T @ Z / len(Z) + SHRINKAGE * np.eye(len(mean))
        whitening = np.linalg.inv(np.linalg.cholesky(covariance)) / spread
        return cls(mean.astype(np.float32), whitening.astype(np.float32))

    def distance(self, X):
        """Return how far vectors are from what the model has heard.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, n_mfcc)

        Returns
        -------
        ndarray of float32, shape (n_utterances,)
        """
        return np.sqrt(np.mean(((X - self.mean) @ self.whitening.T) ** 2, axis=1))

    def to_dict(self):
        """Return it as a dict that JSON can carry."""
        numbers = np.vstack([self.mean, self.whitening]).astype("<f4")
        return {"threshold": self.threshold, "gaussian_base64": base64.b64encode(numbers.tobytes()).decode()}

    @classmethod
    def from_dict(cls, fields, *, n_mfcc):
        """Rebuild it from `to_dict`'s result.

        Raises
        ------
        ValueError
            If it is damaged, or is not about so many coefficients.
        """
        try:
            numbers = np.frombuffer(base64.b64decode(fields["gaussian_base64"], validate=True), "<f4")
            mean, *whitening = numbers.reshape(n_mfcc + 1, n_mfcc)
            threshold = float(fields["threshold"])
            if not np.isfinite([*numbers, threshold]).all():
                raise ValueError
            return cls(mean, np.array(whitening), threshold)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ValueError(f"what it says of what it has heard is not {n_mfcc + 1} x {n_mfcc} numbers") from None


@dataclass(frozen=True)
class Bundle:
    """A trained model's contract, as ``bundle.json`` carries it.

    Attributes
    ----------
    corpus : str
    synthetic : bool
        Whether it was trained on synthetic speech.
    emotions : tuple of str
        What the outputs mean, in this order.
    recipe : Recipe
    epochs, seed : int
    split : dict
        ``protocol``, ``seed``, numbers of utterances, what the validation curve was drawn from.
    speakers : tuple of str
        Whom it was trained on.
    score : dict
        ``protocol``, ``n``, ``accuracy``, ``uar`` on the split's test part.
    honest : dict or None
        The score on unseen speakers, with its interval; None until it has been measured.
    familiar : dict
        What tells recordings that are unlike anything the model has heard, as `Familiar.to_dict` returns it.
    versions : dict
        Of Python and the libraries that made it.
    golden : dict
        Synthetic speech (WAV, base64), and what the model says of it.
    """

    corpus: str
    synthetic: bool
    emotions: tuple[str, ...]
    recipe: Recipe
    epochs: int
    seed: int
    split: dict
    speakers: tuple[str, ...]
    score: dict
    familiar: dict
    honest: dict | None = None
    versions: dict = dataclasses.field(default_factory=dict)
    golden: dict = dataclasses.field(default_factory=dict)
    onnx_sha256: str = ""


def save(folder, network, history, bundle):
    """Write a bundle: the network twice (Keras, ONNX), its history, contract and card; it appears whole or not at all.

    Parameters
    ----------
    folder : path-like
        Replaced if it holds a bundle already.
    network : keras.Model
    history : DataFrame
        As `fit` returns it.
    bundle : Bundle
        Versions, golden input and checksum are filled in here.

    Returns
    -------
    Bundle
        As written.

    Raises
    ------
    ValueError
        If `folder` is there and is not a bundle.
    """
    folder = Path(folder)
    refuse_place(folder)
    with replacing_together(folder) as (making,):
        making.mkdir()
        network.save(making / "model.keras")
        _export_onnx(network, making / "model.onnx")
        history.assign(fold=0)[list(HISTORY_COLUMNS)].to_csv(making / "history.csv", index=False, float_format="%.6f")
        wav = _golden_wav()
        said = probabilities(network, _golden_vector(wav, bundle.recipe.features)[None])[0]
        bundle = dataclasses.replace(
            bundle,
            versions=_versions(),
            golden={"wav_base64": base64.b64encode(wav).decode(), "probabilities": [round(float(p), 6) for p in said]},
            onnx_sha256=hashlib.sha256((making / "model.onnx").read_bytes()).hexdigest(),
        )
        write_contract(making, bundle)
    return bundle


def refuse_place(folder):
    """Raise if a bundle cannot be written: a folder is there and is not one, or holds more, which would be lost.

    Parameters
    ----------
    folder : path-like

    Raises
    ------
    ValueError, OSError
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "bundle.json").is_file():
        raise ValueError(f"{folder} exists and is not a bundle; nothing was written. Name another place with -o")
    ours = {*PARTS, *(f"{name}.{suffix}" for name in PICTURES for suffix in ("png", "json"))}
    if others := sorted(file.name for file in folder.glob("*") if file.name not in ours and file.name[0] != "."):
        holds = f"{folder} holds {settings.printable(others[0])!r}, which is no part of a bundle"
        raise ValueError(f"{holds}; nothing was written. Name another place with -o")
    with settings.hidden(folder, is_folder=True):
        pass


def _export_onnx(network, file):
    """Write the network as ONNX; its converter's chatter is not the user's."""
    with settings.quiet_stderr(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # Keras 3.15's own
        network.export(file, format="onnx", verbose=False)


def _golden_wav():
    """Return a little synthetic speech as the bytes of a WAV file."""
    from . import synthetic

    return audio.wav_bytes(synthetic.speech("neutral", "golden", gender="female", sr=16000)[:8000], 16000)


def _golden_vector(wav, recipe_features):
    """Take the golden input the way of any recording: decode, resample, MFCC, mean."""
    return features.from_file(io.BytesIO(wav), features=recipe_features)


def write_contract(folder, bundle):
    """Write ``bundle.json`` and ``MODEL_CARD.md`` into a bundle's folder."""
    fields = {"format": BUNDLE_FORMAT, **dataclasses.asdict(bundle)}
    with replacing_together(Path(folder) / "bundle.json", Path(folder) / "MODEL_CARD.md") as (contract, model_card):
        contract.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        model_card.write_text(card(bundle), encoding="utf-8")


def shipped():
    """Return the bundles that come with this package: folders by name."""
    return {file.parent.name: file.parent for file in sorted(SHIPPED.glob("*/bundle.json"))}


def find(name):
    """Return the folder that a bundle's name means: a folder of that name, else one that comes with this package.

    Parameters
    ----------
    name : path-like

    Returns
    -------
    Path
        The name itself, if it means neither.
    """
    with settings.settled(name):
        return Path(name) if Path(name).exists() else shipped().get(str(name), Path(name))


def at_hand():
    """Return the bundles that can be used: those that come with this package, and those of the current profile.

    Returns
    -------
    bundles : dict of str to Path
        Folders by what to call them.
    unusable : dict of str to str
        Why others cannot be used, and what to do.
    """
    models = settings.current().models
    settings.settle_all(models)
    own = sorted(file.parent for file in models.glob("*/bundle.json"))
    bundles, unusable = shipped(), {}
    for folder in own:
        try:
            read_contract(folder)
            bundles[settings.short(folder)] = folder
        except (OSError, ValueError) as error:
            unusable[settings.short(folder)] = str(error)
    return bundles, unusable


def read_contract(folder):
    """Read and check a bundle's contract, without loading the network.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    Bundle

    Raises
    ------
    FileNotFoundError
        If there is no bundle.
    ValueError
        If it is damaged or of another version.
    """
    with settings.settled(folder), settings.settled(Path(folder) / "bundle.json"):
        return _read_contract(Path(folder))


def _read_contract(folder):
    file = folder / "bundle.json"
    if not file.is_file():
        others = f"or name one that comes with serlib ({', '.join(shipped())})"
        raise FileNotFoundError(
            f"{folder} is not a bundle (no bundle.json); make one with 'python -m serlib train', {others}"
        )
    again = "train the model again"
    try:
        contract = dict(settings.read_json(file))
        if contract.pop("format") != BUNDLE_FORMAT:
            raise ValueError(f"its format is not {BUNDLE_FORMAT}")
        for name in ("emotions", "speakers"):
            contract[name] = tuple(contract[name])
        bundle = Bundle(**contract | {"recipe": Recipe.from_dict(contract["recipe"])})
        _refuse_unlike(bundle)
        Familiar.from_dict(bundle.familiar, n_mfcc=bundle.recipe.features.n_mfcc)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder} has a contract that cannot be used: {error}; {again}") from None
    content = read_part(folder, "model.onnx")
    if hashlib.sha256(content).hexdigest() != bundle.onnx_sha256:
        what = "was altered or damaged: it is not the file that bundle.json describes"
        raise ValueError(f"{folder / 'model.onnx'} {what}; {again}")
    return bundle


# What must stand in a contract: the type of a field, or of each entry of one that is a table.
NUMBER = (int, float)
FIELDS = {
    **{"corpus": str, "onnx_sha256": str, "synthetic": bool, "epochs": int, "seed": int, "versions": dict},
    "split": {"n_train": int, "n_validation": int, "validation": str, "protocol": str},
    "score": {"uar": NUMBER, "accuracy": NUMBER, "protocol": str, "n": int},
    "golden": {"wav_base64": str, "probabilities": list},
    "honest": {"uar": NUMBER, "uar_ci95": (list, type(None)), "protocol": str, "n": int, "per_emotion": dict},
}


def _refuse_unlike(bundle):
    """Raise ValueError if a field of a contract is not what is saved there."""
    said = dataclasses.asdict(bundle)
    honest = said["honest"] or {"uar": 0, "uar_ci95": None, "protocol": "", "n": 0, "per_emotion": {}}
    said["honest"] = honest
    for name, kind in FIELDS.items():
        entries, kinds = (said[name], kind) if isinstance(kind, dict) else (said, {name: kind})
        for entry, wanted in kinds.items():
            if not isinstance(entries, dict) or not isinstance(entries.get(entry), wanted):
                raise ValueError(f"{name!r} is {said[name]!r:.40}")
    interval, recalls = honest["uar_ci95"] or [0, 0], honest["per_emotion"].values()
    numbers = [said["score"]["uar"], said["score"]["accuracy"], honest["uar"], *interval]
    numbers += [*said["golden"]["probabilities"], *(recall for recall in recalls if recall is not None)]
    is_share = [type(number) in NUMBER and not number > 1 and not number < 0 for number in numbers]
    if len(interval) != 2 or not all(is_share):
        raise ValueError("it has something else among its scores and probabilities than numbers from 0 to 1")
    if not all(isinstance(speaker, str) for speaker in bundle.speakers):
        raise ValueError("its speakers are not names")
    if labels.ordered(bundle.emotions) != bundle.emotions or len(bundle.emotions) < 2:
        raise ValueError(f"its emotions are not in the vocabulary's order, or not two: {bundle.emotions}")


def read_part(folder, name):
    """Read a network's file of a bundle.

    Parameters
    ----------
    folder : Path
    name : str
        ``model.onnx`` or ``model.keras``.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If it is missing, or larger than any network of ours.
    """
    file = folder / name
    if not file.is_file():
        raise ValueError(f"{file} is missing; train the model again")
    with open(file, "rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{file} has more than {MAX_BYTES:,} bytes; expected a small network. Train the model again")
    return content


def check_golden(bundle, run):
    """Let a loaded model hear the golden input, and compare what it says with what it said when it was saved.

    Parameters
    ----------
    bundle : Bundle
    run : callable
        (1, n_mfcc) float32 -> (1, n_emotions) probabilities.

    Raises
    ------
    ValueError
        If the answers differ: features, model or libraries are not what they were.
    """
    expected = np.array([bundle.golden["probabilities"]])
    try:
        wav = base64.b64decode(bundle.golden["wav_base64"], validate=True)
        vector = _golden_vector(wav, bundle.recipe.features)
    except ValueError as error:
        raise ValueError(
            f"the bundle of {bundle.corpus} cannot hear its golden input ({error}); train it again"
        ) from None
    said = np.asarray(run(vector[None]))
    if said.shape != expected.shape or not np.abs(said - expected).max() <= GOLDEN_TOLERANCE:
        raise ValueError(
            f"the bundle of {bundle.corpus} fails its self-test: of its golden input it says"
            f" {np.round(said, 3).tolist()}, and said {np.round(expected, 3).tolist()} then; train it again"
        )


def load(folder):
    """Build a bundle's network anew, load its weights, and check it by its golden input.

    The network is that of the recipe in the contract; what ``model.keras`` says of layers is not read, so that no code
    of a stranger's can be run.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    network : keras.Model
    bundle : Bundle

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no bundle, or it is damaged or fails its self-test.
    """
    folder = Path(folder)
    bundle = read_contract(folder)
    content = read_part(folder, "model.keras")
    network = build(bundle.recipe, len(bundle.emotions), seed=bundle.seed)
    network.optimizer.build(network.trainable_variables)  # whose state is among the weights
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, tempfile.TemporaryDirectory() as place:
            weights = Path(place) / KERAS_WEIGHTS
            if archive.getinfo(KERAS_WEIGHTS).compress_type not in settings.ZIP_METHODS:
                raise ValueError(f"{KERAS_WEIGHTS} is packed by another method than DEFLATE")
            with archive.open(KERAS_WEIGHTS) as packed:
                weights.write_bytes(packed.read(MAX_BYTES))
            _refuse_links(weights)
            network.load_weights(weights)
    except Exception as error:  # zipfile, h5py and Keras have many kinds
        why = settings.printable(str(error).split("\n")[0])
        raise ValueError(f"{folder / 'model.keras'} holds no weights of this recipe ({why}); train it again") from None
    check_golden(bundle, lambda X: probabilities(network, X))
    return network, bundle


def _refuse_links(weights):
    """Raise ValueError if an HDF5 file brings in other files, or unfolds to more than a network."""
    import h5py  # which Keras brings

    n_bytes = []

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            n_bytes.append(item.nbytes)
            if item.external or item.is_virtual:
                raise ValueError(f"{name!r} lies in another file")
        elif any(not isinstance(item.get(key, getlink=True), h5py.HardLink) for key in item):
            raise ValueError(f"{name!r} holds a link")

    with h5py.File(weights) as file:
        look("/", file)
        file.visititems(look)
    if sum(n_bytes) > MAX_BYTES:
        raise ValueError(f"it unfolds to {sum(n_bytes):,} bytes")


def _versions():
    names = ("keras", "tensorflow", "numpy", "scipy", "soxr", "soundfile", "onnxruntime")
    return {"serlib": __version__, "python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def trust(bundle):
    """Say in a line how far a bundle's answers can be trusted: its score on unseen speakers, beside chance.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    str
    """
    chance = f"chance {1 / len(bundle.emotions):.2f}"
    if not bundle.honest:
        return f"its score on unseen speakers is unknown; {chance}"
    interval = bundle.honest["uar_ci95"]
    spread = f"95 % interval {interval[0]:.2f} to {interval[1]:.2f}" if interval else "too few speakers for an interval"
    return f"UAR {bundle.honest['uar']:.2f} on unseen speakers ({spread}); {chance}"


def card(bundle):
    """Write the model card: what the model is for, what it was trained on, how far to trust it.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    str
        Markdown.
    """
    source = f"synthetic speech in the layout of {bundle.corpus}" if bundle.synthetic else bundle.corpus
    score, honest, chance = bundle.score, bundle.honest, 1 / len(bundle.emotions)
    if honest:
        interval = honest["uar_ci95"]
        spread = (
            f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else "too few speakers for an interval"
        )
        trust = f"UAR {honest['uar']:.3f} ({spread}; {honest['protocol']}, {honest['n']} utterances)"
    else:
        trust = "not measured yet (`python -m serlib evaluate --into BUNDLE` does)"
    tested = f"UAR {score['uar']:.3f}, accuracy {score['accuracy']:.3f} ({score['protocol']}, {score['n']} utterances)"
    trained = f"{bundle.split['n_train']} utterances of {len(bundle.speakers)} speakers, {bundle.epochs} epochs"
    curve = f"{bundle.split['n_validation']} utterances: {bundle.split['validation']}; nothing was selected by it"
    return f"""# {source}, recipe {bundle.recipe.name}

Says which emotion a recorded sentence is acted with: {", ".join(bundle.emotions)}.

| | |
|---|---|
| on unseen speakers | {trust} |
| on its test part | {tested} |
| chance level (UAR) | {chance:.3f} |
| trained on | {trained}, seed {bundle.seed} |
| validation curve | {curve} |
{_of_corpus(bundle)}
## Intended use

Teaching, and a baseline for research that says its protocol. **Not for** decisions about people: not in hiring,
schools, policing, health or insurance, nor to find out what somebody feels.

## Limits

- The corpora hold **acted** emotions, recorded in few rooms by few speakers. An acted label is not what somebody feels,
  and listeners often disagree with it.
- It knows one language, one microphone and these speakers' age; other recordings are unlike anything it has heard.
- It always names one of its emotions, also of a cough, of music or of silence. A recording that lies farther from
  those it was trained on than {FAMILIAR_SHARE:.0%} of what left-out speakers said is called unfamiliar; one that lies
  nearer may still be something else.
- A random split has the same speakers on both sides; judge the model by its score on unseen speakers.
{_by_emotion(honest, chance)}"""


def _of_corpus(bundle):
    """Return the card's rows on the corpus: language, licence, listeners; nothing of one that is not at hand."""
    from . import corpora

    try:
        passport = corpora.get(bundle.corpus)
    except ValueError:
        return ""
    facts = {"corpus": passport.title, "language": passport.language, "licence of the corpus": passport.licence}
    facts["cite the corpus"] = passport.citation
    for heard in passport.listeners[:1]:
        facts["listeners recognise"] = f"{heard['accuracy']:.3f} ({heard['condition']})"
    return "".join(f"| {name} | {fact} |\n" for name, fact in facts.items() if fact)


def _by_emotion(honest, chance):
    """Return the card's table of recalls on unseen speakers, once they are known."""
    if not honest:
        return ""
    known = {emotion: recall for emotion, recall in honest["per_emotion"].items() if recall is not None}
    worst = min(known, key=known.get)
    lines = "".join(f"| {emotion} | {recall:.3f} |\n" for emotion, recall in known.items())
    least = f"It recognises {worst} least ({known[worst]:.3f}; chance {chance:.3f})."
    return f"\n## Recall on unseen speakers\n\n| emotion | recall |\n|---|---|\n{lines}\n{least}\n"
