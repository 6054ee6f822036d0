"""Bundle + recordings -> emotions with probabilities, without TensorFlow or scikit-learn."""

import copy
import functools
import itertools
import math
import os
from pathlib import Path

import numpy as np
import onnxruntime

from . import audio, features
from . import bundle as bundles

UNFAMILIAR = "unfamiliar"
AFAR = f"{UNFAMILIAR}: the voice sounds far off, or drowned in noise; go close to the microphone, or calibrate there"
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")  # of the standard operators
CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")
MAX_NODES = 1000
MAX_BYTES = 1 << 28  # that models may take while they run
N_AT_ONCE = 64  # vectors
WINDOW_S, HOP_S = 3.0, 1.0  # of long recordings: as long as the corpora's sentences
PAUSE_DB = 30.0  # below the loudest window so far, there is no speech in a window ...
SILENCE_DB = -60.0  # ... nor below this, relative to full scale


class Predictor:
    """A loaded bundle, ready to hear recordings.

    Parameters
    ----------
    bundle : path-like
        The bundle's folder, or the name of one that comes with this package.

    Attributes
    ----------
    contract : bundle.Bundle

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no bundle, or it is damaged or fails its self-test.

    Examples
    --------
    >>> from serlib import predict
    >>> predict.Predictor("emodb-paper").contract.emotions
    ('anger', 'boredom', 'disgust', 'fear', 'happiness', 'neutral', 'sadness')
    """

    def __init__(self, bundle):
        folder = bundles.find(bundle)
        self.contract = bundles.read(folder)
        self._features, self._shift = self.contract.kind, np.float32(0)
        self._features.load()
        model = bundles.read_part(folder, "model.onnx")
        try:
            refuse_strange_model(model)
            self._session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
            (self._input,) = self._session.get_inputs()
            answer = self.probabilities(np.zeros((2, *self._features.shape), np.float32))
            if answer.shape != (2, len(self.contract.emotions)):
                raise ValueError(f"it answers {answer.shape} to two recordings")
        except Exception as error:  # onnxruntime has a kind for each fault
            why = str(error).split("\n")[0]
            raise ValueError(
                f"{folder / 'model.onnx'} is not a model of this recipe ({why}); train the model again"
            ) from None
        bundles.check_golden(self.contract, self.probabilities)

    def calibrated(self, sources, sr=None):
        """Return a predictor for the voice and the room of some recordings, in any mood: the more, the better.

        Parameters
        ----------
        sources : sequence
            Recordings as `hear` takes them.
        sr : int, Hz, optional
            The rate of arrays.

        Returns
        -------
        Predictor
            Nothing of the recordings is kept but the mean of their vectors.

        Raises
        ------
        FileNotFoundError, ValueError, TypeError
            As `hear` does; also if there are none, or the model was not made for this.
        """
        if self.contract.voice is None:
            expected = "one for strangers, as 'strangers' is, which comes with serlib"
            raise ValueError(f"the model of {self.contract.corpus} cannot be calibrated; expected {expected}")
        if not len(sources):
            raise ValueError("no recording to calibrate to is given; expected one or more of the same voice")
        X = np.stack([_features_of(source, self._features, sr)[0] for source in sources])
        other = copy.copy(self)
        other._shift = self.contract.voice.shift(X)
        return other

    def probabilities(self, X):
        """Return the probability of each emotion.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, ...)

        Returns
        -------
        ndarray of float32, shape (n_utterances, n_emotions)

        Examples
        --------
        >>> import numpy as np
        >>> from serlib import predict
        >>> predictor = predict.Predictor("emodb-paper")
        >>> predictor.probabilities(np.zeros((3, 50), np.float32)).shape
        (3, 7)
        """
        shape = self._input.shape[1:]  # of one utterance, as the network takes it
        batches = (X[start : start + N_AT_ONCE] for start in range(0, len(X) or 1, N_AT_ONCE))
        run = (self._session.run(None, {self._input.name: batch.reshape(-1, *shape)})[0] for batch in batches)
        return np.concatenate(list(run))

    def hear(self, source, sr=None):
        """Return what a recording sounds like.

        Parameters
        ----------
        source : path-like, binary file, bytes of a sound file, or ndarray of float, shape (n_samples,)
            An array is mono, in [-1, 1].
        sr : int, Hz, optional
            The rate of an array.

        Returns
        -------
        dict
            ``emotion``, ``probabilities`` (emotion -> p, in the bundle's order), ``warnings`` (list of str: those of
            `audio.warnings`, and one of the kind `UNFAMILIAR` if it is unlike what the model was trained on).

        Raises
        ------
        FileNotFoundError, ValueError, TypeError
            If it cannot be read as audio, or is none of these.

        Examples
        --------
        >>> from serlib import predict, synthetic
        >>> signal = synthetic.speech("anger", "anyone", gender="female", sr=16000)
        >>> answer = predict.Predictor("emodb-paper").hear(signal, 16000)
        >>> list(answer), len(answer["probabilities"])
        (['emotion', 'probabilities', 'warnings'], 7)
        """
        array, warnings = _features_of(source, self._features, sr)
        return self._answers(array[None], [warnings])[0]

    def hear_all(self, paths, *, n_jobs=-1, progress=False):
        """Return what each recording sounds like, or why it cannot be read.

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
            For each recording its ``path`` and what `hear` returns, or ``error``.

        Raises
        ------
        FileNotFoundError
            If a folder holds no sound file.

        Examples
        --------
        >>> from serlib import audio, index, predict
        >>> files = audio.files(index.corpus_folder("emodb"))[:2]
        >>> answers = predict.Predictor("emodb-paper").hear_all([*files, "nowhere.wav"])
        >>> [sorted(answer) for answer in answers[1:]]
        [['emotion', 'path', 'probabilities', 'warnings'], ['error', 'path']]
        """
        files = recordings(paths)
        job = functools.partial(_compute, features=self._features)
        done = features.in_chunks(job, list(enumerate(files)), n_jobs=n_jobs, desc="predict", progress=progress)
        heard = dict(itertools.chain.from_iterable(done))  # by number: chunks come as they are done
        read = [number for number in range(len(files)) if not isinstance(heard[number], str)]
        answers = {}
        if read:
            X, warnings = zip(*(heard[number] for number in read), strict=True)
            answers = dict(zip(read, self._answers(np.stack(X), warnings), strict=True))
        return [{"path": str(file)} | answers.get(k, {"error": heard[k]}) for k, file in enumerate(files)]

    def hear_windows(self, source, sr=None, *, window_s=WINDOW_S, hop_s=HOP_S, n_jobs=-1):
        """Hear a recording of any length, or a stream of chunks, in windows; pauses are passed over.

        A pause is a window that is `PAUSE_DB` below the loudest one before it, or below `SILENCE_DB`. Memory does not
        grow with the length.

        Parameters
        ----------
        source : path-like, binary file, bytes of a sound file, ndarray of float, or iterable of ndarray of float
            As `audio.stream` takes it; chunks of a stream, as long as they like, are taken as they come.
        sr : int, Hz, optional
            The rate of arrays.
        window_s, hop_s : float, s
            How long a window is, and how much later the next one begins. The last one may be shorter.
        n_jobs : int
            How many windows are computed at once, in threads; one where chunks come from a microphone, so that each
            answer is given at once.

        Yields
        ------
        dict
            ``start_s``, ``end_s`` and what `hear` returns, in the order of time.

        Raises
        ------
        FileNotFoundError, ValueError, TypeError
            As `hear` does, where it is met; what was heard before is yielded.

        Examples
        --------
        >>> import numpy as np
        >>> from serlib import predict, synthetic
        >>> signal = np.tile(synthetic.speech("anger", "anyone", gender="female", sr=16000), 12)[:80000]
        >>> heard = predict.Predictor("emodb-paper").hear_windows(signal, 16000)
        >>> [(window["start_s"], window["end_s"]) for window in heard]
        [(0.0, 3.0), (1.0, 4.0), (2.0, 5.0)]
        """
        if not (0 < hop_s <= window_s and math.isfinite(window_s)):
            expected = "a hop that is longer than 0 s and no longer than the window"
            raise ValueError(f"windows of {window_s} s every {hop_s} s are none; expected {expected}. Give others")
        kind = self._features
        cut = _windows(audio.stream(source, sr, kind.sr), round(window_s * kind.sr), max(1, round(hop_s * kind.sr)))
        job = functools.partial(_heard, kind=kind)
        for start, end, (array, warnings) in features.in_order(job, _spoken(cut), n_jobs=n_jobs):
            times = {"start_s": round(start / kind.sr, 3), "end_s": round(end / kind.sr, 3)}
            yield times | self._answers(array[None], [warnings])[0]

    def _answers(self, X, warnings):
        """Return the answer to each utterance, with its recording's warnings."""
        X, far = X + self._shift, self.contract.distance
        emotions, most, answers = self.contract.emotions, self.contract.novelty.threshold, []
        distances, is_far = self.contract.novelty.distance(X), far.is_far(X) if far else np.zeros(len(X), bool)
        for p, distance, afar, found in zip(self.probabilities(X), distances, is_far, warnings, strict=True):
            probabilities = {emotion: round(float(value), 4) for emotion, value in zip(emotions, p, strict=True)}
            strange = f"{UNFAMILIAR}: unlike anything this model has heard (distance {distance:.2f}, at most {most:.2f}"
            if distance > most:
                found = [*found, f"{strange} expected); do not rely on its answer"]
            elif afar:
                found = [*found, AFAR]
            answers.append({"emotion": emotions[p.argmax()], "probabilities": probabilities, "warnings": found})
        return answers


