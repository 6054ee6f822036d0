"""A bundle's classifier for other programs: as ONNX, Keras or LiteRT, checked before it is handed over."""

import functools
from pathlib import Path

from . import bundle, models, predict, storage

SUFFIXES = {"onnx": ".onnx", "keras": ".keras", "litert": ".tflite"}


def export(folder, form, output):
    """Write a bundle's classifier, which takes features and returns probabilities, as a file for other programs.

    The model card says what its inputs and outputs mean. What is written has answered the bundle's golden input as the
    bundle did when it was saved.

    Parameters
    ----------
    folder : path-like
        As `predict.Predictor` takes it. As Keras and LiteRT only bundles that you trust: Keras reads their file.
    form : str
        ``onnx``; of networks also ``keras``, or ``litert`` (float32) for phones and small boards.
    output : path-like

    Returns
    -------
    Path
        Of `output`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no bundle, it is damaged, its classifier has no such form, or what was made answers otherwise.

    Examples
    --------
    >>> from serlib import export
    >>> export.export("emodb-paper", "onnx", "emodb.onnx").name
    'emodb.onnx'
    """
    if form not in SUFFIXES:
        raise ValueError(f"format {form!r} is unknown; use one of {', '.join(SUFFIXES)}")
    output, folder = Path(output), bundle.find(folder)
    if output.suffix != SUFFIXES[form]:
        raise ValueError(f"-o {output} does not end in {SUFFIXES[form]}, as {form} does; name the file so")
    contract = predict.Predictor(folder).contract  # which checks the ONNX file against the golden input
    content = bundle.read_part(folder, "model.onnx")
    if form != "onnx":
        if not (folder / "model.keras").is_file():
            kind = contract.model["class"]
            raise ValueError(
                f"{folder} holds a {kind}, which Keras does not know; expected a network. Export it as onnx"
            )
        network = models.load_network(folder / "model.keras")
        bundle.check_golden(contract, functools.partial(_run_keras, network))
        content = (folder / "model.keras").read_bytes()
    if form == "litert":
        content = models.to_litert(network)
        bundle.check_golden(contract, functools.partial(models.run_litert, content))
    with storage.replacing(output) as new:
        new.write_bytes(content)
    return output


def _run_keras(network, X):
    return network(X.reshape(-1, *network.input_shape[1:]), training=False).numpy()
