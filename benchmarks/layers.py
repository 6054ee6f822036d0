"""Measure how well each layer of Whisper's encoder tells emotions on unseen speakers: results/layers.csv.

``python benchmarks/layers.py`` takes the corpora under ``SERLIB_DATA`` and the whole files of whisper-base and
whisper-tiny.en in the folder of the weights. Each layer's mean over time is one vector; the classifier is ``logistic``,
the protocol ``speakers``.
"""

import os
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import onnxruntime
import pandas as pd

from serlib import corpora, evaluate, features, index, metrics, models, recipes, settings, split, storage, weights
from serlib.features import whisper

FILE = Path(__file__).parents[1] / "results" / "layers.csv"
N_LAYERS = {"whisper-base": 6, "whisper-tiny.en": 4}
SESSIONS = {}


class AllLayers(features.Features, frozen=True, tag="whisper-all-layers"):
    """The mean over time of each layer: (1 + n_layers, n_dims)."""

    sr: ClassVar[int] = whisper.SR
    model: str = "whisper-base"

    @property
    def shape(self):
        return (1 + N_LAYERS[self.model], weights.KNOWN[self.model].n_dims)

    def load(self):
        SESSIONS[self.model] = session_of(self.model)

    def transform(self, signal):
        session, positions = SESSIONS[self.model]
        mel = whisper.log_mel(signal)[: whisper.PIECE]
        inputs = {"mel": np.ascontiguousarray(mel.T)[None], "positions": positions[: (len(mel) + 1) // 2]}
        return np.concatenate(session.run(None, inputs)).mean(axis=1)


def session_of(model):
    """Return a session that runs all layers, from the whole file of the weights, and the positions."""
    known = weights.KNOWN[model]
    files = [file for file in settings.weights_folder().rglob("*") if file.is_file()]
    whole = next((file for file in files if file.stat().st_size == known.n_bytes), None)
    if whole is None:
        raise FileNotFoundError(f"no whole file of {model} in {settings.weights_folder()}; fetch it first")
    arrays = weights.read(whole, lambda name: name.startswith("encoder/"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = whisper._graph(arrays, N_LAYERS[model], known.n_heads)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session, arrays["encoder/position_encodings/encodings"]


def main():
    os.environ["SERLIB_PROFILE"] = "full"
    rows, recipe = [], recipes.Recipe("layer", features.get("whisper"), models.get("logistic"))
    for corpus, folder in ((name, corpora.find_folder(settings.current().data, name)) for name in corpora.NAMES):
        if folder is None:
            continue
        drawn = split.speakers(index.load(corpus))
        for model in N_LAYERS:
            with joblib.parallel_config(backend="threading"):  # a session cannot be sent to another process
                X = features.extract(drawn.table, features=AllLayers(model=model), progress=True)
            for layer in range(X.shape[1]):
                summary = metrics.summary(evaluate.cross_validate(drawn, X[:, layer], recipe=recipe).predictions)
                low, high = summary["uar_ci95"] or (np.nan, np.nan)
                rows.append((model, corpus, layer, summary["uar"], low, high, summary["chance"]))
                print(*rows[-1], flush=True)
    columns = ["model", "corpus", "layer", "uar", "low", "high", "chance"]
    with storage.replacing(FILE) as new:
        pd.DataFrame(rows, columns=columns).round(4).to_csv(new, index=False)


if __name__ == "__main__":
    main()
