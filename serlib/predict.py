"""Bundle + recordings -> emotions with probabilities, without TensorFlow."""

import collections
import functools
import itertools
from pathlib import Path

import numpy as np
import onnxruntime
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from . import audio, model
from . import features as mfccs

UNFAMILIAR = "unfamiliar"
# What a network of ours is made of, and of which layers there are how many; none of these repeats or branches.
OPERATORS = ("Add", "Conv", "MatMul", "MaxPool", "Relu", "Reshape", "Softmax", "Squeeze", "Transpose", "Unsqueeze")
N_LAYERS, N_LARGE = 64, {"Conv": 3, "MatMul": 2}
MAX_NUMBER = 64  # in a layer's settings; the largest kernel that a recipe allows
MAX_BYTES = 1 << 28  # that networks may take while they run
N_AT_ONCE = 64  # vectors


class Predictor:
    """A loaded bundle, ready to hear recordings.

    Parameters
    ----------
    bundle : path-like
        The bundle's folder, or the name of one that comes with this package.

    Attributes
    ----------
    contract : model.Bundle

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no bundle, or it is damaged or fails its self-test.
    """

    def __init__(self, bundle):
        bundle = model.find(bundle)
        self.contract = model.read_contract(bundle)
        n_mfcc = self.contract.recipe.features.n_mfcc
        self._familiar = model.Familiar.from_dict(self.contract.familiar, n_mfcc=n_mfcc)
        network = model.read_part(bundle, "model.onnx")
        try:
            _refuse_strange_layers(network)
            self._session = onnxruntime.InferenceSession(network, _options(), providers=["CPUExecutionProvider"])
            (self._input,) = self._session.get_inputs()
            said = self.probabilities(np.zeros((2, n_mfcc), np.float32))
            if said.shape != (2, len(self.contract.emotions)):
                raise ValueError(f"of 2 vectors it says {said.shape}")
        except Exception as error:  # onnxruntime has a kind for each fault
            why = str(error).split("\n")[0]
            raise ValueError(
                f"{bundle / 'model.onnx'} is no network of this recipe ({why}); train the model again"
            ) from None
        model.check_golden(self.contract, self.probabilities)

    def probabilities(self, X):
        """Return what the model says of each vector.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, n_mfcc)

        Returns
        -------
        ndarray of float32, shape (n_utterances, n_emotions)
        """
        batches = [X[start : start + N_AT_ONCE, :, None] for start in range(0, len(X) or 1, N_AT_ONCE)]
        return np.concatenate([self._session.run(None, {self._input.name: batch})[0] for batch in batches])

    def hear(self, source):
        """Say what a recording sounds like.

        Parameters
        ----------
        source : path-like or binary file

        Returns
        -------
        dict
            ``emotion``, ``probabilities`` (emotion -> p, in the bundle's order), ``warnings`` (list of str: those of
            `audio.warnings`, and one of the kind `UNFAMILIAR` if it is unlike anything the model has heard).

        Raises
        ------
        FileNotFoundError, ValueError
            If it cannot be read as audio.
        """
        vector, warnings = _vector(source, self.contract.recipe.features)
        return self._answers(vector[None], [warnings])[0]

    def hear_all(self, paths, *, n_jobs=-1, progress=False):
        """Say what each recording sounds like, or why it cannot be read.

        Parameters
        ----------
        paths : path-like or sequence of path-like
            Sound files, or folders of them.
        n_jobs : int
            As `features.extract` takes it.
        progress : bool
            Whether to show a progress bar on stderr.

        Returns
        -------
        list of dict
            For each recording its ``path`` and what `hear` says, or ``error``.

        Raises
        ------
        FileNotFoundError
            If a folder holds no sound file.
        """
        files = recordings(paths)
        job = functools.partial(_vectors, features=self.contract.recipe.features)
        done = mfccs.in_chunks(job, list(enumerate(files)), n_jobs=n_jobs, desc="predict", progress=progress)
        heard = dict(itertools.chain.from_iterable(done))  # by number: chunks come as they are done
        read = [number for number in range(len(files)) if not isinstance(heard[number], str)]
        said = {}
        if read:
            X, warnings = zip(*(heard[number] for number in read), strict=True)
            said = dict(zip(read, self._answers(np.stack(X), warnings), strict=True))
        return [{"path": str(file)} | said.get(number, {"error": heard[number]}) for number, file in enumerate(files)]

    def _answers(self, X, warnings):
        """Return what is said of each vector, with what was found before in its recording."""
        emotions, most, answers = self.contract.emotions, self._familiar.threshold, []
        for p, distance, found in zip(self.probabilities(X), self._familiar.distance(X), warnings, strict=True):
            probabilities = {emotion: round(float(value), 4) for emotion, value in zip(emotions, p, strict=True)}
            strange = f"{UNFAMILIAR}: unlike anything this model has heard (distance {distance:.2f}, at most {most:.2f}"
            found = [*found, *([f"{strange} expected); do not rely on its answer"] if distance > most else [])]
            answers.append({"emotion": emotions[p.argmax()], "probabilities": probabilities, "warnings": found})
        return answers


