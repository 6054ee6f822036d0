"""Bundle + recordings -> emotions with probabilities, without TensorFlow."""

from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd

from . import audio, features, model


class Predictor:
    """A loaded bundle, ready to hear recordings.

    Parameters
    ----------
    bundle : path-like
        The bundle's folder.

    Attributes
    ----------
    contract : model.Bundle

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no bundle, or it is damaged or fails its self-test.
    """

    def __init__(self, bundle):
        self.contract = model.read_contract(bundle)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = Path(bundle) / "model.onnx"
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        (self._input,) = self._session.get_inputs()
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
        return self._session.run(None, {self._input.name: X[..., None]})[0]

    def hear(self, source):
        """Say what a recording sounds like.

        Parameters
        ----------
        source : path-like or binary file

        Returns
        -------
        dict
            ``emotion``, ``probabilities`` (emotion -> p, in the bundle's order), ``warnings`` (list of str).

        Raises
        ------
        FileNotFoundError, ValueError
            If it cannot be read as audio.
        """
        recipe = self.contract.recipe.features
        signal = audio.load(source, recipe.sr)
        vector = features.mean_mfcc(signal, recipe.sr, features=recipe)
        p = self.probabilities(vector[None])[0].astype(np.float64)
        return {
            "emotion": self.contract.emotions[p.argmax()],
            "probabilities": {
                emotion: round(float(value), 4) for emotion, value in zip(self.contract.emotions, p, strict=True)
            },
            "warnings": audio.warnings(signal, recipe.sr),
        }


def recordings(paths):
    """List the recordings that paths mean: files as they are, folders by the sound files below them, sorted.

    Parameters
    ----------
    paths : sequence of path-like

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError
        If a folder holds no sound file.
    """
    found = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = audio.files(path)
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
    predictor = bundle if isinstance(bundle, Predictor) else Predictor(bundle)
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    rows = []
    for path in recordings(paths):
        try:
            heard = predictor.hear(path)
        except (OSError, ValueError) as error:
            rows.append({"path": str(path), "emotion": "", "warnings": [], "error": str(error)})
            continue
        p = {f"p_{emotion}": value for emotion, value in heard["probabilities"].items()}
        rows.append({"path": str(path), "emotion": heard["emotion"], **p, "warnings": heard["warnings"], "error": ""})
    columns = ["path", "emotion", *(f"p_{emotion}" for emotion in predictor.contract.emotions), "warnings", "error"]
    return pd.DataFrame(rows, columns=columns)
