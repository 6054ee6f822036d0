"""Features that speech encoders and openSMILE compute: against formulas, CTranslate2, transformers and openSMILE."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import onnxruntime
import pytest

import encoders
from serlib import bundle, features, index, recipes, synthetic, weights
from serlib.features import base, hub, open_smile, whisper


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Whisper features of a tiny encoder with random weights."""
    (tmp_path / "model.bin").write_bytes(encoders.publish(monkeypatch, tmp_path))
    whisper._encoder.cache_clear()
    yield features.Whisper(layers=(0, 2, 4), pool="mean+sd")
    whisper._encoder.cache_clear()


def noise(n_samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, n_samples).astype(np.float32)


@pytest.mark.parametrize("n_samples", [16000, 16160, 30 * 16000 + 100])
def test_the_mel_spectrogram_is_librosas(n_samples):
    signal = noise(n_samples)
    power = librosa.feature.melspectrogram(
        y=signal, sr=16000, n_fft=400, hop_length=160, n_mels=80, window="hann", center=True, pad_mode="reflect"
    )[:, :-1]
    expected = np.log10(np.maximum(power, 1e-10))
    expected = (np.maximum(expected, expected.max() - 8) + 4) / 4
    ours = whisper.log_mel(signal)
    assert ours.shape == (n_samples // 160, 80)
    np.testing.assert_allclose(ours.T, expected[:, : len(ours)], atol=2e-4)


@pytest.mark.parametrize("n_samples", [1, 400, 16000, 16160])
def test_layers_are_those_of_the_formulas(tiny, n_samples):
    mel = whisper.log_mel(noise(n_samples))
    expected = encoders.forward(weights.read(weights.find("whisper-base")), mel, encoders.N_HEADS)
    layers = whisper._encoder("whisper-base", 4)(mel)
    assert layers.shape == (5, (len(mel) + 1) // 2, encoders.N_DIMS)
    np.testing.assert_allclose(layers, expected, atol=1e-4 * np.abs(expected).max())
    vector = tiny.transform(noise(n_samples)).reshape(3, 2, encoders.N_DIMS)
    np.testing.assert_allclose(vector[:, 0], expected[[0, 2, 4]].mean(axis=1), atol=1e-3)
    np.testing.assert_allclose(vector[:, 1], expected[[0, 2, 4]].std(axis=1), atol=1e-3)


def test_a_long_recording_is_encoded_in_pieces_of_30_seconds(tiny):
    signal = noise(16000 * 70)
    mel = whisper.log_mel(signal)
    pieces = [whisper._encoder("whisper-base", 4)(mel[start : start + 3000]) for start in (0, 3000, 6000)]
    expected = np.concatenate(pieces, axis=1)[[0, 2, 4]].mean(axis=1)
    np.testing.assert_allclose(tiny.transform(signal).reshape(3, 2, -1)[:, 0], expected, atol=1e-5)


def test_vectors_belong_to_the_weights_that_made_them(tiny, monkeypatch):
    before = base.identity(tiny)
    encoders.publish(monkeypatch, weights.find("whisper-base").parent, sha256="0" * 64)
    assert base.identity(tiny) != before


def test_without_weights_nothing_is_computed_and_one_line_says_why(emodb, workplace, monkeypatch):
    monkeypatch.setenv("SERLIB_WEIGHTS", str(workplace))
    whisper._encoder.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"^the weights of whisper-base are not in .* in SERLIB_WEIGHTS$"):
        features.extract(emodb, features=features.get("whisper"))


@pytest.mark.weights
def test_the_published_encoder_is_ctranslate2s(published_weights, tmp_path):
    """CTranslate2 gives the output after the last norm, of all six layers, on the very same file and frames."""
    ctranslate2 = pytest.importorskip("ctranslate2", reason="no CTranslate2: `make extras` installs it")
    known = weights.KNOWN["whisper-base"]
    whole = [file for file in published_weights.rglob("*") if file.is_file() and file.stat().st_size == known.n_bytes]
    if not whole:
        pytest.skip("only the file of the first layers is here, not the whole one")
    (tmp_path / "model.bin").symlink_to(whole[0])
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocabulary.json").write_text(json.dumps([str(k) for k in range(51865)]))
    mel = whisper.log_mel(synthetic.speech("anger", "03", gender="male", sr=16000))
    mel = mel[: len(mel) // 2 * 2]
    model = ctranslate2.models.Whisper(str(tmp_path), compute_type="float32")
    theirs = np.array(model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.T[None]))))[0]
    variables = weights.read(whole[0], lambda name: name.startswith("encoder/"))
    graph = whisper._graph(variables, 6, known.n_heads)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    positions = variables["encoder/position_encodings/encodings"][: len(mel) // 2]
    layers = np.concatenate(session.run(None, {"mel": np.ascontiguousarray(mel.T[None]), "positions": positions}))
    last = layers[6] - layers[6].mean(axis=1, keepdims=True)
    last = last / np.sqrt(last.var(axis=1, keepdims=True) + 1e-5)
    last = last * variables["encoder/layer_norm/gamma"] + variables["encoder/layer_norm/beta"]
    assert np.abs(last - theirs).max() < 1e-4 * np.abs(theirs).max()
    first = whisper._encoder("whisper-base", 4)(mel)
    np.testing.assert_allclose(first, layers[:5], atol=1e-4 * np.abs(layers[:5]).max())


@pytest.mark.weights
def test_the_published_encoder_is_transformers(published_weights):
    """WhisperModel with the same weights, its positions cut to the recording's own frames: to 1e-3, relative."""
    torch = pytest.importorskip("torch", reason="transformers and torch are not installed: too large for every day")
    transformers = pytest.importorskip("transformers")
    variables = weights.read(weights.find("whisper-base"))
    mel = whisper.log_mel(synthetic.speech("anger", "03", gender="male", sr=16000))
    mel = mel[: len(mel) // 2 * 2]
    shape = {"d_model": 512, "encoder_layers": 4, "encoder_attention_heads": 8, "encoder_ffn_dim": 2048}
    shape |= {"decoder_layers": 1, "decoder_attention_heads": 8}
    config = transformers.WhisperConfig(**shape, max_source_positions=len(mel) // 2)
    encoder = transformers.WhisperModel(config).get_encoder().eval()
    state = {"embed_positions.weight": variables["encoder/position_encodings/encodings"][: len(mel) // 2]}
    for k in (1, 2):
        state |= {f"conv{k}.{part}": variables[f"encoder/conv{k}/{part}"] for part in ("weight", "bias")}
    parts = {"linear_0": "fc1", "linear_1": "fc2"}
    for k in range(4):
        ours, theirs = f"encoder/layer_{k}", f"layers.{k}"
        for norm, name in (("self_attention", "self_attn_layer_norm"), ("ffn", "final_layer_norm")):
            for part, called in (("gamma", "weight"), ("beta", "bias")):
                state[f"{theirs}.{name}.{called}"] = variables[f"{ours}/{norm}/layer_norm/{part}"]
        for part in ("weight", "bias"):
            joined = np.split(variables[f"{ours}/self_attention/linear_0/{part}"], 3)
            for name, array in zip("qkv", joined, strict=True):
                state[f"{theirs}.self_attn.{name}_proj.{part}"] = array
            state[f"{theirs}.self_attn.out_proj.{part}"] = variables[f"{ours}/self_attention/linear_1/{part}"]
            for name, called in parts.items():
                state[f"{theirs}.{called}.{part}"] = variables[f"{ours}/ffn/{name}/{part}"]
    missing, unexpected = encoder.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    assert set(missing) <= {f"layers.{k}.self_attn.k_proj.bias" for k in range(4)} | {
        "layer_norm.weight",
        "layer_norm.bias",
    }
    assert {name.rsplit(".", 2)[1] for name in unexpected} <= {"k_proj"}, "keys have no bias there, and zeros here"
    with torch.inference_mode():
        inputs = torch.tensor(np.ascontiguousarray(mel.T))[None]
        states = encoder(inputs, output_hidden_states=True).hidden_states
    layers = whisper._encoder("whisper-base", 4)(mel)
    for k in range(4):  # what it calls the last is after the last norm
        expected = states[k][0].numpy()
        assert np.abs(layers[k] - expected).max() < 1e-3 * np.abs(expected).max(), k
    last = torch.nn.functional.layer_norm(torch.tensor(layers[4]), (512,)).numpy()
    expected = encoder.layer_norm(torch.tensor(layers[4])).detach().numpy()
    np.testing.assert_allclose(last, expected, atol=1e-5)
    np.testing.assert_allclose(last, states[4][0].numpy(), atol=1e-3 * np.abs(last).max())


@pytest.mark.weights
def test_prediction_with_an_encoder_is_the_trained_models_and_loads_nothing_heavy(published_weights, emodb, workplace):
    recipe = recipes.get("whisper+logistic")
    saved = bundle.train(emodb, recipe=recipe, folder=workplace / "b")
    assert saved
    path = Path(index.root_of(emodb, "emodb")) / emodb["path"].iloc[0]
    code = f"""
import sys
from serlib.predict import Predictor
heard = Predictor("b").hear({str(path)!r})
assert not {{"tensorflow", "sklearn", "torch", "pandas"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr


OPENSMILE = """
import sys, warnings
import numpy as np
import opensmile
from serlib import features, synthetic
signal = synthetic.speech("anger", "03", gender="male", sr=16000)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    ours = features.apply(features.get(sys.argv[1]), signal)
assert any("licensed for research and personal use only" in str(warning.message) for warning in caught)
smile = opensmile.Smile(feature_set=sys.argv[2], feature_level="func")
np.testing.assert_array_equal(ours, smile.process_signal(signal, 16000).to_numpy()[0].astype(np.float32))
print(len(ours))
"""


@pytest.mark.parametrize(
    ("name", "feature_set", "n"), [("egemaps", "eGeMAPSv02", 88), ("compare", "ComParE_2016", 6373)]
)
def test_functionals_are_opensmiles_and_its_licence_is_said(name, feature_set, n):
    """In a process of its own: openSMILE's libraries clash with TensorFlow's."""
    if importlib.util.find_spec("opensmile") is None:
        pytest.skip("no openSMILE: `make extras` installs it")
    done = subprocess.run([sys.executable, "-c", OPENSMILE, name, feature_set], capture_output=True, text=True)
    assert done.stdout.strip() == str(n), done.stderr


def test_opensmile_is_refused_where_it_would_crash(monkeypatch):
    open_smile._smile.cache_clear()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "opensmile", raising=False)
    with pytest.raises(ValueError, match="TensorFlow is loaded already.*call features.get"):
        features.get("egemaps").load()


@pytest.mark.parametrize("f", [*features.NAMED.values(), features.HubEncoder("a/b", "0" * 40, (1, 2))])
def test_features_survive_json(f):
    assert features.from_dict(json.loads(json.dumps(features.to_dict(f)))) == f
    assert f.about
    assert f.cost


def test_what_is_not_installed_is_said_in_a_line(monkeypatch):
    open_smile._smile.cache_clear()
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(
        FileNotFoundError, match=r"research and personal use only\); install it with: pip install 'serlib"
    ):
        features.get("egemaps").load()
    hub._folder.cache_clear()
    monkeypatch.setattr(hub, "NEEDED", ("numpy", "no_such_package"))
    with pytest.raises(FileNotFoundError, match=r"base needs no_such_package, not installed.*e '\.\[transformers\]'"):
        features.HubEncoder("facebook/wav2vec2-base", "0" * 40, (3,)).load()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("wav2vec2-base", "0" * 40, (3,)), "model is 'wav2vec2-base'"),
        (("facebook/wav2vec2-base", "main", (3,)), "revision is 'main'"),
        (("facebook/wav2vec2-base", "0" * 40, ()), "layers is"),
    ],
)
def test_an_encoder_of_the_hub_is_named_with_its_revision_and_layers(fields, message):
    with pytest.raises(ValueError, match=message):
        features.HubEncoder(*fields)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "whisper"])
def test_any_encoder_of_the_hub_gives_its_layers(kind, tmp_path, monkeypatch):
    """Tiny models with random weights, saved where the hub's cache would have them: the real loading code."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: pip install it with torch"
    )
    torch = pytest.importorskip("torch")
    revision, folder = "0" * 39 + "1", tmp_path / f"models--tiny--{kind}" / "snapshots" / ("0" * 39 + "1")
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 37}
    if kind == "whisper":
        sizes = {"d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 2, "decoder_layers": 1}
        sizes |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37}
    names = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", "whisper": "Whisper"}
    torch.manual_seed(0)
    model = getattr(transformers, f"{names[kind]}Model")(getattr(transformers, f"{names[kind]}Config")(**sizes)).eval()
    extractor = transformers.WhisperFeatureExtractor() if kind == "whisper" else transformers.Wav2Vec2FeatureExtractor()
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    hub._folder.cache_clear()
    hub._loaded.cache_clear()
    f, signal = features.HubEncoder(f"tiny/{kind}", revision, (1, 3)), noise(16000)
    vector = features.apply(f, signal)
    inputs = extractor(signal, sampling_rate=16000, return_tensors="pt")
    encoder = model.encoder if kind == "whisper" else model
    states = encoder(**inputs, output_hidden_states=True).hidden_states
    frames = [states[layer][0].detach().numpy()[:50] for layer in (1, 3)]
    expected = np.concatenate([np.concatenate([x.mean(axis=0), x.std(axis=0)]) for x in frames])
    np.testing.assert_allclose(vector, expected, atol=1e-4)
    assert len(f.weights_sha256) == 1
    if kind == "whisper":
        with pytest.raises(ValueError, match=r"lasts 31\.0 s, and tiny/whisper takes 30 s at most"):
            features.apply(f, noise(31 * 16000))
    with pytest.raises(ValueError, match="has 3 layers, no layer 9"):
        features.HubEncoder(f"tiny/{kind}", revision, (9,)).load()
    with pytest.raises(FileNotFoundError, match="is not on this machine; fetch it with: hf download"):
        features.HubEncoder("tiny/other", revision, (1,)).load()
