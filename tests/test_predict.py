import base64
import io
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from conftest import real

from serlib import audio, bundle, corpora, features, index, predict, recipes
from serlib.bundle import saving
from serlib.features import extraction


@pytest.fixture(scope="module")
def trained(emodb, tmp_path_factory):
    """A model of synthetic EMODB: the classifier, bundle's folder, index table."""
    recipe = recipes.get("paper")
    _, fold, folder = bundle.train(emodb, recipe=recipe, epochs=5, folder=tmp_path_factory.mktemp("models") / "b")
    return fold.model, folder, emodb


def test_prediction_says_what_the_trained_network_says(trained):
    model, folder, table = trained
    paths = [f"{table.attrs['folder']}/{path}" for path in table["path"][:12]]
    said = predict.predict(paths, folder)
    X = np.stack([features.from_file(path, features=recipes.get("paper").features) for path in paths])
    expected = model.predict_proba(X)
    emotions = corpora.get("emodb").emotions
    np.testing.assert_allclose(said[[f"p_{emotion}" for emotion in emotions]], expected, atol=1e-4)
    assert list(said["emotion"]) == [emotions[k] for k in expected.argmax(axis=1)]
    assert list(said["path"]) == paths
    assert (said["error"] == "").all()


def test_a_folder_means_every_recording_in_it(trained):
    _, folder, table = trained
    said = predict.predict(table.attrs["folder"], folder)
    assert len(said) == len(table)


def test_a_bad_file_does_not_stop_the_others(trained, tmp_path):
    _, folder, table = trained
    (tmp_path / "a.wav").write_text("no sound")
    good = f"{table.attrs['folder']}/{table['path'][0]}"
    said = predict.predict([tmp_path / "a.wav", good, tmp_path / "gone.wav"], folder)
    assert list(said["error"] == "") == [False, True, False]
    assert "is text (8 bytes)" in said["error"][0]
    assert "does not exist" in said["error"][2]
    assert said["emotion"][1]


def test_warnings_reach_the_table(trained, tmp_path):
    _, folder, _ = trained
    audio.write(tmp_path / "silence.wav", np.zeros(16000, np.float32), 16000)
    (warnings,) = predict.predict(tmp_path / "silence.wav", folder)["warnings"]
    assert warnings[0] == "silent: every sample is zero; see whether the microphone is muted"
    assert warnings[1].startswith("unfamiliar: unlike anything this model has heard (distance ")
    assert len(warnings) == 2


def test_what_is_unlike_the_training_part_is_called_unfamiliar(trained, tmp_path):
    _, folder, table = trained
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)
    audio.write(tmp_path / "noise.wav", noise, 16000)
    (warnings,) = predict.predict(tmp_path / "noise.wav", folder)["warnings"]
    assert [warning.split(":")[0] for warning in warnings] == [predict.UNFAMILIAR]
    tested = [f"{table.attrs['folder']}/{path}" for path in table.loc[table["part"] == "test", "path"]]
    refused = [bool(warnings) for warnings in predict.predict(tested, folder)["warnings"]]
    assert np.mean(refused) < 0.2


def test_a_bundle_that_comes_with_the_package_is_found_by_its_name(trained, workplace):
    _, _, table = trained
    predictor = predict.Predictor("emodb-paper")
    assert not predictor.contract.synthetic
    assert predictor.hear(f"{table.attrs['folder']}/{table['path'][0]}")["emotion"] in predictor.contract.emotions


@pytest.mark.corpus
def test_the_bundle_that_ships_knows_most_of_its_corpus_and_refuses_others():
    own, other = (audio.files(real(name))[:200] for name in ("emodb", "tess"))
    said = [predict.predict(files, "emodb-paper")["warnings"] for files in (own, other)]
    refused = [np.mean([any(predict.UNFAMILIAR in one for one in found) for found in warnings]) for warnings in said]
    assert refused[0] < 0.05
    assert refused[1] > 0.9


