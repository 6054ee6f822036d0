"""Any speech encoder of the model hub, through transformers: one layer or several, averaged over time."""

import functools
import importlib.util
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta

from .. import cache
from .base import Features
from .spaces import pooled

NEEDED = ("huggingface_hub", "torch", "transformers")
FRAME = 320  # samples: of what Whisper answers, more is padding


class HubEncoder(Features, frozen=True, tag="hub"):
    """Layers of a speech encoder of the model hub (wav2vec 2.0, HuBERT, WavLM, Whisper ...), averaged over time.

    Nothing is downloaded here: fetch the model once with ``hf download MODEL --revision REVISION``. Only weights in the
    safetensors format are read, and no code that comes with a model is run.

    Attributes
    ----------
    model : str
        The name on the hub, such as ``facebook/wav2vec2-base``.
    revision : str
        The commit, 40 hexadecimal digits, so that the model is the same tomorrow.
    layers : tuple of int
        0 is the input of the first block, k the output of the k-th; of many models, the last one after a final norm.
    pool : str
        ``mean``, or ``mean+sd`` over the frames.
    """

    about: ClassVar[str] = "any encoder of the model hub: HubEncoder(model, revision, layers), in Python"
    cost: ClassVar[str] = "depends on the model; needs the extra [transformers]"
    licence: ClassVar[str] = "the model's"
    sr: ClassVar[int] = 16000
    model: Annotated[str, Meta(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Meta(pattern="^[0-9a-f]{40}$")]
    layers: Annotated[tuple[Annotated[int, Meta(ge=0, le=100)], ...], Meta(min_length=1)]
    pool: Literal["mean", "mean+sd"] = "mean+sd"

    @property
    def shape(self):
        n_dims = _loaded(self.model, self.revision)[1].config.hidden_size
        return (len(self.layers) * n_dims * (1 + (self.pool == "mean+sd")),)

    @property
    def weights_sha256(self):
        """The checksums of the weights."""
        return [cache.content_hash(file) for file in sorted(_folder(self.model, self.revision).glob("*.safetensors"))]

    def load(self):
        _, encoder = _loaded(self.model, self.revision)
        if max(self.layers) > encoder.config.num_hidden_layers:
            n_layers = encoder.config.num_hidden_layers
            raise ValueError(f"{self.model} has {n_layers} layers, no layer {max(self.layers)}; name others")

    def transform(self, signal):
        import torch

        prepare, encoder = _loaded(self.model, self.revision)
        longest = getattr(prepare, "n_samples", len(signal))  # of Whisper, whose input has one length
        if len(signal) > longest:
            lasts, most = len(signal) / self.sr, longest / self.sr
            raise ValueError(f"lasts {lasts:.1f} s, and {self.model} takes {most:.0f} s at most; cut it into pieces")
        inputs = prepare(signal, sampling_rate=self.sr, return_tensors="pt")
        with torch.inference_mode():
            states = encoder(**inputs, output_hidden_states=True).hidden_states
        frames = np.stack([states[layer][0].numpy() for layer in self.layers])
        if "input_features" in inputs:
            frames = frames[:, : max(1, len(signal) // FRAME)]
        return pooled(frames, self.pool)


@functools.lru_cache(maxsize=2)
def _folder(model, revision):
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise FileNotFoundError(
            f"{model} needs {', '.join(missing)}, not installed here; install with: pip install -e '.[transformers]'"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        raise FileNotFoundError(
            f"{model} at revision {revision} is not on this machine; fetch it with: hf download {model} --revision"
            f" {revision}"
        ) from None


@functools.lru_cache(maxsize=2)
def _loaded(model, revision):
    """Return the encoder's preprocessor and the encoder, from local files only."""
    folder = _folder(model, revision)
    import torch
    from transformers import AutoFeatureExtractor, AutoModel

    torch.set_num_threads(1)  # recordings are computed side by side
    local = {"local_files_only": True, "trust_remote_code": False}
    prepare = AutoFeatureExtractor.from_pretrained(folder, **local)
    if prepare.sampling_rate != HubEncoder.sr:
        raise ValueError(f"{model} takes {prepare.sampling_rate} Hz; expected {HubEncoder.sr} Hz. Name another model")
    whole = AutoModel.from_pretrained(folder, use_safetensors=True, **local).float().eval()
    return prepare, whole.get_encoder() if whole.config.is_encoder_decoder else whole
