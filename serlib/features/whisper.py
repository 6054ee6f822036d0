"""The first layers of Whisper's encoder, averaged over time: a speech recogniser that still hears the voice."""

import functools
from typing import Annotated, ClassVar, Literal

import numpy as np
import scipy.fft
from msgspec import Meta

from .. import weights
from .base import Features
from .mfcc import mel_bands
from .spaces import pooled

SR, N_FFT, HOP_LENGTH, N_MELS = 16000, 400, 160, 80
PIECE = 3000  # frames of the mel spectrogram, 30 s: as many as there are positions for
EPSILON = 1e-5  # of the layer norms
OPSET, IR_VERSION = 20, 9

Layer = Annotated[int, Meta(ge=0, le=weights.N_LAYERS)]


class Whisper(Features, frozen=True, tag="whisper"):
    """Some layers of Whisper's encoder [1]_, averaged over time; ``benchmarks/choose_whisper.py`` chose which and how.

    The recording's own frames are encoded, 50 a second, without the padding to 30 s of the published model; a longer
    recording is encoded in pieces of 30 s.

    Attributes
    ----------
    model : str
        ``whisper-base`` (multilingual, 512 dimensions) or ``whisper-tiny.en`` (English, 384 dimensions).
    layers : tuple of int
        0 is the input of the first block, k the output of the k-th.
    pool : str
        ``mean``, or ``mean+sd`` over the frames.

    References
    ----------
    .. [1] A. Radford et al., Robust speech recognition via large-scale weak supervision, ICML 2023.
    """

    about: ClassVar[str] = "layers 2 and 3 of Whisper's encoder, a speech recogniser, averaged over time"
    cost: ClassVar[str] = "15 ms for a second of speech; weights to download (145 MB; tiny.en 76 MB)"
    licence: ClassVar[str] = "MIT (OpenAI)"
    sr: ClassVar[int] = SR
    model: Literal["whisper-base", "whisper-tiny.en"] = "whisper-base"
    layers: Annotated[tuple[Layer, ...], Meta(min_length=1, max_length=weights.N_LAYERS + 1)] = (2, 3)
    pool: Literal["mean", "mean+sd"] = "mean"

    @property
    def shape(self):
        return (len(self.layers) * weights.KNOWN[self.model].n_dims * (1 + (self.pool == "mean+sd")),)

    @property
    def weights_sha256(self):
        """The checksum of the weights, by which they are found."""
        return weights.KNOWN[self.model].sha256

    def load(self):
        _encoder(self.model, max(self.layers))

    def transform(self, signal):
        return pooled(layers_of(log_mel(signal), self.model, max(self.layers))[list(self.layers)], self.pool)


