"""A tiny encoder in the container of the real ones, with random weights, and its forward pass in plain numpy."""

import dataclasses
import hashlib
import struct

import numpy as np
import scipy.special

from serlib import weights

N_DIMS, N_HEADS, N_LAYERS = 16, 2, 6


def arrays(seed=0):
    """Return the variables of a whole model by name: an encoder of six layers, and what is left of a decoder."""
    rng = np.random.default_rng(seed)
    shapes = {
        "decoder/embeddings": (50, N_DIMS),
        "encoder/layer_norm/gamma": (N_DIMS,),
        "encoder/layer_norm/beta": (N_DIMS,),
    }
    shapes |= {"encoder/conv1/weight": (N_DIMS, 80, 3), "encoder/conv2/weight": (N_DIMS, N_DIMS, 3)}
    shapes |= {f"encoder/conv{k}/bias": (N_DIMS,) for k in (1, 2)}
    shapes["encoder/position_encodings/encodings"] = (1500, N_DIMS)
    for k in range(N_LAYERS):
        for part, widths in {"self_attention": (3, 1), "ffn": (4, 1)}.items():
            name = f"encoder/layer_{k}/{part}"
            inner = N_DIMS * 4 if part == "ffn" else N_DIMS
            shapes |= {f"{name}/layer_norm/gamma": (N_DIMS,), f"{name}/layer_norm/beta": (N_DIMS,)}
            shapes |= {
                f"{name}/linear_0/weight": (widths[0] * N_DIMS, N_DIMS),
                f"{name}/linear_0/bias": (widths[0] * N_DIMS,),
            }
            shapes |= {f"{name}/linear_1/weight": (N_DIMS, inner), f"{name}/linear_1/bias": (N_DIMS,)}
    return {name: rng.normal(0, 0.3, shape).astype(np.float16) for name, shape in sorted(shapes.items())}


def container(variables):
    """Return the bytes of a CTranslate2 model: version 6, a name, revision 3, the variables, no aliases."""
    parts = [struct.pack("<I", 6), struct.pack("<H", 12), b"WhisperSpec\0", struct.pack("<II", 3, len(variables))]
    for name, array in variables.items():
        parts += [struct.pack("<H", len(name) + 1), name.encode(), b"\0", struct.pack("<B", array.ndim)]
        parts += [struct.pack("<I", length) for length in array.shape]
        parts += [struct.pack("<BI", {"float16": 4, "int32": 3}[array.dtype.name], array.nbytes), array.tobytes()]
    return b"".join([*parts, struct.pack("<I", 0)])


def publish(monkeypatch, folder, **changes):
    """Let `folder` be that of the weights, and whisper-base the tiny encoder; return the bytes of its whole file."""
    whole = container(arrays())
    (folder / "whole").write_bytes(whole)
    cut = weights.cut(folder / "whole", folder / "cut").read_bytes()
    (folder / "whole").unlink()
    (folder / "cut").unlink()
    known = {"n_bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest(), "n_dims": N_DIMS, "n_heads": N_HEADS}
    known |= {"cut_bytes": len(cut), "cut_sha256": hashlib.sha256(cut).hexdigest()} | changes
    monkeypatch.setitem(weights.KNOWN, "whisper-base", dataclasses.replace(weights.KNOWN["whisper-base"], **known))
    monkeypatch.setenv("SERLIB_WEIGHTS", str(folder))
    return whole


def forward(variables, mel, n_heads):
    """Return the layers of an encoder, (1 + n_layers, n_frames, n_dims), as the paper's formulas say: in float64."""
    v = {name.removeprefix("encoder/"): array.astype(np.float64) for name, array in variables.items()}
    n_layers = len({name.split("/")[0] for name in v if name.startswith("layer_")} - {"layer_norm"})

    def gelu(x):
        return x / 2 * (1 + scipy.special.erf(x / np.sqrt(2)))

    def convolve(x, name, stride):
        x = np.pad(x, ((1, 1), (0, 0)))
        at = range(0, len(x) - 2, stride)
        return gelu(
            np.array([np.einsum("dck,kc->d", v[f"{name}/weight"], x[t : t + 3]) for t in at]) + v[f"{name}/bias"]
        )

    def norm(x, name):
        x = x - x.mean(axis=1, keepdims=True)
        return x / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5) * v[f"{name}/gamma"] + v[f"{name}/beta"]

    def linear(x, name):
        return x @ v[f"{name}/weight"].T + v[f"{name}/bias"]

    x = convolve(convolve(mel.astype(np.float64), "conv1", 1), "conv2", 2)
    layers = [x + v["position_encodings/encodings"][: len(x)]]
    for k in range(n_layers):
        x, name = layers[-1], f"layer_{k}/self_attention"
        joined = linear(norm(x, f"{name}/layer_norm"), f"{name}/linear_0")
        seen = []
        for q, k_, v_ in zip(*(np.split(part, n_heads, axis=1) for part in np.split(joined, 3, axis=1)), strict=True):
            scores = scipy.special.softmax(q @ k_.T / np.sqrt(q.shape[1]), axis=1)
            seen.append(scores @ v_)
        x = x + linear(np.concatenate(seen, axis=1), f"{name}/linear_1")
        name = f"layer_{k}/ffn"
        layers.append(x + linear(gelu(linear(norm(x, f"{name}/layer_norm"), f"{name}/linear_0")), f"{name}/linear_1"))
    return np.array(layers)