def is_unfamiliar(warnings):
    """Return whether the warnings of an answer say that the recording is unlike anything the model has heard.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import predict
    >>> noise = np.random.default_rng(42).normal(size=16000).clip(-1, 1).astype(np.float32)
    >>> answer = predict.Predictor("emodb-paper").hear(noise, 16000)
    >>> predict.is_unfamiliar(answer["warnings"])
    True
    """
    return any(warning.startswith(f"{UNFAMILIAR}:") for warning in warnings)


@functools.cache
def _options():
    """Return onnxruntime's session options: one thread, no messages, at most `MAX_BYTES`."""
    onnxruntime.set_default_logger_severity(4)  # what is wrong is raised, too
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Constant folding ignores the memory limit.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    as_asked = {"arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"max_mem": MAX_BYTES, **as_asked}))
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


def refuse_strange_model(model):
    """Raise ValueError if an ONNX file, which may be a stranger's, is more than a bounded list of standard operators.

    It may have no control flow, no functions, no operators of other domains, and no weights in other files.

    Parameters
    ----------
    model : bytes

    Examples
    --------
    >>> from serlib import bundle, predict
    >>> predict.refuse_strange_model(bundle.read_part(bundle.find("emodb-paper"), "model.onnx"))
    """
    import onnx

    graph = onnx.load_model_from_string(model)
    found = ["functions"] if graph.functions else []
    found += [f"operators of {one.domain!r}" for one in graph.opset_import if one.domain not in DOMAINS]
    found += ["sparse weights"] if graph.graph.sparse_initializer else []
    found += ["weights in another file" for one in graph.graph.initializer if one.external_data]
    found += ["too many operators"] if len(graph.graph.node) > MAX_NODES else []
    for node in graph.graph.node:
        found += [f"{node.op_type} of {node.domain!r}"] if node.domain not in DOMAINS else []
        is_nested = any(one.HasField("g") or one.graphs for one in node.attribute)
        found += [node.op_type] if node.op_type in CONTROL_FLOW or is_nested else []
        found += ["weights in another file" for one in node.attribute if one.HasField("t") and one.t.external_data]
    if found:
        raise ValueError(f"it has {found[0]!r:.60}; expected standard operators without control flow")


def _features_of(source, kind, sr=None):
    """Return a recording's features and warnings about it."""
    signal = audio.signal_of(source, sr, kind.sr)
    return features.apply(kind, signal), audio.warnings(signal, kind.sr)


def _windows(blocks, n_window, n_hop):
    """Cut a stream into windows: yield the first sample's number, and the samples."""
    kept, start, n_new = np.zeros(0, np.float32), 0, 0
    for block in blocks:
        kept, n_new = np.concatenate([kept, block]), n_new + len(block)
        while len(kept) >= n_window:
            yield start, kept[:n_window]
            kept, start, n_new = kept[n_hop:], start + n_hop, len(kept) - n_window
    if n_new > (n_hop // 2 if start else 0):  # else hardly anything has not been heard
        yield start, kept


def _spoken(windows):
    """Drop windows that are pauses."""
    loudest = -math.inf
    for start, signal in windows:
        level = audio.level_db(signal)
        loudest = max(loudest, level)
        if level > max(loudest - PAUSE_DB, SILENCE_DB):
            yield start, signal


def _heard(window, kind):
    """Return a window's start and end, and `_features_of` its signal."""
    start, signal = window
    return start, start + len(signal), _features_of(signal, kind, kind.sr)


def _compute(numbered, *, features):
    """Return [(number, result or error of `_features_of`)] of some recordings; runs in a worker process."""
    done = []
    for number, file in numbered:
        try:
            done.append((number, _features_of(file, features)))
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

    Examples
    --------
    >>> from serlib import index, predict
    >>> found = predict.recordings(index.corpus_folder("emodb"))
    >>> len(found), found[0].name
    (280, '03a01Fa.wav')
    """
    found = []
    for path in map(Path, [paths] if isinstance(paths, (str, os.PathLike)) else paths):
        inside = audio.files(path) if path.is_dir() else []
        if not path.is_dir() or (not inside and path.suffix.lower() in audio.SUFFIXES):
            found.append(path)  # an empty folder that is named like a recording is answered as one that is none
            continue
        if not inside:
            raise FileNotFoundError(f"{path} holds no sound file; expected {audio.FORMATS}. Convert others to WAV")
        found += inside
    return found


def predict(paths, bundle):
    """Return what recordings sound like.

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

    Examples
    --------
    >>> from serlib import audio, index, predict
    >>> files = audio.files(index.corpus_folder("emodb"))[:3]
    >>> table = predict.predict(files, "emodb-paper")
    >>> len(table), list(table)[:3], list(table)[-2:]
    (3, ['path', 'emotion', 'p_anger'], ['warnings', 'error'])
    """
    predictor, rows = _predictor(bundle), []
    for heard in predictor.hear_all(paths):
        rows.append({"path": heard["path"], **_row(heard), "error": heard.get("error", "")})
    return _table(rows, ["path"], predictor, ["error"])


def windows(source, bundle, sr=None, **how):
    """Return what a recording of any length sounds like, window by window.

    Parameters
    ----------
    source, sr
        As `Predictor.hear_windows` takes them.
    bundle : path-like or Predictor
        As `Predictor` takes it, or one.
    **how
        ``window_s``, ``hop_s`` and ``n_jobs`` of `Predictor.hear_windows`.

    Returns
    -------
    DataFrame
        A row per window that is no pause: ``start_s``, ``end_s``, ``emotion``, ``p_<emotion>`` per output,
        ``warnings`` (list of str).

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If the bundle or the recording cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import predict, synthetic
    >>> signal = np.tile(synthetic.speech("anger", "anyone", gender="female", sr=16000), 12)[:80000]
    >>> predict.windows(signal, "emodb-paper", 16000, window_s=2, hop_s=1.5)[["start_s", "end_s"]]
       start_s  end_s
    0      0.0    2.0
    1      1.5    3.5
    2      3.0    5.0
    """
    predictor = _predictor(bundle)
    heard = predictor.hear_windows(source, sr, **how)
    rows = [{"start_s": one["start_s"], "end_s": one["end_s"], **_row(one)} for one in heard]
    return _table(rows, ["start_s", "end_s"], predictor)


def _predictor(bundle):
    return bundle if isinstance(bundle, Predictor) else Predictor(bundle)


def _row(heard):
    """Return an answer, or an error, as columns of a table."""
    p = {f"p_{emotion}": value for emotion, value in heard.get("probabilities", {}).items()}
    return {"emotion": heard.get("emotion", ""), **p, "warnings": heard.get("warnings", [])}


def _table(rows, before, predictor, after=()):
    import pandas as pd

    p = [f"p_{emotion}" for emotion in predictor.contract.emotions]
    return pd.DataFrame(rows, columns=[*before, "emotion", *p, "warnings", *after])