def log_mel(signal):
    """Return the mel spectrogram as Whisper takes it.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Mono, in [-1, 1], at 16 kHz.

    Returns
    -------
    ndarray of float32, shape (max(2, n_samples // 160), 80)
        The logarithm of power, at most 8 decades below the loudest, moved and scaled to about [-1, 1].
    """
    signal = np.pad(signal, (0, max(0, N_FFT - len(signal))))
    padded = np.pad(signal, N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH][: len(signal) // HOP_LENGTH]
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    power = np.abs(scipy.fft.rfft(frames * window, axis=1)) ** 2
    log10 = np.log10(np.maximum(power @ mel_bands(SR, N_FFT, N_MELS).T, 1e-10))
    return (np.maximum(log10, log10.max() - 8) + 4) / 4


def layers_of(mel, model, n_layers):
    """Return the layers of a mel spectrogram, encoded in pieces of 30 s: shape (1 + n_layers, n_frames, n_dims)."""
    encode = _encoder(model, n_layers)
    return np.concatenate([encode(mel[start : start + PIECE]) for start in range(0, len(mel), PIECE)], axis=1)


@functools.lru_cache(maxsize=2)
def _encoder(model, n_layers):
    """Return a function from a mel spectrogram (n_frames, 80) to the layers (1 + n_layers, n_frames / 2, n_dims)."""
    import onnxruntime

    known = weights.KNOWN[model]
    arrays = weights.read(weights.find(model))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # recordings are computed side by side
    graph = _graph(arrays, n_layers, known.n_heads)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    positions = arrays["encoder/position_encodings/encodings"]

    def encode(mel):
        n_frames = (len(mel) + 1) // 2
        inputs = {"mel": np.ascontiguousarray(mel.T)[None], "positions": positions[:n_frames]}
        return np.concatenate(session.run(None, inputs))

    return encode


def _graph(arrays, n_layers, n_heads):
    """Write the encoder's stem and first layers as an ONNX model; its outputs are the layers."""
    from onnx import TensorProto, helper

    n_dims = len(arrays["encoder/conv1/bias"])
    written = _Nodes(arrays)
    written.constant("three", np.int64([n_dims] * 3))
    written.constant("by_head", np.int64([1, -1, n_heads, n_dims // n_heads]))
    written.constant("together", np.int64([1, -1, n_dims]))
    written.constant("scale", np.float32(np.sqrt(n_dims // n_heads)))
    stem = written.convolve(written.convolve("mel", "conv1", 1), "conv2", 2)
    layers = [written.add("Add", [written.add("Transpose", [stem], "stem", perm=[0, 2, 1]), "positions"], "layer_0")]
    for k in range(n_layers):
        name = f"encoder/layer_{k}"
        x = written.add("Add", [layers[-1], written.attend(layers[-1], f"{name}/self_attention")], f"{name}/middle")
        layers.append(written.add("Add", [x, written.feed_forward(x, f"{name}/ffn")], f"layer_{k + 1}"))

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    inputs = [value("mel", [1, N_MELS, "n_mel_frames"]), value("positions", ["n_frames", n_dims])]
    outputs = [value(name, [1, "n_frames", n_dims]) for name in layers]
    graph = helper.make_graph(written.nodes, "whisper", inputs, outputs, written.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


class _Nodes:
    """The nodes and constants of an ONNX graph; each method adds some, and returns the name of the output."""

    def __init__(self, arrays):
        self.arrays, self.nodes, self.constants = arrays, [], []

    def constant(self, name, value):
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name))
        return name

    def add(self, operator, inputs, *outputs, **attributes):
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    def convolve(self, x, name, stride):
        kernel = [self.constant(f"{name}/{part}", self.arrays[f"encoder/{name}/{part}"]) for part in ("weight", "bias")]
        return self.add("Gelu", [self.add("Conv", [x, *kernel], name, pads=[1, 1], strides=[stride])], f"{name}/gelu")

    def linear(self, x, name):
        weight = self.constant(f"{name}/weight", self.arrays[f"{name}/weight"].T)
        bias = self.constant(f"{name}/bias", self.arrays[f"{name}/bias"])
        return self.add("Add", [self.add("MatMul", [x, weight], f"{name}/product"), bias], name)

    def norm(self, x, name):
        parts = [self.constant(f"{name}/{part}", self.arrays[f"{name}/{part}"]) for part in ("gamma", "beta")]
        return self.add("LayerNormalization", [x, *parts], name, epsilon=EPSILON)

    def attend(self, x, name):
        joined = self.linear(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0")
        parts = [f"{name}/{part}" for part in ("queries", "keys", "values")]
        self.add("Split", [joined, "three"], *parts, axis=2)
        orders = [0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]
        heads = [self.add("Reshape", [part, "by_head"], f"{part}/heads") for part in parts]
        queries, keys, values = (
            self.add("Transpose", [x], f"{x}/turned", perm=order) for x, order in zip(heads, orders, strict=True)
        )
        scaled = self.add("Div", [queries, "scale"], f"{name}/scaled")
        scores = self.add("MatMul", [scaled, keys], f"{name}/scores")
        seen = self.add("MatMul", [self.add("Softmax", [scores], f"{name}/shares", axis=-1), values], f"{name}/seen")
        turned = self.add("Transpose", [seen], f"{name}/turned", perm=[0, 2, 1, 3])
        return self.linear(self.add("Reshape", [turned, "together"], f"{name}/together"), f"{name}/linear_1")

    def feed_forward(self, x, name):
        wide = self.linear(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0")
        return self.linear(self.add("Gelu", [wide], f"{name}/gelu"), f"{name}/linear_1")