@functools.cache
def _options():
    """Return how networks are run: in one thread, in silence, and all together in no more than `MAX_BYTES`."""
    onnxruntime.set_default_logger_severity(4)  # what is wrong is raised, too
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # What is worked out in advance is bounded by nothing; a network of ours has nothing of the kind.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    as_asked = {"arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"max_mem": MAX_BYTES, **as_asked}))
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


def _refuse_strange_layers(network):
    """Raise if an ONNX file, which may be a stranger's, holds anything but the layers of a network of ours.

    It is read by the numbers of its fields, as ``onnx.proto`` gives them: importing `onnx` takes half a second.
    """
    parsed = _fields(network)
    strange = ["functions"] if parsed[25] else []
    counted = collections.Counter()
    for graph in map(_fields, parsed[7]):
        strange += ["sparse weights"] if graph[15] else []
        strange += ["weights in another file" for weights in map(_fields, graph[5]) if weights[13]]
        strange += ["more than one answer"] if len(graph[12]) > 1 else []
        for node in map(_fields, graph[1]):
            names, attributes = [name.decode() for name in node[4] or [b""]], [*map(_fields, node[5])]
            counted.update(names)
            strange += [name for name in names if name not in OPERATORS]
            strange += [f"{names[0]} of {domain.decode()}" for domain in filter(None, node[7])]
            strange += ["a graph in a layer" for attribute in attributes if attribute[6] or attribute[11]]
            if any(_largest(attribute) > MAX_NUMBER for attribute in attributes):
                strange.append(f"{names[0]} with large numbers")
            if "Conv" in names and not any(attribute[1] == [b"kernel_shape"] for attribute in attributes):
                strange.append("Conv of any length")
    if counted.total() > N_LAYERS or any(counted[name] > n for name, n in N_LARGE.items()):
        strange.append("too many layers")
    if strange:
        raise ValueError(f"it has {strange[0]!r:.40}; expected layers of {', '.join(OPERATORS)}, as many as ours has")


def _largest(attribute):
    """Return the largest whole number of a layer's attribute: of field 3, or of the list in field 8, packed or not."""
    numbers = [[number] if isinstance(number, int) else number for number in (*attribute[3], *attribute[8])]
    return max(itertools.chain([0], *numbers))  # of more than one byte, the bytes are larger than those of small ones


def _fields(message):
    """Return {number: contents} of a Protocol Buffers message."""
    known = Empty()
    known.ParseFromString(message)
    fields = collections.defaultdict(list)
    for field in UnknownFieldSet(known):
        fields[field.field_number].append(field.data)
    return fields


def _vector(source, features):
    """Return a recording's mean MFCCs, and what may spoil a prediction from it."""
    signal = audio.load(source, features.sr)
    return mfccs.mean_mfcc(signal, features.sr, features=features), audio.warnings(signal, features.sr)


def _vectors(numbered, *, features):
    """Return [(number, what `_vector` returns or why it cannot)] of some recordings: a job of its own."""
    done = []
    for number, file in numbered:
        try:
            done.append((number, _vector(file, features)))
        except (OSError, ValueError) as error:
            done.append((number, str(error)))
    return done


def recordings(paths):
    """List the recordings that paths mean: files as they are, folders by the sound files below them, sorted.

    Parameters
    ----------
    paths : path-like or sequence of path-like

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError
        If a folder holds no sound file.
    """
    found = []
    for path in map(Path, [paths] if isinstance(paths, (str, Path)) else paths):
        inside = audio.files(path) if path.is_dir() else []
        if not path.is_dir() or (not inside and path.suffix.lower() in audio.SUFFIXES):
            found.append(path)  # an empty folder that is named like a recording will be told as one that is none
            continue
        if not inside:
            raise FileNotFoundError(f"{path} holds no sound file; expected {audio.FORMATS}. Convert others to WAV")
        found += inside
    return found


def predict(paths, bundle):
    """Say what recordings sound like.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        Sound files, or folders of them.
    bundle : path-like or Predictor
        As `Predictor` takes it, or one.

    Returns
    -------
    DataFrame
        A row per recording: ``path``, ``emotion``, ``p_<emotion>`` per output, ``warnings`` (list of str), ``error``
        (empty; else why the file could not be read, and the others are empty).

    Raises
    ------
    FileNotFoundError, ValueError
        If the bundle cannot be used, or a folder holds no sound file.
    """
    import pandas as pd

    predictor = bundle if isinstance(bundle, Predictor) else Predictor(bundle)
    rows = []
    for heard in predictor.hear_all(paths):
        p = {f"p_{emotion}": value for emotion, value in heard.get("probabilities", {}).items()}
        row = {"path": heard["path"], "emotion": heard.get("emotion", ""), **p}
        rows.append(row | {"warnings": heard.get("warnings", []), "error": heard.get("error", "")})
    columns = ["path", "emotion", *(f"p_{emotion}" for emotion in predictor.contract.emotions), "warnings", "error"]
    return pd.DataFrame(rows, columns=columns)