def test_a_recording_in_memory_is_heard_like_one_on_disk(trained):
    _, folder, table = trained
    file = f"{table.attrs['folder']}/{table['path'][0]}"
    predictor = predict.Predictor(folder)
    with open(file, "rb") as opened:
        assert predictor.hear(io.BytesIO(opened.read())) == predictor.hear(file)
    heard = predictor.hear(file)
    assert list(heard) == ["emotion", "probabilities", "warnings"]
    assert sum(heard["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert max(heard["probabilities"], key=heard["probabilities"].get) == heard["emotion"]


def test_a_bundle_that_fails_its_self_test_is_refused(trained, tmp_path):
    _, folder, _ = trained
    contract = bundle.read(folder)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    golden = msgspec.structs.replace(contract.golden, probabilities=tuple(reversed(contract.golden.probabilities)))
    saving._write_contract(tmp_path, msgspec.structs.replace(contract, golden=golden))
    with pytest.raises(ValueError, match="fails its self-test"):
        predict.Predictor(tmp_path)
    silent = msgspec.structs.replace(golden, wav_base64=base64.b64encode(b"").decode())
    saving._write_contract(tmp_path, msgspec.structs.replace(contract, golden=silent))
    with pytest.raises(ValueError, match="cannot read its golden input .the recording is empty"):
        predict.Predictor(tmp_path)


def test_an_array_with_its_rate_bytes_and_open_files_are_heard_like_the_file(trained):
    _, folder, table = trained
    file, predictor = f"{table.attrs['folder']}/{table['path'][0]}", predict.Predictor(folder)
    expected, sr = predictor.hear(file), audio.header(file).sample_rate_hz
    with open(file, "rb") as opened:
        content = opened.read()
        for source in (opened, content, bytearray(content), io.BytesIO(content)):
            assert predictor.hear(source) == expected
    signal = audio.load(file, sr)
    for array in (signal, signal.astype(np.float64)):
        assert predictor.hear(array, sr) == expected


@pytest.mark.parametrize(
    ("source", "sr", "kind", "message"),
    [
        (np.zeros(9), None, ValueError, r"the signal's rate is None; expected a whole number .*hear\(signal, sr\)"),
        (np.zeros((2, 9)), 16000, ValueError, r"the signal has shape \(2, 9\); expected \(n_samples,\), mono"),
        (np.zeros(0), 16000, ValueError, r"the signal has shape \(0,\)"),
        (np.zeros(9, np.int16), 16000, ValueError, "samples of type int16; expected floats in .*32768"),
        (np.full(9, np.nan), 16000, ValueError, "not finite numbers, or far too large"),
        (np.zeros(9), 16, ValueError, "the signal's rate is 16; expected a whole number from 4,000"),
        (np.zeros(2_000_000), 8000, ValueError, "the signal lasts 250 s; expected one utterance"),
        ([0.0, 0.1], 16000, TypeError, r"the recording is a list; expected a path, .* an array of samples"),
        (None, None, TypeError, "the recording is a NoneType"),
        (io.StringIO("text"), None, TypeError, "open as text; expected bytes. Open it with mode 'rb'"),
        ("a.wav", 16000, ValueError, "a rate of 16000 Hz is given for a file, which has its own"),
        (b"", None, ValueError, "the recording is empty"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(trained, source, sr, kind, message):
    with pytest.raises(kind, match=message) as found:
        predict.Predictor(trained[1]).hear(source, sr)
    assert "\n" not in str(found.value)


def test_whatever_looks_like_sound_in_a_folder_is_answered_or_named(trained, tmp_path):
    _, folder, table = trained
    good = index.root_of(table) / table["path"][0]
    (tmp_path / "a.wav").write_bytes(good.read_bytes())
    for name, start in {
        "b.m4a": b"\0\0\0 ftypM4A ",
        "c.amr": b"#!AMR\n",
        "d.webm": b"\x1aE\xdf\xa3",
        "e.opus": b"",
    }.items():
        (tmp_path / name).write_bytes(start)
    (tmp_path / "notes.txt").write_text("no sound")
    answers = predict.predict(tmp_path, folder)
    assert [path.rsplit("/", 1)[1] for path in answers["path"]] == ["a.wav", "b.m4a", "c.amr", "d.webm", "e.opus"]
    assert list(answers["error"] == "") == [True, False, False, False, False]
    for error, what in zip(answers["error"][1:4], ("MPEG-4", "AMR", "WebM or Matroska"), strict=True):
        assert f"is {what} that " in error
        assert error.endswith("Export it again, as WAV")


def test_an_empty_folder_is_refused(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no sound file"):
        predict.predict(tmp_path, trained[1])


def test_many_recordings_are_heard_in_processes_and_told_in_order(trained, tmp_path, monkeypatch):
    _, folder, table = trained
    monkeypatch.setattr(extraction, "CHUNK", 5)
    monkeypatch.setattr(extraction, "PROCESSES_PAY", 1)
    (tmp_path / "b.wav").write_text("no sound")
    paths = [f"{table.attrs['folder']}/{path}" for path in table["path"][:20]]
    paths.insert(7, str(tmp_path / "b.wav"))
    predictor = predict.Predictor(folder)
    said = predictor.hear_all(paths, n_jobs=2)
    assert [one["path"] for one in said] == paths
    assert "is text" in said[7].pop("error")
    for path, one in zip(paths, said, strict=True):
        assert one == {"path": path} | (predictor.hear(path) if path != paths[7] else {})


def test_a_recording_is_predicted_without_what_takes_long_to_import(trained):
    _, folder, table = trained
    code = (
        "import sys; from serlib import cli; sys.argv = ['serlib', 'predict', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "finally: print(sorted({'tensorflow', 'keras', 'numba', 'librosa', 'pandas', 'sklearn', 'scipy.signal',"
        " 'joblib', 'matplotlib'} & set(sys.modules)))"
    )
    file = f"{table.attrs['folder']}/{table['path'][0]}"
    command = [sys.executable, "-c", code, "-m", str(folder), file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "probabilities" in done.stdout
